"""Train the model of a session, and select the next questions."""

import json
import threading
from copy import copy
from dataclasses import dataclass
from inspect import signature
from typing import Any

import numpy as np
from pandas.api.types import is_list_like
from scipy.stats import binomtest
from sklearn.base import clone

from cofm_sklearn.annotation.class_changes import classes_after, prior_of, recast
from cofm_sklearn.annotation.surroundings import Surroundings
from cofm_sklearn.loop.learner import Learner, with_seeds
from cofm_sklearn.models import fit_to_pool, label_pool, review_descriptions
from cofm_sklearn.models.base import BasePriorClassifier
from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.noise import combine_annotators
from cofm_sklearn.noise.annotators import label_folds, out_of_fold_proba
from cofm_sklearn.query import BaseQueryStrategy
from cofm_sklearn.utils.labels import align_proba, encode_labels
from cofm_sklearn.utils.pipelines import needs_labels, resamples, split_pipeline
from cofm_sklearn.utils.texts import is_text
from cofm_sklearn.utils.validation import take_rows

__all__ = ["Learning", "Taught", "classes_of", "label_of"]

# With fewer labels, accuracy is not reported.
_ENOUGH_LABELS = 10
# Folds of that accuracy.
_N_FOLDS = 5


@dataclass
class Taught:
    """A model with its labels.

    Attributes
    ----------
    learner : object
        Learner for query strategies; its estimator is unfitted without labels.

    learning : Learning
        The object that trained it.

    all_rows : ndarray of shape (n_labeled,), dtype int64
        Positions in the pool of all samples with a label, in the order of the first
        answer.

    all_labels : ndarray of shape (n_labeled,)
        Their labels.

    is_check : ndarray of shape (n_labeled,), dtype bool
        Which of them are in the check set; the model has not seen those.
    """

    learner: Any
    learning: Any
    all_rows: np.ndarray
    all_labels: np.ndarray
    is_check: np.ndarray

    @property
    def rows(self):
        """Positions of the training samples."""
        return self.all_rows[~self.is_check]

    @property
    def labels(self):
        """Labels of the training samples."""
        return self.all_labels[~self.is_check]


