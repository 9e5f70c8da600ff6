"""Long tails and wrong labels do exactly what their definitions say."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from scipy import sparse

from cofm_sklearn.datasets import flip_labels, make_long_tail
from cofm_sklearn.utils.labels import check_classes

LABELS = st.lists(st.integers(0, 5), min_size=1, max_size=80)
SEEDS = st.integers(0, 1000)
FEW = settings(max_examples=40, deadline=None)


def sizes(y, kept):
    """Class sizes of a selection, largest first."""
    return sorted(np.unique(np.asarray(y)[kept], return_counts=True)[1])[::-1]


# ---------------------------------------------------------------- make_long_tail


def test_balanced_data_gets_the_geometric_profile():
    y = np.repeat(np.arange(5), 1000)
    kept = make_long_tail(y, ratio=16, random_state=0)
    assert sizes(y, kept) == [1000, 500, 250, 125, 62]


@FEW
@given(LABELS, st.floats(1, 200), SEEDS, st.integers(1, 4))
def test_indices_are_sorted_unique_and_no_class_is_lost(y, ratio, seed, least):
    kept = make_long_tail(y, ratio=ratio, random_state=seed, min_class_size=least)
    assert_array_equal(kept, np.unique(kept))
    assert kept.min() >= 0
    assert kept.max() < len(y)
    for label in set(y):
        size = sum(y[i] == label for i in kept)
        assert size >= min(least, y.count(label))


def test_order_is_from_head_to_tail_and_sizes_respect_what_is_there():
    y = np.repeat(["a", "b", "c"], [300, 10, 300])
    kept = make_long_tail(y, ratio=9, order=["c", "b", "a"], random_state=0)
    labels, counts = np.unique(y[kept], return_counts=True)
    assert dict(zip(labels, counts)) == {"c": 300, "b": 10, "a": 33}


def test_order_is_drawn_from_the_seed():
    y = np.repeat(np.arange(6), 50)

    def head(seed):
        kept = make_long_tail(y, random_state=seed)
        return np.bincount(y[kept]).argmax()

    assert len({head(seed) for seed in range(20)}) > 2
    assert_array_equal(
        make_long_tail(y, random_state=3), make_long_tail(y, random_state=3)
    )


def test_a_larger_ratio_keeps_a_subset():
    y = np.random.default_rng(0).integers(0, 5, 500)
    wide = make_long_tail(y, ratio=5, random_state=1)
    narrow = make_long_tail(y, ratio=50, random_state=1)
    assert set(narrow) < set(wide)


@FEW
@given(st.integers(20, 600), SEEDS)
def test_max_samples_is_met_and_keeps_ratio_and_tail(limit, seed):
    y = np.repeat(np.arange(4), 200)
    free = make_long_tail(y, ratio=20, random_state=seed, min_class_size=3)
    kept = make_long_tail(
        y, ratio=20, random_state=seed, min_class_size=3, max_samples=limit
    )
    assert set(kept) <= set(free)
    assert len(kept) <= limit
    assert len(kept) > min(limit, len(free)) - 4  # no more left out than rounding does
    largest, *_, smallest = sizes(y, kept)
    assert smallest >= 3
    if smallest > 3:
        assert 20 * (smallest - 0.5) <= largest + 0.5 <= 20 * (smallest + 0.5) + 1


def test_ratio_none_keeps_natural_proportions():
    y = np.repeat([0, 1, 2], [600, 60, 6])
    assert_array_equal(make_long_tail(y, ratio=None), np.arange(666))
    kept = make_long_tail(y, ratio=None, max_samples=112, min_class_size=5)
    _, middle, smallest = sizes(y, kept)
    assert middle == 10
    assert smallest == 5


def test_one_class_stays():
    assert_array_equal(make_long_tail(["a"] * 4), np.arange(4))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ratio": 0.5}, "ratio"),
        ({"ratio": np.nan}, "ratio"),
        ({"order": ["a"]}, "order must name each class"),
        ({"order": ["a", "z"]}, "order holds the unknown label"),
        ({"order": [0, 1]}, "order holds the unknown label"),
        ({"min_class_size": 0}, "min_class_size"),
        ({"max_samples": 3}, "at least 4"),
        ({"max_samples": -1}, "max_samples"),
    ],
)
def test_long_tail_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_long_tail(np.repeat(["a", "b"], 30), **arguments)


# ------------------------------------------------------------------- flip_labels


@FEW
@given(LABELS, SEEDS)
def test_no_noise_gives_an_equal_copy(y, seed):
    y = np.array([*y, 0, 1])
    noisy = flip_labels(y, noise=0, random_state=seed)
    assert noisy is not y
    assert_array_equal(noisy, y)


@FEW
@given(LABELS, SEEDS, st.floats(0, 0.9), st.floats(0, 0.09))
def test_flips_are_nested_in_noise_and_keep_their_class(y, seed, low, step):
    y = np.array([*y, 0, 1])
    few = flip_labels(y, noise=low, random_state=seed)
    more = flip_labels(y, noise=low + step, random_state=seed)
    flipped = few != y
    assert_array_equal(more[flipped], few[flipped])


@FEW
@given(LABELS, SEEDS)
def test_a_flip_depends_on_the_position_alone(y, seed):
    y = np.array([*y, 0, 1, 2])
    whole = flip_labels(y, noise=0.5, classes=range(6), random_state=seed)
    changed = y.copy()
    changed[-1] = 5
    half = len(y) // 2
    part = flip_labels(y[:half], noise=0.5, classes=range(6), random_state=seed)
    assert_array_equal(part, whole[:half])
    other = flip_labels(changed, noise=0.5, classes=range(6), random_state=seed)
    assert_array_equal(other[:-1], whole[:-1])
    assert (other[-1] != 5) == (whole[-1] != 2)


def test_symmetric_noise_is_uniform_over_the_other_classes():
    y = np.repeat(np.arange(4), 20_000)
    noisy = flip_labels(y, noise=0.3, random_state=0)
    table = np.zeros((4, 4))
    np.add.at(table, (y, noisy), 1 / 20_000)
    expected = np.full((4, 4), 0.1) + 0.6 * np.eye(4)
    # five standard errors of a share of 0.1 in 20,000 draws are 0.011
    np.testing.assert_allclose(table, expected, atol=0.02)


def test_asymmetric_noise_follows_the_confusion():
    y = np.repeat(["a", "b", "c"], 2000)
    confusion = {"a": "b", "b": "a", "c": "a"}
    noisy = flip_labels(
        y, noise=0.4, kind="asymmetric", confusion=confusion, random_state=0
    )
    wrong = noisy != y
    assert 0.35 < wrong.mean() < 0.45
    assert_array_equal(noisy[wrong], [confusion[label] for label in y[wrong]])


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, pd.DataFrame])
def test_confusion_from_features_is_the_most_similar_class_mean(container):
    rng = np.random.default_rng(0)
    centres = np.array([[1, 0, 0], [0.9, 0.5, 0], [0, 1, 0.2], [0, 0.3, 1.0]])
    y = rng.permutation(np.repeat(np.arange(4), 100))
    X = centres[y] * rng.uniform(1, 5, (400, 1)) + rng.normal(scale=0.02, size=(400, 3))
    nearest = {}
    for k in range(4):  # the slow, obvious version
        means = [X[y == j].mean(axis=0) for j in range(4)]
        cosine = [
            means[k] @ m / np.linalg.norm(means[k]) / np.linalg.norm(m) for m in means
        ]
        cosine[k] = -2
        nearest[k] = int(np.argmax(cosine))
    noisy = flip_labels(y, noise=0.5, kind="asymmetric", X=container(X), random_state=0)
    expected = flip_labels(
        y, noise=0.5, kind="asymmetric", confusion=nearest, random_state=0
    )
    assert len(set(nearest.values())) > 1
    assert_array_equal(noisy, expected)


@pytest.mark.parametrize(
    "y",
    [
        np.array(["spam", "ham"] * 20),
        np.array(["spam", "ham"] * 20, dtype=object),
        np.array([0, 1] * 20, dtype=np.int8),
        np.array([True, False] * 20),
        pd.Series(["spam", "ham"] * 20),
        pd.Series(["spam", "ham"] * 20, dtype="category"),
    ],
)
def test_dtype_is_kept_and_labels_stay_known(y):
    noisy = flip_labels(y, noise=0.5, random_state=0)
    assert noisy.dtype == np.asarray(y).dtype
    assert set(noisy.tolist()) == set(np.asarray(y).tolist())
    assert (noisy != np.asarray(y)).any()


def test_one_class_without_noise_stays():
    y = np.array(["a"] * 5)
    noisy = flip_labels(y, noise=0)
    assert noisy.tolist() == y.tolist()
    assert noisy is not y


def test_a_class_without_samples_can_be_an_answer():
    noisy = flip_labels([0] * 100, noise=0.5, classes=[0, 1], random_state=0)
    assert set(noisy.tolist()) == {0, 1}


def test_input_is_not_written_to():
    y = np.array([0, 1] * 50)
    before = y.copy()
    flip_labels(y, noise=0.9, random_state=0)
    assert_array_equal(y, before)


@pytest.mark.parametrize(
    ("y", "arguments", "error", "message"),
    [
        (["a", "b"], {"noise": 1}, ValueError, "noise"),
        (["a", "b"], {"noise": -0.1}, ValueError, "noise"),
        (["a", "b"], {"noise": np.nan}, ValueError, "noise"),
        (["a", "b"], {"kind": "pairwise"}, ValueError, "kind"),
        (["a", "b"], {"kind": "asymmetric"}, ValueError, "confusion"),
        (["a", "b"], {"classes": ["a", "c"]}, ValueError, "unknown label"),
        (["a", "b"], {"classes": ["a", "a", "b"]}, ValueError, "repeats"),
        (["a", "b"], {"classes": ["a", "b", "long"]}, ValueError, "dtype"),
        (["a", "b"], {"classes": [0, 1]}, ValueError, "dtype"),
        ([0, 1], {"classes": ["a", "b"]}, ValueError, "dtype"),
        (["a", "a"], {}, ValueError, "one class"),
        ([], {}, ValueError, "empty"),
        (["a", None], {}, ValueError, "missing"),
        (np.array([0, "a"], dtype=object), {}, TypeError, "mixes"),
    ],
)
def test_flip_errors(y, arguments, error, message):
    with pytest.raises(error, match=message):
        flip_labels(y, **arguments)


@pytest.mark.parametrize(
    ("confusion", "message"),
    [
        ({"a": "b"}, "no entry"),
        ({"a": "b", "b": "b"}, "another class"),
        ({"a": "b", "b": "z"}, "another class"),
    ],
)
def test_confusion_errors(confusion, message):
    with pytest.raises(ValueError, match=message):
        flip_labels(["a", "b"], kind="asymmetric", confusion=confusion)


def test_features_of_one_class_say_nothing_about_similarity():
    with pytest.raises(ValueError, match="one class only"):
        flip_labels([0, 0], kind="asymmetric", classes=[0, 1], X=[[1.0], [2.0]])


def test_check_classes_sorts_and_encodes():
    classes, codes = check_classes(["z", "b", "a"], np.array(["b", "z", "b"]))
    assert classes.tolist() == ["a", "b", "z"]
    assert codes.tolist() == [1, 2, 1]
