"""Properties of every query strategy, for any pool and models."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from modAL.uncertainty import margin_sampling
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import CoDecisionQuery
from cofm_sklearn.query import (
    AskAgainQuery,
    DirectQuery,
    GalaxyQuery,
    ModALQuery,
    UncertaintyHerdingQuery,
)
from cofm_sklearn.query.boundary import ClassRankings, direct_picks, galaxy_picks
from cofm_sklearn.query.coverage import (
    covered_by,
    gaussian_kernel,
    greedy_coverage,
    kernel_width,
)
from cofm_sklearn.query.worth import class_shares, learn_weights, uncertainty_of
from cofm_sklearn.utils.validation import check_unit_embeddings

SEEDS = st.integers(0, 10**6)
UNCERTAINTIES = ["least_confidence", "margin", "entropy"]
STRATEGIES = [
    CoDecisionQuery(random_state=0),
    CoDecisionQuery(max_candidates=3, random_state=0),
    UncertaintyHerdingQuery(random_state=0),
    GalaxyQuery(random_state=0),
    DirectQuery(random_state=0),
    ModALQuery(margin_sampling, random_state=0),
    AskAgainQuery(CoDecisionQuery(), random_state=0),
]


def draw_pool(seed, n=None, d=3):
    """Embeddings with copies, zeros and a constant column."""
    rng = np.random.RandomState(seed)
    n = rng.randint(1, 25) if n is None else n
    X = rng.normal(size=(n, d))
    X[rng.uniform(size=n) < 0.2] = X[0]
    X[rng.uniform(size=n) < 0.1] = 0
    X[:, 0] = 1.0 if rng.uniform() < 0.2 else X[:, 0]
    return rng, X


def fitted(seed, n_labeled):
    rng = np.random.RandomState(seed)
    y = np.arange(n_labeled) % 3
    return LogisticRegression().fit(rng.normal(size=(n_labeled, 3)), y)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)
@given(seed=SEEDS, n_labeled=st.sampled_from([0, 2, 9]))
def test_all_of_a_pool_is_each_sample_once(strategy, seed, n_labeled):
    _, X = draw_pool(seed)
    model = fitted(seed, n_labeled) if n_labeled else LogisticRegression()
    picked = strategy(model, X, n_instances=len(X))
    assert_array_equal(np.sort(picked), np.arange(len(X)))
    assert_array_equal(strategy(model, X, n_instances=len(X)), picked)
    for wrapped in (X.tolist(), X.astype(np.float32).astype(float)):
        assert len(strategy(model, wrapped, n_instances=1)) == 1


@given(
    seed=SEEDS,
    scale=st.sampled_from([1e-12, 1e12]),
    container=st.sampled_from([np.asarray, np.ndarray.tolist]),
)
def test_length_of_embeddings_and_container_do_not_matter(seed, scale, container):
    rng, X = draw_pool(seed, n=15)
    proba = rng.dirichlet(np.ones(3), size=15)
    strategy = CoDecisionQuery(random_state=0)
    labeled = X[:2] + 1
    # In float32 first, so that scaling by powers of two is exact.
    X = X.astype(np.float32).astype(np.float64)
    scale = 2.0 ** np.round(np.log2(scale) + rng.randint(-3, 3, size=(15, 1)))
    picked = strategy.select(X, proba, X_labeled=labeled, n_instances=5)
    other = strategy.select(
        container(X * scale), proba, X_labeled=labeled, n_instances=5
    )
    assert_array_equal(other, picked)


@given(seed=SEEDS, kind=st.sampled_from(UNCERTAINTIES))
def test_order_of_classes_does_not_matter(seed, kind):
    rng, X = draw_pool(seed, n=15)
    proba, prior = rng.dirichlet(np.ones(3), size=(2, 15))
    strategy = CoDecisionQuery(uncertainty=kind, random_state=0)
    order = rng.permutation(3)
    assert_array_equal(
        strategy.select(X, proba, prior, n_instances=4),
        strategy.select(X, proba[:, order], prior[:, order], n_instances=4),
    )


@given(seed=SEEDS)
def test_without_sharpness_and_balance_probabilities_do_not_matter(seed):
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(12, 3))  # no copies: these tie
    strategy = CoDecisionQuery(sharpness=0, balance=0, kernel_width=0.5, random_state=0)
    first, second = rng.dirichlet(np.ones(4), size=(2, 12))
    Z = check_unit_embeddings(X)

    def reach(*probabilities):
        # Not the picks: of two neighbours far from the rest, either may come.
        picked = strategy.select(X, *probabilities, n_instances=4)
        return covered_by(Z, Z[picked], 0.5).sum()

    assert_allclose(reach(first), reach(), rtol=1e-5)
    assert_allclose(reach(second, first), reach(), rtol=1e-5)


@given(seed=SEEDS, width=st.sampled_from([0.05, 0.3, 1.0, 50.0]))
def test_coverage_grows_with_centres_and_gains_shrink(seed, width):
    rng, X = draw_pool(seed, n=20)
    X = check_unit_embeddings(X)
    weight = rng.exponential(size=20).astype(np.float32)
    covered = covered_by(X, X[:0], width)
    picked, gains = greedy_coverage(X, weight, covered, 20, width)
    totals = [0.0]
    for n in range(1, 21):
        more = covered_by(X, X[picked[:n]], width)
        # Distances have the error of float32, as a share of a narrow kernel.
        assert (more >= covered - 1e-5 - 3e-7 / width**2).all()
        assert ((more >= 0) & (more <= 1)).all()
        covered = more
        totals.append(float(weight @ covered))
    steps = np.diff(totals)
    assert_allclose(steps[0], gains.max(), rtol=1e-4)
    assert (np.diff(steps) <= 1e-4 * totals[-1]).all()
    # All is covered in the end, but rows of length 0, which are like no other.
    assert_allclose(covered[np.linalg.norm(X, axis=1) > 0], 1, atol=1e-3)


@given(seed=SEEDS, width=st.sampled_from([0.05, 0.5, 5.0]))
def test_kernel_is_symmetric_and_of_the_distance(seed, width):
    rng, X = draw_pool(seed, n=8)
    X[np.linalg.norm(X, axis=1) == 0] = 1
    Z = check_unit_embeddings(X)
    K = gaussian_kernel(Z, Z.copy(), width)
    assert_allclose(K, K.T, atol=1e-6)
    assert ((K >= 0) & (K <= 1)).all()
    # A rotation changes no distance.
    turn = np.linalg.qr(rng.normal(size=(3, 3)))[0].astype(np.float32)
    assert_allclose(gaussian_kernel(Z @ turn, Z @ turn, width), K, atol=2e-3)
    assert 0.05 <= kernel_width(Z, np.random.RandomState(0)) <= 1.4


@given(seed=SEEDS, kind=st.sampled_from(UNCERTAINTIES), k=st.integers(1, 6))
def test_uncertainty_is_0_for_the_certain_and_largest_for_equal_odds(seed, kind, k):
    rng = np.random.RandomState(seed)
    proba = rng.dirichlet(np.full(k, 0.3), size=10)
    worth = uncertainty_of(proba, kind)
    assert ((worth >= 0) & (worth <= 1 + 1e-12)).all()
    assert_allclose(uncertainty_of(proba[:, rng.permutation(k)], kind), worth)
    assert_allclose(uncertainty_of(np.eye(k), kind), 0)
    highest = uncertainty_of(np.full((1, k), 1 / k), kind)[0]
    assert (worth <= highest + 1e-12).all()


@given(seed=SEEDS, n=st.integers(1, 20), k=st.integers(1, 5))
def test_class_shares_are_shares_in_any_order(seed, n, k):
    rng = np.random.RandomState(seed)
    proba = rng.dirichlet(np.full(k, 0.2), size=n)
    shares, order = class_shares(proba), rng.permutation(k)
    assert_allclose(shares.sum(), 1)
    assert (shares > 0).all()
    assert_allclose(class_shares(proba[:, order]), shares[order])


def slow_uncertainty(p, kind):
    p = np.sort(p)[::-1]
    if len(p) == 1:
        return 0.0
    if kind == "least_confidence":
        return 1 - p[0]
    if kind == "margin":
        return 1 - (p[0] - p[1])
    return -sum(v * np.log(v) for v in p if v > 0) / np.log(len(p))


@given(seed=SEEDS, k=st.integers(1, 5), kind=st.sampled_from(UNCERTAINTIES))
def test_weights_are_those_of_the_definition(seed, k, kind):
    rng = np.random.RandomState(seed)
    n, trust = rng.randint(1, 20), rng.uniform()
    proba, prior = rng.dirichlet(np.full(k, 0.5), size=(2, n))
    weights = learn_weights(
        proba, prior, trust, uncertainty=kind, sharpness=2.0, balance=0.5
    )
    mixed = (1 - trust) * proba + trust * prior
    shares = class_shares(mixed)
    u = np.array([slow_uncertainty(p, kind) for p in proba])
    w = u**2 / (mixed @ shares) ** 0.5
    w += 1e-6 * max(w.max(), 1e-6)
    taken = mixed.argmax(axis=1)
    totals = np.array([max(w[taken == c].sum(), w.mean()) for c in range(k)])
    totals /= totals.sum()
    weight, odds = weights.weigh(proba, prior, n)
    assert_allclose(weight, w, rtol=1e-6, atol=1e-15)
    assert_allclose(odds, w * (0.5 + 0.5 / (k * totals[taken])), rtol=1e-6, atol=1e-15)


@pytest.mark.parametrize("picks", [galaxy_picks, direct_picks])
@given(seed=SEEDS, n=st.integers(2, 25), k=st.integers(2, 4))
def test_rankings_give_open_samples_once(picks, seed, n, k):
    rng = np.random.RandomState(seed)
    proba = rng.dirichlet(np.ones(k), size=n).round(1)
    proba /= np.maximum(proba.sum(axis=1, keepdims=True), 1e-9)
    labels = np.where(rng.uniform(size=n) < 0.5, -1, rng.randint(k, size=n))
    labels[0] = -1
    n_open = int((labels < 0).sum())
    for wanted in {1, n_open // 2 + 1 if n_open > 1 else 1, n_open}:
        found = picks(proba, labels, wanted, np.random.RandomState(0))
        assert len(set(found.tolist())) == wanted
        assert (labels[found] < 0).all()
    for order in ClassRankings(proba):
        assert_array_equal(np.sort(order), np.arange(n))


def test_a_class_that_nothing_is_taken_for_has_a_part_of_the_draw():
    settings = {"uncertainty": "margin", "sharpness": 1.0, "balance": 0.0}
    weights = learn_weights(np.array([[0.8, 0.2], [0.6, 0.4]]), None, 0.5, **settings)
    assert_allclose(weights.class_totals, [2 / 3, 1 / 3])
