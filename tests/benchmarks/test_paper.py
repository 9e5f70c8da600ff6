"""The paper's protocol: merged classes, and figures of tables whose answer is known."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.paper import RUN, SCORE, SHARES, compare, measure, merge_classes, report
from benchmarks.savings.data import draw, load
from benchmarks.savings.strategies import OURS

POOL = 1000


def make_table(curves, seeds=(0, 1), noise="0"):
    """Rounds of strategies given as name -> scores of the rounds."""
    rows = [
        {
            **dict(zip(RUN, ("agnews", "merge", noise, name, seed))),
            "n_labels": int(POOL * share),
            "share": share,
            SCORE: score,
        }
        for name, scores in curves.items()
        for seed in seeds
        for share, score in zip(SHARES, scores)
    ]
    return pd.DataFrame(rows)


def test_labels_needed_are_a_share_of_what_the_best_other_baseline_spends():
    curves = {
        OURS: 0.8 + SHARES / 2,  # .85 with 10 % of the pool
        "PriorAL": np.full(10, 0.8),
        "margin": 0.75 + SHARES / 2,
        "random": SHARES * 4,  # .8 with 20 %, but it is at .4 half way
    }
    accuracy, needed = compare(make_table(curves))
    row = needed.iloc[0]
    assert row["best other"] == "margin"
    assert row["its score"] == pytest.approx(0.85)
    assert row[OURS] == pytest.approx(0.5)
    assert np.isnan(row["PriorAL"])
    assert accuracy["near"].tolist() == [True, True]
    assert "| 50 % | not reached |" in report(make_table(curves))


def test_near_the_best_is_within_its_standard_error():
    table = make_table({OURS: np.full(10, 0.8), "PriorAL": np.full(10, 0.7)})
    better = make_table({"margin": np.full(10, 0.82)})
    better[SCORE] += np.where(better["seed"] == 0, 0.04, -0.04)  # an error of .04
    assert compare(pd.concat([table, better]))[0]["near"].all()
    better[SCORE] += 0.03
    assert not compare(pd.concat([table, better]))[0]["near"].any()


def test_merged_classes_keep_two_and_sum_the_prior(cache):
    corpus = load("api_docs", None, cache)
    pool, _ = draw(corpus.y, None, 0)
    merged = merge_classes(corpus, pool, 0, cache)
    assert set(merged.y) == {0, 1, 2}
    for k in (1, 2):
        (original,) = set(corpus.y[merged.y == k])
        assert np.array_equal(merged.y == k, corpus.y == original)
    assert merged.Z[:, :3].sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert np.array_equal(merged.Z[:, 3:], corpus.Z)
    assert np.mean(merged.Z[:, :3].argmax(axis=1) == merged.y) > 0.8


def test_a_run_spends_a_fifth_of_the_pool(cache):
    rows = measure("api_docs", "merge", "0.2", "margin", 0, None, cache)
    n_pool = len(draw(load("api_docs", None, cache).y, None, 0)[0])
    assert [row["n_labels"] for row in rows] == [int(s * n_pool) for s in SHARES]
    assert rows[-1][SCORE] > 0.5
