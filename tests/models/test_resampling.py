"""Any sampler of imbalanced-learn, with classes as small as in the first rounds.

Run as a script, it prints the table of docs/resampling.md.
"""

import re
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn import FunctionSampler, combine, over_sampling, under_sampling
from imblearn.over_sampling import ADASYN, SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline
from imblearn.under_sampling import (
    EditedNearestNeighbours,
    NearMiss,
    RandomUnderSampler,
)
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    LabelCleaner,
    SafeSampler,
)
from cofm_sklearn.query import ModALQuery

SIZES = {"one": 1, "two": 2, "three": 3, "many": 30}
KINDS = [
    getattr(package, name)
    for package in (over_sampling, under_sampling, combine)
    for name in sorted(package.__all__)
]


class FailsInFit(LogisticRegression):
    """A classifier that records its training."""

    def fit(self, X, y, sample_weight=None):
        raise ZeroDivisionError


def make_sampler(kind):
    sampler = kind(categorical_features=[0]) if kind.__name__ == "SMOTENC" else kind()
    if kind is under_sampling.InstanceHardnessThreshold:
        # its own random forest takes seconds
        sampler.set_params(estimator=GaussianNB())
    if "random_state" in sampler.get_params():
        sampler.set_params(random_state=0)
    return sampler


def make_data(sizes, spread=1.0, seed=0):
    """Return overlapping classes; the first column is categorical."""
    rng = np.random.RandomState(seed)
    y = np.repeat(list(sizes), list(sizes.values()))
    centers = dict(zip(sizes, 1.5 * rng.randn(len(sizes), 8)))
    X = np.array([centers[label] for label in y]) + spread * rng.randn(len(y), 8)
    X[:, 0] = X[:, 0].round()
    return X, y


def count(y):
    return {str(k): int(v) for k, v in zip(*np.unique(y, return_counts=True))}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_any_sampler_with_tiny_classes(kind):
    X, y = make_data(SIZES)
    sampler = SafeSampler(make_sampler(kind))
    X_new, y_new = sampler.fit_resample(X, y)
    assert len(X_new) == len(y_new)
    assert set(y_new) == set(y)
    unseen = set(sampler.passed_classes_) | set(sampler.kept_classes_)
    for label in unseen:
        assert {*map(tuple, X[y == label])} <= {*map(tuple, X_new[y_new == label])}
    assert set(sampler.get_params()["sampler"].get_params()) == set(
        make_sampler(kind).get_params()
    )


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_large_classes_are_resampled_as_without(kind):
    X, codes = make_data({0: 60, 1: 40, 2: 25}, spread=1.6)
    bare, safe = make_sampler(kind), SafeSampler(make_sampler(kind))
    X_new, y_new = bare.fit_resample(X, codes)
    X_safe, y_safe = safe.fit_resample(X, codes)
    assert_array_equal(X_safe, X_new)
    assert_array_equal(y_safe, y_new)
    assert safe.refusal_ is None
    assert len(safe.passed_classes_) == 0


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_any_sampler_through_ten_rounds(kind):
    # the first labels leave some classes with one member and others with none
    X, y = make_data({"a": 60, "b": 12, "c": 8, "d": 5})
    order = np.r_[:3, 60, 72, np.random.RandomState(0).permutation(len(y))]
    pipe = make_pipeline(SafeSampler(make_sampler(kind)), GaussianNB())
    for n in range(5, 55, 5):
        rows = np.unique(order[:n])
        model = clone(pipe).fit(X[rows], y[rows])
        assert model.predict(X).shape == y.shape
        assert set(model.classes_) == set(y[rows])


@settings(max_examples=40, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 12), min_size=1, max_size=5),
    kind=st.sampled_from(
        [SMOTE, RandomOverSampler, NearMiss, EditedNearestNeighbours, combine.SMOTEENN]
    ),
    tiny=st.sampled_from(["pass", "repeat"]),
    seed=st.integers(0, 10),
)
def test_classes_never_vanish(sizes, kind, tiny, seed):
    X, y = make_data(dict(enumerate(sizes)), seed=seed)
    safe = SafeSampler(make_sampler(kind), tiny_classes=tiny, random_state=0)
    X_new, y_new = safe.fit_resample(X, y)
    assert set(y_new) == set(y)
    if kind in (SMOTE, RandomOverSampler):
        for row in X:
            assert (X_new == row).all(axis=1).any()


def test_neighbours_are_adapted_and_small_classes_passed():
    X, y = make_data(SIZES)
    safe = SafeSampler(SMOTE(k_neighbors=4, random_state=0))
    _, y_new = safe.fit_resample(X, y)
    assert count(y_new) == {"one": 1, "two": 30, "three": 30, "many": 30}
    assert safe.sampler_.k_neighbors == 1
    assert safe.sampler.k_neighbors == 4
    assert safe.passed_classes_.tolist() == ["one"]
    assert "n_neighbors" in safe.refusal_


