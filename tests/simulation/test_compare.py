"""compare_strategies equals runs by hand, with any number of processes."""

import numpy as np
import pytest
from pandas.testing import assert_frame_equal
from sklearn.datasets import make_blobs
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.random_projection import GaussianRandomProjection

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    PrecomputedPrior,
)
from cofm_sklearn.query import RandomQuery, UncertaintyQuery
from cofm_sklearn.simulation import (
    LearningCurveDisplay,
    NoisyOracle,
    compare_strategies,
    label_savings,
)

SMALL = LogisticRegression()


@pytest.fixture(scope="module")
def data():
    Z, y = make_blobs([80, 50, 20], n_features=3, cluster_std=3, random_state=0)
    logits = np.random.RandomState(0).normal(size=(150, 3)) + 2 * np.eye(3)[y]
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.column_stack([proba, Z]), np.array(["a", "b", "c"])[y]


STRATEGIES = {
    "ours": (
        CoDecisionClassifier(SMALL, PrecomputedPrior(["a", "b", "c"], [0, 1, 2])),
        CoDecisionQuery(),
    ),
    "margin": UncertaintyQuery(),
    "random": RandomQuery(),
}


@pytest.fixture(scope="module")
def records(data):
    return compare_strategies(
        STRATEGIES,
        *data,
        estimator=SMALL,
        seeds=[3, 5],
        noise=[0, 0.3],
        n_instances=8,
        budget=24,
    )


def test_one_row_per_run_and_round(records):
    about = ["strategy", "seed", "noise", "round", "n_labels"]
    assert records.columns[:5].tolist() == about
    expected = [
        (name, seed, noise, k, 8 * (k + 1))
        for name in STRATEGIES
        for noise in (0, 0.3)
        for seed in (3, 5)
        for k in range(3)
    ]
    assert list(records[about].itertuples(index=False, name=None)) == expected
    assert records["balanced_accuracy"].notna().all()
    assert (
        records["noise_rate"].notna().tolist()
        == (records["strategy"] == "ours").tolist()
    )


@pytest.mark.parametrize("name", ["ours", "random"])
def test_a_run_is_as_by_hand(data, records, name):
    X, y = data
    value = STRATEGIES[name]
    model, strategy = value if isinstance(value, tuple) else (SMALL, value)
    X_pool, X_test, y_pool, y_test = train_test_split(
        X, y, test_size=0.3, stratify=y, random_state=5
    )
    by_hand = ActiveLearningClassifier(
        model,
        strategy,
        n_instances=8,
        budget=24,
        oracle=NoisyOracle(0.3, random_state=5),
        random_state=5,
    ).fit(X_pool, y_pool, eval_set=(X_test, y_test))
    run = records.query("strategy == @name and seed == 5 and noise == 0.3")
    columns = by_hand.learning_curve_.columns.difference(["strategy", "seed"])
    assert_frame_equal(
        run[columns].reset_index(drop=True),
        by_hand.learning_curve_[columns],
        check_dtype=False,
    )


def test_processes_change_nothing(data):
    options = {"estimator": SMALL, "seeds": 2, "noise": 0.2, "budget": 20}
    one, two = (
        compare_strategies(STRATEGIES, *data, n_jobs=n_jobs, **options)
        for n_jobs in (1, 2)
    )
    assert_frame_equal(one, two)


def test_random_steps_before_a_co_decision_have_the_seed_of_the_run(data):
    X, y = data
    model = make_pipeline(GaussianRandomProjection(2), CoDecisionClassifier(SMALL))
    options = {"estimator": model, "seeds": [3, 5], "budget": 20, "eval_set": (X, y)}
    one, two = (
        compare_strategies({"random": RandomQuery()}, X, y, **options) for _ in "ab"
    )
    assert_frame_equal(one, two)
    for seed, run in one.groupby("seed"):
        oracle = NoisyOracle(0.0, random_state=seed)
        by_hand = ActiveLearningClassifier(
            model, RandomQuery(), budget=20, oracle=oracle, random_state=seed
        ).fit(X, y)
        scores = by_hand.learning_curve_["balanced_accuracy"]
        assert run["balanced_accuracy"].tolist() == scores.tolist()


def test_is_drawn_and_summed_up_as_it_is(records):
    one = records[records["noise"] == 0.3]
    display = LearningCurveDisplay.from_records(one)
    assert list(display.lines_) == list(STRATEGIES)
    assert len(label_savings(one, ours="ours"))
    with pytest.raises(ValueError, match=r"records\[records\['noise'\]"):
        LearningCurveDisplay.from_records(records)


