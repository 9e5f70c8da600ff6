"""How much does each design choice of the query contribute to the system?

    python -m benchmarks.query_ablation --data FOLDER

Runs the system on the development sets of the savings benchmark with one parameter of
`CoDecisionQuery` changed, on the same splits and answers. Writes
benchmarks/results/query_ablation.csv and query_ablation.md: mean balanced accuracy of
the co-decision over all rounds, with the change minus without it.
"""

import argparse
from pathlib import Path
from unittest.mock import patch

import pandas as pd

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import FOUND, make_split
from benchmarks.savings.runs import Run, execute
from benchmarks.savings.strategies import OURS
from cofm_sklearn.query import co_decision, coverage

RESULTS = Path(__file__).parent / "results"
KEYS = ["dataset", "noise", "change", "seed"]
# change -> parameters of the query, and factor of the automatic kernel width
CHANGES = {
    "none": ({}, 1.0),
    "covers only (sharpness 0)": ({"sharpness": 0.0}, 1.0),
    "sharpness 1": ({"sharpness": 1.0}, 1.0),
    "sharpness 4": ({"sharpness": 4.0}, 1.0),
    "width x 0.67": ({}, 0.67),
    "width x 1.5": ({}, 1.5),
    "width x 0.67, sharpness 4": ({"sharpness": 4.0}, 0.67),
    "balance 0": ({"balance": 0.0}, 1.0),
    "balance 0.5": ({"balance": 0.5}, 1.0),
    "entropy": ({"uncertainty": "entropy"}, 1.0),
}


def measure(dataset, noise, change, seed, n_rounds, folder, cache):
    """Return the identity of a run, and its score in every round."""
    params, factor = CHANGES[change]

    def width(*args, **kwargs):
        return factor * coverage.kernel_width(*args, **kwargs)

    run = Run(dataset, noise, "sentences", OURS, seed, n_rounds, fused_every=1)
    with patch.object(co_decision, "kernel_width", width):
        rounds = execute(run, folder, cache, params=params)
    return [
        {
            **dict(zip(KEYS, (dataset, noise, change, seed))),
            "n_labels": row["n_labels"],
            "balanced_accuracy": round(row["fused_balanced_accuracy"], 5),
        }
        for row in rounds
    ]


def report(table):
    """Return the gain of each change by cell, as Markdown."""
    runs = table.groupby(KEYS, sort=False)["balanced_accuracy"].mean()
    scores = runs.unstack("change")
    gains = scores.drop(columns="none").sub(scores["none"], axis=0)
    cells = gains.groupby(["dataset", "noise"], sort=False).mean()
    whole = scores["none"].groupby(["dataset", "noise"], sort=False).mean()
    names = [name for name in CHANGES if name in cells]
    n_seeds = table["seed"].nunique()
    lines = [
        "# What each choice inside the query is worth",
        "",
        f"Made by `python -m benchmarks.query_ablation`, {n_seeds} "
        f"seed{'s' * (n_seeds > 1)}, {table['n_labels'].max()} labels: balanced "
        "accuracy of the system in the mean over all rounds, with the change minus "
        "without it. Below, the mean over all cells, and its standard error over all "
        "runs.",
        "",
        "| data set | noise | as it is | " + " | ".join(names) + " |",
        "|" + " --- |" * (3 + len(names)),
    ]
    for cell, row in cells[names].iterrows():
        values = " | ".join(f"{value:+.3f}" for value in row)
        lines.append(f"| {cell[0]} | {cell[1]} | {whole[cell]:.3f} | {values} |")
    values = " | ".join(f"{cells[name].mean():+.3f}" for name in names)
    lines.append(f"| **mean** | | {whole.mean():.3f} | {values} |")
    errors = " | ".join(f"{gains[name].sem():.3f}" for name in names)
    lines.append(f"| standard error | | | {errors} |")
    return "\n".join(lines) + "\n"


def run_all(args, cache):
    """Execute all runs."""
    datasets = [name for name, setting in FOUND.items() if setting.development]
    for dataset in datasets:  # embed once, before the processes start
        make_split(dataset, "0", "sentences", 0, args.data, cache)
    todo = [
        (dataset, noise, change, seed, args.rounds, args.data, cache)
        for seed in range(args.seeds)
        for dataset in datasets
        for noise in args.noises
        for change in CHANGES
    ]
    record(measure, todo, args.results, args.jobs)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--noises", nargs="+", default=["0", "0.2", "0.4"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--report", action="store_true", help="only report")
    parser.add_argument("--results", type=Path, default=RESULTS / "query_ablation.csv")
    args = parser.parse_args()
    cache = cache_folder(args.cache)
    if not args.report:
        run_all(args, cache)
    table = pd.read_csv(args.results, dtype={"noise": str})
    text = report(table)
    args.results.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
