"""Are wrong labels found and counted, and is cleaning them worth it?

    python -m benchmarks.label_noise --data FOLDER

Random labels of each data set, of which a known share is wrong. Measured are how well
our quality ranks the wrong labels last, beside cleanlab's scores of the small model's
own out-of-fold probabilities; what cleaning changes in balanced accuracy; and how far
the estimated noise rate is from the true one. Writes benchmarks/results/label_noise.csv
and label_noise.md. `--report` makes the latter from an existing table.
"""

import argparse
import os
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import (
    average_precision_score,
    balanced_accuracy_score,
    roc_auc_score,
)
from tqdm.auto import tqdm

from benchmarks.recording import cache_folder
from benchmarks.savings.data import make_split
from benchmarks.savings.strategies import small_model
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.models.small_model import (
    class_proba,
    cross_fit_proba,
    fit_small_model,
)
from cofm_sklearn.models.training_set import TrainingSet
from cofm_sklearn.noise import estimate_noise, find_suspects

DATASETS = ("agnews", "banking77", "sms", "api_docs")
NOISES = ("0", "0.2", "0.4", "0.2 asymmetric")
RESULTS = Path(__file__).parent / "results" / "label_noise.csv"


def measure(dataset, noise, n_labels, seed, folder, cache):
    """Return one row for one draw of labels."""
    split = make_split(dataset, noise, "sentences", seed, folder, cache)
    right = make_split(dataset, "0", "sentences", seed, folder, cache).answers
    drawn = np.random.RandomState(seed).permutation(len(right))[:n_labels]
    Z, y = split.Z_pool[drawn], split.answers[drawn]
    wrong = y != right[drawn]
    codes = np.searchsorted(split.classes, y)
    data = TrainingSet(Z, codes, split.classes)
    proba = cross_fit_proba(small_model(), data, random_state=seed)[0]

    unfitted = CoDecisionClassifier(small_model(), split.prior, random_state=seed)
    cleaned = unfitted.fit(Z, y)
    uncleaned = CoDecisionClassifier(
        small_model(), split.prior, label_noise=None, random_state=seed
    ).fit(Z, y)
    low, high = cleaned.noise_rate_interval_
    row = {
        "dataset": dataset,
        "noise": noise,
        "n_labels": n_labels,
        "seed": seed,
        "wrong": wrong.mean(),
        "noise_rate": cleaned.noise_rate_,
        "noise_rate_low": low,
        "noise_rate_high": high,
    }
    if wrong.any():
        alone = estimate_noise(codes, proba, classes=np.arange(len(split.classes)))
        for name, quality in {
            "ours": cleaned.label_quality_,
            "ours, no prior": alone.label_quality,
            **cleanlab_scores(codes, proba),
        }.items():
            row[f"auroc {name}"] = roc_auc_score(wrong, -quality)
            row[f"ap {name}"] = average_precision_score(wrong, -quality)

    def score(predicted):
        return balanced_accuracy_score(split.y_test, predicted)

    def score_small(training):
        model = fit_small_model(small_model(), training)
        test = class_proba(model, split.Z_test, split.classes)
        return score(split.classes[test.argmax(axis=1)])

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*look wrong")
        suspects = find_suspects(y, cleaned.label_quality_)
    kept = np.setdiff1d(np.arange(n_labels), suspects)
    weighted = TrainingSet(Z, codes, split.classes, cleaned.label_quality_)
    row |= {
        "small uncleaned": score_small(data),
        "small weighted": score_small(weighted),
        "small dropped": score_small(data.subset(kept)),
        "fused uncleaned": score(uncleaned.predict(split.Z_test)),
        "fused cleaned": score(cleaned.predict(split.Z_test)),
    }
    return row


def cleanlab_scores(codes, proba):
    """Return cleanlab's scores of the labels, by method."""
    from cleanlab.rank import get_label_quality_scores

    return {
        "self-confidence": get_label_quality_scores(
            codes, proba, method="self_confidence"
        ),
        "normalised margin": get_label_quality_scores(
            codes, proba, method="normalized_margin"
        ),
    }