def test_own_splits_and_a_fixed_evaluation_set(data):
    X, y = data
    order = np.random.RandomState(0).permutation(150)
    pool, held_out = order[:100], order[100:]
    options = {"estimator": SMALL, "budget": 20}
    only = {"random": RandomQuery()}
    split = compare_strategies(
        only, X, y, splits=[(pool, held_out)] * 2, seeds=2, **options
    )
    fixed = compare_strategies(
        only, X[pool], y[pool], eval_set=(X[held_out], y[held_out]), seeds=2, **options
    )
    assert_frame_equal(split, fixed)
    assert split.groupby("seed")["macro_f1"].first().nunique() == 2


def test_texts_in_a_list_and_a_function(data):
    texts = [f"{word} number {i}" for i in range(30) for word in ("match", "bank")]

    def first_ones(learner, X_pool, n_instances=1):
        return np.arange(n_instances)

    found = compare_strategies(
        {"first": first_ones},
        texts,
        ["sport", "money"] * 30,
        estimator=make_pipeline(HashingVectorizer(n_features=64), SMALL),
        seeds=1,
        budget=20,
    )
    assert found["n_labels"].tolist() == [10, 20]


class _Interrupts(RandomQuery):
    """A strategy that raises KeyboardInterrupt in its second query."""

    def _select_for(self, learner, X_pool, n_instances):
        if hasattr(learner.estimator, "classes_"):
            raise KeyboardInterrupt
        return super()._select_for(learner, X_pool, n_instances)


def test_an_interruption_keeps_complete_runs(data):
    strategies = {"random": RandomQuery(), "late": _Interrupts()}
    options = {"estimator": SMALL, "seeds": 2, "budget": 20}
    with pytest.warns(UserWarning, match="2 of 4 runs are complete"):
        rows = compare_strategies(strategies, *data, **options)
    assert rows["strategy"].unique().tolist() == ["random"]
    assert rows.groupby("seed").size().tolist() == [2, 2]
    with pytest.raises(KeyboardInterrupt):  # there is nothing to return
        compare_strategies({"late": _Interrupts()}, *data, **options)


class _Counts:
    """A strategy without parameters, which draws from a stream of its own."""

    def __init__(self):
        self.rng = np.random.RandomState(0)

    def __call__(self, learner, X_pool, n_instances=1):
        return self.rng.choice(len(X_pool), n_instances, replace=False)


def test_strategies_with_a_state_of_their_own_are_copied(data):
    options = {"estimator": SMALL, "seeds": 2, "budget": 30}
    alone = compare_strategies({"own": _Counts()}, *data, **options, n_jobs=1)
    assert_frame_equal(
        alone, compare_strategies({"own": _Counts()}, *data, **options, n_jobs=2)
    )


def test_warnings_as_errors_are_no_interruption(data):
    class Warns(RandomQuery):
        def _select_for(self, learner, X_pool, n_instances):
            raise UserWarning("of a strategy")

    with pytest.raises(UserWarning, match="of a strategy"):
        compare_strategies({"w": Warns()}, *data, estimator=SMALL, seeds=1, budget=20)


def test_a_class_that_a_prior_lacks_is_named_before_the_first_run(data):
    class Fails(RandomQuery):
        def _select_for(self, learner, X_pool, n_instances):
            raise AssertionError("a run has begun")

    model = CoDecisionClassifier(SMALL, PrecomputedPrior(["a", "b"], [0, 1]))
    strategies = {"first": Fails(), "prior": (model, RandomQuery())}
    X = np.column_stack([np.full((len(data[0]), 2), 0.5), data[0]])
    with pytest.raises(ValueError, match="y holds the unknown label 'c'"):
        compare_strategies(strategies, X, data[1], estimator=SMALL)


@pytest.mark.parametrize(
    ("change", "error", "fragment"),
    [
        ({"strategies": [RandomQuery()]}, TypeError, "must be a dict"),
        ({"strategies": {}}, ValueError, "empty"),
        ({"strategies": {"a": "margin"}}, TypeError, r"strategies\['a'\]"),
        ({"estimator": None}, ValueError, "estimator="),
        ({"seeds": 0}, ValueError, "seeds"),
        ({"seeds": []}, ValueError, "seeds"),
        ({"noise": 1.0}, ValueError, "noise"),
        ({"noise": []}, ValueError, "noise"),
        ({"splits": [(range(9), range(9, 18))]}, ValueError, "1 pairs for 2 seeds"),
        ({"eval_set": (0, 0), "splits": []}, ValueError, "not both"),
        ({"y": ["a"]}, ValueError, "150 samples"),
        ({"budget": 0}, ValueError, "budget"),
    ],
)
def test_bad_arguments_are_named(data, change, error, fragment):
    good = {
        "strategies": {"random": RandomQuery()},
        "X": data[0],
        "y": data[1],
        "estimator": SMALL,
        "seeds": 2,
    }
    with pytest.raises(error, match=fragment):
        compare_strategies(**(good | change))
