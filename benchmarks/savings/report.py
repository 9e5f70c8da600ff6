"""The report of a results file: a table in Markdown, and figures."""

import json
import textwrap
from itertools import product
from pathlib import Path

import pandas as pd

from benchmarks.savings.compare import (
    COMPARISONS,
    TASKS,
    best_single,
    bootstrap,
    by_worth,
    cell_records,
    cells,
    n_baselines,
    never_worse,
    ranks,
    savings,
    without_prior,
)
from benchmarks.savings.data import DATASETS, label_counts
from benchmarks.savings.strategies import (
    BASELINES,
    OURS,
    OURS_ALONE,
    PRIOR_ALONE,
    STRATEGIES,
)

__all__ = ["first_line", "headline", "percent", "render", "update_readme", "write"]

_MARKS = ("<!-- savings -->", "<!-- /savings -->")


def headline(table, n_draws=100):
    """Compute the headline figures: one row per comparison, task and part.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    n_draws : int, default=100
        Bootstrap samples.

    Returns
    -------
    DataFrame
        ``comparison``, ``task``, ``against`` (``"best of each cell"``; ``"best without
        a prior"``, the same without PriorAL; or the name of the best single baseline),
        ``data`` (``"all"``, ``"development"`` or
        ``"held out"``), ``cells``, ``mean``, ``worst``, ``worst_cell``, ``low`` and
        ``high`` (bootstrap interval of the mean, for all data).
    """
    rows = []
    for comparison, (task, metric) in product(COMPARISONS, TASKS.items()):
        if savings(table, comparison, metric=metric).empty:
            continue  # the co-decision of the baselines may not be measured yet
        rivals = {"best of each cell": None}
        if comparison == "system":
            rivals["best without a prior"] = without_prior()
        else:
            single = best_single(table, comparison, metric)
            rivals = {single: [single], **rivals}
        for against, baselines in rivals.items():
            found = savings(table, comparison, baselines, metric)
            low, high = bootstrap(table, comparison, baselines, metric, n_draws=n_draws)
            development = found["dataset"].map(lambda d: DATASETS[d].development)
            parts = {
                "all": found,
                "development": found[development],
                "held out": found[~development],
            }
            for data, part in parts.items():
                if part.empty:
                    continue
                worst = part.loc[part["saving"].idxmin()]
                rows.append(
                    {
                        "comparison": comparison,
                        "task": task,
                        "against": against,
                        "data": data,
                        "cells": len(part),
                        "mean": part["saving"].mean(),
                        "worst": worst["saving"],
                        "worst_cell": f"{worst['dataset']}, {worst['noise']}",
                        "low": low if data == "all" else None,
                        "high": high if data == "all" else None,
                    }
                )
    return pd.DataFrame(rows)


def summarise_worth(table):
    """Summarise the savings by the prior's descriptions, and by its worth.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    Returns
    -------
    DataFrame
        ``task``, ``prior`` (``"all"`` in the rows by worth), ``worth`` (``"any"``,
        ``"half or more"`` or ``"less than half"``), ``cells``, ``mean``, ``worst`` and
        ``worst_cell``.
    """
    rows = []
    for task, metric in TASKS.items():
        found = by_worth(table, metric)
        half = found["worth"] >= 0.5
        parts = {
            (p, "any"): found[found["prior"] == p] for p in found["prior"].unique()
        }
        parts["all", "half or more"] = found[half]
        parts["all", "less than half"] = found[~half]
        for (prior, worth), part in parts.items():
            if part.empty:
                continue
            worst = part.loc[part["saving"].idxmin()]
            where = f"{worst['dataset']}, {worst['noise']}, {worst['prior']}"
            mean = part["saving"].mean()
            rows.append((task, prior, worth, len(part), mean, worst["saving"], where))
    columns = ["task", "prior", "worth", "cells", "mean", "worst", "worst_cell"]
    return pd.DataFrame(rows, columns=columns)


def describe_priors(table):
    """Compare the accuracy of each prior with the labels that the system saves with it.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    Returns
    -------
    DataFrame
        One row per data set and prior, without wrong labels.
    """
    alone = table[table["strategy"] == PRIOR_ALONE]
    alone = alone.groupby(["dataset", "prior"], sort=False)["fused_balanced_accuracy"]
    saved = {
        (row.dataset, prior): row.saving
        for prior in table["prior"].unique()
        for row in savings(table, "system", prior=prior).itertuples()
        if row.noise == "0"
    }
    return pd.DataFrame(
        [
            {
                "data": dataset,
                "classes": DATASETS[dataset].n_classes,
                "prior reads": prior,
                "balanced accuracy of the prior": _score(score),
                "of a guess": _score(1 / DATASETS[dataset].n_classes),
                "labels saved": percent(saved[dataset, prior]),
            }
            for (dataset, prior), score in alone.mean().items()
            if (dataset, prior) in saved
        ]
    )


