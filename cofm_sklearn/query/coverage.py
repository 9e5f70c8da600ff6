"""Greedy choice of samples that cover the weight of a pool.

Pure functions on arrays with rows of unit L2 norm: NumPy arrays, CSR matrices, or
tensors of torch on any device. NumPy and torch have what is used here under one name.
"""

import sys

import numpy as np
from sklearn.utils import gen_batches
from sklearn.utils.extmath import safe_sparse_dot

from cofm_sklearn.utils.optional import import_optional, resolve_device

__all__ = [
    "covered_by",
    "gaussian_kernel",
    "greedy_coverage",
    "kernel_width",
    "similarities",
    "to_device",
]

# Rows and columns of the kernel worked on at once; narrow blocks stay in the cache.
_ROWS, _COLUMNS = 256, 4096
# Up to so many rows, all of the kernel is kept: 64 MiB.
_KEPT = 4096


def to_device(X, device):
    """Move rows to a device of torch; None leaves them where they are.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d), dtype float32
        Rows.

    device : str or None
        A device of torch, for example ``"cuda"``, or ``"auto"``.

    Returns
    -------
    ndarray, CSR or torch.Tensor of shape (n, d)

    Raises
    ------
    ValueError
        If torch has no such device.
    """
    if device is None:
        return X
    device = resolve_device(device, f"device={device!r}")
    X = X.toarray() if hasattr(X, "toarray") else X
    return import_optional("torch", needed_by="device").as_tensor(X, device=device)


def gaussian_kernel(A, B, width):
    """Gaussian kernel of unit rows: ``exp(-|a - b|^2 / (2 width^2))``.

    Parameters
    ----------
    A, B : ndarray, CSR or Tensor of shape (n, d) and (m, d), float32
        Rows of unit L2 norm.

    width : float
        Distance at which similarity has fallen to 0.61, above 0.

    Returns
    -------
    ndarray or Tensor of shape (n, m), dtype float32
    """
    return _to_kernel(_dot(A, B), width)


def covered_by(X, centres, width):
    """How well each row is covered: similarity to the nearest centre, 0 to 1.

    Parameters
    ----------
    X : ndarray, CSR or Tensor of shape (n_samples, d), float32
        Rows of unit L2 norm.

    centres : ndarray, CSR or Tensor of shape (n_centres, d), float32
        Rows of unit L2 norm; may be empty.

    width : float
        Kernel width.

    Returns
    -------
    ndarray or Tensor of shape (n_samples,), dtype float32
    """
    if centres.shape[0] == 0:
        return _like(np.zeros(X.shape[0]), X)
    xp = _namespace(X)
    nearest = _like(np.full(X.shape[0], -1.0), X)
    for block in gen_batches(centres.shape[0], _COLUMNS):
        for rows in gen_batches(X.shape[0], _COLUMNS):
            similar = xp.amax(_dot(X[rows], centres[block]), axis=1)
            nearest[rows] = xp.maximum(nearest[rows], similar)
    return _to_kernel(nearest, width)


def similarities(X):
    """Return the products of all rows with each other, or None if they are too many."""
    if X.shape[0] > _KEPT:
        return None
    # Not with itself: NumPy then computes one half and mirrors it, which takes longer.
    return _dot(X, X.copy() if _namespace(X) is np else X)


def kernel_width(X, rng, odds=None, *, similar=None, n_samples=512, neighbour=10):
    """Take a kernel width from the pool: a typical distance to close neighbours.

    Parameters
    ----------
    X : ndarray, CSR or Tensor of shape (n_pool, d), float32
        Rows of unit L2 norm.

    rng : RandomState
        Draws the samples that are measured.

    odds : ndarray of shape (n_pool,), default=None
        From a larger pool, the draw is proportional to these; None draws evenly.

    similar : ndarray or Tensor of shape (n_pool, n_pool), default=None
        What `similarities` made of X, where it is at hand.

    n_samples : int, default=512
        Samples whose neighbours are looked up, among 4 times as many others.

    neighbour : int, default=10
        Which neighbour counts, per 2,048 samples.

    Returns
    -------
    float
        1.05 times the median distance, at least 0.05; 0.3 for fewer than 3 rows.
    """
    n_pool = X.shape[0]
    if n_pool < 3:
        return 0.3
    if odds is None or n_pool <= 4 * n_samples:
        others = rng.permutation(n_pool)[: 4 * n_samples]
    else:
        others = np.argsort(rng.exponential(size=n_pool) / odds)[: 4 * n_samples]
        others = rng.permutation(others)
    some = others[:n_samples]
    if similar is not None and len(others) == n_pool:
        near, own = _to_numpy(similar[some]), some
    else:
        near, own = _to_numpy(_dot(X[some], X[others])), np.arange(len(some))
    np.put_along_axis(near, own[:, None], -1.0, axis=1)
    k = min(max(1, round(neighbour * len(others) / (4 * n_samples))), len(others) - 1)
    nearest = np.partition(near, -k, axis=1)[:, -k]
    distance = np.sqrt(np.maximum(2 - 2 * nearest, 0))
    return max(0.05, 1.05 * float(np.median(distance)))