def tables(table):
    """Return title -> frame, for the report."""
    table = table.assign(
        small_gain=table["small weighted"] - table["small uncleaned"],
        dropped_gain=table["small dropped"] - table["small uncleaned"],
        fused_gain=table["fused cleaned"] - table["fused uncleaned"],
        off=table["noise_rate"] - table["wrong"],
        inside=(table["noise_rate_low"] <= table["wrong"])
        & (table["wrong"] <= table["noise_rate_high"]),
    )
    found = {}
    noisy = table[table["wrong"] > 0]
    for title, prefix in (("AUROC", "auroc "), ("Average precision", "ap ")):
        columns = [c for c in table if c.startswith(prefix)]
        by_cell = noisy.groupby(["dataset", "noise"], sort=False)[columns].mean()
        for dataset in noisy["dataset"].unique():
            mean = noisy.loc[noisy["dataset"] == dataset, columns].mean()
            by_cell.loc[(dataset, "mean"), :] = mean
        by_cell.columns = [c.removeprefix(prefix) for c in columns]
        found[f"Detection: {title}"] = by_cell
    gains = ["small_gain", "dropped_gain", "fused_gain"]
    names = ["small model, weighted", "small model, dropped", "co-decision"]
    cells = table.groupby(["noise", "dataset", "n_labels"], sort=False)[gains].mean()
    by_noise = cells.groupby("noise", sort=False)
    mean, worst = by_noise.mean(), by_noise.min()
    mean.columns, worst.columns = names, [f"worst cell: {n}" for n in names]
    found["Gain of cleaning, by noise"] = mean.join(worst)
    cells.columns = names
    found["Gain of cleaning, by cell"] = cells
    rates = table.groupby(["noise", "n_labels"], sort=False).agg(
        true=("wrong", "mean"),
        estimated=("noise_rate", "mean"),
        off=("off", lambda off: off.abs().mean()),
        inside=("inside", "mean"),
    )
    rates.columns = ["true", "estimated", "mean distance", "inside the interval"]
    found["Noise rate"] = rates
    rates = table[table["n_labels"] == table["n_labels"].max()].pivot_table(
        "off", "dataset", "noise", sort=False
    )
    found["Noise rate at the most labels: estimated minus true"] = rates
    return found


def write_report(table, path):
    """Write the tables as Markdown."""
    n_seeds = table["seed"].nunique()
    sizes = " and ".join(map(str, sorted(table["n_labels"].unique())))
    lines = [
        "# Wrong labels",
        "",
        f"Made by `python -m benchmarks.label_noise`: random labels, {sizes} of them, "
        f"{n_seeds} seeds; balanced logistic regression as the small model. A gain is "
        "the difference in balanced accuracy on the test samples.",
    ]
    for title, frame in tables(table).items():
        body = frame.reset_index()
        head = [str(column) for column in body.columns]
        lines += ["", f"## {title}", "", "| " + " | ".join(head) + " |"]
        lines.append("|" + " --- |" * len(head))
        for row in body.itertuples(index=False):
            texts = [f"{v:.3f}" if isinstance(v, float) else str(v) for v in row]
            lines.append("| " + " | ".join(texts) + " |")
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--noise", nargs="+", default=NOISES, choices=NOISES)
    parser.add_argument("--labels", type=int, nargs="+", default=[200, 400])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="report only")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache = cache_folder(args.cache)
    if args.report:
        table = pd.read_csv(args.results, dtype={"noise": str})
    else:
        jobs = [
            (dataset, noise, n_labels, seed, args.data, cache)
            for seed in range(args.seeds)
            for dataset in args.datasets
            for noise in args.noise
            for n_labels in args.labels
        ]
        done = Parallel(args.jobs, return_as="generator")(
            delayed(measure)(*job) for job in jobs
        )
        table = pd.DataFrame(list(tqdm(done, total=len(jobs)))).round(4)
        table.to_csv(args.results, index=False)
    write_report(table, args.results.with_suffix(".md"))
    print(args.results.with_suffix(".md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
