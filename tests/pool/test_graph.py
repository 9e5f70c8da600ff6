"""Spreading over a graph: against slow versions, and by properties."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from cofm_sklearn.pool.graph import (
    distinct_rows,
    join_rows,
    kernel_affinity,
    morans_i,
    nearest_by_class,
    spread,
)


def random_affinity(seed, n=8):
    rng = np.random.RandomState(seed)
    W = np.triu(rng.uniform(size=(n, n)) * (rng.uniform(size=(n, n)) < 0.5), 1)
    return W + W.T


@given(seed=st.integers(0, 10**6), alpha=st.sampled_from([0.0, 0.3, 0.8]))
def test_spread_solves_the_linear_system(seed, alpha):
    W = random_affinity(seed)
    seeds = np.random.RandomState(seed).uniform(size=(8, 3))
    degree = W.sum(axis=1)
    root = np.sqrt(np.where(degree > 0, degree, 1))
    S = W / root[:, None] / root
    wanted = (1 - alpha) * np.linalg.solve(np.eye(8) - alpha * S, seeds)
    found, found_root = spread(sparse.csr_array(W), seeds, alpha)
    assert_allclose(found, wanted, atol=2 * alpha**40)
    assert_allclose(found_root, root)


@given(seed=st.integers(0, 10**6))
def test_order_of_nodes_does_not_matter(seed):
    W = random_affinity(seed)
    rng = np.random.RandomState(seed)
    seeds, order = rng.uniform(size=(8, 2)), rng.permutation(8)
    plain, _ = spread(sparse.csr_array(W), seeds)
    moved, _ = spread(sparse.csr_array(W[order][:, order]), seeds[order])
    assert_allclose(moved, plain[order], rtol=1e-9)


def test_nothing_spreads_between_parts_that_are_not_joined():
    pair = np.array([[0, 1], [1, 0.0]])
    W = sparse.block_diag([pair, pair, [[0.0]]], format="csr")
    seeds = np.array([[1.0], [0], [0], [0], [0.5]])
    found, _ = spread(sparse.csr_array(W), seeds)
    assert (found[:2] > 0.4).all()
    assert_array_equal(found[2:4], 0)
    assert_allclose(found[4], 0.1 * 0.5)  # a node without neighbours fades


def test_new_nodes_join_old_ones_only():
    W = sparse.csr_array(random_affinity(0))
    rows = sparse.csr_array(np.array([[0.5, 0, 0, 0, 0, 0, 0.2, 0], [0] * 8]))
    joined = join_rows(W, rows).toarray()
    assert_array_equal(joined, joined.T)
    assert_array_equal(joined[:8, :8], W.toarray())
    assert_array_equal(joined[8:, :8], rows.toarray())
    assert_array_equal(joined[8:, 8:], 0)
    assert join_rows(W, rows[:0]) is W


def test_affinity_falls_with_the_square_of_the_distance():
    distances = np.array([[0.0, 0.5], [1.0, 2.0]])
    indices = np.array([[3, 0], [1, 2]])
    wanted = np.zeros((2, 4))
    wanted[0, 3], wanted[0, 0] = 1, np.exp(-0.5)
    wanted[1, 1], wanted[1, 2] = np.exp(-2), np.exp(-8)
    assert_allclose(kernel_affinity((distances, indices), 1.0, 4).toarray(), wanted)


@pytest.mark.parametrize("make", [np.asarray, sparse.csr_matrix])
def test_equal_rows_are_found_once(make):
    rng = np.random.RandomState(0)
    Z = rng.normal(size=(20, 5)).astype(np.float32)
    Z[7], Z[12] = Z[3], Z[3] + 1e-7
    Z[15] = 0
    Z[16] = -0.0
    wanted = np.setdiff1d(np.arange(20), [7, 12, 16])
    assert_array_equal(distinct_rows(make(Z)), wanted)


def slow_morans_i(indices, values):
    """Moran's I as it is printed, with weights that are 1 for each neighbour."""
    n, mean = len(values), values.mean(axis=0)
    above = sum(
        (values[i] - mean) @ (values[j] - mean) for i in range(n) for j in indices[i]
    )
    below = sum((value - mean) @ (value - mean) for value in values)
    return n / indices.size * above / below


@given(seed=st.integers(0, 10**6), n_columns=st.integers(1, 3))
def test_morans_i_equals_its_formula(seed, n_columns):
    rng = np.random.RandomState(seed)
    indices = np.array([rng.choice(9, size=4, replace=False) for _ in range(9)])
    values = rng.normal(size=(9, n_columns))
    assert_allclose(morans_i(indices, values), slow_morans_i(indices, values))


def test_morans_i_without_anything_to_compare_is_zero():
    assert morans_i(np.empty((5, 0), dtype=int), np.arange(5.0)[:, None]) == 0
    assert morans_i(np.array([[1], [0]]), np.full((2, 3), 0.7)) == 0


@given(seed=st.integers(0, 10**6), attention=st.sampled_from([0.0, 0.5, 3.0]))
def test_neighbours_by_class_are_the_nearest_of_longer_rows(seed, attention):
    rng = np.random.RandomState(seed)

    def unit(rows):
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    Z, nodes = unit(rng.normal(size=(6, 3))), unit(rng.normal(size=(9, 3)))
    P, Q = rng.dirichlet([1, 1, 1], size=6), rng.dirichlet([1, 1, 1], size=9)
    far = np.linalg.norm(Z[:, None] - nodes, axis=2)
    candidates = np.argsort(far, axis=1)[:, :7]
    distances, indices = nearest_by_class(
        (np.take_along_axis(far, candidates, 1), candidates), P, Q, attention, 4
    )
    longer = unit(np.hstack([Z, attention * np.sqrt(P)]))
    of_nodes = unit(np.hstack([nodes, attention * np.sqrt(Q)]))
    wanted = np.linalg.norm(longer[:, None] - of_nodes, axis=2)
    wanted = np.sort(np.take_along_axis(wanted, candidates, 1), axis=1)[:, :4]
    assert_allclose(distances, wanted, atol=1e-3)
    assert all(set(row) <= set(some) for row, some in zip(indices, candidates))
    found = np.linalg.norm(longer[:, None] - of_nodes[indices], axis=2)
    assert_allclose(found, wanted, atol=1e-3)
