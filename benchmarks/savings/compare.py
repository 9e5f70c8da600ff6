"""Compute figures from rounds: the protocol's three comparisons, and "never worse".

A cell is a data set with a kind of noise. All functions take the table that
`benchmarks.savings.results.read` returns.
"""

import numpy as np
import pandas as pd
from scipy.integrate import trapezoid

from benchmarks.savings.data import DATASETS
from benchmarks.savings.strategies import (
    BASELINES,
    OURS,
    OURS_ALONE,
    PRIOR_ALONE,
    STRATEGIES,
)
from cofm_sklearn.simulation import label_savings

__all__ = [
    "COMPARISONS",
    "TASKS",
    "best_single",
    "bootstrap",
    "by_worth",
    "cell_records",
    "cells",
    "judged_by",
    "mean_curves",
    "n_baselines",
    "never_worse",
    "ranks",
    "savings",
    "without_prior",
]

# Comparison -> our strategy in it.
COMPARISONS = {"system": OURS, "query only": OURS_ALONE, "given the prior": OURS}
# Purpose of the labels -> score: a model for new samples, or labels for the pool.
TASKS = {"model": "balanced_accuracy", "annotate": "pool_balanced_accuracy"}
CELL = ["dataset", "noise"]


def judged_by(comparison):
    """Return the strategies of a comparison, each with the model that judges it.

    A system is judged by its own model, if it has one. When queries are compared, all
    are judged by the same model, and a system's query takes part separately.
    """
    names = [COMPARISONS[comparison], *BASELINES]
    if comparison == "system":
        return {
            name: "fused" if STRATEGIES[name].model else "small"
            for name in names
            if not STRATEGIES[name].prior
        }
    model = "small" if comparison == "query only" else "fused"
    return {n: model for n in names if n == OURS or not STRATEGIES[n].model}


def without_prior():
    """Return the names of the baselines without a prior."""
    entries = STRATEGIES.items()
    return [n for n, e in entries if n in BASELINES and not (e.model or e.prior)]


def n_baselines(table):
    """Count the baselines that systems have been compared with."""
    return len(set(judged_by("system")) & set(table["strategy"]) - {OURS})


def cells(table, prior="sentences"):
    """Return the cells of a table as a list of (data set, noise)."""
    ours = table["strategy"].ne(PRIOR_ALONE) & table["prior"].eq(prior)
    return list(table.loc[ours, CELL].drop_duplicates().itertuples(False, None))


def cell_records(
    table, cell, comparison, metric="balanced_accuracy", prior="sentences"
):
    """Return the records of one cell for one comparison.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    cell : tuple
        Data set and noise.

    comparison : str
        A key of `COMPARISONS`.

    metric : str, default="balanced_accuracy"
        Score.

    prior : str, default="sentences"
        Descriptions that the prior reads; irrelevant for strategies without a prior.

    Returns
    -------
    DataFrame
        ``strategy``, ``seed``, ``n_labels`` and `metric`, as needed by `label_savings`.
        Rounds without the score are left out.
    """
    rows = table[(table["dataset"] == cell[0]) & (table["noise"] == cell[1])]
    parts = []
    for name, model in judged_by(comparison).items():
        kind = prior if STRATEGIES[name].model else "sentences"
        part = rows[(rows["strategy"] == name) & (rows["prior"] == kind)]
        part = part[["strategy", "seed", "n_labels", f"{model}_{metric}"]].dropna()
        parts.append(part.set_axis(["strategy", "seed", "n_labels", metric], axis=1))
    theirs = pd.concat(parts[1:])
    if comparison == "given the prior" and len(theirs):
        # A curve measured more often would have a higher running maximum.
        parts[0] = parts[0][parts[0]["n_labels"].isin(theirs["n_labels"])]
    return pd.concat([parts[0], theirs], ignore_index=True)


def mean_curves(records, metric="balanced_accuracy"):
    """Average over seeds; return records with one seed per strategy."""
    mean = records.groupby(["strategy", "n_labels"], sort=False)[metric].mean()
    return mean.reset_index().assign(seed=0)


