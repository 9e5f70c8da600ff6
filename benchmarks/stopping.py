"""When do stopping rules stop, and at what cost?

    python -m benchmarks.stopping --data FOLDER

Takes the samples that our runs in benchmarks/results/savings.csv queried, trains the
co-decision on them round by round, and updates the rules. Writes
benchmarks/results/stopping.csv (their input) and stopping.md: labels saved, and
balanced accuracy lost.
"""

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import make_split
from benchmarks.savings.results import read
from benchmarks.savings.strategies import OURS, small_model
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.loop import StabilizedPredictions

RESULTS = Path(__file__).parent / "results"
KEYS = ["dataset", "noise", "seed"]
DEVELOPMENT = ("agnews", "sms")
# name -> threshold and window. The default was chosen on the development sets.
RULES = {
    ".99 (Bloodgood, Vijay-Shanker)": (0.99, 3),
    ".97": (0.97, 3),
    ".95 (default)": (0.95, 3),
    ".93": (0.93, 3),
    ".90": (0.90, 3),
}


def watch(picks, dataset, noise, seed, folder, cache):
    """Return one row per round: the input of the rules, and the truth."""
    split = make_split(dataset, noise, "sentences", seed, folder, cache)
    kappa = StabilizedPredictions(window=1, random_state=seed)
    rows, asked = [], np.empty(0, dtype=np.int64)
    for picked in picks:
        asked = np.concatenate([asked, picked])
        Z, y = split.Z_pool[asked], split.answers[asked]
        model = CoDecisionClassifier(small_model(), split.prior, random_state=seed)
        model.fit(Z, y)
        predicted = model.predict(split.Z_test)
        rows.append(
            {
                "dataset": dataset,
                "noise": noise,
                "seed": seed,
                "n_labels": len(y),
                "kappa": kappa.update(model, split.Z_pool, n_labels=len(y)).value,
                "balanced_accuracy": balanced_accuracy_score(split.y_test, predicted),
            }
        )
    return [
        {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]


def stops(run, threshold, window):
    """Return the round at which a rule stops, or the last one, and whether it did."""
    seen = run["kappa"].to_numpy()
    for k in range(window, len(run)):
        if seen[k - window + 1 : k + 1].mean() >= threshold:
            return k, True
    return len(run) - 1, False


def judge(table):
    """Return one row per rule and run: labels saved, accuracy given up."""
    rows = []
    for key, run in table.groupby(KEYS, sort=False):
        run = run.sort_values("n_labels")
        score, n = run["balanced_accuracy"].to_numpy(), run["n_labels"].to_numpy()
        for name, rule in RULES.items():
            k, stopped = stops(run, *rule)
            rows.append(
                {
                    **dict(zip(KEYS, key)),
                    "rule": name,
                    "saved": 1 - n[k] / n[-1],
                    "cost": score[-1] - score[k],
                    "stopped": stopped,
                }
            )
    return pd.DataFrame(rows)


def fixed(table, share):
    """Return the mean cost of stopping every run after the same share of its budget."""
    costs = []
    for _, run in table.groupby(KEYS, sort=False):
        run = run.sort_values("n_labels")
        score, n = run["balanced_accuracy"].to_numpy(), run["n_labels"].to_numpy()
        costs.append(score[-1] - np.interp(share * n[-1], n, score))
    return float(np.mean(costs))


def report(table):
    """Return the figures as Markdown."""
    lines = [
        "# Stopping when predictions are stable",
        "",
        f"Made by `python -m benchmarks.stopping`, {table['seed'].nunique()} seeds, "
        f"noise {', '.join(map(str, table['noise'].unique()))}: what our runs of the "
        "savings benchmark asked for, with `StabilizedPredictions` of several "
        "thresholds looking on. *Saved* is the part of the budget that is left, *cost* "
        "the balanced accuracy at the end of the budget minus that at the stop, "
        "*fixed* the cost of stopping all runs after the same part of the budget. The "
        f"default was chosen on {' and '.join(DEVELOPMENT)}.",
    ]
    is_development = table["dataset"].isin(DEVELOPMENT)
    for title, rows in (
        ("All data sets", table),
        ("Development", table[is_development]),
        ("Held out", table[~is_development]),
    ):
        lines += [
            "",
            f"## {title}",
            "",
            "| threshold | stops | saved | cost | worst run | fixed |",
            "|" + " --- |" * 6,
        ]
        for name, runs in judge(rows).groupby("rule", sort=False):
            saved = runs["saved"].mean()
            lines.append(
                f"| {name} | {runs['stopped'].mean():.0%} | {saved:.0%} | "
                f"{runs['cost'].mean():+.3f} | {runs['cost'].max():+.3f} | "
                f"{fixed(rows, 1 - saved):+.3f} |"
            )
    lines += [
        "",
        "## The default, cell by cell",
        "",
        "| data set | noise | stops | saved | cost |",
        "|" + " --- |" * 5,
    ]
    judged = judge(table)
    rows = judged[judged["rule"].str.contains("default")]
    for (dataset, noise), cell in rows.groupby(["dataset", "noise"], sort=False):
        lines.append(
            f"| {dataset} | {noise} | {cell['stopped'].mean():.0%} | "
            f"{cell['saved'].mean():.0%} | {cell['cost'].mean():+.3f} |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--noises", nargs="+", default=["0", "0.2", "0.4"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--report", action="store_true", help="only report")
    parser.add_argument("--results", type=Path, default=RESULTS / "stopping.csv")
    args = parser.parse_args()
    cache = cache_folder(args.cache)
    if not args.report:
        runs = read(RESULTS / "savings.csv")
        runs = runs[(runs["strategy"] == OURS) & (runs["prior"] == "sentences")]
        runs = runs[(runs["seed"] < args.seeds) & runs["noise"].isin(args.noises)]
        todo = []
        for key, rows in runs.groupby(["seed", "dataset", "noise"], sort=False):
            rows = rows.sort_values("round")["asked"]
            picks = [np.array(row.split(), dtype=np.int64) for row in rows]
            todo.append((picks, key[1], key[2], key[0], args.data, cache))
        todo.sort(key=lambda task: task[3])
        record(watch, todo, args.results, args.jobs)
    table = pd.read_csv(args.results, dtype={"noise": str})
    args.results.with_suffix(".md").write_text(report(table), encoding="utf-8")


if __name__ == "__main__":
    main()