def describe_trust(table):
    """Report trust over the number of labels, without wrong labels.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    Returns
    -------
    DataFrame
        One row per data set and prior.
    """
    ours = table[(table["strategy"] == OURS) & (table["noise"] == "0")]
    rows = []
    for (dataset, prior), runs in ours.groupby(["dataset", "prior"], sort=False):
        trust = runs.groupby("round")["trust"].mean()
        unit = max(20, DATASETS[dataset].n_classes)
        counts = label_counts(DATASETS[dataset].n_classes, len(trust))
        rows.append(
            {"data": dataset, "prior reads": prior}
            | {
                f"{20 * part} labels": f"{trust[k]:.2f}"
                for part in (1, 3, 6, 15)
                for k in trust.index
                if counts[k] == part * unit
            }
        )
    return pd.DataFrame(rows)


def describe_rare_classes(table):
    """Compare the recall of rare classes after six units of labels, without noise.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    Returns
    -------
    DataFrame
        One row per data set, one column per strategy.
    """
    names = [OURS, OURS_ALONE, "Uncertainty Herding", "margin", "random"]
    rows = []
    for dataset, noise in cells(table):
        unit = max(20, DATASETS[dataset].n_classes)
        if noise != "0":
            continue
        records = cell_records(table, (dataset, noise), "system", "rare_class_recall")
        alone = cell_records(table, (dataset, noise), "query only", "rare_class_recall")
        records = pd.concat([records, alone[alone["strategy"] == OURS_ALONE]])
        records = records[records["n_labels"] == 6 * unit]
        recall = records.groupby("strategy")["rare_class_recall"].mean()
        rows.append(
            {"data": dataset}
            | {name: _score(recall[name]) for name in names if name in recall}
        )
    return pd.DataFrame(rows).fillna("")


def render(table, machine=None, n_draws=100):
    """Write the report as Markdown.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    machine : dict or None, default=None
        Result of `describe_machine`.

    n_draws : int, default=100
        Bootstrap samples.

    Returns
    -------
    str
    """
    parts = ["# Labels saved", _scope(table)]
    figures = headline(table, n_draws)
    if not figures.empty:
        parts += [
            "## All comparisons\n\nSaving = share of the labels that the baseline "
            "needs for the same balanced accuracy; a level that is not reached counts "
            "-100 %. Interval: bootstrap over seeds, 95 %.",
            _markdown(_headline_cells(figures)),
        ]
    for mark, name, text, found in (
        (
            "priors",
            "How good the priors are",
            "The prior alone, beside the labels that the whole system saves against "
            "the best baseline, without wrong labels.",
            describe_priors(table),
        ),
        (
            "trust",
            "How trust goes",
            "Trust in the prior, mean over seeds, without wrong labels. Data sets of "
            "more than 20 classes have as many labels in place of each 20.",
            describe_trust(table),
        ),
        (
            "rare",
            "Rare classes",
            "Recall of the smallest third of the classes after 120 labels (six times "
            "the classes where there are more than 20), without wrong labels.",
            describe_rare_classes(table),
        ),
    ):
        if not found.empty:
            table_of = _markdown(found.fillna(""))
            parts.append(
                f"## {name}\n\n{text}\n\n<!-- {mark} -->\n{table_of}\n<!-- /{mark} -->"
            )
    worth = summarise_worth(table)
    if not worth.empty:
        parts += [
            "## By what the prior is worth\n\nSystem against the best baseline of each "
            "cell. The worth of a prior is its own score as a share of the way from "
            "chance to the best score that anybody reaches in the cell; shuffled "
            "descriptions make it useless.",
            _markdown(
                worth.assign(
                    mean=worth["mean"].map(percent), worst=worth["worst"].map(percent)
                )
            ),
        ]
    for comparison, (task, metric) in product(COMPARISONS, TASKS.items()):
        found = savings(table, comparison, metric=metric)
        if found.empty:
            continue
        found = found.assign(
            saving=found["saving"].map(percent),
            worst_level=found["worst_level"].map(percent),
            budget=found["budget"].map("{:.0f}".format),
        )
        places = ranks(table, comparison, metric).map("{:.2f}".format)
        parts += [
            f"## {comparison.capitalize()}, {task}: against the best of each cell",
            _markdown(found),
            "Mean rank by area under the curve: "
            + ", ".join(f"{name} {rank}" for name, rank in places.items())
            + ".",
        ]
    for task, metric in TASKS.items():
        worse = never_worse(table, metric)
        if worse.empty:
            continue
        worst = worse.loc[worse["shortfall"].idxmax()]
        parts += [
            f"## Never worse, {task}\n\nShortfall = best baseline's mean minus its "
            "standard error, minus our mean, in the worst round; below 0 where we are "
            "never worse.",
            f"Largest shortfall: {worst['shortfall']:.3f} ({worst['dataset']}, "
            f"{worst['noise']}, {worst['prior']}).",
            _markdown(worse.assign(shortfall=worse["shortfall"].map("{:.3f}".format))),
        ]
    parts += ["## Time", _markdown(_times(table))]
    if machine is not None:
        versions = ", ".join(f"{k} {v}" for k, v in machine["versions"].items())
        parts.append(
            f"Measured on {machine['processor']}, {machine['cpus']} CPUs, "
            f"{machine['system']}, Python {machine['python']}; {versions}."
        )
    return "\n\n".join(parts) + "\n"


