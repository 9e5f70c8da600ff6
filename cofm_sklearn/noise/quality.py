"""Label channel: the probability that each given label is right."""

from typing import NamedTuple

import numpy as np
from scipy import sparse

from cofm_sklearn.utils.validation import check_number, check_option

__all__ = ["LabelChannel", "fit_label_channel"]

_CLASS_SMOOTHING = 0.5
# The other wrong labels are spread over all other classes.
_TO_SIMILAR = 0.8
_MAX_ITER = 50
_TOLERANCE = 1e-3
CONFUSIONS = ("uniform", "similar")
# Multiplications that one set of probabilities may cost; beyond this, a subset of the
# labels is used.
_MOST_WORK = 5e8
# Up to this size, the similarity of all pairs of classes is cheap.
_FEW_CLASSES = 200


class LabelChannel(NamedTuple):
    """Result of `fit_label_channel`.

    Attributes
    ----------
    log_likelihood : ndarray of shape (n_samples,)
        Log-likelihood of each given label.

    noise_rate : float
        Probability that a label is wrong, in [0, 1).

    quality : ndarray of shape (n_samples,)
        Probability that each label is right, in [0, 1].

    class_shares : ndarray of shape (n_classes,)
        Share of each true class among the samples.

    rarity : ndarray of shape (n_samples,)
        Expected weight of each sample's true class that balances all classes: 1 /
        (n_classes * share), which is 1 if shares are equal.

    true_class : ndarray of shape (n_samples, n_classes)
        Probability that each class is the true one.
    """

    log_likelihood: np.ndarray
    noise_rate: float
    quality: np.ndarray
    class_shares: np.ndarray
    rarity: np.ndarray
    true_class: np.ndarray


def fit_label_channel(
    y, proba, *, noise_rate=None, confusion="uniform", sample_weight=None
):
    """Fit a noisy channel between the true classes and the given labels.

    The model: a sample has the true class k with probability proportional to
    ``class_shares[k] * proba[i, k]``; the given label is this class, or with
    probability `noise_rate` one of the others. Shares and rate are learned by
    expectation maximisation.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), dtype int
        Given labels, as positions of columns.

    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities under equal class shares, from a model that has not seen
        these labels (out of fold). Each row has a value above 0.

    noise_rate : float or None, default=None
        The rate if it is known, in [0, 1); None learns it.

    confusion : {"uniform", "similar"}, default="uniform"
        Distribution of wrong labels: uniform over the other classes, or mostly on a
        class that `proba` hardly distinguishes from the true one.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of mean 1; None gives equal weights.

    Returns
    -------
    LabelChannel
        Named tuple with `log_likelihood`, `noise_rate`, `quality`, `class_shares`,
        `rarity`, `true_class`.

    Raises
    ------
    ValueError
        If y does not fit proba, `noise_rate` is out of range, or `confusion` unknown.

    References
    ----------
    Dawid, A. P., Skene, A. M. (1979). Maximum Likelihood Estimation of Observer
    Error-Rates Using the EM Algorithm. Applied Statistics 28(1).

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.noise import fit_label_channel
    >>> proba = np.array([[0.99, 0.01]] * 10 + [[0.01, 0.99]] * 10)
    >>> y = np.array([0] * 9 + [1] + [1] * 10)  # the tenth label is wrong
    >>> channel = fit_label_channel(y, proba)
    >>> int(channel.quality.argmin())
    9
    """
    n_samples, n_classes = proba.shape
    _check_arguments(y, n_samples, n_classes, noise_rate, confusion)
    w = np.ones(n_samples) if sample_weight is None else sample_weight
    [likelihood], [rate], [right], [shares], [rarity] = fit_label_channels(
        y, proba[None], noise_rate, confusion, w
    )
    true = true_class(y, proba, rate, shares, confusion, w)
    return LabelChannel(likelihood, float(rate), right, shares, rarity, true)


def fit_label_channels(y, proba, noise_rate, confusion, weight):
    """Fit a channel to each of several sets of probabilities.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), dtype int
    proba : ndarray of shape (n_sets, n_samples, n_classes)
    noise_rate, confusion
        As in `fit_label_channel`.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    log_likelihood : ndarray of shape (n_sets, n_samples)
    noise_rate : ndarray of shape (n_sets,)
    quality : ndarray of shape (n_sets, n_samples)
    class_shares : ndarray of shape (n_sets, n_classes)
    rarity : ndarray of shape (n_sets, n_samples)
        As the fields of `LabelChannel`.
    """
    n_sets, n_samples, n_classes = proba.shape
    of_class = one_hot(y, n_classes).T
    shares = of_class @ weight + _CLASS_SMOOTHING
    shares = np.tile(shares / shares.sum(), (n_sets, 1))
    rates = np.full(n_sets, 0.1 if noise_rate is None else float(noise_rate))
    # Probability of the given label from its own class, and from each other class.
    as_given = proba[:, np.arange(n_samples), y]
    by_others = np.empty_like(proba)
    for k in range(n_sets):
        by_others[k] = _by_others(proba[k], y, confusion, weight)
    # Beyond this, a label would be evidence against its own class.
    ceiling = 0.9 * (n_classes - 1) / n_classes
    # Converged sets no longer change; the others are updated together.
    going, own, others = np.arange(n_sets), as_given, by_others
    for _ in range(_MAX_ITER):
        old, rate = shares[going], rates[going]
        right, evidence = _judge(own, others, y, old, rate)
        if noise_rate is None:
            wrong = (1 - right) @ weight
            rates[going] = np.minimum((wrong + 0.5) / (weight.sum() + 1), ceiling)
        # Expected count of each true class: right labels plus wrong ones.
        counts = (of_class @ (weight * right).T).T + _CLASS_SMOOTHING
        by_wrong = np.matmul((weight / evidence)[:, None, :], others)[:, 0]
        counts += rate[:, None] * old * by_wrong
        shares[going] = counts / counts.sum(axis=1, keepdims=True)
        moved = np.abs(shares[going] - old).max(axis=1)
        moving = np.maximum(moved, np.abs(rates[going] - rate)) >= _TOLERANCE
        if not moving.all():
            going, own, others = going[moving], own[moving], others[moving]
            if not len(going):
                break
    right, evidence = _judge(as_given, by_others, y, shares, rates)
    likelihood = evidence / np.matmul(proba, shares[:, :, None])[..., 0]
    likelihood = np.log(np.maximum(likelihood, np.finfo(float).tiny))
    # With class weights of 1 / (n_classes * share), the shares cancel out.
    rarity = rates[:, None] * by_others.sum(axis=2) / evidence
    rarity = (rarity + right / shares[:, y]) / n_classes
    return likelihood, rates, right, shares, rarity


