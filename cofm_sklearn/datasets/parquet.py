"""Embeddings in a Parquet file, read on demand."""

import threading
from types import EllipsisType

import numpy as np

from cofm_sklearn.utils import import_optional

__all__ = ["ParquetEmbeddings"]

_BATCH = 8192


class ParquetEmbeddings:
    """Rows of a Parquet file as an array on disk.

    Query strategies read it in blocks from first row to last. One batch is in memory at
    a time, whatever the size of the file and of its row groups. Rows selected by
    position are read in one pass over their row groups.

    Parameters
    ----------
    path : str or path-like
        The file.

    column : str or None, default=None
        A column of lists of numbers, all of one length, or of numbers. None takes the
        only column of lists of numbers, or else all columns but a pandas index, which
        must be numbers then.

    Attributes
    ----------
    shape : tuple of (int, int)
        Rows and width.

    dtype : dtype
        float32.

    Raises
    ------
    ValueError
        If the file is missing or not Parquet, has no such column, or the column is
        neither numbers nor lists of numbers; when rows are read, if lists differ in
        length or a value is missing.

    ImportError
        If pyarrow is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np, pandas as pd
    >>> from cofm_sklearn.datasets import ParquetEmbeddings
    >>> Z = np.arange(12, dtype=np.float32).reshape(4, 3)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = f"{folder}/pool.parquet"
    ...     pd.DataFrame({"text": list("abcd"), "embedding": list(Z)}).to_parquet(path)
    ...     pool = ParquetEmbeddings(path)
    ...     pool.shape, pool[1:3].tolist()
    ((4, 3), [[3.0, 4.0, 5.0], [6.0, 7.0, 8.0]])
    """

    dtype = np.dtype(np.float32)
    ndim = 2

    def __init__(self, path, column=None):
        self.path = str(path)
        self._arrow = import_optional("pyarrow", needed_by="ParquetEmbeddings")
        self._file = self._open()
        self._columns = self._choose_columns(column)
        metadata = self._file.metadata
        sizes = [metadata.row_group(k).num_rows for k in range(metadata.num_row_groups)]
        self._lock = threading.RLock()
        self._group_starts = np.concatenate([[0], np.cumsum(sizes, dtype=np.int64)])
        self._forget()
        n_rows = metadata.num_rows
        self._width = None  # any, until the first batch tells
        self._width = self._read(0, 1).shape[1] if n_rows else len(self._columns)
        self.shape = (n_rows, self._width)

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, rows):
        if isinstance(rows, tuple):
            # scikit-learn asks for all columns, Dask for blocks.
            rows, columns = (*rows, ...)[:2] if len(rows) in (1, 2) else (None, None)
            if not isinstance(columns, int | np.integer | slice | EllipsisType):
                raise IndexError("Columns must be one position or a slice.")
            found = self[rows]
            return found if columns is ... else found[..., columns]
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                return self._read(start, max(stop, start))
            rows = np.arange(start, stop, step)
        try:
            rows = np.asarray(rows)
        except ValueError:  # lists of different lengths
            rows = np.empty((0, 0))
        if rows.dtype == bool and rows.shape == (len(self),):
            rows = np.flatnonzero(rows)
        if rows.ndim > 1 or (rows.size and rows.dtype.kind not in "iu"):
            raise IndexError(
                "Rows must be a slice, positions, or a mask as long as the file, got "
                f"{rows!r}."
            )
        if rows.ndim == 0:
            return self[rows[None]][0]
        wanted, back = np.unique(rows, return_inverse=True)
        if len(wanted) and (wanted[0] < 0 or wanted[-1] >= len(self)):
            raise IndexError(f"Rows must be from 0 to {len(self) - 1}, got {rows}.")
        found = np.empty((len(wanted), self.shape[1]), dtype=np.float32)
        # Whole runs at a time: the reader only goes forward.
        for first in range(0, len(self), _BATCH):
            here = slice(*np.searchsorted(wanted, [first, first + _BATCH]))
            if here.stop > here.start:
                part = self._read(first, min(first + _BATCH, len(self)))
                found[here] = part[wanted[here] - first]
        return found[back]

    def __array__(self, dtype=None, copy=None):
        return self[:].astype(dtype or self.dtype, copy=False)

    def __reduce__(self):
        column = self._columns[0] if len(self._columns) == 1 else None
        return type(self), (self.path, column)

    def __repr__(self):
        return f"{type(self).__name__}({self.path!r}, shape={self.shape})"

    def _open(self):
        parquet = import_optional("pyarrow.parquet", needed_by="ParquetEmbeddings")
        try:
            return parquet.ParquetFile(self.path)
        except (OSError, self._arrow.ArrowInvalid) as error:
            raise ValueError(
                f"path={self.path!r} cannot be read as Parquet: {error}"
            ) from error

    def _choose_columns(self, column):
        schema, types = self._file.schema_arrow, self._arrow.types

        def is_number(kind):
            tests = types.is_floating, types.is_integer, types.is_decimal
            return any(test(kind) for test in tests)

        def is_list(kind):
            kind = getattr(kind, "storage_type", kind)  # a tensor is stored as a list
            tests = types.is_list, types.is_large_list, types.is_fixed_size_list
            return any(test(kind) for test in tests) and is_number(kind.value_type)

        lists = [field.name for field in schema if is_list(field.type)]
        if column is not None:
            if not isinstance(column, str):
                raise TypeError(f"column must be a str or None, got {column!r}.")
            if column not in schema.names:
                raise ValueError(
                    f"column={column!r} is not in {self.path}, which has "
                    f"{schema.names}."
                )
            kind = schema.types[schema.names.index(column)]
            if not (is_number(kind) or column in lists):
                raise ValueError(
                    f"column={column!r} of {self.path} has the type {kind}; it must be "
                    "numbers or lists of numbers. Convert it, or name another column."
                )
            return [column]
        if len(lists) == 1:
            return lists
        # A pandas index is stored as a column if it is not a range.
        index = (schema.pandas_metadata or {}).get("index_columns", ())
        fields = [field for field in schema if field.name not in index]
        for field in fields:
            if not is_number(field.type):
                raise ValueError(
                    f"{self.path} has the column {field.name!r} of type {field.type}. "
                    "Name the column of embeddings with column=."
                )
        return [field.name for field in fields]

    def _group_of(self, row):
        return int(np.searchsorted(self._group_starts, row, side="right")) - 1

    def _forget(self):
        self._batches, self._at, self._rest = None, -1, None

    def _read(self, start, stop):
        """Continue where the last call ended, or start at a row group."""
        if start >= stop:
            return np.empty((0, self.shape[1]), dtype=np.float32)
        with self._lock:
            return self._continue(start, stop)

    def _continue(self, start, stop):
        group = self._group_of(start)
        if start < self._at or group > self._group_of(self._at) or not self._batches:
            self._batches = self._file.iter_batches(
                batch_size=_BATCH,
                row_groups=range(group, self._file.metadata.num_row_groups),
                columns=self._columns,
            )
            self._at, self._rest = int(self._group_starts[group]), None
        parts = []
        while self._at < stop:
            if self._rest is None:
                self._rest = self._numbers(next(self._batches))
            first = max(start - self._at, 0)
            last = min(stop - self._at, len(self._rest))
            if last > first:
                parts.append(self._rest[first:last])
            if self._at + len(self._rest) > stop:
                # The rest of this batch is for the next call.
                self._rest = self._rest[last:]
                self._at += last
                break
            self._at += len(self._rest)
            self._rest = None
        return np.concatenate(parts)

    def _numbers(self, batch):
        """Convert a batch to rows of numbers."""
        columns = []
        for column in batch.columns:
            column = getattr(column, "storage", column)
            is_list = hasattr(column, "flatten")
            numbers = column.flatten() if is_list else column
            if column.null_count or numbers.null_count:
                self._forget()
                raise ValueError(f"{self.path} has missing values in {self._columns}.")
            widths = {1}
            if is_list:
                widths = {*column.value_lengths().unique().to_pylist()}
                if self._width is not None:
                    # Lists of one length may differ from those of other batches.
                    widths.add(self._width)
            if len(widths) > 1:
                self._forget()
                raise ValueError(
                    f"{self.path} has lists of different lengths in "
                    f"{self._columns[0]!r}; all embeddings must have one width."
                )
            values = numbers.to_numpy(zero_copy_only=False)
            columns.append(values.reshape(len(column), *widths))
        return np.concatenate(columns, axis=1).astype(np.float32, copy=False)
