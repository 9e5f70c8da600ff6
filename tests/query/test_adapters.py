"""Strategies of modAL and scikit-activeml in the loops of this package."""

import pickle
from importlib.util import find_spec

import numpy as np
import pytest
from modAL.models import ActiveLearner, Committee
from modAL.uncertainty import entropy_sampling, margin_sampling
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from cofm_sklearn import ActiveLearningClassifier, CoDecisionClassifier
from cofm_sklearn.loop.checks import (
    STRATEGY_CHECKS,
    parametrize_strategies_with_checks,
)
from cofm_sklearn.query import ModALQuery, SkactivemlQuery

needs_skactiveml = pytest.mark.skipif(
    find_spec("skactiveml") is None, reason="scikit-activeml is not installed"
)
STRATEGIES = [
    "Badge",
    "Clue",
    "CoreSet",
    "DropQuery",
    "Falcun",
    "MaxHerding",
    "ProbCover",
    "RandomSampling",
    "TypiClust",
    "UncertaintySampling",
]


@parametrize_strategies_with_checks([ModALQuery(margin_sampling, random_state=0)])
def test_shared_checks_of_modal(strategy, check):
    check(strategy)


@needs_skactiveml
@pytest.mark.parametrize("name", ["CoreSet", "Falcun"])
def test_shared_checks_of_skactiveml(name):
    for check in STRATEGY_CHECKS:
        check(SkactivemlQuery(make(name), random_state=0))


@pytest.fixture
def blobs():
    rng = np.random.RandomState(0)
    y = np.array(["x", "y", "z"])[np.repeat([0, 1, 2], [70, 40, 15])]
    X = np.eye(4)[np.repeat([0, 1, 2], [70, 40, 15])]
    return X + 0.3 * rng.normal(size=(125, 4)), y


def make(name, **params):
    return getattr(pytest.importorskip("skactiveml.pool"), name)(**params)


def run(strategy, X, y, seed=0, budget=24):
    loop = ActiveLearningClassifier(
        LogisticRegression(),
        strategy,
        n_instances=6,
        budget=budget,
        random_state=seed,
    )
    return loop.fit(X, y)


@needs_skactiveml
@pytest.mark.parametrize("name", STRATEGIES)
def test_loop_runs_and_repeats_whatever_numpy_global_state(name, blobs):
    runs = []
    for state in (0, 1):
        np.random.seed(state)  # noqa: NPY002
        runs.append(run(SkactivemlQuery(make(name)), *blobs).queried_indices_)
    assert len(set(runs[0])) == 24
    assert runs[0].tolist() == runs[1].tolist()


@needs_skactiveml
@pytest.mark.parametrize("name", STRATEGIES)
def test_no_sample_is_picked_twice_among_copies(name):
    X = np.repeat(np.eye(3), 6, axis=0)
    model = LogisticRegression().fit(np.eye(3), [0, 1, 2])
    picked = SkactivemlQuery(make(name), random_state=0)(model, X, n_instances=12)
    assert len(set(picked)) == 12


@needs_skactiveml
def test_uncertainty_is_that_of_the_trained_model(blobs):
    X, y = blobs
    known = np.r_[0:20, 70:90, 110:118]
    pool = np.setdiff1d(np.arange(125), known)
    learner = ActiveLearner(
        LogisticRegression(C=0.3),
        query_strategy=SkactivemlQuery(make("UncertaintySampling"), random_state=0),
        X_training=X[known],
        y_training=y[known],
    )
    picked, _ = learner.query(X[pool], n_instances=5)
    confidence = learner.predict_proba(X[pool]).max(axis=1)
    assert set(picked) == set(np.argsort(confidence)[:5])


@needs_skactiveml
def test_small_model_of_a_co_decision_is_asked(blobs):
    X, y = blobs
    known = np.arange(0, 125, 3)
    pool = np.setdiff1d(np.arange(125), known)
    learner = ActiveLearner(
        CoDecisionClassifier(LogisticRegression(), random_state=0),
        X_training=X[known],
        y_training=y[known],
    )
    picked = SkactivemlQuery(make("UncertaintySampling"), random_state=0)(
        learner.estimator, X[pool], n_instances=4
    )
    confidence = learner.estimator.small_model_proba(X[pool]).max(axis=1)
    assert set(picked) == set(np.argsort(confidence)[:4])


@needs_skactiveml
def test_coverage_knows_the_labelled_samples(blobs):
    X, y = blobs
    # The first two clusters are labelled, so the furthest sample is in the third.
    known = np.arange(110)
    learner = ActiveLearner(
        LogisticRegression(),
        query_strategy=SkactivemlQuery(make("CoreSet"), random_state=0),
        X_training=X[known],
        y_training=y[known],
    )
    picked, _ = learner.query(X[60:])
    assert y[60:][picked] == "z"


@needs_skactiveml
def test_utilities_rank_the_pool(blobs):
    X, y = blobs
    strategy = SkactivemlQuery(make("UncertaintySampling"), random_state=0)
    model = LogisticRegression().fit(X, y)
    picked, utilities = strategy(model, X, n_instances=3, return_utilities=True)
    assert utilities.shape == (125,)
    assert set(picked) == set(np.argsort(utilities)[-3:])


@needs_skactiveml
def test_parameters_of_the_inner_strategy_are_searched(blobs):
    strategy = SkactivemlQuery(make("UncertaintySampling"))
    loop = ActiveLearningClassifier(
        LogisticRegression(), strategy, n_instances=5, budget=15, random_state=0
    )
    grid = {"query_strategy__strategy__method": ["entropy", "margin_sampling"]}
    search = GridSearchCV(loop, grid, cv=2).fit(*blobs)
    assert search.best_params_ in search.cv_results_["params"]
    assert repr(clone(strategy)) == repr(pickle.loads(pickle.dumps(strategy)))


