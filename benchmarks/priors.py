"""Label savings of priors: language models of any accuracy, and several combined.

    python -m benchmarks.priors --data FOLDER

Takes the samples queried in the first edition of the savings benchmark
(benchmarks/results/picks.csv), and scores the co-decision on them, without neighbours,
with each prior. Language models are simulated, with a given accuracy and
confidence. Writes benchmarks/results/priors.csv,
priors.md and priors.png. If restarted, it continues where it stopped.
"""

import argparse
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.metrics import balanced_accuracy_score

from benchmarks.recording import cache_folder, record
from benchmarks.savings.data import fit_prior, load, make_split
from benchmarks.savings.strategies import small_model
from cofm_sklearn import CoDecisionClassifier, CombinedPrior, PrecomputedPrior
from cofm_sklearn.simulation import labels_to_reach

RESULTS = Path(__file__).parent / "results"
RUN = ["dataset", "noise", "seed"]
ACCURACIES = (0.6, 0.7, 0.8, 0.9, 0.95)
KINDS = ("calibrated", "overconfident")
# Spread of a simulated model's confidence over samples.
_SPREAD = 4.0
_SHARPER, _MOST_SURE = 3.0, 0.999
# Combined priors: a zero-shot prior, a language model, and a useless one.
SINGLES = ("described", "calibrated 0.7", "overconfident 0.8", "shuffled")
MEASURED = (0, 2)  # and the last
SHOWN_ROUND = 2


def simulate(y, n_classes, accuracy, kind, rng):
    """Simulate the probabilities of a language model.

    Its confidence c in its predicted class varies, and it is right with probability c,
    which is `accuracy` on average. An overconfident model predicts the same classes,
    with probabilities to the power of 3.

    Parameters
    ----------
    y : ndarray of shape (n_samples,), dtype int
    n_classes : int
    accuracy : float
    kind : {"calibrated", "overconfident"}
    rng : RandomState

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
    """
    chance = 1 / n_classes
    mean = (accuracy - chance) / (1 - chance)
    share = rng.beta(_SPREAD * mean, _SPREAD * (1 - mean), len(y))
    confidence = chance + (1 - chance) * share
    wrong = (y + rng.randint(1, n_classes, len(y))) % n_classes
    said = np.where(rng.rand(len(y)) < confidence, y, wrong)
    proba = np.repeat((1 - confidence) / (n_classes - 1), n_classes)
    proba = proba.reshape(-1, n_classes)
    proba[np.arange(len(y)), said] = confidence
    if kind == "overconfident":
        proba **= _SHARPER
        proba /= proba.sum(axis=1, keepdims=True)
        proba = _MOST_SURE * proba + (1 - _MOST_SURE) / n_classes
    return proba


def measure(dataset, noise, seed, words, asked, folder, cache):
    """Return a row per prior and measured round of one run.

    "described" is the zero-shot prior of the query: from names or from sentences.
    """
    split = make_split(dataset, noise, words, seed, folder, cache)
    corpus = load(dataset, folder, cache)
    n_pool, n_classes = len(split.Z_pool), len(split.classes)
    # Right or wrong about the true class, which may differ from the answer.
    y = np.concatenate([split.y_pool, split.y_test])
    Z = np.concatenate([split.Z_pool, split.Z_test])
    useless = fit_prior(corpus, split.Z_pool, "shuffled", seed, cache)
    priors = {
        "described": split.prior.predict_proba(Z),
        "shuffled": useless.predict_proba(Z),
    }
    for accuracy in ACCURACIES:
        for kind in KINDS:
            rng = np.random.RandomState([seed, int(1000 * accuracy)])
            name = f"{kind} {accuracy}"
            priors[name] = simulate(y, n_classes, accuracy, kind, rng)
    names = list(priors)
    n_singles = len(SINGLES)

    def columns_of(k):
        """Return the columns of one prior, which precede the embeddings."""
        return PrecomputedPrior(
            split.classes, columns=slice(k * n_classes, (k + 1) * n_classes)
        )

    def score(proba):
        predicted = split.classes[proba.argmax(axis=1)]
        return round(balanced_accuracy_score(split.y_test, predicted), 5)

    def measure_one(name, prior, seen, picked, k):
        """Fit on the probabilities of these priors, and the embeddings."""
        X = np.hstack([*(priors[one] for one in seen), Z])
        model = CoDecisionClassifier(
            small_model(), prior, neighbors=None, random_state=seed
        ).fit(X[picked], split.answers[picked])
        weights = ""
        if name == "combined":
            weights = " ".join(f"{weight:.3f}" for weight in model.prior_.weights_)
        return {
            "dataset": dataset,
            "noise": noise,
            "seed": seed,
            "round": k,
            "n_labels": len(picked),
            "prior": name,
            "alone": score(model.prior_proba(X[n_pool:])) if seen else None,
            "score": score(model.predict_proba(X[n_pool:])),
            "trust": round(model.trust_, 4),
            "weights": weights,
        }

    rows = []
    for k in range(len(asked)):
        picked = np.concatenate(asked[: k + 1])
        last = k == len(asked) - 1
        if k % 2 == 0 or last:
            rows.append(measure_one("none", None, [], picked, k))
        if k in MEASURED or last:
            for name in names:
                rows.append(measure_one(name, columns_of(0), [name], picked, k))
            combined = CombinedPrior([columns_of(j) for j in range(n_singles)])
            rows.append(measure_one("combined", combined, SINGLES, picked, k))
    return rows


