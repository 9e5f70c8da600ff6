"""Shared checks and conversions, by properties."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.linear_model import LogisticRegression

from cofm_sklearn.utils.labels import align_proba, encode_labels
from cofm_sklearn.utils.validation import (
    check_integer,
    check_n_instances,
    check_number,
    check_pool,
    check_proba,
    check_unit_embeddings,
    is_fitted,
    is_mixed_frame,
    n_rows,
    stack_rows,
    take_rows,
)

M = np.arange(12.0).reshape(6, 2)
CONTAINERS = {
    "array": np.asarray,
    "list": lambda X: X.tolist(),
    "csr": sparse.csr_array,
    "coo": sparse.coo_matrix,
    "frame": lambda X: pd.DataFrame(X, index=list("uvwxyz")[: len(X)]),
}


def dense(X):
    return X.toarray() if sparse.issparse(X) else np.asarray(X)


@pytest.mark.parametrize("kind", CONTAINERS)
def test_rows_of_any_container(kind):
    X = CONTAINERS[kind](M)
    assert n_rows(X) == 6
    assert_array_equal(dense(take_rows(X, np.array([4, 0, 4]))), M[[4, 0, 4]])
    nothing = take_rows(X, np.array([], dtype=int))
    assert n_rows(nothing) == 0
    if kind != "list":
        both = stack_rows(X, CONTAINERS[kind](M[:2]))
        assert_array_equal(dense(both), np.vstack([M, M[:2]]))


def test_numbers_may_be_stacked_below_sparse_rows():
    assert_array_equal(dense(stack_rows(sparse.csr_array(M), M)), np.vstack([M, M]))


def test_numbers_take_the_form_of_those_above():
    frame = pd.DataFrame(M, columns=["a", "b"])
    both = stack_rows(frame, M)
    assert list(both.columns) == ["a", "b"]
    assert_array_equal(both, np.vstack([M, M]))
    assert_array_equal(stack_rows(M, frame.astype("Float64")), np.vstack([M, M]))


def as_column(values, dtype="category"):
    return pd.DataFrame(
        {"n": range(len(values)), "colour": pd.Series(values, dtype=dtype)}
    )


@pytest.mark.parametrize(
    "below",
    [
        as_column(["green", "red"]),
        as_column(["green", "red"], object),
        as_column([None, None]),
        as_column([None, None], float),
    ],
)
def test_categories_of_frames_are_united(below):
    red = as_column(["red", "blue"])
    both = stack_rows(red, below)
    pd.testing.assert_frame_equal(stack_rows(red, below[["colour", "n"]]), both)
    assert isinstance(both["colour"].dtype, pd.CategoricalDtype)
    given = below["colour"].dropna().tolist()
    assert {*both["colour"].cat.categories} == {"red", "blue", *given}
    assert both["colour"].dropna().tolist() == ["red", "blue", *given]


def test_ordered_categories_take_known_values_in_the_same_order_only():
    low, high = (pd.CategoricalDtype(c, ordered=True) for c in (["a", "b"], ["b", "a"]))
    both = stack_rows(as_column(["a"], low), as_column(["b", None], object))
    assert both["colour"].dtype == low
    with pytest.raises(ValueError, match=r"column 'colour'.*CategoricalDtype"):
        stack_rows(as_column(["a"], low), as_column(["a"], high))
    with pytest.raises(ValueError, match=r"column 'colour'.*CategoricalDtype"):
        stack_rows(as_column(["a"], low), as_column(["c"], object))


labels = st.one_of(
    st.lists(st.integers(-5, 5), min_size=1, max_size=20),
    st.lists(st.text("abc", max_size=3), min_size=1, max_size=20),
    st.lists(st.booleans(), min_size=1, max_size=20),
)


@given(labels=labels, as_object=st.booleans())
@settings(max_examples=60, deadline=None)
def test_encoding_is_undone_by_the_classes(labels, as_object):
    y = np.array(labels, dtype=object if as_object else None)
    classes = np.unique(np.array(labels))
    codes = encode_labels(y, classes)
    assert codes.dtype == np.int64
    assert classes[codes].tolist() == list(labels)


@pytest.mark.parametrize(
    ("y", "classes", "named"),
    [
        (["a", "typo"], ["a", "b"], "'typo'"),
        ([1, 7], [1, 2], "7"),
        ([1, 2], ["1", "2"], "1"),  # a number is no text
        (["1"], [1, 2], "'1'"),
        ([np.nan], [0.0, 1.0], "nan"),
        (["a"], [], "'a'"),
    ],
)
def test_unknown_labels_are_named(y, classes, named):
    with pytest.raises(ValueError, match=f"given holds the unknown label {named}"):
        encode_labels(y, np.array(classes), name="given")


@given(seed=st.integers(0, 10**6), n_classes=st.integers(1, 6))
@settings(max_examples=30, deadline=None)
def test_aligned_columns(seed, n_classes):
    rng = np.random.RandomState(seed)
    classes = np.array([f"c{k}" for k in range(n_classes)])
    known = rng.permutation(n_classes)[: rng.randint(1, n_classes + 1)]
    proba = rng.dirichlet(np.ones(len(known)), size=4)
    aligned = align_proba(proba, classes[known], classes)
    assert_array_equal(aligned[:, known], proba)
    assert_allclose(aligned.sum(axis=1), 1)
    with pytest.raises(ValueError, match="unknown label 'other'"):
        align_proba(proba, np.array(["other"] * len(known)), classes)


finite = st.floats(-1e3, 1e3, width=32)


@given(
    X=arrays(
        np.float64, st.tuples(st.integers(1, 5), st.integers(1, 4)), elements=finite
    )
)
@settings(max_examples=50, deadline=None)
def test_unit_rows(X):
    X[np.abs(X) < 1e-3] = 0
    before = X.copy()
    Z = check_unit_embeddings(X)
    assert Z.dtype == np.float32
    length = np.linalg.norm(X, axis=1)
    assert_allclose(np.linalg.norm(Z, axis=1), length > 0, atol=1e-5)
    assert_allclose(Z * length[:, None], X, rtol=1e-4, atol=1e-4)
    assert_allclose(dense(check_unit_embeddings(sparse.csr_array(X))), Z, atol=1e-6)
    assert_array_equal(X, before)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_array])
@pytest.mark.parametrize("length", [1e-36, 1e-9, 1e-6, 1e18, 1e25, 1e37])
def test_rows_of_any_length_become_unit_rows(container, length):
    """The squares of such numbers are 0 or inf in float32."""
    X = container(np.array([[3.0, 4.0], [0.0, 0.0], [1.0, 0.0]]) * length)
    assert_allclose(dense(check_unit_embeddings(X)), [[0.6, 0.8], [0, 0], [1, 0]])


def test_bad_embeddings_are_named():
    with pytest.raises(ValueError, match=r"Z has 2 features, but 3 are expected\."):
        check_unit_embeddings(M, name="Z", n_features=3)
    with pytest.raises(ValueError, match="Input Z contains NaN"):
        check_unit_embeddings(np.array([[np.nan, 1.0]]), name="Z")


def test_probabilities():
    proba = check_proba([[0.2, 0.8], [0.5004, 0.5]], 2, 2)
    assert_allclose(proba.sum(axis=1), 1, rtol=1e-15)
    for bad, message in [
        ([[0.2, 0.7]], "row 0 .* sums to 0.9"),
        ([[0.5, 0.5], [1.1, -0.1]], "row 1 has a negative"),
        ([[np.nan, 0.5]], "NaN"),
        ([0.5, 0.5], "2D"),
    ]:
        with pytest.raises(ValueError, match=message):
            check_proba(bad)
    with pytest.raises(ValueError, match="p has 1 rows for 2 samples"):
        check_proba([[1.0]], n_samples=2, name="p")
    with pytest.raises(ValueError, match="p has 1 columns for 2 classes"):
        check_proba([[1.0]], n_classes=2, name="p")


def test_number_of_instances():
    assert check_n_instances(np.int64(3), 3) == 3
    for bad in (0, -1, 4):
        with pytest.raises(ValueError, match=f"size of the pool, 3; got {bad}"):
            check_n_instances(bad, 3)
    for bad in (1.0, True, "2", None):
        with pytest.raises(TypeError, match="must be an integer"):
            check_n_instances(bad, 3)


def test_kinds_of_frames():
    texts = pd.DataFrame({"text": ["a", "b"]})
    numbers = pd.DataFrame({"x": [1, 2], "y": [0.5, 1.0]})
    mixed = texts.join(numbers)
    assert [is_mixed_frame(X) for X in (texts, numbers, mixed, M)] == [
        False,
        False,
        True,
        False,
    ]
    for frame in (mixed, mixed[["x", "text"]]):
        assert check_pool(frame) is frame
    assert check_pool(texts).tolist() == ["a", "b"]
    assert_array_equal(check_pool(numbers), numbers.to_numpy())
    for empty in (texts[:0], mixed[:0], M[:0], []):
        with pytest.raises(ValueError, match="pool is empty"):
            check_pool(empty, name="pool")


def test_fitted():
    model = LogisticRegression()
    assert not is_fitted(model)
    assert is_fitted(model.fit(M, [0, 1] * 3))


@pytest.mark.parametrize(
    ("value", "options", "valid"),
    [
        (0, {"high": 1}, True),
        (1, {"high": 1}, True),
        (1, {"high": 1, "closed": "left"}, False),
        (0, {"closed": "neither"}, False),
        (np.float32(0.5), {}, True),
        (np.inf, {}, False),
        (np.nan, {}, False),
        (True, {}, False),
        (np.array([0.5]), {}, False),
        ("0.5", {}, False),
        (None, {}, False),
        (None, {"also": ("auto", None)}, True),
        ("auto", {"also": ("auto", None)}, True),
        ("Auto", {"also": ("auto", None)}, False),
    ],
)
def test_numbers_in_a_range(value, options, valid):
    if valid:
        check_number("share", value, **options)
        return
    with pytest.raises(ValueError, match=r"share must be .*a number in the range"):
        check_number("share", value, **options)


def test_ranges_are_said():
    with pytest.raises(
        ValueError,
        match=r'share must be "auto" or None or a number in the range \[0, 1\), got 1',
    ):
        check_number("share", 1, 0, 1, closed="left", also=("auto", None))
    with pytest.raises(ValueError, match='"auto" or an integer of at least 1'):
        check_integer("size", True, 1, also=("auto",))
    check_integer("size", "auto", 1, also=("auto",))