def write(table, path, n_draws=100):
    """Write the report beside the results, with figures if they can be drawn.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    path : path-like
        The results file; ``<name>.md``, ``<name>_*.png`` and ``<name>_*.svg`` go
        beside it.

    n_draws : int, default=100
        Bootstrap samples.

    Returns
    -------
    text : str
        The report.

    files : list of Path
        The files written.
    """
    from benchmarks.savings import figures  # imports matplotlib only if needed

    path = Path(path)
    about = path.with_suffix(".machine.json")
    machine = json.loads(about.read_text()) if about.exists() else None
    text = render(table, machine, n_draws)
    report = path.with_suffix(".md")
    report.write_text(text)
    files = [report, *figures.draw(table, path)]
    return text, files


def _scope(table):
    seeds = table.groupby(["strategy", "dataset"])["seed"].nunique()
    fewer = seeds[seeds < seeds.max()]
    fused = [name for name in BASELINES if not STRATEGIES[name].model]
    every = table.loc[table["strategy"].isin(fused), "fused_every"].max()
    text = (
        f"{table['dataset'].nunique()} data sets, {n_baselines(table)} baselines, "
        f"{seeds.max()} seeds, co-decision of baselines "
        + (f"measured every {every} rounds." if every > 0 else "not measured yet.")
    )
    if len(fewer):
        counts = ", ".join(f"{name} on {data} {n}" for (name, data), n in fewer.items())
        text += f" With fewer seeds: {counts}."
    return text


def _headline_cells(figures):
    interval = [
        "" if pd.isna(low) else f"{percent(low)} to {percent(high)}"
        for low, high in zip(figures["low"], figures["high"])
    ]
    return figures.assign(
        mean=figures["mean"].map(percent),
        worst=figures["worst"].map(percent),
        interval=interval,
    ).drop(columns=["low", "high"])


def _times(table):
    """Return the seconds of a query and of the models' fits, per strategy."""
    seconds = table.groupby("strategy", sort=False)
    return pd.DataFrame(
        {
            "query, mean s": seconds["query_seconds"].mean().map("{:.2f}".format),
            "query, max s": seconds["query_seconds"].max().map("{:.2f}".format),
            "fits, mean s": seconds["fit_seconds"].mean().map("{:.2f}".format),
        }
    ).reset_index()


def _score(score):
    return f"{score:.3f}"


def percent(share):
    """Format a share as whole percent."""
    return f"{100 * share:.0f} %"


def _markdown(frame):
    """Format a table; pandas would need another package for this."""
    header = [str(column).replace("_", " ") for column in frame.columns]
    lines = [header, ["---"] * len(header), *frame.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def first_line(table):
    """Return the headline as a sentence."""
    found = savings(table, "system")
    if found.empty:
        return f"No cell has both {OURS} and a baseline yet."
    alone = savings(table, "system", without_prior())
    ours = table[table["strategy"] == OURS]

    def range_of(found):
        ends = (found["saving"].idxmax(), found["saving"].idxmin())
        texts = [
            f"{percent(row['saving'])} ({row['dataset']}, noise {row['noise']})"
            for row in (found.loc[at] for at in ends)
        ]
        return " to ".join(texts)

    text = (
        f"{OURS} saves {percent(found['saving'].mean())} of the labels on average "
        f"over {len(found)} cells of {found['dataset'].nunique()} data sets, against "
        f"the best of {n_baselines(table)} baselines in each "
        f"({ours['seed'].nunique()} seeds): from {range_of(found)}."
    )
    if n_baselines(table) > len(set(without_prior()) & set(table["strategy"])):
        text += (
            " Against the best of those that have no prior it saves "
            f"{percent(alone['saving'].mean())}: from {range_of(alone)}."
        )
    return text


def update_readme(path, table):
    """Put the headline between the two marks of a README.

    Parameters
    ----------
    path : path-like
        A file with the lines ``<!-- savings -->`` and ``<!-- /savings -->``.

    table : DataFrame
        Rounds.
    """
    path = Path(path)
    before, rest = path.read_text().split(_MARKS[0])
    after = rest.split(_MARKS[1])[1]
    line = textwrap.fill(first_line(table), 88, break_on_hyphens=False)
    path.write_text(f"{before}{_MARKS[0]}\n{line}\n{_MARKS[1]}{after}")
