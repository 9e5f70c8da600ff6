"""Savings benchmark: figures of tables whose answer is known."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.savings.__main__ import main
from benchmarks.savings.compare import (
    TASKS,
    best_single,
    bootstrap,
    by_worth,
    cell_records,
    judged_by,
    never_worse,
    ranks,
    savings,
)
from benchmarks.savings.report import first_line, render, update_readme
from benchmarks.savings.results import ResultsFile, read
from benchmarks.savings.runs import COLUMNS
from benchmarks.savings.strategies import OURS, OURS_ALONE, PRIOR_ALONE

LABELS = np.arange(1, 9) * 10


def linear(speed):
    """A learning curve that needs 1 / speed of the labels."""
    return np.minimum(0.9, 0.1 * speed * LABELS / 10)


def make_table(curves, seeds=(0, 1), dataset="sms", noise="0", prior="sentences"):
    """Rounds of strategies given as name -> (small model's curve, fused curve)."""
    frames = []
    for name, (small, fused) in curves.items():
        for seed in seeds:
            frame = pd.DataFrame(index=range(len(LABELS)), columns=list(COLUMNS))
            frame = frame.assign(
                dataset=dataset,
                noise=noise,
                prior=prior,
                strategy=name,
                seed=seed,
                n_rounds=len(LABELS),
                fused_every=1,
                round=range(len(LABELS)),
                last=[0] * (len(LABELS) - 1) + [1],
                n_labels=LABELS,
                small_balanced_accuracy=small,
                fused_balanced_accuracy=fused,
                small_pool_balanced_accuracy=small,
                fused_pool_balanced_accuracy=fused,
                query_seconds=0.1,
                fit_seconds=0.2,
            )
            frames.append(frame)
    return pd.concat(frames, ignore_index=True)


@pytest.fixture
def table():
    return make_table(
        {
            OURS: (linear(0.5), linear(2)),
            OURS_ALONE: (linear(1), linear(1)),
            "margin": (linear(1), linear(2)),
            "random": (linear(0.5), linear(0.5)),
        }
    )


def test_twice_as_fast_saves_half_the_labels(table):
    found = savings(table, "system")
    # Interpolation starts at the first round, so the lowest level costs a bit.
    assert found["saving"].tolist() == pytest.approx([0.5], abs=0.06)
    assert found["rival"].tolist() == ["margin"]


def test_equal_curves_save_nothing(table):
    assert savings(table, "query only")["saving"].tolist() == pytest.approx([0.0])
    assert savings(table, "given the prior")["saving"].tolist() == pytest.approx([0.0])


def test_best_single_baseline_and_ranks(table):
    other = make_table(
        {
            OURS: (linear(0.5), linear(2)),
            "margin": (linear(0.5), linear(0.5)),
            "random": (linear(0.55), linear(0.5)),
        },
        dataset="hate",
    )
    both = pd.concat([table, other], ignore_index=True)
    assert best_single(both, "system") == "margin"
    places = ranks(both, "system")
    assert places[OURS] == 1.0
    assert places["margin"] == places["random"] == 2.5


def test_curves_measured_more_often_get_no_advantage(table):
    sparse = table.copy()
    theirs = ~sparse["strategy"].isin([OURS, OURS_ALONE])
    sparse.loc[theirs & (sparse["round"] % 2 == 1), "fused_balanced_accuracy"] = np.nan
    records = cell_records(sparse, ("sms", "0"), "given the prior")
    counts = records.groupby("strategy")["n_labels"].unique().map(set)
    assert counts[OURS] == counts["margin"] == set(LABELS[::2])


def test_never_worse_takes_the_worst_round_and_prior(table):
    dip = linear(2)
    dip[5] = linear(1)[5] - 0.07
    shuffled = make_table({OURS: (linear(1), dip)}, prior="shuffled")
    worse = never_worse(pd.concat([table, shuffled], ignore_index=True))
    worse = worse.set_index("prior")
    assert worse.loc["shuffled", "shortfall"] == pytest.approx(0.07)
    assert worse.loc["shuffled", "n_labels"] == LABELS[5]
    assert worse.loc["sentences", "shortfall"] <= 0


def test_bound_is_lowered_by_the_standard_error(table):
    spread = table.copy()
    high = (spread["strategy"] == "margin") & (spread["seed"] == 1)
    spread.loc[high, "small_balanced_accuracy"] += 0.2
    worse = never_worse(spread[spread["strategy"].isin([OURS, "margin"])])
    mean, error = linear(1) + 0.1, 0.1  # of two seeds that are 0.2 apart
    expected = (mean - error - linear(2)).max()
    assert worse["shortfall"].tolist() == pytest.approx([expected])


def test_pool_labels_are_scored_by_themselves(table):
    # In the pool, ours needs as many labels as margin sampling.
    ours = table["strategy"] == OURS
    table.loc[ours, "fused_pool_balanced_accuracy"] = np.tile(linear(1), 2)
    found = savings(table, "system", metric=TASKS["annotate"])
    assert found["saving"].tolist() == pytest.approx([0.0])
    assert savings(table, "system")["saving"].iloc[0] > 0.4


def test_worth_of_a_prior_is_its_share_of_the_way_from_chance_to_the_best(table):
    alone = make_table({PRIOR_ALONE: (np.nan, 0.7)}).groupby("seed").head(1)
    useless = make_table({OURS: (linear(1), linear(1))}, prior="shuffled")
    nothing = make_table({PRIOR_ALONE: (np.nan, 0.5)}, prior="shuffled")
    tables = [table, alone, useless, nothing.groupby("seed").head(1)]
    found = by_worth(pd.concat(tables, ignore_index=True)).set_index("prior")
    # sms has two classes; the best curve ends at .9 and .8.
    assert found.loc["sentences", "worth"] == pytest.approx(0.2 / 0.4)
    assert found.loc["shuffled", "worth"] == pytest.approx(0.0)
    assert found.loc["sentences", "saving"] == pytest.approx(0.5, abs=0.06)
    assert found.loc["shuffled", "saving"] == pytest.approx(0.0)


def test_a_system_is_judged_by_its_own_model_and_a_query_by_that_of_all():
    system = judged_by("system")
    assert system[OURS] == "fused"
    assert {system[name] for name in ("margin", "CoreSet")} == {"small"}
    assert set(judged_by("query only").values()) == {"small"}
    assert set(judged_by("given the prior").values()) == {"fused"}
    assert OURS not in judged_by("query only")


def test_interval_is_a_point_for_equal_seeds_and_wider_for_unequal_ones(table):
    assert np.ptp(bootstrap(table, "system", n_draws=10)) == pytest.approx(0, abs=1e-9)
    unequal = table.copy()
    slow = (unequal["strategy"] == OURS) & (unequal["seed"] == 1)
    unequal.loc[slow, "fused_balanced_accuracy"] = linear(1)
    low, high = bootstrap(unequal, "system", n_draws=20)
    assert high - low > 0.1
    assert np.isnan(bootstrap(table[table["seed"] == 0], "system")).all()


def test_interval_is_around_the_saving_also_where_curves_cross(table):
    crossing = table.copy()
    random = crossing["strategy"] == "random"
    crossing.loc[random, "small_balanced_accuracy"] = np.tile(
        np.r_[0.35, 0.4, linear(0.5)[2:]], 2
    )
    saving = savings(crossing, "system")["saving"].mean()
    low, high = bootstrap(crossing, "system", n_draws=5)
    assert low - 0.005 <= saving <= high + 0.005


def test_report_writes_table_and_figures(table, tmp_path, capsys):
    results = ResultsFile(tmp_path / "r.csv")
    for _, rows in table.groupby(["strategy", "seed"], sort=False):
        results.append(rows.to_dict("records"))
    options = ["--report", "--results", str(results.path), "--bootstrap", "3"]
    assert main(options) == 0
    printed = capsys.readouterr().out
    saving = savings(table, "system")["saving"].iloc[0]
    assert f"| sms | 0 | {100 * saving:.0f} % |" in printed
    assert (tmp_path / "r.md").read_text() in printed
    for name in ("curves_system", "curves_query_only", "curves_annotate", "heatmap"):
        assert (tmp_path / f"r_{name}.png").stat().st_size > 10_000


def test_report_without_the_co_decision_of_baselines(table):
    theirs = table["strategy"].isin(["margin", "random"])
    table.loc[theirs, ["fused_balanced_accuracy", "fused_pool_balanced_accuracy"]] = (
        None
    )
    table.loc[theirs, "fused_every"] = 0
    text = render(table, n_draws=0)
    assert "co-decision of baselines not measured yet" in text
    assert "| query only | model | margin |" in text
    assert "given the prior" not in text.lower()


def test_headline_goes_between_its_marks(table, tmp_path):
    path = tmp_path / "README.md"
    path.write_text("above\n<!-- savings -->\nold\n<!-- /savings -->\nbelow\n")
    update_readme(path, table)
    lines = path.read_text().splitlines()
    assert lines[:2] + lines[-2:] == [
        "above",
        "<!-- savings -->",
        "<!-- /savings -->",
        "below",
    ]
    assert " ".join(lines[2:-2]) == first_line(table)
    assert "saves 50 % of the labels" in first_line(table)


def test_headline_of_the_readme_is_that_of_the_results():
    root = Path(__file__).parents[2]
    readme = (root / "README.md").read_text()
    results = root / "benchmarks" / "results" / "savings.csv"
    if not results.exists():
        pytest.skip("the sdist has no table of all runs")
    said = re.search(r"<!-- savings -->(.*?)<!-- /savings -->", readme, re.S)[1]
    table = read(results)
    assert " ".join(said.split()) == first_line(table)


def test_command_says_what_is_wrong(tmp_path):
    def run(*options):
        return subprocess.run(
            [sys.executable, "-m", "benchmarks.savings", *options],
            cwd=__file__.rpartition("tests")[0],
            capture_output=True,
            text=True,
            check=False,
        )

    empty = run("--report", "--results", str(tmp_path / "none.csv"))
    assert empty.returncode == 1
    assert "no finished run" in empty.stderr
    unknown = run("--datasets", "mnist")
    assert unknown.returncode == 2
    assert "api_docs" in unknown.stderr
