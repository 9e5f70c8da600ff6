"""Tables and picture of benchmarks.speed."""

import os
import platform
from itertools import pairwise

import numpy as np

__all__ = ["draw", "report"]

OURS = "CoDecisionQuery"
MARGIN = "modAL margin"
KEYS = ["n_pool", "width", "n_classes", "batch"]
PLAIN = {"width": 384, "n_classes": 10, "batch": 100}


def plain(table):
    """Take the rows that vary the size of the pool only."""
    keep = np.all([table[name] == value for name, value in PLAIN.items()], axis=0)
    return table[keep]


def report(table, rounds):
    """Return the figures as Markdown."""
    table = table.sort_values("n_pool", kind="stable")
    lines = [
        "# Time and memory of a query",
        "",
        "Made by `python -m benchmarks.speed` in one run on "
        f"{_cores()} cores (Python {platform.python_version()}): float32 pools of unit "
        "rows, memory-mapped; logistic regression trained on 500 labels; least of 5 "
        "to 30 repetitions after a first one (fewer where the time was up), each "
        "strategy in a process of its own. "
        "Memory is what the "
        "process held beyond mapped files, above what it held before the query.",
        "",
        "## By pool size (384 wide, 10 classes, batch of 100)",
        "",
    ]
    sizes = sorted(plain(table)["n_pool"].unique())
    lines += [
        "| strategy | " + " | ".join(f"{n:,} rows" for n in sizes) + " |",
        "|" + " --- |" * (1 + len(sizes)),
    ]
    for name in plain(table)["strategy"].unique():
        cells = [_cell(table, name, n) for n in sizes]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += ["", "Our query against others (their time over ours):", ""]
    lines += [
        "| strategy | " + " | ".join(f"{n:,} rows" for n in sizes) + " |",
        "|" + " --- |" * (1 + len(sizes)),
    ]
    for name in plain(table)["strategy"].unique():
        if name != OURS:
            cells = [_ratio(table, name, n) for n in sizes]
            lines.append(f"| {name} | " + " | ".join(cells) + " |")
    lines += [
        "",
        "## Other settings",
        "",
        "| rows | width | classes | batch | read and multiply | predict_proba | "
        "modAL margin | ours | ours / margin | ours, memory |",
        "|" + " --- |" * 10,
    ]
    for keys, part in table.groupby(KEYS, sort=False):
        seconds = part.set_index("strategy")["seconds"]
        memory = part.set_index("strategy").loc[OURS, "bytes"]
        values = [seconds[n] for n in ("read and multiply", "predict_proba", MARGIN)]
        cells = [f"{v:.2f} s" for v in (*values, seconds[OURS])]
        lines.append(
            "| "
            + " | ".join(f"{k:,}" for k in keys)
            + " | "
            + " | ".join(cells)
            + f" | {seconds[OURS] / seconds[MARGIN]:.1f} | {memory / 2**20:.0f} MiB |"
        )
    lines += ["", "## Growth", ""]
    lines += [f"- {line}" for line in _growth(table)]
    share = (rounds["query"] + rounds["fit"]) / (
        rounds["fit"] + rounds["predict_proba"]
    )
    lines += [
        "",
        "## A whole round at 100,000 rows",
        "",
        f"Retraining {rounds['fit']:.3f} s, one pass of `predict_proba` "
        f"{rounds['predict_proba']:.3f} s, our query {rounds['query']:.3f} s "
        f"(medians): query and retraining take {share:.2f} times retraining and one "
        "pass.",
    ]
    return "\n".join(lines) + "\n"


def draw(table, path):
    """Draw time and memory over the size of the pool."""
    import matplotlib.pyplot as plt

    rows = plain(table).dropna(subset="seconds")
    fig, axes = plt.subplots(1, 2, figsize=(11, 4.8), layout="constrained", sharex=True)
    names = list(rows["strategy"].unique())
    colours = plt.get_cmap("tab20")
    for k, name in enumerate(names):
        part = rows[rows["strategy"] == name]
        ours = name == OURS
        style = {
            "color": "black" if ours else colours(k % 20),
            "linewidth": 2.6 if ours else 1.2,
            "marker": "o",
            "markersize": 5 if ours else 3.5,
            "linestyle": "--"
            if name in ("read and multiply", "predict_proba")
            else "-",
            "zorder": 3 if ours else 2,
        }
        axes[0].loglog(part["n_pool"], part["seconds"], label=name, **style)
        axes[1].loglog(part["n_pool"], part["bytes"] / 2**20, **style)
    axes[0].set(xlabel="samples in the pool", ylabel="seconds per query")
    axes[1].set(xlabel="samples in the pool", ylabel="extra memory (MiB)")
    for axis in axes:
        axis.grid(which="major", alpha=0.3)
    axes[0].set_title("Time of a batch of 100")
    axes[1].set_title("Memory beyond the pool")
    fig.legend(loc="outside right center", frameon=False, fontsize=9)
    fig.savefig(path, dpi=130)
    plt.close(fig)


def _cell(table, name, n_pool):
    row = _row(table, name, n_pool)
    if row is None:
        return ""
    if np.isnan(row["seconds"]):
        return f"– ({row['failed']})"
    return f"{_seconds(row['seconds'])}, {row['bytes'] / 2**20:,.0f} MiB"


def _ratio(table, name, n_pool):
    theirs, ours = _row(table, name, n_pool), _row(table, OURS, n_pool)
    if theirs is None:
        return ""
    if np.isnan(theirs["seconds"]):
        return f"– ({theirs['failed']})"
    ratio = theirs["seconds"] / ours["seconds"]
    return f"{ratio:,.0f}" if ratio >= 10 else f"{ratio:.2f}"


def _row(table, name, n_pool, **settings):
    part = table[(table["strategy"] == name) & (table["n_pool"] == n_pool)]
    for key, value in (PLAIN | settings).items():
        part = part[part[key] == value]
    return None if part.empty else part.iloc[0]


def _growth(table):
    sizes = sorted(plain(table)["n_pool"].unique())
    for small, large in pairwise(sizes):
        a, b = (_row(table, OURS, n)["seconds"] for n in (small, large))
        yield f"from {small:,} to {large:,} rows our time grows {b / a:.1f} times"
    for n in sizes[1:]:
        a = _row(table, OURS, n)["seconds"]
        b = _row(table, OURS, n, n_classes=100)["seconds"]
        yield f"with 100 instead of 10 classes, {n:,} rows: {b / a:.1f} times the time"


def _seconds(value):
    return f"{value:.3f} s" if value < 1 else f"{value:,.2f} s"


def _cores():
    return len(os.sched_getaffinity(0))