class Learning:
    """Train on a history, and select questions; stateless between calls.

    Results depend only on the pool, the history and the seed, so it can be called from
    any thread, and again after a crash.

    Parameters
    ----------
    X : array-like of length n_samples
        The pool.

    rows : dict of str to int
        First row of each sample id.

    estimator, query_strategy, stopping
        As in `AnnotationSession`; they are cloned.

    classes : list
        All classes.

    seed : int
    """

    def __init__(self, X, rows, estimator, query_strategy, stopping, classes, seed):
        self.X = X
        self.rows = rows
        self.ids = {row: sample for sample, row in rows.items()}
        self.classes = np.array(classes)
        self.seed = seed
        self.strategy = with_seeds(query_strategy, seed)
        self.stopping = stopping
        self.n_known = 0  # class changes that the estimator knows already
        self._unfrozen = with_seeds(estimator, seed + 1)
        self._frozen = None
        self._shared: dict[str, Surroundings] = {}  # with the copies of `after`
        self._lock = threading.RLock()

    @property
    def surroundings(self):
        """Embeddings and neighbours of the pool, computed once."""
        with self._lock:
            if "surroundings" not in self._shared:
                self._shared["surroundings"] = Surroundings(self.estimator, self.X)
            return self._shared["surroundings"]

    def nearly_same(self, rows):
        """Return the near-duplicates of each row."""
        found = self.surroundings.nearly_same(rows)
        return [[r for r in same.tolist() if r in self.ids] for same in found]

    def after(self, changes):
        """Return the Learning for the classes after changes, perhaps this one."""
        news = changes[self.n_known :]
        if not news:
            return self
        found = copy(self)
        before, classes = self.classes.tolist(), self.classes.tolist()
        for event in news:
            classes = classes_after(classes, event)
        found.classes = np.array(classes)
        found._unfrozen = recast(self._unfrozen, before, news)
        found._frozen, found._lock = None, threading.RLock()
        return found

    @property
    def estimator_as_told(self):
        """The estimator before it is fitted to the pool."""
        return self._unfrozen

    @property
    def estimator(self):
        """The estimator with its prior fitted to the pool; never trained itself."""
        with self._lock:
            if self._frozen is None:
                self._frozen = fit_to_pool(self._unfrozen, self.X)
            return self._frozen

    @property
    def has_prior(self):
        """Whether there are predictions without labels."""
        steps, final = split_pipeline(self.estimator)
        has_prior = isinstance(final, BasePriorClassifier) and final.prior is not None
        return has_prior and not any(map(needs_labels, steps))

    def teach(self, history):
        """Train on all labels of a history."""
        with self._lock:
            samples = [s for s in history.answers if s in self.rows]
            rows = np.array([self.rows[s] for s in samples], dtype=np.int64)
            checks = np.array([s in history.checks for s in samples], dtype=bool)
            labels = self.classes[:0]
            if samples:
                labels = self._agree([history.answers[s] for s in samples], rows)
            learner = Learner(self.estimator, self.strategy)
            if not checks.all():
                learner.fit(take_rows(self.X, rows[~checks]), labels[~checks])
            return Taught(learner, self, rows, labels, checks)

    def choose(self, taught, candidates, pending, n):
        """Select rows to query.

        Parameters
        ----------
        taught : Taught

        candidates : ndarray of int
            Rows to select from.

        pending : ndarray of int
            Rows of open questions. They count as covered, with their expected label.

        n : int

        Returns
        -------
        list of (int, dict)
            Row and details of each question, in query order.
        """
        n = min(n, len(candidates))
        if not n:
            return []
        with self._lock:
            picked, utilities = self._pick(taught, candidates, pending, n)
            rows = candidates[picked]
            details = self.look_at(taught, rows)
        before = np.concatenate([taught.rows, pending]).astype(np.int64)
        for row, one, utility in zip(rows.tolist(), details, utilities):
            one["utility"] = None if np.isnan(utility) else float(utility)
            near, likeness = self.surroundings.nearest(row, taught.rows)
            one["nearest"] = [
                [self.ids[r], round(float(s), 4)]
                for r, s in zip(near.tolist(), likeness)
            ]
            # Compared with all earlier questions, answered or not, and with this batch.
            _, likeness = self.surroundings.nearest(row, before, 1)
            one["likeness"] = round(float(likeness[0]), 4) if len(likeness) else None
            before = np.append(before, row)
        return list(zip(rows.tolist(), details))

    def look_at(self, taught, rows):
        """Return the predictions of prior, small model and both for some rows."""
        if not len(rows):
            return []
        with self._lock:
            X = take_rows(self.X, rows)
            model = taught.learner.estimator
            final = split_pipeline(model)[1]
            prior = small = near = both = trust = None
            if not len(taught.rows):
                if self.has_prior:
                    fitted = self.prior_alone(X)
                    both = prior = self.aligned(fitted, fitted.predict_proba(X))
            elif isinstance(final, BasePriorClassifier):
                seen = X
                for step in split_pipeline(model)[0]:
                    seen = step.transform(seen)
                both = self.aligned(final, final.predict_proba(seen))
                small = self.aligned(final, final.small_model_proba(seen))
                if final.prior is not None:
                    prior = self.aligned(final, final.prior_proba(seen))
                trust = _trust_in(final)
                if trust is not None and trust["neighbors"] > 0:
                    near = self.aligned(final, final.neighbors_proba(seen))
            elif hasattr(model, "predict_proba"):
                both = small = self.aligned(model, model.predict_proba(X))
        opinions = {
            "prior_proba": prior,
            "small_proba": small,
            "neighbors_proba": near,
            "proba": both,
        }
        return [
            {name: None if p is None else p[i].tolist() for name, p in opinions.items()}
            | {"trust": trust}
            for i in range(len(rows))
        ]

    def prior_alone(self, X):
        """Return the model to use without labels.

        Raises
        ------
        ValueError
            If there is no prior.
        """
        if not self.has_prior:
            raise ValueError("There are neither labels nor a prior to predict with.")
        with self._lock:
            return clone(self.estimator).fit(X, None)

    def review_descriptions(self, taught, candidates):
        """Review the class descriptions; see `cofm_sklearn.models.review_descriptions`.

        Raises
        ------
        ValueError
            If there is no prior.
        """
        with self._lock:
            model = taught.learner.estimator
            if not len(taught.rows):
                model = self.prior_alone(take_rows(self.X, np.arange(1)))
            steps, final = split_pipeline(model)
            prior = getattr(final, "prior_", None)
            if prior is None:
                raise ValueError("There is no prior with descriptions to review.")
            X = self.X
            for step in steps:
                X = step.transform(X)
            return review_descriptions(
                prior,
                X,
                take_rows(X, taught.rows),
                taught.labels,
                candidates=candidates,
                samples=self.X if is_text(self.X) else None,
            )

    def label_pool(self, taught, model, ids, target_precision):
        """Label each row of the pool; equal samples (with one id) are labelled once.

        Parameters
        ----------
        taught : Taught

        model : classifier
            The trained model; the prior alone without labels.

        ids : list of str
            Sample id of each row.

        target_precision : float or None
            As in `cofm_sklearn.models.label_pool`.

        Returns
        -------
        DataFrame
        """
        place = {sample: k for k, sample in enumerate(self.rows)}
        firsts = np.fromiter(self.rows.values(), dtype=np.int64)
        position = np.empty(len(ids), dtype=np.int64)
        position[firsts] = np.arange(len(firsts))
        with self._lock:
            table = label_pool(
                model,
                take_rows(self.X, firsts),
                taught.all_labels,
                position[taught.all_rows],
                check=position[taught.all_rows[taught.is_check]],
                target_precision=target_precision,
            )
        return table.iloc[[place[sample] for sample in ids]].reset_index(drop=True)

    def report(self, taught):
        """Return statistics of the labels and the model, for `progress`."""
        model = split_pipeline(taught.learner.estimator)[1]
        n = len(taught.rows)
        found: dict[str, Any] = {"n_labels": n, "accuracy": None, "interval": None}
        found["check"] = self.check(taught)
        rate = getattr(model, "noise_rate_", None) if n else None
        found["noise_rate"] = None if rate is None else float(rate)
        if n >= _ENOUGH_LABELS and hasattr(self.estimator, "predict_proba"):
            codes = encode_labels(taught.labels, self.classes)
            with self._lock:
                hits = int(self._right_out_of_fold(taught, codes).sum())
            low, high = binomtest(hits, n).proportion_ci(method="wilson")
            found["accuracy"], found["interval"] = hits / n, [float(low), float(high)]
        return found

    def check(self, taught):
        """Count the right predictions and the check labels of each class.

        Returns
        -------
        list of [label, int, int], or None without check labels or predictions
        """
        rows, labels = taught.all_rows[taught.is_check], taught.all_labels
        labels = labels[taught.is_check]
        if not len(rows) or (not len(taught.rows) and not self.has_prior):
            return None
        with self._lock:
            X = take_rows(self.X, rows)
            model = taught.learner.estimator if len(taught.rows) else None
            model = self.prior_alone(X) if model is None else model
            right = np.asarray(model.predict(X)) == labels
        return [
            [name, int(right[labels == name].sum()), int((labels == name).sum())]
            for name in self.classes.tolist()
        ]

    def label_quality(self, taught):
        """Return the model's probability that each label is right."""
        estimator = taught.learner.estimator
        quality = getattr(split_pipeline(estimator)[1], "label_quality_", None)
        if quality is not None and not resamples(estimator):
            return np.asarray(quality)
        codes = encode_labels(taught.labels, self.classes)
        with self._lock:
            proba = self._out_of_fold(taught.rows, codes)
        return proba[np.arange(len(codes)), codes]

    def should_stop(self, taught, candidates):
        """Evaluate the stopping rule; return whether to stop, and why."""
        if self.stopping is None or not len(taught.rows) or not len(candidates):
            return False, None
        check: dict[str, Any] = {}
        if "X_check" in signature(self.stopping.update).parameters:
            rows = taught.all_rows[taught.is_check]
            check["X_check"] = take_rows(self.X, rows)
            check["y_check"] = taught.all_labels[taught.is_check]
        with self._lock:
            decision = self.stopping.update(
                taught.learner.estimator,
                self.X,
                n_labels=len(taught.rows),
                X_labeled=take_rows(self.X, taught.rows),
                y_labeled=taught.labels,
                **check,
            )
        return bool(decision.stop), str(decision.reason) if decision.stop else None

    def _agree(self, answers, rows):
        """Combine the answers into one label per sample."""
        people = sorted({name for said in answers for name in said})
        matrix = np.full((len(answers), len(people)), None, dtype=object)
        for i, said in enumerate(answers):
            for name, event in said.items():
                matrix[i, people.index(name)] = label_of(event.label)
        first = [next(v for v in row if v is not None) for row in matrix]
        differ = [any(v not in (None, a) for v in row) for a, row in zip(first, matrix)]
        labels = np.array(first, dtype=self.classes.dtype)
        if any(differ):
            found = combine_annotators(
                matrix,
                classes=self.classes,
                estimator=(
                    self.estimator if hasattr(self.estimator, "predict_proba") else None
                ),
                X=take_rows(self.X, rows),
                random_state=self.seed,
            ).labels
            labels[differ] = found[differ]
        return labels

    def _pick(self, taught, candidates, pending, n):
        """Return positions in candidates, and their utilities."""
        learner = taught.learner
        native = isinstance(self.strategy, BaseQueryStrategy)
        if not native and not learner.knows_classes:
            rng = np.random.RandomState([self.seed, len(taught.rows), len(pending)])
            picked = rng.choice(len(candidates), size=n, replace=False)
            return picked, np.full(n, np.nan)
        if len(pending):
            learner = self._believing(taught, pending)
        X_pool = take_rows(self.X, candidates)
        picked, utilities = learner.query(X_pool, n, return_utilities=True)
        return picked, utilities[picked]

    def _believing(self, taught, pending):
        """Return a learner in which open questions count as answered."""
        found = self.look_at(taught, pending)
        if found[0]["proba"] is None:
            return taught.learner
        expected = self.classes[[int(np.argmax(one["proba"])) for one in found]]
        return taught.learner.expecting(take_rows(self.X, pending), expected)

    def _out_of_fold(self, rows, codes):
        X = take_rows(self.X, rows)
        return out_of_fold_proba(
            self.estimator, X, self.classes, codes, _N_FOLDS, self.seed
        )

    def _right_out_of_fold(self, taught, codes):
        """Tell for each training label whether a model without it predicts it."""
        X, labels = take_rows(self.X, taught.rows), taught.labels
        right = self._out_of_fold(taught.rows, codes).argmax(axis=1) == codes
        # Above, a fold with training labels of one class has no opinion, but its model
        # predicts that class, or what the prior says.
        for train, test in label_folds(codes, _N_FOLDS, self.seed):
            if len(set(codes[train])) == 1:
                learner = Learner(self.estimator, self.strategy)
                learner.fit(take_rows(X, train), labels[train])
                right[test] = learner.predict(take_rows(X, test)) == labels[test]
        return right

    def aligned(self, model, proba):
        """Align probabilities with the classes."""
        return align_proba(proba, model.classes_, self.classes)


