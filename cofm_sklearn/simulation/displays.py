"""Plots of wrong labels: the suspects, and which classes get confused."""

import numpy as np

from cofm_sklearn.utils.labels import encode_labels
from cofm_sklearn.utils.optional import start_plot
from cofm_sklearn.utils.pipelines import resamples, split_pipeline
from cofm_sklearn.utils.texts import check_texts, is_text, verbatim
from cofm_sklearn.utils.validation import (
    check_integer,
    n_rows,
    take_rows,
)

__all__ = ["NoiseMatrixDisplay", "SuspectsDisplay"]

_MAX_TEXT = 46
# Above this many classes, the numbers in the cells are not legible.
_MAX_NUMBERS = 20


class SuspectsDisplay:
    """Table of the labels that are most likely wrong, with each model's prediction.

    A row shows a sample, its given label, the most likely class of every model, and the
    quality of the label. The darker a model's cell, the less likely this model finds
    the given label. Use `from_estimator` to create and draw it.

    Parameters
    ----------
    samples : sequence of str of length n_suspects
        Text to show for each sample, the worst first.

    labels : array-like of shape (n_suspects,)
        The given labels.

    quality : array-like of shape (n_suspects,)
        Probability that each given label is right.

    opinions : dict of str to ndarray of shape (n_suspects, n_classes)
        Name of a model -> its class probabilities.

    classes : array-like of shape (n_classes,)
        Labels of the columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the table.

    figure_ : matplotlib Figure
        Its figure.

    cells_ : list of list of matplotlib Text
        Texts, row by row: given label, one per model, quality.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.simulation import SuspectsDisplay
    >>> display = SuspectsDisplay(
    ...     ["free prize, call now"], ["ham"], [0.04],
    ...     {"small model": np.array([[0.2, 0.8]]), "prior": np.array([[0.1, 0.9]])},
    ...     classes=["ham", "spam"]).plot()
    >>> [cell.get_text() for cell in display.cells_[0]]
    ['ham', 'spam .80', 'spam .90', '.04']
    """

    def __init__(self, samples, labels, quality, opinions, *, classes):
        self.samples = samples
        self.labels = labels
        self.quality = quality
        self.opinions = opinions
        self.classes = classes

    def plot(self, ax=None, *, cmap="Reds"):
        """Draw the table.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure of fitting size.

        cmap : str or matplotlib Colormap, default="Reds"
            Colours for the doubt in the given label, from none to full.

        Returns
        -------
        display : SuspectsDisplay
            The object itself, with ``ax_``, ``figure_`` and ``cells_``.

        Raises
        ------
        ValueError
            If there are no samples, lengths differ, or a label is not in `classes`.

        ImportError
            If matplotlib is not installed.
        """
        codes, doubts = self._check()
        n_suspects, names = len(codes), list(self.opinions)
        size = (4.8 + 1.7 * len(names), 1.0 + 0.36 * n_suspects)
        ax = start_plot(self, ax, figsize=size)
        # White background for label and quality; the other cells stay legible.
        blank = np.full(n_suspects, np.nan)
        colors = np.column_stack([blank, doubts, blank])
        ax.imshow(colors, cmap=cmap, vmin=0, vmax=2, aspect="auto")
        classes = [verbatim(name, 18) for name in self.classes]
        texts = [[classes[code]] for code in codes]
        for name in names:
            proba = np.asarray(self.opinions[name])
            for row, p in zip(texts, proba, strict=True):
                row.append(f"{classes[p.argmax()]} {_short(p.max())}")
        for row, quality in zip(texts, self.quality, strict=True):
            row.append(_short(quality))
        self.cells_ = [
            [
                ax.text(j, i, text, ha="center", va="center", fontsize=9)
                for j, text in enumerate(row)
            ]
            for i, row in enumerate(texts)
        ]
        ax.set_xticks(
            range(len(names) + 2), ["given", *map(verbatim, names), "quality"]
        )
        ax.xaxis.tick_top()
        shown = [verbatim(sample, _MAX_TEXT) for sample in self.samples]
        ax.set_yticks(range(n_suspects), shown)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.hlines(
            np.arange(n_suspects - 1) + 0.5,
            -0.5,
            len(names) + 1.5,
            color="0.85",
            lw=0.7,
        )
        return self

    @classmethod
    def from_estimator(
        cls, estimator, X, y=None, *, samples=None, n_suspects=10, ax=None, cmap="Reds"
    ):
        """Create and draw the suspects among an estimator's training labels.

        Parameters
        ----------
        estimator : estimator
            Fitted `CoDecisionClassifier`, a pipeline that ends in one, or an
            `ActiveLearningClassifier` of either.

        X : array-like of length n_samples
            The samples of `fit`; for `ActiveLearningClassifier`, its whole pool.

        y : array-like of shape (n_samples,) or None, default=None
            The labels of `fit`; omit them for `ActiveLearningClassifier`.

        samples : sequence of length n_samples or None, default=None
            What to show for each sample of X; None shows texts as they are, else row
            numbers.

        n_suspects : int, default=10
            Number of labels of lowest quality to show; at most all.

        ax, cmap
            As in `plot`.

        Returns
        -------
        display : SuspectsDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If the estimator is not fitted on these samples, has no label quality, or
            `n_suspects` is below 1.
        """
        check_integer("n_suspects", n_suspects, 1)
        X = check_texts(X) if is_text(X) else X
        if samples is None:
            samples = X if is_text(X) else [f"row {i}" for i in range(n_rows(X))]
        elif len(samples) != n_rows(X):
            raise ValueError(f"samples has {len(samples)} items for {n_rows(X)} rows.")
        model, X, y, rows = _trained_on(estimator, X, y)
        quality = model.label_quality_
        worst = np.argsort(quality, kind="stable")[:n_suspects]
        Z = take_rows(X, worst)
        opinions = {"small model": model.small_model_proba(Z)}
        if model.prior_ is not None:
            opinions["prior"] = model.prior_proba(Z)
        opinions["co-decision"] = model.predict_proba(Z)
        shown = take_rows(samples, rows[worst])
        display = cls(
            list(np.ravel(shown)),
            np.asarray(y)[worst],
            quality[worst],
            opinions,
            classes=model.classes_,
        )
        return display.plot(ax, cmap=cmap)

    def _check(self):
        """Return the label codes, and each model's doubt in the labels."""
        n_suspects = len(self.samples)
        if not n_suspects:
            raise ValueError("samples is empty; give at least one.")
        codes = encode_labels(self.labels, self.classes, name="labels")
        for name, values in {"labels": codes, "quality": self.quality}.items():
            if len(values) != n_suspects:
                raise ValueError(
                    f"{name} has {len(values)} items for {n_suspects} samples."
                )
        shape = (n_suspects, len(self.classes))
        for name, proba in self.opinions.items():
            if np.shape(proba) != shape:
                raise ValueError(
                    f"opinions[{name!r}] must have shape {shape}, one row per sample "
                    f"and one column per class; got {np.shape(proba)}."
                )
        rows = np.arange(n_suspects)
        doubts = [1 - np.asarray(p)[rows, codes] for p in self.opinions.values()]
        return codes, np.array(doubts).T


