"""Greedy coverage against a slow, obvious version."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.preprocessing import normalize

from cofm_sklearn.query import coverage
from cofm_sklearn.query.coverage import (
    covered_by,
    gaussian_kernel,
    greedy_coverage,
    kernel_width,
    similarities,
    to_device,
)


def unit_rows(seed, n, d=6):
    Z = np.random.RandomState(seed).normal(size=(n, d)).astype(np.float32)
    return normalize(Z)


def objective(X, weight, covered, picked, width):
    """Weighted coverage in float64, by the formula."""
    X = X.astype(np.float64)
    best = covered.astype(np.float64)
    for i in picked:
        distance2 = ((X - X[i]) ** 2).sum(axis=1)
        best = np.maximum(best, np.exp(-distance2 / (2 * width**2)))
    return float(weight @ best)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.integers(2, 40),
    width=st.floats(0.1, 1.5),
    share=st.floats(0.1, 1.0),
)
def test_every_pick_is_the_best_of_all(seed, n, width, share):
    rng = np.random.RandomState(seed)
    X = unit_rows(seed, n)
    weight = rng.uniform(size=n)
    covered = rng.uniform(size=n).astype(np.float32) * 0.5
    n_instances = max(1, int(share * n))
    picked, gains = greedy_coverage(X, weight, covered, n_instances, width)
    assert len(set(picked)) == n_instances
    start = objective(X, weight, covered, [], width)
    for i in range(n):
        gain = objective(X, weight, covered, [i], width) - start
        assert gains[i] == pytest.approx(gain, abs=1e-4)
    for step in range(n_instances):
        rest = [i for i in range(n) if i not in picked[:step]]
        values = [
            objective(X, weight, covered, [*picked[:step], i], width) for i in rest
        ]
        chosen = objective(X, weight, covered, picked[: step + 1], width)
        assert chosen >= max(values) - 1e-4


def test_blocks_and_sparse_agree_with_one_dense_pass(monkeypatch):
    X = unit_rows(0, 50)
    weight, covered = np.linspace(0, 1, 50), np.zeros(50, np.float32)
    picked, gains = greedy_coverage(X, weight, covered, 20, 0.5)
    near = covered_by(X, X[:9], 0.5)
    for name, value in (("_ROWS", 7), ("_COLUMNS", 11), ("_KEPT", 20)):
        monkeypatch.setattr(coverage, name, value)
    for Z in (X, sparse.csr_matrix(X)):
        again, gains_again = greedy_coverage(Z, weight, covered, 20, 0.5)
        np.testing.assert_array_equal(again, picked)
        np.testing.assert_allclose(gains_again, gains, rtol=1e-4)
        np.testing.assert_allclose(covered_by(Z, Z[:9], 0.5), near, rtol=1e-4)


def test_duplicates_are_picked_last():
    X = np.repeat(unit_rows(1, 5), 4, axis=0)
    picked, _ = greedy_coverage(X, np.ones(20), np.zeros(20), 5, 0.1)
    assert len({i // 4 for i in picked}) == 5


def test_kernel_is_the_gaussian_of_the_distance():
    A, B = unit_rows(2, 4), unit_rows(3, 5)
    distance2 = ((A[:, None] - B[None]) ** 2).sum(axis=2)
    np.testing.assert_allclose(
        gaussian_kernel(A, B, 0.4), np.exp(-distance2 / 0.32), rtol=1e-4, atol=1e-6
    )
    assert gaussian_kernel(A, A, 0.05).max() <= 1.0


def test_covered_by_nothing_is_zero():
    X = unit_rows(4, 7)
    np.testing.assert_array_equal(covered_by(X, X[:0], 0.5), np.zeros(7))


@pytest.mark.parametrize("columns", [3, 4096])
def test_covered_by_is_the_kernel_of_the_nearest_centre(monkeypatch, columns):
    monkeypatch.setattr(coverage, "_COLUMNS", columns)
    X, centres = unit_rows(4, 20), unit_rows(5, 11)
    distance2 = ((X[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
    near = covered_by(X, centres, 0.9)
    np.testing.assert_allclose(near, np.exp(-distance2 / 1.62), rtol=1e-4)
    # The far side of the sphere is farther than any bound that a search starts from.
    opposite = covered_by(-X[:1], X[:1], 1.0)
    np.testing.assert_allclose(opposite, np.exp(-2), rtol=1e-4)
    assert near.dtype == np.float32


def test_where_nothing_is_left_to_gain_rows_are_still_picked_once():
    X = unit_rows(7, 12)
    for weight, covered in ((np.zeros(12), np.zeros(12)), (np.ones(12), np.ones(12))):
        picked, gains = greedy_coverage(X, weight, covered, 12, 0.5)
        assert sorted(picked) == list(range(12))
        np.testing.assert_array_equal(gains, np.zeros(12))
        assert picked.dtype == np.int64
        assert gains.dtype == np.float32


def test_products_are_kept_up_to_a_number_of_rows(monkeypatch):
    monkeypatch.setattr(coverage, "_KEPT", 20)
    X = unit_rows(8, 20)
    np.testing.assert_allclose(similarities(X), X @ X.T, rtol=1e-5, atol=1e-6)
    assert similarities(unit_rows(8, 21)) is None


def test_tensors_are_covered_as_arrays_are(monkeypatch):
    X = unit_rows(9, 60)
    weight, covered = np.linspace(0, 1, 60), np.linspace(0.2, 0, 60)
    tensor = to_device(X, "cpu")
    for kept in (4096, 20):
        monkeypatch.setattr(coverage, "_KEPT", kept)
        picked, gains = greedy_coverage(X, weight, covered, 25, 0.5)
        again, gains_again = greedy_coverage(tensor, weight, covered, 25, 0.5)
        np.testing.assert_array_equal(again, picked)
        np.testing.assert_allclose(gains_again, gains, rtol=1e-4)
        assert isinstance(gains_again, np.ndarray)
    near = covered_by(tensor, tensor[:9], 0.5)
    kernel = gaussian_kernel(tensor, tensor[:9], 0.5)
    assert isinstance(near, torch.Tensor)
    assert isinstance(kernel, torch.Tensor)
    np.testing.assert_allclose(near.numpy(), covered_by(X, X[:9], 0.5), rtol=1e-4)
    np.testing.assert_allclose(
        kernel.numpy(), gaussian_kernel(X, X[:9], 0.5), rtol=1e-4
    )
    widths = [kernel_width(Z, np.random.RandomState(0)) for Z in (X, tensor)]
    assert widths[0] == pytest.approx(widths[1], rel=1e-4)


def test_rows_go_to_the_device_that_is_asked_for():
    X = unit_rows(10, 8)
    assert to_device(X, None) is X
    for Z in (X, sparse.csr_matrix(X)):
        np.testing.assert_array_equal(to_device(Z, "cpu").numpy(), X)
    assert to_device(X, "auto").device.type in ("cpu", "cuda", "mps")
    # A device without values, which every build of torch has.
    meta = to_device(X, "meta")
    assert meta.device == torch.device("meta")
    assert covered_by(meta, meta[:0], 0.5).device == torch.device("meta")
    with pytest.raises(ValueError, match=r"device='tape'.*tape.*\"cpu\""):
        to_device(X, "tape")


def test_width_follows_the_density_of_the_pool():
    rng = np.random.RandomState(0)
    centre = unit_rows(5, 1, 20)
    widths = [
        kernel_width(
            normalize(centre + spread * unit_rows(6, 600, 20)).astype(np.float32), rng
        )
        for spread in (0.2, 0.5, 1.0)
    ]
    assert widths[0] < widths[1] < widths[2]
    # Rows that are all alike leave the least width there is.
    assert kernel_width(np.repeat(centre, 50, axis=0), rng) == 0.05
    assert kernel_width(centre, rng) > 0


@pytest.mark.parametrize(
    ("n_pool", "k"), [(3, 1), (4, 1), (100, 1), (300, 1), (400, 2), (500, 2)]
)
def test_width_is_the_median_distance_to_a_neighbour(n_pool, k):
    """The 10th neighbour of 2,048 samples, the 2nd of 400; at least the first."""
    X = unit_rows(11, n_pool)
    distance = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2))
    expected = 1.05 * np.median(np.sort(distance, axis=1)[:, k])  # 0 is itself
    for similar in (None, similarities(X)):
        width = kernel_width(X, np.random.RandomState(0), similar=similar)
        assert width == pytest.approx(expected, rel=1e-3)


def test_width_looks_no_further_than_the_last_neighbour():
    X = unit_rows(12, 21)
    farthest = np.sqrt(((X[:, None] - X[None]) ** 2).sum(axis=2)).max(axis=1)
    width = kernel_width(X, np.random.RandomState(0), n_samples=21, neighbour=900)
    assert width == pytest.approx(1.05 * np.median(farthest), rel=1e-3)


def test_pools_too_small_for_neighbours_have_a_width_all_the_same():
    for n_pool in (1, 2):
        assert kernel_width(unit_rows(13, n_pool), np.random.RandomState(0)) == 0.3


@pytest.mark.parametrize("seed", range(3))
def test_width_of_a_larger_pool_is_that_of_the_samples_drawn(seed):
    """60 rows at even angles of a circle, and 10 that have no odds of being drawn."""
    angle = 2 * np.pi * np.arange(60) / 60
    X = np.zeros((70, 3), np.float32)
    X[:60, 0], X[:60, 1], X[60:, 2] = np.cos(angle), np.sin(angle), 1
    odds = np.r_[np.ones(60), np.full(10, 1e-9)]
    width = kernel_width(X, np.random.RandomState(seed), odds, n_samples=15)
    # The 10th neighbour is five steps away, and all of the circle is drawn.
    assert width == pytest.approx(1.05 * 2 * np.sin(5 * np.pi / 60), rel=1e-3)


def test_width_draws_in_proportion_to_the_odds():
    """Copies have lower odds each, but they are the most, so their distance counts."""
    X = np.concatenate(
        [unit_rows(14, 100, 20), np.repeat(unit_rows(15, 1, 20), 300, 0)]
    )
    odds = np.repeat([1.5, 1.0], [100, 300])
    rng = np.random.RandomState(0)
    assert kernel_width(X, rng, odds, n_samples=25) == 0.05
    assert kernel_width(X, rng, odds**20, n_samples=25) > 0.5


def test_width_of_a_part_does_not_depend_on_products_at_hand():
    X = unit_rows(16, 200)
    alone, at_hand = (
        kernel_width(X, np.random.RandomState(0), similar=similar, n_samples=10)
        for similar in (None, similarities(X))
    )
    assert at_hand == pytest.approx(alone, rel=1e-4)
