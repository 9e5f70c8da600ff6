"""Estimate the precision of a model's labels from answers; functions on arrays."""

from dataclasses import dataclass

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import binomtest

__all__ = [
    "Precision",
    "agree_beyond_chance",
    "count_precision",
    "fit_precision",
    "pool_scores",
    "pool_shares",
    "score_weights",
]

# Exponent of the probabilities before class shares are learned from them: with sharp
# ones, shares drift to 0 and 1.
_SOFTNESS = 0.6
# Weight of equal class shares, relative to the pool.
_EQUAL_SHARES = 0.1
_MAX_ITER = 200
_TOLERANCE = 1e-6
# Prior belief about the calibration: scores are about right. The offset applies at this
# score, near which labels become reliable enough.
_CENTRE = 2.0
_OFFSETS = np.linspace(-2.5, 3.0, 23)
_SLOPES = np.linspace(0.2, 2.0, 13)
_OFFSET_SPREAD, _SLOPE_SPREAD = 0.8, 0.25
# Weight of an answer that a query selected: even at the same score, these samples
# differ somewhat from the others.
_CHOSEN = 0.5
_BINS = 10
_SIGNIFICANT = ndtri(0.95)  # standard errors
_SHARES = np.linspace(0, 1, 1001)


def pool_shares(proba):
    """Estimate the class shares of a pool.

    Parameters
    ----------
    proba : ndarray of shape (n_pool, n_classes)
        Probabilities under equal class shares.

    Returns
    -------
    ndarray of shape (n_classes,)
        Shares, which sum to 1 and are all above 0: a tenth of the evidence is a pool of
        equal shares.

    References
    ----------
    Saerens, M., Latinne, P., Decaestecker, C. (2002). Adjusting the Outputs of a
    Classifier to New a Priori Probabilities. Neural Computation 14(1).

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.precision import pool_shares
    >>> pool_shares(np.repeat([[0.9, 0.1], [0.1, 0.9]], [90, 10], axis=0)).round(2)
    array([0.91, 0.09])
    """
    soft = _soften(proba)
    n_classes = soft.shape[1]
    shares = np.full(n_classes, 1 / n_classes)
    for _ in range(_MAX_ITER):
        found = soft * shares
        found = (found / found.sum(axis=1, keepdims=True)).mean(axis=0)
        found = (found + _EQUAL_SHARES / n_classes) / (1 + _EQUAL_SHARES)
        change, shares = np.abs(found - shares).max(), found
        if change < _TOLERANCE:
            break
    return shares


def pool_scores(proba, shares, codes):
    """Return the log-odds of labels in a pool with these class shares.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        As for `pool_shares`.

    shares : ndarray of shape (n_classes,)
        Class shares of the pool.

    codes : ndarray of shape (n_samples,), dtype int
        The labels, as positions of columns.

    Returns
    -------
    ndarray of shape (n_samples,)
        Log-odds of each label, to two decimals, so that rounding errors do not separate
        equal samples.
    """
    found = _soften(proba) * shares
    own = found[np.arange(len(codes)), codes] / found.sum(axis=1)
    return np.round(logit(np.clip(own, 1e-9, 1 - 1e-9)), 2)


def score_weights(scores, pool):
    """Weight answers so that their scores are distributed like those of the pool.

    Parameters
    ----------
    scores, pool : ndarray of shape (n_answers,) and (n_pool,)
        Scores of the answers, which were selected as hard, and of the pool.

    Returns
    -------
    ndarray of shape (n_answers,)
        Weights that sum to half the effective sample size (Kish), since a score does
        not capture the selection completely.
    """
    if not len(scores):
        return np.empty(0)
    edges = np.quantile(pool, np.linspace(0, 1, _BINS + 1)[1:-1])
    own, others = np.digitize(scores, edges), np.digitize(pool, edges)
    wanted = np.bincount(others, minlength=_BINS) / len(pool)
    had = np.bincount(own, minlength=_BINS) + 0.5
    weight = (wanted / (had / had.sum()))[own]
    if not weight.any():
        return weight
    return weight * (_CHOSEN * weight.sum() / np.sum(weight**2))