def greedy_coverage(X, weight, covered, n_instances, width, similar=None):
    """Pick rows one by one, each where it adds most weighted coverage.

    Maximises ``sum_j weight[j] * max_i k(i, j)`` over the picked rows i and what is
    covered already. The objective is submodular, so the greedy choice is within
    1 - 1/e of the best, and a gain once computed bounds all later ones: rows are
    only looked at again when their bound leads (lazy greedy).

    Parameters
    ----------
    X : ndarray, CSR or Tensor of shape (n_samples, d), float32
        Rows of unit L2 norm: the candidates, and what is to be covered.

    weight : ndarray of shape (n_samples,)
        What covering each row is worth, 0 or more.

    covered : ndarray of shape (n_samples,)
        Coverage so far, 0 to 1.

    n_instances : int
        Rows to pick, at most n_samples.

    width : float
        Kernel width.

    similar : ndarray or Tensor of shape (n_samples, n_samples), default=None
        What `similarities` made of X, where it is at hand; used up.

    Returns
    -------
    picked : ndarray of shape (n_instances,), dtype int64
        Rows in the order of picking. Ties go to the first row.

    gains : ndarray of shape (n_samples,), dtype float32
        What each row would have added as the first pick.

    References
    ----------
    Bae, W., Noh, J., Sutherland, D. J. (2024). Generalized Coverage for More Robust
    Low-Budget Active Learning. ECCV.

    Minoux, M. (1978). Accelerated Greedy Algorithms for Maximizing Submodular Set
    Functions. Optimization Techniques.
    """
    xp = _namespace(X)
    weight, covered = _like(weight, X), _like(covered, X)
    n_samples = X.shape[0]
    # Rows of the kernel are looked up again and again, where all of it can be kept.
    kernel = similarities(X) if similar is None else similar
    bound = _like(np.zeros(n_samples), X)
    for rows in gen_batches(n_samples, _ROWS):
        for cols in gen_batches(n_samples, _COLUMNS):
            if kernel is None:
                K = gaussian_kernel(X[rows], X[cols], width)
            else:
                K = _to_kernel(kernel[rows, cols], width)
            added = K - covered[cols]
            bound[rows] += xp.clip(added, 0, None, out=added) @ weight[cols]
    gains = _to_numpy(bound).copy()
    fresh = np.ones(n_samples, dtype=bool)
    picked: list[int] = []
    while len(picked) < n_instances:
        best = int(bound.argmax())
        if kernel is not None:
            similar = kernel[best]
        else:
            similar = gaussian_kernel(X[best : best + 1], X, width)[0]
        if not fresh[best]:
            bound[best] = xp.clip(similar - covered, 0, None) @ weight
            fresh[best] = True
            if bound[best] < bound.max():
                continue
        picked.append(best)
        covered = xp.maximum(covered, similar)
        bound[best] = -np.inf
        fresh[:] = False
    return np.array(picked, dtype=np.int64), gains


def _namespace(X):
    """Return the module whose functions take X: torch or NumPy."""
    # A tensor cannot be there before torch is.
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(X, torch.Tensor) else np


def _like(values, X):
    """Return values as float32 where X is."""
    values = np.asarray(values, dtype=np.float32)
    xp = _namespace(X)
    return values if xp is np else xp.as_tensor(values, device=X.device)


def _to_kernel(similar, width):
    """Turn products of unit rows into their kernel, in place."""
    xp = _namespace(similar)
    similar -= 1
    similar *= 1 / max(width**2, 1e-37)  # as far as float32 goes
    return xp.exp(xp.clip(similar, None, 0, out=similar), out=similar)


def _dot(A, B):
    if _namespace(A) is not np:
        return A @ B.T
    return np.asarray(safe_sparse_dot(A, B.T, dense_output=True), dtype=np.float32)


def _to_numpy(values):
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
