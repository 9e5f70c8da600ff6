"""How many labels of a pool can be left to the model, and are they right?

    python -m benchmarks.auto_label --data FOLDER

Fits the co-decision on the first 100, 200 and 300 samples that our runs in
benchmarks/results/savings.csv asked for with sentences as descriptions, labels the rest
of the pool with a target precision of .95, and compares the promised with the reached
precision; alone, and with a random check set of 100 more answers. Writes
benchmarks/results/auto_label.csv and auto_label.md. If restarted, it continues where it
stopped.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import DATASETS, make_split
from benchmarks.savings.results import read
from benchmarks.savings.strategies import OURS, co_decision
from cofm_sklearn.models import label_pool

RESULTS = Path(__file__).parent / "results"
RUN = ["dataset", "noise", "prior", "seed"]
CELL = ["dataset", "noise", "n_labels", "n_check"]
NAMES = (
    *("agnews", "sms", "api_docs", "trec"),
    *("hate", "banking77", "sst2", "cifar10_lite0"),
)
NOISES = ("0", "0.2")
N_LABELS = (100, 200, 300)
N_CHECK = (0, 100)
TARGET = 0.95


def measure(dataset, noise, prior, seed, asked, folder, cache):
    """Return a row per number of answers, without and with a check set."""
    split = make_split(dataset, noise, prior, seed, folder, cache)
    truth = split.y_pool
    n_pool = len(truth)
    rng = np.random.RandomState(seed)
    rows = []
    for n in N_LABELS:
        taught = asked[:n]
        model = co_decision(split, seed).fit(
            split.Z_pool[taught], split.answers[taught]
        )
        others = rng.permutation(np.setdiff1d(np.arange(n_pool), taught))
        for n_check in N_CHECK:
            labeled = np.concatenate([taught, others[:n_check]])
            table = label_pool(
                model,
                split.Z_pool,
                split.answers[labeled],
                labeled,
                check=others[:n_check],
                target_precision=TARGET,
            )
            right = (table["label"] == truth).to_numpy()
            free = (table["source"] == "co-decision").to_numpy()
            left = free & ~table["look"].to_numpy()
            promise = table.attrs
            low, high = promise["precision_interval"]
            rows.append(
                {
                    "dataset": dataset,
                    "noise": noise,
                    "prior": prior,
                    "seed": seed,
                    "n_labels": n,
                    "n_check": n_check,
                    "coverage": round(promise["coverage"], 5),
                    "promised": round(promise["precision"], 5),
                    "low": round(low, 5),
                    "high": round(high, 5),
                    "reached": round(right[left].mean(), 5) if left.any() else np.nan,
                    "everything": round(right[free].mean(), 5),
                    "sure": round(table["probability"][free].mean(), 5),
                }
            )
    return rows


def summarise(table):
    """Return the mean of each cell, and how often the interval covered the truth."""
    some = table.dropna(subset="reached")
    held = (some["low"] <= some["reached"]) & (some["reached"] <= some["high"])
    names = ["coverage", "promised", "low", "high", "reached", "everything", "sure"]
    by = table.groupby(CELL, sort=False)
    cells = by[names].mean()
    cells["lowest"] = by["reached"].min()
    cells["held"] = held.groupby([some[name] for name in CELL]).mean()
    cells["seeds"] = by.size()
    return cells.reset_index()


def report(table):
    """Return promised against reached precision, as Markdown."""
    cells = summarise(table)
    lines = [
        "# Labels left to the model: promised and reached precision",
        "",
        f"Made by `python -m benchmarks.auto_label`: target {TARGET}, answers to what "
        "our runs of the savings benchmark asked for, mean over "
        f"{cells['seeds'].max()} seeds. Coverage: share of the samples without answer "
        "that nobody has to look at. Promised: their expected precision, and the "
        "interval. Reached: by the truth. Lowest: in a single run. All: of all "
        "predicted labels, and the mean of the probabilities given to them. With a "
        "check set of 100, these are further answers, drawn at random. A cell without "
        "coverage has no precision, and does not count in the means.",
        "",
        "| sets | noise | check | coverage | promised | reached | lowest cell | "
        "lowest run | interval held |",
        "|" + " --- |" * 9,
    ]
    chosen = cells["dataset"].map(lambda name: DATASETS[name].development)
    for n_check in N_CHECK:
        for kind, inside in (("development", chosen), ("others", ~chosen)):
            for noise in NOISES:
                rows = cells["noise"].eq(noise) & cells["n_check"].eq(n_check)
                part = cells[inside & rows]
                lines.append(
                    f"| {kind} | {noise} | {n_check} | {part['coverage'].mean():.3f} | "
                    f"{part['promised'].mean():.3f} | {part['reached'].mean():.3f} | "
                    f"{part['reached'].min():.3f} | {part['lowest'].min():.3f} | "
                    f"{part['held'].mean():.0%} |".replace("%", " %")
                )
    lines += [
        "",
        "| data set | noise | answers | check | coverage | promised | interval | "
        "reached | lowest | all | their probability |",
        "|" + " --- |" * 11,
    ]
    for row in cells.sort_values("n_check", kind="stable").itertuples():
        values = [f"{v:.3f}" for v in (row.coverage, row.promised, row.reached)]
        values = ["-" if value == "nan" else value for value in values]
        lowest = "-" if np.isnan(row.lowest) else f"{row.lowest:.3f}"
        lines.append(
            f"| {row.dataset} | {row.noise} | {row.n_labels} | {row.n_check} | "
            f"{values[0]} | {values[1]} | {row.low:.3f} to {row.high:.3f} | "
            f"{values[2]} | {lowest} | {row.everything:.3f} | {row.sure:.3f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+", default=list(NAMES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--results", type=Path, default=RESULTS / "auto_label.csv")
    args = parser.parse_args()
    picks = read(RESULTS / "savings.csv")
    picks = picks[(picks["strategy"] == OURS) & (picks["prior"] == "sentences")]
    picks = picks[picks["noise"].isin(NOISES)]
    done = pd.DataFrame(columns=RUN)
    if args.results.exists():
        done = pd.read_csv(args.results, dtype={"noise": str})
    finished = set(done[RUN].itertuples(index=False, name=None))
    asked = {
        run: np.array(" ".join(rows.sort_values("round")["asked"]).split(), dtype=int)
        for run, rows in picks.groupby(RUN)
    }
    order = {name: k for k, name in enumerate(NAMES)}
    runs = sorted(asked, key=lambda run: (run[-1], order[run[0]], run[1]))
    todo = [
        (*run, asked[run], args.data, cache_folder(args.cache))
        for run in runs
        if run[0] in args.datasets and run[-1] < args.seeds and run not in finished
    ]
    rows = done.to_dict("records")
    table = record(measure, todo, args.results, args.jobs, rows) if todo else done
    table = table.sort_values(
        ["dataset", "noise", "n_labels", "n_check", "seed"],
        key=lambda column: column.map(order) if column.name == "dataset" else column,
    )
    text = report(table)
    args.results.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
