"""Plot of weak class descriptions."""

import textwrap

import numpy as np
import pandas as pd

from cofm_sklearn.models import review_descriptions
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.texts import verbatim

__all__ = ["DescriptionsDisplay"]

_WIDTH = 44
_VERDICTS = {"helps": "#3b8a5a", "says nothing": "0.85", "misleads": "#c0504d"}


class DescriptionsDisplay:
    """Bars per class: how often the prior predicts it, and if its description helps.

    On the left, the share of the pool that the prior assigns to the class; on the
    right, the verdict of the labels: the probability that closeness to the description
    is evidence for the class, says nothing, or is evidence against it. Use `from_prior`
    to create and draw it.

    Parameters
    ----------
    review : DescriptionReview
        Result of `cofm_sklearn.models.review_descriptions`.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes
        One without labels, two with them.

    figure_ : matplotlib Figure
        Their figure.

    Examples
    --------
    >>> from cofm_sklearn import ZeroShotPrior
    >>> from cofm_sklearn.simulation import DescriptionsDisplay
    >>> texts = ["the match ended two to one", "shares fell after the report",
    ...          "the goalkeeper was injured", "the bank raised its rates"]
    >>> prior = ZeroShotPrior({"sport": "a sports game", "money": "the economy"})
    >>> display = DescriptionsDisplay.from_prior(prior, texts)
    >>> [float(bar.get_width()) for bar in display.axes_[0].patches]
    [0.5, 0.5]
    """

    def __init__(self, review):
        self.review = review

    def plot(self):
        """Draw the bars, in a new figure of fitting size.

        Returns
        -------
        display : DescriptionsDisplay
            The object itself, with ``axes_`` and ``figure_``.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        pyplot = import_optional(
            "matplotlib.pyplot", needed_by="DescriptionsDisplay.plot"
        )
        table = self.review.descriptions
        judged = "helps" in table
        n_panels = 1 + judged
        self.figure_, axes = pyplot.subplots(
            1,
            n_panels,
            figsize=(4.6 + 3.2 * judged, 1.0 + 0.6 * len(table)),
            layout="constrained",
            sharey=True,
            squeeze=False,
        )
        self.axes_ = axes[0]
        rows = np.arange(len(table))
        names = [
            verbatim(f"{label}: {_wrapped(text)}")
            for label, text in table["description"].items()
        ]
        left = self.axes_[0]
        left.barh(rows, table["share"], color="#4c72b0", height=0.6)
        left.axvline(1 / len(table), color="0.5", lw=0.8, ls=":")
        left.set_yticks(rows, names, fontsize=8)
        left.invert_yaxis()
        left.set_xlabel("share of the pool")
        if judged:
            self._plot_verdicts(self.axes_[1], table, rows)
        for ax in self.axes_:
            ax.spines[["top", "right"]].set_visible(False)
            ax.tick_params(axis="y", length=0)
        return self

    @staticmethod
    def _plot_verdicts(ax, table, rows):
        shares = {"helps": table["helps"], "misleads": table["misleads"]}
        shares["says nothing"] = 1 - table["helps"] - table["misleads"]
        start = np.zeros(len(table))
        for verdict, color in _VERDICTS.items():
            ax.barh(
                rows,
                shares[verdict],
                left=start,
                color=color,
                height=0.6,
                label=verdict,
            )
            start += shares[verdict].to_numpy()
        for i, row in enumerate(table.itertuples()):
            words = f"{row.n_right} of {row.n_labels} right"
            if pd.notna(row.taken_for):
                words += f", else {row.taken_for}"
            ax.text(0.02, i, verbatim(words), va="center", fontsize=7)
        ax.set(xlim=(0, 1), xlabel="according to the labels, it")
        ax.legend(
            loc="lower center",
            bbox_to_anchor=(0.5, 1),
            ncols=3,
            frameon=False,
            fontsize=7,
        )

    @classmethod
    def from_prior(cls, prior, X, X_labeled=None, y_labeled=None):
        """Review the descriptions of a prior, and draw the result.

        Parameters
        ----------
        prior, X, X_labeled, y_labeled
            As in `cofm_sklearn.models.review_descriptions`.

        Returns
        -------
        display : DescriptionsDisplay
            The drawn display.

        Raises
        ------
        ValueError
            As in `review_descriptions`.
        """
        return cls(review_descriptions(prior, X, X_labeled, y_labeled)).plot()


def _wrapped(text):
    return textwrap.fill(text, _WIDTH, max_lines=3, placeholder="...")
