"""Checks and conversions that every part of the package shares."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.exceptions import NotFittedError
from sklearn.preprocessing import normalize
from sklearn.utils import check_array
from sklearn.utils.extmath import row_norms
from sklearn.utils.sparsefuncs import inplace_row_scale
from sklearn.utils.validation import (
    _check_sample_weight,
    check_is_fitted,
    validate_data,
)

from cofm_sklearn.utils.images import check_images, is_images
from cofm_sklearn.utils.texts import check_texts, is_frame, is_text

# Rows of a block of a table.
_BLOCK = 2**15

__all__ = [
    "check_integer",
    "check_n_instances",
    "check_not_empty",
    "check_number",
    "check_numbers",
    "check_option",
    "check_pool",
    "check_proba",
    "check_raw",
    "check_samples",
    "check_unit_embeddings",
    "check_weights",
    "is_finite",
    "is_fitted",
    "is_mixed_frame",
    "is_numeric",
    "n_rows",
    "row_blocks",
    "set_features",
    "stack_rows",
    "table_like",
    "take_rows",
]


def n_rows(X):
    """Count the samples of an array, a sparse matrix, a frame or a list."""
    if hasattr(X, "shape") and len(X.shape):
        if not isinstance(X.shape[0], Integral):
            raise ValueError(
                "The number of samples is not known before they are computed. Call "
                "compute_chunk_sizes() of a Dask array, and "
                "to_dask_array(lengths=True) of a Dask frame, first."
            )
        return X.shape[0]
    return len(X) if hasattr(X, "__len__") else len(np.asarray(X))


def take_rows(X, indices):
    """Select samples by position from any container; a list stays a list."""
    if hasattr(X, "iloc"):
        return X.iloc[indices]
    if isinstance(X, list | tuple):
        return X[indices] if isinstance(indices, slice) else [X[i] for i in indices]
    if sparse.issparse(X):
        return X.tocsr()[indices]
    return X[indices]


def stack_rows(first, second):
    """Put the samples of `second` below those of `first`, in the form of `first`.

    Raises
    ------
    ValueError
        If a column of ordered categories has others in `second`.
    """
    if sparse.issparse(first) or sparse.issparse(second):
        return sparse.vstack([first, second], format="csr")
    second = table_like(first, second)
    if isinstance(first, pd.DataFrame):
        if first.columns.is_unique and {*first.columns} == {*second.columns}:
            second = second[first.columns]
        alike = first.columns.equals(second.columns)
        parts = first.copy(deep=False), second.copy(deep=False)
        united = {}
        for k, dtype in enumerate(first.dtypes if alike else ()):
            other = second.dtypes.iloc[k]
            if isinstance(dtype, pd.CategoricalDtype) and other != dtype:
                united[k] = _unite(first.iloc[:, k], second.iloc[:, k])
                for part in parts:  # pandas 2 warns about others without any value
                    part.isetitem(k, part.iloc[:, k].astype(object))
            elif _is_bool(dtype) and not _is_bool(other):  # else a column of objects
                kind = float if isinstance(dtype, np.dtype) else "Float64"
                parts[0].isetitem(k, first.iloc[:, k].astype(kind))
        both = pd.concat(parts, ignore_index=True)
        for k, column in united.items():
            both.isetitem(k, column)
        return both
    return np.concatenate([first, second])


_is_bool = pd.api.types.is_bool_dtype


def _unite(first, second):
    """Stack two columns of categories, which pandas would turn into other values."""
    known, ordered = first.cat.categories, first.cat.ordered
    below = second.astype("category").cat.categories
    new = below.difference(known, sort=False)
    has_order = isinstance(second.dtype, pd.CategoricalDtype) and len(below)
    if ordered and (has_order or len(new)):
        raise ValueError(
            f"X has other categories in the column {first.name!r} than the samples so "
            "far, and these are ordered. Give all samples one dtype: "
            f"X.astype({{{first.name!r}: pandas.CategoricalDtype(..., ordered=True)}})."
        )
    values = pd.concat([first.astype(object), second.astype(object)])
    return pd.Categorical(values, known.append(new), ordered)


def table_like(form, X):
    """Return a table of numbers as a frame with the columns of `form`, or an array."""
    framed = isinstance(form, pd.DataFrame)
    if framed == isinstance(X, pd.DataFrame) or sparse.issparse(X):
        return X
    if framed:
        return pd.DataFrame(X, columns=form.columns)
    return check_array(X, dtype="numeric", ensure_all_finite=False)


def check_not_empty(X, name="X"):
    """Raise a ValueError if there are no samples."""
    if n_rows(X) == 0:
        # scikit-learn's checks ask for "0 samples".
        raise ValueError(f"{name} is empty: there are no samples (0 samples) to use.")


def check_pool(X, name="X_pool", *, allow_nan=True):
    """Validate a pool of texts, images, numbers or a frame, keeping its kind.

    NaN is allowed by default, as transformers or the model may handle it.

    Returns
    -------
    ndarray of str (dtype object), images as `check_images` returns them, ndarray of \
