"""Annotation sessions: people label, a model learns."""

import os
import warnings
from contextlib import ExitStack
from typing import Any, cast

import numpy as np
from sklearn.base import clone

from cofm_sklearn.annotation.answers import Answers, check_name
from cofm_sklearn.annotation.background import Background
from cofm_sklearn.annotation.batches import Batches
from cofm_sklearn.annotation.changing import Changing
from cofm_sklearn.annotation.exchange import read_labels
from cofm_sklearn.annotation.finding import Finding
from cofm_sklearn.annotation.identity import PoolNames
from cofm_sklearn.annotation.learning import Learning, classes_of, label_of
from cofm_sklearn.annotation.results import Results
from cofm_sklearn.annotation.store import AnnotationStore, StoreError
from cofm_sklearn.annotation.views import Progress, make_question, summarise
from cofm_sklearn.loop.stopping import check_stopping
from cofm_sklearn.query import CoDecisionQuery
from cofm_sklearn.query.base import check_strategy
from cofm_sklearn.utils.pipelines import check_takes
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    check_pool,
)

__all__ = ["AnnotationSession"]


class AnnotationSession(Changing, Finding, Results):
    """Let people label the samples that a query strategy selects, and store the labels.

    An answer is on disk when `answer` returns. The estimator is trained in the
    background during labelling; the next batch of questions is computed while people
    answer the current one. To resume after a crash, or the next day, open the same file
    with the same pool.

    Parameters
    ----------
    X : array-like of length n_samples
        The pool: texts, embeddings, images, or a data frame. Samples are identified by
        their content, so the pool may be reordered or extended the next time. Equal
        samples are asked about once, and the label applies to all of them.

    estimator : classifier
        Trained on the labels; typically a `CoDecisionClassifier`, or a pipeline that
        ends in one. It is cloned, and an unfitted prior is fitted on all of X.

    query_strategy : callable or None, default=None
        Selects the questions; None uses `CoDecisionQuery()`.

    store : str, path-like or AnnotationStore, default=":memory:"
        The file. The default stores nothing on disk.

    classes : list of str or int, or None, default=None
        All classes; None uses those of the estimator's prior.

    n_instances : int, default=10
        Number of questions per batch.

    annotator : str, default="me"
        Default annotator. Annotators who work at the same time need different names: a
        question is shown to only one of them, and becomes free for others after 30
        minutes without an answer.

    check_share : float, default=0.1
        Share of the questions drawn at random for the check set: models are not trained
        on these labels, so that `progress` and `check_score` can estimate the accuracy
        on the whole pool. At most 0.5; 0 asks only questions of the query strategy.

    stopping : object or None, default=None
        A stopping rule; `progress` returns its decision. `TargetScore` uses the check
        set.

    background : bool, default=True
        Whether to train in a thread, instead of when needed; questions are the same.

    random_state : int, default=0
        Seed. Equal seeds, pools and answers give equal questions, on one machine.

    verbose : int, default=0
        Above 0, print a line when a file with answers is opened.

    Attributes
    ----------
    classes : list
        The current classes, sorted.

    labeled : ndarray of shape (n_labeled,), dtype int64
        Rows of X with a label, in the order of the first answer.

    labels_ : ndarray of shape (n_labeled,)
        Their labels; differing ones are combined by `combine_annotators`.

    Raises
    ------
    ValueError
        If the pool is empty, the classes are unknown or differ from those in the file,
        or a parameter is out of range.

    TypeError
        If `query_strategy` cannot be called, or `stopping` is no stopping rule.

    StoreError
        If the file cannot be used: locked, read-only, damaged, from a later version.

    Warns
    -----
    UserWarning
        If the estimator cannot be trained on these samples, or the file has labels of
        samples that are not in X.

    Notes
    -----
    Batch k + 1 is computed from the labels at the time when batch k was opened, or
    labels were last imported; open questions count as covered, with their expected
    label.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import AnnotationSession
    >>> X, y = make_blobs([40, 40], n_features=4, random_state=0)
    >>> with AnnotationSession(X, LogisticRegression(), classes=[0, 1]) as session:
    ...     for _ in range(4):
    ...         for question in session.ask(5):
    ...             session.answer(question.id, y[question.index])
    ...     session.progress().n_labels, session.predict(X).shape
    (20, (80,))
    """

    def __init__(
        self,
        X,
        estimator,
        query_strategy=None,
        *,
        store=":memory:",
        classes=None,
        n_instances=10,
        annotator="me",
        check_share=0.1,
        stopping=None,
        background=True,
        random_state=0,
        verbose=0,
    ):
        self.X = check_pool(X, "X")
        self.annotator = check_name(annotator)
        self.n_instances = n_instances
        check_integer("n_instances", n_instances, 1)
        check_integer("random_state", random_state, 0)
        check_number("check_share", check_share, 0, 0.5)
        classes = classes_of(estimator, classes)
        check_takes(estimator, self.X)
        if query_strategy is not None:
            check_strategy(query_strategy)
        check_stopping(stopping)
        self._taught = None  # (number of the last event, trained model)
        self._texts: Any = None  # texts for `search`, computed on first use
        self._measured = None  # (number of the last event, its scores)
        self._closed = False
        self._pid = os.getpid()
        self._own_store = not isinstance(store, AnnotationStore)
        self.store = AnnotationStore(store) if self._own_store else store
        with ExitStack() as failed:
            if self._own_store:
                failed.callback(self.store.close)
            self._names = PoolNames(X, self.X, self.store.samples())
            self._ids = self._names.ids
            self._rows = rows = self._names.rows
            learning = Learning(
                self.X,
                rows,
                estimator,
                CoDecisionQuery() if query_strategy is None else query_strategy,
                None if stopping is None else clone(stopping, safe=False),
                classes,
                int(random_state),
            )
            self._batches = Batches(
                self.store, learning, int(n_instances), float(check_share)
            )
            self._answers = Answers(self.store, self._batches, classes, rows)
            self._background = Background(self._batches, background)
            self._answers.enter_file()
            failed.pop_all()
        elsewhere = [s for s in self._answers.history.answers if s not in rows]
        if elsewhere:
            warnings.warn(
                f"{len(elsewhere)} of {len(self._answers.history.answers)} labelled "
                f"samples of {self.store.path} are not in X. Their labels stay in the "
                "file, but are not used here.",
                stacklevel=2,
            )
        if verbose > 0 and self._answers.history.last:
            print(f"{self.store.path}: {self._answers.history.last} events.")
        self._background.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    @property
    def classes(self):
        """The current classes, sorted."""
        return list(self._answers.classes)

    def ask(self, n=1, *, annotator=None, wait=True):
        """Return open questions; the same ones until they are answered or skipped.

        Parameters
        ----------
        n : int, default=1
            Number of questions.

        annotator : str or None, default=None
            The annotator; None uses the session's own.

        wait : bool, default=True
            Whether to wait for the next batch if fewer than `n` questions are open, or
            only if none are.

        Returns
        -------
        list of Question
            Fewer than `n` if the pool is exhausted, or without `wait`.

        Raises
        ------
        RuntimeError
            If training in the background failed; raised once, then training is retried.
        """
        annotator = self._check(annotator)
        check_integer("n", n, 1)
        self._background.raise_error()
        while True:
            with self.store.transaction():
                self._answers.catch_up()  # the classes may have changed
                found = self._batches.hand_out(annotator, n)
                enough = len(found) == n or (found and not wait)
                opened = not enough and self._batches.open_next()
            if opened:
                self._background.start()
            elif enough or not self._background.finish():
                return [self._question(s, said, annotator) for s, said in found]

    def _open_now(self, n, patience):
        """Return the open questions for `ask`; None while they are being selected."""
        annotator = self._check(None)
        self._background.raise_error()
        if not self._batches.has_open(annotator) and self._background.is_busy(patience):
            return None
        return self.ask(n, wait=False)

    def _question(self, sample, details, annotator):
        labels = self._answers.history.answers
        nearest = [
            (near, label_of(next(iter(said.values())).label), likeness)
            for near, likeness in details.get("nearest", ())
            if (said := labels.get(near)) and near in self._rows
        ]
        return make_question(
            self.X,
            self._rows[sample],
            sample,
            details,
            self.classes,
            annotator=annotator,
            nearest=nearest,
            near_duplicates=[
                near
                for near in details.get("near", ())
                if near in self._rows and not self._answers.history.is_settled(near)
            ],
        )

    def answer(self, ids, labels, annotator=None):
        """Answer questions: all of them, or none if one is invalid.

        Parameters
        ----------
        ids : str or list of str
            As in `Question.id`.

        labels : label or list of labels
            One label per id.

        annotator : str or None, default=None
            Who gives the answer; None uses the session's own.

        Raises
        ------
        ValueError
            If a label is not a class, or an id is not in the pool, was never asked
            about, or has been answered by this annotator. Then nothing is written.

        StoreError
            If the file cannot be written; then nothing is.
        """
        self._answers.say("answer", ids, labels, self._check(annotator))

    def relabel(self, ids, labels, annotator=None):
        """Correct or confirm labels, or add a second opinion to another annotator's.

        Giving the same label again confirms it: `review` does not show it any more.

        Parameters
        ----------
        ids : str or list of str
            Labelled samples.

        labels : label or list of labels
            One label per id.

        annotator : str or None, default=None
            Who gives the label; None uses the session's own.

        Raises
        ------
        ValueError
            If a label is not a class, or an id is not in the pool or has no label.
        """
        self._answers.say("relabel", ids, labels, self._check(annotator))

    def skip(self, ids, annotator=None):
        """Skip samples: they are not asked about again.

        Parameters
        ----------
        ids : str or list of str
            Open questions.

        annotator : str or None, default=None
            Who skips them; None uses the session's own.

        Raises
        ------
        ValueError
            If an id is not in the pool, was never asked about, or is settled.
        """
        self._answers.say("skip", ids, None, self._check(annotator))

    def undo(self, annotator=None):
        """Undo the last answer, correction, skip, import or change of classes.

        Further calls undo earlier ones. Of an import, all labels of the annotator are
        undone; with an answer, the labels of its near-duplicates are. An added class is
        removed if it has no labels; labels of merged classes get their earlier class
        back.

        Parameters
        ----------
        annotator : str or None, default=None
            Whose action to undo; None uses the session's own.

        Returns
        -------
        str
            Id of the sample (of an import, the first), which `ask` returns again if it
            is open; empty for a change of the classes.

        Raises
        ------
        ValueError
            If there is nothing to undo, the classes were changed again, or an added
            class has labels. Nothing is written then.
        """
        sample = self._answers.undo(self._check(annotator))
        self._answers.refresh()
        self._background.start()
        return sample

    def import_labels(self, labels, annotator=None, *, overwrite=False):
        """Import labels from elsewhere; labels that an annotator gave here stay.

        Parameters
        ----------
        labels : DataFrame, Series, str, path-like, or list of (id, label, annotator)
            A frame has the columns `label`, `annotator` if there are several, and one
            that identifies the sample: `id`; `sample`, the text (or all columns of X,
            if X is a frame); or `position`, the row of X counted from 0. It may be
            called `index` if X has no index of its own. A Series has the index of X. A
            path is read in the format of `export`. In tables and files, earlier names
            of renamed or merged classes are understood.

        annotator : str or None, default=None
            Annotator of the labels, unless a column gives it.

        overwrite : bool, default=False
            Whether they replace other labels that the same annotator gave here.

        Returns
        -------
        int
            Number of new labels.

        Raises
        ------
        ValueError
            If a label is missing or not a class, or no sample is in the pool; then
            nothing is imported.

        Warns
        -----
        UserWarning
            If labels are skipped: those of samples that are not in the pool, or that
            differ from the same annotator's labels here.
        """
        annotator = self._check(annotator)
        by_text = self._answers.classes_by_text()
        said = read_labels(labels, self._names, annotator, by_text)
        n_new = self._answers.take_in(said, overwrite=overwrite)
        self._background.start()
        return n_new

    def id_of(self, sample):
        """Return the id of a sample, in the pool or not."""
        return self._names.id_of(sample)

    def review(self, n=10):
        """Return labelled samples, the most likely wrong labels first.

        Reviewed labels are left out: those corrected or confirmed with `relabel` and
        not contradicted since. So is the check set: correcting only where the model
        disagrees would inflate its score.

        Parameters
        ----------
        n : int, default=10
            Maximal number of samples.

        Returns
        -------
        list of Question
            With `label` and `label_quality`; pass the right label to `relabel`.
        """
        check_integer("n", n, 1)
        taught = self._learn()
        if not len(taught.rows):
            return []
        quality = taught.learning.label_quality(taught)
        history = self._answers.refresh()
        order = np.argsort(quality, kind="stable")
        seen = [self._ids[row] in history.reviewed for row in taught.rows[order]]
        order = order[~np.array(seen)][:n]
        rows = taught.rows[order]
        doubted = dict(zip(rows.tolist(), quality[order].tolist()))
        return self._found(rows, history, doubted)

    def review_descriptions(self, candidates=None):
        """Review the prior's class descriptions with the labels so far.

        Parameters
        ----------
        candidates : dict or None, default=None
            Label -> another description to compare, or a list of them.

        Returns
        -------
        DescriptionReview
            As returned by `cofm_sklearn.models.review_descriptions`; notebooks display
            it.

        Raises
        ------
        ValueError
            If there is no prior, or `candidates` has an unknown class.
        """
        taught = self._learn()
        return taught.learning.review_descriptions(taught, candidates)

    def progress(self):
        """Return the progress of the session.

        Returns
        -------
        Progress

        Raises
        ------
        RuntimeError
            If training in the background failed; raised once.
        """
        found = self._progress()
        self._background.look(self._measure)
        return found

    def _progress(self):
        """Return the progress without starting a new measurement."""
        self._check(None)
        self._background.raise_error()
        history = self._answers.refresh()
        counts = dict.fromkeys(self.classes, 0)
        said = {s: a for s, a in history.answers.items() if s in self._rows}
        for answers in said.values():
            counts[label_of(next(iter(answers.values())).label)] += 1
        reports = self._batches.reports()
        if self._measured is not None:
            reports.append(self._measured)
        reports.sort(key=lambda one: one[0])
        return Progress(
            n_labels=len(said),
            n_pool=len(self._rows),
            n_skipped=sum(s in self._rows for s in history.skipped),
            n_open=self._batches.n_open(),
            counts=counts,
            n_checks=len(history.checks & said.keys()),
            **summarise([report for _, report in reports], self.classes),
        )

    def release_check(self, annotator=None):
        """Release the check set for training; later questions start a new one.

        Parameters
        ----------
        annotator : str or None, default=None
            Who releases it; None uses the session's own. This cannot be undone.

        Returns
        -------
        int
            Number of released labels.
        """
        n = self._answers.release(self._check(annotator))
        self._background.start()
        return n

    def wait(self):
        """Wait for the training to finish; raise its errors."""
        self._check(None)
        self._background.wait()
        self._background.raise_error()

    def close(self):
        """Stop the training and close the file; may be called twice."""
        self._closed = True
        if self._pid != os.getpid():
            return  # the thread and the file belong to the other process
        self._background.close()
        if self._own_store:
            self.store.close()

    def _check(self, annotator):
        if self._pid != os.getpid():
            # First, since a thread of the other process may hold a lock forever.
            raise StoreError(
                "The session was opened by another process. Open one on the same file "
                "in each process."
            )
        if self._closed:
            raise StoreError("The session is closed. Open a new one on the same file.")
        return self.annotator if annotator is None else check_name(annotator)

    def _learn(self):
        """Train on all answers so far, unless done already."""
        self._check(None)
        history = self._answers.refresh()
        taught = self._taught
        if taught is None or taught[0] != history.last:
            taught = history.last, self._batches.learning(history).teach(history)
            self._taught = taught
        return taught[1]

    def _measure(self):
        """Evaluate the model of all answers so far, in the background."""
        self._learn()
        seq, taught = cast(tuple, self._taught)
        if self._measured is None or self._measured[0] != seq:
            # Stopping rules are evaluated per batch.
            self._measured = seq, taught.learning.report(taught)