class NoiseMatrixDisplay:
    """Heat map of how often each true class gets each label.

    Use `from_estimator` or `from_labels` to create and draw it.

    Parameters
    ----------
    noise_matrix : array-like of shape (n_classes, n_classes)
        Rows are true classes, columns given labels; each row sums to 1, or is 0 for a
        class without samples.

    classes : array-like of shape (n_classes,)
        Labels of rows and columns.

    Attributes
    ----------
    ax_ : matplotlib Axes
        The axes with the heat map.

    figure_ : matplotlib Figure
        Its figure.

    im_ : matplotlib AxesImage
        The heat map.

    text_ : ndarray of shape (n_classes, n_classes), dtype object, or None
        The numbers in the cells; None if there are too many.

    Examples
    --------
    >>> from cofm_sklearn.simulation import NoiseMatrixDisplay
    >>> display = NoiseMatrixDisplay.from_labels(
    ...     ["ham", "ham", "spam", "spam"], ["ham", "spam", "spam", "spam"])
    >>> display.noise_matrix.tolist()
    [[0.5, 0.5], [0.0, 1.0]]
    """

    def __init__(self, noise_matrix, *, classes):
        self.noise_matrix = noise_matrix
        self.classes = classes

    def plot(self, ax=None, *, cmap="Blues", colorbar=True):
        """Draw the heat map.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where to draw; None makes a new figure.

        cmap : str or matplotlib Colormap, default="Blues"
            Colours from 0 to 1.

        colorbar : bool, default=True
            Whether to draw the colour bar.

        Returns
        -------
        display : NoiseMatrixDisplay
            The object itself, with ``ax_``, ``figure_``, ``im_`` and ``text_``.

        Raises
        ------
        ValueError
            If the matrix is not square, does not match `classes`, or its rows do not
            sum to 1.

        ImportError
            If matplotlib is not installed.
        """
        matrix = self._check()
        n_classes = len(matrix)
        side = min(3.2 + 0.45 * n_classes, 12)
        ax = start_plot(self, ax, figsize=(side + 0.8, side))
        self.text_ = None
        self.im_ = ax.imshow(matrix, cmap=cmap, vmin=0, vmax=1)
        if n_classes <= _MAX_NUMBERS:
            self.text_ = np.empty(matrix.shape, dtype=object)
            for (i, j), value in np.ndenumerate(matrix):
                color = "white" if value > 0.55 else "black"
                self.text_[i, j] = ax.text(
                    j, i, _short(value), ha="center", va="center", color=color
                )
        many = n_classes > _MAX_NUMBERS
        names = [verbatim(name, 30 if many else 18) for name in self.classes]
        rotation = 0 if sum(map(len, names)) < 24 else 90 if many else 60
        turned = {"ha": "right", "rotation_mode": "anchor"} if rotation else {}
        if many:
            turned["va"] = "center"
        # A line of text has 72 / 0.8 points in each inch of the axes.
        ax.tick_params(labelsize=min(10, 50 * side / n_classes))
        ax.set_xticks(range(n_classes), names, rotation=rotation, **turned)
        ax.set_yticks(range(n_classes), names)
        ax.set_xlabel("Given label")
        ax.set_ylabel("True class")
        if colorbar:
            ax.figure.colorbar(self.im_, ax=ax, label="Share of the true class")
        return self

    @classmethod
    def from_labels(cls, y_true, y_given, *, classes=None, ax=None, cmap="Blues"):
        """Create and draw the matrix from true classes and given labels.

        Parameters
        ----------
        y_true : array-like of shape (n_samples,)
            True classes.

        y_given : array-like of shape (n_samples,)
            Given labels.

        classes : array-like of shape (n_classes,) or None, default=None
            Classes in display order; None uses those that occur, sorted.

        ax, cmap
            As in `plot`.

        Returns
        -------
        display : NoiseMatrixDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If lengths differ or a label is not in `classes`.
        """
        if len(y_true) != len(y_given):
            raise ValueError(
                f"y_true has {len(y_true)} labels and y_given {len(y_given)}."
            )
        if classes is None:
            classes = np.union1d(y_true, y_given)
        one_hot = np.eye(len(classes))
        true = one_hot[encode_labels(y_true, classes, "y_true")]
        given = one_hot[encode_labels(y_given, classes, "y_given")]
        counts = true.T @ given
        shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
        return cls(shares, classes=classes).plot(ax, cmap=cmap)

    @classmethod
    def from_estimator(cls, estimator, *, ax=None, cmap="Blues"):
        """Create and draw the noise that an estimator finds in its training labels.

        Parameters
        ----------
        estimator : estimator
            Fitted `CoDecisionClassifier`, a pipeline that ends in one, or an
            `ActiveLearningClassifier` of either.

        ax, cmap
            As in `plot`.

        Returns
        -------
        display : NoiseMatrixDisplay
            The drawn display.

        Raises
        ------
        ValueError
            If the estimator is not fitted or has no label quality.
        """
        _, model = _model_in(estimator)
        return cls(model.noise_matrix_, classes=model.classes_).plot(ax, cmap=cmap)

    def _check(self):
        matrix = np.asarray(self.noise_matrix, dtype=float)
        n_classes = len(self.classes)
        if matrix.shape != (n_classes, n_classes):
            raise ValueError(
                f"noise_matrix must be square with a row per class, "
                f"{(n_classes, n_classes)}; got {matrix.shape}."
            )
        sums = matrix.sum(axis=1)
        if (matrix < 0).any() or not (np.isclose(sums, 1) | (sums == 0)).all():
            raise ValueError(
                "noise_matrix must have rows of probabilities that sum to 1: rows are "
                "true classes. Divide each row by its sum."
            )
        return matrix


