"""Does PriorAL do here what an independent re-implementation of it did?

    python -m benchmarks.prioral --data FOLDER

Fifteen rounds of 20 labels; class names as descriptions, the small model a balanced
logistic regression, balanced accuracy on the test split as the mean over rounds and
seeds. Writes benchmarks/results/prioral.csv and prints the figures beside those of the
re-implementation.
"""

import argparse
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import train_test_split

from benchmarks.recording import cache_folder, record
from cofm_sklearn import SentenceTransformerEncoder, ZeroShotPrior
from cofm_sklearn.datasets import make_long_tail
from cofm_sklearn.models import PriorALClassifier
from cofm_sklearn.query import PriorALQuery
from cofm_sklearn.simulation import NoisyOracle

RESULTS = Path(__file__).parent / "results" / "prioral.csv"
NOISES = (0.0, 0.2, 0.4)
# By data set: largest over smallest class (None: as it is), and the known figures.
KNOWN = {
    "agnews": (50, (0.752, 0.735, 0.718)),
    "sms": (None, (0.804, 0.748, 0.642)),
    "hate": (None, (0.513, 0.499, 0.455)),
}
N_ROUNDS, BATCH, MOST = 15, 20, 3000


def measure(dataset, noise, warm_start, seed, folder, cache):
    """Run one loop; one row per round."""
    with np.load(Path(folder) / f"{dataset}.npz") as file:
        Z, y = file["minilm"].astype(np.float32), file["y"].astype(np.int64)
        names = dict(enumerate(map(str, file["class_names"])))
    pool, test = train_test_split(
        np.arange(len(y)),
        test_size=min(MOST, int(0.3 * len(y))),
        stratify=y,
        random_state=seed,
    )
    ratio = KNOWN[dataset][0]
    kept = make_long_tail(y[pool], ratio=ratio, max_samples=MOST, random_state=seed)
    Z_pool, Z_test, y_test = Z[pool[kept]], Z[test], y[test]
    oracle = NoisyOracle(noise, random_state=seed)
    oracle.fit(y[pool[kept]], classes=np.arange(len(names)))
    answers = oracle.answer(np.arange(len(kept)))
    prior = ZeroShotPrior(names, SentenceTransformerEncoder(cache_dir=cache))
    model = PriorALClassifier(
        LogisticRegression(C=1.0, class_weight="balanced", max_iter=300),
        prior.fit(Z_pool),
        pool=Z_pool,
        warm_start=warm_start,
    )
    strategy = PriorALQuery(random_state=seed)
    asked, rows = np.empty(0, dtype=np.int64), []
    for k in range(N_ROUNDS):
        left = np.setdiff1d(np.arange(len(kept)), asked)
        picked = left[strategy(model, Z_pool[left], n_instances=BATCH)]
        asked = np.concatenate([asked, picked])
        model.fit(Z_pool[asked], answers[asked])
        about = {"dataset": dataset, "noise": noise, "warm_start": warm_start}
        score = balanced_accuracy_score(y_test, model.predict(Z_test))
        rows.append({**about, "seed": seed, "round": k, "score": round(score, 4)})
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+", default=list(KNOWN), choices=KNOWN)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    args = parser.parse_args()
    cache = cache_folder()
    todo = [
        (dataset, noise, warm_start, seed, args.data, cache)
        for dataset in args.datasets
        for noise in NOISES
        for warm_start in (False, True)
        for seed in range(args.seeds)
    ]
    table = record(measure, todo, args.results, args.jobs)
    about = ["dataset", "noise", "warm_start"]
    runs = table.groupby([*about, "seed"], sort=False)["score"].mean()
    found = runs.groupby(about, sort=False).agg(["mean", "sem"]).unstack()
    found["known"] = [dict(zip(NOISES, KNOWN[d][1]))[n] for d, n in found.index]
    print(f"\n{found.round(3)}\n\nWritten: {args.results}")


if __name__ == "__main__":
    main()
