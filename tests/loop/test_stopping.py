"""Stopping rules."""

import itertools

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import cohen_kappa_score
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn import (
    ActiveLearningClassifier,
    AnnotationSession,
    CoDecisionClassifier,
    CoDecisionQuery,
)
from cofm_sklearn.loop import StabilizedPredictions, TargetScore


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


def test_a_loop_ends_early_and_says_why(blobs):
    X, y = blobs
    rule = StabilizedPredictions()
    done = loop(rule).fit(X, y)
    decision = done.stopping_.decision_
    assert decision.stop
    assert decision.reason
    assert len(done.queried_indices_) < 300
    assert done.learning_curve_["stopping_value"].iloc[-1] == decision.value
    assert not hasattr(rule, "decision_")
    assert len(loop(None, budget=40).fit(X, y).queried_indices_) == 40


def test_a_resumed_loop_is_one_run(blobs):
    X, y = blobs
    rule = StabilizedPredictions()
    whole = loop(rule, estimator=CoDecisionClassifier(GaussianNB())).fit(X, y)
    parts = loop(rule, estimator=CoDecisionClassifier(GaussianNB()), budget=30)
    parts.set_params(warm_start=True).fit(X, y)
    parts.set_params(budget=300).fit(X, y)
    np.testing.assert_array_equal(parts.queried_indices_, whole.queried_indices_)
    again = len(parts.fit(X, y).queried_indices_)
    assert again == len(whole.queried_indices_)  # it has said that it is enough


def test_a_decision_is_kept_without_a_seed(blobs):
    X, y = blobs
    rule = StabilizedPredictions(0.8)
    done = loop(rule, random_state=None, warm_start=True, scoring=[]).fit(X, y)
    n_labels = len(done.queried_indices_)
    assert done.stopping_.decision_.stop
    assert len(done.fit(X, y).queried_indices_) == n_labels
    done.set_params(stopping__threshold=1.0, budget=n_labels + 10)
    assert len(done.fit(X, y).queried_indices_) == n_labels + 10


def test_rules_are_searched_like_any_parameter(blobs):
    X, y = blobs
    search = GridSearchCV(
        loop(StabilizedPredictions(), budget=60),
        {"stopping__threshold": [0.5, 1.0]},
        cv=2,
        scoring="balanced_accuracy",
    ).fit(X, y)
    assert search.best_params_["stopping__threshold"] in (0.5, 1.0)
    copy = clone(StabilizedPredictions(window=7))
    assert copy.window == 7
    assert "window=7" in repr(copy)


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (StabilizedPredictions(threshold=1.1), "threshold"),
        (StabilizedPredictions(window=0), "window"),
        (StabilizedPredictions(n_samples=0), "n_samples"),
    ],
)
def test_bad_parameters_are_named(blobs, rule, name):
    X, y = blobs
    model = GaussianNB().fit(X, y)
    with pytest.raises(ValueError, match=name):
        rule.update(model, X, n_labels=1, X_labeled=X, y_labeled=y)
    with pytest.raises(ValueError, match="empty"):
        StabilizedPredictions().update(model, X[:0], n_labels=1)


def test_predictions_of_one_class_are_no_reason_to_stop():
    X, y = make_blobs([300, 6], n_features=4, random_state=0)
    rule = StabilizedPredictions(window=1)
    constant = DummyClassifier().fit(X[y == 0], y[y == 0])
    rules = [rule.update(constant, X, n_labels=n) for n in (5, 10, 15)]
    assert [said.stop for said in rules] == [False] * 3
    assert rules[-1].value == 0
    model = LogisticRegression().fit(X, y)
    assert not rule.update(model, X, n_labels=20).stop
    assert rule.update(model, X, n_labels=25).stop


class TestTargetScore:
    def label(self, blobs, rule, **parameters):
        X, y = blobs
        with AnnotationSession(
            X,
            LogisticRegression(),
            classes=[0, 1, 2],
            stopping=rule,
            background=False,
            **parameters,
        ) as session:
            for _ in range(25):
                questions = session.ask(10)
                if session.progress().should_stop:
                    break
                ids = [q.id for q in questions]
                session.answer(ids, y[[q.index for q in questions]])
            session.ask(1)
            return session.progress(), session.check_score()

    def test_it_stops_when_the_interval_is_above_the_target(self, blobs):
        progress, score = self.label(blobs, TargetScore(0.6), check_share=0.5)
        assert progress.should_stop
        assert "On a check set of" in progress.stop_reason
        assert "60.0% is enough" in progress.stop_reason
        assert score.accuracy > 0.6
        later, _ = self.label(blobs, TargetScore(0.75), check_share=0.5)
        assert later.n_labels > progress.n_labels

    def test_it_goes_on_without_a_check_set_or_below_the_target(self, blobs):
        for rule, share in ((TargetScore(0.999), 0.5), (TargetScore(0.1), 0)):
            progress, _ = self.label(blobs, rule, check_share=share)
            assert not progress.should_stop
            assert progress.n_labels == 250

    @pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy"])
    def test_it_looks_at_the_check_set_alone(self, blobs, metric):
        X, y = blobs
        model = LogisticRegression().fit(X[:100], y[:100])
        rule = TargetScore(0.5, metric)
        found = rule.update(
            model, X, n_labels=100, X_check=X[100:160], y_check=y[100:160]
        )
        wrong = rule.update(
            model, X, n_labels=100, X_check=X[100:160], y_check=(y[100:160] + 1) % 3
        )
        assert found.stop
        assert not wrong.stop
        right = model.predict(X[100:160]) == y[100:160]
        recalls = [right[y[100:160] == k].mean() for k in np.unique(y[100:160])]
        score = right.mean() if metric == "accuracy" else np.mean(recalls)
        assert found.value < score
        assert not rule.update(model, X, n_labels=100).stop
        assert vars(rule) == {"target": 0.5, "metric": metric}

    def test_balanced_accuracy_needs_check_labels_of_all_classes(self, blobs):
        X, y = blobs
        model = LogisticRegression(max_iter=500).fit(X, y)
        rows = np.flatnonzero((model.predict(X) == y) & (y != 2))[:200]
        rule = TargetScore(0.5, "balanced_accuracy")
        for estimator in (model, DummyClassifier().fit(X[y == 0], y[y == 0])):
            check = rows if estimator is model else rows[y[rows] == 0]
            said = rule.update(
                estimator, X, n_labels=9, X_check=X[check], y_check=y[check]
            )
            assert not said.stop
            assert "only" in said.reason
        assert (
            TargetScore(0.5)
            .update(model, X, n_labels=9, X_check=X[rows], y_check=y[rows])
            .stop
        )

    @pytest.mark.parametrize(
        ("parameters", "name"),
        [
            ({"target": 0}, "target"),
            ({"target": 1.0}, "target"),
            ({"target": "high"}, "target"),
            ({"target": True}, "target"),
            ({"metric": "f1"}, "metric"),
        ],
    )
    def test_parameters_out_of_range_are_named(self, blobs, parameters, name):
        with pytest.raises(ValueError, match=f"{name} must be"):
            TargetScore(**parameters).update(None, blobs[0], n_labels=1)
