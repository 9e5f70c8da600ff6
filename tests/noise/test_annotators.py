"""Consensus of several annotators: against slow versions, and on bad input."""

from collections import Counter
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from cofm_sklearn import CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.noise import combine_annotators, spread_answers
from cofm_sklearn.noise.annotators import out_of_fold_proba

# cleanlab is an extra, and asks for newer libraries than the oldest supported ones.
METHODS = ("majority", "channel", *(["crowdlab"] if find_spec("cleanlab") else []))
every_method = pytest.mark.parametrize("method", METHODS)


def simulate(n_samples=300, rates=(0.1, 0.2, 0.6), missing=0.3, seed=0):
    """True classes 0 to 2, noisy answers, and a model with 70 % accuracy."""
    rng = np.random.RandomState(seed)
    true = rng.randint(3, size=n_samples)

    def err(rate):
        wrong = (true + rng.randint(1, 3, size=n_samples)) % 3
        return np.where(rng.uniform(size=n_samples) < rate, wrong, true)

    labels = np.column_stack([err(rate) for rate in rates]).astype(float)
    gone = rng.uniform(size=labels.shape) < missing
    gone[np.arange(n_samples), rng.randint(len(rates), size=n_samples)] = False
    labels[gone] = np.nan
    proba = 0.55 * np.eye(3)[err(0.3)] + 0.15
    return true, labels, proba


@pytest.mark.parametrize("classes", [None, ["c", "b", "a"]])
def test_columns_of_a_frame_of_probabilities_are_found_by_name(classes):
    true, labels, proba = simulate()
    names = np.array([*"abc", None], dtype=object)
    labels = names[np.where(np.isnan(labels), 3, labels).astype(int)]
    frame = pd.DataFrame(proba, columns=list("abc"))[["c", "a", "b"]]
    found = combine_annotators(labels, frame, classes=classes)
    assert_array_equal(found.labels, combine_annotators(labels, proba).labels)
    assert np.mean(found.labels == names[true]) > 0.8


def slow_majority(row, totals, classes, p=None):
    votes = Counter(label for label in row if label is not None)
    return min(
        (label for label in classes if votes[label] == max(votes.values())),
        key=lambda label: (
            -(p[classes.index(label)] if p is not None else 0),
            -totals[label],
            label,
        ),
    )


matrices = st.integers(1, 4).flatmap(
    lambda width: st.lists(
        st.lists(
            st.sampled_from(["a", "b", "c", None]), min_size=width, max_size=width
        ).filter(lambda row: any(row)),
        min_size=1,
        max_size=8,
    )
)


@settings(max_examples=60, deadline=None)
@given(matrices, st.booleans())
def test_majority_is_the_slow_one(matrix, with_proba):
    classes = ["a", "b", "c"]
    totals = Counter(label for row in matrix for label in row)
    proba = [[0.2, 0.5, 0.3]] * len(matrix) if with_proba else None
    found = combine_annotators(matrix, proba, classes=classes, method="majority")
    for row, label, quality, differ in zip(
        matrix, found.labels, found.quality, found.disagreement, strict=True
    ):
        expected = slow_majority(row, totals, classes, proba and proba[0])
        assert label == expected
        given = [answer for answer in row if answer]
        assert quality == pytest.approx(given.count(expected) / len(given))
        assert differ == pytest.approx(1 - quality)


@settings(max_examples=40, deadline=None)
@given(matrices, st.sampled_from(METHODS), st.integers(0, 99))
def test_what_comes_back_is_in_range(matrix, method, seed):
    proba = np.random.RandomState(seed).dirichlet(np.ones(3), len(matrix))
    found = combine_annotators(matrix, proba, classes=list("abc"), method=method)
    assert set(found.labels) <= set("abc")
    for values in (found.quality, found.disagreement):
        assert values.shape == (len(matrix),)
        assert ((values >= 0) & (values <= 1)).all()
    gave = np.array([any(row[a] for row in matrix) for a in range(len(matrix[0]))])
    assert np.isnan(found.annotator_quality[~gave]).all()
    inside = found.annotator_quality[gave]
    assert ((inside >= 0) & (inside <= 1)).all()


def test_channel_is_the_slow_one():
    _, labels, proba = simulate(n_samples=40)
    found = combine_annotators(labels, proba)
    # Bayes' rule by hand, at the rates that were found.
    p_right = found.annotator_quality
    smoothed = 0.999 * proba + 0.001 / 3
    for row, p, label, quality in zip(
        labels, smoothed, found.labels, found.quality, strict=True
    ):
        joint = p.copy()
        for a, answer in enumerate(row):
            if not np.isnan(answer):
                for k in range(3):
                    joint[k] *= p_right[a] if k == answer else (1 - p_right[a]) / 2
        joint /= joint.sum()
        assert label == joint.argmax()
        assert quality == pytest.approx(joint.max())


