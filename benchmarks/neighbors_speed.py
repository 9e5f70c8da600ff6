"""What do the neighbours cost in time and memory?

    python -m benchmarks.neighbors_speed

Everything is compared with the same work without neighbours, or with the small model,
in the same run. Writes benchmarks/results/neighbors_speed.json; nothing else should
run.
"""

import argparse
import json
import tempfile
import tracemalloc
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize
from threadpoolctl import threadpool_limits

from benchmarks.savings.results import describe_machine
from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    NeighborGraph,
    PrecomputedPrior,
)

RESULTS = Path(__file__).parent / "results" / "neighbors_speed.json"
WIDTH, N_CLASSES, N_LABELS = 384, 4, 300


def make(n, seed=0):
    """Embeddings in 40 groups, ten to a class, as float32 rows of unit norm."""
    centres = normalize(np.random.RandomState(1).normal(size=(40, WIDTH)))
    rng = np.random.RandomState(seed)
    group = rng.randint(40, size=n)
    noise = rng.normal(size=(n, WIDTH)).astype(np.float32) / np.sqrt(WIDTH)
    Z = normalize(centres[group].astype(np.float32) + 1.2 * noise)
    return Z, group % N_CLASSES


def small_model():
    return LogisticRegression(C=1.0, class_weight="balanced", max_iter=300)


def with_prior(Z, y, seed=0):
    """Prepend a prior's probabilities to the embeddings, right in 7 of 10 samples."""
    rng = np.random.RandomState(seed)
    said = np.where(
        rng.uniform(size=len(y)) < 0.7, y, rng.randint(N_CLASSES, size=len(y))
    )
    proba = np.full((len(y), N_CLASSES), 0.1, dtype=np.float32)
    proba[np.arange(len(y)), said] = 0.7
    return np.hstack([proba, Z])


def best_of(work, repeats):
    """Return the shortest duration of several calls, in seconds."""
    times = []
    for _ in range(repeats):
        start = perf_counter()
        work()
        times.append(perf_counter() - start)
    return min(times)


def peak(work):
    """Return the extra memory of a call, in MiB, and its result."""
    tracemalloc.start()
    result = work()
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most / 2**20, result


def measure_fit(noise, repeats):
    """Measure fits of 300 labels in a pool of 3,000, relative to the small model's."""
    Z, y = make(3000)
    X = with_prior(Z, y)
    prior = PrecomputedPrior(range(N_CLASSES), columns=range(N_CLASSES)).fit()
    graph = NeighborGraph(prior).fit(X)
    rng = np.random.RandomState(0)
    rows = rng.choice(3000, size=N_LABELS, replace=False)
    labels = y[rows].copy()
    wrong = rng.uniform(size=N_LABELS) < noise
    labels[wrong] = (labels[wrong] + 1) % N_CLASSES
    with threadpool_limits(1, user_api="blas"):
        small = best_of(lambda: small_model().fit(Z[rows], labels), repeats)
        found = {"small model, s": small}
        for name, neighbors in (("without", None), ("with", graph)):
            model = CoDecisionClassifier(small_model(), prior, neighbors=neighbors)
            seconds = best_of(partial(model.fit, X[rows], labels), repeats)
            found[f"{name} neighbours, fits of the small model"] = seconds / small
    return found


def measure_graph(n):
    """Build the graph of n samples."""
    Z, _ = make(n)
    seconds = best_of(lambda: NeighborGraph().fit(Z), 1)
    memory, _ = peak(lambda: NeighborGraph().fit(Z))
    return {"samples": n, "seconds": seconds, "peak MiB": memory}


def measure_round(n, repeats):
    """Query, answer and fit on a pool of n samples, with and without neighbours."""
    Z, y = make(n)
    X = with_prior(Z, y)
    prior = PrecomputedPrior(range(N_CLASSES), columns=range(N_CLASSES)).fit()
    rows = np.random.RandomState(0).choice(n, size=N_LABELS, replace=False)
    found = {"samples": n}
    for name, neighbors in (("without", None), ("with", NeighborGraph(prior).fit(X))):
        fitted = CoDecisionClassifier(
            small_model(), prior, neighbors=neighbors, random_state=0
        ).fit(X[rows], y[rows])

        def work(fitted=fitted):
            picked = CoDecisionQuery(random_state=0)(fitted, X, n_instances=20)
            labelled = np.concatenate([rows, picked])
            CoDecisionClassifier(**fitted.get_params(deep=False)).fit(
                X[labelled], y[labelled]
            )

        found[f"{name}, s"] = best_of(work, repeats)
    found["ratio"] = found["with, s"] / found["without, s"]
    return found


def measure_predictions(n):
    """Predict n samples on disk, with a graph that represents all of them."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.npy"
        pool = np.lib.format.open_memmap(path, "w+", np.float32, (n, WIDTH))
        y = np.empty(n, dtype=int)
        for start in range(0, n, 50_000):
            part = slice(start, min(start + 50_000, n))
            pool[part], y[part] = make(part.stop - start, seed=start + 1)
        pool.flush()
        pool = np.load(path, mmap_mode="r")
        graph = NeighborGraph(random_state=0).fit(pool)
        rows = np.sort(np.random.RandomState(0).choice(n, N_LABELS, replace=False))
        model = CoDecisionClassifier(small_model(), neighbors=graph)
        model.fit(pool[rows], y[rows])
        found = {"samples": n, "nodes": len(graph.sample_indices_)}
        found["weight of the neighbours"] = model.neighbor_weight_
        start = perf_counter()
        model.predict_proba(pool)
        found["predict_proba, s"] = perf_counter() - start
        part = pool[: min(n, 100_000)]
        memory, proba = peak(lambda: model.predict_proba(part))
        # Blocks need the same whatever the number of samples; the result grows.
        result = proba.nbytes / 2**20
        found["peak MiB"] = memory - result + result * n / len(part)
        learner = clone(model).set_params(neighbors=None).fit(pool[rows], y[rows])
        query = CoDecisionQuery(random_state=0)
        for name, one in (("without", learner), ("with", model)):
            start = perf_counter()
            query(one, pool, n_instances=20)
            found[f"query {name} neighbours, s"] = perf_counter() - start
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--largest", type=int, default=1_000_000)
    args = parser.parse_args()
    found = {
        "fit, right labels": measure_fit(0.0, args.repeats),
        "fit, 20 % wrong": measure_fit(0.2, args.repeats),
        "graph": measure_graph(min(20_000, args.largest)),
        "round": measure_round(min(100_000, args.largest), args.repeats),
        "predictions": measure_predictions(args.largest),
    }
    rounded = {
        part: {name: round(value, 4) for name, value in values.items()}
        for part, values in found.items()
    }
    args.results.write_text(json.dumps(rounded, indent=2) + "\n", encoding="utf-8")
    describe_machine(args.results)
    print(json.dumps(rounded, indent=2))


if __name__ == "__main__":
    main()
