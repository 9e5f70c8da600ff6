"""The graph of the pool: what it holds, for every kind of pool, and what it refuses."""

import pickle

import dask.array as da
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.preprocessing import OneHotEncoder, StandardScaler, normalize

from cofm_sklearn import NeighborGraph, PrecomputedPrior, SentenceTransformerEncoder
from cofm_sklearn.pool import neighbors


@pytest.fixture
def Z():
    return normalize(np.random.RandomState(0).normal(size=(60, 6))).astype(np.float32)


def test_equals_the_slow_version(Z):
    graph = NeighborGraph(n_neighbors=4).fit(Z)
    distance = np.sqrt(np.maximum(2 - 2 * Z.astype(float) @ Z.T, 0))
    np.fill_diagonal(distance, np.inf)
    order = np.argsort(distance, axis=1)[:, :20]
    assert_array_equal(graph.candidates_, order)
    assert_array_equal(graph.neighbors_, order[:, :4])
    wanted = np.take_along_axis(distance, order, 1)
    assert_allclose(graph.candidate_distances_, wanted, atol=1e-5)
    assert graph.candidate_distances_.dtype == graph.embeddings_.dtype == np.float32


def test_lengths_of_rows_do_not_matter(Z):
    longer = Z * np.random.RandomState(1).uniform(1, 9, size=(60, 1))
    graph, other = NeighborGraph().fit(Z), NeighborGraph().fit(longer)
    assert_array_equal(other.candidates_, graph.candidates_)
    assert_allclose(other.candidate_distances_, graph.candidate_distances_, atol=1e-5)


def test_order_and_threads_change_nothing(Z):
    order = np.random.RandomState(1).permutation(60)
    graph = NeighborGraph().fit(Z)
    moved = NeighborGraph(n_jobs=2).fit(Z[order])
    assert_array_equal(order[moved.candidates_], graph.candidates_[order])
    assert_allclose(
        moved.candidate_distances_, graph.candidate_distances_[order], atol=1e-6
    )


def test_equal_samples_are_one_node(Z):
    graph = NeighborGraph().fit(np.concatenate([Z, Z[:10]]))
    assert_array_equal(graph.sample_indices_, np.arange(60))
    assert_array_equal(graph.neighbors_, NeighborGraph().fit(Z).neighbors_)


def test_new_samples_find_the_nearest_nodes(Z):
    graph = NeighborGraph(n_neighbors=3).fit(Z)
    distances, indices = graph.kneighbors(Z[5:7])
    assert_array_equal(indices[:, 0], [5, 6])
    assert_allclose(distances[:, 0], 0, atol=1e-3)
    assert_array_equal(indices[:, 1:], graph.neighbors_[5:7, :2])
    assert graph.kneighbors(Z[5:7], 60)[1].shape == (2, 60)
    assert graph.kneighbors(Z[5:7], 99)[1].shape == (2, 60)
    assert graph.find_candidates(Z[5:7])[1].shape == (2, 15)


def pools(Z):
    frame = pd.DataFrame(Z, columns=list("abcdef"))
    return {
        "list": Z.tolist(),
        "frame": frame,
        "float64": Z.astype(float),
        "csr": sparse.csr_matrix(Z),
        "dask": da.from_array(Z, chunks=(17, 3)),
    }


@pytest.mark.parametrize("kind", ["list", "frame", "float64", "csr", "dask"])
def test_pools_of_all_kinds(Z, kind):
    graph, wanted = NeighborGraph().fit(pools(Z)[kind]), NeighborGraph().fit(Z)
    assert_array_equal(graph.neighbors_, wanted.neighbors_)
    new = pools(normalize(Z[:4] + 0.7 * Z[4:8]))
    for name in new.keys() - {"dask"}:
        if kind == "frame" and name != "frame":
            continue
        assert_array_equal(
            graph.kneighbors(new[name])[1], wanted.kneighbors(new["list"])[1]
        )


def test_a_large_pool_is_represented_by_a_sample(Z, monkeypatch, tmp_path):
    graph = NeighborGraph(max_samples=25, random_state=3).fit(Z)
    assert len(graph.sample_indices_) == 25
    assert_allclose(graph.embeddings_, Z[graph.sample_indices_], atol=1e-6)
    again = NeighborGraph(max_samples=25, random_state=3)
    np.save(tmp_path / "pool.npy", Z)
    for pool in (np.load(tmp_path / "pool.npy", mmap_mode="r"), da.from_array(Z, 7)):
        assert_array_equal(again.fit(pool).sample_indices_, graph.sample_indices_)
    assert NeighborGraph(max_samples=60).fit(Z).sample_indices_.tolist() == [*range(60)]
    monkeypatch.setattr(neighbors, "_WHOLE_POOL", 40)
    monkeypatch.setattr(neighbors, "_DRAWN", 10)
    assert len(NeighborGraph().fit(Z[:40]).sample_indices_) == 40
    assert len(NeighborGraph().fit(Z[:41]).sample_indices_) == 10