def test_channel_finds_rates_and_beats_the_majority():
    true, labels, proba = simulate(n_samples=1500)
    found = combine_annotators(labels, proba)
    np.testing.assert_allclose(found.annotator_quality, [0.9, 0.8, 0.4], atol=0.06)
    majority = combine_annotators(labels)
    assert np.mean(found.labels == true) > np.mean(majority.labels == true) + 0.05
    # Calibrated: of labels of quality q, a share of q is right.
    assert found.quality.mean() == pytest.approx(
        np.mean(found.labels == true), abs=0.04
    )


def test_crowdlab_is_cleanlab():
    module = pytest.importorskip("cleanlab.multiannotator")
    _, labels, proba = simulate()
    found = combine_annotators(labels, proba, method="crowdlab")
    smoothed = 0.999 * proba + 0.001 / 3
    theirs = module.get_label_quality_multiannotator(labels, smoothed, verbose=False)
    np.testing.assert_array_equal(
        found.labels, theirs["label_quality"]["consensus_label"]
    )
    np.testing.assert_allclose(
        found.quality, theirs["label_quality"]["consensus_quality_score"], atol=1e-4
    )
    assert found.annotator_quality[2] < found.annotator_quality[0]


@every_method
def test_a_careless_annotator_is_found(method):
    _, labels, proba = simulate()
    quality = combine_annotators(labels, proba, method=method).annotator_quality
    assert quality.argmin() == 2


@every_method
@pytest.mark.parametrize(
    ("names", "kind"),
    [(["a", "b", "c"], "U"), ([10, 20, 30], "i"), ([False, True], "b")],
)
def test_labels_of_any_type(method, names, kind):
    _, labels, proba = simulate(n_samples=60)
    labels[labels >= len(names)] = 0
    proba = proba[:, : len(names)] / proba[:, : len(names)].sum(axis=1, keepdims=True)
    named = [[None if np.isnan(k) else names[int(k)] for k in row] for row in labels]
    expected = combine_annotators(labels, proba, method=method)
    for matrix in (named, np.array(named, dtype=object), pd.DataFrame(named)):
        found = combine_annotators(matrix, proba, method=method)
        assert found.labels.dtype.kind == kind
        assert found.labels.tolist() == [names[k] for k in expected.labels]
        np.testing.assert_allclose(found.quality, expected.quality)
    frame = pd.DataFrame(named).convert_dtypes()  # pandas.NA
    found = combine_annotators(frame, proba, method=method)
    assert found.labels.tolist() == [names[k] for k in expected.labels]


@every_method
def test_one_answer_each(method):
    labels, proba = [[0, None], [None, 1], [1, None]], [[0.9, 0.1]] * 3
    found = combine_annotators(labels, proba, method=method)
    assert found.labels[0] == 0
    assert found.quality[0] >= found.quality[1]


@every_method
def test_an_annotator_without_labels_changes_nothing(method):
    _, labels, proba = simulate()
    wider = np.column_stack([labels, np.full(len(labels), np.nan)])
    found = combine_annotators(wider, proba, method=method)
    expected = combine_annotators(labels, proba, method=method)
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.annotator_quality[:3], expected.annotator_quality)
    assert np.isnan(found.annotator_quality[3])


def test_an_estimator_stands_for_its_out_of_fold_probabilities():
    X, true = make_blobs([80, 40], n_features=3, cluster_std=3.0, random_state=0)
    rng = np.random.RandomState(0)
    flipped = rng.uniform(size=(120, 3)) < [0.2, 0.3, 0.4]
    labels = np.array(["no", "yes"])[true[:, None] ^ flipped]
    model = LogisticRegression()
    found = combine_annotators(labels, estimator=model, X=X, random_state=0)
    again = combine_annotators(labels, estimator=model, X=X, random_state=0)
    np.testing.assert_array_equal(found.labels, again.labels)
    assert not hasattr(model, "classes_")
    majority = combine_annotators(labels).labels
    names = np.array(["no", "yes"])[true]
    assert np.mean(found.labels == names) > np.mean(majority == names)


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
def test_no_randomness_and_no_words(capfd):
    _, labels, _ = simulate(n_samples=50)
    state = np.random.get_state()[2]  # noqa: NPY002 - it is what is checked
    for method in METHODS:
        combine_annotators(labels, np.full((50, 3), 1 / 3), method=method)
    assert np.random.get_state()[2] == state  # noqa: NPY002
    assert capfd.readouterr() == ("", "")


GOOD = [["a", "b"], ["b", None]]
FLAT = [[0.5, 0.5]] * 2


