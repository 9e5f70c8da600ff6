"""Scores of the model on the check set, which is held out from training."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.stats import binomtest

__all__ = ["CheckScore", "score_check_set"]

_DRAWS = 20_000


@dataclass(frozen=True)
class CheckScore:
    """Scores of the model on the check set.

    All intervals are at 95 %. They assume that the answers are right, and refer to the
    original pool: the check set is drawn before any label is given.

    Attributes
    ----------
    n : int
        Number of labels in the check set.

    accuracy : float
        Share of right predictions.

    accuracy_interval : tuple of (float, float)
        Clopper and Pearson's interval, which is conservative.

    balanced_accuracy : float
        Mean recall of the classes in the check set.

    balanced_accuracy_interval : tuple of (float, float)
        Interval of the mean of one Beta distribution per recall (Brodersen et al.,
        2010).

    recalls : dict of label to (float or None, float, float, int)
        For every class: its recall, the same interval, and its number of check labels.
        None, 0 and 1 for a class without check labels.

    rarest : label
        The class with the fewest labels among those in the check set.

    References
    ----------
    Brodersen, K. H., Ong, C. S., Stephan, K. E., Buhmann, J. M. (2010). The Balanced
    Accuracy and Its Posterior Distribution. ICPR.

    Clopper, C. J., Pearson, E. S. (1934). The Use of Confidence or Fiducial Limits
    Illustrated in the Case of the Binomial. Biometrika 26(4).
    """

    n: int
    accuracy: float
    accuracy_interval: tuple
    balanced_accuracy: float
    balanced_accuracy_interval: tuple
    recalls: dict
    rarest: object


def score_check_set(counts):
    """Score predictions of a check set.

    Parameters
    ----------
    counts : list of (label, int, int)
        Each class with the numbers of right predictions and of check labels.

    Returns
    -------
    CheckScore or None
        None without labels.

    Examples
    --------
    >>> from cofm_sklearn.loop.check_score import score_check_set
    >>> score = score_check_set([("ham", 18, 20), ("spam", 3, 5)])
    >>> score.n, score.accuracy, score.balanced_accuracy, score.rarest
    (25, 0.84, 0.75, 'spam')
    >>> low, high = score.accuracy_interval
    >>> round(low, 2), round(high, 2)
    (0.64, 0.95)
    """
    there = [(right, n) for _, right, n in counts if n]
    if not there:
        return None
    right, of = np.array(there).T
    low, high = _balanced(tuple(there))
    found = float(np.mean(right / of))
    return CheckScore(
        n=int(of.sum()),
        accuracy=float(right.sum() / of.sum()),
        accuracy_interval=_exact(int(right.sum()), int(of.sum())),
        balanced_accuracy=found,
        # If all or none are right, the interval must include the estimate.
        balanced_accuracy_interval=(min(low, found), max(high, found)),
        recalls={
            label: (k / n, *_exact(k, n), n) if n else (None, 0.0, 1.0, 0)
            for label, k, n in counts
        },
        rarest=min((one for one in counts if one[2]), key=lambda one: one[2])[0],
    )


# The labeller asks after each answer, mostly with the same counts.
@lru_cache(maxsize=8)
def _balanced(there):
    right, of = np.array(there).T
    rng = np.random.RandomState(0)
    # Jeffreys' prior.
    drawn = rng.beta(right + 0.5, of - right + 0.5, size=(_DRAWS, len(of)))
    low, high = np.quantile(drawn.mean(axis=1), [0.025, 0.975])
    return float(low), float(high)


@lru_cache(maxsize=256)
def _exact(right, n):
    interval = binomtest(right, n).proportion_ci(method="exact")
    return float(interval.low), float(interval.high)