def test_raw_texts_go_through_the_encoder():
    texts = ["a football match", "the goalkeeper", "a share price", "the central bank"]
    encoder = SentenceTransformerEncoder()
    graph = NeighborGraph(encoder, n_neighbors=1).fit(texts)
    wanted = NeighborGraph(n_neighbors=1).fit(encoder.transform(texts))
    assert_array_equal(graph.neighbors_, wanted.neighbors_)
    _, indices = graph.kneighbors(["the bank of the state"])
    assert indices.tolist() == [[3]]
    # Embeddings of that encoder are taken as they are.
    Z = encoder.transform(["the bank of the state"])
    assert_array_equal(graph.kneighbors(Z)[1], indices)
    assert_array_equal(graph.samples_like(texts), texts)
    assert_allclose(graph.samples_like(Z), encoder.transform(texts), atol=1e-6)


def test_a_prior_says_which_columns_are_features(Z):
    proba = np.random.RandomState(0).dirichlet([1, 1], size=60)
    X = np.hstack([proba, Z])
    prior = PrecomputedPrior([0, 1], columns=[0, 1]).fit()
    for given in (prior, FrozenEstimator(prior)):
        graph = NeighborGraph(given).fit(X)
        assert_array_equal(graph.neighbors_, NeighborGraph().fit(Z).neighbors_)
        assert graph.n_features_in_ == 8
        assert_array_equal(graph.samples_like(X[:2]), X)


def test_tables_of_mixed_columns():
    rng = np.random.RandomState(0)
    kind = np.repeat(["a", "b"], 20)
    frame = pd.DataFrame({"kind": kind, "size": rng.normal(size=40)})
    encoder = make_column_transformer(
        (OneHotEncoder(), ["kind"]), (StandardScaler(), ["size"])
    )
    graph = NeighborGraph(encoder, n_neighbors=3).fit(frame)
    same = kind[graph.sample_indices_][graph.neighbors_]
    assert np.mean(same == kind[graph.sample_indices_][:, None]) > 0.9


def test_clone_and_pickle(Z):
    graph = NeighborGraph(n_neighbors=5, alpha=0.8).fit(Z)
    assert not hasattr(clone(graph), "candidates_")
    loaded = pickle.loads(pickle.dumps(graph))
    for mine, theirs in zip(loaded.kneighbors(Z), graph.kneighbors(Z)):
        assert_array_equal(mine, theirs)


def test_a_pool_of_one_sample_many_times():
    graph = NeighborGraph().fit(np.ones((5, 3)))
    assert graph.neighbors_.shape == (1, 0)
    assert graph.kneighbors([[1.0, 0, 0]])[1].tolist() == [[0]]


@pytest.mark.parametrize(
    ("params", "X", "message"),
    [
        ({}, np.eye(2), "2 sample"),
        ({}, np.empty((0, 3)), "0 sample"),
        ({}, np.full((4, 2), np.nan), "NaN"),
        ({}, ["a", "b", "c"], "encoder"),
        ({"n_neighbors": 0}, np.eye(4), "n_neighbors must be"),
        ({"alpha": 1.0}, np.eye(4), "alpha must be"),
        ({"alpha": "all"}, np.eye(4), "alpha must be"),
        ({"max_samples": 2}, np.eye(4), "max_samples must be"),
        ({"max_samples": "all"}, np.eye(4), "max_samples must be"),
    ],
)
def test_bad_input(params, X, message):
    with pytest.raises(ValueError, match=message):
        NeighborGraph(**params).fit(X)


def test_other_widths_and_no_fit(Z):
    with pytest.raises(NotFittedError):
        NeighborGraph().kneighbors(Z)
    graph = NeighborGraph().fit(Z)
    with pytest.raises(ValueError, match="5 features"):
        graph.kneighbors(Z[:, :5])
    with pytest.raises(ValueError, match="neighbors was fitted on 6"):
        graph.samples_like(Z[:, :5])
    with pytest.raises(ValueError, match="NaN"):
        graph.kneighbors(np.full((1, 6), np.nan))
    with pytest.raises(ValueError, match="n_neighbors must be"):
        graph.kneighbors(Z, 0)
