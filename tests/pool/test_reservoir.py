"""The weighted sample of a pool that comes in blocks."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from cofm_sklearn.pool.reservoir import (
    draw_priorities,
    fill_reservoir,
    merge_reservoirs,
)
from cofm_sklearn.query.worth import class_shares, learn_weights


def fill(weight, size, n, cuts=(), seed=0, X=None):
    """Fill a reservoir from blocks that end at `cuts`."""
    X = np.arange(len(size), dtype=np.float32)[:, None] if X is None else X
    reservoir, edges = None, [0, *cuts, len(size)]
    for start, stop in itertools.pairwise(edges):
        if start == stop:
            continue
        part = slice(start, stop)
        reservoir = fill_reservoir(
            reservoir,
            n,
            start,
            draw_priorities(size[part], start, seed),
            size[part],
            weight[part],
            lambda keep, start=start: X[start + keep],
        )
    return reservoir


def same(a, b):
    for name in ("rows", "priority", "size", "weight"):
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
    difference = a.X - b.X
    assert abs(difference).max() == 0


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 1000),
    n_rows=st.integers(1, 60),
    n=st.integers(1, 70),
    cuts=st.lists(st.integers(0, 60), max_size=6),
)
def test_blocks_of_any_size_and_merges_in_any_order_agree(seed, n_rows, n, cuts):
    rng = np.random.RandomState(seed)
    weight, size = rng.uniform(0.1, 5, n_rows), rng.uniform(0.1, 5, n_rows)
    whole = fill(weight, size, n, seed=seed)
    cuts = sorted(min(cut, n_rows) for cut in cuts)
    same(fill(weight, size, n, cuts, seed), whole)
    edges = [0, *cuts, n_rows]
    parts = []
    for start, stop in itertools.pairwise(edges):
        if start < stop:
            part = slice(start, stop)
            priority = draw_priorities(size[part], start, seed)
            X = np.arange(start, stop, dtype=np.float32)[:, None]
            parts.append(
                fill_reservoir(
                    None, n, start, priority, size[part], weight[part], X.__getitem__
                )
            )
    order = rng.permutation(len(parts))
    same(merge_reservoirs([*(parts[i] for i in order), None], n), whole)


def test_it_keeps_the_largest_priorities():
    rng = np.random.RandomState(0)
    size = rng.uniform(0.1, 5, 500)
    priority = draw_priorities(size, 0, 7)
    best = np.sort(np.argsort(-priority)[:21])
    np.testing.assert_array_equal(fill(size, size, 20, [90, 400], 7).rows, best)


def test_all_of_a_small_pool_stands_for_itself():
    weight = np.arange(1.0, 6)
    rows, stands_for, X = fill(weight, np.ones(5), 5).sample(5)
    np.testing.assert_array_equal(rows, range(5))
    np.testing.assert_array_equal(stands_for, weight)
    np.testing.assert_array_equal(X[:, 0], range(5))


def test_sums_over_any_part_of_the_pool_are_right_in_the_mean():
    """Against the sums themselves; 3,000 draws, the bound of the documentation."""
    rng = np.random.RandomState(0)
    weight = rng.exponential(size=300) ** 2
    size = weight * rng.uniform(0.5, 3, 300)
    part = np.arange(300) < 90
    n, sums = 40, []
    for seed in range(3000):
        rows, stands_for, _ = fill(weight, size, n, seed=seed).sample(n)
        assert len(rows) == n
        sums.append((stands_for[part[rows]].sum(), stands_for.sum()))
    mean, error = np.mean(sums, axis=0), np.std(sums, axis=0) / np.sqrt(3000)
    truth = np.array([weight[part].sum(), weight.sum()])
    assert (np.abs(mean - truth) < 4 * error).all()
    # No weight is drawn less often than at half of its share or so.
    ratio = (weight / size).max() * size.sum() / weight.sum()
    assert np.std(sums, axis=0)[1] <= weight.sum() * np.sqrt(ratio / (n - 1))


def test_heavy_samples_are_always_drawn():
    size = np.ones(200)
    size[[3, 150]] = 1e6
    for seed in range(50):
        rows, stands_for, _ = fill(size, size, 10, seed=seed).sample(10)
        assert {3, 150} <= set(rows)
        assert stands_for[rows == 3] == pytest.approx(1e6)


def test_sparse_rows_are_kept_as_such():
    X = sparse.random(50, 4, density=0.5, format="csr", random_state=0)
    size = np.random.RandomState(0).uniform(1, 2, 50)
    reservoir = fill(size, size, 9, [13, 29], X=X)
    assert sparse.issparse(reservoir.X)
    assert abs(reservoir.X - X[reservoir.rows]).max() == 0


def test_rare_classes_get_their_part_of_the_draw():
    """One class holds 1 % of the weight; half of the draw is shared by the classes."""
    taken_for = np.repeat([0, 1], [9900, 100])
    proba = np.where(taken_for[:, None] == [0, 1], 0.6, 0.4)
    weights = learn_weights(
        proba, None, 0.0, uncertainty="margin", sharpness=1, balance=0
    )
    weight, size = weights.weigh(proba, None, len(proba))
    counts = []
    for seed in range(20):
        rows, stands_for, _ = fill(weight, size, 200, seed=seed).sample(200)
        rare = taken_for[rows] == 1
        counts.append(rare.sum())
        assert stands_for[rare].sum() == pytest.approx(weight[9900:].sum(), rel=0.5)
    # Of 200, 100 go by weight (1 of them rare) and 50 more to the rare class.
    assert 40 < np.mean(counts) < 60


def test_weights_of_blocks_are_the_weights_of_the_whole():
    rng = np.random.RandomState(0)
    proba, prior = rng.dirichlet(np.ones(4), (2, 100))
    weights = learn_weights(
        proba, prior, 0.3, uncertainty="entropy", sharpness=2.0, balance=0.5
    )
    whole = weights.weigh(proba, prior, 100)
    for part in (slice(0, 1), slice(1, 60), slice(60, 100)):
        block = weights.weigh(proba[part], prior[part], 40)
        np.testing.assert_allclose(block[0], whole[0][part])
        np.testing.assert_allclose(block[1], whole[1][part])
    mixed = 0.7 * proba + 0.3 * prior
    uncertainty = -(proba * np.log(proba)).sum(axis=1) / np.log(4)
    expected = uncertainty**2 / np.sqrt(mixed @ class_shares(mixed))
    np.testing.assert_allclose(whole[0], expected, rtol=1e-4)


def test_the_threshold_is_known_once_there_is_one_more_than_wanted():
    """With n rows there is room for a light one, which then is the threshold."""
    ones, X = np.ones(2), np.eye(2, dtype=np.float32)
    first = fill_reservoir(None, 2, 0, np.array([5.0, 4.0]), ones, ones, X.__getitem__)
    assert first.threshold(2) == -np.inf
    light = np.array([0.5, 0.1])
    both = fill_reservoir(first, 2, 2, light, ones, ones, X.__getitem__)
    assert both.rows.tolist() == [0, 1, 2]
    assert both.threshold(2) == 0.5
