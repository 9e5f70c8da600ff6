"""People label, models learn: the session."""

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
from cofm_sklearn.annotation.check_set import score_check_set
from cofm_sklearn.annotation.exchange import read_labels
from cofm_sklearn.annotation.finding import Finding
from cofm_sklearn.annotation.identity import PoolNames, sample_ids
from cofm_sklearn.annotation.learning import Learning, classes_of, label_of
from cofm_sklearn.annotation.results import Results
from cofm_sklearn.annotation.store import AnnotationStore, StoreError
from cofm_sklearn.annotation.views import Progress, make_question, summarise
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
    """Ask people what a query strategy wants to know, and keep what they say.

    An answer is on the disk when `answer` returns. The estimator is trained in the
    background while people go on; the next batch of questions is computed while they
    answer the present one. After a crash, or the next day, open the same file with
    the same pool, and go on.

    Parameters
    ----------
    X : array-like of length n_samples
        The pool: texts, embeddings, images, or a data frame. Samples are known by
        their content, so the pool may be in another order the next time, or larger.
        Equal samples are asked about once, and the label counts for all of them.

    estimator : classifier
        Learns from the labels; typically a `CoDecisionClassifier`, or a pipeline that
        ends in one. It is cloned, and an unfitted prior is fitted on all of X.

    query_strategy : callable or None, default=None
        Chooses the questions; None stands for `CoDecisionQuery()`.

    store : str, path-like or AnnotationStore, default=":memory:"
        The file. The default keeps nothing.

    classes : list of str or int, or None, default=None
        All labels; None takes those of the estimator's prior.

    n_instances : int, default=10
        Questions in a batch.

    annotator : str, default="me"
        Who answers, unless the call says otherwise. Annotators who work at the same
        time need names of their own: a question is shown to one of them only, and is
        free for others after 30 minutes without an answer.

    check_share : float, default=0.1
        Share of the questions that is drawn at random, for the check set: models do not
        learn from these labels, so that `progress` and `check_score` can say how good
        they are on the whole pool. At most 0.5; 0 asks only what the query wants.

    stopping : object or None, default=None
        A stopping rule; what it says is in `progress`.

    background : bool, default=True
        Whether to train in a thread, or when needed; the questions are the same.

    random_state : int, default=0
        Equal seeds, pools and answers give equal questions, on one machine.

    verbose : int, default=0
        Above 0, says so when a file with answers is opened.

    Attributes
    ----------
    classes : list
        All labels as they are now, sorted.

    labeled : ndarray of shape (n_labeled,), dtype int64
        Rows of X that have a label, in the order of the first answer.

    labels_ : ndarray of shape (n_labeled,)
        Their labels; what `combine_annotators` makes of several that differ.

    Raises
    ------
    ValueError
        If the pool is empty, nobody names the classes, they differ from those in the
        file, or a parameter is out of range.

    TypeError
        If `query_strategy` cannot be called.

    StoreError
        If the file cannot be used: locked, read-only, damaged, of a later version.

    Warns
    -----
    UserWarning
        If the estimator cannot learn from such samples, or the file has labels of
        samples that are not in X.

    Notes
    -----
    Batch k + 1 is computed from what was known when batch k was opened, or labels were
    last imported; open questions count as covered, with the label that is expected.

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
        self._taught = None  # (number of the last event, what was learned)
        self._texts: Any = None  # what `search` reads, once it has to
        self._measured = None  # the same of what was found out about it
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
                "file, but nothing is learned from them here.",
                stacklevel=2,
            )
        if verbose > 0 and self._answers.history.last:
            print(f"{self.store.path}: {self._answers.history.last} events so far.")
        self._background.start()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    @property
    def classes(self):
        """All labels as they are now, sorted."""
        return list(self._answers.classes)

    def ask(self, n=1, *, annotator=None, wait=True):
        """Return open questions; the same ones until they are answered or skipped.

        Parameters
        ----------
        n : int, default=1
            How many.

        annotator : str or None, default=None
            Who is asked; None stands for the session's own.

        wait : bool, default=True
            Whether to wait for the next batch if fewer than `n` are open, or only if
            none is.

        Returns
        -------
        list of Question
            Fewer than `n` when the pool runs out, or without `wait`.

        Raises
        ------
        RuntimeError
            If training failed in the background; said once, then it is tried again.
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
        """Open questions as `ask` gives them; None while they are being chosen."""
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
        """Answer questions; all of them, or none if one is refused.

        Parameters
        ----------
        ids : str or list of str
            As in `Question.id`.

        labels : label or list of labels
            One per id.

        annotator : str or None, default=None
            Who says so; None stands for the session's own.

        Raises
        ------
        ValueError
            If a label is no class, an id is not in the pool, was never asked about, or
            has been answered by this annotator. Nothing is written then.

        StoreError
            If the file cannot be written; nothing is.
        """
        self._answers.say("answer", ids, labels, self._check(annotator))

    def relabel(self, ids, labels, annotator=None):
        """Correct or confirm labels, or add a second opinion to another annotator's.

        A label that is given again, as it is, is confirmed: no `review` shows it.

        Parameters
        ----------
        ids : str or list of str
            Labelled samples.

        labels : label or list of labels
            One per id.

        annotator : str or None, default=None
            Whose label it becomes; None stands for the session's own.

        Raises
        ------
        ValueError
            If a label is no class, or an id is not in the pool or has no label.
        """
        self._answers.say("relabel", ids, labels, self._check(annotator))

    def skip(self, ids, annotator=None):
        """Put samples aside: nobody is asked about them again.

        Parameters
        ----------
        ids : str or list of str
            Open questions.

        annotator : str or None, default=None
            Who says so; None stands for the session's own.

        Raises
        ------
        ValueError
            If an id is not in the pool, was never asked about, or is settled.
        """
        self._answers.say("skip", ids, None, self._check(annotator))

    def undo(self, annotator=None):
        """Take back the last answer, correction, skip or imported label.

        More calls go further back.

        Parameters
        ----------
        annotator : str or None, default=None
            Whose; None is the session's own.

        Returns
        -------
        str
            Id of the sample, which `ask` returns again if it is open now.

        Raises
        ------
        ValueError
            If there is nothing to undo.
        """
        return self._answers.undo(self._check(annotator))

    def import_labels(self, labels, annotator=None, *, overwrite=False):
        """Take in labels from elsewhere; what an annotator has said here stays.

        Parameters
        ----------
        labels : DataFrame, Series, str, path-like, or list of (id, label, annotator)
            A frame has the columns `label`, `annotator` if there are several, and one
            that tells the sample: `id`; `sample`, the text (or all columns of X, where
            X is a frame); or `position`, the row of X counted from 0. It may be called
            `index` where X has no index of its own. A Series has the index of X. A
            path is read as `export` writes it.

        annotator : str or None, default=None
            Whose labels they are, where no column says so.

        overwrite : bool, default=False
            Whether they take the place of other labels that the same annotator has
            given here.

        Returns
        -------
        int
            Labels that were new.

        Raises
        ------
        ValueError
            If a label is missing or no class, or no sample is in the pool; nothing is
            imported then.

        Warns
        -----
        UserWarning
            If labels are left out: of samples that are not in the pool, or because
            they differ from what the annotator has said here.
        """
        annotator = self._check(annotator)
        said = read_labels(labels, self._names, annotator, self.classes)
        n_new = self._answers.take_in(said, overwrite=overwrite)
        self._background.start()
        return n_new

    def id_of(self, sample):
        """Return the id that a sample has by its content, in the pool or not."""
        return self._names.known(sample_ids([sample])[0])

    def review(self, n=10):
        """Return labelled samples, those whose label is likely wrong first.

        What was looked at already is left out: labels that were corrected or
        confirmed with `relabel`, and that nobody has contradicted since. So is the
        check set: mending what the model disagrees with would make it look better.

        Parameters
        ----------
        n : int, default=10
            How many at most.

        Returns
        -------
        list of Question
            With `label` and `label_quality`; say with `relabel` what is right.
        """
        check_integer("n", n, 1)
        taught = self._learn()
        if not len(taught.rows):
            return []
        quality = taught.learning.label_quality(taught)
        history = self._answers.refresh()
        names = history.answers
        order = np.argsort(quality, kind="stable")
        seen = [self._ids[row] in history.reviewed for row in taught.rows[order]]
        order = order[~np.array(seen)][:n]
        details = taught.learning.look_at(taught, taught.rows[order])
        return [
            make_question(
                self.X,
                int(taught.rows[i]),
                sample,
                one,
                self.classes,
                label=np.asarray(taught.labels[i]).item(),
                label_quality=float(quality[i]),
                annotator=", ".join(names.get(sample, ())),
            )
            for i, one in zip(order, details)
            for sample in [self._ids[taught.rows[i]]]
        ]

    def review_descriptions(self, candidates=None):
        """Return which descriptions of the prior are weak, by the labels so far.

        Parameters
        ----------
        candidates : dict or None, default=None
            Label -> another description, or a list of others, to compare.

        Returns
        -------
        DescriptionReview
            As of `cofm_sklearn.models.review_descriptions`; a notebook shows it.

        Raises
        ------
        ValueError
            If there is no prior, or `candidates` names an unknown class.
        """
        taught = self._learn()
        return taught.learning.review_descriptions(taught, candidates)

    def progress(self):
        """Return how far the session has come.

        Returns
        -------
        Progress

        Raises
        ------
        RuntimeError
            If training failed in the background; said once.
        """
        self._check(None)
        self._background.raise_error()
        history = self._answers.refresh()
        counts = dict.fromkeys(self.classes, 0)
        said = {s: a for s, a in history.answers.items() if s in self._rows}
        for answers in said.values():
            counts[label_of(next(iter(answers.values())).label)] += 1
        self._background.look(self._measure)
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

    def check_score(self):
        """Score the model on the check set, trained on all other labels so far.

        Returns
        -------
        CheckScore or None
            None as long as no question of the check set is answered.
        """
        taught = self._learn()
        counts = taught.learning.check(taught)
        return None if counts is None else score_check_set(counts)

    def release_check(self, annotator=None):
        """Let models learn from the check set; later questions begin another one.

        Parameters
        ----------
        annotator : str or None, default=None
            Who says so; None stands for the session's own. It cannot be undone.

        Returns
        -------
        int
            Labels that were released.
        """
        n = self._answers.release(self._check(annotator))
        self._background.start()
        return n

    def wait(self):
        """Wait until nothing is being trained; raises what went wrong."""
        self._check(None)
        self._background.wait()
        self._background.raise_error()

    def close(self):
        """End the training and close the file; can be called twice."""
        self._closed = True
        if self._pid != os.getpid():
            return  # the thread and the file are the other process's
        self._background.close()
        if self._own_store:
            self.store.close()

    def _check(self, annotator):
        if self._pid != os.getpid():
            # Now, as a thread of the other process may have a lock that is waited for.
            raise StoreError(
                "The session was opened by another process. Open one on the same file "
                "in each process."
            )
        if self._closed:
            raise StoreError("The session is closed. Open a new one on the same file.")
        return self.annotator if annotator is None else check_name(annotator)

    def _learn(self):
        """Train on all answers so far, unless that was done."""
        self._check(None)
        history = self._answers.refresh()
        taught = self._taught
        if taught is None or taught[0] != history.last:
            taught = history.last, self._batches.learning(history).teach(history)
            self._taught = taught
        return taught[1]

    def _measure(self):
        """Find out how good the model of all answers so far is; in the background."""
        self._learn()
        seq, taught = cast(tuple, self._taught)
        if self._measured is None or self._measured[0] != seq:
            # What a stopping rule says is a matter of batches.
            self._measured = seq, taught.learning.report(taught)
