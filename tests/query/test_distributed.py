"""CoDecisionQuery on Dask: a real cluster of processes, and a worker really killed."""

import os
import signal
import subprocess
import sys
import textwrap

import dask
import dask.array as da
import dask.dataframe as dd
import joblib
import numpy as np
import pandas as pd
import pytest
from dask.distributed import Client, LocalCluster
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import CoDecisionClassifier, CoDecisionQuery, NeighborGraph
from cofm_sklearn.query import co_decision

N, D = 12_000, 8


@pytest.fixture(scope="module")
def data(long_tailed):
    return long_tailed(N, D)


@pytest.fixture(scope="module")
def learner(data, teach):
    return teach(*data)


@pytest.fixture(scope="module")
def cluster():
    with (
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
        yield cluster


def query(**params):
    return CoDecisionQuery(n_instances=25, **{"random_state": 3} | params)


@pytest.mark.parametrize("chunks", [12_000, 5_000, 999])
def test_same_answer_as_on_one_machine(data, learner, cluster, chunks):
    Z, _ = data
    pool = da.from_array(Z, chunks=(chunks, D))
    expected, utilities = query()(learner, Z, return_utilities=True)
    picked, values = query()(learner, pool, return_utilities=True)
    np.testing.assert_array_equal(picked, expected)
    np.testing.assert_allclose(values, utilities, rtol=1e-4)


def test_chunks_across_columns_empty_ones_and_single_rows(data, learner):
    Z = data[0][:9000]
    parts = [Z[:1], Z[1:1], Z[1:4000], Z[4000:4000], Z[4000:]]
    pool = da.concatenate([da.from_array(part, chunks=(4000, 3)) for part in parts])
    with dask.config.set(scheduler="synchronous"):
        picked = query()(learner, pool)
    np.testing.assert_array_equal(picked, query()(learner, Z))


def test_a_small_pool_is_one_block(data, learner):
    Z = data[0][:500]
    with dask.config.set(scheduler="synchronous"):
        picked = query()(learner, da.from_array(Z, chunks=(100, D)))
    np.testing.assert_array_equal(picked, query()(learner, Z))


def test_the_pool_is_not_gathered(data, learner, monkeypatch):
    """No task returns more rows than there are candidates or samples."""
    monkeypatch.setattr(co_decision, "_SAMPLE", 500)
    sizes = []

    class Watch(dask.callbacks.Callback):
        def _posttask(self, key, result, dsk, state, worker_id):
            if "_scan" in str(key) or "merge" in str(key) or "_take" in str(key):
                rows = getattr(result, "rows", result)
                sizes.append(len(rows))

    pool = da.from_array(data[0], chunks=(3000, D))
    with dask.config.set(scheduler="synchronous"), Watch():
        query(max_candidates=200)(learner, pool)
    assert len(sizes) == 4 + 4 + 1
    assert max(sizes) <= 500
    assert max(sizes[-5:]) == 201


def test_a_killed_worker_changes_nothing_but_the_time(data, learner, cluster):
    """The worker dies while it reads the second block."""
    Z, _ = data
    killed = os.path.join(cluster.scheduler.local_directory, "cofm-killed")
    if os.path.exists(killed):
        os.remove(killed)

    def read(block, block_id=None):
        if block_id[0] == 1:
            try:
                os.close(os.open(killed, os.O_CREAT | os.O_EXCL))
            except FileExistsError:
                pass
            else:
                os.kill(os.getpid(), signal.SIGKILL)
        return block

    pool = da.from_array(Z, chunks=(3000, D)).map_blocks(read, dtype=Z.dtype)
    picked = query()(learner, pool)
    assert os.path.exists(killed)
    np.testing.assert_array_equal(picked, query()(learner, Z))


def test_folds_run_on_the_cluster(data, cluster):
    Z, y = data
    model = CoDecisionClassifier(LogisticRegression(), random_state=0, n_jobs=2)
    alone = model.fit(Z[:80], y[:80]).label_quality_
    with joblib.parallel_config(backend="dask"):
        np.testing.assert_allclose(model.fit(Z[:80], y[:80]).label_quality_, alone)


def test_bad_pools_are_named(data, learner):
    Z = da.from_array(data[0], chunks=(3000, D))
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        query()(learner, Z[Z[:, 0] > 0])
    with pytest.raises(ValueError, match="table of embeddings, got 1"):
        query()(learner, Z[:, 0])
    with pytest.raises(ValueError, match="empty"):
        query()(learner, Z[:0])
    frame = dd.from_pandas(pd.DataFrame(data[0][:90]), npartitions=2)
    with pytest.raises(ValueError, match=r"to_dask_array\(lengths=True\)"):
        query()(learner, frame)
    with pytest.raises(TypeError, match=r"strategy\(learner, X_pool\)"):
        query().select(Z)
    bad = da.where(da.arange(N, chunks=3000)[:, None] == 5000, np.nan, Z)
    with (
        dask.config.set(scheduler="synchronous"),
        pytest.raises(ValueError, match="NaN"),
    ):
        query()(learner, bad)


def test_the_query_works_without_dask(tmp_path):
    """Dask is optional: everything else works without it."""
    code = """
        import sys
        sys.modules["dask"] = None
        import numpy as np
        from cofm_sklearn import CoDecisionQuery
        print(len(CoDecisionQuery(n_instances=3).select(np.eye(5))))
    """
    out = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert out.stdout.strip() == "3"


def test_blocks_of_csr_give_the_picks_of_one_matrix():
    rng = np.random.RandomState(0)
    dense = np.abs(rng.normal(size=(17_000, 6))) * (rng.uniform(size=(17_000, 6)) < 0.5)
    dense[:, 0] += 0.1
    rows = sparse.csr_matrix(dense)
    blocks = da.from_array(dense, chunks=(5_000, 6)).map_blocks(sparse.csr_matrix)
    fitted = LogisticRegression().fit(rows[:90], np.arange(90) % 3)
    query = CoDecisionQuery(random_state=0)
    assert list(query(fitted, blocks, 5)) == list(query(fitted, rows, 5))
    graph = NeighborGraph(max_samples=300, random_state=0)
    drawn = graph.fit(blocks).sample_indices_
    assert list(drawn) == list(graph.fit(rows).sample_indices_)