def _model_in(estimator):
    """Return the transformers and the `CoDecisionClassifier` of an estimator."""
    if hasattr(estimator, "labeled_indices_"):
        estimator = estimator.estimator_
    transformers, model = split_pipeline(estimator)
    if resamples(estimator):
        raise ValueError(
            "The sampler before the co-decision changes the samples, so its qualities "
            "are not those of X. Put it inside, before the small model: "
            "CoDecisionClassifier(make_pipeline(sampler, small_model))."
        )
    if not hasattr(model, "label_quality_"):
        raise ValueError(
            f"{type(model).__name__} has no label_quality_; fit a "
            "CoDecisionClassifier first."
        )
    return transformers, model


def _trained_on(estimator, X, y):
    """Return an estimator's model with its training samples and labels.

    The last result is the positions of these samples in X.
    """
    transformers, model = _model_in(estimator)
    rows = np.arange(n_rows(X))
    if hasattr(estimator, "labeled_indices_"):
        rows, y = estimator.labeled_indices_, estimator.labels_
        X = take_rows(X, rows)
    if y is None or not len(y) == n_rows(X) == len(model.label_quality_):
        raise ValueError(
            "X and y must be the samples and labels that the estimator was fitted on: "
            f"it has the quality of {len(model.label_quality_)} labels."
        )
    for step in transformers:
        X = step.transform(X)
    return model, X, y, rows


def _short(value):
    """Format a share as .04."""
    return f"{value:.2f}".removeprefix("0")
