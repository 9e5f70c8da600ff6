"""Recognition and validation of image input, without opening a file."""

import sys
from collections.abc import Mapping, Sequence, Set
from os import PathLike

import numpy as np
from scipy import sparse

from cofm_sklearn.utils.texts import first_column, is_frame, is_missing

__all__ = ["check_images", "is_images"]

_ACCEPTED = (
    "a list, object array, Series or one-column frame of file paths, PIL images or "
    "arrays, or one array of shape (n, height, width) or (n, height, width, channels)"
)
_CHANNELS = (1, 3, 4)


def is_images(X):
    """Tell whether the input looks like images; paths given as str do not count.

    Only image encoders read strings as paths; elsewhere they are texts. Numeric
    arrays of 3 or 4 dimensions count as images, and so do lists and object arrays
    whose first element is a PIL image, a path object, or an array of 2 or 3
    dimensions.

    Parameters
    ----------
    X : object
        Any input of an estimator.

    Returns
    -------
    bool
        False for tables of numbers, texts, and frames.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.utils.images import is_images
    >>> pixels = np.zeros((5, 8, 8, 3), dtype=np.uint8)
    >>> is_images(pixels), is_images(list(pixels)), is_images(np.eye(2))
    (True, True, False)
    """
    if isinstance(X, np.ndarray) and X.dtype.kind != "O":
        return X.dtype.kind in "biuf" and X.ndim in (3, 4)
    if is_frame(X) or sparse.issparse(X) or isinstance(X, str | Mapping | Set):
        return False
    if isinstance(X, np.ndarray):
        X = X.ravel() if X.ndim <= 2 else X
    elif hasattr(X, "to_list"):
        X = X.to_list()
    elif not isinstance(X, Sequence):
        return False
    if len(X) == 0:
        return False
    first = X[0]
    if isinstance(first, np.ndarray):
        return first.dtype.kind in "biuf" and first.ndim in (2, 3)
    return isinstance(first, PathLike) or _is_pil(first)


def check_images(X, name="X"):
    """Check that the input consists of images, without opening files.

    Parameters
    ----------
    X : array-like of length n_samples
        An array of shape ``(n, height, width)`` or ``(n, height, width, 1|3|4)``, or
        a list, tuple, object array, Series or one-column frame of file paths, PIL
        images and arrays of shape ``(height, width)`` or ``(height, width, 1|3|4)``.

    name : str, default="X"
        Name of the argument, used in errors.

    Returns
    -------
    ndarray of shape (n_samples, ...), numeric, or (n_samples,), dtype object
        The images.

    Raises
    ------
    ValueError
        If there is no image, one image alone, more than one column, a wrong number
        of channels, or an element is missing. The first bad position is named.

    TypeError
        If an element is not an image, or X cannot hold images.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.utils.images import check_images
    >>> check_images(["cat.jpg", "dog.jpg"])
    array(['cat.jpg', 'dog.jpg'], dtype=object)
    >>> check_images(np.zeros((2, 8, 8, 5), dtype=np.uint8))
    Traceback (most recent call last):
        ...
    ValueError: X has images of shape (8, 8, 5); they must have shape (height, width) \
or (height, width, channels) with 1, 3 or 4 channels, and no side of 0. Put the \
channels last.
    """
    if isinstance(X, np.ndarray) and X.dtype.kind in "biufc":
        if X.ndim in (1, 2):
            raise TypeError(
                f"{name} must be {_ACCEPTED}, got numbers of shape {X.shape}."
            )
        _check_not_empty(len(X) if X.ndim else 1, name)
        _check_shape(X.shape[1:], f"{name} has images")
        return X
    values = _as_list(X, name)
    _check_not_empty(len(values), name)
    images = np.empty(len(values), dtype=object)
    for i, value in enumerate(values):
        images[i] = _check_one(value, f"{name}[{i}]")
    return images


def _check_one(value, where):
    if isinstance(value, np.ndarray):
        _check_shape(value.shape, f"{where} is")
        return value
    if isinstance(value, str | PathLike) or _is_pil(value):
        if value == "":
            raise ValueError(f"{where} is an empty path. Drop it.")
        return value
    if is_missing(value):
        raise ValueError(f"{where} is missing ({value!r}). Drop it.")
    raise TypeError(
        f"{where} must be a path, a PIL image or an array, got {type(value).__name__}."
    )


def _check_shape(shape, what):
    if len(shape) not in (2, 3) or (len(shape) == 3 and shape[2] not in _CHANNELS):
        good = False
    else:
        good = all(shape)
    if not good:
        raise ValueError(
            f"{what} of shape {tuple(shape)}; they must have shape (height, width) or "
            "(height, width, channels) with 1, 3 or 4 channels, and no side of 0. Put "
            "the channels last."
        )


def _check_not_empty(n, name):
    if n == 0:
        raise ValueError(
            f"Found array with 0 sample(s) in {name} while a minimum of 1 is required."
        )


def _as_list(X, name):
    no_array = isinstance(X, np.ndarray) and X.ndim == 0
    if isinstance(X, str | PathLike) or _is_pil(X) or no_array:
        raise ValueError(
            f"{name} must be {_ACCEPTED}, got a single value of type "
            f"{type(X).__name__}. Wrap one image in a list."
        )
    if is_frame(X):
        if X.shape[1] != 1:
            raise ValueError(
                f"{name} must have one column of images, got {X.shape[1]}. Select it, "
                "for example with a ColumnTransformer."
            )
        return first_column(X).to_list()
    if isinstance(X, np.ndarray):
        if X.dtype.kind not in "OUT":
            raise TypeError(f"{name} must be {_ACCEPTED}, got dtype {X.dtype}.")
        if X.ndim == 2 and X.shape[1] == 1:
            X = X[:, 0]
        return list(X)
    if hasattr(X, "to_list"):
        return X.to_list()
    if not isinstance(X, Sequence):
        raise TypeError(
            f"{name} must be {_ACCEPTED}, got {type(X).__name__}. Put the images into "
            "a list."
        )
    return list(X)


def _is_pil(value):
    # Without PIL imported, no value can be a PIL image.
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)
