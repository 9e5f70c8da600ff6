"""Random and uncertainty sampling."""

import numpy as np
import pytest
from modAL.models import ActiveLearner
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from numpy.testing import assert_array_equal
from sklearn.linear_model import LogisticRegression

from cofm_sklearn.loop.checks import parametrize_strategies_with_checks
from cofm_sklearn.query import RandomQuery, UncertaintyQuery

MEASURES = {
    "margin": margin_sampling,
    "entropy": entropy_sampling,
    "least_confidence": uncertainty_sampling,
}


@parametrize_strategies_with_checks(
    [RandomQuery(random_state=0), *(UncertaintyQuery(measure=m) for m in MEASURES)]
)
def test_shared_checks(strategy, check):
    check(strategy)


@pytest.mark.parametrize("measure", MEASURES)
def test_asks_for_what_modal_asks_for(measure, long_tailed):
    X, y = long_tailed(300, 6)
    first = np.concatenate([np.flatnonzero(y == k)[:5] for k in range(4)])
    learner = ActiveLearner(LogisticRegression(), MEASURES[measure], X[first], y[first])
    theirs = np.asarray(learner.query(X, n_instances=20)[0])
    assert set(UncertaintyQuery(measure)(learner.estimator, X, 20)) == set(theirs)


def test_a_random_draw_is_even_and_new_in_every_round(teach, long_tailed):
    X, y = long_tailed(40, 6)
    counts = np.zeros(40)
    for seed in range(300):
        counts[RandomQuery(random_state=seed)(LogisticRegression(), X, 10)] += 1
    # Each is drawn 75 times, give or take 7.5.
    assert 40 < counts.min() <= counts.max() < 115
    strategy = RandomQuery(random_state=0)
    few, more = teach(X[:30], y[:30]), teach(X, y)
    assert len(few.y_training) != len(more.y_training)
    assert set(strategy(few, X, 10)) != set(strategy(more, X, 10))


def test_all_start_from_the_same_draw(long_tailed):
    X, _ = long_tailed(100, 6)
    draws = [
        strategy.set_params(random_state=3)(LogisticRegression(), X, 10)
        for strategy in (RandomQuery(), *(UncertaintyQuery(m) for m in MEASURES))
    ]
    for draw in draws[1:]:
        assert_array_equal(draw, draws[0])


@pytest.mark.parametrize("measure", ["margins", None, 1])
def test_bad_measures_are_named(measure, long_tailed):
    with pytest.raises(ValueError, match="measure must be one of"):
        UncertaintyQuery(measure)(LogisticRegression(), long_tailed(9, 2)[0], 1)
