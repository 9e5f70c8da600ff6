"""Names for samples that depend on nothing but their content."""

import hashlib
from os import PathLike, fspath

import numpy as np
from scipy import sparse

from cofm_sklearn.utils.validation import n_rows

__all__ = ["sample_ids"]


def sample_ids(X):
    """Name every sample by its content.

    The same sample has the same name wherever it stands in whatever pool; equal
    samples share one. Numbers are compared as float64, so the kind of float does not
    matter. A picture that is given as a path is known by this path.

    Parameters
    ----------
    X : array-like of length n_samples
        Texts, numbers (dense or sparse), images, or a data frame.

    Returns
    -------
    list of str of length n_samples
        Each of 32 hexadecimal digits.

    Examples
    --------
    >>> from cofm_sklearn.annotation.identity import sample_ids
    >>> a, b, c = sample_ids(["one text", "another", "one text"])
    >>> a == c, a == b, len(a)
    (True, False, 32)
    """
    if sparse.issparse(X):
        return _sparse_ids(X)
    if hasattr(X, "iloc") and len(X.shape) == 2:
        if all(dtype.kind in "biuf" for dtype in X.dtypes if hasattr(dtype, "kind")):
            X = X.to_numpy(dtype=np.float64, na_value=np.nan)
        else:
            columns = [X.iloc[:, j].tolist() for j in range(X.shape[1])]
            return [_digest(b"row", *map(_content, row)) for row in zip(*columns)]
    if hasattr(X, "iloc"):
        X = X.tolist()
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and X.ndim == 2:
        # Adding 0.0 turns -0.0 into 0.0.
        return [
            _digest(b"numbers", (np.asarray(row, dtype="<f8") + 0.0).tobytes())
            for row in X
        ]
    return [_digest(*_described(X[i])) for i in range(n_rows(X))]


def _sparse_ids(X):
    X = X.tocsr().astype("<f8")
    X.sum_duplicates()
    X.eliminate_zeros()
    width = str(X.shape[1]).encode()
    return [
        _digest(
            b"sparse",
            width,
            X.indices[start:stop].astype("<i8").tobytes(),
            X.data[start:stop].tobytes(),
        )
        for start, stop in zip(X.indptr[:-1], X.indptr[1:])
    ]


def _described(value):
    """Return kind and content of one sample, as bytes."""
    if isinstance(value, str):
        return b"text", value.encode()
    if isinstance(value, PathLike):
        return b"path", fspath(value).encode()
    if isinstance(value, np.ndarray | list | tuple):
        value = np.asarray(value)
        if value.ndim == 1 and value.dtype.kind in "biuf":
            return b"numbers", (np.asarray(value, dtype="<f8") + 0.0).tobytes()
        if value.size == 1 and value.dtype.kind in "OU":
            return _described(value.ravel()[0])
        shape = repr(value.shape).encode()
        return b"array", shape, value.dtype.str.encode(), value.tobytes()
    if hasattr(value, "tobytes") and hasattr(value, "mode"):  # a PIL image
        return b"image", value.mode.encode(), repr(value.size).encode(), value.tobytes()
    return b"value", _content(value)


def _content(value):
    if isinstance(value, str):
        return b"s" + value.encode()
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, int | float) and value == value:
        value = float(value) + 0.0
    return repr(value).encode()


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        # With lengths, so that no two lists of parts look alike.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
