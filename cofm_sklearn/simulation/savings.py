"""Label savings: how much earlier a learning curve reaches a score than others."""

from numbers import Real

import numpy as np
import pandas as pd

from cofm_sklearn.utils.validation import check_numbers

__all__ = ["label_savings", "labels_to_reach"]

# "Stops improving" means no gain of 0.01 over a quarter of the budget.
_PLATEAU_GAIN = 0.01
_PLATEAU_WINDOW = 0.25


def labels_to_reach(n_labels, scores, level):
    """Return the label count at which a learning curve first reaches a level.

    The curve is made monotone by a running maximum and interpolated linearly between
    its points.

    Parameters
    ----------
    n_labels : array-like of shape (n_rounds,)
        Label counts, strictly increasing.

    scores : array-like of shape (n_rounds,)
        The score at each label count.

    level : float
        The score to reach.

    Returns
    -------
    float
        The label count; the first count if the curve starts at or above the level, NaN
        if it never reaches it.

    Raises
    ------
    ValueError
        If the arrays are empty, differ in length, are not finite, or `n_labels` does
        not increase.

    Examples
    --------
    >>> from cofm_sklearn.simulation.savings import labels_to_reach
    >>> labels_to_reach([20, 40, 60], [0.5, 0.7, 0.6], 0.6)
    30.0
    >>> labels_to_reach([20, 40, 60], [0.5, 0.7, 0.6], 0.8)
    nan
    """
    counts = check_numbers(n_labels, "n_labels")
    values = check_numbers(scores, "scores")
    if not isinstance(level, Real):
        raise ValueError(f"level must be a number, got {level!r}.")
    if counts.ndim != 1 or not counts.size or counts.shape != values.shape:
        raise ValueError(
            "n_labels and scores must be 1-D, of one length and not empty; got shapes "
            f"{counts.shape} and {values.shape}."
        )
    if not (np.isfinite(counts).all() and np.isfinite(values).all()):
        raise ValueError("n_labels and scores must be finite; remove NaN and inf.")
    if (np.diff(counts) <= 0).any():
        raise ValueError("n_labels must increase strictly; sort and average first.")
    best = np.maximum.accumulate(values)
    reached = int(np.searchsorted(best, float(level)))  # the first value >= level
    if reached == len(best):
        return float("nan")
    if reached == 0:
        return float(counts[0])
    step = (level - best[reached - 1]) / (best[reached] - best[reached - 1])
    return float(counts[reached - 1] + step * (counts[reached] - counts[reached - 1]))


def check_records(records, metric):
    """Return the validated records with the columns a curve needs."""
    if not isinstance(records, pd.DataFrame):
        raise TypeError(f"records must be a DataFrame, got {type(records).__name__}.")
    if not isinstance(metric, str):
        raise TypeError(f"metric must be the name of a column, got {metric!r}.")
    needed = ["strategy", "seed", "n_labels", metric]
    if missing := [column for column in needed if column not in records.columns]:
        raise ValueError(
            f"records has no column {missing}; its columns are "
            f"{records.columns.tolist()}."
        )
    if not len(records):
        raise ValueError("records is empty; give at least one row.")
    table = records[needed]
    numbers = table[["n_labels", metric]].to_numpy(dtype=float)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"records has NaN or inf in n_labels or {metric}; remove them."
        )
    if table.duplicated(["strategy", "seed", "n_labels"]).any():
        if "noise" in records and records["noise"].nunique() > 1:
            raise ValueError(
                "records has several shares of wrong answers; select one, e.g. "
                f"records[records['noise'] == {records['noise'].iloc[0]}]."
            )
        raise ValueError(
            "records has several rows of one strategy, seed and n_labels; keep one, or "
            "give each run its own seed."
        )
    return table


def seed_curves(table, metric):
    """Return label counts (n,) and the scores (n_seeds, n) of one strategy.

    Seeds are interpolated onto the union of their label counts, as far as all of them
    reach: a mean over changing sets of seeds would jump where one of them ends.
    """
    runs = [
        run.sort_values("n_labels")[["n_labels", metric]].to_numpy(dtype=float).T
        for _, run in table.groupby("seed", observed=True, dropna=False)
    ]
    first, last = max(run[0, 0] for run in runs), min(run[0, -1] for run in runs)
    if first > last:
        raise ValueError(
            "the seeds of a strategy have no label count in common; compare runs with "
            "the same budget."
        )
    grid = np.unique(np.concatenate([run[0] for run in runs]))
    grid = grid[(grid >= first) & (grid <= last)]
    return grid, np.array([np.interp(grid, *run) for run in runs])


def _monotone_mean(table, metric):
    """Return label counts and the running maximum of the mean curve of a strategy."""
    grid, scores = seed_curves(table, metric)
    return grid, np.maximum.accumulate(scores.mean(axis=0))


def _best_of(curves, grid):
    """Return the maximum of monotone curves at each label count of a grid."""
    # A strategy has no score before its first round, and keeps its last score.
    return np.max([np.interp(grid, x, y, left=-np.inf) for x, y in curves], axis=0)


