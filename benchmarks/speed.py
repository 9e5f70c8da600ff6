"""Time and memory of a query, compared with other strategies.

    python -m benchmarks.speed

All in one run, on the same pools and with the same fitted model: our query, modAL's
margin and ranked batch, the batch strategies of scikit-activeml, and two floors: one
read of the pool with one matrix product, and one `predict_proba` of the model. Pools
are memory-mapped; each measurement has its own process, and reports the shortest of its
repetitions, after a first one for memory. Writes
benchmarks/results/speed.csv, speed.md and speed.png.

Memory is the growth of a process during the query, without memory-mapped files.
"""

import argparse
import json
import multiprocessing
import resource
import tempfile
import threading
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter, sleep

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from tqdm.auto import tqdm

from benchmarks.speed_report import draw, report

RESULTS = Path(__file__).parent / "results"
N_LABELED = 500
# Minimal number of repetitions; fast queries get more.
REPEATS, ENOUGH_S, MOST_REPEATS = 5, 2.0, 30
MEMORY_LIMIT = 12 * 2**30

OURS = "CoDecisionQuery"
FLOORS = ("read and multiply", "predict_proba")
# Strategies that finish at 10,000 rows run at 100,000; linear ones at 1,000,000.
LINEAR = (*FLOORS, "modAL margin", OURS)
SKACTIVEML = (
    *("Badge", "TypiClust", "ProbCover", "MaxHerding"),
    *("CoreSet", "Clue", "DropQuery", "Falcun"),
)
PEERS = ("modAL ranked batch", *SKACTIVEML)


@dataclass(frozen=True)
class Setting:
    """One measurement."""

    strategy: str
    n_pool: int
    width: int = 384
    n_classes: int = 10
    batch: int = 100


def settings(sizes):
    """Yield measurements, the cheap ones first."""
    for n_pool in sizes:
        for strategy in (*LINEAR, *(PEERS if n_pool <= 100_000 else ())):
            yield Setting(strategy, n_pool)
    for n_pool in sizes[1:]:
        for changed in ({"n_classes": 100}, {"width": 768}, {"batch": 1000}):
            for strategy in LINEAR:
                yield Setting(strategy, n_pool, **changed)


def make_pool(folder, n_rows, width):
    """Write unit rows around 100 centres; return the path."""
    path = folder / f"pool-{n_rows}-{width}.npy"
    if not path.exists():
        rng = np.random.default_rng(0)
        centres = rng.normal(size=(100, width)).astype(np.float32)
        part = np.lib.format.open_memmap(path, "w+", np.float32, (n_rows, width))
        for start in range(0, n_rows, 50_000):
            n = min(50_000, n_rows - start)
            Z = rng.normal(size=(n, width)).astype(np.float32)
            Z += 0.6 * centres[rng.integers(100, size=n)]
            part[start : start + n] = Z / np.linalg.norm(Z, axis=1, keepdims=True)
        part.flush()
    return path


def make_learner(X, n_classes):
    """Train on the first rows; the label is the nearest of `n_classes` directions."""
    from cofm_sklearn import Learner

    rng = np.random.default_rng(1)
    directions = rng.normal(size=(X.shape[1], n_classes)).astype(np.float32)
    rows = np.array(X[:N_LABELED])
    y = (rows @ directions).argmax(axis=1)
    return Learner(LogisticRegression(C=10.0, max_iter=200)).fit(rows, y)


def make_query(setting):
    """Return a function (learner, pool) that queries a batch."""
    name, n = setting.strategy, setting.batch
    if name == "read and multiply":
        return lambda learner, X: X @ learner.estimator.coef_.T
    if name == "predict_proba":
        return lambda learner, X: learner.predict_proba(X)
    if name == OURS:
        from cofm_sklearn import CoDecisionQuery

        strategy = CoDecisionQuery(random_state=0)
    elif name == "modAL margin":
        from modAL.uncertainty import margin_sampling as strategy
    elif name == "modAL ranked batch":
        from modAL.batch import uncertainty_batch_sampling as strategy
    else:
        import skactiveml.pool

        from cofm_sklearn.query import SkactivemlQuery

        given = {"n_classes": setting.n_classes} if name == "ProbCover" else {}
        strategy = SkactivemlQuery(
            getattr(skactiveml.pool, name)(**given), random_state=0
        )
    return lambda learner, X: strategy(learner, X, n_instances=n)


