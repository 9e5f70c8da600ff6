"""Select labels to drop, without losing a class."""

import warnings

import numpy as np

from cofm_sklearn.utils.labels import check_labels, ravel_labels
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    check_numbers,
)

__all__ = ["find_suspects"]


def find_suspects(y, quality, *, threshold=0.5, min_per_class=1):
    """Find samples whose labels are likely wrong, without losing a class.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Given labels.

    quality : array-like of shape (n_samples,)
        Probability that each label is right, in [0, 1].

    threshold : float, default=0.5
        Labels of a lower quality are suspects; at least 0 and at most 1.

    min_per_class : int, default=1
        Number of best labels of each class that are never suspects, whatever their
        quality; at least 0. A warning says when this protects a label.

    Returns
    -------
    ndarray of shape (n_suspects,), dtype int
        Positions, the worst first.

    Raises
    ------
    ValueError
        If lengths differ, a label is missing, a quality is not in [0, 1], or a
        parameter is out of range.

    Warns
    -----
    UserWarning
        If all labels of a class are suspects and the best are kept.

    Examples
    --------
    >>> from cofm_sklearn.noise import find_suspects
    >>> y = ["ham", "ham", "ham", "spam"]
    >>> find_suspects(y, [0.9, 0.2, 0.1, 0.9])
    array([2, 1])
    """
    y, quality = ravel_labels(y), check_numbers(quality, "quality")
    if quality.shape != y.shape:
        raise ValueError(
            f"quality must hold one number per label, {y.shape}; got {quality.shape}."
        )
    if not np.all((quality >= 0) & (quality <= 1)):
        raise ValueError("quality must be in [0, 1], as label_quality returns it.")
    check_cleaning(threshold, min_per_class)
    if not len(y):
        return np.empty(0, dtype=np.int64)
    y = check_labels(y)
    suspect = quality < threshold
    wanted, counts = np.unique(y[suspect], return_counts=True)
    spared = []
    for label, count in zip(wanted, counts, strict=True):
        members = np.flatnonzero(y == label)
        n_kept = min(min_per_class, len(members))
        if len(members) - count < n_kept:
            best = members[np.argsort(-quality[members], kind="stable")[:n_kept]]
            suspect[best] = False
            spared.append(label)
    if spared:
        names = ", ".join(map(repr, np.asarray(spared).tolist()[:10]))
        more = ", ..." if len(spared) > 10 else ""
        warnings.warn(
            f"(Nearly) all labels of the class {names}{more} look wrong. The best "
            f"{min_per_class} of each class were kept; label more of it, or review "
            "these labels.",
            UserWarning,
            stacklevel=2,
        )
    suspects = np.flatnonzero(suspect)
    return suspects[np.argsort(quality[suspects], kind="stable")]


def check_cleaning(threshold, min_per_class):
    """Raise a ValueError if a parameter is out of range."""
    check_number("threshold", threshold, 0, 1)
    check_integer("min_per_class", min_per_class, 0)
