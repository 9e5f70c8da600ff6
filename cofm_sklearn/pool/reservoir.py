"""A weighted sample of a pool that comes in blocks."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

__all__ = ["Reservoir", "draw_priorities", "fill_reservoir", "merge_reservoirs"]


@dataclass(frozen=True)
class Reservoir:
    """Samples of highest priority seen so far.

    Attributes
    ----------
    rows : ndarray of shape (n_kept,), dtype int64
        Positions in the pool, ascending.

    priority : ndarray of shape (n_kept,), dtype float64
        Size over a uniform draw.

    size : ndarray of shape (n_kept,), dtype float64
        What the draw is proportional to.

    weight : ndarray of shape (n_kept,), dtype float64
        What each sample is worth.

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
        """Return the n best: rows, what they stand for, and their embeddings.

        A sample stands for its own weight and for that of the samples that were not
        drawn; the sum over any part of the pool is right in the mean (priority
        sampling). If there are no more than n samples, they stand for themselves.
        """
        if len(self.rows) <= n:
            return self.rows, self.weight, self.X
        out = self.priority.argmin()
        keep = np.delete(np.arange(len(self.rows)), out)
        size = self.size[keep]
        raised = self.weight[keep] * (np.maximum(size, self.priority[out]) / size)
        return self.rows[keep], raised, self.X[keep]


def draw_priorities(size, start, seed):
    """Return size over a uniform draw that depends on seed and position alone.

    Parameters
    ----------
    size : ndarray of shape (n_rows,)
        Above 0.

    start : int
        Position in the pool of the first row.

    seed : int
        Seed.

    Returns
    -------
    ndarray of shape (n_rows,), dtype float64
        However the pool is cut into blocks, each row has the same draw.
    """
    draws = np.random.Generator(np.random.PCG64(seed).advance(start))
    return size / (1 - draws.random(len(size)))


def fill_reservoir(reservoir, n, start, priority, size, weight, embed):
    """Put the samples of a block into a reservoir of the n + 1 best.

    Parameters
    ----------
    reservoir : Reservoir or None
        None stands for an empty one.

    n : int
        Samples wanted. One more is kept, whose priority is the threshold.

    start : int
        Position in the pool of the block's first row.

    priority, size, weight : ndarray of shape (n_rows,)
        Of the block.

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
    # Ties, which rounding can make, go to the first row.
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
