"""Learning curves: scores, label savings, and plots.

Label savings are computed in `cofm_sklearn.simulation.savings`; its public names are
re-exported here.
"""

import numpy as np
import pandas as pd
from sklearn.utils import check_consistent_length

from cofm_sklearn.simulation.savings import (
    check_records,
    label_savings,
    labels_to_reach,
    seed_curves,
)
from cofm_sklearn.utils.labels import check_classes, check_labels
from cofm_sklearn.utils.optional import import_optional, start_plot
from cofm_sklearn.utils.texts import verbatim
from cofm_sklearn.utils.validation import check_option

__all__ = [
    "LearningCurveDisplay",
    "label_savings",
    "labels_to_reach",
    "score_predictions",
    "strategy_name",
]

# Okabe and Ito's colours without their yellow, which is faint on white. The numbers of
# colours, markers and line styles differ, so that combinations repeat late.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_LINE_STYLES = ("-", "--", "-.", ":")


def score_predictions(y_true, y_pred, *, classes=None):
    """Score predictions with equal weight for every class.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels: str, int or bool.

    y_pred : array-like of shape (n_samples,)
        Predicted labels.

    classes : array-like of shape (n_classes,) or None, default=None
        All classes; None uses those in `y_true` and `y_pred`. A class in neither has no
        effect.

    Returns
    -------
    dict of str to float
        Each score is from 0 to 1:

        - ``"balanced_accuracy"``: mean recall over the classes of `y_true`;
        - ``"macro_f1"``: mean F1 over the classes of `y_true` and `y_pred`;
        - ``"rare_class_recall"``: mean recall over the smallest third of the classes
          of `y_true`, rounded down but at least one; equal sizes in class order.

    Raises
    ------
    ValueError
        If the lengths differ, a label is missing, or a label is not in `classes`.

    References
    ----------
    .. [1] K. H. Brodersen, C. S. Ong, K. E. Stephan, J. M. Buhmann (2010). The Balanced
       Accuracy and Its Posterior Distribution. ICPR.

    Examples
    --------
    >>> from cofm_sklearn.simulation.curves import score_predictions
    >>> scores = score_predictions(["a", "a", "a", "b"], ["a", "a", "b", "b"])
    >>> {name: round(score, 3) for name, score in scores.items()}
    {'balanced_accuracy': 0.833, 'macro_f1': 0.733, 'rare_class_recall': 1.0}
    """
    check_consistent_length(y_true, y_pred)
    true, predicted = check_labels(y_true, "y_true"), check_labels(y_pred, "y_pred")
    if (true.dtype.kind in "OSU") != (predicted.dtype.kind in "OSU"):
        raise ValueError(
            f"y_true has dtype {true.dtype} and y_pred {predicted.dtype}; give both "
            "as str or both as numbers."
        )
    both = np.concatenate([true, predicted])
    names, codes = check_classes(classes, both, "y_true or y_pred", only_codes=True)
    true_codes, predicted_codes = np.split(codes, 2)
    size = len(names)
    support = np.bincount(true_codes, minlength=size)
    hits = np.bincount(true_codes[true_codes == predicted_codes], minlength=size)
    asked = support + np.bincount(predicted_codes, minlength=size)
    seen, present = asked > 0, support > 0
    recall = hits[present] / support[present]
    n_rare = max(1, present.sum() // 3)
    rare = np.argsort(support[present], kind="stable")[:n_rare]
    return {
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float((2 * hits[seen] / asked[seen]).mean()),
        "rare_class_recall": float(recall[rare].mean()),
    }


class LearningCurveDisplay:
    """Plot of scores against the number of labels, one line per strategy.

    A line is the mean over seeds, and its band the spread over seeds. Use
    `from_records` or `from_estimator` to create and draw it.

    Parameters
    ----------
    records : DataFrame
        One row per strategy, seed and round, with the columns ``strategy``, ``seed``,
        ``n_labels`` and `metric`.

    metric : str, default="balanced_accuracy"
        The column of the score.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the curves.

    figure_ : matplotlib Figure
        Their figure.

    lines_ : dict of str to matplotlib Line2D
        The line of each strategy.

    bands_ : dict of str to matplotlib PolyCollection
        The band of each strategy with more than one seed.

    See Also
    --------
    label_savings : Measures the distance between the lines.

    Examples
    --------
    >>> import pandas as pd
    >>> from cofm_sklearn.simulation.curves import LearningCurveDisplay
    >>> records = pd.DataFrame({
    ...     "strategy": ["co-decision"] * 4 + ["margin"] * 4,
    ...     "seed": [0, 0, 1, 1] * 2,
    ...     "n_labels": [20, 40] * 4,
    ...     "balanced_accuracy": [0.5, 0.9, 0.6, 0.8, 0.4, 0.6, 0.3, 0.7],
    ... })
    >>> display = LearningCurveDisplay.from_records(records)
    >>> display.lines_["margin"].get_ydata().round(2).tolist()
    [0.35, 0.65]
    """

    def __init__(self, records, *, metric="balanced_accuracy"):
        self.records = records
        self.metric = metric

    def plot(self, ax=None, *, band="standard_error", legend=True):
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        band : {"standard_error", "range"} or None, default="standard_error"
            The band is the mean plus and minus its standard error over seeds, or the
            range from the lowest to the highest seed; None draws none.

        legend : bool, default=True
            Whether to draw the legend.

        Returns
        -------
        display : LearningCurveDisplay
            The object itself, with ``ax_``, ``figure_``, ``lines_`` and ``bands_``.

        Raises
        ------
        ValueError
            If the records lack a column, have a repeated row or a score that is not
            finite, or `band` is unknown.

        ImportError
            If matplotlib is not installed.
        """
        check_option("band", band, ("standard_error", "range", None))
        table = check_records(self.records, self.metric)
        ax = start_plot(self, ax)
        self.lines_, self.bands_ = {}, {}
        groups = table.groupby("strategy", sort=False, observed=True, dropna=False)
        for i, (name, rows) in enumerate(groups):
            counts, scores = seed_curves(rows, self.metric)
            color = _COLORS[i % len(_COLORS)]
            (self.lines_[name],) = ax.plot(
                counts,
                scores.mean(axis=0),
                label=verbatim(name),
                color=color,
                linestyle=_LINE_STYLES[i % len(_LINE_STYLES)],
                marker=_MARKERS[i % len(_MARKERS)],
                markersize=5,
            )
            if band is not None and len(scores) > 1:
                self.bands_[name] = ax.fill_between(
                    counts, *_band(scores, band), color=color, alpha=0.15, linewidth=0
                )
        ax.set_xlabel("Number of labels")
        ax.set_ylabel(self.metric.replace("_", " ").capitalize().replace(" f1", " F1"))
        ticker = import_optional("matplotlib.ticker", needed_by="plot")
        ax.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
        ax.grid(alpha=0.3)
        if legend:
            about = (
                f"line: mean, band: {band.replace('_', ' ')}" if self.bands_ else None
            )
            ax.legend(title=about)
        return self

    @classmethod
    def from_records(
        cls,
        records,
        *,
        metric="balanced_accuracy",
        ax=None,
        band="standard_error",
        legend=True,
    ):
        """Create and draw the curves of a table of records.

        Parameters
        ----------
        records : DataFrame
            One row per strategy, seed and round, with the columns ``strategy``,
            ``seed``, ``n_labels`` and `metric`.

        metric : str, default="balanced_accuracy"
            The column of the score.

        ax, band, legend
            As in `plot`.

        Returns
        -------
        display : LearningCurveDisplay
            The drawn display.
        """
        return cls(records, metric=metric).plot(ax, band=band, legend=legend)

    @classmethod
    def from_estimator(
        cls,
        estimator,
        *,
        metric="balanced_accuracy",
        ax=None,
        band="standard_error",
        legend=True,
    ):
        """Create and draw the curves of fitted active-learning estimators.

        Parameters
        ----------
        estimator : estimator, list of estimators, or dict
            Fitted estimators, such as `ActiveLearningClassifier`: anything with a
            DataFrame ``learning_curve_`` that has the columns ``n_labels`` and
            `metric`. A dict maps the name of a strategy to an estimator or to a list of
            them, one per seed. Without a dict, strategies are named after the class of
            ``query_strategy``; estimators with the same name count as its seeds.

        metric : str, default="balanced_accuracy"
            The column of the score.

        ax, band, legend
            As in `plot`.

        Returns
        -------
        display : LearningCurveDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If there are no estimators, or one has no learning curve.
        """
        records = _records_of(estimator)
        return cls.from_records(records, metric=metric, ax=ax, band=band, legend=legend)


def _band(scores, band):
    """Return the lower and upper edge of the band around a mean curve."""
    if band == "range":
        return scores.min(axis=0), scores.max(axis=0)
    mean = scores.mean(axis=0)
    error = scores.std(axis=0, ddof=1) / np.sqrt(len(scores))
    return mean - error, mean + error


def strategy_name(estimator):
    """Return the name of an estimator's strategy, for the legend."""
    strategy = getattr(estimator, "query_strategy", estimator)
    return getattr(strategy, "__name__", type(strategy).__name__)


def _records_of(estimator):
    """Return one table of the learning curves of one or more fitted estimators."""
    if isinstance(estimator, dict):
        runs = [
            (name, run)
            for name, value in estimator.items()
            for run in (value if isinstance(value, (list, tuple)) else [value])
        ]
    else:
        listed = estimator if isinstance(estimator, (list, tuple)) else [estimator]
        runs = [(strategy_name(run), run) for run in listed]
    if not runs:
        raise ValueError("estimator is empty; give at least one fitted estimator.")
    frames = []
    for seed, (name, run) in enumerate(runs):
        if not isinstance(getattr(run, "learning_curve_", None), pd.DataFrame):
            raise ValueError(
                f"the estimator of {name!r} has no DataFrame learning_curve_; fit it "
                "first."
            )
        # Numbered here, as the estimators' own seeds may be equal or None.
        frames.append(run.learning_curve_.assign(strategy=name, seed=seed))
    return pd.concat(frames, ignore_index=True)
