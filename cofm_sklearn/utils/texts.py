"""Validation of text input."""

from collections.abc import Mapping, Sequence, Set

import numpy as np
from scipy import sparse

__all__ = [
    "check_texts",
    "first_column",
    "is_frame",
    "is_missing",
    "is_text",
    "verbatim",
]

_ACCEPTED = (
    "a list, tuple or array of str, a Series of str, or a data frame with one column"
)


def check_texts(X, name="X", *, allow_empty_strings=True):
    """Check that the input consists of texts, and return them as an array.

    Parameters
    ----------
    X : list, tuple, ndarray, Series or data frame of str, of length n_samples
        Arrays have the shape ``(n_samples,)`` or ``(n_samples, 1)``; series and
        one-column frames come from pandas or polars.

    name : str, default="X"
        Name of the argument, used in errors.

    allow_empty_strings : bool, default=True
        Whether to accept empty strings.

    Returns
    -------
    ndarray of shape (n_samples,), dtype object
        The texts, every element an instance of `str`.

    Raises
    ------
    ValueError
        For a single string, no sample, more than one column, a missing text (None,
        NaN, NaT, NA), a text that cannot be written as UTF-8, or an empty string
        where these are not allowed. The first bad position is named.

    TypeError
        For numbers, sparse matrices, mappings, iterators, and for an element that
        is not a string.

    Examples
    --------
    >>> from cofm_sklearn.utils.texts import check_texts
    >>> check_texts(("a rare class", "a common one"))
    array(['a rare class', 'a common one'], dtype=object)
    >>> check_texts(["a rare class", None])
    Traceback (most recent call last):
        ...
    ValueError: X[1] is missing (None). Drop it or fill it, for example with "".
    """
    values = _as_list(X, name)
    if not values:
        raise ValueError(
            f"Found array with 0 sample(s) in {name} while a minimum of 1 is required."
        )
    texts = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        if type(value) is not str or not value.isascii():
            value = _check_one(value, f"{name}[{i}]")
        if not value and not allow_empty_strings:
            raise ValueError(f"{name}[{i}] is an empty string. Drop it or fill it.")
        texts[i] = value
    return texts


def is_text(X):
    """Tell whether the input looks like text, without checking all of it.

    Use it to choose between raw text and numeric embeddings; `check_texts` validates
    the texts.

    Parameters
    ----------
    X : object
        Any input of an estimator.

    Returns
    -------
    bool
        False for numeric arrays, frames and lists, and for sparse matrices. True if
        the first element that is not missing is a string.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.utils.texts import is_text
    >>> is_text(["one text", "another"]), is_text(np.eye(2)), is_text([None, "text"])
    (True, False, True)
    """
    if isinstance(X, str):
        return True
    if sparse.issparse(X) or X is None:
        return False
    if is_frame(X):
        return X.shape[1] > 0 and is_text(first_column(X))
    if isinstance(X, np.ndarray):
        if X.dtype.kind != "O":
            return X.dtype.kind in "UT"
        X = X.ravel()
    elif isinstance(X, Mapping | Set) or not hasattr(X, "__len__"):
        return False
    for value in X:
        if isinstance(value, list | tuple | np.ndarray):
            return is_text(value)
        if not is_missing(value):
            return isinstance(value, str)
    return False


def _check_one(value, where):
    if is_missing(value):
        raise ValueError(
            f'{where} is missing ({value!r}). Drop it or fill it, for example with "".'
        )
    if not isinstance(value, str):
        raise TypeError(
            f"{where} must be a str, got {type(value).__name__}: {value!r:.60}. "
            "Convert it to text first."
        )
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{where} cannot be written as UTF-8: {error.reason} at character "
            f"{error.start}. Decode the source with the right encoding."
        ) from error
    return str(value)


def _as_list(X, name):
    if isinstance(X, str) or (isinstance(X, np.ndarray) and X.ndim == 0):
        raise ValueError(
            f"{name} must be {_ACCEPTED}, got a single value of type "
            f"{type(X).__name__}. Wrap one text in a list."
        )
    if sparse.issparse(X):
        raise TypeError(f"{name} must be {_ACCEPTED}, got a sparse matrix.")
    if is_frame(X):
        _check_one_column(X.shape[1], name)
        return first_column(X).to_list()
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "OUT":
            raise TypeError(f"{name} must be {_ACCEPTED}, got dtype {X.dtype}.")
        if X.ndim > 1:
            _check_one_column(X.size // max(len(X), 1), name)
        return X.ravel().tolist()
    if hasattr(X, "to_list"):
        return X.to_list()
    if isinstance(X, Mapping | Set) or not (
        isinstance(X, Sequence) or (hasattr(X, "__len__") and hasattr(X, "__iter__"))
    ):
        raise TypeError(
            f"{name} must be {_ACCEPTED}, got {type(X).__name__}. "
            "Put the texts into a list."
        )
    return [_unwrap(value, name) for value in X]


def _unwrap(value, name):
    """Take the text out of a row of one cell, as in ``[["a"], ["b"]]``."""
    if isinstance(value, list | tuple | np.ndarray):
        _check_one_column(np.size(value), name)
        return next(iter(np.ravel(np.asarray(value, dtype=object))))
    return value


def _check_one_column(n_columns, name):
    if n_columns != 1:
        raise ValueError(
            f"{name} must have one column of text, got {n_columns}. "
            "Select the text column, for example with a ColumnTransformer."
        )


def is_frame(X):
    """Tell whether X is a data frame, of pandas, polars or the like."""
    return hasattr(X, "columns") and len(getattr(X, "shape", ())) == 2


def first_column(X):
    """Return the first column of a frame."""
    # By position in pandas, whose column names may repeat.
    return X.iloc[:, 0] if hasattr(X, "iloc") else X[X.columns[0]]


def is_missing(value):
    """Tell whether a value is None, NaN, NaT or NA."""
    if value is None:
        return True
    if isinstance(value, float | np.floating):
        return bool(np.isnan(value))
    # pandas.NA and NaT, without importing pandas; both are singletons of such classes.
    return type(value).__name__ in {"NAType", "NaTType"}


def verbatim(text, width=None):
    """Return a text that Matplotlib draws as it is, not as a formula.

    With a width, it is one line, cut to this number of characters.
    """
    text = str(text)
    if width is not None:
        text = " ".join(text.split())
        text = text if len(text) <= width else f"{text[: width - 3]}..."
    # A legend leaves out labels that begin with "_".
    return (" " * text.startswith("_") + text).replace("$", r"\$")
