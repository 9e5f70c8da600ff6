"""Checks that every query strategy must pass, built-in or custom.

They complement `sklearn.utils.estimator_checks`, which does not cover queries::

    from cofm_sklearn.loop.checks import parametrize_strategies_with_checks

    @parametrize_strategies_with_checks([MyQuery(random_state=0)])
    def test_strategy(strategy, check):
        check(strategy)

Plain functions are wrapped in `ModALQuery`, which starts without labels, checks the
arguments, and breaks ties at random.
"""

import pickle

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from cofm_sklearn.loop.learner import Learner
from cofm_sklearn.query import ModALQuery

__all__ = ["STRATEGY_CHECKS", "parametrize_strategies_with_checks"]


def _learner(estimator, X, y):
    return Learner(estimator).fit(X, y)


def _data(n_pool=40, n_labeled=12, n_features=5):
    X, y = make_blobs(
        [n_pool, n_labeled, (n_pool + n_labeled) // 3],
        n_features=n_features,
        random_state=0,
    )
    order = np.random.RandomState(0).permutation(len(y))
    X, y = X[order], y[order]
    labeled = np.concatenate([np.flatnonzero(y == k)[:3] for k in range(3)])
    labeled = np.union1d(labeled, np.arange(n_labeled))
    pool = np.setdiff1d(np.arange(len(y)), labeled)[:n_pool]
    return X[labeled], y[labeled], X[pool]


def _valid(indices, n_pool, n_instances):
    assert isinstance(indices, np.ndarray), type(indices)
    assert indices.shape == (n_instances,), indices.shape
    assert indices.dtype.kind == "i", indices.dtype
    assert len(set(indices.tolist())) == n_instances, "picked twice"
    assert indices.min() >= 0
    assert indices.max() < n_pool


def _raises(error, fragment, function, *args, **kwargs):
    import pytest

    with pytest.raises(error, match=fragment):
        function(*args, **kwargs)


def check_is_an_estimator(strategy):
    """Parameters survive get_params, set_params, clone, pickle and repr."""
    params = strategy.get_params()
    assert clone(strategy).get_params().keys() == params.keys()
    again = pickle.loads(pickle.dumps(strategy))
    assert repr(again) == repr(strategy)
    assert type(strategy).__name__ in repr(strategy)
    strategy.set_params(**strategy.get_params(deep=False))
    assert callable(strategy)


def check_valid_picks(strategy):
    """Distinct positions in the pool, as many as asked for, up to all."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    for n_instances in (1, 2, 7, len(pool)):
        _valid(strategy(learner, pool, n_instances), len(pool), n_instances)


def check_own_n_instances(strategy):
    """Without an argument, the strategy's own `n_instances` is used."""
    X, y, pool = _data()
    strategy = clone(strategy).set_params(n_instances=3)
    _valid(strategy(_learner(LogisticRegression(), X, y), pool), len(pool), 3)


def check_cold_start(strategy):
    """A strategy can query an unfitted learner without labels."""
    _, _, pool = _data()
    _valid(strategy(Learner(LogisticRegression()), pool, 4), len(pool), 4)
    _valid(strategy(LogisticRegression(), pool, 4), len(pool), 4)


def check_repeatable(strategy):
    """Equal seeds give equal picks; queries change nothing."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    before = {k: repr(v) for k, v in vars(strategy).items()}
    for seed in (0, np.random.RandomState(3)):
        strategy = clone(strategy).set_params(random_state=seed)
        first = strategy(learner, pool, 5)
        np.testing.assert_array_equal(strategy(learner, pool, 5), first)
        np.testing.assert_array_equal(clone(strategy)(learner, pool, 5), first)
    strategy = clone(strategy).set_params(random_state=0)
    strategy(learner, pool, 5)
    changed = {k for k, v in vars(strategy).items() if repr(v) != before.get(k)}
    assert changed <= {"random_state"}, f"the query changed {changed}"


def check_no_global_random_state(strategy):
    """NumPy's global generator is neither used nor advanced."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    strategy = clone(strategy).set_params(random_state=0)
    before = np.random.get_state(legacy=False)  # noqa: NPY002 - it is what is checked
    strategy(learner, pool, 5)
    after = np.random.get_state(legacy=False)  # noqa: NPY002
    np.testing.assert_array_equal(after["state"]["key"], before["state"]["key"])
    assert after["state"]["pos"] == before["state"]["pos"], (
        "drew from the global generator"
    )


def check_inputs_unchanged(strategy):
    """Neither the pool nor the labelled samples are written to."""
    X, y, pool = _data()
    for array in (X, y, pool):
        array.flags.writeable = False
    copies = X.copy(), y.copy(), pool.copy()
    strategy(_learner(LogisticRegression(), X, y), pool, 5)
    for array, copy in zip((X, y, pool), copies):
        np.testing.assert_array_equal(array, copy)


def check_bad_n_instances(strategy):
    """Invalid numbers raise an error that names the argument."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    for n_instances in (0, -1, len(pool) + 1):
        _raises(ValueError, "n_instances", strategy, learner, pool, n_instances)
    for no_integer in (1.5, "2", True):
        _raises(TypeError, "n_instances", strategy, learner, pool, no_integer)


def check_bad_pool(strategy):
    """An empty pool, NaN, inf and a wrong width are errors."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    _raises(ValueError, "X_pool", strategy, learner, pool[:0], 1)
    for value in (np.nan, np.inf):
        bad = pool.copy()
        bad[3, 1] = value
        _raises(ValueError, "X_pool", strategy, learner, bad, 1)
    _raises(ValueError, "features", strategy, learner, pool[:, :3], 1)


def check_duplicates_and_constants(strategy):
    """Equal rows, constant and zero columns are handled."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    _valid(strategy(learner, np.repeat(pool[:3], 5, axis=0), 10), 15, 10)
    X, pool = X.copy(), pool.copy()
    X[:, 0], pool[:, 0], X[:, 1], pool[:, 1] = 1, 1, 0, 0
    _valid(strategy(_learner(LogisticRegression(), X, y), pool, 5), len(pool), 5)
    _valid(strategy(_learner(LogisticRegression(), X, y), 0 * pool, 5), len(pool), 5)


def check_two_classes_and_strings(strategy):
    """Binary problems and labels that are strings."""
    X, y, pool = _data()
    for labels in (y > 0, np.array(["rare", "common", "other"])[y]):
        learner = _learner(LogisticRegression(), X, labels)
        _valid(strategy(learner, pool, 5), len(pool), 5)


def check_pool_kinds(strategy):
    """CSR matrices, frames, float32 and pipelines give valid picks."""
    X, y, pool = _data()
    X, pool = np.maximum(X, 0), np.maximum(pool, 0)
    pipeline = make_pipeline(MinMaxScaler(), LogisticRegression())
    for convert, estimator in (
        (sparse.csr_matrix, LogisticRegression()),
        (pd.DataFrame, LogisticRegression()),
        (np.float32, LogisticRegression()),
        (np.asarray, pipeline),
    ):
        learner = _learner(estimator, convert(X), y)
        _valid(strategy(learner, convert(pool), 5), len(pool), 5)
    _valid(strategy(clone(pipeline), pool, 5), len(pool), 5)


def check_utilities(strategy):
    """Utilities have one value per sample, and do not change the picks."""
    X, y, pool = _data()
    learner = _learner(LogisticRegression(), X, y)
    strategy = clone(strategy).set_params(random_state=0)
    indices, utilities = strategy(learner, pool, 5, return_utilities=True)
    np.testing.assert_array_equal(indices, strategy(learner, pool, 5))
    assert utilities.shape == (len(pool),)
    assert np.isfinite(utilities[indices]).all(), "a chosen sample has no utility"


def check_in_learner(strategy):
    """Several rounds of query and teach, starting without labels."""
    _, _, pool = _data()
    learner = Learner(LogisticRegression(), strategy)
    for n_instances in (2, 1, 3):
        indices = learner.query(pool, n_instances)
        _valid(indices, len(pool), n_instances)
        learner.teach(pool[indices], np.resize([0, 1], n_instances))
    assert len(learner.y_training) == 6


def check_in_modal(strategy):
    """The stock learner of modAL queries and learns, one and two at a time."""
    import pytest

    modal = pytest.importorskip("modAL.models")
    X, y, pool = _data()
    learner = modal.ActiveLearner(LogisticRegression(), strategy, X, y)
    for n_instances in (1, 2):
        indices, rows = learner.query(pool, n_instances=n_instances)
        _valid(np.asarray(indices), len(pool), n_instances)
        np.testing.assert_array_equal(rows, pool[indices])
        learner.teach(rows, np.resize([0, 1], n_instances))
    assert len(learner.y_training) == len(y) + 3


STRATEGY_CHECKS = (
    check_is_an_estimator,
    check_valid_picks,
    check_own_n_instances,
    check_cold_start,
    check_repeatable,
    check_no_global_random_state,
    check_inputs_unchanged,
    check_bad_n_instances,
    check_bad_pool,
    check_duplicates_and_constants,
    check_two_classes_and_strings,
    check_pool_kinds,
    check_utilities,
    check_in_learner,
    check_in_modal,
)


def parametrize_strategies_with_checks(strategies):
    """Parametrize a pytest function ``test(strategy, check)`` over all combinations.

    Parameters
    ----------
    strategies : list of query strategies
        Instances, or functions ``(learner, X_pool, n_instances) -> indices``, which are
        wrapped in `ModALQuery`; every check gets a clone.

    Returns
    -------
    decorator

    Examples
    --------
    >>> from cofm_sklearn.loop.checks import parametrize_strategies_with_checks
    >>> from cofm_sklearn.query import RandomQuery
    >>> @parametrize_strategies_with_checks([RandomQuery(random_state=0)])
    ... def test_my_strategies(strategy, check):
    ...     check(strategy)
    """
    import pytest

    named = [
        (type(strategy).__name__, strategy)
        if hasattr(strategy, "get_params")
        else (
            getattr(strategy, "__name__", type(strategy).__name__),
            ModALQuery(strategy, random_state=0),
        )
        for strategy in strategies
    ]
    cases = [
        pytest.param(clone(strategy), check, id=f"{name}-{check.__name__}")
        for name, strategy in named
        for check in STRATEGY_CHECKS
    ]
    return pytest.mark.parametrize(("strategy", "check"), cases)