@pytest.mark.parametrize(
    ("labels", "params", "error", "message"),
    [
        ([[None, None]] * 2, {}, ValueError, "no annotator gave any label"),
        ([["a", "b"], [None, np.nan]], {}, ValueError, r"without any label.*\[1\]"),
        (["a", "b"], {}, ValueError, "one column per annotator"),
        ([], {}, ValueError, "one row per sample"),
        ([["a", 1], ["b", 2]], {}, TypeError, "cannot be sorted"),
        (GOOD, {"classes": ["a"]}, ValueError, "unknown label 'b'"),
        (GOOD, {"proba": [[0.5, 0.6]] * 2}, ValueError, "sums to 1.1"),
        (GOOD, {"proba": [[1.0]] * 2}, ValueError, "1 columns for 2 classes"),
        (GOOD, {"proba": [[0.5, 0.5]]}, ValueError, "1 rows for 2 samples"),
        (GOOD, {"proba": [[np.nan, 1]] * 2}, ValueError, "NaN"),
        (GOOD, {"method": "best"}, ValueError, "method must be one of"),
        (GOOD, {"method": "channel"}, ValueError, "needs proba or estimator"),
        (GOOD, {"estimator": LogisticRegression()}, ValueError, "needs X"),
        (
            GOOD,
            {"estimator": LogisticRegression(), "X": [[0], [1]], "proba": FLAT},
            ValueError,
            "not both",
        ),
    ],
)
def test_bad_input_is_named(labels, params, error, message):
    with pytest.raises(error, match=message):
        combine_annotators(labels, **params)


def test_classes_without_labels_are_fine():
    found = combine_annotators(GOOD, [[0.2, 0.1, 0.7]] * 2, classes=["a", "b", "z"])
    assert set(found.labels) <= {"a", "b", "z"}


@pytest.mark.parametrize("method", METHODS)
def test_classes_are_the_columns_of_proba(method):
    matrix = [["s", None], ["h", "s"], [None, "h"], ["h", "x"]]
    proba = np.random.RandomState(0).dirichlet(np.ones(3), 4)
    plain = combine_annotators(matrix, proba, classes=["h", "s", "x"], method=method)
    moved = combine_annotators(
        matrix, proba[:, [2, 0, 1]], classes=["x", "h", "s"], method=method
    )
    for one, other in zip(plain, moved, strict=True):
        assert_array_equal(one, other)


def test_every_answer_is_a_row():
    matrix = [["b", None, "a"], [None, "b", None], ["a", "a", "a"]]
    rows, y, weight = spread_answers(matrix)
    assert rows.tolist() == [0, 0, 1, 2, 2, 2]
    assert y.tolist() == ["b", "a", "b", "a", "a", "a"]
    np.testing.assert_allclose(np.bincount(rows, weight), 1)
    # 1, halfway and no better than a guess between two classes
    _, _, weight = spread_answers(matrix, [1.0, 0.75, 0.5])
    np.testing.assert_allclose(weight, [1 / 2, 0.01 / 2, 0.5, 1 / 3, 0.5 / 3, 0.01 / 3])
    _, _, weight = spread_answers([["a", None]], [1.0, np.nan])
    assert weight.tolist() == [1.0]


@pytest.mark.parametrize("quality", [[0.5], [0.5, 1.2], [0.5, np.nan], 0.5])
def test_bad_quality_is_named(quality):
    with pytest.raises(ValueError, match="annotator_quality must have a number"):
        spread_answers([["a", "b"]], quality)


def test_a_model_has_no_say_about_classes_that_it_has_not_seen():
    model = LogisticRegression()
    one = combine_annotators([["b", "b", "a"]], estimator=model, X=[[0.0]])
    assert one.labels.tolist() == ["b"]
    # Each is judged by a model of the other; all annotators agree.
    votes, X = [["a", "a"], ["b", "b"]], [[0.0], [1.0]]
    two = combine_annotators(votes, estimator=model, X=X)
    assert two.labels.tolist() == ["a", "b"]
    # The only "c" is judged by models of "a" and "b", which look certain.
    votes = [["a", "a"]] * 6 + [["b", "b"]] * 6 + [["c", "c"]]
    X = np.r_[np.zeros(6), np.full(6, 99.0), 98.0][:, None]
    all_three = combine_annotators(votes, estimator=model, X=X)
    assert all_three.labels.tolist() == [first for first, _ in votes]


def test_a_model_may_know_a_class_that_nobody_named():
    """The prior gives classes without label a share that must not be cut off."""
    rng = np.random.RandomState(0)
    X = rng.dirichlet(np.ones(3), size=40)
    y = np.where(X[:, 0] > X[:, 1], "a", "b").astype(object)
    answers = np.column_stack([y, y])
    answers[:5, 1] = np.where(y[:5] == "a", "b", "a")
    prior = PrecomputedPrior(["a", "b", "c"])
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    for classes in (["a", "b", "c"], ["a", "b"], None):
        found = combine_annotators(
            answers, classes=classes, estimator=model, X=X, random_state=0
        )
        assert (found.labels[5:] == y[5:]).all()
    codes = (y == "b").astype(int)
    proba = out_of_fold_proba(model, X, np.array(["a", "b", "c"]), codes, 5, 0)
    np.testing.assert_allclose(proba.sum(axis=1), 1)


def test_a_model_without_probabilities_is_named():
    with pytest.raises(TypeError, match="LinearSVC has no predict_proba"):
        combine_annotators([["a"], ["b"]], estimator=LinearSVC(), X=[[0.0], [1.0]])
