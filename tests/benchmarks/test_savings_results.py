"""Savings benchmark: the matrix of runs and the file that they end up in."""

import pandas as pd
import pytest

from benchmarks.savings.matrix import plan
from benchmarks.savings.results import ResultsFile, read
from benchmarks.savings.runs import COLUMNS
from benchmarks.savings.strategies import BASELINES, PRIOR_ALONE, STRATEGIES


def rows_of(strategy="margin", seed=0, n_rounds=3, score=0.5):
    identity = {
        "dataset": "api_docs",
        "noise": "0.2",
        "prior": "sentences",
        "strategy": strategy,
        "seed": seed,
        "n_rounds": n_rounds,
        "fused_every": 2,
    }
    return [
        dict.fromkeys(COLUMNS, score)
        | identity
        | {"round": k, "last": int(k == n_rounds - 1), "n_labels": 20 * (k + 1)}
        for k in range(n_rounds)
    ]


def test_what_is_appended_is_read_back(tmp_path):
    results = ResultsFile(tmp_path / "r.csv")
    assert results.done() == {}
    for seed in (0, 1):
        results.append(rows_of(seed=seed))
    table = read(tmp_path / "r.csv")
    assert list(table.columns) == list(COLUMNS)
    assert table["noise"].tolist() == ["0.2"] * 6  # a name, not a number
    assert results.done() == {
        ("api_docs", "0.2", "sentences", "margin", seed, 3): 2 for seed in (0, 1)
    }


def test_killed_at_any_byte_whole_runs_stay_and_the_rest_goes(tmp_path):
    path = tmp_path / "r.csv"
    results = ResultsFile(path)
    results.append(rows_of(seed=0))
    whole = len(path.read_bytes())
    results.append(rows_of(seed=1))
    content = path.read_bytes()
    for cut in range(whole, len(content), 7):
        path.write_bytes(content[:cut])
        reopened = ResultsFile(path)
        assert {run[4] for run in reopened.done()} == {0}
        reopened.append(rows_of(seed=1))
        assert {run[4] for run in reopened.done()} == {0, 1}
        assert path.read_bytes() == content


def test_later_runs_replace_earlier_ones_and_strategies_are_forgotten(tmp_path):
    results = ResultsFile(tmp_path / "r.csv")
    results.append(rows_of(n_rounds=2, score=0.1))
    results.append(rows_of(strategy="random"))
    results.append(rows_of(n_rounds=3, score=0.9))
    table = read(results.path)
    margin = table[table["strategy"] == "margin"]
    assert margin["small_macro_f1"].tolist() == [0.9] * 3
    results.forget(["margin"])
    assert {run[3] for run in results.done()} == {"random"}


def test_file_of_another_version_is_refused(tmp_path):
    path = tmp_path / "r.csv"
    pd.DataFrame({"dataset": ["sms"], "round": [0]}).to_csv(path, index=False)
    with pytest.raises(ValueError, match="other columns"):
        ResultsFile(path)


def test_plan_has_every_run_of_the_protocol_once():
    runs = plan(
        datasets=["sms", "hate"],
        noises=["0", "0.4", "votes"],
        strategies=list(STRATEGIES),
        n_seeds=5,
        n_rounds=15,
        fused_every=2,
    )
    assert len(set(runs)) == len(runs)
    assert {run.dataset for run in runs if run.noise == "votes"} == {"hate"}
    for name in BASELINES:
        assert {run.seed for run in runs if run.strategy == name} == set(range(5))
    many_classes = plan(
        datasets=["banking77"],
        noises=["0"],
        strategies=["BADGE", "CoreSet"],
        n_seeds=5,
        n_rounds=15,
        fused_every=2,
    )
    for name, n_seeds in {"BADGE": 3, "CoreSet": 5}.items():
        seeds = {run.seed for run in many_classes if run.strategy == name}
        assert seeds == set(range(n_seeds))
    # What uses a prior runs with all of them, what does not with one.
    for prior in ("names", "shuffled"):
        others = [run for run in runs if run.prior == prior]
        with_models = {name for name, entry in STRATEGIES.items() if entry.model}
        assert {run.strategy for run in others} == {PRIOR_ALONE} | with_models
        assert {(run.dataset, run.noise) for run in others} == {
            *(("sms", noise) for noise in ("0", "0.4")),
            *(("hate", noise) for noise in ("0", "0.4", "votes")),
        }
    # An interrupted matrix holds all strategies for the first seeds.
    assert [run.seed for run in runs] == sorted(run.seed for run in runs)
