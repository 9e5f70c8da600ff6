"""When do stopping rules stop, and what does that cost?

    python -m benchmarks.stopping --data FOLDER

Takes what our runs in benchmarks/results/savings.csv asked for, trains the co-decision
on it round by round, and lets the rules look. Writes benchmarks/results/stopping.csv
(what they saw) and stopping.md: labels saved, and balanced accuracy given up.
"""

import argparse
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import balanced_accuracy_score
from tqdm.auto import tqdm

from benchmarks.savings.data import make_split
from benchmarks.savings.results import read
from benchmarks.savings.runs import small_model
from benchmarks.savings.strategies import OURS
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.simulation import EstimatedAccuracy, StabilizedPredictions

RESULTS = Path(__file__).parent / "results"
KEYS = ["dataset", "noise", "seed"]
DEVELOPMENT = ("agnews", "sms")
# name -> (column, parameters); the first of each kind are the defaults.
RULES = {
    "stabilized, .99 over 3 (default)": ("kappa", 0.99, 3),
    "stabilized, .97 over 3": ("kappa", 0.97, 3),
    "stabilized, .95 over 3": ("kappa", 0.95, 3),
    "accuracy, .005 over 5 (default)": ("estimate", 0.005, 5),
    "accuracy, .002 over 5": ("estimate", 0.002, 5),
    "accuracy, .005 over 3": ("estimate", 0.005, 3),
}


def watch(picks, dataset, noise, seed, folder, cache):
    """Return one row per round: what the rules see, and the truth."""
    split = make_split(dataset, noise, "described", seed, folder, cache)
    kappa = StabilizedPredictions(window=1, random_state=seed)
    accuracy = EstimatedAccuracy(random_state=seed)
    rows, asked = [], np.empty(0, dtype=np.int64)
    for picked in picks:
        asked = np.concatenate([asked, picked])
        Z, y = split.Z_pool[asked], split.answers[asked]
        model = CoDecisionClassifier(small_model(), split.prior, random_state=seed)
        model.fit(Z, y)
        given = {"n_labels": len(y), "X_labeled": Z, "y_labeled": y}
        estimate = accuracy.update(model, split.Z_pool, **given)
        low, high = estimate.interval or (np.nan, np.nan)
        predicted = model.predict(split.Z_test)
        rows.append(
            {
                "dataset": dataset,
                "noise": noise,
                "seed": seed,
                "n_labels": len(y),
                "kappa": kappa.update(model, split.Z_pool, **given).value,
                "estimate": estimate.value,
                "low": low,
                "high": high,
                "balanced_accuracy": balanced_accuracy_score(split.y_test, predicted),
            }
        )
    return [
        {k: round(v, 5) if isinstance(v, float) else v for k, v in row.items()}
        for row in rows
    ]


def stops(run, column, threshold, window):
    """Return the first round at which a rule stops, or the last one, and whether."""
    seen = run[column].to_numpy()
    for k in range(len(run)):
        if column == "kappa":
            last = seen[max(k - window + 1, 0) : k + 1]
            stop = k >= window and last.mean() >= threshold
        else:
            stop = k >= window and (seen[k] - seen[k - window]) / window < threshold
        if stop:
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
            # The same number of labels in the mean over runs is compared below.
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
    """Mean cost of stopping every run after the same share of its budget."""
    costs = []
    for _, run in table.groupby(KEYS, sort=False):
        run = run.sort_values("n_labels")
        score, n = run["balanced_accuracy"].to_numpy(), run["n_labels"].to_numpy()
        costs.append(score[-1] - np.interp(share * n[-1], n, score))
    return float(np.mean(costs))


def report(table):
    """Return the figures as Markdown."""
    judged = judge(table)
    lines = [
        "# Stopping rules",
        "",
        f"Made by `python -m benchmarks.stopping`, {table['seed'].nunique()} seeds, "
        f"noise {', '.join(map(str, table['noise'].unique()))}: what our runs of the "
        "savings benchmark asked for, with each rule looking on. *Saved* is the part "
        "of the budget that is left, *cost* the balanced accuracy at the end of the "
        "budget minus that at the stop, *fixed* the cost of stopping all runs after "
        "the same part of the budget.",
        "",
        "| rule | stops | saved | cost | worst run | fixed |",
        "|" + " --- |" * 6,
    ]
    for name, rows in judged.groupby("rule", sort=False):
        saved = rows["saved"].mean()
        lines.append(
            f"| {name} | {rows['stopped'].mean():.0%} | {saved:.0%} | "
            f"{rows['cost'].mean():+.3f} | {rows['cost'].max():+.3f} | "
            f"{fixed(table, 1 - saved):+.3f} |"
        )
    for rule in [name for name in RULES if "default" in name]:
        lines += [
            "",
            f"## {rule}",
            "",
            "| data set | noise | stops | saved | cost |",
            "|" + " --- |" * 5,
        ]
        rows = judged[judged["rule"] == rule]
        for (dataset, noise), cell in rows.groupby(["dataset", "noise"], sort=False):
            lines.append(
                f"| {dataset} | {noise} | {cell['stopped'].mean():.0%} | "
                f"{cell['saved'].mean():.0%} | {cell['cost'].mean():+.3f} |"
            )
    known = table.dropna(subset=["estimate"]).copy()
    known["error"] = known["estimate"] - known["balanced_accuracy"]
    inside = known["balanced_accuracy"].between(known["low"], known["high"])
    lines += [
        "",
        "## Estimated balanced accuracy",
        "",
        "Estimate minus the truth on the test set, its mean distance, and how often "
        "the 95 % interval holds the truth, over all rounds.",
        "",
        "| data set | noise | bias | distance | interval holds |",
        "|" + " --- |" * 5,
    ]
    for key, rows in known.groupby(["dataset", "noise"], sort=False):
        lines.append(
            f"| {key[0]} | {key[1]} | {rows['error'].mean():+.3f} | "
            f"{rows['error'].abs().mean():.3f} | {inside[rows.index].mean():.0%} |"
        )
    lines.append(
        f"| **all** | | {known['error'].mean():+.3f} | "
        f"{known['error'].abs().mean():.3f} | {inside.mean():.0%} |"
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
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache = args.cache or str(Path(tempfile.gettempdir()) / "cofm_sklearn-cache")
    if not args.report:
        runs = read(RESULTS / "savings.csv")
        runs = runs[(runs["strategy"] == OURS) & (runs["prior"] == "described")]
        runs = runs[(runs["seed"] < args.seeds) & runs["noise"].isin(args.noises)]
        todo = []
        for key, rows in runs.groupby(["seed", "dataset", "noise"], sort=False):
            rows = rows.sort_values("round")["asked"]
            picks = [np.array(row.split(), dtype=np.int64) for row in rows]
            todo.append((picks, key[1], key[2], key[0], args.data, cache))
        todo.sort(key=lambda task: task[3])
        rows = []
        done = Parallel(n_jobs=args.jobs, return_as="generator")(
            delayed(watch)(*task) for task in todo
        )
        for part in tqdm(done, total=len(todo)):
            rows += part
            pd.DataFrame(rows).to_csv(args.results, index=False)
    table = pd.read_csv(args.results, dtype={"noise": str})
    args.results.with_suffix(".md").write_text(report(table), encoding="utf-8")


if __name__ == "__main__":
    main()