def _trust_in(model):
    """Return a co-decision's weights of its parts; None for other models."""
    if not isinstance(model, CoDecisionClassifier):
        return None
    neighbors = float(model.neighbor_weight_)
    prior = 0.0 if model.prior is None else (1 - neighbors) * float(model.trust_)
    return {"prior": prior, "small": 1 - neighbors - prior, "neighbors": neighbors}


def label_of(text):
    """Decode a label from the store."""
    return json.loads(text)


def classes_of(estimator, classes):
    """Return all labels as a sorted list, from `classes` or the estimator's prior.

    Raises
    ------
    ValueError
        If the classes are unknown, there are fewer than two, one is repeated, or
        `classes` and the prior differ.

    TypeError
        If a label is neither str nor int nor bool.
    """
    prior = prior_of(estimator)
    known = None
    # A combination of priors has the classes of each.
    for one in (prior, *getattr(prior, "priors", ())):
        for name in ("classes_", "class_descriptions", "classes"):
            if known is None and getattr(one, name, None) is not None:
                known = _plain(getattr(one, name))
    given = known if classes is None else _plain(classes)
    if given is None:
        raise ValueError(
            "The classes are unknown: give classes=, or an estimator with a prior."
        )
    if known is not None and given != known:
        raise ValueError(f"classes are {given}, but the prior has the classes {known}.")
    if len(given) < 2:
        raise ValueError(f"classes must have at least 2 labels, got {given}.")
    return given


def _plain(classes):
    if not is_list_like(classes):
        raise TypeError(f"classes must be a list of labels, got {classes!r}.")
    labels = [c.item() if isinstance(c, np.generic) else c for c in classes]
    for label in labels:
        if not isinstance(label, str | int):
            raise TypeError(f"classes must be str, int or bool, got {label!r}.")
    if len(set(labels)) < len(labels):
        raise ValueError(f"classes repeats a class: {labels}. List each class once.")
    try:
        return sorted(labels)
    except TypeError as error:
        raise TypeError("classes must be of one type, for example all str.") from error
