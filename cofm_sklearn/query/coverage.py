"""Greedy selection of samples that cover the weight of a pool.

Pure functions on arrays with rows of unit L2 norm: NumPy arrays, CSR matrices, or torch
tensors on any device. All functions used here have the same names in NumPy and torch.
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

# Rows and columns per block of the kernel; narrow blocks fit into the CPU cache.
_ROWS, _COLUMNS = 256, 4096
# Up to this many rows, the whole kernel is kept: 64 MiB.
_KEPT = 4096


def to_device(X, device):
    """Move rows to a torch device; None keeps them as they are.

    Parameters
    ----------
    X : ndarray or CSR of shape (n, d), dtype float32
        Rows.

    device : str or None
        A torch device, for example ``"cuda"``, or ``"auto"``.

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
    """Compute the Gaussian kernel of unit rows: ``exp(-|a - b|^2 / (2 width^2))``.

    Parameters
    ----------
    A, B : ndarray, CSR or Tensor of shape (n, d) and (m, d), float32
        Rows of unit L2 norm.

    width : float
        Distance at which the similarity is 0.61, above 0.

    Returns
    -------
    ndarray or Tensor of shape (n, m), dtype float32
    """
    return _to_kernel(_dot(A, B), width)


def covered_by(X, centres, width):
    """Return the coverage of each row: similarity to the nearest centre, 0 to 1.

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
    """Return the products of all pairs of rows, or None if there are too many."""
    if X.shape[0] > _KEPT:
        return None
    # Not X @ X.T: NumPy would compute one half and mirror it, which is slower.
    return _dot(X, X.copy() if _namespace(X) is np else X)


def kernel_width(X, rng, odds=None, *, similar=None, n_samples=512, neighbour=10):
    """Choose a kernel width: a typical distance to close neighbours in the pool.

    Parameters
    ----------
    X : ndarray, CSR or Tensor of shape (n_pool, d), float32
        Rows of unit L2 norm.

    rng : RandomState
        Draws the samples to measure.

    odds : ndarray of shape (n_pool,), default=None
        For a larger pool, sampling odds; None draws uniformly.

    similar : ndarray or Tensor of shape (n_pool, n_pool), default=None
        Result of `similarities`, if available.

    n_samples : int, default=512
        Number of samples whose neighbours are searched among 4 times as many others.

    neighbour : int, default=10
        Rank of the neighbour to use, per 2,048 samples.

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
    """Pick rows one by one, each time the one that adds most weighted coverage.

    Maximises ``sum_j weight[j] * max_i k(i, j)`` over the picked rows i and the
    existing coverage. The objective is submodular, so the greedy choice is within 1 -
    1/e of the best, and each computed gain bounds all later ones: a row is only
    evaluated again when its bound is the highest (lazy greedy).

    Parameters
    ----------
    X : ndarray, CSR or Tensor of shape (n_samples, d), float32
        Rows of unit L2 norm, both the candidates and the rows to cover.

    weight : ndarray of shape (n_samples,)
        Weight of each row, at least 0.

    covered : ndarray of shape (n_samples,)
        Existing coverage, 0 to 1.

    n_instances : int
        Number of rows to pick, at most n_samples.

    width : float
        Kernel width.

    similar : ndarray or Tensor of shape (n_samples, n_samples), default=None
        Result of `similarities`, if available; overwritten.

    Returns
    -------
    picked : ndarray of shape (n_instances,), dtype int64
        Rows in the order they were picked. Ties go to the first row.

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
    # The kernel's rows are used repeatedly, so all of it is kept if it fits.
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
    """Return the module whose functions accept X: torch or NumPy."""
    # Without torch imported, X cannot be a tensor.
    torch = sys.modules.get("torch")
    return torch if torch is not None and isinstance(X, torch.Tensor) else np


def _like(values, X):
    """Return values as float32 on the device of X."""
    xp = _namespace(X)
    if xp is np:
        return np.asarray(values, dtype=np.float32)
    return xp.as_tensor(values, dtype=xp.float32, device=X.device)


def _to_kernel(similar, width):
    """Convert products of unit rows to their kernel, in place."""
    xp = _namespace(similar)
    similar -= 1
    similar *= 1 / max(width**2, 1e-37)  # the limit of float32
    return xp.exp(xp.clip(similar, None, 0, out=similar), out=similar)


def _dot(A, B):
    if _namespace(A) is not np:
        return A @ B.T
    return np.asarray(safe_sparse_dot(A, B.T, dense_output=True), dtype=np.float32)


def _to_numpy(values):
    return values if isinstance(values, np.ndarray) else values.cpu().numpy()
