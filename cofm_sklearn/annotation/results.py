"""Results of a session: predictions, the model, labels."""

from pathlib import Path

import numpy as np
import pandas as pd

from cofm_sklearn.annotation.exchange import labels_frame, write_frame
from cofm_sklearn.annotation.parts import SessionPart
from cofm_sklearn.annotation.report import report_html
from cofm_sklearn.loop.check_score import score_check_set
from cofm_sklearn.utils.files import whole_file
from cofm_sklearn.utils.validation import (
    check_option,
    check_pool,
    n_rows,
    take_rows,
)

__all__ = ["Results"]


class Results(SessionPart):
    """The part of a session that returns its results."""

    def predict(self, X=None):
        """Predict with a model trained on all labels so far.

        Parameters
        ----------
        X : array-like of length n_samples or None, default=None
            Samples; None uses the pool.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If there are neither labels nor a prior.
        """
        X = self.X if X is None else check_pool(X, "X")
        return self._model(X).predict(X)

    def predict_proba(self, X=None):
        """Predict class probabilities with a model trained on all labels so far.

        Parameters
        ----------
        X : array-like of length n_samples or None, default=None
            Samples; None uses the pool.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes`.

        Raises
        ------
        ValueError
            If there are neither labels nor a prior.
        """
        X = self.X if X is None else check_pool(X, "X")
        model = self._model(X)
        return self._learn().learning.aligned(model, model.predict_proba(X))

    def label_pool(self, *, target_precision=None):
        """Label the whole pool: with people's answers, and predictions for the rest.

        Parameters
        ----------
        target_precision : float or None, default=None
            As in `cofm_sklearn.models.label_pool`.

        Returns
        -------
        DataFrame
            As returned by `cofm_sklearn.models.label_pool`, one row per row of X, with
            its index, using the check set. Its `attrs` count equal samples once.

        Raises
        ------
        ValueError
            If there are neither labels nor a prior, or the target is not in (0, 1).

        TypeError
            If the estimator has no `predict_proba`.
        """
        taught = self._learn()
        table = taught.learning.label_pool(
            taught, self._model(self.X), self._ids, target_precision
        )
        if self._names.index is not None:
            table.index = self._names.index
        return table

    def check_score(self):
        """Score the model, trained on all other labels, on the check set.

        Returns
        -------
        CheckScore or None
            None as long as the check set has no answers.
        """
        taught = self._learn()
        counts = taught.learning.check(taught)
        return None if counts is None else score_check_set(counts)

    @property
    def labeled(self):
        """Rows of X with a label, in the order of the first answer."""
        return self._learn().all_rows

    @property
    def labels_(self):
        """The label of each row in `labeled`."""
        return self._learn().all_labels

    @property
    def model_(self):
        """The model, fitted on all labels so far except those of the check set.

        It is an ordinary estimator: ``joblib.dump(session.model_, path)`` saves it, and
        it predicts without the session. A co-decision with neighbours contains samples
        of the pool.

        Another session can use it as a prior that is not trained again.

        Examples
        --------
        >>> from sklearn.datasets import make_blobs
        >>> from sklearn.frozen import FrozenEstimator
        >>> from sklearn.linear_model import LogisticRegression
        >>> from cofm_sklearn import AnnotationSession, CoDecisionClassifier
        >>> X, y = make_blobs([60, 60], n_features=4, random_state=0)
        >>> first = CoDecisionClassifier(LogisticRegression())
        >>> with AnnotationSession(X[:60], first, classes=[0, 1]) as session:
        ...     for question in session.ask(20):
        ...         session.answer(question.id, y[question.index])
        ...     last_week = FrozenEstimator(session.model_)
        >>> model = CoDecisionClassifier(LogisticRegression(), prior=last_week)
        >>> with AnnotationSession(X[60:], model) as session:
        ...     session.ask()[0].prior_proba is not None
        True

        If the model is a pipeline with an encoder, `old`, use the same encoder:
        ``make_pipeline(*old[:-1], CoDecisionClassifier(estimator,
        FrozenEstimator(old[-1])))``.
        """
        return self._model(self.X)

    def pool_map(self):
        """Return a map of the pool: two principal components of the embeddings.

        Returns
        -------
        DataFrame
            A row per distinct sample, indexed by the row of X: `id`, `x`, `y`, `label`
            and `predicted` (None if there is none), and whether it was `asked`.

        Raises
        ------
        ValueError
            If there is no encoder for the samples.

        See Also
        --------
        cofm_sklearn.annotation.PoolMapDisplay : Plots it.
        """
        taught = self._learn()
        places = taught.learning.surroundings.map()
        if places is None:
            raise ValueError(
                "There is no map, as there is no encoder for these samples. Use a "
                "pipeline with an encoder."
            )
        rows = np.fromiter(self._rows.values(), dtype=np.int64)
        labels = dict(zip(taught.all_rows.tolist(), taught.all_labels.tolist()))
        predicted = [None] * len(rows)
        if len(taught.rows) or taught.learning.has_prior:
            predicted = self.predict(take_rows(self.X, rows)).tolist()
        asked = self._batches.shown()
        return pd.DataFrame(
            {
                "id": [self._ids[row] for row in rows],
                "x": places[rows, 0],
                "y": places[rows, 1],
                "label": pd.Series(
                    [labels.get(row) for row in rows.tolist()], rows, object
                ),
                "predicted": pd.Series(predicted, rows, object),
                "asked": [self._ids[row] in asked for row in rows],
            },
            index=rows,
        )

    def write_report(self, path, *, kind="auto"):
        """Write a report on labels, corrections and open issues as one HTML file.

        Parameters
        ----------
        path : str or path-like
            Output file; an existing one is replaced when the new file is complete.

        kind : {"auto", "text", "image"}, default="auto"
            How to show samples. ``"auto"`` shows paths given as str as text.
        """
        self._check(None)
        check_option("kind", kind, ("auto", "text", "image"))
        content = report_html(self, kind)
        with whole_file(Path(path)) as part:
            Path(part).write_text(content, encoding="utf-8", errors="replace")

    def export(self, path=None, format=None, *, checksum=False):
        """Return all labels as a table, and write it to a file.

        Parameters
        ----------
        path : str, path-like or None, default=None
            Output file; None only returns the table. An existing file is replaced when
            the new one is complete. In CSV, texts that a spreadsheet would interpret as
            formulas (they begin with ``= + - @``, a tab or a carriage return) are
            prefixed with ``'``; `import_labels` removes it.

        format : {"csv", "parquet", "jsonl"} or None, default=None
            None uses the suffix of the file.

        checksum : bool, default=False
            Whether to write ``<path>.sha256`` beside the file, like ``sha256sum``. If
            it exists, `import_labels` rejects a file that has changed.

        Returns
        -------
        DataFrame
            A row per sample and annotator: `id`, `index` in X (missing if the sample is
            not in this pool), `label`, `annotator`, `time` (UTC), and `sample` if it is
            a text or path.
        """
        self._check(None)
        frame = labels_frame(self._answers.refresh(), self._rows, self.X)
        if path is not None:
            write_frame(frame, Path(path), format, checksum)
        return frame

    def _model(self, X):
        taught = self._learn()
        if len(taught.rows):
            return taught.learner.estimator
        return taught.learning.prior_alone(take_rows(X, np.arange(min(n_rows(X), 1))))
