"""Extract what a query strategy needs from any learner."""

from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import issparse
from sklearn import config_context, get_config
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.models.base import BasePriorClassifier
from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.models.small_model import ConstantModel, class_proba
from cofm_sklearn.priors.base import features_for_small_model, is_package_prior
from cofm_sklearn.utils.labels import align_proba, encode_labels, ravel_labels
from cofm_sklearn.utils.pipelines import (
    allows_nan,
    check_takes,
    fit_without_labels,
    pipeline_example,
    split_pipeline,
)
from cofm_sklearn.utils.validation import (
    check_pool,
    check_unit_embeddings,
    is_finite,
    is_fitted,
    is_numeric,
    n_rows,
    take_rows,
)

__all__ = [
    "LearnerReader",
    "LearnerView",
    "count_labels",
    "may_have_gaps",
    "parts_of",
    "view_learner",
]


@dataclass
class LearnerView:
    """A learner's view of a pool, as plain arrays.

    Attributes
    ----------
    X_pool : ndarray or CSR of shape (n_pool, d), dtype float32
        Embeddings, rows of unit L2 norm.

    X_labeled : ndarray or CSR of shape (n_labeled, d), dtype float32
        Embeddings of the labelled samples; may be empty.

    y_labeled : ndarray of shape (n_labeled,)
        Their labels.

    classes : ndarray of shape (n_classes,) or None
        All classes, sorted; None if they are not known yet.

    proba : ndarray of shape (n_pool, n_classes) or None
        Small model on the pool; None if it is not fitted.

    proba_labeled : ndarray of shape (n_labeled, n_classes) or None
        Small model on the labelled samples.

    prior_proba : ndarray of shape (n_pool, n_classes) or None
        Prior on the pool.

    small_model : fitted classifier or None
        The model behind `proba`; None if it is not fitted.

    inputs_pool, inputs_labeled : array-like or None
        Pool and labelled samples as input of the small model.
    """

    X_pool: np.ndarray
    X_labeled: np.ndarray
    y_labeled: np.ndarray
    classes: np.ndarray | None
    proba: np.ndarray | None
    proba_labeled: np.ndarray | None
    prior_proba: np.ndarray | None
    small_model: Any = None
    inputs_pool: Any = None
    inputs_labeled: Any = None


