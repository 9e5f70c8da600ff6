"""CoDecisionQuery on pools read in blocks, in any container."""

import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.datasets import ParquetEmbeddings
from cofm_sklearn.pool.blocks import PoolView, block_rows
from cofm_sklearn.pool.opening import open_pool
from cofm_sklearn.query import UncertaintyHerdingQuery, co_decision
from cofm_sklearn.query.coverage import covered_by
from cofm_sklearn.query.worth import learn_weights
from cofm_sklearn.utils.validation import check_unit_embeddings

N, D = 3000, 6


@pytest.fixture(scope="module")
def data(long_tailed):
    return long_tailed(N, D)


@pytest.fixture
def learner(data, teach):
    return teach(*data)


@pytest.fixture(autouse=True)
def _small_sample(monkeypatch):
    """Treat a pool of 3,000 as large, with class shares estimated from a part."""
    monkeypatch.setattr(co_decision, "_SAMPLE", 700)


def query(**params):
    return CoDecisionQuery(
        **{"max_candidates": 300, "random_state": 0, "n_instances": 20} | params
    )


def containers(Z, folder):
    np.save(folder / "pool.npy", Z)
    frame = pd.DataFrame({"id": range(len(Z)), "embedding": list(Z)})
    frame.to_parquet(folder / "pool.parquet", row_group_size=800)
    yield "memmap", np.load(folder / "pool.npy", mmap_mode="r")
    yield "zarr", zarr.array(Z, chunks=(500, D))
    yield "parquet", ParquetEmbeddings(folder / "pool.parquet")
    yield "csr", sparse.csr_matrix(Z)
    yield "csc", sparse.csc_matrix(Z)
    yield "frame", pd.DataFrame(Z)
    yield "list", Z.tolist()
    yield "fortran", np.asfortranarray(Z)


@pytest.mark.filterwarnings("ignore:X has feature names")
def test_every_container_gives_the_same_picks(data, learner, tmp_path):
    Z, _ = data
    picked, utilities = query()(learner, Z, return_utilities=True)
    assert len(set(picked)) == 20
    assert np.isfinite(utilities).sum() == 300
    for name, X in containers(Z, tmp_path):
        np.testing.assert_array_equal(query()(learner, X), picked, err_msg=name)


def test_half_precision_is_read_as_single(data, learner):
    Z = data[0].astype(np.float16)
    expected = query()(learner, Z.astype(np.float32))
    np.testing.assert_array_equal(query()(learner, Z), expected)


@pytest.mark.parametrize("block_size", [1, 7, 1000, 2999, 3000, 10**6])
def test_blocks_do_not_matter(data, learner, block_size):
    Z, _ = data
    if block_size == 1:
        Z = Z[:1200]
    whole = query()(learner, Z)
    picked = query(block_size=block_size)(learner, Z)
    np.testing.assert_array_equal(picked, whole)


def test_select_and_call_agree(data, learner):
    Z, _ = data
    expected = query()(learner, Z)
    for block_size in ("auto", 500):
        picked = query(block_size=block_size).select(
            Z,
            proba=learner.predict_proba(Z),
            X_labeled=learner.X_training,
            y_labeled=learner.y_training,
        )
        np.testing.assert_array_equal(picked, expected)


def test_exact_mode_and_enough_candidates_are_the_same(data, learner, monkeypatch):
    Z, _ = data
    exact = query(max_candidates=None)(learner, Z)
    monkeypatch.setattr(co_decision, "_SAMPLE", N)
    # Up to the draw of the sample, which is all of the pool here.
    every = query(max_candidates=None)(learner, Z)
    np.testing.assert_array_equal(every, query(max_candidates=N)(learner, Z))
    assert len(np.intersect1d(exact, every)) >= 10


def test_what_candidates_cover_is_what_the_pool_sees(data, learner):
    """Drawn picks cover the weight of the whole pool nearly as well as exact ones."""
    Z, _ = data
    X = check_unit_embeddings(Z)
    proba = learner.predict_proba(Z)
    weights = learn_weights(
        proba, None, 0.0, uncertainty="least_confidence", sharpness=4.0, balance=0.25
    )
    weight, _ = weights.weigh(proba, None, N)

    def coverage(picked):
        # By the labels and by the picks, within the width that both use.
        centres = np.concatenate([check_unit_embeddings(learner.X_training), X[picked]])
        return float(weight @ covered_by(X, centres, 0.3)) / weight.sum()

    exact = coverage(
        query(kernel_width=0.3, sharpness=4.0, max_candidates=None)(learner, Z)
    )
    drawn = [
        coverage(query(kernel_width=0.3, sharpness=4.0, random_state=s)(learner, Z))
        for s in range(10)
    ]
    random = [coverage(np.random.RandomState(s).permutation(N)[:20]) for s in range(10)]
    assert np.mean(drawn) > np.mean(random)
    assert np.mean(drawn) > exact - 0.02