def test_tiny_classes_can_be_repeated():
    X, y = make_data(SIZES)
    safe = SafeSampler(SMOTE(random_state=0), tiny_classes="repeat", random_state=0)
    X_new, y_new = safe.fit_resample(X, y)
    assert set(count(y_new).values()) == {30}
    assert len(np.unique(X_new[y_new == "one"], axis=0)) == 1
    under = SafeSampler(RandomUnderSampler(random_state=0), tiny_classes="repeat")
    assert set(count(under.fit_resample(X, y)[1]).values()) == {1}


def test_one_class_is_left_alone():
    X, y = make_data({"a": 4})
    safe = SafeSampler(SMOTE())
    X_new, y_new = safe.fit_resample(X, y)
    assert_array_equal(X_new, X)
    assert_array_equal(y_new, y)
    assert safe.sampler_ is None


def test_a_refusal_among_large_classes_is_said():
    X, y = make_data({"a": 30, "b": 10}, spread=0.01)
    with pytest.warns(UserWarning, match="ADASYN failed"):
        X_new, _ = SafeSampler(ADASYN()).fit_resample(X, y)
    assert_array_equal(X_new, X)


def test_strategies_follow_the_labels_so_far():
    X, y = make_data({"a": 20, "b": 8})
    wanted = {"a": 10, "b": 15, "unseen": 40}
    safe = SafeSampler(SMOTE(sampling_strategy=wanted, random_state=0))
    assert count(safe.fit_resample(X, y)[1]) == {"a": 20, "b": 15}
    fewer = SafeSampler(RandomUnderSampler(sampling_strategy={"a": 10, "b": 10}))
    assert count(fewer.fit_resample(X, y)[1]) == {"a": 10, "b": 8}
    cleaning = EditedNearestNeighbours(sampling_strategy=["a", "unseen"])
    assert count(SafeSampler(cleaning).fit_resample(X, y)[1])["b"] == 8
    # a ratio that the classes have passed
    ratio = SafeSampler(SMOTE(sampling_strategy=0.2))
    assert count(ratio.fit_resample(*make_data({"a": 8, "b": 4}))[1])["b"] == 4


def test_sample_indices_follow_what_is_selected():
    X, y = make_data(SIZES)
    for kind in (NearMiss, EditedNearestNeighbours, RandomOverSampler):
        safe = SafeSampler(make_sampler(kind))
        X_new, y_new = safe.fit_resample(X, y)
        assert_array_equal(X[safe.sample_indices_], X_new)
        assert_array_equal(y[safe.sample_indices_], y_new)


@pytest.mark.parametrize("size", [2, 3, 30])
def test_sparse_frames_and_lists_give_the_same(size):
    X, y = make_data({"rare": 1, "some": size, "many": 40})
    safe = SafeSampler(SMOTE(random_state=0), tiny_classes="repeat", random_state=0)
    expected, y_expected = safe.fit_resample(X, y)
    from_sparse, y_sparse = safe.fit_resample(sparse.csr_matrix(X), y)
    assert sparse.issparse(from_sparse)
    frame = pd.DataFrame(X, columns=list("abcdefgh"))
    from_frame, y_frame = safe.fit_resample(frame, pd.Series(y))
    assert list(from_frame.columns) == list(frame.columns)
    from_list, y_list = safe.fit_resample(X.tolist(), y.tolist())
    for other, labels in (
        (from_sparse.toarray(), y_sparse),
        (from_frame.to_numpy(), y_frame),
        (from_list, y_list),
    ):
        np.testing.assert_allclose(other, expected)
        assert_array_equal(labels, y_expected)


@pytest.mark.parametrize(
    ("sampler", "change", "error", "message"),
    [
        (LogisticRegression(), None, TypeError, "fit_resample"),
        (SMOTE(k_neighbors=-1), None, ValueError, "k_neighbors"),
        (SMOTE(sampling_strategy=0.5), None, ValueError, "sampling_strategy"),
        (SMOTE(), "nan", ValueError, "NaN"),
        (SMOTE(), "text", ValueError, "could not convert"),
        (SMOTE(), "short", ValueError, "samples"),
    ],
)
def test_mistakes_are_not_taken_for_tiny_classes(sampler, change, error, message):
    X, y = make_data(SIZES)
    if change == "nan":
        X[0, 0] = np.nan
    elif change == "text":
        X = X.astype(object)
        X[:, 1] = "word"
    elif change == "short":
        y = y[:-1]
    with pytest.raises(error, match=message):
        SafeSampler(sampler).fit_resample(X, y)
    with pytest.raises(ValueError, match="tiny_classes"):
        SafeSampler(SMOTE(), tiny_classes="drop").fit_resample(X, y)


def test_acts_in_fit_only_and_its_settings_can_be_reached():
    X, y = make_data(SIZES)
    pipe = make_pipeline(SafeSampler(SMOTE(random_state=0)), LogisticRegression())
    pipe.set_params(safesampler__sampler__k_neighbors=2).fit(X, y)
    assert pipe.predict(X).shape == y.shape
    assert pipe[0].sampler.k_neighbors == 2


