"""The part of a session for search, and for labelling without being asked."""

import numpy as np
import pandas as pd

from cofm_sklearn.annotation.parts import SessionPart
from cofm_sklearn.annotation.views import make_question
from cofm_sklearn.utils.texts import is_text
from cofm_sklearn.utils.validation import (
    check_integer,
    check_option,
    n_rows,
    take_rows,
)

__all__ = ["Finding"]

_ORDERS = ("pool", "uncertain", "suspects")


class Finding(SessionPart):
    """Search and filter the pool, and label any of its samples."""

    def search(self, text=None, *, predicted=None, labeled=None, order="pool", n=20):
        """Search the pool for samples, labelled or not.

        Parameters
        ----------
        text : str or None, default=None
            Substring of the sample's text, or of a cell of its row; case is ignored.

        predicted : label or None, default=None
            The predicted class.

        labeled : bool or None, default=None
            Whether the samples have a label; None finds both.

        order : {"pool", "uncertain", "suspects"}, default="pool"
            Pool order; the least certain predictions first; or only labelled samples,
            the most likely wrong labels first.

        n : int, default=20
            Maximal number of samples.

        Returns
        -------
        list of Question
            With the label, if there is one. Answer them with `label` or `relabel`.

        Raises
        ------
        ValueError
            If the pool has no text to search, a class or an order is unknown, or the
            model has no predictions where they are needed.

        TypeError
            If `text` is not a str, or `labeled` not a bool.
        """
        self._check(None)
        check_integer("n", n, 1)
        check_option("order", order, _ORDERS)
        if labeled is not None and not isinstance(labeled, bool | np.bool_):
            raise TypeError(f"labeled must be True, False or None, got {labeled!r}.")
        if text is not None and not isinstance(text, str):
            raise TypeError(f"text must be a str or None, got {text!r}.")
        known = isinstance(predicted, str | int | np.generic)
        if predicted is not None and not (known and predicted in self.classes):
            raise ValueError(
                f"Unknown class {predicted!r}; the classes are {self.classes}."
            )
        rows = np.fromiter(self._rows.values(), dtype=np.int64)
        history = self._answers.refresh()
        if labeled is not None or order == "suspects":
            wanted = True if labeled is None else bool(labeled)
            has = np.array([self._ids[row] in history.answers for row in rows])
            rows = rows[has == wanted]
        if text:
            rows = rows[self._contain(text, rows)]
        quality = {}
        if order == "suspects":
            taught = self._learn()
            found = taught.learning.label_quality(taught) if len(taught.rows) else []
            quality = dict(zip(taught.rows.tolist(), found))
            rows = np.array([r for r in rows if r in quality], dtype=np.int64)
            rows = np.array(sorted(rows, key=quality.__getitem__), dtype=np.int64)
        if (predicted is not None or order == "uncertain") and len(rows):
            proba = self.predict_proba(take_rows(self.X, rows))
            if predicted is not None:
                keep = proba.argmax(axis=1) == self.classes.index(predicted)
                rows, proba = rows[keep], proba[keep]
            if order == "uncertain":
                rows = rows[np.argsort(proba.max(axis=1), kind="stable")]
        return self._found(rows[:n], history, quality)

    def label(self, ids, labels, annotator=None):
        """Label any samples of the pool that have no label, without being asked.

        Models learn from these labels. As the samples were not drawn at random, they
        are never part of the check set.

        Parameters
        ----------
        ids : str or list of str
            Ids from `search`, `near_duplicates` or `id_of`.

        labels : label or list of labels
            One label per id.

        annotator : str or None, default=None
            Who gives the label; None uses the session's own.

        Raises
        ------
        ValueError
            If a label is not a class, or an id is not in the pool or has a label. Then
            nothing is written.
        """
        self._answers.say("label", ids, labels, self._check(annotator))

    def near_duplicates(self, sample):
        """Find near-duplicates of a sample that are predicted as the same class.

        Parameters
        ----------
        sample : str
            Id of a sample of the pool.

        Returns
        -------
        list of Question
            Those without a label, at most 12. Empty if one that has a label differs
            from the class predicted for this sample, or if the model predicts another
            class for one of them or has no predictions. Samples drawn for the check set
            are never included.

        Raises
        ------
        ValueError
            If the id is not in the pool.
        """
        self._check(None)
        self._answers.check_in_pool(sample)
        history = self._answers.refresh()
        taught = self._learn()
        (found,) = self._batches.near(taught, history, [self._rows[sample]])
        rows = np.array([self._rows[other] for other in found], dtype=np.int64)
        return self._found(rows, history, {})

    def _found_one(self, sample):
        """Return one sample as a Question, with the current model's predictions."""
        history = self._answers.refresh()
        rows = np.array([self._rows[sample]], dtype=np.int64)
        return self._background.run(lambda: self._found(rows, history, {})[0])

    def _found(self, rows, history, quality):
        taught = self._learn()
        labels = dict(zip(taught.all_rows.tolist(), taught.all_labels.tolist()))
        details = taught.learning.look_at(taught, rows)
        return [
            make_question(
                self.X,
                int(row),
                self._ids[row],
                one,
                self.classes,
                label=labels.get(row),
                label_quality=quality.get(row),
                annotator=", ".join(history.answers.get(self._ids[row], ())) or None,
            )
            for row, one in zip(rows.tolist(), details)
        ]

    def _contain(self, text, rows):
        if self._texts is None:
            self._texts = _texts_of(self.X)
        wanted = text.casefold()
        return np.array([wanted in self._texts[row] for row in rows], dtype=bool)


def _texts_of(X):
    """Return the searchable text of each sample, in lower case.

    Raises
    ------
    ValueError
        If there is no text.
    """
    if isinstance(X, pd.DataFrame):
        columns = [X.iloc[:, j].tolist() for j in range(X.shape[1])]
        return ["\n".join(map(str, row)).casefold() for row in zip(*columns)]
    some = X[0] if n_rows(X) else None
    if is_text(X) or hasattr(some, "__fspath__"):
        return [str(one).casefold() for one in X]
    raise ValueError(
        "The pool has no text to search. Use predicted= or order= instead of text=."
    )
