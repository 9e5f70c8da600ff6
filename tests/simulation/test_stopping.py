"""Rules that say when labelling more will not help much."""

import itertools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, cohen_kappa_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
)
from cofm_sklearn.simulation import EstimatedAccuracy, StabilizedPredictions
from cofm_sklearn.simulation.stopping import estimate_balanced_accuracy

RULES = [StabilizedPredictions(random_state=0), EstimatedAccuracy(random_state=0)]


@pytest.fixture(scope="module")
def blobs():
    X, y = make_blobs(
        [300, 300, 40],
        n_features=4,
        cluster_std=2.0,
        center_box=(-4, 4),
        random_state=3,
    )
    order = np.random.RandomState(0).permutation(len(y))
    return X[order], y[order]


def loop(stopping, **params):
    return ActiveLearningClassifier(
        **{
            "estimator": LogisticRegression(max_iter=500),
            "query_strategy": CoDecisionQuery(),
            "n_instances": 10,
            "budget": 300,
            "stopping": stopping,
            "random_state": 0,
        }
        | params
    )


def test_agreement_is_kappa_of_successive_predictions(blobs):
    X, y = blobs
    rule = StabilizedPredictions(window=2, threshold=0.9, random_state=0)
    models = [GaussianNB().fit(X[:n], y[:n]) for n in (20, 30, 60, 200)]
    said = [rule.update(m, X, n_labels=1) for m in models]
    predicted = [m.predict(rule.stop_set_) for m in models]
    kappas = [cohen_kappa_score(a, b) for a, b in itertools.pairwise(predicted)]
    np.testing.assert_allclose(rule.history_, kappas)
    assert np.isnan(said[1].value)
    assert not said[1].stop
    assert said[2].value == pytest.approx(np.mean(kappas[:2]))
    assert said[3].stop == (np.mean(kappas[1:]) >= 0.9)


def test_the_same_samples_are_looked_at_in_every_round(blobs):
    X, y = blobs
    rule = StabilizedPredictions(n_samples=50, random_state=1)
    model = GaussianNB().fit(X, y)
    rule.update(model, X, n_labels=1)
    first = rule.stop_set_
    assert len(first) == 50
    rule.update(model, X[::-1], n_labels=2)
    assert rule.stop_set_ is first


def test_a_model_that_changes_nothing_stops_and_one_that_flips_does_not(blobs):
    X, y = blobs
    still, flips = StabilizedPredictions(), StabilizedPredictions()
    a, b = GaussianNB().fit(X, y), GaussianNB().fit(X, (y + 1) % 3)
    for k in range(6):
        calm = still.update(a, X, n_labels=k)
        wild = flips.update((a, b)[k % 2], X, n_labels=k)
    assert calm.stop
    assert calm.value == 1
    assert not wild.stop
    assert "agree" in wild.reason


def test_estimate_is_near_the_truth_for_a_calibrated_model():
    """Two Gaussians, one class in ten: the model's posteriors are right."""
    rng = np.random.RandomState(0)
    y = (rng.uniform(size=4000) < 0.1).astype(int)
    x = rng.normal(size=4000) + 2.0 * y
    likelihood = np.exp(-0.5 * (x[:, None] - [0.0, 2.0]) ** 2)
    proba = likelihood / likelihood.sum(axis=1, keepdims=True)
    truth = balanced_accuracy_score(y, proba.argmax(axis=1))
    some = rng.permutation(4000)[:400]
    value, (low, high) = estimate_balanced_accuracy(
        proba, proba[some], y[some], random_state=0
    )
    assert value == pytest.approx(truth, abs=0.05)
    assert low <= truth <= high


def test_labels_correct_a_model_that_is_too_sure():
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=3000)
    guess = np.where(rng.uniform(size=3000) < 0.7, y, 1 - y)
    proba = np.where(guess[:, None] == [0, 1], 0.99, 0.01)
    some = slice(0, 300)
    value, _ = estimate_balanced_accuracy(proba, proba[some], y[some], random_state=0)
    assert value == pytest.approx(0.7, abs=0.06)


def test_wrong_labels_that_are_known_to_be_wrong_do_not_count():
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=3000)
    proba = np.where(y[:, None] == [0, 1], 0.97, 0.03)
    wrong = rng.uniform(size=300) < 0.3
    given = np.where(wrong, 1 - y[:300], y[:300])
    blind, _ = estimate_balanced_accuracy(proba, proba[:300], given, random_state=0)
    told, _ = estimate_balanced_accuracy(
        proba, proba[:300], given, np.where(wrong, 0.05, 0.99), random_state=0
    )
    assert blind < 0.8
    assert told > 0.93


@pytest.mark.parametrize("rule", [*RULES, EstimatedAccuracy(target=0.6)])
def test_a_loop_ends_early_and_says_why(blobs, rule):
    X, y = blobs
    done = loop(rule).fit(X, y)
    decision = done.stopping_.decision_
    assert decision.stop
    assert decision.reason
    assert len(done.queried_indices_) < 300
    assert done.learning_curve_["stopping_value"].iloc[-1] == decision.value
    assert not hasattr(rule, "decision_")
    assert len(loop(None, budget=40).fit(X, y).queried_indices_) == 40


@pytest.mark.parametrize("rule", RULES)
def test_a_resumed_loop_is_one_run(blobs, rule):
    X, y = blobs
    whole = loop(rule, estimator=CoDecisionClassifier(GaussianNB())).fit(X, y)
    parts = loop(rule, estimator=CoDecisionClassifier(GaussianNB()), budget=30)
    parts.set_params(warm_start=True).fit(X, y)
    parts.set_params(budget=300).fit(X, y)
    np.testing.assert_array_equal(parts.queried_indices_, whole.queried_indices_)
    again = len(parts.fit(X, y).queried_indices_)
    assert again == len(whole.queried_indices_)  # it has said that it is enough


def test_rules_are_searched_like_any_parameter(blobs):
    X, y = blobs
    search = GridSearchCV(
        loop(StabilizedPredictions(), budget=60),
        {"stopping__threshold": [0.5, 1.0]},
        cv=2,
        scoring="balanced_accuracy",
    ).fit(X, y)
    assert search.best_params_["stopping__threshold"] in (0.5, 1.0)
    copy = clone(EstimatedAccuracy(target=0.9))
    assert copy.target == 0.9
    assert "target=0.9" in repr(copy)


def test_labels_of_one_class_are_too_few_to_tell(blobs):
    X, y = blobs
    model = GaussianNB().fit(X, y)
    one = y == 0
    said = EstimatedAccuracy(random_state=0).update(
        model, X, n_labels=5, X_labeled=X[one][:5], y_labeled=y[one][:5]
    )
    assert not said.stop
    assert np.isnan(said.value)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (StabilizedPredictions(threshold=1.1), "threshold"),
        (StabilizedPredictions(window=0), "window"),
        (StabilizedPredictions(n_samples=0), "n_samples"),
        (EstimatedAccuracy(target=-1), "target"),
        (EstimatedAccuracy(tolerance=1.0), "tolerance"),
        (EstimatedAccuracy(window=1.5), "window"),
    ],
)
def test_bad_parameters_are_named(blobs, rule, name):
    X, y = blobs
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match=name):
        rule.update(model, X, n_labels=1, X_labeled=X, y_labeled=y)
    with pytest.raises(ValueError, match="empty"):
        StabilizedPredictions().update(model, X[:0], n_labels=1)
