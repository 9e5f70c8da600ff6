"""Parts of the query: changes reach it, and gains are differences to no change."""

import pandas as pd
import pytest

from benchmarks import query_ablation
from benchmarks.savings.runs import Run, execute
from benchmarks.savings.strategies import OURS


def scores(change, cache):
    rows = query_ablation.measure("api_docs", "0.2", change, 0, 4, None, cache)
    assert [row["n_labels"] for row in rows] == [5, 10, 15, 20]
    return [row["balanced_accuracy"] for row in rows]


def test_without_a_change_it_is_the_run_of_the_savings_benchmark(cache):
    run = Run("api_docs", "0.2", "sentences", OURS, 0, 4, fused_every=1)
    expected = [row["fused_balanced_accuracy"] for row in execute(run, None, cache)]
    assert scores("none", cache) == pytest.approx(expected, abs=1e-5)


def test_changes_of_width_and_parameters_reach_the_query(cache):
    none = scores("none", cache)
    # Before the first label there is nothing to be sharp about, but there is a width.
    assert scores("width x 0.67", cache) != none
    blunt = scores("covers only (sharpness 0)", cache)
    assert blunt[0] == none[0]
    assert blunt[1:] != none[1:]


def test_gains_are_means_over_seeds_of_differences():
    rows = [
        ("a", "0", "none", 0, 20, 0.5),
        ("a", "0", "none", 0, 40, 0.7),
        ("a", "0", "none", 1, 20, 0.4),
        ("a", "0", "balance 0", 0, 20, 0.6),
        ("a", "0", "balance 0", 0, 40, 0.8),
        ("a", "0", "balance 0", 1, 20, 0.2),
        ("b", "0.4", "none", 0, 20, 0.1),
        ("b", "0.4", "balance 0", 0, 20, 0.35),
    ]
    columns = [*query_ablation.KEYS, "n_labels", "balanced_accuracy"]
    text = query_ablation.report(pd.DataFrame(rows, columns=columns))
    assert "| a | 0 | 0.500 | -0.050 |" in text
    assert "| b | 0.4 | 0.100 | +0.250 |" in text
    assert "| **mean** | | 0.300 | +0.100 |" in text
