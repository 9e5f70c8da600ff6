"""Long-tailed and noisily labelled variants of any data."""

from collections.abc import Mapping

import numpy as np
from sklearn.utils import check_array, check_consistent_length, check_random_state

from cofm_sklearn.utils.labels import check_classes, check_labels, encode_labels
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    check_option,
)

__all__ = ["flip_labels", "make_long_tail"]


def make_long_tail(
    y,
    *,
    ratio=50.0,
    max_samples=None,
    order=None,
    min_class_size=2,
    random_state=None,
):
    """Choose samples so that the class sizes fall off in a long tail.

    With the classes ranked from head to tail, the class of rank r out of K keeps
    ``n_max * ratio ** (-r / (K - 1))`` samples, where ``n_max`` is the size of the
    largest class in `y` [1]_. A class that has fewer than that keeps all it has: so
    the ratio is exact for balanced data and a guide otherwise.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: str, int or bool.

    ratio : float or None, default=50.0
        Largest class size divided by the smallest, at least 1. None keeps the sizes
        that are there, for data that is imbalanced by nature.

    max_samples : int or None, default=None
        Upper limit of the samples chosen. All classes shrink by the same factor, so
        that the ratio stays, but none below `min_class_size`: the tail is kept.

    order : array-like of shape (n_classes,) or None, default=None
        All classes from the largest to the smallest. None draws the order.

    min_class_size : int, default=2
        Samples that every class keeps, as far as it has them.

    random_state : int, RandomState instance or None, default=None
        Draws the samples of each class and the order of the classes.

    Returns
    -------
    ndarray of shape (n_chosen,) and dtype int
        Sorted indices into `y`.

    Raises
    ------
    ValueError
        If `y` is empty or has missing labels, a number is out of its range, `order`
        is not a permutation of the classes, or `max_samples` is too small for
        `min_class_size` samples per class.

    Notes
    -----
    With the same integer seed and order, a class keeps a subset of its samples when
    `ratio` grows or `max_samples` falls.

    References
    ----------
    .. [1] Y. Cui, M. Jia, T.-Y. Lin, Y. Song, S. Belongie (2019). Class-Balanced Loss
       Based on Effective Number of Samples. CVPR. (The exponential profile.)

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.datasets import make_long_tail
    >>> y = np.repeat(["a", "b", "c"], 100)
    >>> kept = make_long_tail(y, ratio=25, order=["b", "c", "a"], random_state=0)
    >>> dict(zip(*(part.tolist() for part in np.unique(y[kept], return_counts=True))))
    {'a': 4, 'b': 100, 'c': 20}
    """
    labels = check_labels(y)
    classes, codes = np.unique(labels, return_inverse=True)
    check_number("ratio", ratio, 1, also=(None,))
    check_integer("min_class_size", min_class_size, 1)
    check_integer("max_samples", max_samples, 1, also=(None,))
    rng = check_random_state(random_state)
    shuffled = rng.permutation(len(labels))
    ranking = rng.permutation(len(classes))
    if order is not None:
        ranking = encode_labels(check_labels(order, "order"), classes, "order")
        if sorted(ranking) != list(range(len(classes))):
            raise ValueError(
                f"order must name each class of y once: {classes.tolist()}."
            )
    sizes = _long_tail_sizes(
        np.bincount(codes), ranking, ratio, max_samples, min_class_size
    )
    chosen = [shuffled[codes[shuffled] == k][:size] for k, size in enumerate(sizes)]
    return np.sort(np.concatenate(chosen))


def _long_tail_sizes(counts, ranking, ratio, max_samples, min_class_size):
    """Return how many samples each class keeps, given the class counts."""
    n_classes = len(counts)
    target = counts.astype(float)
    if ratio is not None:
        exponents = np.zeros(n_classes)
        exponents[ranking] = np.arange(n_classes) / max(n_classes - 1, 1)
        target = np.minimum(counts, counts.max() * float(ratio) ** -exponents)
    floor = np.array([min(count, min_class_size) for count in counts.tolist()])

    def sizes_at(scale):
        return np.maximum(floor, np.round(scale * target).astype(int))

    if max_samples is None or sizes_at(1.0).sum() <= max_samples:
        return sizes_at(1.0)
    if floor.sum() > max_samples:
        raise ValueError(
            f"max_samples={max_samples!r} cannot hold min_class_size={min_class_size} "
            f"samples of each of the {n_classes} classes; use at least {floor.sum()}."
        )
    low, high = 0.0, 1.0
    while high - low > 1e-9:
        middle = (low + high) / 2
        if sizes_at(middle).sum() <= max_samples:
            low = middle
        else:
            high = middle
    return sizes_at(low)