def fit_precision(scores, right, weight, noise_rate, n_classes):
    """Learn the probability that a label is right, given its score.

    The log-odds of being right are modelled as a line over the score; answers give a
    posterior over lines (Platt scaling with a prior, instead of one estimate). An
    answer may itself be wrong: then it agrees with a right label less often, and
    sometimes with a wrong one.

    Parameters
    ----------
    scores : ndarray of shape (n_answers,)
        Scores of the labels that a model would have given to the answered samples.

    right : ndarray of shape (n_answers,), dtype bool
        Whether each label agrees with the answer.

    weight : ndarray of shape (n_answers,)
        Weight of each answer.

    noise_rate : float
        Share of wrong answers.

    n_classes : int
        Number of classes, at least 2.

    Returns
    -------
    Precision

    References
    ----------
    Platt, J. (1999). Probabilistic Outputs for Support Vector Machines and Comparisons
    to Regularized Likelihood Methods. Advances in Large Margin Classifiers.
    """
    offsets, slopes = (g.ravel() for g in np.meshgrid(_OFFSETS, _SLOPES, indexing="ij"))
    start = offsets + _CENTRE - slopes * _CENTRE
    log_post = -0.5 * (offsets / _OFFSET_SPREAD) ** 2
    log_post -= 0.5 * ((slopes - 1) / _SLOPE_SPREAD) ** 2
    proba = expit(start[:, None] + slopes[:, None] * scores)
    slip = noise_rate / (n_classes - 1)
    agree = np.clip(proba * (1 - noise_rate) + (1 - proba) * slip, 1e-9, 1 - 1e-9)
    log_post += np.where(right, np.log(agree), np.log1p(-agree)) @ weight
    post = np.exp(log_post - log_post.max())
    likely = post > 1e-3 * post.max()
    post = post[likely] / post[likely].sum()
    return Precision(start[likely], slopes[likely], post)


@dataclass(frozen=True)
class Precision:
    """Posterior of the probability that a label is right, given its score.

    Attributes
    ----------
    offsets, slopes : ndarray of shape (n_lines,)
        Lines of log-odds over the score.

    belief : ndarray of shape (n_lines,)
        Probability of each line; they sum to 1.
    """

    offsets: np.ndarray
    slopes: np.ndarray
    belief: np.ndarray

    def proba(self, scores):
        """Return the probability that labels with these scores are right."""
        values, inverse = np.unique(scores, return_inverse=True)
        return (self.belief @ self._lines(values))[inverse]

    def threshold(self, scores, target, confidence):
        """Find the lowest score above which the target precision is reached.

        Parameters
        ----------
        scores : ndarray of shape (n_samples,)
            Scores of the labels to choose from.

        target : float
            Share of right labels required.

        confidence : float
            Probability with which the labels above the threshold reach the target.

        Returns
        -------
        float
            Infinite if no score does. Labels above it are never more likely wrong than
            right.
        """
        values, mean, spread = self._from_the_top(scores)
        surely = self.belief @ ndtr((mean - target) / spread)
        enough = (surely >= confidence) & (self.belief @ self._lines(values) >= 0.5)
        return values[enough].min() if enough.any() else np.inf

    def expect(self, scores, confidence=0.95):
        """Return the expected share of right labels, and its interval.

        Parameters
        ----------
        scores : ndarray of shape (n_samples,)
            Scores of the labels, at least one.

        confidence : float, default=0.95
            Probability that the share lies in the interval.

        Returns
        -------
        tuple of (float, float, float)
            Expected share, lower and upper end.
        """
        _, mean, spread = self._from_the_top(scores)
        return self._expect(mean[:, -1], spread[:, -1], confidence)

    def curve(self, scores, n_points=20, confidence=0.95):
        """Return precision over coverage, from the most confident labels to all.

        Parameters
        ----------
        scores : ndarray of shape (n_samples,)
            Scores of the labels, at least one.

        n_points : int, default=20
            Maximal number of points.

        confidence : float, default=0.95
            As in `expect`.

        Returns
        -------
        dict of str to list of float
            `coverage`, the share of the labels; `precision`, `low` and `high` as in
            `expect`. Labels of equal scores stay together.
        """
        values, mean, spread = self._from_the_top(scores)
        total = len(scores) - np.searchsorted(np.sort(scores), values)
        wanted = np.linspace(0, len(scores), n_points + 1)[1:]
        ends = np.unique(np.searchsorted(total, wanted))
        rows = [self._expect(mean[:, k], spread[:, k], confidence) for k in ends]
        columns = (total[ends] / len(scores), *np.transpose(rows))
        names = ("coverage", "precision", "low", "high")
        return {name: list(map(float, c)) for name, c in zip(names, columns)}

    def _expect(self, mean, spread, confidence):
        cdf = ndtr((_SHARES[:, None] - mean) / spread) @ self.belief
        tail = (1 - confidence) / 2
        low = _SHARES[max(np.searchsorted(cdf, tail) - 1, 0)]
        high = _SHARES[min(np.searchsorted(cdf, 1 - tail), len(_SHARES) - 1)]
        return float(self.belief @ mean), float(low), float(high)

    def _lines(self, values):
        return expit(self.offsets[:, None] + self.slopes[:, None] * values)

    def _from_the_top(self, scores):
        """Return descending scores, with mean and spread of the share down to each."""
        values, counts = np.unique(-scores, return_counts=True)
        proba, total = self._lines(-values), np.cumsum(counts)
        mean = np.cumsum(proba * counts, axis=1) / total
        within = np.cumsum(proba * (1 - proba) * counts, axis=1) / total
        return -values, mean, np.sqrt(within / total + 1e-12)


