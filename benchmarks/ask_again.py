"""Is a second opinion on a doubtful label worth as much as a new label?

    python -m benchmarks.ask_again --data FOLDER

All strategies spend the same number of answers, of which 40 % are wrong; repeated
answers err independently. Writes benchmarks/results/ask_again.csv and .png, and prints
the means. `--draw` makes the plot from an existing table.
"""

import argparse
import os
from pathlib import Path

import pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from benchmarks.recording import cache_folder
from benchmarks.savings.data import make_split
from benchmarks.savings.strategies import small_model
from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
)
from cofm_sklearn.query import AskAgainQuery
from cofm_sklearn.simulation import LearningCurveDisplay, NoisyOracle
from cofm_sklearn.utils import import_optional

DATASETS = ("agnews", "sms", "hate", "api_docs")
RESULTS = Path(__file__).parent / "results" / "ask_again.csv"
WAYS = {
    "new only": CoDecisionQuery(),
    "10 % again": AskAgainQuery(CoDecisionQuery(), share=0.1),
    "25 % again": AskAgainQuery(CoDecisionQuery(), share=0.25),
    "50 % again": AskAgainQuery(CoDecisionQuery(), share=0.5),
    "ActiveLab": AskAgainQuery(CoDecisionQuery(), share=0.5, score="activelab"),
}


def measure(dataset, noise, way, seed, budget, batch, folder, cache):
    """Run one loop; one row per round."""
    # Without noise, the split's oracle answers with the true label.
    split = make_split(dataset, "0", "sentences", seed, folder, cache)
    loop = ActiveLearningClassifier(
        CoDecisionClassifier(small_model(), split.prior),
        WAYS[way],
        n_instances=batch,
        budget=budget,
        oracle=NoisyOracle(noise),
        random_state=seed,
    )
    loop.fit(split.Z_pool, split.answers, eval_set=(split.Z_test, split.y_test))
    curve = loop.learning_curve_.assign(strategy=way, seed=seed)
    asked = loop.queried_indices_
    curve["n_samples"] = [len(set(asked[:n])) for n in curve["n_labels"]]
    curve.insert(0, "dataset", dataset)
    curve.insert(1, "noise", noise)
    return curve.drop(columns=["round"]).round(6)


def draw(table, path):
    """Draw one panel of curves per data set, and one of the means."""
    pyplot = import_optional("matplotlib.pyplot", needed_by="the picture")
    datasets = list(dict.fromkeys(table["dataset"]))
    noise = table["noise"].max()
    table = table[table["noise"] == noise]
    n_columns = (len(datasets) + 2) // 2
    figure, axes = pyplot.subplots(
        2, n_columns, figsize=(4.4 * n_columns, 7.5), layout="constrained"
    )
    axes = axes.ravel()
    for ax, dataset in zip(axes, datasets, strict=False):
        rows = table[table["dataset"] == dataset]
        LearningCurveDisplay.from_records(rows, ax=ax, legend=False)
        ax.set_title(dataset)
    every = table.groupby(["strategy", "seed", "n_labels"], sort=False)
    mean = every["balanced_accuracy"].mean().reset_index()
    ax = axes[len(datasets)]
    display = LearningCurveDisplay.from_records(mean, ax=ax, legend=False)
    ax.set_title("mean; bands are standard errors")
    figure.legend(
        handles=list(display.lines_.values()), loc="outside lower center", ncols=5
    )
    for ax in axes[len(datasets) + 1 :]:
        ax.remove()
    figure.suptitle(f"Balanced accuracy of the co-decision, {noise:.0%} wrong answers")
    for ax in figure.axes:
        ax.set_xlabel("Answers")
    figure.savefig(path, dpi=80)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+", default=DATASETS)
    parser.add_argument("--noise", type=float, nargs="+", default=[0.4])
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=WAYS)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--budget", type=int, default=300)
    parser.add_argument("--batch", type=int, default=25)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--draw", action="store_true", help="draw only")
    args = parser.parse_args()
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    cache = cache_folder()
    if args.draw:
        table = pd.read_csv(args.results)
    else:
        jobs = [
            (dataset, noise, way, seed, args.budget, args.batch, args.data, cache)
            for dataset in args.datasets
            for noise in args.noise
            for seed in range(args.seeds)
            for way in args.ways
        ]
        done = Parallel(args.jobs, return_as="generator")(
            delayed(measure)(*job) for job in jobs
        )
        table = pd.concat(list(tqdm(done, total=len(jobs))), ignore_index=True)
        table.to_csv(args.results, index=False)
    draw(table, args.results.with_suffix(".png"))
    half = table[table["n_labels"] > table["n_labels"].max() / 2]
    for title, rows in (("all rounds", table), ("second half", half)):
        scores = rows.pivot_table(
            "balanced_accuracy", ["noise", "strategy"], "dataset", sort=False
        )
        scores["mean"] = scores.mean(axis=1)
        print(f"\nbalanced accuracy, mean over {title}:\n{scores.round(3)}")
    last = table[table["n_labels"] == table["n_labels"].max()]
    distinct = last.pivot_table("n_samples", "strategy", "dataset", sort=False)
    print(f"\nsamples at the end:\n{distinct.round(0).astype(int)}")
    print(f"\nWritten: {args.results}")


if __name__ == "__main__":
    main()
