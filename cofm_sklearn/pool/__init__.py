"""All that is known of unlabelled samples: pools read in blocks, and neighbours."""

from cofm_sklearn.pool.neighbors import NeighborGraph

__all__ = ["NeighborGraph"]
