"""Is the co-decision as good as the better of prior and small model?

    python -m benchmarks.fusion --data FOLDER

Labels are drawn at random, to measure only the fusion: of prior and small model, and
with the neighbours. Writes benchmarks/results/fusion.csv and
fusion.md.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.metrics import balanced_accuracy_score

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import FOUND, NOISES, make_split, priors_of
from benchmarks.savings.strategies import small_model
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.models.small_model import class_proba, fit_small_model
from cofm_sklearn.models.training_set import TrainingSet
from cofm_sklearn.priors.base import features_for_small_model

N_LABELS = (5, 10, 20, 40, 60, 120, 240)
RESULTS = Path(__file__).parent / "results" / "fusion.csv"
CELL = ["dataset", "prior_kind", "noise", "n_labels"]


def measure(dataset, noise, prior, seed, folder, cache):
    """Score prior, small model and co-decision of one split; a dict per label count."""
    split = make_split(dataset, noise, prior, seed, folder, cache)
    order = np.random.RandomState(seed).permutation(len(split.answers))
    X_test = features_for_small_model(split.prior, split.Z_test)

    def score(proba):
        predicted = split.classes[proba.argmax(axis=1)]
        return round(balanced_accuracy_score(split.y_test, predicted), 6)

    rows = []
    for n in N_LABELS:
        Z, y = split.Z_pool[order[:n]], split.answers[order[:n]]
        features = features_for_small_model(split.prior, Z)
        small = fit_small_model(small_model(), TrainingSet(features, y, split.classes))
        fused = CoDecisionClassifier(
            small_model(), split.prior, neighbors=split.neighbors, random_state=seed
        ).fit(Z, y)
        rows.append(
            {
                "dataset": dataset,
                "prior_kind": prior,
                "noise": noise,
                "n_labels": n,
                "seed": seed,
                "prior": score(split.prior.predict_proba(split.Z_test)),
                "small": score(class_proba(small, X_test, split.classes)),
                "without": score(fused._decide_alone(split.Z_test)),
                "fused": score(fused.predict_proba(split.Z_test)),
                "trust": round(fused.trust_, 4),
                "prior_evidence": round(fused.prior_evidence_, 4),
                "neighbor_weight": round(fused.neighbor_weight_, 4),
                "noise_rate": round(fused.noise_rate_, 4),
            }
        )
    return rows


def report(table):
    """Return how far the co-decision is above the better half, as Markdown."""
    mean = table.drop(columns="seed").groupby(CELL, sort=False).mean()
    above = mean["fused"] - mean[["prior", "small"]].max(axis=1)
    lines = [
        "# The co-decision against the better of its halves",
        "",
        f"Made by `python -m benchmarks.fusion`, {table['seed'].nunique()} seeds, "
        "labels drawn at random: balanced accuracy of the co-decision with "
        "neighbours, minus "
        "that of the better of prior and small model in the mean of the seeds.",
        "",
        f"Below -.01 in {(above < -0.01).sum()} of {len(above)} points; lowest "
        f"{above.min():+.3f} ({', '.join(map(str, above.idxmin()))}); mean "
        f"{above.mean():+.3f}.",
        "",
        "| prior | data set | noise | "
        + " | ".join(f"{n} labels" for n in N_LABELS)
        + " |",
        "|" + " --- |" * (3 + len(N_LABELS)),
    ]
    by_count = above.unstack("n_labels").swaplevel(0, 1)
    for (prior, dataset, noise), row in by_count.sort_index(level=0).iterrows():
        values = " | ".join(f"{row[n]:+.3f}" for n in N_LABELS)
        lines.append(f"| {prior} | {dataset} | {noise} | {values} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+", default=list(FOUND))
    parser.add_argument(
        "--noise", nargs="+", default=["0", "0.2", "0.4"], choices=NOISES
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    todo = [
        (dataset, noise, prior, seed, args.data, cache_folder())
        for seed in range(args.seeds)
        for dataset in args.datasets
        for noise in args.noise
        for prior in priors_of(dataset)
    ]
    table = record(measure, todo, args.results, args.jobs)
    text = report(table)
    args.results.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
