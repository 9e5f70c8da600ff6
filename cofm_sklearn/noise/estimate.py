"""Estimate label noise: how many labels are wrong, which ones, and how."""

from typing import Any, NamedTuple

import numpy as np
from scipy.special import logsumexp, softmax
from scipy.stats import beta
from sklearn.utils.validation import column_or_1d

from cofm_sklearn.noise.quality import (
    CONFUSIONS,
    fit_label_channels,
    one_hot,
    speakers,
    true_class,
)
from cofm_sklearn.utils.labels import (
    check_classes,
    check_labels,
    columns_by_name,
    encode_labels,
)
from cofm_sklearn.utils.validation import (
    check_number,
    check_proba,
    check_weights,
)

__all__ = ["NoiseEstimate", "estimate_noise", "label_quality"]

SHARPNESS_GRID = np.array([0.5, 1.0, 2.0, 4.0])
# Steps of 2 underestimate rates by up to .03, even with calibrated probabilities. The
# first two let a model know next to nothing; otherwise right labels of classes that
# nothing tells apart look wrong.
_FINE_GRID = np.concatenate([[0.05, 0.2], 2 ** np.arange(-1, 3, 0.5)])
# Even "clean" labels contain slips.
_SLIP_RATE = 0.01
# Prior weight of a row of the noise matrix, in labels.
_PRIOR_LABELS = 1.0
# Rates at which an interval may end: finer near 0, where steps are large in proportion.
_RATES = np.union1d(np.linspace(0, 1, 501), np.geomspace(1e-6, 0.02, 100))
# Beliefs too small to affect an average.
_UNSEEN = 1e-12


class NoiseEstimate(NamedTuple):
    """Result of `estimate_noise`.

    Attributes
    ----------
    label_quality : ndarray of shape (n_samples,)
        Probability that each label is right, in [0, 1]; lower is worse.

    noise_rate : float
        Share of wrong labels, in [0, 1).

    noise_rate_interval : tuple of (float, float)
        Credible interval of `noise_rate`, with probability `confidence`.

    noise_matrix : ndarray of shape (n_classes, n_classes)
        Probability of each given label (column) given the true class (row); rows sum to
        1.

    noise_matrix_interval : ndarray of shape (2, n_classes, n_classes)
        Credible interval of each entry of the matrix: lower, then upper bounds.
    """

    label_quality: np.ndarray
    noise_rate: float
    noise_rate_interval: tuple
    noise_matrix: np.ndarray
    noise_matrix_interval: np.ndarray


class Hypothesis(NamedTuple):
    """A hypothesis about the labels; `rate` is None if it is learned."""

    rate: float | None
    confusion: str = "uniform"
    penalty: float = 0.0
    doubt: bool = True  # whether doubtful labels lose weight


def label_quality(y, proba, *, classes=None, label_noise="auto", sample_weight=None):
    """Estimate the probability that each given label is right.

    Parameters
    ----------
    y, proba, classes, label_noise, sample_weight
        As in `estimate_noise`.

    Returns
    -------
    ndarray of shape (n_samples,)
        In [0, 1]; lower is worse.

    Raises
    ------
    ValueError, TypeError
        As in `estimate_noise`.

    See Also
    --------
    cofm_sklearn.CoDecisionClassifier : `label_quality_` from prior and small model.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from cofm_sklearn.noise import label_quality
    >>> X, y = make_blobs(100, centers=3, cluster_std=0.5, random_state=4)
    >>> y[:10] = (y[:10] + 1) % 3
    >>> model = LogisticRegression(class_weight="balanced")
    >>> proba = cross_val_predict(model, X, y, method="predict_proba")
    >>> np.flatnonzero(label_quality(y, proba) < 0.5)
    array([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """
    codes, proba, weight = _checked(y, proba, classes, label_noise, sample_weight)
    return explain_labels(codes, proba, label_noise, weight).label_quality


