"""Greedy coverage against a slow, obvious version."""

import numpy as np
import pytest
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
    X = unit_rows(4, 6)
    np.testing.assert_array_equal(covered_by(X, X[:0], 0.5), np.zeros(6))


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
