"""What does it cost to draw candidates instead of using the whole pool?

    python -m benchmarks.streaming --data FOLDER

The co-decision spends the budget on pools as large as the data allow, once with every
sample as a candidate, once with the default (in pools of more than 4,096 samples, 2,048
drawn in one pass), and with 2,048 and 512 in any pool. Writes
benchmarks/results/streaming.csv and streaming.md: balanced accuracy round by round, and
the difference to the exact mode.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import pandas as pd

from benchmarks.recording import cache_folder, record
from benchmarks.savings import data
from benchmarks.savings.strategies import small_model
from cofm_sklearn import CoDecisionClassifier, CoDecisionQuery
from cofm_sklearn.simulation import ActiveLearningClassifier

RESULTS = Path(__file__).parent / "results"
MODES = {
    "exact": None,
    "exact, other seed": None,
    "default": "auto",
    "2048": 2048,
    "512": 512,
}
N_ROUNDS = 15
# In the savings benchmark's pools every sample is a candidate; with shorter tails there
# are more. The exact mode sets the limit.
POOLS = {
    "benchmark": (data.MAX_POOL, {}),
    "larger": (10_000, {"agnews": 5, "banking77": 5}),
}


def measure(pool, dataset, noise, seed, mode, folder, cache):
    """Return one row per round of one run."""
    setting = data.DATASETS[dataset]
    max_pool, ratios = POOLS[pool]
    setting = replace(setting, ratio=ratios.get(dataset, setting.ratio))
    with (
        patch.object(data, "MAX_POOL", max_pool),
        patch.dict(data.DATASETS, {dataset: setting}),
    ):
        # Bypass its cache, which ignores the patches.
        make_split = data.make_split.__wrapped__
        split = make_split(dataset, noise, "sentences", seed, folder, cache)
    batch = max(20, setting.n_classes)
    loop = ActiveLearningClassifier(
        CoDecisionClassifier(small_model(), split.prior, random_state=seed),
        CoDecisionQuery(
            max_candidates=MODES[mode],
            random_state=seed + 1000 * (mode == "exact, other seed"),
        ),
        n_instances=batch,
        budget=min(batch * N_ROUNDS, len(split.answers)),
        scoring=["balanced_accuracy"],
        random_state=seed,
    )
    # The split's answers already contain the noise.
    loop.fit(split.Z_pool, split.answers, eval_set=(split.Z_test, split.y_test))
    curve = loop.learning_curve_
    return [
        {
            "pool": pool,
            "dataset": dataset,
            "noise": noise,
            "n_pool": len(split.Z_pool),
            "seed": seed,
            "mode": mode,
            "n_labels": int(n),
            "balanced_accuracy": round(score, 5),
        }
        for n, score in zip(curve["n_labels"], curve["balanced_accuracy"])
    ]


def report(table):
    """Return the differences to the exact mode, as Markdown."""
    lines = [
        "# What drawing candidates costs",
        "",
        f"Made by `python -m benchmarks.streaming`, {table['seed'].nunique()} seeds. "
        "Balanced accuracy of the whole system with every sample of the pool as a "
        "candidate, and the difference with other numbers of candidates: mean over "
        "seeds ± standard error. The default draws 2,048 from pools of over 4,096. "
        "The exact mode with another seed, which draws the samples that the kernel's "
        "width is measured on and breaks ties, shows what a difference is that means "
        "nothing.",
    ]
    for (_, dataset, noise), part in table.groupby(
        ["pool", "dataset", "noise"], sort=False
    ):
        wide = part.pivot_table("balanced_accuracy", ["n_labels", "seed"], "mode")
        drawn = [mode for mode in MODES if mode != "exact" and mode in wide]
        gaps = wide[drawn].sub(wide["exact"], axis=0).groupby("n_labels")
        mean, error = gaps.mean(), gaps.sem()
        lines += [
            "",
            f"## {dataset}, wrong labels: {noise}, pool of {part['n_pool'].iloc[0]:,}",
            "",
            "| labels | exact | " + " | ".join(drawn) + " |",
            "|" + " --- |" * (2 + len(drawn)),
        ]
        for n, exact in wide["exact"].groupby("n_labels").mean().items():
            cells = [f"{mean.loc[n, m]:+.3f} ± {error.loc[n, m]:.3f}" for m in drawn]
            lines.append(f"| {n} | {exact:.3f} | " + " | ".join(cells) + " |")
        over = gaps.mean().mean()
        lines.append(
            "| mean | | " + " | ".join(f"{over[m]:+.4f}" for m in drawn) + " |"
        )
        lines.append(
            "| lowest | | " + " | ".join(f"{mean[m].min():+.3f}" for m in drawn) + " |"
        )
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument(
        "--datasets", nargs="+", default=["agnews", "banking77", "hate"]
    )
    parser.add_argument("--pools", nargs="+", default=list(POOLS), choices=POOLS)
    parser.add_argument("--noises", nargs="+", default=["0"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--modes", nargs="+", default=list(MODES), choices=MODES)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--add", action="store_true", help="to what the file holds")
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--results", type=Path, default=RESULTS / "streaming.csv")
    args = parser.parse_args()
    cache = cache_folder(args.cache)
    todo = [
        (pool, dataset, noise, seed, mode, args.data, cache)
        for pool in args.pools
        for seed in range(args.seeds)
        for dataset in args.datasets
        for noise in args.noises
        for mode in args.modes
    ]
    rows = []
    if args.add:
        rows = pd.read_csv(args.results, dtype={"noise": str}).to_dict("records")
    table = record(measure, todo, args.results, args.jobs, rows)
    args.results.with_suffix(".md").write_text(report(table), encoding="utf-8")


if __name__ == "__main__":
    main()
