"""Figures of the report: curves and savings of every cell, savings by prior."""

from itertools import product

import matplotlib

matplotlib.use("Agg")  # only writes files, on any machine

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.ticker import PercentFormatter

from benchmarks.savings.compare import (
    COMPARISONS,
    TASKS,
    area,
    by_worth,
    cell_records,
    cells,
    n_baselines,
    savings,
)
from benchmarks.savings.strategies import BASELINES, OURS, OURS_ALONE
from cofm_sklearn.simulation import LearningCurveDisplay

__all__ = ["draw", "draw_curves", "draw_savings", "draw_worth"]

N_CURVES = 5  # baselines with their own line
_OURS_STYLE = ("black", "o")
_MARKERS = "s^DvPX*"
# Points below are drawn on the edge, so that the others can be told apart.
_LOWEST = {"worth": -1.0, "saving": -1.5}


def draw(table, path):
    """Draw all figures beside a results file.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    path : Path
        The results file.

    Returns
    -------
    list of Path
    """
    made = {
        f"curves_{comparison.replace(' ', '_')}": draw_curves(table, comparison)
        for comparison in COMPARISONS
    }
    made["curves_annotate"] = draw_curves(table, "system", TASKS["annotate"])
    made["heatmap"] = draw_savings(table)
    made["worth"] = draw_worth(table)
    files = []
    for name, figure in made.items():
        if figure is None:
            continue
        file = path.with_name(f"{path.stem}_{name}.png")
        figure.savefig(file, dpi=100)
        files.append(file)
        plt.close(figure)
    return files


def draw_worth(table):
    """Draw the saving of each cell against what its prior is worth, per task.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    Returns
    -------
    Figure or None
        None if there is no cell to draw.
    """
    found = {task: by_worth(table, metric) for task, metric in TASKS.items()}
    found = {task: rows for task, rows in found.items() if not rows.empty}
    if not found:
        return None
    figure, axes = plt.subplots(
        1,
        len(found),
        figsize=(5 * len(found), 4),
        sharey=True,
        squeeze=False,
        layout="constrained",
    )
    for ax, (task, rows) in zip(axes[0], found.items()):
        for marker, (prior, part) in zip("osx", rows.groupby("prior", sort=False)):
            worth, saving = (
                part[name].clip(lower=low) for name, low in _LOWEST.items()
            )
            ax.scatter(worth, saving, marker=marker, label=prior, s=28)
        ax.axhline(0, color="grey", linewidth=0.8)
        ax.axvline(0.5, color="grey", linewidth=0.8, linestyle=":")
        ax.yaxis.set_major_formatter(PercentFormatter(1))
        ax.set(title=task.capitalize(), xlabel="Worth of the prior (1 = best score)")
        beyond = (rows[list(_LOWEST)] < pd.Series(_LOWEST)).any(axis=1).sum()
        if beyond:
            note = f"{beyond} points on the edge are beyond it"
            ax.text(0.02, 0.94, note, transform=ax.transAxes, size="small")
    axes[0, 0].set_ylabel("Labels saved against the best baseline")
    # Beside the points: inside, it would cover some of them.
    axes[0, -1].legend(title="Prior reads", loc="upper left", bbox_to_anchor=(1, 1))
    return figure


def draw_curves(table, comparison, metric="balanced_accuracy"):
    """Draw ours and the best baselines of each cell, mean and standard error.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    comparison : str
        A key of `COMPARISONS`.

    metric : str, default="balanced_accuracy"
        Score.

    Returns
    -------
    Figure or None
        None if there is no cell to draw.
    """
    ours = COMPARISONS[comparison]
    found = {}
    for cell in cells(table):
        records = cell_records(table, cell, comparison, metric)
        if ours in set(records["strategy"]) and records["strategy"].nunique() > 1:
            found[cell] = records
    if not found:
        return None
    datasets = list(dict.fromkeys(dataset for dataset, _ in found))
    noises = list(dict.fromkeys(noise for _, noise in found))
    figure, axes = plt.subplots(
        len(datasets),
        len(noises),
        figsize=(4.2 * len(noises), 3.4 * len(datasets)),
        squeeze=False,
        layout="constrained",
    )
    for i, dataset in enumerate(datasets):
        for j, noise in enumerate(noises):
            ax = axes[i, j]
            if (dataset, noise) not in found:
                ax.set_axis_off()
                continue
            records = found[dataset, noise]
            best = area(records, metric).drop(ours).nlargest(N_CURVES).index
            kept = [records[records["strategy"] == name] for name in [ours, *best]]
            display = LearningCurveDisplay.from_records(
                pd.concat(kept, ignore_index=True), metric=metric, ax=ax, legend=False
            )
            _restyle(display)
            ax.set_title(f"{dataset}, noise {noise}", fontsize=10)
            ax.legend(fontsize=7)
    task = next(task for task, name in TASKS.items() if name == metric)
    figure.suptitle(
        f"{comparison.capitalize()}, {task}: ours and the best {N_CURVES} baselines"
    )
    return figure


def draw_savings(table):
    """Draw the saving of each cell against its best baseline, per comparison.

    Parameters
    ----------
    table : DataFrame
        Rounds.

    Returns
    -------
    Figure or None
        None if there is no cell to draw.
    """
    found = {
        f"{comparison}, {task}": savings(table, comparison, metric=metric)
        for comparison, (task, metric) in product(COMPARISONS, TASKS.items())
    }
    found = {name: rows for name, rows in found.items() if not rows.empty}
    if not found:
        return None
    shape = (
        next(iter(found.values()))
        .pivot(index="dataset", columns="noise", values="saving")
        .shape
    )
    # One row per comparison, one column per task.
    n_rows = -(-len(found) // len(TASKS))
    figure, axes = plt.subplots(
        n_rows,
        len(TASKS),
        figsize=(
            1.5 + (0.9 * shape[1] + 1.2) * len(TASKS),
            0.6 + (1.0 + 0.5 * shape[0]) * n_rows,
        ),
        squeeze=False,
        layout="constrained",
    )
    for ax, (name, rows) in zip(axes.flat, found.items()):
        grid = rows.pivot(index="dataset", columns="noise", values="saving")
        image = ax.imshow(grid, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
        ax.set_xticks(range(grid.shape[1]), grid.columns, rotation=30, ha="right")
        ax.set_yticks(range(grid.shape[0]), grid.index)
        ax.set_title(name.capitalize(), fontsize=10)
        for (i, j), saving in np.ndenumerate(grid.to_numpy(float)):
            if np.isfinite(saving):
                color = "white" if abs(saving) > 0.6 else "black"
                text = f"{100 * saving:.0f} %"
                ax.text(j, i, text, ha="center", va="center", fontsize=8, color=color)
    figure.colorbar(image, ax=axes, label="Labels saved", shrink=0.5)
    figure.suptitle(f"Against the best of {n_baselines(table)} baselines of each cell")
    return figure


def _restyle(display):
    """Give each strategy the same look in all panels."""
    colors = plt.get_cmap("tab20").colors
    for name, line in display.lines_.items():
        color, marker = _OURS_STYLE
        if name not in (OURS, OURS_ALONE):
            k = BASELINES.index(name)
            color, marker = colors[k % len(colors)], _MARKERS[k % len(_MARKERS)]
        line.set(color=color, marker=marker, linestyle="-", markersize=4)
        if name in display.bands_:
            display.bands_[name].set_facecolor(color)
