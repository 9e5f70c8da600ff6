"""When labelling more will not help much."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score
from sklearn.utils import check_random_state

from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    n_rows,
    take_rows,
)

__all__ = ["StabilizedPredictions", "StoppingDecision", "go_on", "look", "says_stop"]


class StoppingDecision(NamedTuple):
    """What a stopping rule says after a round.

    Attributes
    ----------
    stop : bool
        Whether labelling more is unlikely to help much.

    reason : str
        Why, or why not yet.

    value : float
        What the rule looks at; NaN while there is too little to tell.
    """

    stop: bool
    reason: str
    value: float


class StabilizedPredictions(BaseEstimator):
    """Stop when new labels no longer change what the model predicts.

    After each round, the model predicts a fixed set of samples. Agreement with the
    predictions of the round before is Cohen's kappa, which does not take the
    agreement for granted that a common class brings. When its mean over the last
    rounds is high enough, labelling stops. No label is spent on it.

    Parameters
    ----------
    threshold : float, default=0.95
        Mean agreement at which to stop, 0 to 1. A lower one stops earlier. The paper
        takes 0.99, which with 20 labels a round hardly ever stops.

    window : int, default=3
        Agreements whose mean is taken.

    n_samples : int, default=2000
        Samples that are predicted, drawn in the first round.

    random_state : int, RandomState or None, default=None
        Draws them.

    Attributes
    ----------
    stop_set_ : array-like of length at most `n_samples`
        The samples.

    history_ : list of float
        Agreement after each round but the first.

    Notes
    -----
    What it saved and what that cost on five data sets is in docs/stopping.md: on some,
    stopping at a fixed number of labels is as good.

    References
    ----------
    Bloodgood, M., Vijay-Shanker, K. (2009). A Method for Stopping Active Learning
    Based on Stabilizing Predictions and the Need for User-Adjustable Stopping. CoNLL.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import ActiveLearningClassifier, CoDecisionQuery
    >>> from cofm_sklearn.loop import StabilizedPredictions
    >>> X, y = make_blobs([200, 200, 20], n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), CoDecisionQuery(), n_instances=5, budget=200,
    ...     stopping=StabilizedPredictions(), random_state=0).fit(X, y)
    >>> len(loop.queried_indices_) < 100
    True
    """

    history_: list[float]
    predictions_: np.ndarray

    def __init__(self, threshold=0.95, window=3, *, n_samples=2000, random_state=None):
        self.threshold = threshold
        self.window = window
        self.n_samples = n_samples
        self.random_state = random_state

    def update(self, estimator, X, *, n_labels, X_labeled=None, y_labeled=None):
        """Look at the model after a round.

        Parameters
        ----------
        estimator : fitted classifier
            Trained on the labels so far.

        X : array-like of length n_samples
            All samples, labelled or not; read in the first round only.

        n_labels : int
            Labels so far.

        X_labeled, y_labeled : array-like of length n_labeled, default=None
            Not used.

        Returns
        -------
        StoppingDecision
            `value` is the mean agreement.

        Raises
        ------
        ValueError
            If a parameter is out of range, or X is empty.
        """
        check_number("threshold", self.threshold, 0, 1)
        check_integer("window", self.window, 1)
        check_integer("n_samples", self.n_samples, 1)
        now = np.asarray(estimator.predict(self._stop_set(X)))
        if hasattr(self, "predictions_"):
            self.history_ = [*self.history_, _kappa(self.predictions_, now)]
        self.predictions_ = now
        if len(self.history_) < self.window:
            return StoppingDecision(
                False, f"{self.window + 1} rounds are needed to tell.", np.nan
            )
        mean = float(np.mean(self.history_[-self.window :]))
        return StoppingDecision(
            mean >= self.threshold,
            f"Predictions of the last {self.window + 1} rounds agree to {mean:.1%} "
            f"beyond chance; {self.threshold:.1%} are enough.",
            mean,
        )

    def _stop_set(self, X):
        """Take samples in the first round, and the same ones ever after."""
        if not hasattr(self, "stop_set_"):
            n = n_rows(X)
            if n == 0:
                raise ValueError("X is empty: there is no sample (0 samples) to use.")
            rng = check_random_state(self.random_state)
            rows = np.sort(rng.permutation(n)[: self.n_samples])
            self.stop_set_ = take_rows(X, rows)
            self.history_ = []
        return self.stop_set_

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # It takes a fitted estimator and the samples; there is nothing to fit.
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags


def _kappa(first, second):
    if (first == second).all():
        return 1.0  # also where there is one class only, which leaves kappa undefined
    return float(cohen_kappa_score(first, second))


def look(rule, learner, X, n_labels):
    """Return a copy of a rule that has looked at a learner; keeps `decision_`."""
    rule = deepcopy(rule)
    rule.decision_ = rule.update(
        learner.estimator,
        X,
        n_labels=n_labels,
        X_labeled=learner.X_training,
        y_labeled=learner.y_training,
    )
    return rule


def go_on(rule, earlier):
    """Return the rule of an earlier fit, with what it has seen, if it is the same."""
    if rule is None or earlier is None or repr(rule) != repr(earlier):
        return rule
    return earlier


def says_stop(rule):
    """Tell whether a rule has said that it is enough."""
    return rule is not None and hasattr(rule, "decision_") and rule.decision_.stop