def savings(table):
    """Return the labels that each prior saves, by run, in the reported round.

    Computed as the share of the labels that the co-decision without a prior needs for
    the same score, on the same samples in the same order. If it never reaches the
    score, the whole budget counts, which underestimates the saving.
    """
    rows = []
    for run, part in table.groupby(RUN, sort=False):
        none = part[part["prior"] == "none"].sort_values("n_labels")
        for row in part[part["round"] == SHOWN_ROUND].itertuples():
            needed = labels_to_reach(none["n_labels"], none["score"], row.score)
            needed = none["n_labels"].max() if np.isnan(needed) else needed
            saved = 1 - row.n_labels / max(needed, row.n_labels)
            rows.append((*run, row.prior, saved, row.score))
    return pd.DataFrame(rows, columns=[*RUN, "prior", "saved", "score"])


def report(table):
    """Report savings of simulated models, and combined priors against the best one."""
    saved = savings(table)
    mean = saved.groupby("prior")[["saved", "score"]].mean()
    scores = table.pivot_table(
        index=["dataset", "noise", "round"], columns="prior", values="score"
    )
    rounds = sorted(table.loc[table["prior"] == "combined", "round"].unique())
    at = table[(table["round"] == SHOWN_ROUND) & (table["dataset"] != "banking77")]
    n_labels = at["n_labels"].max()
    lines = [
        "# What priors are worth",
        "",
        "Made by `python -m benchmarks.priors`: the co-decision without neighbours, on "
        "the samples that an earlier query asked for (picks.csv); "
        f"{len(table.groupby(RUN[:2]))} cells, seeds: {table['seed'].nunique()}, in "
        f"rounds {', '.join(str(k + 1) for k in rounds)}. Every prior is a table of "
        "probabilities, so nothing is learned from descriptions.",
        "",
        "## Simulated language models",
        "",
        f"Labels saved with {n_labels} labels (3 batches): which share of the labels "
        "that the co-decision without prior needs for the same balanced accuracy. "
        "Overconfident ones say the same, with probabilities to the power of "
        f"{_SHARPER:.0f}.",
        "",
        "| right about | saved, calibrated | saved, overconfident | balanced accuracy, "
        "calibrated | overconfident |",
        "|" + " --- |" * 5,
    ]
    for accuracy in ACCURACIES:
        names = [f"{kind} {accuracy}" for kind in KINDS]
        shares = " | ".join(f"{mean.loc[name, 'saved']:.0%}" for name in names)
        points = " | ".join(f"{mean.loc[name, 'score']:.3f}" for name in names)
        lines.append(f"| {accuracy:.0%} | {shares} | {points} |".replace("%", " %"))
    gaps = [
        scores[f"{KINDS[1]} {accuracy}"] - scores[f"{KINDS[0]} {accuracy}"]
        for accuracy in ACCURACIES
    ]
    lines += [
        "",
        f"Without prior: {mean.loc['none', 'score']:.3f}. Overconfident minus "
        "calibrated, mean over cells and rounds: "
        + ", ".join(
            f"{gap.mean():+.4f} at {accuracy:.0%}".replace("%", " %")
            for accuracy, gap in zip(ACCURACIES, gaps)
        )
        + ".",
        "",
        "## Several priors",
        "",
        f"Combined: {', '.join(SINGLES)}. Balanced accuracy of the co-decision, mean "
        "over seeds and rounds; the best single one is chosen in hindsight, cell by "
        "cell. The last column is the standard error of the difference, over seeds.",
        "",
        f"| data set | noise | {' | '.join(SINGLES)} | combined | minus the best | |",
        "|" + " --- |" * (len(SINGLES) + 5),
    ]
    cells = scores.groupby(["dataset", "noise"], sort=False).mean()
    gain = cells["combined"] - cells[list(SINGLES)].max(axis=1)
    measured = table[table["round"].isin(rounds)]
    runs = measured.pivot_table(index=RUN, columns="prior", values="score")
    for (dataset, noise), row in cells.iterrows():
        values = " | ".join(f"{row[name]:.3f}" for name in (*SINGLES, "combined"))
        run = runs.loc[dataset, noise]
        error = (run["combined"] - run[row[list(SINGLES)].idxmax()]).sem()
        lines.append(
            f"| {dataset} | {noise} | {values} | {gain[dataset, noise]:+.4f} | "
            f"{error:.4f} |"
        )
    best = cells[list(SINGLES)].mean().max()
    lines += [
        "",
        f"Combined minus the best single one: {gain.mean():+.4f} in the mean over "
        f"cells, lowest {gain.min():+.4f} ({', '.join(gain.idxmin())}); minus the "
        f"single one that is best in the mean: {cells['combined'].mean() - best:+.4f}.",
    ]
    return "\n".join(lines) + "\n"


