"""Which runs there are, and running those that are missing."""

from joblib import Parallel, delayed, parallel_config
from tqdm.auto import tqdm

from benchmarks.savings.data import DATASETS, make_split, noises_of
from benchmarks.savings.results import ResultsFile, describe_machine
from benchmarks.savings.runs import Run, execute
from benchmarks.savings.strategies import OURS, OURS_ALONE, SLOW_SEEDS, STRATEGIES

__all__ = ["plan", "run_all"]

# The noise under which the useless prior is tried.
SHUFFLED_NOISES = ("0", "0.2")
# Our system is its co-decision; our query alone is judged by the small model only.
_FUSED_EVERY = {OURS: 1, OURS_ALONE: 0}


def plan(*, datasets, noises, strategies, n_seeds, n_rounds, fused_every):
    """List all runs, the first seed first.

    Parameters
    ----------
    datasets, noises, strategies : sequence of str
        What to combine; recorded votes go with the data set that has them.

    n_seeds : int
        Seeds 0, 1, ...; slow strategies have no more than 3.

    n_rounds : int
        Rounds of each run.

    fused_every : int
        The co-decision of the baselines is measured every so many rounds; 0 leaves it
        for later.

    Returns
    -------
    list of Run
    """
    runs = []
    for seed in range(n_seeds):
        for dataset in datasets:
            for noise in [n for n in noises_of(dataset) if n in noises]:
                for name in strategies:
                    if STRATEGIES[name].slow and seed >= SLOW_SEEDS:
                        continue
                    every = _FUSED_EVERY.get(name, fused_every)
                    runs.append(
                        Run(dataset, noise, "described", name, seed, n_rounds, every)
                    )
                if OURS in strategies and noise in SHUFFLED_NOISES:
                    runs.append(
                        Run(dataset, noise, "shuffled", OURS, seed, n_rounds, 1)
                    )
    return runs


def run_all(
    runs, path, *, folder, cache, n_jobs, forget=(), judge_again=False, quiet=False
):
    """Run what the results file does not hold yet.

    Parameters
    ----------
    runs : list of Run
        What should be in the file in the end.

    path : path-like
        The results file.

    folder, cache : str
        Where data and cached embeddings are.

    n_jobs : int
        Processes, of one thread each.

    forget : sequence of str, default=()
        Strategies whose runs are taken out first.

    judge_again : bool, default=False
        Whether to measure our own runs, and the co-decision of all others, anew. What
        the baselines asked for is taken from the file, as it does not change.

    quiet : bool, default=False
        Whether to hide the progress bar.

    Returns
    -------
    int
        How many runs were made.
    """
    results = ResultsFile(path)
    if forget:
        results.forget(forget)
    if judge_again:
        results.forget([OURS, OURS_ALONE])
        results.forget_co_decision()
    done, recorded = results.done(), results.recorded()
    missing = []
    for run in runs:
        key = (run.dataset, run.noise, run.prior, run.strategy, run.seed, run.n_rounds)
        if done.get(key) != run.fused_every:
            missing.append((run, recorded.get(key) if run.strategy != OURS else None))
    describe_machine(path)
    if not missing:
        return 0
    # Loads the foundation model once; the processes find its vectors in the cache.
    for dataset in DATASETS:
        if any(run.dataset == dataset for run, _ in missing):
            make_split(dataset, "0", "described", 0, folder, cache)
    jobs = (
        delayed(_execute)(run, results, folder, cache, rows) for run, rows in missing
    )
    with parallel_config(backend="loky", n_jobs=n_jobs, inner_max_num_threads=1):
        finished = Parallel(return_as="generator")(jobs)
        for _ in tqdm(finished, total=len(missing), unit="run", disable=quiet):
            pass
    return len(missing)


def _execute(run, results, folder, cache, recorded):
    # Written by whoever ran it: nothing finished is lost, whatever process is killed.
    results.append(execute(run, folder, cache, recorded))
