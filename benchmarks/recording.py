"""Many measurements, each written down as soon as it is made."""

import tempfile
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

__all__ = ["cache_folder", "record"]


def cache_folder(given=None):
    """Return the folder of embeddings: the one that is given, or the usual one."""
    return given or str(Path(tempfile.gettempdir()) / "cofm_sklearn-cache")


def record(measure, todo, path, n_jobs, rows=()):
    """Measure all that is to do, and keep the file of results up to date.

    Parameters
    ----------
    measure : callable
        Returns a list of rows, each a dict.

    todo : list of tuple
        Its arguments.

    path : path-like
        The results, as CSV; written anew after each measurement.

    n_jobs : int
        Processes, of one thread each.

    rows : iterable of dict, default=()
        What stands in the file first.

    Returns
    -------
    DataFrame
        All rows.
    """
    rows = list(rows)
    with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        done = Parallel(return_as="generator")(delayed(measure)(*task) for task in todo)
        for part in tqdm(done, total=len(todo)):
            rows += part
            pd.DataFrame(rows).to_csv(path, index=False)
    return pd.DataFrame(rows)