def area(records, metric="balanced_accuracy"):
    """Return the mean height of each strategy's mean curve over the budget."""
    areas = {}
    for name, rows in mean_curves(records, metric).groupby("strategy", sort=False):
        rows = rows.sort_values("n_labels")
        n, score = rows["n_labels"].to_numpy(float), rows[metric].to_numpy()
        span = n[-1] - n[0]
        areas[name] = trapezoid(score, n) / span if span else score[0]
    return pd.Series(areas)


def _areas(table, comparison, metric):
    """Return the areas of all cells: one row per strategy, one column per cell."""
    return pd.DataFrame(
        {
            cell: area(cell_records(table, cell, comparison, metric), metric)
            for cell in cells(table)
        }
    )


def best_single(table, comparison, metric="balanced_accuracy"):
    """Return the baseline with the highest mean area over all cells."""
    areas = _areas(table, comparison, metric).reindex(list(BASELINES)).dropna(how="all")
    return areas.mean(axis=1).idxmax()


def ranks(table, comparison, metric="balanced_accuracy"):
    """Return the mean rank of each strategy over the cells, best first."""
    areas = _areas(table, comparison, metric)
    return areas.rank(ascending=False).mean(axis=1).sort_values()


def savings(
    table,
    comparison,
    baselines=None,
    metric="balanced_accuracy",
    prior="sentences",
):
    """Compute the saving of each cell.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    comparison : str
        A key of `COMPARISONS`.

    baselines : list of str or None, default=None
        Baselines to compare with; None uses the best at each level.

    metric : str, default="balanced_accuracy"
        Score.

    prior : str, default="sentences"
        Descriptions that the prior reads.

    Returns
    -------
    DataFrame
        One row per cell that our strategy has run in: ``dataset``, ``noise``,
        ``saving`` (mean over the levels), ``worst_level``, ``rival`` (whom most
        levels were compared with) and ``budget``.
    """
    ours = COMPARISONS[comparison]
    rows = []
    for cell in cells(table, prior):
        records = cell_records(table, cell, comparison, metric, prior)
        records = mean_curves(records, metric)
        present = set(records["strategy"])
        rivals = [name for name in (baselines or BASELINES) if name in present]
        if ours not in present or not rivals:
            continue
        levels = label_savings(records, ours=ours, metric=metric, baselines=rivals)
        rows.append(
            {
                "dataset": cell[0],
                "noise": cell[1],
                "saving": levels["saving"].mean(),
                "worst_level": levels["saving"].min(),
                "rival": levels["baseline"].mode()[0],
                "budget": levels["budget"].iloc[0],
            }
        )
    return pd.DataFrame(
        rows, columns=[*CELL, "saving", "worst_level", "rival", "budget"]
    )


def never_worse(table, metric="balanced_accuracy"):
    """Compare our mean with the bound of the best baseline, round by round.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    metric : str, default="balanced_accuracy"
        Score.

    Returns
    -------
    DataFrame
        One row per cell and prior: ``dataset``, ``noise``, ``prior``, ``shortfall``
        (how far we fall below the best baseline's mean minus its standard error, at
        worst; negative where we never do), ``n_labels`` and ``rival`` of that round.
    """
    rows = []
    for prior in table["prior"].unique():
        for cell in cells(table, prior):
            records = cell_records(table, cell, "system", metric, prior)
            is_ours = records["strategy"] == OURS
            groups = records[~is_ours].groupby(["n_labels", "strategy"])[metric]
            stats = pd.DataFrame({"mean": groups.mean(), "error": groups.sem()})
            stats = stats.fillna(0.0)
            best = stats.loc[stats.groupby(level="n_labels")["mean"].idxmax()]
            best = best.reset_index().set_index("n_labels")
            mean = records[is_ours].groupby("n_labels")[metric].mean()
            shortfall = (best["mean"] - best["error"] - mean).dropna()
            if shortfall.empty:
                continue
            at = shortfall.idxmax()
            rows.append((*cell, prior, shortfall[at], at, best.loc[at, "strategy"]))
    columns = [*CELL, "prior", "shortfall", "n_labels", "rival"]
    return pd.DataFrame(rows, columns=columns)


