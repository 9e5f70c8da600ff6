"""Weighted sampling from a pool that is read in blocks."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

__all__ = ["Reservoir", "draw_priorities", "fill_reservoir", "merge_reservoirs"]


@dataclass(frozen=True)
class Reservoir:
    """The samples of highest priority so far.

    Attributes
    ----------
    rows : ndarray of shape (n_kept,), dtype int64
        Positions in the pool, ascending.

    priority : ndarray of shape (n_kept,), dtype float64
        Size divided by a uniform draw.

    size : ndarray of shape (n_kept,), dtype float64
        Sampling odds.

    weight : ndarray of shape (n_kept,), dtype float64
        Weight of each sample.

    X : ndarray or CSR of shape (n_kept, d), dtype float32
        Embeddings, rows of unit L2 norm.
    """

    rows: np.ndarray
    priority: np.ndarray
    size: np.ndarray
    weight: np.ndarray
    X: np.ndarray

    def threshold(self, n):
        """Return the priority that a sample must exceed to be among the n + 1 best."""
        return -np.inf if len(self.rows) <= n else self.priority.min()

    def sample(self, n):
        """Return the n best: rows, the weights they represent, and their embeddings.

        A sample represents its own weight and a share of the samples that were not
        drawn; the sum over any part of the pool is unbiased (priority sampling). If
        there are at most n samples, each represents itself.
        """
        if len(self.rows) <= n:
            return self.rows, self.weight, self.X
        out = self.priority.argmin()
        keep = np.delete(np.arange(len(self.rows)), out)
        size = self.size[keep]
        raised = self.weight[keep] * (np.maximum(size, self.priority[out]) / size)
        return self.rows[keep], raised, self.X[keep]


def draw_priorities(size, start, seed):
    """Return size divided by a uniform draw from seed and position alone.

    Parameters
    ----------
    size : ndarray of shape (n_rows,)
        Sizes, above 0.

    start : int
        Position in the pool of the first row.

    seed : int
        Seed.

    Returns
    -------
    ndarray of shape (n_rows,), dtype float64
        Priorities; a row has the same draw however the pool is split into blocks.
    """
    draws = np.random.Generator(np.random.PCG64(seed).advance(start))
    return size / (1 - draws.random(len(size)))


def fill_reservoir(reservoir, n, start, priority, size, weight, embed):
    """Add the samples of a block to a reservoir of the n + 1 best.

    Parameters
    ----------
    reservoir : Reservoir or None
        None for an empty one.

    n : int
        Number of samples. One more is kept, whose priority is the threshold.

    start : int
        Position in the pool of the block's first row.

    priority, size, weight : ndarray of shape (n_rows,)
        Values of the block's rows.

    embed : callable
        Takes positions in the block and returns their embeddings.

    Returns
    -------
    Reservoir
    """
    keep = np.arange(len(priority))
    if reservoir is not None:
        keep = np.flatnonzero(priority > reservoir.threshold(n))
        if not len(keep):
            return reservoir
    if len(keep) > n + 1:
        keep = np.sort(keep[np.argpartition(-priority[keep], n)[: n + 1]])
    block = Reservoir(
        rows=start + keep,
        priority=priority[keep],
        size=size[keep],
        weight=weight[keep],
        X=embed(keep),
    )
    return block if reservoir is None else merge_reservoirs([reservoir, block], n)


def merge_reservoirs(parts, n):
    """Merge reservoirs of parts of a pool, in any order, into one of the n + 1 best."""
    parts = [part for part in parts if part is not None]
    rows = np.concatenate([part.rows for part in parts])
    priority = np.concatenate([part.priority for part in parts])
    # Ties, which rounding can cause, go to the first row.
    order = np.lexsort((rows, -priority))[: n + 1]
    order = order[np.argsort(rows[order])]
    blocks = [part.X for part in parts]
    if sparse.issparse(blocks[0]):
        X = sparse.vstack(blocks, format="csr")
    else:
        X = np.concatenate(blocks)
    return Reservoir(
        rows=rows[order],
        priority=priority[order],
        size=np.concatenate([part.size for part in parts])[order],
        weight=np.concatenate([part.weight for part in parts])[order],
        X=X[order],
    )
