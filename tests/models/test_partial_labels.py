"""Some labels are missing: samples without a label belong to the pool."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from cofm_sklearn import CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.models import PriorALClassifier, fit_to_pool

X, y = make_blobs(150, centers=3, n_features=4, random_state=0)
PROBA = np.random.RandomState(0).dirichlet(np.ones(3), size=150)
LABELLED = np.arange(0, 150, 7)
PARTIAL = np.full(150, -1)
PARTIAL[LABELLED] = y[LABELLED]


def model_of(kind, **params):
    if kind is CoDecisionClassifier:
        params["random_state"] = 0
    return kind(LogisticRegression(), PrecomputedPrior([0, 1, 2]), **params)


@pytest.mark.parametrize("kind", [CoDecisionClassifier, PriorALClassifier])
@pytest.mark.parametrize("weighted", [False, True])
def test_equals_a_model_that_was_fitted_to_the_pool(kind, weighted):
    weight = np.random.RandomState(1).uniform(1, 2, 150) if weighted else None
    model = model_of(kind)
    params = model.get_params()
    model.fit(PROBA, PARTIAL, sample_weight=weight)
    by_hand = fit_to_pool(model_of(kind), PROBA).fit(
        PROBA[LABELLED], y[LABELLED], None if weight is None else weight[LABELLED]
    )
    assert_allclose(model.predict_proba(PROBA), by_hand.predict_proba(PROBA))
    assert_array_equal(model.classes_, [0, 1, 2])
    without_pool = model_of(kind).fit(PROBA[LABELLED], y[LABELLED])
    assert not np.allclose(
        without_pool.predict_proba(PROBA), model.predict_proba(PROBA)
    )
    # Parameters do not change, so a clone knows nothing of this pool.
    assert all(model.get_params()[name] is params[name] for name in params)


@pytest.mark.parametrize("make", [np.array, pd.Series, list])
def test_none_among_names_and_no_prior(make):
    names = np.array(["a", "b", "c"], dtype=object)[y]
    partial = names.copy()
    partial[PARTIAL < 0] = None
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    model.fit(X, make(partial.tolist()))
    assert set(model.classes_) == {"a", "b", "c"}
    assert model.neighbors_ is not None
    assert len(model.label_quality_) == len(LABELLED)
    assert model.score(X, names) > 0.9
    piped = make_pipeline(StandardScaler(), model).fit(X, partial)
    assert piped.score(X, names) > 0.9


@pytest.mark.parametrize("bools", [False, True])
@pytest.mark.parametrize(
    "make",
    [
        lambda labels: np.array(labels, dtype=object),
        lambda labels: pd.Series(labels, dtype=object),
        lambda labels: pd.Series(labels).convert_dtypes(),  # Int64 or boolean, with NA
        pd.Series,  # ints become float
        lambda labels: np.array(labels, dtype=float),
    ],
)
def test_none_among_numbers(make, bools):
    labels = [None if k < 0 else k == 1 if bools else k for k in PARTIAL.tolist()]
    plain = CoDecisionClassifier(LogisticRegression(), random_state=0).fit(X, labels)
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    model.fit(X, make(labels))
    assert model.classes_.dtype.kind in "bi"
    assert_array_equal(model.classes_, plain.classes_)
    assert_array_equal(model.predict_proba(X), plain.predict_proba(X))


def test_none_beside_minus_one():
    halves = np.column_stack([PROBA[:, 0], 1 - PROBA[:, 0]])
    for classes in ([-1, 1], [0, 1]):
        signs = np.where(y == 0, -1.0, 1.0)
        signs[::3] = np.nan
        model = CoDecisionClassifier(
            LogisticRegression(), PrecomputedPrior(classes), random_state=0
        ).fit(halves, signs)
        known = ~np.isnan(signs) if -1 in classes else signs == 1
        assert len(model.label_quality_) == known.sum()


def test_minus_one_in_an_array_of_objects():
    numbers = model_of(CoDecisionClassifier).fit(PROBA, PARTIAL)
    objects = model_of(CoDecisionClassifier).fit(PROBA, PARTIAL.astype(object))
    assert_array_equal(objects.predict_proba(PROBA), numbers.predict_proba(PROBA))


def test_minus_one_is_a_class_where_nothing_speaks_against_it():
    signs = np.where(y == 0, -1, 1)
    model = CoDecisionClassifier(LogisticRegression(), random_state=0).fit(X, signs)
    assert_array_equal(model.classes_, [-1, 1])
    assert len(model.label_quality_) == len(X)
    halves = np.column_stack([PROBA[:, 0], 1 - PROBA[:, 0]])
    prior = PrecomputedPrior([-1, 1])
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    assert len(model.fit(halves, signs).label_quality_) == len(X)


def test_no_label_at_all_leaves_the_prior():
    model = model_of(CoDecisionClassifier).fit(PROBA, np.full(150, -1))
    assert model.estimator_ is None
    assert_allclose(model.predict_proba(PROBA), PROBA)
    with pytest.raises(ValueError, match="None or empty"):
        CoDecisionClassifier(LogisticRegression()).fit(X, [None] * 150)


def test_mistakes_are_named_and_change_nothing():
    model = model_of(CoDecisionClassifier).fit(PROBA, y)
    before = model.predict_proba(PROBA)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(PROBA, PARTIAL[:20])
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.fit(PROBA, PARTIAL, sample_weight=np.ones(20))
    with pytest.raises(ValueError, match="unknown label 7"):
        model.fit(PROBA, np.where(PARTIAL == 1, 7, PARTIAL))
    with pytest.raises(ValueError, match="continuous"):
        model.fit(PROBA, np.where(PARTIAL < 0, np.nan, PARTIAL / 2))
    assert_array_equal(model.predict_proba(PROBA), before)
