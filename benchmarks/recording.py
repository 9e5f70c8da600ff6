"""Run many measurements, and save each result immediately."""

import tempfile
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

__all__ = ["cache_folder", "record"]


def cache_folder(given=None):
    """Return the folder of embeddings: the given one, or the default."""
    return given or str(Path(tempfile.gettempdir()) / "cofm_sklearn-cache")


def record(measure, todo, path, n_jobs, rows=()):
    """Run all measurements, and keep the results file up to date.

    Parameters
    ----------
    measure : callable
        Returns a list of rows, each a dict.

    todo : list of tuple
        Arguments of each call.

    path : path-like
        The results, as CSV; rewritten after each measurement.

    n_jobs : int
        Number of processes, with one thread each.

    rows : iterable of dict, default=()
        Existing rows of the file.

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