def _plateau_start(grid, scores):
    """Return the label count at which a monotone curve stops improving.

    That is the first count after which no whole window of a quarter of the budget
    gains 0.01; the last count if the last window still does.
    """
    window = _PLATEAU_WINDOW * grid[-1]
    starts = grid[grid + window <= grid[-1]]
    if not starts.size:
        return grid[-1]
    gains = np.interp(starts + window, grid, scores) - scores[: len(starts)]
    # slightly below the limit, as differences of scores are not exact
    improving = np.flatnonzero(gains > _PLATEAU_GAIN - 1e-9)
    if not improving.size:
        return starts[0]
    if improving[-1] == len(starts) - 1:
        return grid[-1]
    return starts[improving[-1] + 1]


def label_savings(
    records,
    *,
    ours,
    metric="balanced_accuracy",
    levels=(0.5, 0.75, 0.9, 0.95),
    baselines=None,
):
    """Compute how many labels a strategy saves against the best baseline.

    1. The curves of each strategy are averaged over its seeds, made monotone by a
       running maximum, and interpolated linearly.
    2. The budget ends where the best of the baselines stops improving: at the first
       label count after which it gains less than 0.01 over any quarter of the whole
       budget. So savings are not measured on a plateau.
    3. With s0 the lowest score that any strategy starts from, and s1 the highest that
       a baseline reaches within that budget, the level of a fraction q is
       ``s0 + q * (s1 - s0)``.
    4. The saving at a level is 1 minus our label count over that of the baseline that
       reaches the level first. It is -1 if we do not reach it within the budget.

    Parameters
    ----------
    records : DataFrame
        One row per strategy, seed and round, with the columns ``strategy``, ``seed``,
        ``n_labels`` and `metric`. All runs use one data set and noise rate.

    ours : str
        The strategy whose savings are computed.

    metric : str, default="balanced_accuracy"
        The column of the score; higher is better.

    levels : sequence of float, default=(0.5, 0.75, 0.9, 0.95)
        The fractions q, each in (0, 1].

    baselines : sequence of str or None, default=None
        The strategies to compare with; None uses all except `ours`.

    Returns
    -------
    DataFrame
        One row per level, with the columns ``fraction`` (q), ``level`` (a score),
        ``n_labels`` and ``n_labels_baseline`` (float; NaN where not reached within the
        budget), ``baseline`` (the first to reach it), ``saving`` (at most 1) and
        ``budget`` (the last label count; the same in all rows). The saving of the data
        set is the mean of ``saving``.

    Raises
    ------
    ValueError
        If a column or strategy is missing, there is no baseline, a score is not
        finite, a level is out of range, or a row is repeated.

    Examples
    --------
    >>> import pandas as pd
    >>> from cofm_sklearn.simulation.savings import label_savings
    >>> records = pd.DataFrame({
    ...     "strategy": ["co-decision"] * 3 + ["margin"] * 3,
    ...     "seed": 0,
    ...     "n_labels": [20, 40, 60] * 2,
    ...     "balanced_accuracy": [0.4, 0.8, 0.9, 0.4, 0.6, 0.8],
    ... })
    >>> savings = label_savings(records, ours="co-decision", levels=(0.5, 1.0))
    >>> savings[["level", "n_labels", "n_labels_baseline", "saving"]].round(2)
       level  n_labels  n_labels_baseline  saving
    0    0.6      30.0               40.0    0.25
    1    0.8      40.0               60.0    0.33
    """
    table = check_records(records, metric)
    fractions = check_numbers(levels, "levels")
    inside = (fractions > 0) & (fractions <= 1)
    if fractions.ndim != 1 or not fractions.size or not inside.all():
        raise ValueError(f"levels must be fractions in (0, 1], got {levels!r}.")
    known = table["strategy"].unique().tolist()
    if not isinstance(ours, str):
        raise TypeError(f"ours must be the name of a strategy, got {ours!r}.")
    rivals = [s for s in known if s != ours] if baselines is None else baselines
    if not isinstance(rivals, list | tuple):
        raise TypeError(f"baselines must be a list of strategies, got {baselines!r}.")
    if not rivals or ours in rivals:
        raise ValueError("baselines must have at least one strategy other than ours.")
    if unknown := [s for s in [ours, *rivals] if s not in known]:
        raise ValueError(f"records has no strategy {unknown}; it has {known}.")
    curves = {
        name: _monotone_mean(table[table["strategy"] == name], metric)
        for name in [ours, *rivals]
    }
    theirs = [curves[name] for name in rivals]
    grid = np.unique(np.concatenate([counts for counts, _ in theirs]))
    best = _best_of(theirs, grid)
    budget = _plateau_start(grid, best)
    lowest = min(scores[0] for _, scores in curves.values())
    highest = best[grid == budget][0]
    rows = []
    for fraction in fractions:
        # min: rounding must not raise the level above the best baseline
        level = min(lowest + fraction * (highest - lowest), highest)
        needed = {name: labels_to_reach(x, y, level) for name, (x, y) in curves.items()}
        first = min(rivals, key=lambda name: np.nan_to_num(needed[name], nan=np.inf))
        mine = needed[ours] if needed[ours] <= budget else float("nan")
        rows.append(
            {
                "fraction": fraction,
                "level": level,
                "n_labels": mine,
                "n_labels_baseline": needed[first],
                "baseline": first,
                "saving": _saving(mine, needed[first]),
                "budget": budget,
            }
        )
    return pd.DataFrame(rows)


def _saving(ours, baseline):
    """Return the share of labels saved; -1 if the level is not reached."""
    if np.isnan(ours):
        return -1.0
    if baseline == 0:
        return 0.0 if ours == 0 else -1.0
    return 1.0 - ours / baseline
