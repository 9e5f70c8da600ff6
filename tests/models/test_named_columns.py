"""Frames of numbers keep their column names all the way to prior and small model."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.models import PriorALClassifier
from cofm_sklearn.query import PriorALQuery

X, y = make_blobs([60, 40, 20], n_features=4, cluster_std=3.0, random_state=0)
PROBA = np.random.RandomState(0).dirichlet(np.ones(3), size=len(y))
PROBA[np.arange(len(y)), y] += 0.5
PROBA /= PROBA.sum(axis=1, keepdims=True)
TABLE = np.hstack([PROBA, X])
# An index of its own, as a part of a larger frame has.
FRAME = pd.DataFrame(
    TABLE, columns=["p0", "p1", "p2", *"abcd"], index=np.arange(len(y)) * 3 + 7
)
BY_POSITION = PrecomputedPrior([0, 1, 2], columns=[0, 1, 2])


def run_loop(model, data, query=None):
    loop = ActiveLearningClassifier(
        model, query or CoDecisionQuery(), budget=20, scoring=[], random_state=0
    )
    return loop.fit(data, y)


@pytest.mark.parametrize("kind", [CoDecisionClassifier, PriorALClassifier])
@pytest.mark.parametrize(
    "columns", [["p0", "p1", "p2"], [0, 1, 2], slice(0, 3)], ids=repr
)
def test_a_prior_selects_columns_of_a_frame(kind, columns):
    query = PriorALQuery() if kind is PriorALClassifier else None
    by_position = run_loop(kind(LogisticRegression(), BY_POSITION), TABLE, query)
    prior = PrecomputedPrior([0, 1, 2], columns=columns)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # none about feature names
        loop = run_loop(kind(LogisticRegression(), prior), FRAME, query)
        proba = loop.predict_proba(FRAME)
        loop.label_pool(FRAME)
    assert_array_equal(loop.queried_indices_, by_position.queried_indices_)
    assert_allclose(proba, by_position.predict_proba(TABLE), atol=1e-6)


def test_a_frame_without_prior_gives_the_numbers_of_the_array():
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    on_array = run_loop(model, TABLE)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        on_frame = run_loop(model, FRAME)
        proba = on_frame.predict_proba(FRAME)
    assert_array_equal(on_frame.queried_indices_, on_array.queried_indices_)
    assert_allclose(proba, on_array.predict_proba(TABLE), atol=1e-6)


def test_steps_that_give_frames_do_not_warn():
    model = make_pipeline(StandardScaler(), CoDecisionClassifier(LogisticRegression()))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run_loop(model.set_output(transform="pandas"), TABLE).predict(TABLE)


def test_the_small_model_selects_columns_by_name():
    select = make_column_transformer((StandardScaler(), ["a"]), (MinMaxScaler(), ["c"]))
    small = make_pipeline(select, LogisticRegression())
    prior = PrecomputedPrior([0, 1, 2], columns=["p0", "p1", "p2"])
    for model in (CoDecisionClassifier(small), CoDecisionClassifier(small, prior)):
        assert model.fit(FRAME[:60], y[:60]).score(FRAME, y) > 0.5
        assert run_loop(model, FRAME).score(FRAME, y) > 0.5


def test_an_array_is_read_by_the_names_of_the_training_data():
    prior = PrecomputedPrior([0, 1, 2], columns=["p2", "p0", "p1"])
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    model.fit(FRAME[:60], y[:60])
    with pytest.warns(UserWarning, match="does not have valid feature names"):
        proba = model.predict_proba(TABLE)
    assert_array_equal(proba, model.predict_proba(FRAME))


def test_names_may_be_numbers():
    frame = FRAME.set_axis([5, 4, 3, 2, 1, 0, 6], axis=1)
    by_name = PrecomputedPrior([0, 1, 2], columns=[5, 4, 3])
    model = CoDecisionClassifier(LogisticRegression(), by_name, random_state=0)
    expected = CoDecisionClassifier(LogisticRegression(), BY_POSITION, random_state=0)
    expected.fit(TABLE[::2], y[::2])
    proba = model.fit(frame[::2], y[::2]).predict_proba(frame)
    assert_allclose(proba, expected.predict_proba(TABLE))
    assert_allclose(model.prior_proba(frame), PROBA)


def test_made_up_names_are_positions():
    frame = pd.DataFrame(TABLE)
    for columns in ([-7, -6, -5], np.arange(7) < 3):
        prior = PrecomputedPrior([0, 1, 2], columns=columns)
        model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
        assert_allclose(model.fit(frame, y).prior_proba(frame), PROBA)