def test_in_the_co_decision_and_in_the_loop():
    from modAL.uncertainty import uncertainty_sampling

    X, y = make_data({"a": 60, "b": 12, "c": 8})
    pipe = make_pipeline(SafeSampler(SMOTE(random_state=0)), LogisticRegression())
    loop = ActiveLearningClassifier(
        CoDecisionClassifier(pipe, random_state=0),
        ModALQuery(uncertainty_sampling),
        n_instances=4,
        budget=40,
        random_state=0,
    ).fit(X, y)
    assert len(loop.learning_curve_) == 10


def table_row(kind):
    """One line of the table in the docs: class sizes with and without SafeSampler."""
    # labels are numbers, since two samplers take no str by themselves
    names = list(SIZES)
    X, y = make_data(SIZES)
    y = np.array([names.index(label) for label in y])

    def sizes(labels):
        return " / ".join(map(str, np.bincount(labels, minlength=len(names))))

    try:
        alone = sizes(make_sampler(kind).fit_resample(X, y)[1])
    except (ValueError, RuntimeError, IndexError) as error:
        alone = type(error).__name__
    safe = SafeSampler(make_sampler(kind))
    after = sizes(safe.fit_resample(X, y)[1])
    passed = ", ".join(names[code] for code in safe.passed_classes_)
    kept = ", ".join(names[code] for code in safe.kept_classes_)
    if safe.sampler_ is None:
        passed = "all"
    return f"| `{kind.__name__}` | {alone} | {after} | {passed} | {kept} |"


def test_the_table_in_the_docs_has_every_sampler():
    page = Path(__file__).parents[2] / "docs" / "resampling.md"
    rows = re.findall(r"^\| `(\w+)` \|", page.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [kind.__name__ for kind in KINDS]


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(*map(table_row, KINDS), sep="\n")


@pytest.mark.parametrize("sampler", [SafeSampler(SMOTE()), LabelCleaner()])
def test_fit_checks_what_fit_resample_would_refuse(sampler):
    X, y = np.arange(24.0).reshape(12, 2), np.repeat(["a", "b"], 6)
    assert sampler.fit(X, y) is sampler
    with pytest.raises(ValueError, match="NaN"):
        sampler.fit(np.full((12, 2), np.nan), y)


@pytest.mark.parametrize(
    "sampler",
    [
        SafeSampler(FunctionSampler(func=lambda X, y: 1 / 0)),
        LabelCleaner(FailsInFit()),
    ],
    ids=["resampling", "cleaning"],
)
def test_fit_trains_nothing(sampler):
    X, y = np.arange(24.0).reshape(12, 2), np.repeat(["a", "b"], 6)
    assert sampler.fit(X, y).n_features_in_ == 2
    with pytest.raises(ZeroDivisionError):
        sampler.fit_resample(X, y)


@pytest.mark.parametrize("n_rare", [2, 30])
def test_errors_about_other_things_than_class_sizes_are_raised(n_rare):
    X, y = make_data({"many": 40, "rare": n_rare})
    frame = pd.DataFrame(X[:, :2], columns=["a", "b"]).assign(
        kind=np.where(X[:, 1] > 0, "red", "green")
    )
    with pytest.raises(ValueError, match="could not convert string"):
        SafeSampler(SMOTE(random_state=0)).fit_resample(frame, y)
    numbers_only = over_sampling.SMOTENC(categorical_features=[])
    with pytest.raises(ValueError, match="only with numerical"):
        SafeSampler(numbers_only).fit_resample(X, y)

    def broken(X, y):
        raise ValueError("the file of weights is gone")

    with pytest.raises(ValueError, match="weights is gone"):
        SafeSampler(FunctionSampler(func=broken)).fit_resample(X, y)


@pytest.mark.parametrize(
    "sampler",
    [
        SafeSampler(SMOTE(random_state=0)),
        SafeSampler(RandomUnderSampler(random_state=0)),
        SafeSampler(SMOTE(random_state=0), tiny_classes="repeat"),
        LabelCleaner(random_state=0),
    ],
)
@pytest.mark.parametrize("dtype", ["str", "category", "object"])
def test_labels_come_back_as_they_were_given(sampler, dtype):
    X, y = make_data({"many": 20, "rare": 8, "one": 1})
    given = pd.Series(y, name="label", index=np.arange(100, 129)).astype(dtype)
    expected, y_expected = clone(sampler).fit_resample(X, y)
    for samples in (X, pd.DataFrame(X, index=given.index)):
        X_new, y_new = clone(sampler).fit_resample(samples, given)
        assert isinstance(y_new, pd.Series)
        assert (y_new.name, y_new.dtype) == ("label", given.dtype)
        assert y_new.tolist() == y_expected.tolist()
        if isinstance(samples, pd.DataFrame):
            assert X_new.index.equals(y_new.index)
        np.testing.assert_allclose(X_new, expected)
    _, column = clone(sampler).fit_resample(X, given.to_frame())
    assert column["label"].tolist() == y_expected.tolist()
    model = make_pipeline(clone(sampler), LogisticRegression()).fit(X, given)
    assert set(model.classes_) == set(y)
