"""PriorAL: its queries."""

import numpy as np
import pytest
from modAL.models import ActiveLearner
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import PrecomputedPrior
from cofm_sklearn.loop.checks import parametrize_strategies_with_checks
from cofm_sklearn.models import PriorALClassifier
from cofm_sklearn.models.prioral import in_noise_set
from cofm_sklearn.query import PriorALQuery
from cofm_sklearn.query.worth import uncertainty_of

PRIOR = PrecomputedPrior(range(4), columns=range(4))


@parametrize_strategies_with_checks([PriorALQuery(random_state=0)])
def test_shared_checks(strategy, check):
    check(strategy)


@pytest.fixture
def pool(long_tailed):
    Z, y = long_tailed(300, 6)
    rng = np.random.RandomState(1)
    proba = rng.dirichlet(np.ones(4), size=300) + np.eye(4)[y]
    return np.column_stack([proba / proba.sum(axis=1, keepdims=True), Z]), y


@pytest.mark.parametrize("of_learner", [False, True])
def test_picks_are_the_most_uncertain_of_the_noise_set(pool, teach, of_learner):
    X, y = pool
    if of_learner:
        model = PriorALClassifier(LogisticRegression(), PRIOR, pool=X)
        learner, strategy = teach(X, y, model), PriorALQuery(noise_share=0.5)
        small = learner.estimator.small_model_proba(X)
    else:
        learner = teach(X, y)
        strategy = PriorALQuery(PRIOR, noise_share=0.5)
        small = learner.predict_proba(X)
    picked = strategy(learner, X, n_instances=12)
    noisy = np.flatnonzero(in_noise_set(X[:, :4], small, 0.5))
    entropy = -(small * np.log(small)).sum(axis=1)
    expected = noisy[np.argsort(-entropy[noisy])[:12]]
    assert_array_equal(picked, expected)
    if not of_learner:  # the split decides: the clean set has less certain ones
        assert (entropy > entropy[expected].min()).sum() > 12


def test_the_clean_set_comes_last(pool, teach):
    X, y = pool
    learner = teach(X, y)
    strategy = PriorALQuery(PRIOR, noise_share=0.1)
    picked, utilities = strategy(learner, X, 40, return_utilities=True)
    noisy = in_noise_set(X[:, :4], learner.predict_proba(X), 0.1)
    assert noisy[picked[:30]].all()
    assert not noisy[picked[30:]].any()
    assert (utilities[noisy] >= 0).all()
    assert (utilities[~noisy] < 0).all()
    assert (np.diff(utilities[picked]) <= 0).all()


def test_without_prior_it_is_uncertainty_sampling(pool, teach):
    X, y = pool
    learner = teach(X, y)
    entropy = uncertainty_of(learner.predict_proba(X), "entropy")
    assert_array_equal(PriorALQuery()(learner, X, 5), np.argsort(-entropy)[:5])


def test_the_first_batch_is_random(pool):
    X, _ = pool
    first = [
        PriorALQuery(PRIOR, random_state=s)(LogisticRegression(), X, 50)
        for s in (0, 0, 1)
    ]
    assert_array_equal(first[0], first[1])
    assert len(set(first[0]) & set(first[2])) < 25


def test_in_the_stock_learner_of_modal_with_a_warm_start(pool):
    X, y = pool
    model = PriorALClassifier(LogisticRegression(), PRIOR, pool=X, warm_start=True)
    learner = ActiveLearner(model, PriorALQuery(random_state=0))
    asked = []
    for _ in range(3):
        open_ = np.setdiff1d(np.arange(300), asked)
        positions, _ = learner.query(X[open_], n_instances=10)
        last = getattr(model, "estimator_", None)
        asked += open_[positions].tolist()
        learner.teach(X[open_[positions]], y[open_[positions]])
        assert not set(learner.estimator.clean_indices_) & set(asked)
        open_ = np.setdiff1d(np.arange(300), asked)
        if last is not None:
            noisy = in_noise_set(X[open_, :4], last.predict_proba(X[open_, 4:]), 0.9)
            assert_array_equal(learner.estimator.clean_indices_, open_[~noisy])
    assert len(learner.y_training) == 30


@pytest.mark.parametrize("share", [-1, 2, "auto", None])
def test_bad_shares_are_named(share, pool, teach):
    with pytest.raises(ValueError, match="noise_share"):
        PriorALQuery(noise_share=share)(teach(*pool), pool[0], 1)
