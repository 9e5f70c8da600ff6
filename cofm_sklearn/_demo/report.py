"""Table and plot of the comparison."""

import numpy as np
import pandas as pd

from cofm_sklearn._demo.compare import OURS, PRIOR, STRATEGIES
from cofm_sklearn.simulation import (
    LearningCurveDisplay,
    label_savings,
    labels_to_reach,
)
from cofm_sklearn.utils import import_optional

__all__ = ["draw_curves", "format_table", "summarize"]

_METRIC = "balanced_accuracy"
# The table shows the labels needed for this share of the best baseline's gain.
_FRACTION = 0.9
_LEGEND = """\
Scores on held-out texts at the end: mean ± standard deviation over seeds. Rare
classes: the smallest third. Labels to reach: balanced accuracy of the mean curve, at
90 % of what the best baseline gains. Labels saved: against the best baseline, mean
over 50, 75, 90 and 95 % of that gain; a level not reached (-) counts as -100 %."""
_BASELINES = [name for name in STRATEGIES if name != OURS]


def summarize(records):
    """Summarise the records of a comparison.

    Parameters
    ----------
    records : DataFrame
        As returned by `compare`.

    Returns
    -------
    DataFrame
        A row per noise and strategy: ``noise``, ``strategy``, ``labels``; mean and
        standard deviation over seeds of the last ``balanced_accuracy`` and
        ``rare_class_recall``; ``level`` and ``labels_to_level`` (NaN: never); and for
        the co-decision ``saved``, the mean share of labels saved (else NaN).
    """
    rows = []
    for noise, table in records.groupby("noise"):
        savings = label_savings(table, ours=OURS, metric=_METRIC, baselines=_BASELINES)
        level = savings.set_index("fraction").loc[_FRACTION, "level"]
        for name, runs in table.groupby("strategy", sort=False):
            curve = runs.groupby("n_labels")[_METRIC].mean()
            last = runs[runs["n_labels"] == runs["n_labels"].max()]
            row = {"noise": noise, "strategy": name, "labels": curve.index[-1]}
            for metric in (_METRIC, "rare_class_recall"):
                row[metric] = last[metric].mean()
                row[f"{metric}_std"] = last[metric].std(ddof=0)
            row["level"] = level
            row["labels_to_level"] = labels_to_reach(curve.index, curve, level)
            row["saved"] = savings["saving"].mean() if name == OURS else np.nan
            rows.append(row)
    return pd.DataFrame(rows)


def format_table(summary):
    """Return the summary as text for the terminal, with its legend.

    Parameters
    ----------
    summary : DataFrame
        As returned by `summarize`.

    Returns
    -------
    str
    """
    parts = [_format_part(noise, table) for noise, table in summary.groupby("noise")]
    return "\n\n".join([*parts, _LEGEND])


def _format_part(noise, table):
    """Return the table of one share of wrong labels."""
    reach = f"reach {table['level'].iloc[0]:.2f}"
    cells = [
        ("", "labels", "balanced", "rare-class", "labels to", "labels"),
        ("strategy", "asked", "accuracy", "recall", reach, "saved"),
    ]
    for row in table.itertuples():
        cells.append(
            (
                row.strategy,
                f"{row.labels}",
                f"{row.balanced_accuracy:.3f} ± {row.balanced_accuracy_std:.3f}",
                f"{row.rare_class_recall:.3f} ± {row.rare_class_recall_std:.3f}",
                "-" if np.isnan(row.labels_to_level) else f"{row.labels_to_level:.0f}",
                "" if np.isnan(row.saved) else f"{row.saved:.0%}",
            )
        )
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = [
        "  ".join(
            [line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]
        ).rstrip()
        for line in cells
    ]
    rule = "-" * (sum(widths) + 2 * len(widths) - 2)
    return "\n".join([f"{noise:.0%} wrong labels", *lines[:2], rule, *lines[2:]])


def draw_curves(records, path, title):
    """Draw the learning curves, one panel per share of wrong labels.

    Parameters
    ----------
    records : DataFrame
        As `compare` returns it.

    path : Path
        Image file to write.

    title : str
        Title of the plot.

    Raises
    ------
    ImportError
        If matplotlib is missing.
    """
    figure_module = import_optional("matplotlib.figure", needed_by="the picture")
    panels = list(records.groupby("noise"))
    # Without pyplot: no window system is needed, no figure stays open.
    figure = figure_module.Figure(
        figsize=(4.2 * len(panels) + 0.6, 4.4), layout="constrained"
    )
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (noise, table) in zip(axes, panels):
        display = LearningCurveDisplay.from_records(
            table[table["strategy"] != PRIOR], metric=_METRIC, ax=ax, legend=False
        )
        display.lines_[OURS].set(linewidth=2.5, zorder=3)
        prior = table.loc[table["strategy"] == PRIOR, _METRIC].mean()
        ax.axhline(prior, color="0.35", linestyle=(0, (1, 1.5)), label=PRIOR, zorder=1)
        ax.set_title(f"{noise:.0%} wrong labels", fontsize="medium")
        ax.label_outer()
    figure.suptitle(title)
    several = records["seed"].nunique() > 1
    figure.legend(
        *axes[0].get_legend_handles_labels(),
        loc="outside lower center",
        ncols=len(display.lines_) + 1,
        title="line: mean over seeds, band: standard error" if several else None,
        frameon=False,
    )
    figure.savefig(path, dpi=150)
