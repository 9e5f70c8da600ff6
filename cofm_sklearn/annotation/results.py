"""What comes out of a session: predictions, the model, labels."""

from pathlib import Path

import numpy as np

from cofm_sklearn.annotation.exchange import labels_frame, write_frame
from cofm_sklearn.utils.validation import check_pool, n_rows, take_rows

__all__ = ["Results"]


class Results:
    """The part of a session that gives its results away."""

    def predict(self, X=None):
        """Predict with a model that is trained on all labels so far.

        Parameters
        ----------
        X : array-like of length n_samples or None, default=None
            Samples; None takes the pool.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        ValueError
            If there is neither a label nor a prior.
        """
        X = self.X if X is None else check_pool(X, "X")
        return self._model(X).predict(X)

    def predict_proba(self, X=None):
        """Return class probabilities, of a model that is trained on all labels so far.

        Parameters
        ----------
        X : array-like of length n_samples or None, default=None
            Samples; None takes the pool.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes`.

        Raises
        ------
        ValueError
            If there is neither a label nor a prior.
        """
        X = self.X if X is None else check_pool(X, "X")
        model = self._model(X)
        return self._learn().learning.aligned(model, model.predict_proba(X))

    @property
    def labeled(self):
        """Rows of X that have a label, in the order of the first answer."""
        return self._learn().all_rows

    @property
    def labels_(self):
        """The label of each row in `labeled`."""
        return self._learn().all_labels

    def export(self, path=None, format=None):
        """Return all labels as a table, and write it.

        Parameters
        ----------
        path : str, path-like or None, default=None
            Where to; None only returns the table. What is there is replaced when the
            new file is complete. In CSV, texts that a spreadsheet would take for
            formulas (they begin with ``= + - @``, a tab or a carriage return) get a
            ``'`` in front; `import_labels` takes it away.

        format : {"csv", "parquet", "jsonl"} or None, default=None
            None goes by the ending of the file.

        Returns
        -------
        DataFrame
            A row per sample and annotator: `id`, `index` in X (missing where the
            sample is not in this pool), `label`, `annotator`, `time` (UTC), and
            `sample` where it is a text.
        """
        self._check(None)
        frame = labels_frame(self._answers.refresh(), self._rows, self.X)
        if path is not None:
            write_frame(frame, Path(path), format)
        return frame

    def _model(self, X):
        taught = self._learn()
        if len(taught.rows):
            return taught.learner.estimator
        return taught.learning.prior_alone(take_rows(X, np.arange(min(n_rows(X), 1))))