def estimate_noise(
    y,
    proba,
    *,
    classes=None,
    label_noise="auto",
    sample_weight=None,
    confidence=0.95,
):
    """Estimate which labels are wrong, how many, and which classes get confused.

    Averages over hypotheses about the labels (all right; wrong at an unknown rate;
    wrong and mostly mistaken for a similar class) and over how far the probabilities
    can be trusted. A BIC penalty on the noise rate protects clean labels. Ambiguous
    labels count as right: overlapping classes look the same as one that is sometimes
    labelled as another, and where the probabilities carry no information, no label can
    be judged.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels: str, int or bool.

    proba : array-like of shape (n_samples, n_classes)
        Class probabilities of a model that has not seen these labels (out of fold, e.g.
        from ``cross_val_predict``), preferably one that treats all classes as equally
        likely (``class_weight="balanced"``). Rows sum to 1. The columns of a frame are
        found by name if their names are the classes.

    classes : array-like of shape (n_classes,) or None, default=None
        Labels of the columns of proba; None takes the sorted labels in y.

    label_noise : "auto", None or float, default="auto"
        Share of wrong labels, at least 0 and below 1. ``"auto"`` estimates it, None
        assumes that all labels are right.

    sample_weight : array-like of shape (n_samples,) or None, default=None
        Weights of the samples, at least 0; only their ratios matter.

    confidence : float, default=0.95
        Probability of the intervals, above 0 and below 1. They account for few labels,
        but not for a model that is wrong about the classes.

    Returns
    -------
    NoiseEstimate
        Named tuple with `label_quality`, `noise_rate`, `noise_rate_interval`,
        `noise_matrix`, `noise_matrix_interval`.

    Raises
    ------
    ValueError
        If y is empty, has a label that is not in `classes`, probabilities do not
        sum to 1 or miss a class, weights are negative or all 0, or a parameter is out
        of range.

    TypeError
        If labels of several types cannot be sorted.

    References
    ----------
    Dawid, A. P., Skene, A. M. (1979). Maximum Likelihood Estimation of Observer
    Error-Rates Using the EM Algorithm. Applied Statistics 28(1).

    Northcutt, C., Jiang, L., Chuang, I. (2021). Confident Learning: Estimating
    Uncertainty in Dataset Labels. Journal of Artificial Intelligence Research 70.
    (Same problem; here solved by a likelihood, not by counts over a threshold.)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from cofm_sklearn.noise import estimate_noise
    >>> X, y = make_blobs(200, centers=3, cluster_std=0.5, random_state=4)
    >>> y[:40] = (y[:40] + 1) % 3
    >>> model = LogisticRegression(class_weight="balanced")
    >>> proba = cross_val_predict(model, X, y, method="predict_proba")
    >>> found = estimate_noise(y, proba)
    >>> found.noise_matrix.diagonal().round(1)
    array([0.8, 0.8, 0.8])
    >>> low, high = found.noise_rate_interval
    >>> low < 0.2 < high
    True
    """
    codes, proba, weight = _checked(y, proba, classes, label_noise, sample_weight)
    check_number("confidence", confidence, 0, 1, closed="neither")
    return explain_labels(codes, proba, label_noise, weight, confidence)


def _checked(y, proba, classes, label_noise, sample_weight):
    """Return labels as positions, probabilities and weights."""
    y = check_labels(column_or_1d(y, warn=True))
    sorted_classes, codes = check_classes(classes, y, only_codes=True)
    if classes is None:
        classes = sorted_classes
    else:
        codes = encode_labels(y, classes)  # in the order of the columns
    named = columns_by_name(proba, classes)
    proba = check_proba(proba, len(y), len(classes))
    proba = proba if named is None else proba[:, named]
    check_label_noise(label_noise)
    return codes, proba, check_weights(sample_weight, len(y))


def explain_labels(y, proba, label_noise="auto", weight=None, confidence=None):
    """Compute `estimate_noise` on checked arrays; y holds positions.

    Without `confidence`, intervals are skipped: they are slow with many classes.
    """
    weight = np.ones(len(y)) if weight is None else weight
    weight = weight / weight[weight > 0].mean()
    n_classes = proba.shape[1]
    Z = centre_logits(proba)
    Z /= scale_of(Z[weight > 0])
    rows = speakers(y, weight, n_classes)
    hypotheses = list_hypotheses(label_noise, np.count_nonzero(weight[rows]))
    settings = _Settings(y[rows], Z[rows], weight[rows], _FINE_GRID, hypotheses)
    rates, informations = settings.rates, settings.informations
    post = np.exp(settings.log_post - logsumexp(settings.log_post))
    overall = float(np.sum(post * rates))
    interval: Any = None
    matrix_interval: Any = None
    if confidence is not None:
        interval = rate_interval(
            post.ravel(), rates.ravel(), informations.ravel(), confidence
        )
    if len(rows) < len(y):
        # Apply the subset's posterior of sharpness and noise to all labels.
        sharpness = np.exp(post.sum(axis=0) @ np.log(_FINE_GRID))
        settings = _Settings(y, Z, weight, np.array([sharpness]), hypotheses)
        post = post.sum(axis=1, keepdims=True)
    quality, counts = settings.average(post)
    counts = counts + _PRIOR_LABELS * _expected_matrix(n_classes, overall)
    if confidence is not None:
        matrix_interval = _matrix_interval(counts, (1 - confidence) / 2)
    return NoiseEstimate(
        label_quality=np.minimum(quality, 1.0),
        noise_rate=overall,
        noise_rate_interval=interval,
        noise_matrix=counts / counts.sum(axis=1, keepdims=True),
        noise_matrix_interval=matrix_interval,
    )