def agree_beyond_chance(guessed, told, n_classes):
    """Tell whether a model and answers agree more often than unrelated labels would.

    Otherwise it cannot be known which of them are wrong.

    Parameters
    ----------
    guessed, told : ndarray of shape (n_answers,), dtype int
        Classes by the model, which has not seen these answers, and the answers.

    n_classes : int
        Number of classes.

    Returns
    -------
    bool
        Whether unrelated labels would agree as often with a probability below .05, in
        the normal approximation.

    References
    ----------
    Fleiss, J. L., Cohen, J., Everitt, B. S. (1969). Large Sample Standard Errors of
    Kappa and Weighted Kappa. Psychological Bulletin 72(5).

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.precision import agree_beyond_chance
    >>> told = np.arange(60) % 2
    >>> agree_beyond_chance(told, told, 2), agree_beyond_chance(1 - told, told, 2)
    (True, False)
    """
    n = max(len(told), 1)
    p = np.bincount(guessed, minlength=n_classes) / n
    q = np.bincount(told, minlength=n_classes) / n
    chance = p @ q
    variance = np.maximum(chance + chance**2 - (p * q) @ (p + q), 0) / n
    agreement = np.sum(guessed == told) / n
    return bool(agreement - chance > _SIGNIFICANT * np.sqrt(variance) + 1e-9)


def count_precision(n_right, n_checked, noise_rates, n_classes, confidence=0.95):
    """Return the interval of the share of right labels, from a random check.

    Parameters
    ----------
    n_right, n_checked : int
        Number of labels that agree with the answers, and of labels checked.

    noise_rates : tuple of (float, float)
        Interval of the share of wrong answers. Each end of the result uses the value
        that makes it wider.

    n_classes : int
        Number of classes, at least 2.

    confidence : float, default=0.95
        Probability that the share lies in the interval.

    Returns
    -------
    tuple of (float, float)

    References
    ----------
    Clopper, C. J., Pearson, E. S. (1934). The Use of Confidence or Fiducial Limits
    Illustrated in the Case of the Binomial. Biometrika 26(4).

    Examples
    --------
    >>> from cofm_sklearn.models.precision import count_precision
    >>> low, high = count_precision(98, 100, (0.0, 0.0), 2)
    >>> round(low, 3), round(high, 3)
    (0.93, 0.998)
    """
    if not n_checked:
        return 0.0, 1.0
    found = binomtest(n_right, n_checked).proportion_ci(confidence, method="exact")
    low, high = map(_without_noise, found, noise_rates, (n_classes, n_classes))
    return low, high


def _without_noise(agreement, noise_rate, n_classes):
    """Correct a share of agreeing labels for wrong answers."""
    slip = noise_rate / (n_classes - 1)
    scale = 1 - noise_rate - slip
    if scale <= 0:  # then answers carry no information
        return 1.0
    return float(np.clip((agreement - slip) / scale, 0, 1))


def _soften(proba):
    soft = np.maximum(proba, 1e-12) ** _SOFTNESS
    return soft / soft.sum(axis=1, keepdims=True)
