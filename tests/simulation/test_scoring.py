"""Scores of a learning curve when a model, or the evaluation set, lacks a class."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, make_scorer, roc_auc_score
from sklearn.svm import LinearSVC

from cofm_sklearn import ActiveLearningClassifier, CoDecisionClassifier
from cofm_sklearn.query import RandomQuery


def run(model, X, y, scoring, n_instances=20, eval_set=None):
    loop = ActiveLearningClassifier(
        model,
        RandomQuery(),
        budget=20,
        n_instances=n_instances,
        scoring=scoring,
        random_state=0,
    )
    return loop.fit(X, y, eval_set=eval_set)


def test_columns_of_probabilities_are_those_of_all_classes():
    X, y = make_blobs([100, 100, 3, 100], n_features=4, cluster_std=2, random_state=0)
    seen = y != 3
    eval_set = X[seen], y[seen]
    with pytest.raises(ValueError, match="different number of classes"):
        run(LogisticRegression(), X, y, "neg_log_loss", eval_set=eval_set)
    loss = make_scorer(
        log_loss,
        response_method="predict_proba",
        greater_is_better=False,
        labels=[0, 1, 2, 3],
    )
    loop = run(LogisticRegression(), X, y, {"loss": loss}, eval_set=eval_set)
    assert loop.estimator_.classes_.tolist() == [0, 1, 3]
    right = -log_loss(y[seen], loop.predict_proba(X[seen]), labels=loop.classes_)
    assert loop.learning_curve_["loss"].iloc[-1] == pytest.approx(right)


def test_a_class_outside_the_pool_has_probability_0():
    X, y = make_blobs([50, 50, 50], n_features=4, random_state=0)
    pool = y != 2
    loop = run(LogisticRegression(), X[pool], y[pool], "neg_log_loss", eval_set=(X, y))
    proba = np.column_stack([loop.predict_proba(X), np.zeros(150)])
    (score,) = loop.learning_curve_["neg_log_loss"]
    assert score == pytest.approx(-log_loss(y, proba))


@pytest.mark.parametrize(
    "model",
    [LogisticRegression(), CoDecisionClassifier(LogisticRegression()), LinearSVC()],
)
def test_first_labels_of_one_class_do_not_end_the_loop(model):
    X, y = make_blobs([190, 10], n_features=4, cluster_std=2, random_state=0)
    scoring = ["roc_auc", "average_precision", "f1"]
    if hasattr(model, "predict_proba"):
        scoring += ["neg_log_loss", "neg_brier_score"]
    loop = run(model, X, y, scoring, n_instances=5)
    curve = loop.learning_curve_
    assert curve["roc_auc"][0] == 0.5
    assert curve["average_precision"][0] == 0.05
    assert curve["f1"][0] == 0
    assert np.isfinite(curve[scoring]).all(axis=None)
    score = getattr(loop.estimator_, "decision_function", None)
    score = score(X) if score else loop.predict_proba(X)[:, 1]
    assert curve["roc_auc"].iloc[-1] == roc_auc_score(y, score)


def test_functions_get_the_model_itself_beside_scorers():
    X, y = make_blobs([60, 30], n_features=4, random_state=0)
    model = CoDecisionClassifier(LogisticRegression())
    scoring = {
        "trust": lambda model, X, y: model.trust_,
        "hits": make_scorer(lambda y, predicted: np.sum(y == predicted)),
        "log": "neg_log_loss",
    }
    loop = run(model, X, y, scoring)
    row = loop.learning_curve_.iloc[-1]
    assert row.index[-3:].tolist() == list(scoring)
    assert row["trust"] == loop.estimator_.trust_
    assert row["hits"] == np.sum(loop.predict(X) == y)
    assert row["log"] == pytest.approx(-log_loss(y, loop.predict_proba(X)))
    single = run(model, X, y, scoring["trust"]).learning_curve_
    assert single["score"].iloc[-1] == row["trust"]
    several = run(model, X, y, lambda model, X, y: {"a": 1, "b": 2}).learning_curve_
    assert several[["a", "b"]].iloc[-1].tolist() == [1, 2]
