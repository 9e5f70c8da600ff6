"""Names for samples that depend on nothing but their content."""

import hashlib
import os
from os import PathLike

import numpy as np
from scipy import sparse

from cofm_sklearn.encoders.pictures import as_shown
from cofm_sklearn.utils.validation import n_rows

__all__ = ["ids_of_file", "sample_ids"]

# Rows that are wider are hashed by what is not 0 in them: most of it is.
_WIDE = 4096
_BLOCK = 1024


def sample_ids(X):
    """Name every sample by its content.

    The same sample has the same name wherever it stands in whatever pool, in any
    process; equal samples share one. Numbers are known by their values, however they
    are held: as integers or floats of any width, in a list, an array, a frame or a
    sparse matrix. An image of PIL is known by its pixels as they are shown, a picture
    that is given as a path by this path.

    Parameters
    ----------
    X : array-like of length n_samples
        Texts, numbers (dense or sparse), images, or a data frame.

    Returns
    -------
    list of str of length n_samples
        Each of 32 hexadecimal digits.

    Raises
    ------
    ValueError
        If an image cannot be read.

    TypeError
        If a sample holds an object that is known by its place in memory only.

    Examples
    --------
    >>> from cofm_sklearn.annotation.identity import sample_ids
    >>> a, b, c = sample_ids(["one text", "another", "one text"])
    >>> a == c, a == b, len(a)
    (True, False, 32)
    """
    if hasattr(X, "iloc") and len(X.shape) == 2 and not _is_all_numbers(X):
        columns = [X.iloc[:, j].tolist() for j in range(X.shape[1])]
        return [_digest(b"row", *map(_content, row)) for row in zip(*columns)]
    table = _as_table(X)
    if table is not None:
        return [_digest(*_numbers(row)) for row in _rows(table)]
    if hasattr(X, "iloc"):
        X = X.tolist()
    return [_id_of(X[i]) for i in range(n_rows(X))]


def ids_of_file(X, known):
    """Name every sample as a file does, which may be of an earlier version.

    Earlier versions named some samples in other ways: numbers in lists and of
    integers as they were rounded to float32, rows of sparse matrices apart from those
    of arrays, images without their palette. Where a file knows a sample by such a
    name, it keeps it; where one name stood for several samples, the first one does.

    Parameters
    ----------
    X : array-like of length n_samples

    known : set of str
        Names in the file.

    Returns
    -------
    ids : list of str of length n_samples

    renamed : dict of str to str
        Earlier names by present ones, for those that are kept.
    """
    ids = sample_ids(X)
    missing, renamed = known - set(ids), {}
    if missing:
        for i, names in enumerate(_earlier_ids(X)):
            if ids[i] in known or ids[i] in renamed:
                continue
            for name in missing.intersection(names):
                renamed[ids[i]] = name
                missing.remove(name)
                break
    return [renamed.get(name, name) for name in ids], renamed


def _earlier_ids(X):
    """Yield all names that earlier versions gave to each sample."""
    table = _as_table(X)
    if table is None:
        samples = X.tolist() if hasattr(X, "iloc") and len(X.shape) == 1 else X
        if hasattr(samples, "iloc"):
            return
        for i in range(n_rows(samples)):
            yield _earlier_ids_of(samples[i])
        return
    for row in _rows(table):
        exact = np.asarray(row, dtype="<f8") + 0.0
        with np.errstate(over="ignore"):
            rounded = exact.astype(np.float32).astype("<f8")
        yield {
            *(_digest(b"numbers", values.tobytes()) for values in (exact, rounded)),
            *(_digest(*_nonzero(values)) for values in (exact, rounded)),
        }


def _earlier_ids_of(value):
    if _is_pil(value):
        size = repr(value.size).encode()
        return {_digest(b"image", value.mode.encode(), size, value.tobytes())}
    if isinstance(value, np.ndarray):
        shape = repr(value.shape).encode()
        dtype = value.dtype.str.encode()
        return {_digest(b"array", shape, dtype, value.tobytes())}
    return set()


def _is_all_numbers(frame):
    return all(dtype.kind in "biuf" for dtype in frame.dtypes if hasattr(dtype, "kind"))


