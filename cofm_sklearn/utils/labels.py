"""Check and encode labels; align probability columns with classes."""

from numbers import Real

import numpy as np
import pandas as pd
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from cofm_sklearn.utils.quiet import few_labels_per_class
from cofm_sklearn.utils.texts import is_frame, is_missing
from cofm_sklearn.utils.validation import n_rows

__all__ = [
    "align_proba",
    "check_classes",
    "check_labels",
    "check_targets",
    "columns_by_name",
    "encode_labels",
    "ravel_labels",
]


def ravel_labels(y, name="y", *, warn=False):
    """Return labels as a 1-D array; a single column is flattened.

    Raises
    ------
    ValueError
        If there are several columns, or labels are sequences.
    """
    if not hasattr(y, "iloc"):
        try:
            y = np.asarray(y)
        except ValueError as error:
            raise ValueError(
                f"{name} holds sequences of several lengths; give one label per sample."
            ) from error
    shape = y.shape
    if len(shape) == 2 and shape[1] > 1:
        raise ValueError(
            f"{name} has {shape[1]} columns; several labels per sample (multi-label) "
            "are not supported. Give one label per sample; for one-hot columns, use "
            f"{name}.argmax(axis=1)."
        )
    return column_or_1d(y, warn=warn)


def check_labels(y, name="y", *, warn=False):
    """Return labels as a 1-D array, or raise an error that says what is wrong.

    Parameters
    ----------
    y : array-like of shape (n_samples,)
        Labels: str, int or bool, or whole numbers as float.

    name : str, default="y"
        Name of the argument, used in errors.

    warn : bool, default=False
        Whether to warn about a column vector, as scikit-learn does.

    Returns
    -------
    ndarray of shape (n_samples,)
        The labels; str from pandas have dtype object, numbers their own dtype.

    Raises
    ------
    ValueError
        If there are none, some are missing, or they are not one column.

    TypeError
        If they cannot be sorted, such as a mix of int and str.

    Examples
    --------
    >>> from cofm_sklearn.utils.labels import check_labels
    >>> check_labels(["spam", "ham"])
    array(['spam', 'ham'], dtype='<U4')
    """
    labels = ravel_labels(y, name, warn=warn)
    if not len(labels):
        raise ValueError(f"{name} is empty; give at least one label.")
    if pd.isna(labels).any():
        raise ValueError(f"{name} has missing labels (None or NaN); remove them.")
    if labels.dtype == object and all(isinstance(v, Real | np.bool_) for v in labels):
        # scikit-learn refuses numbers of dtype object, as a mixed frame gives them.
        labels = np.array(labels.tolist())
    try:
        np.unique(labels)
    except TypeError as error:
        raise TypeError(
            f"{name} mixes labels that cannot be sorted; make them all str or all int."
        ) from error
    return labels


def check_targets(X, y):
    """Return validated training labels.

    Raises
    ------
    ValueError
        As in `check_labels`, or if labels are continuous, or X has another length.

    TypeError
        As in `check_labels`.
    """
    y = check_labels(y, warn=True)
    with few_labels_per_class():
        check_classification_targets(y)
    if n_rows(X) != len(y):
        raise ValueError(f"X has {n_rows(X)} samples, but y has {len(y)} labels.")
    return y


def check_classes(classes, y, name="y", *, only_codes=False):
    """Return the sorted classes and the position of each label in them.

    Parameters
    ----------
    classes : array-like of shape (n_classes,) or None
        The full list of classes, without repetition; None takes those in `y`.

    y : ndarray of shape (n_samples,)
        Labels as returned by `check_labels`.

    name : str, default="y"
        Name of the labels, used in errors.

    only_codes : bool, default=False
        Whether classes may be longer than every label, as no label is returned.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        Sorted, of the dtype of `y`; objects instead of text if `only_codes`.

    codes : ndarray of shape (n_samples,) and dtype int
        The position of each label in `classes`.

    Raises
    ------
    ValueError
        If a class is repeated, does not fit the dtype of `y`, or if `y` has a label
        that is not a class.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.utils.labels import check_classes
    >>> check_classes([2, 0, 1], np.array([1, 2, 1]))
    (array([0, 1, 2]), array([1, 2, 1]))
    """
    if only_codes and y.dtype.kind in "SU":
        y = y.astype(object)
    if classes is None:
        return np.unique(y, return_inverse=True)
    given = check_labels(classes, "classes")
    unique = np.unique(given)
    if len(unique) < len(given):
        raise ValueError("classes repeats a class; list each class once.")
    # Assigning a longer str to a fixed-width array would truncate it silently.
    try:
        cast = unique.astype(y.dtype)
    except ValueError:
        cast = unique[:0]
    if cast.tolist() != unique.tolist():
        raise ValueError(
            f"classes do not fit the dtype of {name}, {y.dtype}; give both of one "
            f"type, and {name} with dtype=object or wide enough for the longest."
        )
    return cast, encode_labels(y, cast, name)


