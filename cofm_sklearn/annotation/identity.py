"""Names for samples that depend on nothing but their content."""

import hashlib
from numbers import Real
from os import PathLike, fspath

import numpy as np
import pandas as pd
from scipy import sparse

from cofm_sklearn.utils.texts import is_missing, is_text
from cofm_sklearn.utils.validation import n_rows

__all__ = ["PoolNames", "sample_ids"]

# What `export` and labels from elsewhere call their columns; all others are content.
_COLUMNS = {"id", "index", "position", "label", "annotator", "time"}


class PoolNames:
    """How the samples of a pool are called, and which of them labels are about.

    Parameters
    ----------
    X : array-like of length n_samples
        The pool as it was given.

    checked : array-like of length n_samples
        The same as `check_pool` returns it.

    said : iterable of str, default=()
        Ids that a file has labels of.

    Attributes
    ----------
    ids : list of str
        The id of each row.

    rows : dict of str to int
        The first row of each id.
    """

    def __init__(self, X, checked, said=()):
        is_pandas = isinstance(X, pd.DataFrame | pd.Series)
        self._index = X.index if is_pandas else None
        self._columns = None
        if isinstance(checked, pd.DataFrame):
            self._columns = list(checked.columns)
        self._text = None  # name of the one column; "" where it has none
        if self._columns is None and is_text(checked):
            name = X.columns[0] if hasattr(X, "columns") else getattr(X, "name", None)
            self._text = name if isinstance(name, str) else ""
        self.ids = sample_ids(checked)
        self._as_said = {}
        unknown = set(said).difference(self.ids)
        if unknown:
            old = sample_ids(checked, as_written=True)
            self._as_said = {
                new: before for new, before in zip(self.ids, old) if before in unknown
            }
            self.ids = [self.known(sample) for sample in self.ids]
        self.rows: dict[str, int] = {}
        for row, sample in enumerate(self.ids):
            self.rows.setdefault(sample, row)

    def known(self, sample):
        """Return an id as the file has it: earlier versions made some differently."""
        try:
            return self._as_said.get(sample, sample)
        except TypeError:  # not even hashable
            return repr(sample)

    def aligned(self, labels):
        """Return the row of each label of a Series; -1 where there is none.

        Raises
        ------
        ValueError
            If their index does not tell which rows they belong to.
        """
        index = pd.RangeIndex(len(self.ids)) if self._index is None else self._index
        if self._index is None and not labels.index.equals(index):
            raise ValueError(
                "labels is a Series, whose index has to name rows of X, but this X has "
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
        """Return the id of the sample that each row of a table is about.

        Raises
        ------
        ValueError
            If nothing says so, or it could mean two things.
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
                'labels must have the columns "label" and "id", "sample" (the text), '
                'or "position" (the row of X, from 0); it has '
                f"{list(frame.columns)}."
            )
        if "id" in frame and "id" not in (self._columns or ()):
            found = [self.known(sample) for sample in frame["id"].tolist()]
            # Another version of this package may have made another id of a sample.
            return [
                b if a not in self.rows and b in self.rows else a
                for a, b in zip(found, found if content is None else content)
            ]
        if content is not None:
            return content
        if "position" in frame:
            return self._at(frame["position"])
        own = self._index
        if own is not None and not own.equals(pd.RangeIndex(len(own))):
            raise ValueError(
                'The column "index" of labels may mean the rows of X or the names in '
                'its index, which are not the same here. Call it "position" if it '
                'counts rows from 0; else give the column "sample" with the texts, or '
                "a Series of labels with the index of X."
            )
        return self._at(frame["index"])

    def _at(self, positions):
        n = len(self.ids)
        return [
            self.ids[int(float(i))]
            if isinstance(i, Real) and float(i) in range(n)
            else f"position {i}"
            for i in positions.tolist()
        ]

    def _content(self, frame):
        """Return ids by the content of a table's rows; None where it has none."""
        if self._columns is not None:
            if not set(self._columns) <= set(frame.columns):
                return None
            return [self.known(i) for i in sample_ids(frame[self._columns])]
        others = [c for c in frame.columns if c not in _COLUMNS]
        if self._text is None or not others:
            return None
        names = [c for c in ("sample", self._text, "text") if c in others]
        if not names:
            names = [c for c in others if is_text(frame[c])]
            if len(names) != 1:
                return None
        texts = frame[names[0]].tolist()
        return [
            self.known(sample_ids([text])[0]) if isinstance(text, str) else repr(text)
            for text in texts
        ]


def sample_ids(X, *, as_written=False):
    """Name every sample by its content.

    The same sample has the same name wherever it stands in whatever pool; equal
    samples share one. Numbers are compared as float64, so the kind of float does not
    matter, nor does the kind of a missing value or of line ends, which files change. A
    picture that is given as a path is known by this path.

    Parameters
    ----------
    X : array-like of length n_samples
        Texts, numbers (dense or sparse), images, or a data frame.

    as_written : bool, default=False
        Whether missing values and line ends count as they are: the names that earlier
        versions gave.

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
            return [
                _digest(b"row", *(_content(value, as_written) for value in row))
                for row in zip(*columns)
            ]
    if hasattr(X, "iloc"):
        X = X.tolist()
    if isinstance(X, np.ndarray) and X.dtype.kind in "biuf" and X.ndim == 2:
        return [_digest(b"numbers", _bytes_of(row)) for row in X]
    return [_digest(*_described(X[i], as_written)) for i in range(n_rows(X))]


def _bytes_of(numbers):
    # Adding 0.0 turns -0.0 into 0.0.
    numbers = np.asarray(numbers, dtype="<f8") + 0.0
    numbers[np.isnan(numbers)] = np.nan  # which has several bit patterns
    return numbers.tobytes()


def _text(value, as_written):
    if "\r" in value and not as_written:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return value.encode()


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


def _described(value, as_written):
    """Return kind and content of one sample, as bytes."""
    if isinstance(value, str):
        return b"text", _text(value, as_written)
    if isinstance(value, PathLike):
        return b"path", fspath(value).encode()
    if isinstance(value, np.ndarray | list | tuple):
        value = np.asarray(value)
        if value.ndim == 1 and value.dtype.kind in "biuf":
            return b"numbers", _bytes_of(value)
        if value.size == 1 and value.dtype.kind in "OU":
            return _described(value.ravel()[0], as_written)
        shape = repr(value.shape).encode()
        return b"array", shape, value.dtype.str.encode(), value.tobytes()
    if hasattr(value, "tobytes") and hasattr(value, "mode"):  # a PIL image
        return b"image", value.mode.encode(), repr(value.size).encode(), value.tobytes()
    return b"value", _content(value, as_written)


def _content(value, as_written):
    if isinstance(value, str):
        return b"s" + _text(value, as_written)
    if is_missing(value) and not as_written:
        return b"nan"
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
