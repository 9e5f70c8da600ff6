"""Every strategy of the package against the shared checks."""

import numpy as np
import pytest

from cofm_sklearn.loop.checks import (
    STRATEGY_CHECKS,
    parametrize_strategies_with_checks,
)
from cofm_sklearn.query import BaseQueryStrategy, CoDecisionQuery

STRATEGIES = [
    CoDecisionQuery(random_state=0),
    CoDecisionQuery(
        uncertainty="entropy", balance=0.5, kernel_width=0.3, max_candidates=9
    ),
]


@parametrize_strategies_with_checks(STRATEGIES)
def test_strategy(strategy, check):
    check(strategy)


def least_certain(learner, X_pool, n_instances):
    return np.argsort(learner.predict_proba(X_pool).max(axis=1))[:n_instances]


@parametrize_strategies_with_checks([least_certain])
def test_function(strategy, check):
    check(strategy)


def test_a_function_that_picks_the_same_twice_is_caught():
    def first(learner, X_pool, n_instances):
        return np.zeros(n_instances, dtype=int)

    mark = parametrize_strategies_with_checks([first]).mark
    case = {case.id: case for case in mark.args[1]}["first-check_valid_picks"]
    strategy, check = case.values
    with pytest.raises(ValueError, match="first must return distinct positions"):
        check(strategy)


class _TakesTheSameTwice(BaseQueryStrategy):
    def __init__(self, n_instances=1, random_state=None):
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        return np.zeros(n_instances, dtype=int), np.zeros(view.X_pool.shape[0])


class _DrawsGlobally(_TakesTheSameTwice):
    def _select(self, view, n_instances, rng):
        picked = np.random.permutation(view.X_pool.shape[0])[:n_instances]  # noqa: NPY002
        return picked, np.zeros(view.X_pool.shape[0])


@pytest.mark.parametrize(
    ("strategy", "caught_by"),
    [
        (_TakesTheSameTwice(), "check_valid_picks"),
        (_DrawsGlobally(), "check_no_global_random_state"),
        (_DrawsGlobally(), "check_repeatable"),
    ],
)
def test_checks_can_fail(strategy, caught_by):
    check = {check.__name__: check for check in STRATEGY_CHECKS}[caught_by]
    with pytest.raises(AssertionError):
        check(strategy)