def anonymous_bytes():
    """Return this process's memory without memory-mapped files."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("RssAnon"):
                return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def measure(setting, path, connection):
    """Send the seconds of each repetition, and the peak memory."""
    warnings.simplefilter("ignore")
    import cofm_sklearn  # noqa: F401  repairs modAL

    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_LIMIT, MEMORY_LIMIT))
    X = np.load(path, mmap_mode="r")
    if setting.n_pool < len(X):
        X = X[: setting.n_pool]
    learner = make_learner(X, setting.n_classes)
    query = make_query(setting)
    result = {}
    try:
        # Memory first, then time, as watching memory takes time.
        result["bytes"] = peak_of(lambda: query(learner, X))
        spent = []
        while len(spent) < REPEATS or (
            sum(spent) < ENOUGH_S and len(spent) < MOST_REPEATS
        ):
            start = perf_counter()
            query(learner, X)
            spent.append(perf_counter() - start)
            connection.send(result | {"seconds": min(spent)})
    except MemoryError:
        connection.send({"failed": "out of memory"})
    except Exception as error:  # noqa: BLE001  whatever a peer raises is its result
        connection.send({"failed": f"{type(error).__name__}: {str(error)[:80]}"})


def peak_of(function):
    """Return how much more memory this process held while a function ran."""
    before, peak, done = anonymous_bytes(), 0, threading.Event()

    def watch():
        nonlocal peak
        while not done.is_set():
            peak = max(peak, anonymous_bytes())
            sleep(0.002)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        function()
    finally:
        done.set()
        watcher.join()
    return peak - before


def run(setting, path, limit_s):
    """Measure in a separate process; record a time-out as such."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(target=measure, args=(setting, path, theirs))
    process.start()
    theirs.close()
    result, ends = {"failed": f"over {limit_s:.0f} s"}, perf_counter() + limit_s
    try:
        while mine.poll(max(0.0, ends - perf_counter())):
            result = mine.recv()
    except EOFError:
        if process.exitcode not in (0, None) and "seconds" not in result:
            result = {"failed": f"ended with {process.exitcode}"}
    process.kill()
    process.join()
    return asdict(setting) | {"seconds": None, "bytes": None, "failed": None} | result


def whole_rounds(path, n_pool=100_000, repeats=11):
    """Time retraining, a pass of predict_proba, and our query, alternately."""
    from cofm_sklearn import CoDecisionQuery

    X = np.load(path, mmap_mode="r")[:n_pool]
    learner, query = make_learner(X, 10), CoDecisionQuery(random_state=0)
    turns = []
    for _ in range(repeats + 1):
        times = []
        for step in (
            lambda: learner.estimator.fit(learner.X_training, learner.y_training),
            lambda: learner.predict_proba(X),
            lambda: query(learner, X, n_instances=100),
        ):
            start = perf_counter()
            step()
            times.append(perf_counter() - start)
        turns.append(times)
    fit, proba, asked = np.median(turns[1:], axis=0)
    return {"fit": fit, "predict_proba": proba, "query": asked}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=float, default=[1e4, 1e5, 1e6])
    parser.add_argument("--limit", type=float, default=120, help="seconds per process")
    parser.add_argument(
        "--replace",
        action="store_true",
        help="keep the rows of other sizes that the results file holds",
    )
    parser.add_argument("--folder", type=Path, help="where pools are written")
    parser.add_argument("--results", type=Path, default=RESULTS / "speed.csv")
    args = parser.parse_args()
    sizes = [int(size) for size in args.sizes]
    with tempfile.TemporaryDirectory() as temporary:
        folder = args.folder or Path(temporary)
        paths = {d: make_pool(folder, max(sizes), d) for d in (384, 768)}
        rows = []
        if args.replace:
            kept = pd.read_csv(args.results)
            rows = kept[~kept["n_pool"].isin(sizes)].to_dict("records")
        for setting in tqdm(list(settings(sizes))):
            rows.append(run(setting, paths[setting.width], args.limit))
            pd.DataFrame(rows).to_csv(args.results, index=False)
        rounds_path = args.results.with_suffix(".json")
        if max(sizes) >= 100_000:
            rounds = whole_rounds(paths[384])
            rounds_path.write_text(json.dumps(rounds, indent=1) + "\n")
    rounds = json.loads(rounds_path.read_text())
    table = pd.read_csv(args.results)
    args.results.with_suffix(".md").write_text(report(table, rounds), encoding="utf-8")
    draw(table, args.results.with_suffix(".png"))


if __name__ == "__main__":
    main()
