"""Pools on this machine, read in blocks."""

import numpy as np
from tqdm.auto import tqdm

from cofm_sklearn.utils.validation import (
    check_pool,
    n_rows,
    take_rows,
)

__all__ = ["BlockPool", "PoolView"]

_BLOCK_BYTES = 2**24
_RAW_BLOCK = 8192


class PoolView:
    """Some rows of an array, selected on access.

    A loop queries the rest of its pool in every round; a view avoids copying it.

    Parameters
    ----------
    X : ndarray of shape (n_samples, d)
        An array, possibly memory-mapped.

    rows : ndarray of shape (n_rows,), dtype int
        Positions in X.
    """

    def __init__(self, X, rows):
        self._X = X
        self._rows = rows
        self.shape = (len(rows), *X.shape[1:])
        self.dtype = X.dtype

    def __len__(self):
        return len(self._rows)

    def __getitem__(self, rows):
        return self._X[self._rows[rows]]

    def __array__(self, dtype=None, copy=None):
        return self[:].astype(dtype or self.dtype, copy=False)


class BlockPool:
    """A pool on this machine.

    Parameters
    ----------
    X : array-like of length n_pool
        Checked texts, images or frames, or numbers that can be sliced.

    name : str
        Name of the argument, used in errors.
    """

    def __init__(self, X, name):
        self._X = X
        self._name = name

    def __len__(self):
        return n_rows(self._X)

    @property
    def shape(self):
        """Shape of a table of numbers; (n_pool,) for other types."""
        shape = getattr(self._X, "shape", (len(self),))
        return shape if len(shape) == 2 else (len(self),)

    def take(self, rows=None):
        """Return checked samples by ascending position; None takes all."""
        return check_pool(
            self._X if rows is None else take_rows(self._X, rows), self._name
        )

    def scan(self, scanner, *, offset=0, verbose=0):
        """Return a scanner's result over all blocks; see `PoolScanner`.

        `offset` is the position of the first row if this is a part of a pool.
        """
        size = scanner.block_size or block_rows(self.shape, scanner.n_columns)
        starts = range(0, len(self), size)
        result = None
        for start in tqdm(starts, desc="Pool", unit="block", disable=verbose <= 0):
            rows = slice(start, min(start + size, len(self)))
            block = check_pool(take_rows(self._X, rows), self._name)
            result = scanner.add(result, block, offset + start)
        return result


def block_rows(shape, n_columns):
    """Return the rows per block that keep it and its predictions near 16 MiB."""
    if len(shape) != 2:
        return _RAW_BLOCK
    per_row = 4 * shape[1] + 24 * n_columns
    return int(np.clip(_BLOCK_BYTES // per_row, 256, 2**16))