def draw(table, path):
    """Draw the saving against the accuracy of simulated models."""
    saved = savings(table)
    figure, ax = plt.subplots(figsize=(6, 3.6), layout="constrained")
    for kind, style in zip(KINDS, ("o-", "s--")):
        means, errors = [], []
        for accuracy in ACCURACIES:
            part = saved[saved["prior"] == f"{kind} {accuracy}"]
            cells = part.groupby(["dataset", "noise"])["saved"].mean()
            means.append(cells.mean())
            errors.append(cells.std() / np.sqrt(len(cells)))
        ax.errorbar(ACCURACIES, means, errors, fmt=style, capsize=3, label=kind)
    ax.set(
        xlabel="how often the language model is right",
        ylabel="labels saved against no prior",
        ylim=(0, 1),
    )
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=150)
    plt.close(figure)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", help="folder of the .npz files")
    parser.add_argument("--datasets", nargs="+")
    parser.add_argument("--noise", nargs="+", default=["0", "0.2", "0.4"])
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--cache", help="folder for embeddings")
    parser.add_argument("--results", type=Path, default=RESULTS / "priors.csv")
    args = parser.parse_args()
    picks = pd.read_csv(RESULTS / "picks.csv", dtype={"noise": str})
    picks = picks[picks["prior"] != "shuffled"]
    done = pd.DataFrame(columns=RUN)
    if args.results.exists():
        done = pd.read_csv(args.results, dtype={"noise": str})
    finished = set(done[RUN].itertuples(index=False, name=None))
    todo = []
    for run, rows in picks.groupby(RUN, sort=False):
        wanted = args.datasets is None or run[0] in args.datasets
        if wanted and run[1] in args.noise and run[2] < args.seeds:
            if run in finished:
                continue
            texts = rows.sort_values("round")["asked"]
            asked = [np.array(text.split(), dtype=int) for text in texts]
            cache = cache_folder(args.cache)
            todo.append((*run, rows["prior"].iloc[0], asked, args.data, cache))
    todo.sort(key=lambda task: task[2])
    rows = done.to_dict("records")
    table = record(measure, todo, args.results, args.jobs, rows) if todo else done
    text = report(table)
    args.results.with_suffix(".md").write_text(text, encoding="utf-8")
    draw(table, args.results.with_suffix(".png"))
    print(text)


if __name__ == "__main__":
    main()
