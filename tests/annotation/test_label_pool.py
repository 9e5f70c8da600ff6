"""A session labels its pool."""

import numpy as np
import pandas as pd
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import AnnotationSession, CoDecisionClassifier, PrecomputedPrior


@pytest.fixture(scope="module")
def data():
    X, y = make_blobs([90, 60], n_features=3, cluster_std=2, random_state=1)
    # Each of the first samples comes twice.
    return np.concatenate([X, X[:20]]), np.concatenate([y, y[:20]])


def test_people_keep_their_labels_and_equal_samples_share_them(data):
    X, y = data
    small = LogisticRegression(class_weight="balanced")
    with AnnotationSession(
        X, CoDecisionClassifier(small), classes=[0, 1], n_instances=40, background=False
    ) as session:
        for question in session.ask(40):
            session.answer(question.id, int(y[question.index]))
        asked = session.labeled
        table = session.label_pool(target_precision=0.9)
        predicted = session.predict()
    assert len(table) == len(X)
    assert list(table.index) == list(range(len(X)))
    assert list(table["label"][asked]) == list(y[asked])
    twice = [row for row in asked if row < 20]
    assert twice
    answered = sorted([*asked, *(150 + row for row in twice)])
    assert sorted(np.flatnonzero(table["source"] == "person")) == answered
    assert table[:20].equals(table[150:].set_axis(range(20)))
    free = table["source"] == "co-decision"
    assert list(table["label"][free]) == list(predicted[free])
    left = free & ~table["look"]
    assert left.sum() > 30
    assert np.mean(table["label"][left] == y[left]) >= 0.9
    assert 0.3 < table.attrs["coverage"] <= 1


def test_the_table_has_the_index_of_the_pool(data):
    X, y = data
    pool = pd.DataFrame(X, columns=list("abc")).sample(frac=1, random_state=0)
    with AnnotationSession(
        pool, LogisticRegression(), classes=[0, 1], background=False
    ) as session:
        for question in session.ask(30):
            session.answer(question.id, int(y[pool.index[question.index]]))
        table = session.label_pool()
        people = pool.index[session.labeled]
    assert list(table.index) == list(pool.index)
    assert list(table["label"][people]) == list(y[people])
    assert np.mean(table["label"].sort_index() == y) > 0.8


def test_before_any_answer_the_prior_labels_and_people_look_at_all(data):
    X, y = data
    XP = np.hstack([np.eye(2)[y] * 0.8 + 0.1, X])
    model = CoDecisionClassifier(
        LogisticRegression(), PrecomputedPrior([0, 1], columns=[0, 1])
    )
    with AnnotationSession(XP, model, background=False) as session:
        table = session.label_pool(target_precision=0.9)
    assert list(table["label"]) == list(y)
    assert table["look"].all()
    session = AnnotationSession(X, LogisticRegression(), classes=[0, 1])
    with session, pytest.raises(ValueError, match="nor a prior"):
        session.label_pool()
