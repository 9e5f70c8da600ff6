"""Suspects: labels to drop, without losing a class."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cofm_sklearn.noise import find_suspects


@settings(deadline=None)
@given(
    labelled=st.lists(
        st.tuples(st.integers(0, 3), st.floats(0, 1)), min_size=1, max_size=30
    ),
    threshold=st.floats(0, 1),
    kept=st.integers(1, 3),
)
@pytest.mark.filterwarnings("ignore:.*look wrong")
def test_suspects_are_below_the_threshold_and_no_class_is_lost(
    labelled, threshold, kept
):
    y, quality = map(np.array, zip(*labelled, strict=True))
    suspects = find_suspects(y, quality, threshold=threshold, min_per_class=kept)
    assert len(set(suspects)) == len(suspects)
    assert (quality[suspects] < threshold).all()
    assert (np.diff(quality[suspects]) >= 0).all()
    rest = np.setdiff1d(np.arange(len(y)), suspects)
    for label in np.unique(y):
        members, left = np.flatnonzero(y == label), rest[y[rest] == label]
        assert len(left) >= min(kept, len(members))
        # What is kept for the sake of its class is the best of it.
        gone = np.setdiff1d(members, left)
        assert not gone.size or quality[left].min() >= quality[gone].max()
        n_good = np.sum(quality[members] >= threshold)
        assert len(left) == max(n_good, min(kept, len(members)))


def test_says_which_class_it_wanted_to_delete():
    y, quality = ["ham", "ham", "spam", "spam"], [0.9, 0.8, 0.2, 0.1]
    with pytest.warns(UserWarning, match="class 'spam' look wrong. The best 1"):
        assert_array_equal(find_suspects(y, quality), [3])
    assert_array_equal(find_suspects(y, quality, min_per_class=0), [3, 2])


def test_all_labels_suspect():
    y = np.repeat(["a", "b"], 5)
    with pytest.warns(UserWarning, match="'a', 'b'"):
        assert len(find_suspects(y, np.zeros(10))) == 8


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"quality": [0.5]}, "one number per label"),
        ({"quality": [0.5, 1.5]}, r"in \[0, 1\]"),
        ({"quality": [0.5, np.nan]}, r"in \[0, 1\]"),
        ({"threshold": 2}, "threshold"),
        ({"threshold": True}, "threshold"),
        ({"min_per_class": -1}, "min_per_class"),
        ({"min_per_class": 0.5}, "min_per_class"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {"y": ["ham", "spam"], "quality": [0.9, 0.1]}
    with pytest.raises(ValueError, match=message):
        find_suspects(**{**good, **change})
