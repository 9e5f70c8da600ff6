"""The loop labels its pool, and the plot of the result."""

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
)
from cofm_sklearn.simulation import NoisyOracle, PrecisionCoverageDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture(scope="module")
def looped():
    X, y = make_blobs([200, 80], n_features=3, cluster_std=3, random_state=1)
    model = CoDecisionClassifier(LogisticRegression(class_weight="balanced"))
    loop = ActiveLearningClassifier(
        model,
        CoDecisionQuery(),
        n_instances=30,
        budget=60,
        oracle=NoisyOracle(0.1),
        scoring=[],
        random_state=0,
    ).fit(X, y)
    return loop, X, y


def test_the_loop_keeps_what_the_oracle_said(looped):
    loop, X, y = looped
    table = loop.label_pool(X, target_precision=0.9)
    assert len(table) == len(X)
    rows = loop.labeled_indices_
    assert list(table["label"][rows]) == list(loop.labels_)
    assert sorted(np.flatnonzero(table["source"] == "person")) == sorted(rows)
    free = table.drop(index=rows)
    assert list(free["label"]) == list(loop.predict(X)[free.index])
    left = free[~free["look"]]
    assert len(left) / len(free) == table.attrs["coverage"] > 0.3
    assert np.mean(left["label"] == y[left.index]) >= 0.9
    for other in (X[:3], X[::-1], X + 1):
        with pytest.raises(ValueError, match="the pool of fit, in the same order"):
            loop.label_pool(other)


def test_the_picture_shows_promise_truth_and_choice(looped):
    loop, X, y = looped
    table = loop.label_pool(X, target_precision=0.9)
    display = PrecisionCoverageDisplay.from_table(table, y_true=y)
    free = table[table["source"] == "co-decision"]
    for share, shown in zip(*display.true_line_.get_data()):
        n = round(share * len(free))
        surest = free.sort_values("probability", ascending=False, kind="stable")[:n]
        assert shown == pytest.approx(np.mean(surest["label"] == y[surest.index]))
    x, expected = display.line_.get_data()
    assert list(x) == table.attrs["curve"]["coverage"]
    assert expected[-1] == pytest.approx(free["probability"].mean())
    point = display.chosen_.lines[0].get_data()
    assert np.ravel(point) == pytest.approx(
        [table.attrs["coverage"], table.attrs["precision"]]
    )
    plain = PrecisionCoverageDisplay.from_table(loop.label_pool(X))
    assert plain.true_line_ is None
    matplotlib.pyplot.close("all")


def test_what_cannot_be_drawn_is_refused(looped):
    loop, X, y = looped
    table = loop.label_pool(X)
    with pytest.raises(ValueError, match="y_true has 3 labels for 280 samples"):
        PrecisionCoverageDisplay.from_table(table, y_true=y[:3])
    table.attrs = {}
    with pytest.raises(ValueError, match="attrs"):
        PrecisionCoverageDisplay.from_table(table)
    with pytest.raises(ValueError, match="low has 2 values for 1 points"):
        PrecisionCoverageDisplay([1.0], [0.9], [0.8, 0.7], [1.0]).plot()
    with pytest.raises(ValueError, match="coverage has no point"):
        PrecisionCoverageDisplay([], [], [], []).plot()
