"""Combined priors: the formula, the small model's features, and the weights."""

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    CombinedPrior,
    PrecomputedPrior,
    ZeroShotPrior,
)
from cofm_sklearn.models.fusion import fit_prior_weights

CLASSES = ["a", "b", "c"]


def simulate(y, accuracy, rng, sharpness=1.0):
    """Probabilities of a calibrated model with a given accuracy."""
    proba = np.full((len(y), 3), 0.02)
    wrong = (y + rng.randint(1, 3, len(y))) % 3
    said = np.where(rng.rand(len(y)) < accuracy, y, wrong)
    proba[np.arange(len(y)), said] += rng.uniform(0.3, 1, len(y))
    proba **= sharpness
    return proba / proba.sum(axis=1, keepdims=True)


@pytest.fixture(scope="module")
def data():
    rng = np.random.RandomState(0)
    X, y = make_blobs(300, centers=3, n_features=5, cluster_std=6.0, random_state=0)
    X /= 10
    probas = [simulate(y, accuracy, rng) for accuracy in (0.8, 0.8, 1 / 3)]
    return np.hstack([*probas, X]), np.array(CLASSES)[y], probas


def columns_of(k):
    return PrecomputedPrior(CLASSES, columns=[3 * k, 3 * k + 1, 3 * k + 2])


def test_equals_the_formula(data):
    X, _, (first, second, _) = data
    prior = CombinedPrior([columns_of(0), columns_of(1)]).fit()
    for weights, scales in (([0.5, 0.5], [1, 1]), ([0.3, 0.7], [2.0, 0.5])):
        proba = prior.with_weights(weights, scales).predict_proba(X)
        sharp = weights[0] * scales[0] + weights[1] * scales[1]
        for i in range(5):
            odds = [
                (first[i, k] ** (weights[0] / scales[0] * sharp))
                * (second[i, k] ** (weights[1] / scales[1] * sharp))
                for k in range(3)
            ]
            assert_allclose(proba[i], np.array(odds) / sum(odds))
    assert_array_equal(prior.weights_, [0.5, 0.5])
    alone = prior.with_weights([0, 1], [3.0, 2.0]).predict_proba(X)
    assert_allclose(alone, second)


def test_columns_follow_the_sorted_classes(data):
    X, _, (first, _, _) = data
    other = PrecomputedPrior(CLASSES[::-1], columns=[2, 1, 0])
    old = LogisticRegression().fit(X[:, :3], data[1])
    old.predict_proba = lambda X: first
    prior = CombinedPrior([columns_of(0), other, old]).fit()
    assert_array_equal(prior.classes_, CLASSES)
    assert_allclose(prior.predict_proba(X), first)


def test_the_small_model_sees_what_no_prior_takes(data):
    X = data[0]
    prior = CombinedPrior([columns_of(0), columns_of(2)]).fit()
    left = [3, 4, 5, *range(9, 14)]
    assert_array_equal(prior.features(X), X[:, left])
    assert_array_equal(prior.features(X.tolist()), X[:, left])
    assert_array_equal(prior.features(sparse.csr_array(X)).toarray(), X[:, left])
    frame = pd.DataFrame(X, columns=[f"c{i}" for i in range(X.shape[1])])
    named = [
        PrecomputedPrior(CLASSES, columns=[f"c{i}" for i in part])
        for part in ([0, 1, 2], [6, 7, 8])
    ]
    in_frame = CombinedPrior(named).fit(frame).features(frame)
    assert_array_equal(in_frame.columns, [f"c{i}" for i in left])
    both = CombinedPrior([PrecomputedPrior(CLASSES)] * 2).fit()
    assert both.features(X) is X
    assert both.features(["text"]) == ["text"]


def test_the_first_that_embeds_does():
    descriptions = {"sport": "a sports game", "money": "the economy"}
    zero_shot = ZeroShotPrior(descriptions)
    texts = ["the goalkeeper was injured", "the bank raised its rates"]
    old = FrozenEstimator(
        CombinedPrior([zero_shot, zero_shot]).fit(texts)  # a prior like any other
    )
    prior = CombinedPrior([old, zero_shot]).fit(texts)
    assert prior.predict(texts).tolist() == ["sport", "money"]
    assert prior.embed(texts).shape == (2, 384)
    assert prior.description_rows(texts).tolist() == ["the economy", "a sports game"]
    assert CombinedPrior([PrecomputedPrior([0, 1])] * 2).fit().embed(np.eye(2)) is None


