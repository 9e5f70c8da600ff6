"""Plan all runs, and execute the missing ones."""

import numpy as np
import pandas as pd
from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from benchmarks.savings.data import DATASETS, make_split, noises_of, priors_of
from benchmarks.savings.results import IDENTITY, ResultsFile, describe_machine
from benchmarks.savings.runs import COLUMNS, Run, execute
from benchmarks.savings.strategies import (
    OURS_ALONE,
    PRIOR_ALONE,
    SLOW_SEEDS,
    STRATEGIES,
)

__all__ = ["differing", "plan", "run_all"]


def plan(*, datasets, noises, strategies, n_seeds, n_rounds, fused_every):
    """List all runs, the first seed first.

    Parameters
    ----------
    datasets, noises, strategies : sequence of str
        Values to combine; recorded votes apply only to the data set that has them.

    n_seeds : int
        Number of seeds; a strategy that is slow with many classes has at most 3 there.

    n_rounds : int
        Number of rounds per run.

    fused_every : int
        Measure the co-decision of the baselines every this many rounds; 0 postpones it.

    Returns
    -------
    list of Run
    """
    runs = []
    for seed in range(n_seeds):
        for dataset in datasets:
            kinds = priors_of(dataset)
            runs += [
                Run(dataset, "0", kind, PRIOR_ALONE, seed, n_rounds, 1)
                for kind in kinds
            ]
            for noise in [n for n in noises_of(dataset) if n in noises]:
                for name in strategies:
                    entry = STRATEGIES[name]
                    if entry.slow and dataset == "banking77" and seed >= SLOW_SEEDS:
                        continue
                    # A strategy with its own model is judged by it in every round; our
                    # query alone is judged only by the small model.
                    own = entry.model is not None
                    every = 1 if own else 0 if name == OURS_ALONE else fused_every
                    runs += [
                        Run(dataset, noise, kind, name, seed, n_rounds, every)
                        for kind in (kinds if own else kinds[:1])
                    ]
    return runs


def run_all(
    runs, path, *, folder, cache, n_jobs, forget=(), judge_again=False, quiet=False
):
    """Execute the runs that the results file lacks.

    Parameters
    ----------
    runs : list of Run
        The runs that the file should contain.

    path : path-like
        The results file.

    folder, cache : str
        Folders of data and cached embeddings.

    n_jobs : int
        Number of processes, with one thread each.

    forget : sequence of str, default=()
        Strategies whose runs are removed first.

    judge_again : bool, default=False
        Whether to measure the runs with their own model, and the co-decision of all
        others, again. The queried samples of the others are reused from the file, as
        they do not change.

    quiet : bool, default=False
        Whether to hide the progress bar.

    Returns
    -------
    int
        Number of executed runs.
    """
    results = ResultsFile(path)
    own = [name for name, entry in STRATEGIES.items() if entry.model]
    if forget:
        results.forget(forget)
    if judge_again:
        results.forget([OURS_ALONE, *own])
        results.forget_co_decision()
    done, recorded = results.done(), results.recorded()
    missing = []
    for run in runs:
        key = (run.dataset, run.noise, run.prior, run.strategy, run.seed, run.n_rounds)
        if done.get(key) != run.fused_every:
            missing.append((run, None if run.strategy in own else recorded.get(key)))
    describe_machine(path)
    if not missing:
        return 0
    # Load the foundation model once; the processes use its cached vectors.
    for dataset in DATASETS:
        if any(run.dataset == dataset for run, _ in missing):
            for kind in priors_of(dataset):
                make_split(dataset, "0", kind, 0, folder, cache)
    jobs = (
        delayed(_execute)(run, results, folder, cache, rows) for run, rows in missing
    )
    with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        finished = Parallel(return_as="generator")(jobs)
        for _ in tqdm(finished, total=len(missing), unit="run", disable=quiet):
            pass
    return len(missing)


def differing(table, n, *, folder, cache, quiet=False):
    """Execute finished runs again, and return those that have other figures now.

    Parameters
    ----------
    table : DataFrame
        Finished runs, as `read` returns them.

    n : int
        Number of runs, drawn at random.

    folder, cache, quiet
        As in `run_all`.

    Returns
    -------
    list of Run
    """
    finished = list(table.groupby([*IDENTITY, "n_rounds", "fused_every"], sort=False))
    drawn = np.random.RandomState(0).permutation(len(finished))[:n]
    scores = [name for name in COLUMNS if name.startswith(("small_", "fused_"))]
    found = []
    for k in tqdm(drawn, unit="run", disable=quiet):
        key, before = finished[k]
        after = pd.DataFrame(execute(Run(*key), folder, cache), columns=COLUMNS)
        same = [
            np.array_equal(
                before[scores].astype(float), after[scores].astype(float), True
            ),
            before["asked"].dropna().tolist() == after["asked"].dropna().tolist(),
        ]
        if not all(same):
            found.append(Run(*key))
    return found


def _execute(run, results, folder, cache, recorded):
    # Each worker writes its own runs, so that no finished run is lost if one is killed.
    results.append(execute(run, folder, cache, recorded))
