"""Is the co-decision as good as the better of prior and small model?

    python -m benchmarks.fusion --data FOLDER

Labels are drawn at random, so that nothing but the fusion is measured. Writes
benchmarks/results/fusion.csv and prints the mean over seeds.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.metrics import balanced_accuracy_score
from tqdm.auto import tqdm

from benchmarks.recording import cache_folder
from benchmarks.savings.data import NOISES, PRIORS, TEXTS, make_split
from benchmarks.savings.runs import small_model
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.models.small_model import TrainingSet, class_proba, fit_small_model

N_LABELS = (60, 120, 240)
RESULTS = Path(__file__).parent / "results" / "fusion.csv"


def measure(dataset, noise, prior, seed, folder, cache):
    """Score prior, small model and co-decision of one split; a dict per label count."""
    split = make_split(dataset, noise, prior, seed, folder, cache)
    order = np.random.RandomState(seed).permutation(len(split.answers))
    rows = []
    for n in N_LABELS:
        Z, y = split.Z_pool[order[:n]], split.answers[order[:n]]
        small = fit_small_model(small_model(), TrainingSet(Z, y, split.classes))
        fused = CoDecisionClassifier(small_model(), split.prior, random_state=seed)
        fused.fit(Z, y)

        def score(predicted):
            return round(balanced_accuracy_score(split.y_test, predicted), 6)

        plain = class_proba(small, split.Z_test, split.classes).argmax(axis=1)
        rows.append(
            {
                "dataset": dataset,
                "prior_kind": prior,
                "noise": noise,
                "n_labels": n,
                "seed": seed,
                "prior": score(split.prior.predict(split.Z_test)),
                "small": score(plain),
                "fused": score(fused.predict(split.Z_test)),
                "trust": round(fused.trust_, 4),
                "prior_evidence": round(fused.prior_evidence_, 4),
                "noise_rate": round(fused.noise_rate_, 4),
            }
        )
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+", default=list(TEXTS))
    parser.add_argument("--noise", nargs="+", default=["0", "0.2"], choices=NOISES)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache = cache_folder()
    jobs = [
        (dataset, noise, prior, seed, args.data, cache)
        for dataset in args.datasets
        for noise in args.noise
        for prior in PRIORS
        for seed in range(args.seeds)
    ]
    done = Parallel(args.jobs, return_as="generator")(
        delayed(measure)(*job) for job in jobs
    )
    table = pd.DataFrame([row for rows in tqdm(done, total=len(jobs)) for row in rows])
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False)
    cell = ["dataset", "prior_kind", "noise", "n_labels"]
    mean = table.drop(columns="seed").groupby(cell, sort=False).mean()
    mean["fused - better"] = mean["fused"] - mean[["prior", "small"]].max(axis=1)
    print(mean.round(3).to_string())
    print("\nmean of fused - better of prior and small model:")
    print(
        mean.groupby(["prior_kind", "noise"])["fused - better"]
        .agg(["mean", "min"])
        .round(3)
    )
    print(f"\nWritten: {RESULTS}")


if __name__ == "__main__":
    main()
