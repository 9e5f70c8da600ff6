"""A query of ten million samples on a Dask cluster of two small workers.

    python -m benchmarks.cluster

Starts a `LocalCluster` on the loopback interface, of two processes with 2 GiB each.
The pool is generated while it is read, so no worker ever holds all of it. The query is
timed once undisturbed, and once with a worker killed (`SIGKILL`) while it reads a
block; then a query of a million samples is compared with the same pool as a local
array. Writes benchmarks/results/cluster.json.
"""

import argparse
import json
import os
import signal
import tempfile
from pathlib import Path
from time import perf_counter

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import CoDecisionQuery, Learner

RESULTS = Path(__file__).parent / "results" / "cluster.json"
WIDTH, BLOCK, N_CLASSES, N_LABELS, BATCH = 64, 250_000, 10, 500, 100


def make_rows(start, n_rows):
    """Return rows of a mixture of classes, and the classes."""
    rng = np.random.RandomState(start % 2**31)
    centres = np.random.RandomState(0).normal(size=(N_CLASSES, WIDTH))
    y = rng.choice(N_CLASSES, size=n_rows)
    X = centres[y] + rng.normal(scale=1.5, size=(n_rows, WIDTH))
    return X.astype(np.float32), y


def read_block(template, killed=None, block_info=None):
    """Generate a block; the third one kills its worker, once."""
    (start, stop), _ = block_info[0]["array-location"]
    if killed is not None and start == 2 * BLOCK:
        try:
            os.close(os.open(killed, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return make_rows(start, stop - start)[0]


def make_pool(n_rows, killed=None):
    """Return a Dask array that is generated while it is read."""
    template = da.zeros((n_rows, WIDTH), chunks=(BLOCK, WIDTH), dtype=np.float32)
    return template.map_blocks(read_block, killed=killed, dtype=np.float32)


def timed_query(learner, pool):
    """Return the picks, and the time they took."""
    strategy = CoDecisionQuery(n_instances=BATCH, random_state=0)
    start = perf_counter()
    return strategy(learner, pool), perf_counter() - start


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--compared", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    model = LogisticRegression(max_iter=200)
    learner = Learner(model).fit(*make_rows(1, N_LABELS))
    # Workers that survive the kill test end with this process.
    with (
        tempfile.TemporaryDirectory() as folder,
        dask.config.set({"distributed.worker.daemon": True}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            memory_limit="2GiB",
            dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        Client(cluster),
    ):
        picked, seconds = timed_query(learner, make_pool(args.rows))
        killed = f"{folder}/killed"
        again, seconds_killed = timed_query(learner, make_pool(args.rows, killed))
        assert Path(killed).exists(), "no worker was killed"
        few, _ = timed_query(learner, make_pool(args.compared))
    starts = range(0, args.compared, BLOCK)
    blocks = [make_rows(s, min(BLOCK, args.compared - s))[0] for s in starts]
    alone, seconds_alone = timed_query(learner, np.concatenate(blocks))
    results = {
        "rows": args.rows,
        "width": WIDTH,
        "batch": BATCH,
        "seconds": round(seconds, 1),
        "seconds with a worker killed": round(seconds_killed, 1),
        "same picks with a worker killed": bool(np.array_equal(picked, again)),
        "rows compared with one machine": args.compared,
        "same picks as on one machine": bool(np.array_equal(few, alone)),
        "seconds on one machine": round(seconds_alone, 2),
    }
    args.results.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(results, indent=2))


if __name__ == "__main__":
    main()
