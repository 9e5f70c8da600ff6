"""Base class of classifiers with a prior and a small model."""

from copy import copy

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.models.small_model import class_proba
from cofm_sklearn.priors.base import features_for_small_model, fitted_prior
from cofm_sklearn.utils.labels import check_targets, encode_labels
from cofm_sklearn.utils.pipelines import allows_nan, split_pipeline
from cofm_sklearn.utils.validation import (
    check_proba,
    check_samples,
    is_numeric,
    n_rows,
    set_features,
    take_rows,
)

__all__ = ["BasePriorClassifier", "in_blocks", "prior_proba_of"]

_BLOCK, _BLOCK_CELLS = 2**14, 2**22


class BasePriorClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Base class of classifiers with a `prior` and a small model, `estimator`.

    A subclass implements `fit`, which learns `classes_`, `prior_` and `estimator_`, and
    `predict_proba`. Queries, loops and sessions recognise it by this base class.
    """

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def small_model_proba(self, X):
        """Return the class probabilities of the small model alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities; 0 for unseen classes, equal ones without labels.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        check_is_fitted(self, "classes_")
        X = self._check_X(X, reset=False)
        return class_proba(
            self.estimator_, features_for_small_model(self.prior_, X), self.classes_
        )

    def prior_proba(self, X):
        """Return the class probabilities of the prior alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities; equal ones without a prior.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        check_is_fitted(self, "classes_")
        X = self._check_X(X, reset=False)
        return prior_proba_of(self.prior_, X, self.classes_)

    def _begin(self, X, y):
        """Validate the training data, and prepare a copy to fit.

        Returns
        -------
        new : object
            A copy to fit, as later steps may fail; it has `prior_` and `classes_`.

        X : array-like of length n_samples
            Checked samples.

        codes : ndarray of shape (n_samples,), dtype int64
            Labels, as positions in `classes_`.
        """
        new = copy(self)
        X = new._check_X(X, reset=True)
        y = check_targets(X, y)
        new.prior_ = None if self.prior is None else fitted_prior(self.prior, X)
        if new.prior_ is None:
            new.classes_ = _classes_without_prior(self.estimator, y)
        else:
            new.classes_ = new.prior_.classes_
        codes = encode_labels(
            y, new.classes_, cure="Describe it, or correct the label."
        )
        return new, X, codes

    def _begin_without_labels(self, X):
        """Return a copy that uses the prior alone."""
        if self.prior is None:
            raise ValueError(
                f"This {type(self).__name__} requires y to be passed, but the target y "
                "is None or empty. Give labels, or a prior to predict without them."
            )
        new = copy(self)
        X = None if X is None or n_rows(X) == 0 else new._check_X(X, reset=True)
        new.prior_, new.estimator_ = fitted_prior(self.prior, X), None
        new.classes_ = new.prior_.classes_
        return new

    def _take_over(self, new):
        """Take over the fitted state of a copy once nothing can fail any more."""
        set_features(self)
        self.__dict__.update(new.__dict__)
        return self

    def _check_X(self, X, *, reset):
        checked = check_samples(self, X, reset=reset, allow_nan=self._takes_gaps())
        if sparse.issparse(checked) or not is_numeric(checked):
            return checked
        # Prior and small model may select columns by name, which may be a number.
        if isinstance(X, pd.DataFrame) and not X.columns.equals(
            pd.RangeIndex(X.shape[1])
        ):
            return X
        names = getattr(self, "feature_names_in_", None)
        return checked if names is None else pd.DataFrame(checked, columns=names)

    def _takes_gaps(self):
        return self.prior is None and allows_nan(self.estimator)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = self._takes_gaps()
        return tags


def _classes_without_prior(estimator, y):
    """Return the labels, with classes that a net lists although they have none yet."""
    labels = np.unique(y)
    listed = getattr(split_pipeline(estimator)[1], "classes", None)
    if listed is None or not set(labels.tolist()) < set(np.asarray(listed).tolist()):
        return labels
    return np.unique(listed)


def prior_proba_of(prior, X, classes):
    """Return validated probabilities of the prior; equal ones if it is None."""
    proba = class_proba(prior, X, classes)
    name = f"{type(prior).__name__}.predict_proba(X)"
    return check_proba(proba, n_rows(X), len(classes), name=name)


def in_blocks(say, X, n_classes, dtype=np.float64):
    """Predict block by block, which bounds memory."""
    n_samples, size = n_rows(X), min(_BLOCK, max(_BLOCK_CELLS // n_classes, 1))
    if n_samples <= size:
        return say(X).astype(dtype, copy=False)
    result = np.empty((n_samples, n_classes), dtype=dtype)
    for i in range(0, n_samples, size):
        result[i : i + size] = say(take_rows(X, slice(i, i + size)))
    return result
