"""Pools on Dask: blocks are read by the workers, which return only candidates."""

import numpy as np
from scipy import sparse

from cofm_sklearn.pool.blocks import BlockPool
from cofm_sklearn.pool.reservoir import merge_reservoirs
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.validation import check_not_empty, check_pool

__all__ = ["DaskPool"]

_MERGED_AT_ONCE = 8


class DaskPool:
    """A pool of embeddings as a Dask array.

    Tasks run on Dask's default scheduler: the active client's cluster, or this machine.
    A block lost with its worker is read again.

    Parameters
    ----------
    X : dask.array.Array of shape (n_pool, d)
        Numbers. Blocks may have any length, including 0.

    name : str
        Name of the argument, used in errors.

    Raises
    ------
    ValueError
        If X is empty or not a table, or the lengths of its blocks are unknown.
    """

    def __init__(self, X, name):
        self._dask = import_optional("dask", needed_by="A pool on Dask")
        if X.ndim != 2:
            raise ValueError(
                f"{name} on Dask must be a table of embeddings, got {X.ndim} "
                "dimensions. Embed raw samples first."
            )
        check_not_empty(X, name)
        self._X = X.rechunk({1: -1})
        self._name = name
        self.shape = X.shape

    def __len__(self):
        return self.shape[0]

    def take(self, rows=None):
        """Return checked samples by ascending position; None takes all."""
        if rows is None:
            return check_pool(self._X.compute(), self._name)
        take = self._dask.delayed(_take)
        parts = [
            take(block, rows[first:last] - start)
            for block, start, first, last in self._blocks(rows)
            if last > first
        ]
        found = self._dask.compute(*parts)
        if sparse.issparse(found[0]):
            return check_pool(sparse.vstack(found, format="csr"), self._name)
        return check_pool(np.concatenate(found), self._name)

    def scan(self, scanner, *, verbose=0):
        """Return a scanner's result over all blocks; see `PoolScanner`.

        With `verbose` above 0, show a progress bar if this machine does the work; a
        cluster has its own dashboard.
        """
        scan, merge = self._dask.delayed(_scan), self._dask.delayed(merge_reservoirs)
        # One object shared by all tasks, not one copy each.
        shared = self._dask.delayed(scanner, traverse=False)
        parts = [
            scan(block, self._name, shared, start)
            for block, start, _, _ in self._blocks(np.empty(0, dtype=np.int64))
        ]
        while len(parts) > 1:
            parts = [
                merge(parts[i : i + _MERGED_AT_ONCE], scanner.n_candidates)
                for i in range(0, len(parts), _MERGED_AT_ONCE)
            ]
        if verbose <= 0:
            return parts[0].compute()
        diagnostics = import_optional("dask.diagnostics", needed_by="verbose=1")
        with diagnostics.ProgressBar():
            return parts[0].compute()

    def _blocks(self, rows):
        """Yield the blocks with any of `rows`, their starts, and those rows."""
        lengths = np.array(self._X.chunks[0])
        ends = np.cumsum(lengths)
        starts = ends - lengths
        first, last = np.searchsorted(rows, starts), np.searchsorted(rows, ends)
        for k, block in enumerate(self._X.to_delayed().ravel()):
            if lengths[k]:
                yield block, int(starts[k]), first[k], last[k]


def _take(block, rows):
    taken = block[rows]
    return taken if sparse.issparse(taken) else np.asarray(taken)


def _scan(block, name, scanner, start):
    return BlockPool(block, name).scan(scanner, offset=start)
