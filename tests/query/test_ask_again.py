"""AskAgainQuery: which labels get a second opinion, and how many."""

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB

import cofm_sklearn  # noqa: F401 - repairs modAL before it is imported

# isort: split
from modAL.models import ActiveLearner
from modAL.uncertainty import margin_sampling

from cofm_sklearn import CoDecisionQuery
from cofm_sklearn.loop.checks import parametrize_strategies_with_checks
from cofm_sklearn.noise import combine_annotators
from cofm_sklearn.query import AskAgainQuery

STRATEGIES = [
    AskAgainQuery(CoDecisionQuery(), random_state=0),
    AskAgainQuery(margin_sampling, share=0.5, random_state=0),
]


@parametrize_strategies_with_checks(STRATEGIES)
def test_strategy(strategy, check):
    check(strategy)


class Knows:
    """A learner with given probabilities."""

    def __init__(self, proba_labeled, proba_pool, classes=("a", "b")):
        self.estimator = self
        self.classes_ = np.array(classes)
        self.X_training = np.arange(len(proba_labeled), dtype=float)[:, None]
        self.pool = -1.0 - np.arange(len(proba_pool), dtype=float)[:, None]
        self.told = np.array([*proba_labeled, *proba_pool[::-1]], dtype=float)

    def predict_proba(self, X):
        return self.told[X[:, 0].astype(int)]


def make_knows(n=20, doubtful=(3, 8)):
    proba = np.tile([0.95, 0.05], (n, 1))
    proba[list(doubtful)] = [0.05, 0.95]
    return Knows(proba, np.tile([[0.9, 0.1], [0.5, 0.5]], (10, 1)))


def make_unsure():
    """12 labels that the model predicts, 6 it contradicts, 12 it cannot judge."""
    proba = np.repeat([[0.95, 0.05], [0.05, 0.95], [0.5, 0.5]], [12, 6, 12], axis=0)
    return Knows(proba, np.tile([[0.9, 0.1], [0.5, 0.5]], (10, 1)))


def answers_of(*rows):
    width = max(map(len, rows))
    return [[*row, *[None] * (width - len(row))] for row in rows]


@pytest.mark.parametrize("score", ["doubt", "activelab"])
def test_contradicted_labels_come_first(score):
    if score == "activelab":
        pytest.importorskip("cleanlab")
    learner = make_knows()
    strategy = AskAgainQuery(CoDecisionQuery(), share=0.5, score=score)
    # Half of the pool is as unsure as can be, so ActiveLab prefers 2 at most.
    again = strategy.select_again(learner, [["a"]] * 20, learner.pool, n_instances=4)
    assert sorted(again) == [3, 8]


def test_labels_that_nobody_doubts_are_left_alone():
    learner = make_knows(doubtful=())
    strategy = AskAgainQuery(CoDecisionQuery(), share=1.0)
    assert not strategy.select_again(learner, [["a"]] * 20, learner.pool, 10).size


def test_agreement_and_exhaustion_end_the_questions():
    learner = make_knows()
    rows = [["a"]] * 20
    rows[3] = ["a", "b", "a"]  # may not be asked again
    strategy = AskAgainQuery(CoDecisionQuery(), share=1.0)
    answers = answers_of(*rows)
    assert strategy.select_again(learner, answers, learner.pool, 10).tolist() == [8]
    rows[8] = ["b", "b"]  # is not doubted any more
    answers = answers_of(*rows)
    assert not strategy.select_again(learner, answers, learner.pool, 10).size
    rows[3] = ["a", "b"]
    found = strategy.set_params(max_answers=2).select_again(
        learner, answers_of(*rows), learner.pool, 10
    )
    assert not found.size


def test_rare_classes_are_worth_more():
    classes = ("common", "other", "rare")
    flat = [0.4, 0.35, 0.25]
    pool = np.tile([0.6, 0.38, 0.02], (50, 1))
    answers = [["common"], ["rare"], ["other"]] * 4
    learner = Knows([flat] * 12, pool, classes)
    strategy = AskAgainQuery(CoDecisionQuery(), share=1.0, balance=1.0)
    first = strategy.select_again(learner, answers, learner.pool, 4)
    assert {answers[i][0] for i in first} == {"rare"}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.3, 1.0])
