"""Map of the pool in two dimensions."""

import numpy as np

from cofm_sklearn.utils.optional import import_optional, start_plot
from cofm_sklearn.utils.texts import verbatim

__all__ = ["PoolMapDisplay"]

# Colours repeat after 10 classes, and marks after 8: no two of 40 classes look alike.
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_MAX_LEGEND, _MAX_NAME = 40, 26
# Lines in one column of the legend.
_LINES = 20


class PoolMapDisplay:
    """A map of the pool with labels, predictions and queries.

    Parameters
    ----------
    frame : DataFrame
        As returned by `AnnotationSession.pool_map`.

    classes : list
        All classes.

    Attributes
    ----------
    ax_ : matplotlib Axes

    figure_ : matplotlib Figure

    See Also
    --------
    cofm_sklearn.AnnotationSession.pool_map : Returns the same as a table.

    Examples
    --------
    >>> import pandas as pd
    >>> from cofm_sklearn.annotation import PoolMapDisplay
    >>> frame = pd.DataFrame({"x": [0.0, 1.0], "y": [0.0, 1.0], "label": ["ham", None],
    ...                       "predicted": ["ham", "spam"], "asked": [True, False]})
    >>> display = PoolMapDisplay(frame, classes=["ham", "spam"]).plot()
    >>> [text.get_text() for text in display.ax_.get_legend().get_texts()]
    ['ham', 'spam', 'labelled', 'asked, without label']
    """

    def __init__(self, frame, *, classes):
        self.frame = frame
        self.classes = classes

    def plot(self, ax=None, *, cmap="tab10"):
        """Draw the map.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        cmap : str or matplotlib Colormap, default="tab10"
            Colours of the classes, in their order. Marks differ as well.

        Returns
        -------
        display : PoolMapDisplay
            The object itself, with ``ax_`` and ``figure_``.

        Raises
        ------
        ValueError
            If the frame lacks a column.

        ImportError
            If matplotlib is not installed.
        """
        missing = {"x", "y", "label", "predicted", "asked"} - set(self.frame.columns)
        if missing:
            raise ValueError(
                f"frame lacks the columns {sorted(missing)}; pass pool_map()."
            )
        n_columns = -(-(len(self.classes) + 2) // _LINES)
        names = [verbatim(name, _MAX_NAME) for name in self.classes]
        longest = max(map(len, [*names, "asked, without label"]))
        width = 5.2 + (0.4 + 0.055 * longest) * n_columns
        ax = start_plot(self, ax, figsize=(width, 5.2))
        colormaps = import_optional("matplotlib", needed_by="plot").colormaps
        colors = colormaps.get_cmap(cmap)
        frame, labelled = self.frame, self.frame["label"].notna()
        asked = frame["asked"] & ~labelled
        for k, name in enumerate(self.classes):
            expected = frame[~labelled & (frame["predicted"] == name)]
            look = {
                "color": colors(k % colors.N),
                "marker": _MARKERS[k % len(_MARKERS)],
            }
            ax.scatter(expected["x"], expected["y"], s=7, **look, alpha=0.3, lw=0)
            given = frame[frame["label"] == name]
            # Drawn even if empty, so that it appears in the legend.
            ax.scatter(
                given["x"],
                given["y"],
                s=34,
                **look,
                ec="black",
                lw=0.8,
                label=names[k],
            )
        unknown = frame[~labelled & frame["predicted"].isna()]
        ax.scatter(unknown["x"], unknown["y"], s=7, color="0.6", alpha=0.5, lw=0)
        ax.scatter([], [], s=34, color="white", ec="black", lw=0.8, label="labelled")
        ax.scatter(
            frame["x"][asked],
            frame["y"][asked],
            s=40,
            facecolor="none",
            ec="0.4",
            lw=0.8,
            label="asked, without label",
        )
        ax.set_xticks([])
        ax.set_yticks([])
        ax.set_aspect("equal", anchor="W")
        if len(self.classes) <= _MAX_LEGEND:
            # Beside the map, where it hides no sample.
            beside = {"loc": "upper left", "bbox_to_anchor": (1, 1)}
            ax.legend(fontsize=8, ncols=n_columns, **beside)
        return self

    @classmethod
    def from_session(cls, session, *, ax=None, cmap="tab10"):
        """Create and draw the current map of a session's pool.

        Parameters
        ----------
        session : AnnotationSession

        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        cmap : str or matplotlib Colormap, default="tab10"
            Colours of the classes, in their order.

        Returns
        -------
        PoolMapDisplay

        Raises
        ------
        ValueError
            If there is no encoder for the samples.
        """
        return cls(session.pool_map(), classes=session.classes).plot(ax, cmap=cmap)


def drawn_map(frame, n_points):
    """Return the part of a map to draw, with positions from 0 to 1.

    All labelled samples, which come last to be on top, and as many of the others as
    there is room for. Both axes have the same scale.
    """
    places = frame[["x", "y"]].to_numpy()
    low, high = np.min(places, axis=0), np.max(places, axis=0)
    size = max(float((high - low).max()), 1e-12)
    places = (places - (low + high) / 2) / size + 0.5
    frame = frame.assign(x=places[:, 0], y=places[:, 1])
    given = np.flatnonzero(frame["label"].notna())
    others = np.setdiff1d(np.arange(len(frame)), given)
    room = max(n_points - len(given), 0)
    if len(others) > room:
        others = np.random.RandomState(0).choice(others, room, replace=False)
    return frame.iloc[[*others, *given]]