def true_class(y, proba, noise_rate, class_shares, confusion, weight):
    """Return the posterior of the true classes under a fitted channel.

    Parameters
    ----------
    y, proba, noise_rate, class_shares, confusion, weight
        As in `fit_label_channel`.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
    """
    rows = np.arange(len(y))
    joint = _by_others(proba, y, confusion, weight)
    joint *= class_shares * noise_rate
    joint[rows, y] = proba[rows, y] * class_shares[y] * (1 - noise_rate)
    empty = joint.sum(axis=1) <= 0
    joint[empty, y[empty]] = 1.0
    return joint / joint.sum(axis=1, keepdims=True)


def speakers(y, weight, n_classes):
    """Return a subset of the labels if using all of them costs too much.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), dtype int
    weight : ndarray of shape (n_samples,)
    n_classes : int

    Returns
    -------
    ndarray of shape (n_speakers,), dtype int
        Positions, ascending: every k-th label of each class, those of weight 0 last.
    """
    # n labels and k classes cost n k min(n, k) multiplications.
    most = max(_MOST_WORK / n_classes**2, (_MOST_WORK / n_classes) ** 0.5)
    step = -int(-len(y) // most)
    return np.sort(np.lexsort((y, weight <= 0))[::step])


def one_hot(y, n_classes):
    """Return labels as a sparse array of shape (n_samples, n_classes)."""
    n_samples = len(y)
    values = np.ones(n_samples), y, np.arange(n_samples + 1)
    return sparse.csr_array(values, shape=(n_samples, n_classes))


def _check_arguments(y, n_samples, n_classes, noise_rate, confusion):
    if y.shape != (n_samples,):
        raise ValueError(
            f"y must hold one label per row of proba, {n_samples}; got shape {y.shape}."
        )
    if n_samples and not 0 <= y.min() <= y.max() < n_classes:
        raise ValueError(
            f"y must hold positions of columns of proba, 0 to {n_classes - 1}; got "
            f"{y.min()} to {y.max()}."
        )
    check_number("noise_rate", noise_rate, 0, 1, closed="left", also=(None,))
    check_option("confusion", confusion, CONFUSIONS)


def _by_others(proba, y, confusion, weight):
    """Return the probability of each given label (row) from other classes (column)."""
    n_classes = proba.shape[1]
    if n_classes == 1:
        return np.zeros_like(proba)
    uniform = 1 / (n_classes - 1)
    if confusion == "uniform":
        found = proba * uniform
    else:
        alike, total = _similarity(proba, y, weight)
        alike += 1e-9 * uniform
        alike *= _TO_SIMILAR / (total + 1e-9)
        alike += (1 - _TO_SIMILAR) * uniform
        found = np.multiply(alike, proba, out=alike)
    found[np.arange(len(y)), y] = 0
    return found


def _similarity(proba, y, weight):
    """Return the similarity of each given label (row) and of each class to others."""
    rows = speakers(y, weight, proba.shape[1])
    if len(rows) < len(y):
        proba, weight = proba[rows], weight[rows]
    weighed = proba * weight[:, None]
    if proba.shape[1] > max(len(rows), _FEW_CLASSES):
        # The same sums in another order, without a classes x classes array.
        others = np.maximum(proba.sum(axis=1, keepdims=True) - proba, 0)
        return weighed[:, y].T @ proba, np.einsum("ij,ij->j", weighed, others)
    similar = weighed.T @ proba
    np.fill_diagonal(similar, 0)
    return similar[y], similar.sum(axis=1)


def _judge(as_given, by_others, y, shares, rates):
    """Return the posterior of each label being right, and the evidence, per set."""
    right = (1 - rates)[:, None] * as_given * shares[:, y]
    evidence = rates[:, None] * np.matmul(by_others, shares[:, :, None])[..., 0]
    evidence += right
    # A label with zero likelihood is kept.
    empty = evidence <= 0
    right[empty] = evidence[empty] = 1.0
    return right / evidence, evidence
