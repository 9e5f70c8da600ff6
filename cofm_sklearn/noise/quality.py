"""How likely is each given label right?"""

from typing import NamedTuple

import numpy as np

from cofm_sklearn.utils.validation import check_option

__all__ = ["LabelChannel", "fit_label_channel"]

_CLASS_SMOOTHING = 0.5
# The rest of the wrong labels goes to any other class.
_TO_SIMILAR = 0.8
_MAX_ITER = 50
_TOLERANCE = 1e-3
CONFUSIONS = ("uniform", "similar")


class LabelChannel(NamedTuple):
    """What `fit_label_channel` found.

    Attributes
    ----------
    log_likelihood : ndarray of shape (n_samples,)
        Of each given label.

    noise_rate : float
        Probability that a label is wrong, in [0, 1).

    quality : ndarray of shape (n_samples,)
        Probability that each label is right, in [0, 1].

    class_shares : ndarray of shape (n_classes,)
        Share of each true class among the samples.

    rarity : ndarray of shape (n_samples,)
        Expected weight of each sample's true class where all classes are to weigh
        the same: 1 / (n_classes * share), which is 1 where shares are equal.

    true_class : ndarray of shape (n_samples, n_classes)
        Probability of each class to be the true one.
    """

    log_likelihood: np.ndarray
    noise_rate: float
    quality: np.ndarray
    class_shares: np.ndarray
    rarity: np.ndarray
    true_class: np.ndarray


def fit_label_channel(
    y, proba, *, noise_rate=None, confusion="uniform", sample_weight=None, start=None
):
    """Explain given labels by class probabilities and a channel that makes mistakes.

    The model: a sample has the true class k with probability proportional to
    ``class_shares[k] * proba[i, k]``; the given label is that class, or with
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
        What a wrong label is: any other class, all alike, or for the most part a
        class that `proba` finds hard to tell from the true one.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of mean 1; None weighs all alike.

    start : LabelChannel or None, default=None
        Where to start from, to be done sooner.

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
    learn_rate = noise_rate is None
    rate = 0.1 if learn_rate else float(noise_rate)
    if start is None:
        shares = np.bincount(y, weights=w, minlength=n_classes) + _CLASS_SMOOTHING
        shares /= shares.sum()
    else:
        shares = start.class_shares
        rate = start.noise_rate if learn_rate else rate
    wrong_to = _wrong_labels(proba, confusion, w)[:, y].T
    # Beyond this a label would speak against its own class.
    ceiling = 0.9 * (n_classes - 1) / n_classes
    for _ in range(_MAX_ITER):
        true, right, _ = _posterior(proba * shares, y, wrong_to, rate)
        before, rate_before = shares, rate
        if learn_rate:
            rate = min((np.sum(w * (1 - right)) + 0.5) / (w.sum() + 1), ceiling)
        shares = w @ true + _CLASS_SMOOTHING
        shares /= shares.sum()
        if max(np.abs(shares - before).max(), abs(rate - rate_before)) < _TOLERANCE:
            break
    joint = proba * shares
    joint /= joint.sum(axis=1, keepdims=True)
    true, right, likelihood = _posterior(joint, y, wrong_to, rate)
    likelihood = np.maximum(likelihood, np.finfo(float).tiny)
    rarity = true @ (1 / (n_classes * shares))
    return LabelChannel(np.log(likelihood), float(rate), right, shares, rarity, true)


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
    if noise_rate is not None and not 0 <= noise_rate < 1:
        raise ValueError(f"noise_rate must be in [0, 1) or None, got {noise_rate!r}.")
    check_option("confusion", confusion, CONFUSIONS)


def _wrong_labels(proba, confusion, weight):
    """Probability of each label (column) where the label of a class (row) is wrong."""
    n_classes = proba.shape[1]
    if n_classes == 1:
        return np.zeros((1, 1))
    uniform = np.full((n_classes, n_classes), 1 / (n_classes - 1))
    np.fill_diagonal(uniform, 0)
    if confusion == "uniform":
        return uniform
    similar = (proba.T * weight) @ proba
    np.fill_diagonal(similar, 0)
    similar += 1e-9 * uniform
    similar /= similar.sum(axis=1, keepdims=True)
    return _TO_SIMILAR * similar + (1 - _TO_SIMILAR) * uniform


def _posterior(joint, y, wrong_to, rate):
    """Posterior of the true classes, of the label being right, and the evidence."""
    rows = np.arange(len(y))
    both = joint * wrong_to * rate
    both[rows, y] = joint[rows, y] * (1 - rate)
    evidence = both.sum(axis=1)
    # A sample that nothing explains keeps its label.
    empty = evidence <= 0
    if empty.any():
        both[empty, y[empty]] = 1.0
    true = both / np.where(empty, 1.0, evidence)[:, None]
    return true, true[rows, y], evidence
