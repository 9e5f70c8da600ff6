"""Training data of nets: weighted targets, held-out samples, scaled features."""

import numpy as np
from sklearn.model_selection import train_test_split

__all__ = [
    "channels_first",
    "class_weights",
    "fit_scaling",
    "soft_targets",
    "stratified_split",
]


def channels_first(X):
    """Move the channels of ``(n, h, w)`` or ``(n, h, w, c)`` images to the front.

    Images of dtype uint8 are divided by 255.

    Returns
    -------
    ndarray of shape (n_samples, channels, height, width), dtype float32
    """
    if X.dtype == np.uint8:
        X = X / np.float32(255)
    X = X[:, None] if X.ndim == 3 else np.moveaxis(X, -1, 1)
    return np.ascontiguousarray(X, dtype=np.float32)


def class_weights(class_weight, codes, classes, weight):
    """Convert `class_weight` to one factor per class.

    Parameters
    ----------
    class_weight : None, "balanced" or dict
        Factors by label; labels missing from a dict get 1.

    codes : ndarray of shape (n_samples,), dtype int64
        Labels as positions in `classes`.

    classes : ndarray of shape (n_classes,)
        The labels.

    weight : ndarray of shape (n_samples,)
        Sample weights; balanced classes have equal sums of weights.

    Returns
    -------
    ndarray of shape (n_classes,)
        Factors.

    Raises
    ------
    ValueError
        If `class_weight` is invalid, has an unknown label, or a factor is negative.
    """
    if class_weight is None:
        return np.ones(len(classes))
    if isinstance(class_weight, str) and class_weight == "balanced":
        total = np.bincount(codes, weights=weight, minlength=len(classes))
        return total.sum() / np.maximum(total, np.finfo(float).tiny) * (total > 0)
    if not isinstance(class_weight, dict):
        raise ValueError(
            'class_weight must be None, "balanced" or a dict of label -> factor, got '
            f"{class_weight!r}."
        )
    unknown = set(class_weight) - set(classes.tolist())
    if unknown:
        raise ValueError(
            f"class_weight has the unknown label {unknown.pop()!r}. "
            "Add it to `classes`, or leave it out."
        )
    factors = np.array([class_weight.get(label, 1.0) for label in classes.tolist()])
    if not np.all(np.isfinite(factors) & (factors >= 0)):
        raise ValueError(f"class_weight must have factors >= 0, got {class_weight!r}.")
    return factors.astype(float)


def soft_targets(codes, n_classes, weight, label_smoothing=0.0):
    """Combine labels, weights and smoothing into one target matrix.

    All losses here sum target times loss over classes, so a row that is twice as large
    has twice the weight.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        Labels.

    n_classes : int
        Number of columns.

    weight : ndarray of shape (n_samples,)
        Weights, not all 0; only their ratios matter.

    label_smoothing : float, default=0.0
        Share of each target spread over all classes.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), dtype float32
        Rows sum to 1 on average.
    """
    targets = np.full((len(codes), n_classes), label_smoothing / n_classes)
    targets[np.arange(len(codes)), codes] += 1 - label_smoothing
    return (targets * (weight / weight.mean())[:, None]).astype(np.float32)


def stratified_split(codes, share, random_state):
    """Split rows so that each class is on both sides.

    Parameters
    ----------
    codes : ndarray of shape (n_samples,), dtype int64
        Labels.

    share : float
        Share of the rows to hold out.

    random_state : int
        Seed.

    Returns
    -------
    train, valid : ndarray of int
        Positions, sorted.

    None
        If there is no such split: a class has only one member, or `share` of the rows
        is fewer than the number of classes.
    """
    counts = np.unique(codes, return_counts=True)[1]
    n_valid = int(np.ceil(share * len(codes)))
    if counts.min() < 2 or n_valid < len(counts) or len(codes) - n_valid < len(counts):
        return None
    train, valid = train_test_split(
        np.arange(len(codes)),
        test_size=n_valid,
        stratify=codes,
        random_state=random_state,
    )
    both = [len(np.unique(codes[side])) == len(counts) for side in (train, valid)]
    return (np.sort(train), np.sort(valid)) if all(both) else None


def fit_scaling(X, weight):
    """Learn a centre per feature or channel, and one scale for all of them.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features) or (n_samples, channels, ...)
        Samples.

    weight : ndarray of shape (n_samples,)
        Weights, not all 0.

    Returns
    -------
    mean : ndarray that can be subtracted from X, dtype float32

    scale : float
        Root mean square of the centred values; 1 if they are all 0.
    """
    rest = (0, *range(2, X.ndim))
    per_row = X.mean(axis=rest[1:]) if X.ndim > 2 else X
    mean = np.average(per_row, axis=0, weights=weight)
    mean = mean.reshape(-1, *[1] * (X.ndim - 2)).astype(np.float32)
    squares = ((X - mean) ** 2).reshape(len(X), -1).mean(axis=1)
    scale = np.sqrt(np.average(squares, weights=weight))
    return mean, np.float32(scale if scale > 0 else 1)
