"""Several annotators: consensus and annotator-aware training beside majority vote.

    python -m benchmarks.annotators --data FOLDER

Answers are the recorded votes of the `hate` data, drawn without replacement; which
person gave a vote is not recorded, so a column is the nth answer. The true label of the
data is the majority of all votes: three votes make most labels right by definition.
"Guessers" are further columns that answer at random. Writes
benchmarks/results/annotators.csv and prints the mean over seeds.
"""

import argparse
import os
from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import KFold
from tqdm.auto import tqdm

from benchmarks.recording import cache_folder
from benchmarks.savings.data import fit_prior, load
from benchmarks.savings.strategies import small_model
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.noise import combine_annotators, spread_answers
from cofm_sklearn.simulation import RecordedVotesOracle

RESULTS = Path(__file__).parent / "results" / "annotators.csv"
N_SAMPLES = (300,)
N_TEST = 3000
# votes and guessers
SETTINGS = {
    "1 vote": (1, 0),
    "2 votes": (2, 0),
    "3 votes": (3, 0),
    "1 vote, 2 guessers": (1, 2),
    "3 votes, 2 guessers": (3, 2),
}
WAYS = (
    "majority",
    "channel",
    "crowdlab",
    "every answer a row",
    "every answer, weighted",
)


def answers_of(oracle, samples, n_votes, n_guessers, classes, rng):
    """Return a label matrix; guessers answer two samples of three."""
    columns = [oracle.answer(samples, k).astype(float) for k in range(n_votes)]
    for _ in range(n_guessers):
        guessed = rng.choice(classes, len(samples)).astype(float)
        guessed[rng.random_sample(len(samples)) < 1 / 3] = np.nan
        columns.append(guessed)
    return np.column_stack(columns)


def out_of_fold(model, Z, matrix, classes, seed):
    """Return the co-decision on each sample, trained on the majority of the others."""
    labels = combine_annotators(matrix, classes=classes).labels
    proba = np.empty((len(Z), len(classes)))
    for train, test in KFold(5, shuffle=True, random_state=seed).split(Z):
        proba[test] = model.fit(Z[train], labels[train]).predict_proba(Z[test])
    return proba


def training_data(way, matrix, proba, classes):
    """Return rows, labels, weights, and the consensus."""
    if not way.startswith("every"):
        found = combine_annotators(matrix, proba, classes=classes, method=way)
        return np.arange(len(matrix)), found.labels, np.ones(len(matrix)), found
    found, quality = None, None
    if way.endswith("weighted"):
        found = combine_annotators(matrix, proba, classes=classes)
        quality = found.annotator_quality
    return *spread_answers(matrix, quality, classes=classes), found


def measure(corpus, seed, n_samples, cache):
    """Score every way of training under every setting; a dict per pair."""
    order = np.random.RandomState(seed).permutation(len(corpus.y))
    test, pool = order[:N_TEST], order[N_TEST : 2 * N_TEST]
    classes = np.arange(len(corpus.descriptions))
    prior = fit_prior(corpus, corpus.Z[pool], "sentences", seed, cache)
    oracle = RecordedVotesOracle(random_state=seed)
    oracle.fit(corpus.y[pool], votes=corpus.votes[pool], classes=classes)
    samples = np.arange(n_samples)
    Z, y = corpus.Z[pool[samples]], corpus.y[pool[samples]]
    out = []
    for setting, (n_votes, n_guessers) in SETTINGS.items():
        rng = np.random.RandomState(seed)
        matrix = answers_of(oracle, samples, n_votes, n_guessers, classes, rng)
        fused = CoDecisionClassifier(small_model(), prior, random_state=seed)
        proba = out_of_fold(fused, Z, matrix, classes, seed)
        for way in WAYS:
            rows, labels, weight, found = training_data(way, matrix, proba, classes)
            small = small_model().fit(Z[rows], labels, sample_weight=weight)
            fused.fit(Z[rows], labels, sample_weight=weight)
            small, co = (
                balanced_accuracy_score(corpus.y[test], m.predict(corpus.Z[test]))
                for m in (small, fused)
            )
            row = {
                "setting": setting,
                "n_samples": n_samples,
                "seed": seed,
                "way": way,
                "labels_right": None,
                "guesser_quality": None,
                "voter_quality": None,
                "small": round(small, 6),
                "fused": round(co, 6),
            }
            if found is not None and not way.startswith("every"):
                quality = found.annotator_quality
                row["labels_right"] = round(float(np.mean(found.labels == y)), 6)
                row["voter_quality"] = round(float(quality[:n_votes].mean()), 6)
                if n_guessers:
                    guessers = quality[n_votes:].mean()
                    row["guesser_quality"] = round(float(guessers), 6)
            out.append(row)
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of hate.npz")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--n-samples", type=int, nargs="+", default=N_SAMPLES)
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache = cache_folder()
    corpus = load("hate", args.data, cache)
    jobs = [(seed, n) for n in args.n_samples for seed in range(args.seeds)]
    rows = [row for job in tqdm(jobs) for row in measure(corpus, *job, cache)]
    table = pd.DataFrame(rows)
    RESULTS.parent.mkdir(exist_ok=True)
    table.to_csv(RESULTS, index=False)
    mean = table.drop(columns="seed").groupby(
        ["n_samples", "setting", "way"], sort=False
    )
    print(mean.mean().round(3).to_string())
    print(f"\nWritten: {RESULTS}")


if __name__ == "__main__":
    main()
