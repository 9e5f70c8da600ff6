"""Do the check set's intervals cover the accuracy on the pool, and at what cost?

    python -m benchmarks.check_set --data FOLDER [--quick]

Sessions label a pool with the answers of the data, at several shares of the check set.
At several numbers of labels, the 95 % interval is compared with the accuracy on the
whole pool, and on its unlabelled part. Writes benchmarks/results/check_set.csv and
check_set.md: how often the interval covered it, how wide it was, and the accuracy lost
by the labels in the check set.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.recording import record
from cofm_sklearn import AnnotationSession

RESULTS = Path(__file__).parent / "results"
DATASETS = ("agnews", "sms", "trec", "hate")
SHARES = (0.0, 0.05, 0.1, 0.2, 0.3)
COUNTS = (100, 200, 300, 400)
N_POOL = 1500


def measure(folder, dataset, share, seed, counts):
    """Return a row per number of labels of one session."""
    with np.load(Path(folder) / f"{dataset}.npz") as data:
        Z, y = data["minilm"].astype(np.float32), data["y"]
    rows = np.random.RandomState(seed).permutation(len(y))[:N_POOL]
    Z, y = Z[rows], y[rows].astype(int)
    found = []
    with AnnotationSession(
        Z,
        LogisticRegression(C=10.0, class_weight="balanced", max_iter=300),
        classes=np.unique(y).tolist(),
        n_instances=20,
        check_share=share,
        background=False,
        random_state=seed,
    ) as session:
        for n_labels in counts:
            while (n := session.progress().n_labels) < n_labels:
                questions = session.ask(min(20, n_labels - n))
                labels = y[[q.index for q in questions]].tolist()
                session.answer([q.id for q in questions], labels)
            right = session.predict() == y
            unseen = np.setdiff1d(np.arange(len(y)), session.labeled)
            recalls = [right[y == k].mean() for k in np.unique(y)]
            row = {
                "dataset": dataset,
                "share": share,
                "seed": seed,
                "n_labels": n_labels,
                "accuracy": right.mean(),
                "accuracy_unseen": right[unseen].mean(),
                "balanced_accuracy": np.mean(recalls),
            }
            score = session.check_score()
            if score is not None:
                row["n"], row["found"] = score.n, score.accuracy
                row["low"], row["high"] = score.accuracy_interval
                row["found_balanced"] = score.balanced_accuracy
                low, high = score.balanced_accuracy_interval
                row["low_balanced"], row["high_balanced"] = low, high
            found.append(row)
    return found


def report(table):
    """Return the report as Markdown."""
    lines = [
        "# Check set: coverage and cost",
        "",
        f"Pools of {N_POOL} samples of {', '.join(table['dataset'].unique())}, "
        f"{table['seed'].nunique()} seeds; logistic regression on all-MiniLM-L6-v2. "
        "How often the interval at 95 % holds the accuracy on the pool, and on what "
        "nobody has labelled; what share of the runs holds the balanced accuracy; mean "
        "width; and accuracy on the pool, which a larger check set costs.",
        "",
        "| share | labels | in the check set | holds pool | holds unseen | "
        "holds balanced | width | accuracy | without a check set |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    whole = table[table["share"] == 0].groupby("n_labels")["accuracy"].mean()
    for (share, n_labels), part in table.groupby(["share", "n_labels"]):
        if not share:
            continue
        scored = part.dropna(subset=["found"])
        holds = [
            (scored["low"] <= scored["accuracy"])
            & (scored["accuracy"] <= scored["high"]),
            (scored["low"] <= scored["accuracy_unseen"])
            & (scored["accuracy_unseen"] <= scored["high"]),
            (scored["low_balanced"] <= scored["balanced_accuracy"])
            & (scored["balanced_accuracy"] <= scored["high_balanced"]),
        ]
        cells = [
            f"{share:g}",
            f"{n_labels}",
            f"{scored['n'].mean():.0f}",
            *(f"{100 * held.mean():.0f} %" for held in holds),
            f"{(scored['high'] - scored['low']).mean():.3f}",
            f"{part['accuracy'].mean():.3f}",
            f"{whole.get(n_labels, np.nan):.3f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    scored = table.dropna(subset=["found"])
    held = (scored["low"] <= scored["accuracy"]) & (
        scored["accuracy"] <= scored["high"]
    )
    lines += ["", f"Over all of it, the interval held in {100 * held.mean():.1f} %."]
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True)
    parser.add_argument(
        "--quick", action="store_true", help="2 sets, 3 shares, 3 seeds"
    )
    parser.add_argument("--seeds", type=int, help="default 20, quick 3")
    parser.add_argument("--jobs", type=int, default=1)
    args = parser.parse_args()
    datasets, shares, counts, seeds = DATASETS, SHARES, COUNTS, args.seeds or 20
    if args.quick:
        datasets, shares, counts, seeds = (
            ("sms", "trec"),
            (0.0, 0.1, 0.2),
            (100, 200),
            args.seeds or 3,
        )
    todo = [
        (args.data, dataset, share, seed, counts)
        for seed in range(seeds)
        for dataset in datasets
        for share in shares
    ]
    table = record(measure, todo, RESULTS / "check_set.csv", args.jobs)
    text = report(table)
    (RESULTS / "check_set.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