def by_worth(table, metric="balanced_accuracy"):
    """Return the saving of each cell with the worth of its prior.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    metric : str, default="balanced_accuracy"
        Score.

    Returns
    -------
    DataFrame
        One row per cell and prior: ``dataset``, ``noise``, ``prior``, ``saving``, and
        ``worth``, the prior's score as a share of the way from chance to the best score
        that anybody reaches in the cell.
    """
    alone = table[table["strategy"] == PRIOR_ALONE]
    alone = alone.groupby(["dataset", "prior"])[f"fused_{metric}"].mean()
    rows = []
    for prior in table["prior"].unique():
        found = savings(table, "system", metric=metric, prior=prior)
        for row in found.itertuples():
            if (row.dataset, prior) not in alone:
                continue
            cell = (row.dataset, row.noise)
            records = cell_records(table, cell, "system", metric, prior)
            best = mean_curves(records, metric)[metric].max()
            chance = 1 / DATASETS[row.dataset].n_classes
            worth = (alone[row.dataset, prior] - chance) / (best - chance)
            rows.append((*cell, prior, worth, row.saving))
    return pd.DataFrame(rows, columns=[*CELL, "prior", "worth", "saving"])


def bootstrap(
    table,
    comparison,
    baselines=None,
    metric="balanced_accuracy",
    *,
    n_draws=100,
    level=0.95,
    seed=0,
):
    """Estimate an interval of the mean saving over cells, by resampling seeds.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    comparison, baselines, metric
        As in `savings`.

    n_draws : int, default=100
        Bootstrap samples; 0 gives NaN.

    level : float, default=0.95
        Coverage.

    seed : int, default=0
        Seed of the samples.

    Returns
    -------
    low, high : float
        Bounds of the interval. A strategy that lacks all seeds of a sample keeps its
        own seeds in it.
    """
    rng = np.random.RandomState(seed)
    seeds = np.sort(table["seed"].unique())
    if n_draws == 0 or len(seeds) < 2:
        return float("nan"), float("nan")
    ours = COMPARISONS[comparison]
    cubes = []
    for cell in cells(table):
        records = cell_records(table, cell, comparison, metric)
        names = [n for n in (baselines or BASELINES) if n in set(records["strategy"])]
        if names and ours in set(records["strategy"]):
            cubes.append(_cube(records, [ours, *names], seeds, metric))
    means = []
    for _ in range(n_draws):
        drawn = rng.randint(len(seeds), size=len(seeds))
        means.append(np.mean([_cube_saving(*cube, drawn) for cube in cubes]))
    tail = (1 - level) / 2
    return tuple(np.quantile(means, [tail, 1 - tail]))


def _cube(records, names, seeds, metric):
    """Return label counts, and scores of shape (strategies, seeds, counts)."""
    index = pd.MultiIndex.from_product([names, seeds])
    grid = records.pivot(
        index=["strategy", "seed"], columns="n_labels", values=metric
    ).reindex(index)
    shape = (len(names), len(seeds), grid.shape[1])
    return grid.columns.to_numpy(float), grid.to_numpy(float).reshape(shape)


def _cube_saving(counts, scores, drawn):
    """Return the saving of the first strategy over the others for drawn seeds."""
    sample = scores[:, drawn]
    absent = np.isnan(sample).all(axis=(1, 2))
    curves = np.empty((len(scores), len(counts)))
    curves[~absent] = np.nanmean(sample[~absent], axis=1)
    curves[absent] = np.nanmean(scores[absent], axis=1)
    curves = np.maximum.accumulate(curves, axis=1)
    # `label_savings` on all strategies is too slow for each draw: the others are
    # combined into their upper envelope, with the lowest start beside it. The finer
    # grid is needed where curves cross.
    fine = np.interp(np.arange(8 * len(counts) - 7) / 8, range(len(counts)), counts)
    best = np.max([np.interp(fine, counts, curve) for curve in curves[1:]], axis=0)
    lowest = curves[1:][curves[1:, 0].argmin()]
    records = pd.concat(
        pd.DataFrame({"strategy": name, "seed": 0, "n_labels": n, "score": score})
        for name, n, score in (
            ("ours", counts, curves[0]),
            ("best", fine, best),
            ("lowest", counts, lowest),
        )
    )
    return label_savings(records, ours="ours", metric="score")["saving"].mean()