@settings(max_examples=8)
@given(seed=st.integers(0, 10**6), n_labels=st.integers(1, 30))
def test_weights_do_not_depend_on_order_or_sharpness(seed, n_labels):
    rng = np.random.RandomState(seed)
    y = rng.randint(3, size=n_labels)
    probas = np.array([simulate(y, a, rng) for a in (0.9, 0.6, 1 / 3)])
    weights, scales = fit_prior_weights(probas, y)
    assert_allclose(weights.sum(), 1)
    assert weights.min() >= 0
    turned, _ = fit_prior_weights(probas[[2, 0, 1]], y)
    assert_allclose(turned, weights[[2, 0, 1]], atol=1e-6)
    sharp = probas**3 / (probas**3).sum(axis=2, keepdims=True)
    again, sharper = fit_prior_weights(sharp, y)
    assert_allclose(again, weights, atol=1e-6)
    assert_allclose(sharper, 3 * scales, rtol=1e-6)
    weight = rng.rand(n_labels) + 0.1
    few = np.append(weight, 0.0)
    longer = np.concatenate([probas, np.full((3, 1, 3), 1 / 3)], axis=1)
    assert_allclose(
        fit_prior_weights(longer, np.append(y, 0), sample_weight=few)[0],
        fit_prior_weights(probas, y, sample_weight=weight)[0],
        atol=1e-6,
    )


def test_equal_priors_share_and_a_useless_one_is_discarded(data):
    _, y, (first, second, useless) = data
    codes = np.searchsorted(CLASSES, y)
    weights, _ = fit_prior_weights(np.array([first, first, useless]), codes)
    assert_allclose(weights[0], weights[1])
    assert weights[2] < 0.05
    both, _ = fit_prior_weights(np.array([first, second]), codes)
    assert both.min() > 0.35  # two opinions are better than one
    most = [fit_prior_weights(np.array([first] * n), codes)[0] for n in (6, 13)]
    assert_allclose(most[0], 1 / 6)
    assert_allclose(most[1], 1 / 13)


def test_a_co_decision_weighs_them(data):
    X, y, (first, _, _) = data
    rng = np.random.RandomState(1)
    useless = first[rng.permutation(len(X))]  # as sure as the others
    X = np.hstack([useless, X])
    priors = [columns_of(0), columns_of(1), columns_of(2)]
    shared = FrozenEstimator(CombinedPrior(priors).fit())
    rows = rng.permutation(len(X))[:40]
    model = CoDecisionClassifier(LogisticRegression(), shared, random_state=0)
    model.fit(X[rows], y[rows])
    assert model.prior_.weights_[0] < 0.1
    assert_array_equal(shared.estimator.weights_, [1 / 3] * 3)  # is not changed
    single = clone(model).set_params(prior=columns_of(1)).fit(X[rows], y[rows])
    rest = np.setdiff1d(np.arange(len(X)), rows)
    both, one = (m.score(X[rest], y[rest]) for m in (model, single))
    assert both > one + 0.02
    loaded = pickle.loads(pickle.dumps(model))
    assert_allclose(loaded.predict_proba(X), model.predict_proba(X))
    nothing = CoDecisionClassifier(LogisticRegression(), shared).fit(X)
    assert_allclose(nothing.predict_proba(X), shared.predict_proba(X))


def test_in_a_loop(data):
    X, y, _ = data
    prior = CombinedPrior([columns_of(0), columns_of(2)])
    model = CoDecisionClassifier(LogisticRegression(), prior)
    loop = ActiveLearningClassifier(
        model, CoDecisionQuery(), n_instances=10, budget=40, random_state=0
    ).fit(X, y)
    assert loop.score(X, y) > 0.75


@pytest.mark.parametrize(
    ("priors", "error", "message"),
    [
        (PrecomputedPrior([0, 1]), TypeError, "must be a list"),
        ([PrecomputedPrior([0, 1])], ValueError, "at least 2, got 1"),
        ([PrecomputedPrior([0, 1]), 3], TypeError, "predict_proba"),
        (
            [PrecomputedPrior([0, 1]), PrecomputedPrior([0, 2])],
            ValueError,
            "the same classes",
        ),
        (
            [PrecomputedPrior([0, 1]), LogisticRegression()],
            ValueError,
            "needs labels",
        ),
    ],
)
def test_bad_priors_are_named(priors, error, message):
    with pytest.raises(error, match=message):
        CombinedPrior(priors).fit()


def test_bad_use_is_named(data):
    prior = CombinedPrior([columns_of(0), columns_of(1)])
    with pytest.raises(NotFittedError):
        prior.predict_proba(data[0])
    prior.fit()
    with pytest.raises(ValueError, match="weights"):
        prior.with_weights([0.5, 0.2])
    with pytest.raises(ValueError, match="weights"):
        prior.with_weights([1.0])
    with pytest.raises(ValueError, match=r"PrecomputedPrior.*does not fit X"):
        prior.predict_proba(data[0][:, :4])
