"""A prior from precomputed probabilities."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from cofm_sklearn import PrecomputedPrior

P = np.array([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])  # spam, ham, news
IN_ORDER = P[:, [1, 2, 0]]  # ham, news, spam
LABELS = ["spam", "ham", "news"]


def test_columns_follow_the_sorted_labels():
    prior = PrecomputedPrior(LABELS).fit()
    assert_array_equal(prior.classes_, ["ham", "news", "spam"])
    for X in (P, P.tolist(), pd.DataFrame(P), sparse.csr_array(P)):
        assert_allclose(prior.predict_proba(X), IN_ORDER)
    assert_array_equal(prior.predict(P), ["spam", "news"])
    assert prior.features(P) is P
    assert prior.description_rows(P) is None
    assert prior.embed(P) is None


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.coo_array, list])
@pytest.mark.parametrize("columns", [[3, 1, 0], [-1, 1, 0]])
def test_columns_of_an_array(kind, columns):
    X = np.column_stack([P[:, 2], P[:, 1], [8.0, 9.0], P[:, 0]])
    prior = PrecomputedPrior(LABELS, columns).fit(kind(X))
    assert_allclose(prior.predict_proba(kind(X)), IN_ORDER)
    rest = prior.features(kind(X))
    rest = rest.toarray() if sparse.issparse(rest) else rest
    assert_array_equal(rest, [[8.0], [9.0]])


def test_columns_by_slice():
    X = np.column_stack([P, [8.0, 9.0]])
    for data in (X, pd.DataFrame(X, columns=list("abcd"))):
        prior = PrecomputedPrior(LABELS, slice(0, 3)).fit(data)
        assert_allclose(prior.predict_proba(data), IN_ORDER)
        assert_array_equal(np.asarray(prior.features(data)), [[8.0], [9.0]])


def test_columns_of_a_frame():
    frame = pd.DataFrame(P, columns=["p_spam", "p_ham", "p_news"])
    frame.insert(0, "text", ["buy now", "the news"])
    prior = PrecomputedPrior(LABELS, ["p_spam", "p_ham", "p_news"]).fit(frame)
    assert_allclose(prior.predict_proba(frame), IN_ORDER)
    moved = frame[["p_news", "text", "p_ham", "p_spam"]]
    assert_allclose(prior.predict_proba(moved), IN_ORDER)
    assert list(prior.features(moved).columns) == ["text"]


def test_positions_in_a_frame_with_names():
    X = np.column_stack([[8.0, 9.0], P])
    named = pd.DataFrame(X, columns=list("abcd"))
    prior = PrecomputedPrior(LABELS, [1, 2, -1]).fit(named)
    assert_allclose(prior.predict_proba(named), IN_ORDER)
    assert list(prior.features(named).columns) == ["a"]
    # Integers that are names stay names.
    moved = pd.DataFrame(X)[[3, 2, 1, 0]]
    prior = PrecomputedPrior(LABELS, [1, 2, 3]).fit(moved)
    assert_allclose(prior.predict_proba(moved), IN_ORDER)


def test_clone_pickle_and_order_of_fit():
    prior = PrecomputedPrior(LABELS).fit()
    assert_allclose(pickle.loads(pickle.dumps(prior)).predict_proba(P), IN_ORDER)
    with pytest.raises(NotFittedError):
        clone(prior).predict(P)
    # Parameters set after `fit` wait for the next one.
    prior.set_params(classes=["x", "y", "z"])
    assert_allclose(prior.predict_proba(P), IN_ORDER)


def test_rows_are_made_to_sum_to_one_exactly():
    proba = PrecomputedPrior([0, 1]).fit().predict_proba([[0.33333, 0.66666]])
    assert proba.sum() == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize(
    ("classes", "columns", "X", "message"),
    [
        (["a"], None, None, "at least 2"),
        ([], None, None, "classes is empty"),
        (["a", "a"], None, None, "must not repeat"),
        (["a", None], None, None, "classes has missing"),
        ([["a", "b"], ["c", "d"]], None, None, "classes has 2 columns"),
        (LABELS, None, P[:, :2], "2 columns for 3 classes"),
        (LABELS, None, -P, "row 0"),
        (LABELS, None, 2 * P, "sums to 2 instead of 1"),
        (LABELS, None, np.full((2, 3), np.nan), "NaN"),
        (LABELS, None, P[0], "2D"),
        (LABELS, [0, 1, 9], P, r"columns=\[0, 1, 9\]\) does not fit X with 3 columns"),
        (LABELS, ["a", "b", "c"], P, "does not fit X"),
        (LABELS, [0, 1], P, "2 columns for 3 classes"),
        (LABELS, [0, 1, 2], P[0], "2-D"),
        (LABELS, [0, 1, 7], pd.DataFrame(P), "lacks the column 7"),
        (LABELS, "abc", pd.DataFrame(P, columns=list("abc")), "list of names"),
        (LABELS, ["a"], pd.DataFrame(P, columns=list("aab")), "do not repeat"),
    ],
)
def test_bad_input_is_named(classes, columns, X, message):
    with pytest.raises(ValueError, match=message):
        PrecomputedPrior(classes, columns).fit(X)


@pytest.mark.parametrize("columns", [{"p", "q", "r"}, {"p": 0, "q": 1, "r": 2}])
def test_columns_without_an_order_are_refused(columns):
    frame = pd.DataFrame(P, columns=["p", "q", "r"])
    with pytest.raises(TypeError, match=f"got {type(columns).__name__}. Give a list"):
        PrecomputedPrior(LABELS, columns).fit(frame)


def test_a_failed_fit_changes_nothing():
    prior = PrecomputedPrior(LABELS).fit()
    with pytest.raises(ValueError, match="row 0"):
        prior.set_params(classes=["x", "y", "z"]).fit(-P)
    assert_allclose(prior.predict_proba(P), IN_ORDER)
    assert_array_equal(prior.classes_, ["ham", "news", "spam"])