class _Settings:
    """Label channels of all hypotheses (rows) and degrees of sharpness (columns)."""

    def __init__(self, y, Z, weight, grid, hypotheses):
        self.y, self.weight, self.hypotheses = y, weight, hypotheses
        self.proba = softmax(grid[:, None, None] * Z, axis=2)
        shape = (len(hypotheses), len(grid))
        self.log_post, self.rates = np.empty(shape), np.zeros(shape)
        self.informations = np.full(shape, np.inf)
        self.quality = np.ones((*shape, len(y)))
        self.shares = np.empty((*shape, Z.shape[1]))
        for h, hypothesis in enumerate(hypotheses):
            ll, rate, right, self.shares[h], _ = fit_label_channels(
                y, self.proba, hypothesis.rate, hypothesis.confusion, weight
            )
            self.log_post[h] = ll @ weight - hypothesis.penalty
            if hypothesis.rate is None:
                self.informations[h] = rate_information(rate, right, weight)
            if hypothesis.doubt:
                self.rates[h], self.quality[h] = rate, right

    def average(self, post):
        """Return quality, and the expected count of each label (column) by class."""
        y, weight, n_classes = self.y, self.weight, self.proba.shape[2]
        given = one_hot(y, n_classes).T
        counts = np.zeros((n_classes, n_classes))
        for h, s in np.argwhere(post > _UNSEEN):
            hypothesis = self.hypotheses[h]
            if not hypothesis.doubt:
                counts += post[h, s] * np.diag(given @ weight)
                continue
            true = true_class(
                y,
                self.proba[s],
                self.rates[h, s],
                self.shares[h, s],
                hypothesis.confusion,
                weight,
            )
            true *= weight[:, None]
            counts += post[h, s] * (given @ true).T
        return np.tensordot(post, self.quality, axes=2), counts


def list_hypotheses(label_noise, n_labels):
    """Return the hypotheses about the labels."""
    clean = Hypothesis(_SLIP_RATE, doubt=False)
    if label_noise is None:
        return [clean]
    if isinstance(label_noise, str):
        penalty = 0.5 * np.log(n_labels)
        return [clean, *(Hypothesis(None, c, penalty) for c in CONFUSIONS)]
    return [Hypothesis(float(label_noise), c) for c in CONFUSIONS]


def check_label_noise(label_noise):
    """Raise a ValueError unless this is "auto", None or a share below 1."""
    check_number("label_noise", label_noise, 0, 1, closed="left", also=("auto", None))


def centre_logits(proba):
    """Return log-probabilities, each row centred at 0.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.noise.estimate import centre_logits
    >>> centre_logits(np.array([[0.5, 0.5]]))
    array([[0., 0.]])
    """
    logits = np.log(np.maximum(proba, 1e-12))
    return logits - logits.mean(axis=1, keepdims=True)


def scale_of(Z):
    """Return the standard deviation of logits; 1 if they are all equal."""
    scale = float(Z.std())
    return scale if scale > 1e-9 else 1.0


def rate_information(rate, quality, weight):
    """Return the Fisher information about each rate; ambiguous labels carry none."""
    some = np.maximum(rate, 1e-300)[:, None]
    information = ((1 - quality) / some - quality / (1 - some)) ** 2 @ weight
    return np.where(rate == 0, np.inf, information)  # 0: only one class


def rate_interval(post, rates, informations, confidence=0.95):
    """Return the credible interval of the noise rate.

    Parameters
    ----------
    post, rates, informations : ndarray of shape (n_settings,)
        Posterior probability of each setting, its rate, and the Fisher information
        about the rate; infinite if the rate is known.

    confidence : float, default=0.95
        Probability that the rate lies in the interval.

    Returns
    -------
    tuple of (float, float)
    """
    mean = post @ rates / post.sum()
    likely = post > 1e-4
    post, rates, informations = post[likely], rates[likely], informations[likely]
    known = ~np.isfinite(informations)
    below = (_RATES[:, None] >= rates - 1e-12).astype(float)
    # A beta distribution with the mean and variance of the estimate.
    spread = rates[~known] * (1 - rates[~known])
    n_judged = np.maximum(spread * informations[~known], 2.0)
    a, b = rates[~known] * n_judged, (1 - rates[~known]) * n_judged
    below[:, ~known] = beta.cdf(_RATES[:, None], a, b)
    cdf = below @ (post / post.sum())
    tail = (1 - confidence) / 2
    low, high = (_RATES[np.argmax(cdf >= q - 1e-12)] for q in (tail, 1 - tail))
    # A few unlikely settings with high rates can raise the mean above the interval.
    return float(min(low, mean)), float(max(high, mean))


def _expected_matrix(n_classes, rate):
    """Return the default noise matrix: given labels by true class."""
    expected = np.full((n_classes, n_classes), rate / max(n_classes - 1, 1))
    np.fill_diagonal(expected, 1 - rate if n_classes > 1 else 1.0)
    return expected


def _matrix_interval(counts, tail):
    """Return the interval of each entry of the noise matrix."""
    others = counts.sum(axis=1, keepdims=True) - counts
    ends = [
        np.where(counts > 0, beta.ppf(q, np.maximum(counts, 1e-9), others + 1e-9), 0.0)
        for q in (tail, 1 - tail)
    ]
    return np.array(ends)