def encode_labels(y, classes, name="y", cure="Add it to the classes, or correct it."):
    """Translate labels to positions in `classes`.

    Returns
    -------
    ndarray of shape (n_samples,), dtype int64

    Raises
    ------
    ValueError
        If a label is not among the classes; the label is named.
    """
    labels = ravel_labels(y, name).tolist()
    classes = ravel_labels(classes, "classes").tolist()
    # Python equality, as NumPy would compare numbers with strings as strings.
    position = {label: k for k, label in enumerate(classes)}
    codes = np.array([position.get(label, -1) for label in labels], dtype=np.int64)
    unknown = np.flatnonzero(codes < 0)
    if unknown.size:
        known = ", ".join(repr(c) for c in classes[:10])
        more = ", ..." if len(classes) > 10 else ""
        if is_missing(labels[unknown[0]]):
            cure = "Drop the rows without a label."
        label = repr(labels[unknown[0]])
        if name == "y" and _are_positions(labels, classes):
            raise ValueError(
                f"y holds the unknown label {label}; the classes are {known}{more}. "
                "Give y in these names. If scikit-learn has replaced the labels by "
                "numbers, as ensembles and cross_val_predict do, give the prior the "
                f"numbers 0 to {len(classes) - 1} as classes. (Instead of "
                "cross_val_predict, oof_proba_ of a fitted CoDecisionClassifier will "
                "do.)"
            )
        raise ValueError(
            f"{name} holds the unknown label {label}; the classes are "
            f"{known}{more}. {cure}"
        )
    return codes


def _are_positions(labels, classes):
    """Tell whether labels are positions of classes that are str."""
    numbers = {label for label in labels if type(label) is int}
    return (
        len(numbers) == len(set(labels))
        and numbers <= set(range(len(classes)))
        and all(isinstance(label, str) for label in classes)
    )


def columns_by_name(X, classes):
    """Return the column of each class in a frame that is named by its classes.

    Parameters
    ----------
    X : array-like of shape (n_samples, n_classes)
        Any table; names that pandas has made up do not count.

    classes : array-like of shape (n_classes,)
        The classes. Names are compared as str, as those in a file are str.

    Returns
    -------
    list of int, or None
        None if X has no names, or others than the classes.

    Examples
    --------
    >>> import pandas as pd
    >>> from cofm_sklearn.utils.labels import columns_by_name
    >>> columns_by_name(pd.DataFrame({"spam": [0.1], "ham": [0.9]}), ["ham", "spam"])
    [1, 0]
    """
    if not is_frame(X):
        return None
    made_up = pd.RangeIndex(X.shape[1])
    if isinstance(X.columns, pd.RangeIndex) and X.columns.equals(made_up):
        return None
    names = [str(name) for name in X.columns]
    labels = [str(label) for label in classes]
    same = sorted(names) == sorted(labels)
    return [names.index(label) for label in labels] if same else None


def align_proba(proba, from_classes, to_classes):
    """Put probability columns into the order of `to_classes`; missing ones are 0.

    Raises
    ------
    ValueError
        If `from_classes` has a label that `to_classes` lacks.
    """
    if np.array_equal(from_classes, to_classes):
        return np.asarray(proba)
    aligned = np.zeros((len(proba), len(to_classes)), dtype=np.float64)
    aligned[:, encode_labels(from_classes, to_classes, name="classes_")] = proba
    return aligned