@needs_skactiveml
def test_strategies_that_need_more_are_refused(blobs):
    with pytest.raises(TypeError, match="ensemble"):
        run(SkactivemlQuery(make("QueryByCommittee")), *blobs)
    with pytest.raises(TypeError, match="strategy must be"):
        run(SkactivemlQuery("Badge"), *blobs)


@needs_skactiveml
@pytest.mark.parametrize("name", ["FourDs", "ProbabilisticAL"])
def test_strategies_that_need_another_classifier_are_named(blobs, name):
    with pytest.raises(TypeError, match=rf"{name} refuses .* choose another strategy"):
        run(SkactivemlQuery(make(name)), *blobs)


@needs_skactiveml
@pytest.mark.parametrize(
    "name",
    ["MonteCarloEER", "ValueOfInformationEER", "EpistemicUncertaintySampling"],
)
@pytest.mark.parametrize("co_decision", [False, True])
def test_strategies_that_train_do_as_they_do_alone(blobs, name, co_decision):
    from skactiveml.classifier import SklearnClassifier

    X, y = (part[:110] for part in blobs)  # two classes, as one of them needs
    known, pool = np.arange(0, 110, 9), np.arange(1, 110, 9)
    model = LogisticRegression(C=0.3)
    learner = ActiveLearner(
        CoDecisionClassifier(model) if co_decision else model,
        X_training=X[known],
        y_training=y[known],
    )
    strategy = SkactivemlQuery(make(name), random_state=0)
    _, ours = strategy(learner, X[pool], n_instances=1, return_utilities=True)
    codes = (y == "y").astype(float)
    labels = np.r_[codes[known], np.full(len(pool), np.nan)]
    _, theirs = make(name, random_state=0).query(
        np.concatenate([X[known], X[pool]]),
        labels,
        clf=SklearnClassifier(model, classes=[0, 1]),
        return_utilities=True,
    )
    np.testing.assert_allclose(ours, theirs[0, len(known) :], rtol=1e-4, atol=1e-8)


@pytest.mark.skipif(find_spec("skactiveml") is not None, reason="it is installed")
def test_missing_package_names_the_extra(blobs):
    with pytest.raises(ImportError, match=r"cofm_sklearn\[baselines\]"):
        run(SkactivemlQuery(None), *blobs)


def test_modal_function_chooses_as_it_does_alone(blobs):
    X, y = blobs
    known = np.r_[0:20, 70:90, 110:118]
    learner = ActiveLearner(
        LogisticRegression(),
        query_strategy=ModALQuery(margin_sampling, random_state=0),
        X_training=X[known],
        y_training=y[known],
    )
    picked, _ = learner.query(X, n_instances=5)
    top = np.sort(learner.predict_proba(X), axis=1)
    assert set(picked) == set(np.argsort(top[:, -1] - top[:, -2])[:5])


def test_modal_ties_are_drawn_by_the_seed():
    X = np.repeat(np.eye(2), 50, axis=0)
    model = LogisticRegression().fit(np.eye(2), [0, 1])  # all equally unsure
    picks = [
        ModALQuery(entropy_sampling, 5, random_state=seed)(model, X).tolist()
        for seed in (0, 0, 1)
    ]
    assert picks[0] == picks[1] != picks[2]
    assert any(max(p) >= 10 for p in picks)


def test_modal_function_starts_without_labels(blobs):
    loop = run(ModALQuery(margin_sampling), *blobs)
    assert len(set(loop.queried_indices_)) == 24
    functions = {"query_strategy__function": [margin_sampling, entropy_sampling]}
    search = GridSearchCV(loop, functions, cv=2).fit(*blobs)
    assert search.best_params_["query_strategy__function"] in functions.popitem()[1]


def test_an_error_of_a_function_is_no_cold_start(blobs):
    X, y = blobs

    def wrong(learner, X_pool, n_instances=1):
        return X_pool.nothing

    # Its small model is never trained itself.
    model = CoDecisionClassifier(LogisticRegression()).fit(X[:30], y[:30])
    with pytest.raises(AttributeError, match="nothing"):
        ModALQuery(wrong)(model, X, n_instances=2)


def test_modal_committee_and_learner_take_the_adapter(blobs):
    X, y = blobs
    known = np.arange(0, 125, 4)
    strategy = ModALQuery(margin_sampling, random_state=0)
    members = [
        ActiveLearner(LogisticRegression(C=C), X_training=X[known], y_training=y[known])
        for C in (0.1, 10.0)
    ]
    committee = Committee(members, query_strategy=strategy)
    learner = ActiveLearner(
        LogisticRegression(),
        query_strategy=strategy,
        X_training=X[known],
        y_training=y[known],
    )
    for asker in (committee, learner):
        picked, rows = asker.query(X, n_instances=3)
        assert len(set(np.ravel(picked))) == 3
        assert np.array_equal(rows, X[picked])


def test_modal_function_that_is_none_is_named():
    with pytest.raises(TypeError, match="function must be callable"):
        ModALQuery("margin")(LogisticRegression(), np.eye(3))


@pytest.mark.skipif(find_spec("skactiveml") is None, reason="it is not installed")
def test_texts_need_an_encoder_before_strategies_that_ask_the_model():
    texts = ["a cat", "a dog", "two cats", "two dogs"]
    inner = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model = CoDecisionClassifier(inner).fit(texts, list("cdcd"))
    with pytest.raises(ValueError, match="Put the encoder into a Pipeline before it"):
        SkactivemlQuery(make("UncertaintySampling"))(model, texts)
