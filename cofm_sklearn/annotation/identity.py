"""Sample ids that depend only on the content."""

import hashlib
import os
from contextlib import suppress
from os import PathLike
from pathlib import Path

import numpy as np
import pandas as pd
from scipy import sparse

from cofm_sklearn.encoders.image_reading import as_shown
from cofm_sklearn.utils.texts import is_missing, is_text
from cofm_sklearn.utils.validation import n_rows

__all__ = ["PoolNames", "are_paths", "ids_of_file", "sample_ids"]

# Column names of `export` and imported labels; all other columns are content.
_COLUMNS = {"id", "index", "position", "label", "annotator", "time"}

# Wider rows are hashed by their nonzero values, as most are 0.
_WIDE = 4096
_BLOCK = 1024


class PoolNames:
    """Ids of the samples of a pool, and lookup of the samples of labels.

    Parameters
    ----------
    X : array-like of length n_samples
        The pool as given.

    checked : array-like of length n_samples
        The pool as returned by `check_pool`.

    said : iterable of str, default=()
        Ids in the file.

    Attributes
    ----------
    ids : list of str
        The id of each row.

    rows : dict of str to int
        The first row of each id.

    table : DataFrame or None
        The pool, if it is a table.

    index : pandas.Index or None
        The index of the pool, if it has one.
    """

    def __init__(self, X, checked, said=()):
        is_pandas = isinstance(X, pd.DataFrame | pd.Series)
        self.index = X.index if is_pandas else None
        self.table = checked if isinstance(checked, pd.DataFrame) else None
        self._text = None  # name of the only column; "" if it has none
        self._are_paths = are_paths(checked)
        if self._are_paths or (self.table is None and is_text(checked)):
            name = X.columns[0] if hasattr(X, "columns") else getattr(X, "name", None)
            self._text = name if isinstance(name, str) else ""
        self.ids, self._as_said = ids_of_file(checked, set(said))
        self.rows: dict[str, int] = {}
        for row, sample in enumerate(self.ids):
            self.rows.setdefault(sample, row)

    def known(self, sample):
        """Return an id as in the file; earlier versions computed some differently."""
        try:
            return self._as_said.get(sample, sample)
        except TypeError:  # not even hashable
            return repr(sample)

    def id_of(self, sample):
        """Return the id of a sample, in the pool or not, as in the file."""
        return self.known(_id_of(sample))

    def id_of_text(self, text):
        """Return the id of the sample that a text in a file stands for."""
        return self.id_of(Path(text) if self._are_paths else text)

    def aligned(self, labels):
        """Return the row of each label of a Series; -1 if there is none.

        Raises
        ------
        ValueError
            If their index does not identify rows.
        """
        index = pd.RangeIndex(len(self.ids)) if self.index is None else self.index
        if self.index is None and not labels.index.equals(index):
            raise ValueError(
                "labels is a Series, whose index must match rows of X, but this X has "
                "no index. Open the session with X as a Series or frame, or give "
                'labels as a frame with the column "sample" or "position".'
            )
        if not index.is_unique:
            raise ValueError(
                "labels is a Series, but the index of X repeats names. Give X another "
                'index, or labels as a frame with the column "sample" or "position".'
            )
        return index.get_indexer(labels.index)

    def find(self, frame):
        """Return the sample id of each row of a table.

        Raises
        ------
        ValueError
            If no column identifies the samples, or a column is ambiguous.
        """
        if not frame.columns.is_unique:
            raise ValueError(
                f"labels has columns of the same name: {list(frame.columns)}. Keep one "
                "of each."
            )
        content = self._content(frame)
        if "label" not in frame or not (
            content is not None or {"id", "position", "index"} & set(frame.columns)
        ):
            raise ValueError(
                'labels must have the columns "label" and "id", "sample" (the text '
                'or path), or "position" (the row of X, from 0); it has '
                f"{list(frame.columns)}."
            )
        # The pool may have a column of this name, which is then part of the content.
        has_own = self.table is not None and "id" in self.table
        if "id" in frame and not (has_own and content is not None):
            found = [self.known(sample) for sample in frame["id"].tolist()]
            is_ours = not has_own or not self.rows.keys().isdisjoint(found)
            if is_ours or "position" not in frame:
                # Another version of this package may have computed another id.
                return [
                    b if a not in self.rows and b in self.rows else a
                    for a, b in zip(found, found if content is None else content)
                ]
        if content is not None:
            return content
        if "position" in frame:
            return self._at(frame["position"])
        own = self.index
        if own is not None and not own.equals(pd.RangeIndex(len(own))):
            raise ValueError(
                'The column "index" of labels may mean the rows of X or the names in '
                'its index, which differ here. Rename it to "position" if it '
                'counts rows from 0; else give the column "sample" with the texts, or '
                "a Series of labels with the index of X."
            )
        return self._at(frame["index"])

    def _at(self, positions):
        numbers = pd.to_numeric(positions, errors="coerce")
        numbers = numbers.to_numpy(float, na_value=np.nan)
        whole = numbers == np.floor(numbers)
        is_row = whole & (numbers >= 0) & (numbers < len(self.ids))
        return [
            self.ids[int(number)] if good else f"position {i}"
            for i, number, good in zip(positions, numbers, is_row)
        ]

    def _content(self, frame):
        """Return ids by the content of a table's rows; None if it has no content."""
        if self.table is not None:
            columns = list(self.table.columns)
            if not set(columns) <= set(frame.columns):
                return None
            return [self.known(i) for i in sample_ids(frame[columns])]
        others = [c for c in frame.columns if c not in _COLUMNS]
        if self._text is None or not others:
            return None
        # Beside paths, other columns of text are notes or captions.
        known = ["sample", self._text] + ["text"] * (not self._are_paths)
        names = [c for c in known if c in others]
        if not names and self._are_paths:
            return None
        if not names:
            names = [c for c in others if is_text(frame[c])]
            if len(names) != 1:
                return None
        kinds = str | PathLike if self._are_paths else str
        return [
            self.id_of_text(text) if isinstance(text, kinds) else repr(text)
            for text in frame[names[0]].tolist()
        ]


