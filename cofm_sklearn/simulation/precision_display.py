"""Plot of the precision of the model's labels over their share of the pool."""

import numpy as np

from cofm_sklearn.utils.optional import start_plot

__all__ = ["PrecisionCoverageDisplay"]


class PrecisionCoverageDisplay:
    """Plot the precision of a model's most confident labels over their coverage.

    Further to the right, the model labels more samples of the pool on its own. Use
    `from_table` to create and draw it.

    Parameters
    ----------
    coverage, precision, low, high : array-like of shape (n_points,)
        Shares of the samples without answers, in [0, 1]; the expected share of right
        labels among the most confident of them, and its interval.

    target_precision : float or None, default=None
        Drawn as a line.

    chosen : tuple of (float, float, float, float) or None, default=None
        Coverage, precision and its interval of the labels left to the model. Lies below
        the curve if rare classes must be as precise as others.

    true_precision : array-like of shape (n_points,) or None, default=None
        The true share of right labels, if known.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the curve.

    figure_ : matplotlib Figure
        Its figure.

    line_ : matplotlib Line2D
        The expected precision.

    true_line_ : matplotlib Line2D or None
        The true precision.

    chosen_ : matplotlib ErrorbarContainer or None
        The labels left to the model.

    Examples
    --------
    >>> from cofm_sklearn.simulation import PrecisionCoverageDisplay
    >>> display = PrecisionCoverageDisplay(
    ...     [0.5, 1.0], [0.98, 0.8], [0.95, 0.7], [1.0, 0.85], target_precision=0.95)
    >>> display.plot().ax_.get_ylabel()
    'Share of right labels'
    """

    def __init__(
        self,
        coverage,
        precision,
        low,
        high,
        *,
        target_precision=None,
        chosen=None,
        true_precision=None,
    ):
        self.coverage = coverage
        self.precision = precision
        self.low = low
        self.high = high
        self.target_precision = target_precision
        self.chosen = chosen
        self.true_precision = true_precision

    def plot(self, ax=None):
        """Draw the curve.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        Returns
        -------
        display : PrecisionCoverageDisplay
            The object itself, with ``ax_``, ``figure_`` and the artists.

        Raises
        ------
        ValueError
            If there are no points, or lengths differ.

        ImportError
            If matplotlib is not installed.
        """
        self._check()
        ax = start_plot(self, ax)
        ax.fill_between(self.coverage, self.low, self.high, alpha=0.2, lw=0)
        (self.line_,) = ax.plot(self.coverage, self.precision, label="expected")
        self.true_line_ = self.chosen_ = None
        if self.true_precision is not None:
            (self.true_line_,) = ax.plot(
                self.coverage, self.true_precision, color="black", ls="--", label="true"
            )
        if self.target_precision is not None:
            ax.axhline(self.target_precision, color="0.5", lw=0.8, label="target")
        if self.chosen is not None:
            share, precision, low, high = self.chosen
            # The expected precision may lie outside the interval of a check.
            ends = [[max(precision - low, 0)], [max(high - precision, 0)]]
            self.chosen_ = ax.errorbar(
                [share],
                [precision],
                ends,
                fmt="o",
                capsize=4,
                label="left to the model",
            )
        ax.set_xlabel("Share of the samples without answers")
        ax.set_ylabel("Share of right labels")
        ax.set_xlim(0, 1.02)
        ax.legend(loc="lower left")
        return self

    @classmethod
    def from_table(cls, table, *, y_true=None, ax=None):
        """Create and draw the display of a labelled pool.

        Parameters
        ----------
        table : DataFrame
            Result of `label_pool`, the function or a method of `AnnotationSession` or
            `ActiveLearningClassifier`, with its ``attrs``.

        y_true : array-like of shape (n_pool,) or None, default=None
            True classes, in the order of the pool, to draw the true precision as well.

        ax
            As in `plot`.

        Returns
        -------
        display : PrecisionCoverageDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If the table does not come from `label_pool`, all samples are answered, or
            lengths differ.
        """
        promise = table.attrs
        if "curve" not in promise:
            raise ValueError(
                "table has no target_precision in its attrs: pass the result of "
                "label_pool, not a copy read from a file."
            )
        if not promise["curve"]:
            raise ValueError("All samples in table have answers; nothing to draw.")
        true_precision = None
        if y_true is not None:
            if len(y_true) != len(table):
                raise ValueError(
                    f"y_true has {len(y_true)} labels for {len(table)} samples."
                )
            free = (table["source"] != "person").to_numpy()
            order = np.argsort(-table["probability"].to_numpy()[free], kind="stable")
            right = (table["label"].to_numpy() == np.asarray(y_true))[free][order]
            ends = np.array(promise["curve"]["coverage"]) * len(right)
            counts = np.clip(np.round(ends).astype(int), 1, None)
            true_precision = np.cumsum(right)[counts - 1] / counts
        chosen = None
        if promise["coverage"] > 0:
            ends = promise["precision_interval"]
            chosen = (promise["coverage"], promise["precision"], *ends)
        return cls(
            **promise["curve"],
            target_precision=promise["target_precision"],
            chosen=chosen,
            true_precision=true_precision,
        ).plot(ax)

    def _check(self):
        n_points = len(self.coverage)
        if not n_points:
            raise ValueError("coverage has no points; give at least one.")
        for name in ("precision", "low", "high", "true_precision"):
            values = getattr(self, name)
            if values is not None and len(values) != n_points:
                raise ValueError(
                    f"{name} has {len(values)} values for {n_points} points."
                )