@pytest.mark.parametrize("n_instances", [1, 7])
def test_the_share_adds_up_over_batches(share, n_instances):
    n_again = 0
    learner = make_unsure()
    strategy = AskAgainQuery(CoDecisionQuery(), share=share)
    rows = [["a"] for _ in range(30)]
    for _ in range(12):
        again = strategy.select_again(
            learner, answers_of(*rows), learner.pool, n_instances
        )
        n_again += len(again)
        assert set(again) <= set(range(18, 30))
        rows[0] += ["a"] * n_instances
    assert abs(n_again - share * 12 * n_instances) < 1


def test_an_empty_pool_leaves_second_opinions_only():
    learner = make_unsure()
    strategy = AskAgainQuery(CoDecisionQuery(), share=0.1)
    again = strategy.select_again(learner, [["a"]] * 30, None, n_instances=20)
    assert sorted(again) == list(range(18, 30))


def test_new_samples_are_those_of_the_inner_strategy():
    X, y = make_blobs([40, 20], n_features=3, random_state=0)
    learner = ActiveLearner(LogisticRegression(), X_training=X[::6], y_training=y[::6])
    inner = CoDecisionQuery(random_state=3)
    np.testing.assert_array_equal(
        AskAgainQuery(inner)(learner, X, n_instances=4),
        inner(learner, X, n_instances=4),
    )
    # What a learner gets depends on the release of modAL; with utilities it does not.
    by_function, _ = AskAgainQuery(margin_sampling, random_state=0)(
        learner, X, 3, return_utilities=True
    )
    proba = np.sort(learner.predict_proba(X), axis=1)
    margins = proba[:, -1] - proba[:, -2]
    np.testing.assert_allclose(margins[by_function], np.sort(margins)[:3])


def test_by_hand_with_the_stock_learner_of_modal():
    X, true = make_blobs([60, 60], n_features=2, random_state=0)
    rng = np.random.RandomState(0)
    strategy = AskAgainQuery(CoDecisionQuery(random_state=0), share=0.5)

    def ask(y):
        return y if rng.uniform() > 0.3 else 1 - y

    asked, pool = list(range(0, 120, 4)), [i for i in range(120) if i % 4]
    answers = [[ask(true[i])] for i in asked]
    learner = ActiveLearner(
        GaussianNB(), strategy, X[asked], np.array([row[0] for row in answers])
    )
    n_again = 0
    for _ in range(5):
        again = strategy.select_again(
            learner, answers_of(*answers), X[pool], n_instances=6
        )
        for i in again:
            answers[i].append(ask(true[asked[i]]))
        new, rows = learner.query(X[pool], n_instances=6 - len(again))
        for i in new:
            asked.append(pool[i])
            answers.append([ask(true[pool[i]])])
        learner.teach(rows, np.array([row[0] for row in answers[-len(new) :]]))
        pool = [i for k, i in enumerate(pool) if k not in set(new)]
        proba = learner.predict_proba(learner.X_training)
        agreed = combine_annotators(answers_of(*answers), proba, classes=[0, 1])
        learner.fit(learner.X_training, agreed.labels)
        n_again += len(again)
    assert n_again > 0
    np.testing.assert_array_equal(learner.X_training, X[asked])
    assert sum(map(len, answers)) == 30 + 5 * 6
    assert np.mean(learner.predict(X) == true) > 0.9


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"query_strategy": "margin"}, TypeError, "query_strategy must be callable"),
        ({"share": 1.5}, ValueError, "share must be a number"),
        ({"share": "auto"}, ValueError, "share must be a number"),
        ({"score": "best"}, ValueError, "score must be one of"),
        ({"balance": -1}, ValueError, "balance must be a number"),
        ({"max_answers": 1}, ValueError, "max_answers must be an integer"),
    ],
)
def test_bad_parameters_are_named(params, error, message):
    learner = make_knows()
    strategy = clone(STRATEGIES[0]).set_params(**params)
    with pytest.raises(error, match=message):
        strategy.select_again(learner, [["a"]] * 20, learner.pool)
    with pytest.raises(error, match=message):
        strategy(LogisticRegression(), np.eye(4))


def test_bad_answers_are_named():
    learner = make_knows()
    strategy = STRATEGIES[0]
    for answers in ([["a"]] * 19, ["a"] * 20):
        with pytest.raises(ValueError, match="one row per sample"):
            strategy.select_again(learner, answers, learner.pool)
    with pytest.raises(ValueError, match="without any label"):
        strategy.select_again(learner, [["a"]] * 19 + [[None]], learner.pool)