def are_paths(X):
    """Tell whether a pool, as returned by `check_pool`, has only path objects."""
    is_array = isinstance(X, np.ndarray) and X.dtype == object
    return is_array and all(isinstance(value, PathLike) for value in X)


def sample_ids(X):
    """Return an id for every sample, based on its content.

    The same sample has the same id anywhere in any pool, in any process; equal samples
    share one. Numbers are identified by value, however they are stored: as integers or
    floats of any width, in a list, an array, a frame or a sparse matrix. The type of a
    missing value makes no difference, nor do line endings, which files change. A PIL
    image is identified by its pixels as displayed, an image given as a path by this
    path.

    Parameters
    ----------
    X : array-like of length n_samples
        Texts, numbers (dense or sparse), images, or a data frame.

    Returns
    -------
    list of str of length n_samples
        Ids of 32 hexadecimal digits.

    Raises
    ------
    ValueError
        If an image cannot be read.

    TypeError
        If a sample has an object that can only be identified by its memory address.

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
    return [_id_of(X[i], f"X[{i}]") for i in range(n_rows(X))]


def ids_of_file(X, known):
    """Return the ids that a file uses, perhaps from an earlier version.

    Earlier versions computed some ids differently: numbers in lists and integers
    rounded to float32, sparse rows different from dense ones, images without their
    palette, texts with their line endings, each type of missing value separately. If a
    file knows a sample by an earlier id, it keeps it; if one id belonged to several
    samples, the first one keeps it.

    Parameters
    ----------
    X : array-like of length n_samples

    known : set of str
        Ids in the file.

    Returns
    -------
    ids : list of str of length n_samples

    renamed : dict of str to str
        Earlier ids by current ones, for those that are kept.
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
    """Yield all ids that earlier versions gave to each sample."""
    table = _as_table(X)
    if table is None:
        if hasattr(X, "iloc") and len(X.shape) == 2:
            columns = [X.iloc[:, j].tolist() for j in range(X.shape[1])]
            for row in zip(*columns):
                yield {_digest(b"row", *map(_earlier_content, row))}
            return
        samples = X.tolist() if hasattr(X, "iloc") else X
        for i in range(n_rows(samples)):
            yield _earlier_ids_of(samples[i])
        return
    for row in _rows(table):
        exact = _floats(row)
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
    if isinstance(value, str):
        return {_digest(b"text", value.encode("utf-8", "surrogatepass"))}
    return set()


def _earlier_content(value):
    if isinstance(value, str):
        return b"s" + value.encode("utf-8", "surrogatepass")
    if isinstance(value, np.generic | np.ndarray) and value.size == 1:
        value = value.item()
    if isinstance(value, int | float) and value == value:
        with suppress(OverflowError):
            value = float(value) + 0.0
    return repr(value).encode("utf-8", "surrogatepass")