def flip_labels(
    y,
    *,
    noise=0.2,
    kind="symmetric",
    classes=None,
    confusion=None,
    X=None,
    random_state=None,
):
    """Replace a part of the labels with wrong ones.

    Each label is replaced with probability `noise`, independently of all others, by
    another class: any other class with the same probability (symmetric), or the one
    class it is most easily mistaken for (asymmetric) [1]_. The replacement always
    differs from the true label, so `noise` is the expected part of wrong labels.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        True labels: str, int or bool.

    noise : float, default=0.2
        Probability that a label is replaced, in [0, 1).

    kind : {"symmetric", "asymmetric"}, default="symmetric"
        How the wrong class is chosen.

    classes : array-like of shape (n_classes,) or None, default=None
        All classes. None takes those in `y`.

    confusion : dict of label to label or None, default=None
        For ``kind="asymmetric"``: the class that each class of `y` is mistaken for.

    X : {array-like, sparse matrix} of shape (n_samples, d) or None, default=None
        Numeric features, such as embeddings. For ``kind="asymmetric"`` without
        `confusion`: a class is mistaken for the class whose mean row has the largest
        cosine similarity to its own (ties: the first in sorted order).

    random_state : int, RandomState instance or None, default=None
        Draws which labels are replaced, and by what.

    Returns
    -------
    ndarray of shape (n_samples,)
        A copy of `y` with wrong labels, of the same dtype.

    Raises
    ------
    ValueError
        If `noise` is out of its range, `kind` is unknown, there is only one class,
        `classes` and `y` do not fit, `confusion` misses a class of `y` or maps a
        class to itself or to no class, or an asymmetric flip has neither `confusion`
        nor `X`.

    TypeError
        If `confusion` is not a dict.

    Notes
    -----
    Two numbers are drawn per sample: the first is compared with `noise`, the second
    picks the class. So with an integer seed and the same classes, what happens to a
    sample depends on its true label and its position alone, and the labels replaced
    at ``noise=0.2`` are also replaced, by the same classes, at ``noise=0.4``.

    References
    ----------
    .. [1] G. Patrini, A. Rozza, A. K. Menon, R. Nock, L. Qu (2017). Making Deep Neural
       Networks Robust to Label Noise: a Loss Correction Approach. CVPR.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.datasets import flip_labels
    >>> y = np.repeat(["cat", "dog", "fox"], 100)
    >>> wrong = flip_labels(y, noise=0.3, random_state=0)
    >>> bool(0.2 < (wrong != y).mean() < 0.4)
    True
    >>> mistaken = {"cat": "dog", "dog": "fox", "fox": "dog"}
    >>> wrong = flip_labels(y, kind="asymmetric", confusion=mistaken, random_state=0)
    >>> print(sorted(set(wrong[y == "cat"].tolist())))
    ['cat', 'dog']
    """
    labels = check_labels(y)
    check_number("noise", noise, 0, 1, closed="left")
    check_option("kind", kind, ("symmetric", "asymmetric"))
    classes, codes = check_classes(classes, labels)
    n_classes = len(classes)
    if n_classes < 2 and noise == 0:
        return labels.copy()
    if n_classes < 2:
        raise ValueError(
            "y has one class only, so no label can be wrong; name all with classes=."
        )
    # Row by row: the draws of a sample do not depend on how many follow it.
    draws = check_random_state(random_state).random_sample((len(labels), 2))
    if kind == "symmetric":
        other = np.floor(draws[:, 1] * (n_classes - 1)).astype(int)
        wrong = other + (other >= codes)
    elif confusion is not None:
        wrong = _confusion_codes(confusion, classes, codes)[codes]
    elif X is not None:
        check_consistent_length(labels, X)
        wrong = _most_similar_class(X, codes, n_classes)[codes]
    else:
        raise ValueError(
            'kind="asymmetric" needs to know which classes are alike: give confusion '
            "(label -> label) or numeric features X."
        )
    return classes[np.where(draws[:, 0] < noise, wrong, codes)]


def _confusion_codes(confusion, classes, codes):
    """Return for each class the code of the class it is mistaken for (-1: unused)."""
    if not isinstance(confusion, Mapping):
        raise TypeError(
            f"confusion must be a dict of label to label, got {confusion!r}."
        )
    labels = classes.tolist()
    position = {label: k for k, label in enumerate(labels)}
    mistaken = np.full(len(classes), -1)
    for k in np.unique(codes):
        label = labels[k]
        if label not in confusion:
            raise ValueError(
                f"confusion has no entry for the class {label!r} of y; add one."
            )
        mistaken[k] = position.get(confusion[label], -1)
        if mistaken[k] in (-1, k):
            raise ValueError(
                f"confusion maps {label!r} to {confusion[label]!r}; it must be another "
                "class, and one of classes."
            )
    return mistaken


def _most_similar_class(X, codes, n_classes):
    """Return for each class the one with the most similar mean row (-1: no rows)."""
    X = check_array(X, accept_sparse="csr")
    counts = np.bincount(codes, minlength=n_classes)
    present = np.flatnonzero(counts)
    if len(present) < 2:
        raise ValueError(
            "X has samples of one class only, so it cannot say which classes are "
            "alike; give confusion instead."
        )
    means = np.vstack([np.asarray(X[codes == k].mean(axis=0)).ravel() for k in present])
    norms = np.linalg.norm(means, axis=1, keepdims=True)
    units = means / np.where(norms > 0, norms, 1)
    similarity = units @ units.T
    np.fill_diagonal(similarity, -np.inf)
    nearest = np.full(n_classes, -1)
    nearest[present] = present[similarity.argmax(axis=1)]
    return nearest