shape (n_samples, n_features), CSR matrix, or the DataFrame

    Raises
    ------
    ValueError
        If there are no samples, or numbers are infinite or not 2-D.
    """
    check_not_empty(X, name)
    raw = check_raw(X, name)
    if raw is not None:
        return raw
    checked = check_array(
        X,
        accept_sparse="csr",
        # Keep their precision: float32 would round timestamps.
        dtype="numeric",
        ensure_all_finite="allow-nan" if allow_nan else True,
        input_name=name,
    )
    # A model that was fitted with column names expects them again.
    return X if isinstance(X, pd.DataFrame) else checked


def check_samples(estimator, X, *, reset, allow_nan):
    """Validate samples, and learn or check the features of an estimator.

    Returns
    -------
    array-like
        As in `check_raw`, or a table of numbers as ndarray or CSR.

    Raises
    ------
    ValueError, TypeError
        As in `check_raw`, or if numbers are not finite, or X has other features.
    """
    if reset:
        set_features(estimator)  # texts and mixed frames have none
    raw = check_raw(X)
    if raw is not None:
        return raw
    return validate_data(
        estimator,
        X,
        reset=reset,
        accept_sparse="csr",
        # Keep their precision: float32 would round timestamps.
        dtype="numeric",
        ensure_all_finite="allow-nan" if allow_nan else True,
    )


def check_raw(X, name="X"):
    """Validate samples that are not a table of numbers; return None for a table.

    Returns
    -------
    ndarray of str (dtype object), images as `check_images` returns them, DataFrame \
