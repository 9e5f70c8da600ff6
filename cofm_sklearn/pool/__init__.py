"""Unlabelled pools, read in blocks, and their neighbour graph."""

from cofm_sklearn.pool.neighbors import NeighborGraph

__all__ = ["NeighborGraph"]
