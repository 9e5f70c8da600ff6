"""How much does each part of the co-decision contribute, on the samples it queried?

    python -m benchmarks.ablation --data FOLDER

Takes the samples that our runs in benchmarks/results/savings.csv queried, and trains
the co-decision on them without one of its parts. Writes benchmarks/results/ablation.csv
and ablation.md: balanced accuracy with the part minus without it, as the mean over
seeds and over an early, a middle and the last round.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import make_split
from benchmarks.savings.results import read
from benchmarks.savings.strategies import OURS, co_decision
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.models import fusion, training
from cofm_sklearn.noise import estimate

RESULTS = Path(__file__).parent / "results"
# part -> parameters without it, and module attributes to replace
PARTS = {
    "all": ({}, []),
    "doubt about labels": ({"label_noise": None}, []),
    "neighbours": ({"neighbors": None}, []),
    "rows of the prior": (
        {},
        [(CoDecisionClassifier, "_class_rows", lambda *_: (None, 1, None))],
    ),
    "the case without the prior": (
        {},
        [(training, "weigh_evidence", lambda *_, **__: 1.0)],
    ),
    "rare labels weigh more": ({}, [(fusion, "_BALANCE", 0.0)]),
    "wrong towards similar": ({}, [(estimate, "CONFUSIONS", ("uniform",))]),
}


def measure(asked, n_labels, dataset, noise, prior, seed, folder, cache):
    """Return one row per part for one round of one run."""
    split = make_split(dataset, noise, prior, seed, folder, cache)
    asked = asked[:n_labels]
    rows = []
    for part, (params, changes) in PARTS.items():
        model = co_decision(split, seed).set_params(**params)
        with ExitStack() as stack:
            for module, name, value in changes:
                stack.enter_context(patch.object(module, name, value))
            model.fit(split.Z_pool[asked], split.answers[asked])
        score = balanced_accuracy_score(split.y_test, model.predict(split.Z_test))
        rows.append(
            {
                "dataset": dataset,
                "noise": noise,
                "prior": prior,
                "seed": seed,
                "n_labels": n_labels,
                "without": part,
                "balanced_accuracy": round(score, 5),
            }
        )
    return rows


def tasks(table, n_seeds, priors, folder, cache):
    """List what to measure."""
    runs = table[(table["strategy"] == OURS) & (table["seed"] < n_seeds)]
    runs = runs[runs["prior"].isin(priors)]
    keys = ["dataset", "noise", "prior", "seed"]
    for key, rows in runs.groupby(keys, sort=False):
        rows = rows.sort_values("round")
        asked = np.array(" ".join(rows["asked"]).split(), dtype=int)
        for k in (2, len(rows) // 2, len(rows) - 1):
            yield (asked, int(rows["n_labels"].iloc[k]), *key, folder, cache)


def report(table):
    """Return the gain of each part by cell, as Markdown."""
    scores = table.pivot_table(
        "balanced_accuracy", ["prior", "dataset", "noise"], "without", sort=False
    )
    gains = scores[[part for part in PARTS if part != "all"]]
    gains = gains.rsub(scores["all"], axis=0)
    lines = [
        "# What each part is worth",
        "",
        f"Made by `python -m benchmarks.ablation`, {table['seed'].nunique()} seeds: "
        "balanced accuracy of the co-decision with the part minus without it, on the "
        "samples that the whole system asked for.",
        "",
        "| prior | data set | noise | whole | " + " | ".join(gains.columns) + " |",
        "|" + " --- |" * (4 + gains.shape[1]),
    ]
    for (prior, dataset, noise), row in gains.iterrows():
        whole = scores.loc[(prior, dataset, noise), "all"]
        values = " | ".join(f"{v:+.3f}" for v in row)
        lines.append(f"| {prior} | {dataset} | {noise} | {whole:.3f} | {values} |")
    for prior in scores.index.get_level_values("prior").unique():
        values = " | ".join(f"{v:+.3f}" for v in gains.loc[prior].mean())
        whole = scores.loc[prior, "all"].mean()
        lines.append(f"| **{prior}** | mean | | {whole:.3f} | {values} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--priors", nargs="+", default=["sentences", "shuffled"])
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--results", type=Path, default=RESULTS / "ablation.csv")
    args = parser.parse_args()
    cache = cache_folder(args.cache)
    table = read(RESULTS / "savings.csv")
    todo = list(tasks(table, args.seeds, args.priors, args.data, cache))
    table = record(measure, todo, args.results, args.jobs)
    text = report(table)
    args.results.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
