"""Savings benchmark: real runs on the API docs with the real encoder."""

import numpy as np
import pandas as pd
import pytest

from benchmarks.savings.data import label_counts, load, make_split
from benchmarks.savings.matrix import differing, plan, run_all
from benchmarks.savings.results import read
from benchmarks.savings.runs import Run, execute
from benchmarks.savings.strategies import (
    OURS,
    OURS_ALONE,
    PRIOR_ALONE,
    available,
    make,
    small_model,
)


def split(cache, noise="0.2", prior="sentences", seed=0):
    return make_split("api_docs", noise, prior, seed, None, cache)


def test_split_keeps_all_classes_and_flips_the_share_of_answers(cache):
    corpus = load("api_docs", None, cache)
    quiet, noisy = split(cache, "0"), split(cache, "0.4")
    assert np.array_equal(quiet.Z_pool, noisy.Z_pool)
    assert set(quiet.answers) == set(quiet.y_test) == set(range(len(quiet.classes)))
    assert len(quiet.Z_pool) + len(quiet.Z_test) == len(corpus.y)
    assert 0.33 < np.mean(quiet.answers != noisy.answers) < 0.47


def test_pool_and_test_share_no_text(cache):
    here = split(cache)
    pool = {row.tobytes() for row in here.Z_pool}
    assert not any(row.tobytes() in pool for row in here.Z_test)


def test_shuffled_prior_is_useless_and_gives_no_class_its_description(cache):
    good, bad = split(cache), split(cache, prior="shuffled")
    accuracy = [np.mean(s.prior.predict(s.Z_test) == s.y_test) for s in (good, bad)]
    assert accuracy[0] > 0.5
    assert accuracy[1] < 0.1
    own = [
        good.prior.estimator.class_descriptions,
        bad.prior.estimator.class_descriptions,
    ]
    assert all(own[0][k] != own[1][k] for k in own[0])
    assert set(own[0].values()) == set(own[1].values())


def test_strategies_of_a_seed_start_alike_and_co_decision_is_measured_as_told(cache):
    runs = {
        name: execute(Run("api_docs", "0.2", "sentences", name, 1, 3, 2), None, cache)
        for name in ("margin", "DIRECT", OURS)
    }
    for rows in runs.values():
        assert [row["n_labels"] for row in rows] == [5, 10, 15]
        assert [row["last"] for row in rows] == [0, 0, 1]
    first = [runs[name][0]["small_balanced_accuracy"] for name in ("margin", "DIRECT")]
    assert first[0] == first[1]
    assert [row["trust"] is None for row in runs["margin"]] == [False, True, False]
    assert [row["trust"] is None for row in runs[OURS]] == [False] * 3
    again = execute(Run("api_docs", "0.2", "sentences", OURS, 1, 3, 2), None, cache)
    seconds = {"query_seconds", "fit_seconds"}
    for row, same in zip(runs[OURS], again):
        assert {k: v for k, v in row.items() if k not in seconds} == {
            k: v for k, v in same.items() if k not in seconds
        }


def test_matrix_goes_on_where_it_was(cache, tmp_path):
    wanted = plan(
        datasets=["api_docs"],
        noises=["0.2"],
        strategies=[OURS_ALONE, "random"],
        n_seeds=1,
        n_rounds=2,
        fused_every=2,
    )
    path = tmp_path / "r.csv"
    settings = {"folder": None, "cache": cache, "n_jobs": 1, "quiet": True}
    assert run_all(wanted[:-1], path, **settings) == 4
    before = path.read_text()
    assert run_all(wanted, path, **settings) == 1
    assert path.read_text().startswith(before)
    assert run_all(wanted, path, **settings) == 0
    assert run_all(wanted, path, forget=["random"], **settings) == 1
    # Two rounds of each strategy, and the three priors alone.
    table = read(path)
    assert len(table) == 7
    again = {key: settings[key] for key in ("folder", "cache", "quiet")}
    assert differing(table, 5, **again) == []
    ours = table["strategy"] == OURS_ALONE
    table.loc[ours & (table["last"] == 1), "small_balanced_accuracy"] += 1e-6
    (other,) = differing(table, 5, **again)
    assert other.strategy == OURS_ALONE
    assert path.with_suffix(".machine.json").exists()


def test_co_decision_is_measured_later_on_the_samples_that_were_asked_for(
    cache, tmp_path
):
    settings = {"folder": None, "cache": cache, "n_jobs": 1, "quiet": True}

    def tables(path, every, **more):
        wanted = plan(
            datasets=["api_docs"],
            noises=["0.2"],
            strategies=[OURS, "margin"],
            n_seeds=1,
            n_rounds=3,
            fused_every=every,
        )
        run_all(wanted, path, **settings, **more)
        table = read(path).drop(columns=["query_seconds", "fit_seconds"])
        return table.sort_values(["strategy", "prior", "round"], ignore_index=True)

    at_once = tables(tmp_path / "a.csv", 2)
    first = tables(tmp_path / "b.csv", 0)
    margin, ours = (first["strategy"] == name for name in ("margin", OURS))
    assert first.loc[margin, "trust"].isna().all()
    assert first.loc[ours, "trust"].notna().all()
    pd.testing.assert_frame_equal(tables(tmp_path / "b.csv", 2), at_once)
    # Only a replay keeps the time that the query took.
    table = read(tmp_path / "b.csv").assign(query_seconds=99.0)
    table.to_csv(tmp_path / "b.csv", index=False)
    pd.testing.assert_frame_equal(
        tables(tmp_path / "b.csv", 2, judge_again=True), at_once
    )
    again = read(tmp_path / "b.csv").groupby("strategy")["query_seconds"].max()
    assert again["margin"] == 99 > again[OURS]


def test_label_counts_are_those_of_the_protocol():
    few = [5, 10, 15, 20, 30, 40, *range(60, 301, 20)]
    assert label_counts(4, 19) == few
    assert label_counts(16, 6) == few[:6]
    assert label_counts(77, 19)[:6] == [19, 38, 57, 77, 115, 154]
    assert label_counts(77, 19)[-1] == 15 * 77


def test_pool_is_scored_with_the_answers_that_were_given(cache):
    run = Run("api_docs", "0.4", "sentences", "random", 0, 19, 0)
    row = execute(run, None, cache)[-1]
    here = split(cache, "0.4")
    rows = execute(run, None, cache)
    asked = np.concatenate([np.array(r["asked"].split(), dtype=int) for r in rows])
    labels = small_model().fit(here.Z_pool[asked], here.answers[asked])
    labels = labels.predict(here.Z_pool)
    labels[asked] = here.answers[asked]
    recalls = [np.mean(labels[here.y_pool == k] == k) for k in here.classes]
    assert row["small_pool_balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_prior_alone_asks_nothing_and_has_the_score_of_the_prior(cache):
    (row,) = execute(
        Run("api_docs", "0", "sentences", PRIOR_ALONE, 0, 19, 1), None, cache
    )
    here = split(cache, "0")
    right = here.prior.predict(here.Z_test) == here.y_test
    recalls = [np.mean(right[here.y_test == k]) for k in here.classes]
    assert row["n_labels"] == 0
    assert row["fused_balanced_accuracy"] == pytest.approx(np.mean(recalls))


def test_missing_data_names_the_option():
    with pytest.raises(FileNotFoundError, match="--data"):
        load("sms", None, "unused")


@pytest.mark.parametrize("name", available())
def test_every_installed_strategy_can_be_made(name):
    assert make(name, 7).random_state == 7