def _is_all_numbers(frame):
    return all(dtype.kind in "biuf" for dtype in frame.dtypes if hasattr(dtype, "kind"))


def _as_table(X):
    """Return numbers as an array, a CSR matrix or a frame; None if X is not numeric."""
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
    if sparse.issparse(table):
        # Fewer wide rows at a time, as 1,024 of them may take gigabytes when dense.
        n = max(1, _BLOCK * _WIDE // max(_WIDE, table.shape[1]))
        for start in range(0, table.shape[0], n):
            yield from table[start : start + n].toarray()
        return
    for start in range(0, table.shape[0], _BLOCK):
        block = table.iloc[start : start + _BLOCK]
        values = block.to_numpy(dtype=np.float64, na_value=np.nan)
        for i, row in enumerate(values):
            if (np.abs(row) >= 2**53).any():  # where float64 skips integers
                cells = [
                    block.iloc[i, j] if value == value else np.nan
                    for j, value in enumerate(row)
                ]
                row = np.array(cells, dtype=object)
            yield row


def _numbers(row):
    """Return type and content of numbers, the same for equal values."""
    values = _floats(row)
    if row.dtype.kind in "iuO" and (np.abs(values) >= 2**53).any():
        exact = [_exact(_plain(value)) for value in row.tolist()]
        if not all(isinstance(value, float) for value in exact):
            return b"exact", repr(exact).encode()
    return _nonzero(values) if len(values) > _WIDE else (b"numbers", values.tobytes())


def _floats(row):
    # Adding 0.0 converts -0.0 to 0.0.
    values = np.asarray(row, dtype="<f8") + 0.0
    values[np.isnan(values)] = np.nan  # which has several bit patterns
    return values


def _nonzero(values):
    places = np.flatnonzero(values)
    width = str(len(values)).encode()
    return b"sparse", width, places.astype("<i8").tobytes(), values[places].tobytes()


def _exact(value):
    """Return a number as a float if this is exact."""
    try:
        number = float(value)
    except OverflowError:
        return value
    return number + 0.0 if number == value or number != number else value


def _id_of(value, where="an image"):
    if sparse.issparse(value):
        return _digest(*_numbers(value.toarray().ravel()))
    if hasattr(value, "to_frame"):  # a row of a frame
        return sample_ids(value.to_frame().T.infer_objects())[0]
    return _digest(*_described(value, where))


def _is_pil(value):
    return hasattr(value, "tobytes") and hasattr(value, "mode")


def _described(value, where="an image"):
    """Return type and content of one sample, as bytes."""
    if isinstance(value, str):
        return b"text", _text(value)
    if isinstance(value, PathLike):
        return b"path", os.fsencode(value)
    if isinstance(value, np.ndarray | list | tuple):
        value = np.asarray(value)
        if value.ndim == 1 and value.dtype.kind in "biuf":
            return _numbers(value)
        if value.size == 1 and value.dtype.kind in "OU":
            return _described(value.ravel()[0], where)
        shape = repr(value.shape).encode()
        if value.dtype.kind == "O":
            return b"value", _content(value.tolist())
        # Floats by value, whatever their width and byte order.
        value = value.astype("<f8") + 0.0 if value.dtype.kind == "f" else value
        value = value.astype(value.dtype.newbyteorder("<"))
        return b"array", shape, value.dtype.str.encode(), value.tobytes()
    if _is_pil(value):
        value = as_shown(value, where)
        return b"image", value.mode.encode(), repr(value.size).encode(), value.tobytes()
    return b"value", _content(value)


def _text(value):
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value.encode("utf-8", "surrogatepass")


def _content(value):
    if isinstance(value, str):
        return b"s" + _text(value)
    if is_missing(value):
        return b"nan"
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
            f"X has an object of type {type(value).__name__} ({text:.60}) that "
            "cannot be identified by its content: it would change between processes. "
            "Convert it to text, numbers or an image."
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
    if isinstance(value, set | frozenset):  # unordered
        return type(value).__name__, sorted(repr(_plain(inner)) for inner in value)
    return value


def _digest(*parts):
    digest = hashlib.blake2b(digest_size=16)
    for part in parts:
        # With lengths, so that different lists of parts never look the same.
        digest.update(len(part).to_bytes(8, "little"))
        digest.update(part)
    return digest.hexdigest()