with columns that are not all numeric, or None

    Raises
    ------
    ValueError, TypeError
        If there are no samples, or an element among texts or images is of another kind.
    """
    if is_mixed_frame(X):
        check_not_empty(X, name)
        return X
    if _is_mixed_polars(X):
        raise ValueError(
            f"{name} is a polars frame with columns that are not numbers. Give "
            f"{name}.to_pandas(), with a ColumnTransformer in the pipeline, or one "
            "column of texts."
        )
    if is_images(X):
        return check_images(X, name=name)
    return check_texts(X, name=name) if is_text(X) else None


def is_numeric(X):
    """Tell whether X is a table of numbers, not texts, images or a mixed frame."""
    return not (is_mixed_frame(X) or is_text(X) or is_images(X))


def is_mixed_frame(X):
    """Tell whether X is a DataFrame that is neither all numbers nor one text column.

    Ask this before `is_text`, which looks at the first column only.
    """
    if not isinstance(X, pd.DataFrame):
        return False
    if all(pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes):
        return False
    categories = isinstance(X.dtypes.iloc[0], pd.CategoricalDtype)
    return X.shape[1] > 1 or categories or not is_text(X)


def _is_mixed_polars(X):
    if not is_frame(X) or X.shape[1] < 2 or not isinstance(X.dtypes, list):
        return False
    return not all(dtype.is_numeric() or str(dtype) == "Boolean" for dtype in X.dtypes)


def is_fitted(estimator):
    """Tell whether an estimator is fitted."""
    if hasattr(estimator, "initialized_"):  # a skorch net has it once it is built
        return bool(estimator.initialized_)
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        return False
    except AttributeError:  # a custom class without scikit-learn's tags
        if not hasattr(estimator, "fit"):
            raise
        return any(name.endswith("_") for name in vars(estimator))
    return True


def row_blocks(X):
    """Yield a table of numbers in blocks, as all of it may not fit into memory."""
    for start in range(0, n_rows(X), _BLOCK):
        yield take_rows(X, slice(start, start + _BLOCK))


def is_finite(X):
    """Tell whether all numbers of a table are finite."""
    return all(map(_is_finite, row_blocks(X)))


def _is_finite(X):
    if hasattr(X, "iloc"):
        X = X.to_numpy(dtype=np.float64, na_value=np.nan)
    values = X.data if sparse.issparse(X) else np.asarray(X)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(values.sum()) or np.isfinite(values).all())


def check_unit_embeddings(X, name="X", n_features=None):
    """Validate numbers as embeddings and scale rows to unit L2 norm, in float32.

    Raises
    ------
    ValueError
        If values are not finite, X is not 2-D, or its width is not `n_features`.
    """
    X = check_array(X, accept_sparse="csr", dtype=np.float32, input_name=name)
    if n_features is not None and X.shape[1] != n_features:
        raise ValueError(
            f"{name} has {X.shape[1]} features, but {n_features} are expected. "
            "Use the embeddings of one encoder throughout."
        )
    return normalize(_within_reach(X), copy=True)


def _within_reach(X):
    """Scale rows whose squares are too large or too small for float32."""
    square = row_norms(X, squared=True)
    odd = np.flatnonzero(~((square > 1e-9) & (square < np.inf)))
    if not len(odd):
        return X
    largest = abs(X[odd]).max(axis=1)
    largest = largest.toarray().ravel() if sparse.issparse(largest) else largest
    factor = np.ones(X.shape[0])
    # A power of two, to avoid rounding.
    factor[odd] = np.exp2(-np.frexp(largest.astype(np.float64))[1])
    if sparse.issparse(X):
        X = X.copy()
        inplace_row_scale(X, factor)
        return X
    return (X * factor[:, None]).astype(np.float32)


def check_integer(name, value, low, also=()):
    """Raise a ValueError unless a parameter is an integer of at least `low`.

    `also` lists other allowed values, str or None.
    """
    is_integer = isinstance(value, Integral) and not isinstance(value, bool)
    if not (_is_one_of(value, also) or (is_integer and value >= low)):
        raise ValueError(
            f"{name} must be {_or(also)}an integer of at least {low}, got {value!r}."
        )


def check_number(name, value, low=0, high=np.inf, *, closed="both", also=()):
    """Raise a ValueError unless a parameter is a number in a range.

    Parameters
    ----------
    name : str
        Name of the parameter, for the error.

    value : object
        The parameter.

    low, high : float
        Ends of the range; infinity is never allowed.

    closed : {"both", "left", "right", "neither"}, default="both"
        Ends that belong to the range, as in `pandas.Interval`.

    also : tuple of str or None, default=()
        Other allowed values.
    """
    allowed = pd.Interval(low, high, closed=closed)
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    is_number = is_number and abs(float(value)) < np.inf
    if not (_is_one_of(value, also) or (is_number and float(value) in allowed)):
        raise ValueError(
            f"{name} must be {_or(also)}a number in the range {allowed}, got {value!r}."
        )


def check_option(name, value, options):
    """Raise a ValueError unless a parameter is one of some str (or None)."""
    if not _is_one_of(value, options):
        raise ValueError(f"{name} must be one of {options}, got {value!r}.")


def _is_one_of(value, options):
    # `in` would compare arrays, and frames, element by element.
    return isinstance(value, str | None) and value in options


def _or(options):
    return "".join("None or " if one is None else f'"{one}" or ' for one in options)


def check_numbers(values, name):
    """Return values as a float64 array, whatever its shape.

    Raises
    ------
    ValueError
        If they are not real numbers, or rows differ in length.
    """
    try:
        numbers = np.asarray(values)
        if numbers.dtype.kind not in "cmM":
            return numbers.astype(np.float64)
    except (TypeError, ValueError):
        pass
    raise ValueError(f"{name} must hold real numbers, got {values!r}.")


def check_n_instances(n_instances, n_pool):
    """Validate the number of samples to query from a pool.

    Raises
    ------
    TypeError
        If `n_instances` is not an integer.

    ValueError
        If the pool is empty, or the number is below 1 or above `n_pool`.
    """
    if n_pool == 0:
        raise ValueError("X_pool is empty: there are no samples left to label.")
    if isinstance(n_instances, bool) or not isinstance(n_instances, Integral):
        raise TypeError(f"n_instances must be an integer, got {n_instances!r}.")
    if not 1 <= int(n_instances) <= n_pool:
        raise ValueError(
            f"n_instances must be between 1 and the size of the pool, {n_pool}; "
            f"got {n_instances}."
        )
    return int(n_instances)


def check_proba(proba, n_samples=None, n_classes=None, name="proba", rows=None):
    """Validate class probabilities; returns float64 rows that sum to 1.

    Errors count rows from 0, or use the positions in `rows` (a slice or an array) where
    the probabilities are part of a larger array.

    Raises
    ------
    ValueError
        If the shape is wrong, a value is negative or not finite, or a row does not
        sum to 1 (within 1e-3).
    """
    proba = check_array(proba, dtype=np.float64, input_name=name)
    if n_samples is not None and proba.shape[0] != n_samples:
        raise ValueError(f"{name} has {proba.shape[0]} rows for {n_samples} samples.")
    if n_classes is not None and proba.shape[1] != n_classes:
        raise ValueError(
            f"{name} has {proba.shape[1]} columns for {n_classes} classes. "
            "Give one column per class, in the order of the classes."
        )
    sums = proba.sum(axis=1)
    bad = np.flatnonzero((proba.min(axis=1) < 0) | (np.abs(sums - 1) > 1e-3))
    if bad.size:
        row = bad[0]
        if rows is not None:
            row += rows.start if isinstance(rows, slice) else rows[row] - row
        raise ValueError(
            f"{name} must hold probabilities: row {row} has a negative value or "
            f"sums to {sums[bad[0]]:.4g} instead of 1. Divide each row by its sum."
        )
    return proba / sums[:, None]


def set_features(estimator, source=None):
    """Copy the learned features of another estimator; None clears them."""
    for name in ("n_features_in_", "feature_names_in_"):
        estimator.__dict__.pop(name, None)
        if hasattr(source, name):
            setattr(estimator, name, getattr(source, name))


def check_weights(sample_weight, n_samples):
    """Validate sample weights; None gives equal weights.

    Returns
    -------
    ndarray of shape (n_samples,)

    Raises
    ------
    ValueError
        If lengths differ, a weight is negative or not finite, or all are 0.
    """
    weight = _check_sample_weight(
        sample_weight, np.empty((n_samples, 1)), ensure_non_negative=True
    )
    if not weight.any():
        raise ValueError("sample_weight is zero for all samples; make one positive.")
    return weight
