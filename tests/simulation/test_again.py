"""Repeated answers in the loop: cost, consensus, interruption, independence."""

from collections import Counter

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.query import AskAgainQuery, BaseQueryStrategy
from cofm_sklearn.simulation import (
    ExactOracle,
    LearningCurveDisplay,
    NoisyOracle,
    RecordedVotesOracle,
)
from cofm_sklearn.simulation.again import agree, group_answers


@pytest.fixture
def blobs():
    X, y = make_blobs([60, 40, 12], n_features=5, cluster_std=2.0, random_state=0)
    return X, np.array(["common", "second", "rare"])[y]


class FirstAgain(BaseQueryStrategy):
    """New samples in order; the first two labelled ones again, up to `most` answers."""

    def __init__(self, most=3, n_instances=1, random_state=None):
        self.most = most
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        return np.arange(n_instances), np.zeros(view.X_pool.shape[0])

    def select_again(self, learner, answers, X_pool=None, n_instances=None):
        assert len(answers) == len(learner.X_training) == len(learner.y_training)
        n_before = np.array([sum(a is not None for a in row) for row in answers])
        return np.flatnonzero(n_before < self.most)[: min(2, n_instances)]


def make_loop(strategy=None, estimator=None, **params):
    params = {"n_instances": 6, "budget": 40, "random_state": 0, **params}
    return ActiveLearningClassifier(
        estimator or CoDecisionClassifier(LogisticRegression()),
        strategy or FirstAgain(),
        **params,
    )


def test_group_answers_is_the_slow_one():
    rng = np.random.RandomState(0)
    asked = rng.randint(9, size=40)
    answers = rng.choice(["a", "b"], 40).tolist()
    samples, matrix = group_answers(asked, answers)
    assert samples.tolist() == list(dict.fromkeys(asked.tolist()))
    for position, row in zip(samples, matrix, strict=True):
        own = [b for a, b in zip(asked, answers, strict=True) if a == position]
        assert row[: len(own)].tolist() == own
        assert all(label is None for label in row[len(own) :])


def test_every_answer_costs_one(blobs):
    X, y = blobs
    loop = make_loop(oracle=NoisyOracle(0.3)).fit(X, y)
    assert len(loop.queried_indices_) == len(loop.answers_) == 40
    assert loop.learning_curve_["n_labels"].tolist() == [6, 12, 18, 24, 30, 36, 40]
    counts = Counter(loop.queried_indices_.tolist())
    assert max(counts.values()) == 3
    assert loop.labeled_indices_.tolist() == list(counts)
    assert len(loop.labels_) == len(counts) < 40


def test_labels_are_what_the_answers_amount_to(blobs):
    X, y = blobs
    loop = make_loop(oracle=NoisyOracle(0.3)).fit(X, y)
    samples, matrix = group_answers(loop.queried_indices_, loop.answers_)
    n_changed = 0
    for row, label in zip(matrix, loop.labels_, strict=True):
        given = [answer for answer in row if answer is not None]
        if len(given) == 1:
            assert label == given[0]  # also where the model doubts it
        elif len(set(given)) == 1 and len(given) == 3:
            assert label == given[0]
        n_changed += label != given[0]
    assert n_changed
    again = clone(loop.estimator_).fit(X[samples], loop.labels_)
    np.testing.assert_allclose(again.predict_proba(X), loop.predict_proba(X))


def test_agree_without_probabilities_is_the_majority():
    matrix = np.array([["a", None, None], ["a", "b", "b"]], dtype=object)

    class Learner:
        estimator = object()

    assert agree(matrix, Learner(), None).tolist() == ["a", "b"]


def test_a_budget_beyond_the_pool_goes_on_with_second_opinions(blobs):
    X, y = blobs
    X, y = X[::4], y[::4]
    loop = make_loop(FirstAgain(most=2), budget=1000).fit(X, y)
    assert sorted(loop.queried_indices_) == sorted([*range(len(y))] * 2)


def test_same_run_in_one_go_or_two(blobs):
    X, y = blobs
    oracle = NoisyOracle(0.3)
    loop = make_loop(oracle=oracle, warm_start=True, budget=18).fit(X, y)
    loop.set_params(budget=36).fit(X, y)
    whole = make_loop(oracle=oracle, budget=36).fit(X, y)
    for name in ("queried_indices_", "answers_", "labeled_indices_", "labels_"):
        np.testing.assert_array_equal(getattr(loop, name), getattr(whole, name))
    pd.testing.assert_frame_equal(loop.learning_curve_, whole.learning_curve_)


