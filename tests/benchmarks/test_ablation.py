"""Parts of the co-decision: each can be left out, and what is left out is missing."""

import numpy as np
import pandas as pd

from benchmarks.ablation import PARTS, measure, report, tasks
from benchmarks.savings.runs import Run, execute
from benchmarks.savings.strategies import OURS


def test_each_part_can_be_left_out_on_the_samples_of_a_run(cache):
    run = Run("api_docs", "0.2", "sentences", OURS, 0, 5, fused_every=1)
    table = pd.DataFrame(execute(run, None, cache))
    *_, last = tasks(table, 1, ["sentences"], None, cache)
    rows = pd.DataFrame(measure(*last))
    assert rows["without"].tolist() == list(PARTS)
    whole, *others = rows["balanced_accuracy"]
    assert whole == np.round(table["fused_balanced_accuracy"].iloc[-1], 5)
    assert len({*others} - {whole}) >= 3
    assert list(tasks(table, 1, ["names"], None, cache)) == []
    text = report(rows)
    gain = whole - rows.set_index("without")["balanced_accuracy"]["neighbours"]
    assert f"| {gain:+.3f} |" in text