class LearnerReader:
    """Read a learner's embeddings and probabilities of samples.

    Pipelines, priors and classes are looked up once, so that a pool can be read in
    blocks, here or elsewhere.

    Parameters
    ----------
    learner : modAL learner or committee, estimator, or any object with `estimator`, \
`X_training`, `y_training` and `predict_proba`
        Fitted or not.

    X_sample : array-like of length n_samples
        Checked samples of the pool in the learner's form. Unfitted transformers and
        priors are fitted on them.

    prior : prior or None, default=None
        Overrides the learner's own.

    embeds : bool, default=True
        Whether embeddings are needed; if not, `embed` returns equal rows.

    Attributes
    ----------
    classes : ndarray of shape (n_classes,) or None
        All classes, sorted; None if they are not known yet.

    knows : bool
        Whether there is a fitted small model.

    trust : float or None
        The learner's weight of the prior.

    y_labeled : ndarray of shape (n_labeled,)
        The learner's labels.

    Raises
    ------
    ValueError
        If a label is unknown.
    """

    def __init__(self, learner, X_sample, prior=None, *, embeds=True):
        X_train, y_train, members, estimator = parts_of(learner)
        check_takes(estimator, X_sample, "X_pool")
        steps, self._final = split_pipeline(estimator)
        self._steps, Z_sample = _fit_steps(steps, X_sample, is_fitted(self._final))
        self._allows_nan = allows_nan(self._final)
        self._check_gaps(Z_sample, "X_pool")
        # Behind a supervised step, nothing can be embedded without labels.
        is_open = len(self._steps) == len(steps)
        self._own_prior = _prior_of(self._final) if is_open else None
        # A committee gets the raw data, as its members have their own pipelines.
        self._model = learner if members else self._final
        self._takes_raw = bool(members)
        inputs = X_sample if self._takes_raw else Z_sample
        self._model_classes = None
        if is_open or members:
            self._model_classes = _classes_of(self._model, take_rows(inputs, [0]))
        self._prior = prior if prior is not None else self._own_prior
        if self._prior is not None and not is_fitted(self._prior):
            self._prior = clone(self._prior).fit(Z_sample)
        self._embedding_steps = None
        if embeds:
            self._embedding_steps = _embedding_steps(
                self._final, Z_sample, self._prior, self._own_prior, is_open
            )
        self._gaps = None
        if self._allows_nan and is_numeric(Z_sample) and not issparse(Z_sample):
            self._gaps = _column_means(Z_sample)
        self._X_labeled = None
        self.y_labeled = np.empty(0, dtype=int)
        if X_train is not None and n_rows(X_train):
            self._X_labeled = check_pool(X_train, "X_training")
            self.y_labeled = ravel_labels(y_train, "y_training")
        self.knows = self._model_classes is not None
        self.trust = getattr(self._final, "trust_", None) if self.knows else None
        if self._prior is not None:
            self.classes = self._prior.classes_
        else:
            self.classes = _union(self._model_classes, self.y_labeled)
        if self._X_labeled is not None:
            encode_labels(self.y_labeled, self.classes, name="y_training")

    def transform(self, X, name="X_pool"):
        """Transform checked samples with the transformers of a pipeline.

        Raises
        ------
        ValueError
            If there are NaN left that the model does not accept.
        """
        for step in self._steps:
            X = step.transform(X)
        self._check_gaps(X, name)
        return X

    def _check_gaps(self, Z, name):
        if not self._allows_nan and is_numeric(Z) and not is_finite(Z):
            model = type(self._final).__name__
            where = " after the transformers" if self._steps else ""
            raise ValueError(
                f"{name} contains NaN or infinity{where}, which {model} does not "
                "accept. Impute them in a pipeline, for "
                f"example make_pipeline(SimpleImputer(), {model}(...))."
            )

    def ask_small_model(self, X, Z):
        """Return the small model's probabilities of X, transformed to Z, or None."""
        return self._ask(X, Z, _small_model_proba)

    def ask_learner(self, X, Z):
        """Return the learner's probabilities of X, transformed to Z, or None.

        Those of a co-decision are without neighbours.
        """
        return self._ask(X, Z, _learner_proba)

    def _ask(self, X, Z, ask):
        if not self.knows:
            return None
        # Samples that were checked and not transformed need no second check.
        checked = Z is X and is_numeric(X) and not self._allows_nan
        with config_context(assume_finite=checked or get_config()["assume_finite"]):
            proba = ask(self._model, X if self._takes_raw else Z, self._model_classes)
        return align_proba(proba, self._model_classes, self.classes)

    def ask_prior(self, Z):
        """Return the prior's probabilities of transformed samples, or None."""
        if self._prior is None:
            return None
        proba = class_proba(self._prior, Z, self._prior.classes_)
        if len(proba) != n_rows(Z):
            raise ValueError(
                f"The prior returned {len(proba)} rows for {n_rows(Z)} samples."
            )
        return proba

    def embed(self, Z, name="X_pool"):
        """Return embeddings of transformed samples, rows of unit L2 norm."""
        Z = features_for_small_model(self._own_prior, Z)
        if self._embedding_steps is None:
            # All rows are equal, so samples are picked at random.
            return np.ones((n_rows(Z), 1), dtype=np.float32)
        if self._gaps is not None and not is_finite(Z):
            Z = check_array(Z, dtype=np.float64, ensure_all_finite="allow-nan")
            Z = np.where(np.isnan(Z), self._gaps, Z)
        for step in self._embedding_steps:
            Z = step.embed(Z) if is_package_prior(step) else step.transform(Z)
        return check_unit_embeddings(Z, name=name)

    def labeled(self):
        """Return labelled samples, raw and transformed, or None twice."""
        if self._X_labeled is None:
            return None, None
        return self._X_labeled, self.transform(self._X_labeled, "X_training")

    def embed_labeled(self):
        """Return embeddings of the labelled samples; None if there are none."""
        _, Z = self.labeled()
        return None if Z is None else self.embed(Z, "X_training")

    def small_model(self, X, Z):
        """Return the fitted small model, and its input for X, transformed to Z."""
        if not isinstance(self._model, BasePriorClassifier):
            return self._model, X if self._takes_raw else Z
        prior = self._model.prior_
        return self._model.estimator_, features_for_small_model(prior, Z)


def view_learner(learner, X_pool, prior=None, *, embeds=True):
    """Return a learner's view of a pool.

    Parameters
    ----------
    learner : modAL learner or committee, estimator, or any object with `estimator`, \
`X_training`, `y_training` and `predict_proba`
        Fitted or not.

    X_pool : array-like of length n_pool
        Unlabelled samples that the learner accepts.

    prior : prior or None, default=None
        Overrides the learner's own. An unfitted one is fitted on the pool.

    embeds : bool, default=True
        Whether embeddings are needed.

    Returns
    -------
    LearnerView

    Raises
    ------
    ValueError
        If the pool is empty or not finite, or nothing embeds it.
    """
    X_pool = check_pool(X_pool)
    reader = LearnerReader(learner, X_pool, prior, embeds=embeds)
    Z_pool = reader.transform(X_pool)
    X_labeled, Z_labeled = reader.labeled()
    has_labels = X_labeled is not None
    embedded = reader.embed(Z_pool)
    small_model, inputs, inputs_labeled = None, X_pool, X_labeled
    if reader.knows:
        small_model, inputs = reader.small_model(X_pool, Z_pool)
        if has_labels:
            _, inputs_labeled = reader.small_model(X_labeled, Z_labeled)
    return LearnerView(
        X_pool=embedded,
        X_labeled=reader.embed(Z_labeled, "X_training") if has_labels else embedded[:0],
        y_labeled=reader.y_labeled,
        classes=reader.classes,
        proba=reader.ask_small_model(X_pool, Z_pool),
        proba_labeled=(
            reader.ask_small_model(X_labeled, Z_labeled) if has_labels else None
        ),
        prior_proba=reader.ask_prior(Z_pool),
        small_model=small_model,
        inputs_pool=inputs,
        inputs_labeled=inputs_labeled,
    )