def test_ask_again_mends_wrong_labels_in_a_loop(blobs):
    X, y = blobs
    prior = PrecomputedPrior(["common", "rare", "second"], columns=[0, 1, 2])
    known = np.searchsorted(["common", "rare", "second"], y)
    XP = np.hstack([np.eye(3)[known] * 0.6 + 0.4 / 3, X])
    strategy = AskAgainQuery(CoDecisionQuery(), share=0.4)
    loop = make_loop(
        strategy,
        CoDecisionClassifier(LogisticRegression(), prior),
        oracle=NoisyOracle(0.4),
        budget=60,
    ).fit(XP, y)
    samples, matrix = group_answers(loop.queried_indices_, loop.answers_)
    several = np.array([row[1] is not None for row in matrix])
    assert several.any()
    right = y[samples[several]]
    first = np.mean(matrix[several, 0] == right)
    assert np.mean(loop.labels_[several] == right) > first


def test_recorded_votes_answer_again(blobs):
    X, y = blobs
    votes = np.tile([1, 1, 1], (len(y), 1))
    loop = make_loop(oracle=RecordedVotesOracle()).fit(X, y, votes=votes)
    _, matrix = group_answers(loop.queried_indices_, loop.answers_)
    thrice = [row for row in matrix if row[-1] is not None]
    assert thrice
    # Each vote is given once.
    assert all(len(set(row)) == 3 for row in thrice)


def test_quality_over_rounds_can_be_drawn(blobs):
    pytest.importorskip("matplotlib").use("Agg")
    X, y = blobs
    loop = make_loop(oracle=NoisyOracle(0.3)).fit(X, y)
    last = loop.learning_curve_.iloc[-1]
    assert last["label_quality"] == pytest.approx(loop.estimator_.label_quality_.mean())
    assert last["noise_rate"] == loop.estimator_.noise_rate_
    display = LearningCurveDisplay.from_estimator(loop, metric="label_quality")
    (line,) = display.lines_.values()
    np.testing.assert_array_equal(
        line.get_ydata(), loop.learning_curve_["label_quality"]
    )


@pytest.mark.parametrize("again", [[0, 0], [99], [-1], [0.5], [0, 1, 2, 3, 4, 5, 6]])
def test_bad_second_opinions_are_refused(blobs, again):
    class Bad(FirstAgain):
        def select_again(self, learner, answers, X_pool=None, n_instances=None):
            return again

    with pytest.raises(ValueError, match="select_again of Bad must return at most 6"):
        make_loop(Bad()).fit(*blobs)


@pytest.mark.parametrize("seed", [0, np.random.RandomState(0), None])
def test_repeated_answers_have_errors_of_their_own(seed):
    y = np.arange(6000) % 3
    oracle = NoisyOracle(0.4, random_state=seed).fit(y)
    samples = np.arange(len(y))
    wrong = [oracle.answer(samples, k) != y for k in range(3)]
    for one in range(3):
        # five standard errors are 0.032
        assert np.mean(wrong[one]) == pytest.approx(0.4, abs=0.032)
        for other in range(one):
            both = np.mean(wrong[one] & wrong[other])
            assert both == pytest.approx(0.16, abs=0.024)
    np.testing.assert_array_equal(oracle.answer(samples), oracle.answers_)
    # The order of asking does not matter.
    mixed = oracle.answer([5, 9, 5, 5], [2, 0, 0, 1])
    expected = [oracle.answer([i], k)[0] for i, k in [(5, 2), (9, 0), (5, 0), (5, 1)]]
    assert mixed.tolist() == expected


def test_repeated_answers_do_not_depend_on_who_asked_before():
    y = np.arange(50) % 2
    first = NoisyOracle(0.4, random_state=1).fit(y)
    second = NoisyOracle(0.4, random_state=1).fit(y)
    first.answer([0], 5)
    np.testing.assert_array_equal(first.answer(y, 1), second.answer(y, 1))
    assert (ExactOracle().fit(y).answer(np.arange(50), 3) == y).all()


def test_recorded_votes_are_used_up_and_start_again():
    votes = np.array([[2, 1, 0], [0, 0, 1]])
    oracle = RecordedVotesOracle(random_state=0).fit(
        [0, 1], votes=votes, classes=range(3)
    )
    given = [oracle.answer([0, 1], k).tolist() for k in range(6)]
    first = [answers[0] for answers in given]
    assert Counter(first[:3]) == {0: 2, 1: 1}
    assert set(first) == {0, 1}
    assert [answers[1] for answers in given] == [2] * 6


@pytest.mark.parametrize("n_before", [-1, [0], [0, 0.5], [[0, 1]], "once"])
def test_bad_counts_of_answers_are_named(n_before):
    with pytest.raises(ValueError, match="n_before must be a count"):
        ExactOracle().fit([0, 1]).answer([0, 1], n_before)
