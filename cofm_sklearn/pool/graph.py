"""Label spreading over a nearest-neighbour graph: pure functions on arrays."""

import numpy as np
import pandas as pd
from scipy import sparse

__all__ = [
    "distinct_rows",
    "join_rows",
    "kernel_affinity",
    "morans_i",
    "nearest_by_class",
    "spread",
]

_N_ITER = 40


def distinct_rows(Z):
    """Find the distinct rows, up to rounding.

    Parameters
    ----------
    Z : ndarray or CSR of shape (n_samples, d), dtype float32
        Embeddings, rows of unit L2 norm.

    Returns
    -------
    ndarray of shape (n_distinct,), dtype int64
        Positions of the first row of each kind, ascending.
    """
    if sparse.issparse(Z):
        Z = Z.tocsr()
        Z.sort_indices()
        ends = zip(Z.indptr, Z.indptr[1:])
        keys = [_key(Z.data[a:b]) + Z.indices[a:b].tobytes() for a, b in ends]
    else:
        keys = [_key(row) for row in Z]
    codes, _ = pd.factorize(np.array(keys, dtype=object))
    return np.unique(codes, return_index=True)[1].astype(np.int64)


def _key(values):
    # Equal samples embedded in different batches differ in the last digits.
    return (np.round(values, 5) + 0.0).tobytes()


def nearest_by_class(candidates, proba, node_proba, attention, n_neighbors):
    """Choose neighbours among candidates by embedding and class probabilities.

    A sample is represented by the row ``[z, attention * sqrt(proba)]``, scaled to unit
    norm: embedding and classes side by side.

    Parameters
    ----------
    candidates : tuple of two ndarray of shape (n_samples, n_candidates)
        Distances and positions of the nodes nearest to each sample, by embeddings z of
        unit L2 norm, ascending.

    proba, node_proba : ndarray of shape (n_samples, n_classes), (n_nodes, n_classes)
        Class probabilities of samples and nodes.

    attention : float
        Influence of the classes, at least 0; with 0, only the embedding counts.

    n_neighbors : int
        Number of neighbours to choose, at most n_candidates.

    Returns
    -------
    distances, indices : ndarray of shape (n_samples, n_neighbors)
        The nearest rows, ascending.
    """
    distances, indices = candidates
    if not attention:
        return distances[:, :n_neighbors], indices[:, :n_neighbors]
    own = np.sqrt(proba, dtype=np.float32)
    of_nodes = np.ascontiguousarray(np.sqrt(node_proba, dtype=np.float32).T)
    alike = np.zeros(indices.shape, dtype=np.float32)
    for k, root in enumerate(of_nodes):  # no array of samples x candidates x classes
        alike += own[:, k, None] * root[indices]
    share = attention**2
    # Half the squared distance is 1 minus the cosine.
    half = (distances**2 / 2 + share * np.maximum(1 - alike, 0)) / (1 + share)
    order = np.argsort(half, axis=1, kind="stable")[:, :n_neighbors]
    nearest = np.take_along_axis(half, order, axis=1)
    return np.sqrt(2 * nearest), np.take_along_axis(indices, order, axis=1)


def kernel_affinity(near, scale, n_nodes):
    """Convert distances to nearest neighbours to affinities.

    Parameters
    ----------
    near : tuple of two ndarray of shape (n_samples, n_neighbors)
        Distances and positions of each sample's neighbours among the nodes.

    scale : float
        Distance at which the affinity is exp(-2), above 0.

    n_nodes : int
        Number of nodes of the graph.

    Returns
    -------
    csr_array of shape (n_samples, n_nodes), dtype float32
        ``exp(-2 (distance / scale)^2)`` for the neighbours.
    """
    distances, indices = near
    weight = np.exp(-2 * (distances.astype(np.float64) / scale) ** 2)
    starts = np.arange(len(indices) + 1) * indices.shape[1]
    shape = (len(indices), n_nodes)
    values = (weight.astype(np.float32).ravel(), indices.ravel(), starts)
    return sparse.csr_array(values, shape=shape)


def join_rows(affinity, rows):
    """Add nodes to a symmetric graph, linked to its old nodes only.

    Parameters
    ----------
    affinity : csr_array of shape (n_nodes, n_nodes)
    rows : csr_array of shape (n_new, n_nodes)
        Affinities of the new nodes.

    Returns
    -------
    csr_array of shape (n_nodes + n_new, n_nodes + n_new)
    """
    if not rows.shape[0]:
        return affinity
    return sparse.block_array([[affinity, rows.T], [rows, None]], format="csr")


def spread(affinity, seeds, alpha=0.9):
    """Spread values of some nodes over the graph to similar nodes.

    In each round, a node takes the share `alpha` from its neighbours and the rest from
    its own seed.

    Parameters
    ----------
    affinity : csr_array of shape (n_nodes, n_nodes)
        Symmetric, values of at least 0.

    seeds : ndarray of shape (n_nodes, n_columns)
        Initial value of each node.

    alpha : float, default=0.9
        In [0, 1); 0 keeps the seeds.

    Returns
    -------
    spread : ndarray of shape (n_nodes, n_columns)
        Close to ``(1 - alpha) (I - alpha S)^-1 seeds`` with S the affinity divided by
        the square roots of both degrees.

    root_degree : ndarray of shape (n_nodes,)
        Square roots of the degrees; 1 for a node without neighbours.

    References
    ----------
    Zhou, D. et al. (2004). Learning with Local and Global Consistency. NIPS 16.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> from cofm_sklearn.pool.graph import spread
    >>> chain = csr_array(np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0.0]]))
    >>> spread(chain, np.array([[1.0], [0], [0]]), alpha=0.5)[0].round(2)
    array([[0.58],
           [0.24],
           [0.08]])
    """
    degree = np.asarray(affinity.sum(axis=1)).ravel()
    root = np.sqrt(np.where(degree > 0, degree, 1.0)).astype(seeds.dtype)
    scaled = sparse.diags_array(1 / root)
    S = (scaled @ affinity @ scaled).astype(seeds.dtype)
    own = (1 - alpha) * seeds
    result = seeds
    for _ in range(_N_ITER):
        result = alpha * (S @ result) + own
    return result, root


def morans_i(indices, values):
    """Compute Moran's I, the spatial autocorrelation of values on the graph.

    Parameters
    ----------
    indices : ndarray of shape (n_nodes, n_neighbors), dtype int
        Neighbours of each node, all of the same weight.

    values : ndarray of shape (n_nodes, n_columns)
        One or several values per node.

    Returns
    -------
    float
        The slope of neighbours' values on a node's own: about 1 if neighbours have the
        same values, 0 if they are no more similar than any two nodes, or if all values
        are the same.

    References
    ----------
    Moran, P. A. P. (1950). Notes on Continuous Stochastic Phenomena. Biometrika 37.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.pool.graph import morans_i
    >>> pairs = np.array([[1], [0], [3], [2]])
    >>> morans_i(pairs, np.array([[1.0], [1], [-1], [-1]]))
    1.0
    """
    centred = values - values.mean(axis=0)
    total = np.sum(centred**2)
    if not indices.size or total <= 1e-12 * max(np.sum(values**2), 1e-300):
        return 0.0
    around = sum(centred[column] for column in indices.T) / indices.shape[1]
    return float(np.sum(centred * around) / total)
