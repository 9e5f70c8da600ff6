"""Open pools of any type."""

from scipy import sparse

from cofm_sklearn.pool.blocks import BlockPool
from cofm_sklearn.pool.distributed import DaskPool
from cofm_sklearn.utils.validation import check_not_empty, check_pool, check_raw

__all__ = ["open_pool"]


def open_pool(X, name="X_pool"):
    """Open a pool for reading in blocks, without reading it.

    Parameters
    ----------
    X : array-like of length n_pool
        Numbers that can be sliced (arrays, `numpy.memmap`, Zarr and HDF5 arrays,
        `ParquetEmbeddings`, sparse matrices, frames) and Dask arrays are not copied;
        texts, images and lists are checked and converted at once.

    name : str, default="X_pool"
        Name of the argument, used in errors.

    Returns
    -------
    BlockPool or DaskPool

    Raises
    ------
    ValueError
        If there are no samples, or their number is unknown.
    """
    if type(X).__module__.partition(".")[0] == "dask":
        return DaskPool(X, name)
    check_not_empty(X, name)
    raw = check_raw(X, name)
    if raw is not None:
        return BlockPool(raw, name)
    if sparse.issparse(X):
        return BlockPool(X.tocsr(), name)
    can_be_sliced = hasattr(X, "iloc") or (hasattr(X, "shape") and hasattr(X, "dtype"))
    return BlockPool(X if can_be_sliced else check_pool(X, name), name)