@pytest.mark.parametrize("co_decides", [False, True])
def test_a_prior_is_read_in_blocks_too(data, teach, co_decides):
    """A co-decision contains its prior; beside other models, the strategy has one."""
    Z, y = data
    prior_columns = np.full((N, 4), 0.1)
    prior_columns[np.arange(N), y] = 0.7
    XP = np.hstack([prior_columns, Z])
    prior = PrecomputedPrior(range(4), columns=range(4))
    small = LogisticRegression()
    if co_decides:
        learner = teach(XP, y, CoDecisionClassifier(small, prior))
        strategy = query(balance=1.0)
        proba, others = learner.estimator.proba_without_neighbors(XP), {}
    else:
        learner = teach(XP, y, small)
        strategy = query(prior=prior, balance=1.0)
        proba = learner.estimator.predict_proba(XP)
        others = {"prior_proba": prior_columns}
    picked = strategy(learner, XP)
    in_blocks = clone(strategy).set_params(block_size=64)
    np.testing.assert_array_equal(in_blocks(learner, XP), picked)
    assert set(picked) != set(clone(strategy).set_params(balance=0.0)(learner, XP))
    # The same from plain arrays; coverage does not measure the columns of a prior.
    columns = slice(4 if co_decides else 0, None)
    X, X_labeled = XP[:, columns], learner.X_training[:, columns]
    found = strategy.select(X, proba, X_labeled=X_labeled, **others)
    np.testing.assert_array_equal(found, picked)
    # Without the prior, it is another choice.
    if co_decides:
        proba = learner.estimator.small_model_proba(XP)
    assert set(strategy.select(X, proba, X_labeled=X_labeled)) != set(picked)


def test_unfitted_transformers_are_fitted_once_for_all_blocks(data):
    Z, _ = data
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression())
    a, b = (query(block_size=size)(pipeline, Z) for size in (100, 3000))
    np.testing.assert_array_equal(a, b)
    assert not hasattr(pipeline[0], "scale_")


def test_no_label_yet_covers_a_large_pool(data):
    X = check_unit_embeddings(data[0])
    picked = query(n_instances=30, kernel_width=0.3)(LogisticRegression(), data[0])
    random = [np.random.RandomState(s).permutation(N)[:30] for s in range(10)]
    cover = [covered_by(X, X[rows], 0.3).mean() for rows in (picked, *random)]
    assert cover[0] > max(cover[1:])


def test_the_pool_may_change_between_rounds(data, learner):
    Z, _ = data
    strategy = query()
    for n in (N, 2000, 2500, 100):
        picked = strategy(learner, Z[:n])
        np.testing.assert_array_equal(picked, query()(learner, Z[:n]))


def test_torch_covers_as_numpy_does(data, learner):
    Z, _ = data
    on_torch = query(device="cpu")(learner, Z)
    np.testing.assert_array_equal(on_torch, query()(learner, Z))
    with pytest.raises(ValueError, match="device="):
        query(device="tape")(learner, Z)


def test_a_view_is_the_rows_it_shows(data, learner):
    Z, _ = data
    rows = np.delete(np.arange(N), np.random.RandomState(0).permutation(N)[:900])
    view = PoolView(Z, rows)
    np.testing.assert_array_equal(np.asarray(view), Z[rows])
    for strategy in (query(), UncertaintyHerdingQuery(25, random_state=0)):
        np.testing.assert_array_equal(
            strategy(learner, view), strategy(learner, Z[rows])
        )


def test_a_loop_on_a_memmap_is_the_loop_on_the_array(data, tmp_path):
    Z, y = data
    np.save(tmp_path / "pool.npy", Z)
    mapped = np.load(tmp_path / "pool.npy", mmap_mode="r")
    curves = [
        ActiveLearningClassifier(
            LogisticRegression(), query(), n_instances=20, budget=60, random_state=0
        )
        .fit(X, y)
        .queried_indices_
        for X in (Z, mapped)
    ]
    np.testing.assert_array_equal(*curves)


@pytest.mark.parametrize("where", [0, 1500, 2999])
def test_a_value_that_is_not_finite_is_found_anywhere(data, learner, where):
    Z = data[0].copy()
    Z[where, 2] = np.nan
    for one in (learner, LogisticRegression()):
        with pytest.raises(ValueError, match=r"X_pool.*NaN|NaN.*X_pool"):
            query()(one, Z)
    with pytest.raises(ValueError, match=r"X_pool.*NaN|NaN.*X_pool"):
        query().select(Z)


def test_bad_memmaps_are_refused(learner, tmp_path):
    def memmap(array):
        np.save(tmp_path / "bad.npy", array)
        return np.load(tmp_path / "bad.npy", mmap_mode="r")

    with pytest.raises(ValueError, match=f"5 features.*{D} features"):
        query()(learner, memmap(np.ones((2000, 5), np.float32)))
    with pytest.raises(ValueError, match=r"[Cc]omplex"):
        query()(learner, memmap(np.ones((2000, D), np.complex64)))
    with pytest.raises(ValueError, match=r"2D|2-D"):
        query()(learner, memmap(np.ones(2000, np.float32)))
    with pytest.raises(ValueError, match="empty"):
        query()(learner, memmap(np.ones((0, D), np.float32)))


def test_bad_probabilities_are_named_with_their_row(data):
    Z, _ = data
    right, wrong = np.full((N, 4), 0.25), np.full((N, 4), 0.25)
    wrong[2345, 0] = 0.5
    for block_size in ("auto", 500):
        strategy = query(block_size=block_size)
        with pytest.raises(ValueError, match=r"^proba .*row 2345"):
            strategy.select(Z, wrong)
        with pytest.raises(ValueError, match=r"^prior_proba .*row 2345"):
            strategy.select(Z, right, wrong)
    with pytest.raises(ValueError, match="X_pool must hold embeddings"):
        query().select(["a text", "another"])


@pytest.mark.parametrize("value", [0, -1, 2.5, "all", True])
def test_bad_block_sizes_are_named(data, value):
    with pytest.raises(ValueError, match="block_size"):
        query(block_size=value).select(data[0])


def test_blocks_keep_to_their_budget():
    for width in (8, 384, 4096):
        for n_classes in (2, 100, 1000):
            rows = block_rows((10**9, width), n_classes)
            assert rows * (4 * width + 24 * n_classes) <= max(
                2**24, 256 * (4 * width + 24 * n_classes)
            )
    assert len(open_pool(["a", "b"])) == 2