def may_have_gaps(learner):
    """Tell whether the first step of a learner accepts NaN."""
    return allows_nan(parts_of(learner)[3])


def count_labels(learner):
    """Return the number of labels that a learner has."""
    _, y_train, _, _ = parts_of(learner)
    return 0 if y_train is None else len(y_train)


def parts_of(learner):
    """Return training samples, labels, members of a committee, and the estimator."""
    members = getattr(learner, "learner_list", None)
    if members:
        first = members[0]
        return first.X_training, first.y_training, members, first.estimator
    if hasattr(learner, "X_training"):
        return learner.X_training, learner.y_training, None, learner.estimator
    return None, None, None, learner


def _fit_steps(steps, X, is_trained):
    """Return the fitted transformers, and X transformed.

    Without labels, only the pool can be used to fit them; the first supervised
    transformer and all after it are left out.
    """
    fitted = []
    for step in steps:
        Z = None
        # Before a trained model, a custom transformer may not show that it is fitted.
        if is_trained or is_fitted(step):
            with suppress(NotFittedError):
                Z = step.transform(X)
        if Z is None:
            step = fit_without_labels(step, X)
            if step is None:
                break
            Z = step.transform(X)
        X = Z
        fitted.append(step)
    return fitted, X


def _union(model_classes, labels):
    """Return the classes of model and labels; a model may lack some."""
    if model_classes is None:
        return np.unique(labels) if len(labels) else None
    known = set(np.asarray(model_classes).tolist())
    if known.issuperset(labels.tolist()):
        return model_classes
    try:
        return np.array(sorted(known.union(labels.tolist())))
    except TypeError:  # mixed types, which are reported elsewhere
        return model_classes


def _column_means(Z):
    """Return the means of the columns without NaN; 0 if all are NaN."""
    Z = check_array(Z, dtype=np.float64, ensure_all_finite="allow-nan")
    known = ~np.isnan(Z)
    return np.where(known, Z, 0).sum(axis=0) / np.maximum(known.sum(axis=0), 1)


def _prior_of(model):
    if not isinstance(model, BasePriorClassifier):
        return None
    return getattr(model, "prior_", model.prior)


def _classes_of(model, X):
    """Return the classes of a small model, or None if it is not fitted."""
    try:
        if isinstance(model, BasePriorClassifier):
            check_is_fitted(model)
            return None if model.estimator_ is None else model.classes_
        if not hasattr(model, "classes_"):
            return None
        classes = np.asarray(model.classes_)
        class_proba(model, X, classes)  # some have classes before they are fitted
        return classes
    except NotFittedError:
        return None


def _small_model_proba(model, X, classes):
    if isinstance(model, BasePriorClassifier):
        return model.small_model_proba(X)
    return class_proba(model, X, classes)


def _learner_proba(model, X, classes):
    if isinstance(model, CoDecisionClassifier):
        return model.proba_without_neighbors(X)
    return class_proba(model, X, classes)


def _embedding_steps(model, X, prior, own_prior, is_open):
    """Return the fitted priors or transformers that embed X.

    None if they can be fitted only once there are labels.
    """
    X = features_for_small_model(own_prior, X)
    if is_numeric(X):
        return []
    for candidate in (prior, own_prior):
        if is_package_prior(candidate) and is_fitted(candidate):
            Z = candidate.embed(take_rows(X, [0]))
            if Z is not None:
                return [candidate]
    if isinstance(model, BasePriorClassifier):
        inner = getattr(model, "estimator_", None)
        if inner is None or isinstance(inner, ConstantModel):
            inner = model.estimator  # its stand-in has no transformers
        steps, last = split_pipeline(inner)
        fitted, X = _fit_steps(steps, X, is_fitted(last))
        if is_numeric(X):
            return fitted
        is_open = is_open and len(fitted) == len(steps)
    if not is_open or isinstance(model, ConstantModel):
        return None
    raise ValueError(
        "The query strategy has no encoder for the pool. Use a Pipeline with an "
        f"encoder, for example {pipeline_example(X, 'classifier')}, or a strategy with "
        "prior=."
    )
