"""How much do the neighbours add to the co-decision, on the same samples?

    python -m benchmarks.neighbors --data FOLDER

Takes the samples queried in the first edition of the savings benchmark, without
neighbours (benchmarks/results/picks.csv), and scores the co-decision on them with and
without neighbours in each round, and in three rounds without one part of the
neighbours. Writes benchmarks/results/neighbors.csv and neighbors.md. If restarted, it
continues where it stopped.
"""

import argparse
from contextlib import ExitStack
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import make_split
from benchmarks.savings.strategies import small_model
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.models import neighborhood as voices

RESULTS = Path(__file__).parent / "results"
CELL = ["prior", "dataset", "noise"]
RUN = ["dataset", "noise", "prior", "seed"]
# part -> module attributes to replace
PARTS = {
    "attention to classes": {"_ATTENTION": 0.0},
    "the co-decision as a start": {"_UNLABELLED": 1e-6},
    "label quality": {},
    "spreading farther than to neighbours": {},
}
ABLATION_SEEDS = 3
# Slow data sets have fewer seeds.
SLOW = {"banking77": 3}


def measure(dataset, noise, prior, seed, asked, every, folder, cache):
    """Return a row per measured round of one run: the last, and each `every` before."""
    split = make_split(dataset, noise, prior, seed, folder, cache)

    def score(proba):
        predicted = split.classes[proba.argmax(axis=1)]
        return round(balanced_accuracy_score(split.y_test, predicted), 5)

    rows = []
    for k, n in enumerate(np.cumsum([len(part) for part in asked])):
        if (len(asked) - 1 - k) % every:
            continue
        picked = np.concatenate(asked[: k + 1])
        X, y = split.Z_pool[picked], split.answers[picked]
        model = CoDecisionClassifier(
            small_model(), split.prior, neighbors=split.neighbors, random_state=seed
        ).fit(X, y)
        alone = model._decide_alone(split.Z_test)
        row = {
            "dataset": dataset,
            "noise": noise,
            "prior": prior,
            "seed": seed,
            "n_labels": n,
            "prior_alone": score(split.prior.predict_proba(split.Z_test)),
            "small": score(model.small_model_proba(split.Z_test)),
            "without": score(alone),
            "with": score(model._voice.fuse(split.Z_test, alone)),
            "weight": round(model.neighbor_weight_, 4),
            "attention": round(model._voice.attention, 4),
            "trust": round(model.trust_, 4),
        }
        if seed < ABLATION_SEEDS and k in (2, 8, len(asked) - 1):
            for part in PARTS:
                row[part] = score(_without(part, model, split, X, y, alone))
        rows.append(row)
    return rows


def _without(part, model, split, X, y, alone):
    """Return the co-decision on the test set without a part of the neighbours."""
    graph = model.neighbors_
    quality = np.ones(len(y)) if part == "label quality" else model.label_quality_
    with ExitStack() as stack:
        for name, value in PARTS[part].items():
            stack.enter_context(patch.object(voices, name, value))
        if part.startswith("spreading"):
            stack.enter_context(patch.object(graph.estimator, "alpha", 0.5))
        nodes = model._decide_alone(graph.samples_like(X))
        codes = np.searchsorted(split.classes, y)
        voice = voices.fit_neighbors(
            graph, nodes, X, model._decide_alone(X), codes, quality
        )
        return voice.fuse(split.Z_test, alone)


def report(table):
    """Return the gain of each cell, and the contribution of each part, as Markdown."""
    by = table.groupby(CELL, sort=False)
    gains = pd.DataFrame(
        {
            "seeds": by["seed"].nunique(),
            "without": by["without"].mean(),
            "with": by["with"].mean(),
            "gain": by["with"].mean() - by["without"].mean(),
            "attention": by["attention"].mean(),
        }
    )
    some = table.dropna(subset=list(PARTS))
    ablation = some.groupby(CELL, sort=False)[["with", *PARTS]].mean()
    ablation = ablation[list(PARTS)].rsub(ablation["with"], axis=0)
    lines = [
        "# What the neighbours add",
        "",
        "Made by `python -m benchmarks.neighbors`: balanced accuracy of the "
        "co-decision with and without neighbours on the same samples, which the query "
        "of the savings benchmark asked for without them; mean over seeds and "
        f"{table.groupby(RUN).size().max()} rounds from the first to the last.",
        "",
    ]
    shuffled = gains.index.get_level_values("prior") == "shuffled"
    for kind, part in (("described", gains[~shuffled]), ("shuffled", gains[shuffled])):
        if part.empty:
            continue
        lines.append(
            f"{kind}: mean gain {part['gain'].mean():+.4f}, lowest "
            f"{part['gain'].min():+.4f} ({', '.join(part['gain'].idxmin()[1:])})"
        )
        lines.append("")
    lines += [
        "| prior | data set | noise | seeds | without | with | gain | attention |",
        "|" + " --- |" * 8,
    ]
    for (prior, dataset, noise), row in gains.iterrows():
        lines.append(
            f"| {prior} | {dataset} | {noise} | {row['seeds']:.0f} | "
            f"{row['without']:.3f} | {row['with']:.3f} | {row['gain']:+.4f} | "
            f"{row['attention']:.2f} |"
        )
    lines += [
        "",
        "## What each part is worth",
        "",
        f"Balanced accuracy with the part minus without it, {ABLATION_SEEDS} seeds, an "
        "early, a middle and the last round. Spreading no farther: alpha .5.",
        "",
        "| prior | data set | noise | " + " | ".join(PARTS) + " |",
        "|" + " --- |" * (3 + len(PARTS)),
    ]
    for (prior, dataset, noise), row in ablation.iterrows():
        values = " | ".join(f"{value:+.3f}" for value in row)
        lines.append(f"| {prior} | {dataset} | {noise} | {values} |")
    for prior, part in ablation.groupby(level="prior", sort=False):
        values = " | ".join(f"{value:+.3f}" for value in part.mean())
        lines.append(f"| **{prior}** | mean | | {values} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--every", type=int, default=1, help="rounds from one to next")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--results", type=Path, default=RESULTS / "neighbors.csv")
    args = parser.parse_args()
    picks = pd.read_csv(RESULTS / "picks.csv", dtype={"noise": str})
    done = pd.DataFrame(columns=RUN)
    if args.results.exists():
        done = pd.read_csv(args.results, dtype={"noise": str})
    finished = set(done[RUN].itertuples(index=False, name=None))
    todo = []
    for run, rows in picks.groupby(RUN, sort=False):
        wanted = args.datasets is None or run[0] in args.datasets
        n_seeds = min(args.seeds, SLOW.get(run[0], args.seeds))
        if wanted and run[-1] < n_seeds and run not in finished:
            texts = rows.sort_values("round")["asked"]
            asked = [np.array(text.split(), dtype=int) for text in texts]
            todo.append((*run, asked, args.every, args.data, cache_folder(args.cache)))
    todo.sort(key=lambda task: task[3])
    rows = done.to_dict("records")
    table = record(measure, todo, args.results, args.jobs, rows) if todo else done
    text = report(table)
    args.results.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
