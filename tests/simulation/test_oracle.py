"""Oracles: fixed answers, the right share of wrong ones, clear errors."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from sklearn.base import clone

from cofm_sklearn.datasets import flip_labels
from cofm_sklearn.simulation.oracle import (
    ExactOracle,
    NoisyOracle,
    RecordedVotesOracle,
)

Y = np.array(["ham", "spam", "news"] * 40)
VOTES = np.random.default_rng(0).integers(0, 4, (120, 3)) + np.eye(3, dtype=int)[0]
ORACLES = [
    ExactOracle(),
    NoisyOracle(noise=0.4, random_state=0),
    NoisyOracle(
        kind="asymmetric",
        confusion={"ham": "spam", "spam": "ham", "news": "ham"},
        random_state=0,
    ),
    RecordedVotesOracle(random_state=0),
]
every_oracle = pytest.mark.parametrize("oracle", ORACLES, ids=repr)


@every_oracle
def test_answers_do_not_depend_on_the_order_of_asking(oracle):
    oracle = clone(oracle).fit(Y, votes=VOTES)
    order = np.random.default_rng(1).permutation(len(Y))
    whole = oracle.answer(np.arange(len(Y)))
    in_pieces = np.concatenate([oracle.answer(part) for part in np.split(order, 12)])
    assert_array_equal(in_pieces, whole[order])
    assert_array_equal(oracle.answer([3, 3, 3]), [whole[3]] * 3)
    assert whole.dtype == Y.dtype
    assert oracle.classes_.tolist() == ["ham", "news", "spam"]


@every_oracle
def test_clone_and_pickle_answer_alike(oracle):
    fitted = clone(oracle).fit(Y, votes=VOTES)
    again = clone(fitted).fit(Y, votes=VOTES)
    loaded = pickle.loads(pickle.dumps(fitted))
    assert_array_equal(again.answers_, fitted.answers_)
    assert_array_equal(loaded.answer([5, 1]), fitted.answer([5, 1]))


def test_exact_oracle_keeps_its_own_copy():
    y = Y.copy()
    oracle = ExactOracle().fit(y)
    y[:] = "gone"
    assert_array_equal(oracle.answer(np.arange(len(Y))), Y)


def test_noisy_oracle_is_flip_labels():
    X = np.random.default_rng(0).normal(size=(120, 4)) + np.eye(4)[np.arange(120) % 3]
    oracle = NoisyOracle(noise=0.3, kind="asymmetric", random_state=7).fit(Y, X)
    expected = flip_labels(Y, noise=0.3, kind="asymmetric", X=X, random_state=7)
    assert_array_equal(oracle.answers_, expected)
    assert (expected != Y).any()


def test_noisy_oracle_can_answer_a_class_that_y_lacks():
    oracle = NoisyOracle(noise=0.9, random_state=0).fit([0] * 50, classes=[0, 1])
    assert set(oracle.answers_.tolist()) == {0, 1}


@settings(max_examples=40, deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=3, max_size=3), min_size=1))
def test_an_answer_was_voted_for(rows):
    votes = np.array([row for row in rows if sum(row)] or [[0, 0, 1]])
    y = np.zeros(len(votes), dtype=int)
    oracle = RecordedVotesOracle(random_state=0).fit(y, votes=votes, classes=range(3))
    assert (votes[np.arange(len(y)), oracle.answers_] > 0).all()
    # the answer to a sample does not depend on the samples after it
    first = RecordedVotesOracle(random_state=0)
    first.fit(y[:1], votes=votes[:1], classes=range(3))
    assert first.answers_[0] == oracle.answers_[0]


def test_votes_are_drawn_in_proportion():
    votes = np.tile([1, 0, 3, 6], (40_000, 1))
    y = np.arange(40_000) % 4
    answers = RecordedVotesOracle(random_state=0).fit(y, votes=votes).answers_
    share = np.bincount(answers, minlength=4) / len(answers)
    # five standard errors are 0.0125
    np.testing.assert_allclose(share, [0.1, 0, 0.3, 0.6], atol=0.0125)


@pytest.mark.parametrize("classes", [["no", "so", "yes"], [3, 5, 7]])
def test_columns_of_a_frame_of_votes_are_found_by_name(classes):
    votes = np.random.RandomState(0).randint(1, 5, size=(60, 3))
    votes[np.arange(60), np.arange(60) % 3] += 5
    y = np.array(classes)[np.arange(60) % 3]
    plain = RecordedVotesOracle(random_state=0).fit(y, votes=votes)
    frame = pd.DataFrame(votes, columns=[str(label) for label in classes])
    unnamed = pd.DataFrame(votes)
    for table in (unnamed, frame, frame.iloc[:, ::-1]):
        oracle = RecordedVotesOracle(random_state=0).fit(y, votes=table)
        for n_before in range(3):
            assert_array_equal(
                oracle.answer(range(60), n_before), plain.answer(range(60), n_before)
            )
    with pytest.raises(ValueError, match=r"column names of votes must be .* Rename"):
        RecordedVotesOracle().fit(y, votes=frame.add_prefix("n_"))


@pytest.mark.parametrize(
    "y",
    [
        np.arange(40) % 3,
        np.array(["no", "so", "yes"])[np.arange(40) % 3],
        np.array(["no", "so", "yes"], dtype=object)[np.arange(40) % 3],
        (np.arange(40) % 3).astype(object),
    ],
)
def test_annotators_may_vote_for_a_class_that_y_lacks(y):
    names, codes = np.unique(y, return_inverse=True)
    other = 3 if isinstance(y[0], int | np.integer) else "something else"
    votes = np.column_stack([np.eye(3, dtype=int)[codes] * 2, np.ones(40, dtype=int)])
    table = pd.DataFrame(votes, columns=[*names.tolist(), other])
    oracle = RecordedVotesOracle(random_state=0).fit(y, votes=table)
    assert set(oracle.classes_) == {*names, other}
    assert set(oracle.answers_) == {*names, other}
    assert np.mean(oracle.answers_ == other) < 0.5
    same = table.iloc[:, ::-1].set_axis([str(other), *map(str, names[::-1])], axis=1)
    again = RecordedVotesOracle(random_state=0).fit(y, votes=same)
    assert_array_equal(again.answers_, oracle.answers_)
    with pytest.raises(ValueError, match=r"\(40, 3\); got .* DataFrame whose column"):
        RecordedVotesOracle().fit(y, votes=votes)
    listed = RecordedVotesOracle(random_state=0)
    wide = y.astype(object)
    listed.fit(wide, votes=table, classes=[*names.tolist(), other])
    assert_array_equal(listed.answers_, oracle.answers_)


def test_votes_in_the_wrong_order_warn():
    y = np.arange(30) % 3
    right = np.eye(3)[y] * 3 + 1
    with pytest.warns(UserWarning, match=r"contradicts y for 67%.*\[0, 1, 2\]"):
        RecordedVotesOracle().fit(y, votes=right[:, [2, 1, 0]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        oracle = RecordedVotesOracle(random_state=0).fit(y, votes=right)
        for n_before in range(5):  # the remaining votes may well contradict y
            oracle.answer(range(30), n_before)


@pytest.mark.parametrize(
    ("votes", "message"),
    [
        (None, "needs votes"),
        (np.ones((3, 2)), "one row per label"),
        (np.ones((2, 3)), "one column per class"),
        (np.ones(2), "2D"),
        ([[1, -1], [1, 1]], "negative"),
        ([[1, 1], [0, 0]], r"without any vote, e\.g\. \[1\]"),
        ([[1, np.nan], [1, 1]], "NaN"),
    ],
)
def test_votes_errors(votes, message):
    with pytest.raises(ValueError, match=message):
        RecordedVotesOracle().fit([0, 1], votes=votes)


@pytest.mark.parametrize(
    ("indices", "message"),
    [
        ([120], "from 0 to 119"),
        ([0, -1], "from 0 to 119"),
        ([0.0, 1.0], "integers"),
        (np.ones(120, dtype=bool), "flatnonzero"),
        ([[0], [1]], "1-D"),
        (3, "1-D"),
    ],
)
def test_indices_errors(indices, message):
    oracle = ExactOracle().fit(Y)
    with pytest.raises(ValueError, match=message):
        oracle.answer(indices)


def test_nothing_asked_nothing_answered():
    assert ExactOracle().fit(Y).answer([]).shape == (0,)


def test_errors_of_fit():
    with pytest.raises(ValueError, match="noise"):
        NoisyOracle(noise=1.0).fit(Y)
    with pytest.raises(ValueError, match="confusion"):
        NoisyOracle(kind="asymmetric").fit(Y)
    with pytest.raises(ValueError, match="missing"):
        ExactOracle().fit(["a", None])
    with pytest.raises(ValueError, match="unknown label"):
        ExactOracle().fit(Y, classes=["ham", "spam"])
    with pytest.raises(ValueError, match="not fitted"):
        ExactOracle().answer([0])