def _as_table(X):
    """Return numbers as an array, a CSR matrix or a frame; None if X holds others."""
    if sparse.issparse(X):
        return X.tocsr()
    if hasattr(X, "iloc"):
        return X if len(X.shape) == 2 and _is_all_numbers(X) else None
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and X.ndim == 2:
        return X
    return None


def _rows(table):
    """Yield the rows of a table, each as an array of numbers."""
    if isinstance(table, np.ndarray):
        yield from table
        return
    for start in range(0, table.shape[0], _BLOCK):
        if sparse.issparse(table):
            yield from table[start : start + _BLOCK].toarray()
            continue
        block = table.iloc[start : start + _BLOCK]
        values = block.to_numpy(dtype=np.float64, na_value=np.nan)
        for i, row in enumerate(values):
            if (np.abs(row) >= 2**53).any():  # where float64 has gaps
                cells = [
                    block.iloc[i, j] if value == value else np.nan
                    for j, value in enumerate(row)
                ]
                row = np.array(cells, dtype=object)
            yield row


def _numbers(row):
    """Return kind and content of numbers, which are the same for equal values."""
    # Adding 0.0 turns -0.0 into 0.0.
    values = np.asarray(row, dtype="<f8") + 0.0
    if row.dtype.kind in "iuO" and (np.abs(values) >= 2**53).any():
        exact = [_exact(_plain(value)) for value in row.tolist()]
        if not all(isinstance(value, float) for value in exact):
            return b"exact", repr(exact).encode()
    return _nonzero(values) if len(values) > _WIDE else (b"numbers", values.tobytes())


def _nonzero(values):
    places = np.flatnonzero(values)
    width = str(len(values)).encode()
    return b"sparse", width, places.astype("<i8").tobytes(), values[places].tobytes()


def _exact(value):
    """Return a number as a float, if that is the same number."""
    try:
        number = float(value)
    except OverflowError:
        return value
    return number + 0.0 if number == value or number != number else value


def _id_of(value):
    if sparse.issparse(value):
        return _digest(*_numbers(value.toarray().ravel()))
    if hasattr(value, "to_frame"):  # a row of a frame
        return sample_ids(value.to_frame().T.infer_objects())[0]
    return _digest(*_described(value))


def _is_pil(value):
    return hasattr(value, "tobytes") and hasattr(value, "mode")


def _described(value):
    """Return kind and content of one sample, as bytes."""
    if isinstance(value, str):
        return b"text", value.encode("utf-8", "surrogatepass")
    if isinstance(value, PathLike):
        return b"path", os.fsencode(value)
    if isinstance(value, np.ndarray | list | tuple):
        value = np.asarray(value)
        if value.ndim == 1 and value.dtype.kind in "biuf":
            return _numbers(value)
        if value.size == 1 and value.dtype.kind in "OU":
            return _described(value.ravel()[0])
        shape = repr(value.shape).encode()
        if value.dtype.kind == "O":
            return b"value", _content(value.tolist())
        # Floats by their values, whatever their width and order of bytes.
        value = value.astype("<f8") + 0.0 if value.dtype.kind == "f" else value
        value = value.astype(value.dtype.newbyteorder("<"))
        return b"array", shape, value.dtype.str.encode(), value.tobytes()
    if _is_pil(value):
        value = as_shown(value, "an image")
        return b"image", value.mode.encode(), repr(value.size).encode(), value.tobytes()
    return b"value", _content(value)


def _content(value):
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, np.generic | np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, np.ndarray) or _is_pil(value):
        return _digest(*_described(value)).encode()
    value = _plain(value)
    if isinstance(value, int | float) and value == value:
        value = _exact(value)
    text = repr(value)
    if " at 0x" in text:
        raise TypeError(
            f"X holds an object of type {type(value).__name__} ({text:.60}), which is "
            "not known by its content: in the next process it would be another sample. "
            "Turn it into text, numbers or an image."
        )
    return text.encode("utf-8", "surrogatepass")


def _plain(value):
    """Return a value whose repr is the same in every process."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) or _is_pil(value):
        return _digest(*_described(value))
    if type(value) in (list, tuple):
        return type(value)(_plain(inner) for inner in value)
    if type(value) is dict:
        return {key: _plain(inner) for key, inner in value.items()}
    if isinstance(value, set | frozenset):  # in no order of its own
        return type(value).__name__, sorted(repr(_plain(inner)) for inner in value)
    return value


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        # With lengths, so that no two lists of parts look alike.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
