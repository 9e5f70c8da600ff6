"""Base class and helpers shared by all priors."""

from collections.abc import Mapping

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.frozen import FrozenEstimator

from cofm_sklearn.utils.pipelines import needs_labels, split_pipeline
from cofm_sklearn.utils.texts import check_texts, is_text
from cofm_sklearn.utils.validation import is_fitted

__all__ = [
    "BasePrior",
    "check_descriptions",
    "check_raw_texts",
    "closeness",
    "features_for_small_model",
    "first_descriptions",
    "fitted_prior",
    "is_package_prior",
]


class BasePrior(ClassifierMixin, BaseEstimator):
    """Base class of priors: classifiers whose `fit` needs no labels.

    A subclass implements ``fit(X, y=None)``, which learns `classes_`, and
    ``predict_proba(X)``. The methods below are optional extras for the co-decision;
    their defaults provide nothing.
    """

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def features(self, X):
        """Return the part of X that a small model should see; by default all of it."""
        return X

    def embed(self, X):
        """Return embeddings of X of shape (n_samples, d), or None if there are none."""
        return None

    def closeness(self, X):
        """Return how close samples are to each class, judged independently.

        By default the log-odds of `predict_proba`, which compare the classes with each
        other; a prior with independent scores overrides this.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples, as in `predict_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Any numbers; larger is closer.
        """
        return _log_odds(self.predict_proba(X))

    def description_rows(self, X):
        """Return one sample per class of the same kind as X, or None.

        When labels are few, a small model may learn from these rows as if they were
        labelled samples.
        """
        return None

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.required = False
        tags.input_tags.string = True
        # X must have the encoder's width, or one probability per class.
        tags.input_tags.two_d_array = False
        return tags


def is_package_prior(prior):
    """Tell whether a prior, frozen or not, offers the methods of `BasePrior`."""
    inner = prior.estimator if isinstance(prior, FrozenEstimator) else prior
    return isinstance(inner, BasePrior)


def features_for_small_model(prior, X):
    """Return the part of X that a small model should see beside this prior, or None."""
    return prior.features(X) if is_package_prior(prior) else X


def closeness(prior, X):
    """Return `BasePrior.closeness` of any prior."""
    if is_package_prior(prior):
        return prior.closeness(X)
    return _log_odds(prior.predict_proba(X))


def _log_odds(proba):
    proba = np.clip(proba, 1e-6, 1 - 1e-6)
    return np.log(proba / (1 - proba))


def fitted_prior(prior, X):
    """Return a fitted prior; an unfitted one is cloned and fitted on X.

    Raises
    ------
    ValueError
        If it is not fitted and needs labels to be fitted.

    TypeError
        If it has no classes, as a regressor or an outlier detector.
    """
    if not is_fitted(prior):
        prior = _fit_without_labels(prior, X)
    if not hasattr(prior, "classes_"):
        raise TypeError(
            f"prior={prior!r} has no classes_. A prior predicts a probability for each "
            "class. Turn scores into such probabilities, and give them as columns of X "
            "with PrecomputedPrior."
        )
    return prior


def _fit_without_labels(prior, X):
    steps, model = split_pipeline(prior)
    if any(needs_labels(step) for step in (*steps, model)):
        raise ValueError(
            f"prior={prior!r} is not fitted and needs labels to be fitted. "
            "Fit it on other data first, and wrap it in FrozenEstimator of "
            "sklearn.frozen: loops, sessions and grid searches clone the prior, and a "
            "clone loses its fit. Or use ZeroShotPrior or PrecomputedPrior."
        )
    return clone(prior).fit(X)


def check_raw_texts(prior, X):
    """Check that a prior which reads texts gets texts; return them as an array.

    Raises
    ------
    TypeError, ValueError
        As `check_texts`, or if X holds numbers.
    """
    if getattr(getattr(X, "dtype", None), "kind", "O") in "fiub":
        name = type(prior).__name__
        raise TypeError(
            f"{name} reads texts, but X holds numbers. Put the encoder before the "
            "small model only: CoDecisionClassifier(make_pipeline("
            f"SentenceTransformerEncoder(), LogisticRegression()), {name}(...))."
        )
    return check_texts(X)


def check_descriptions(class_descriptions):
    """Validate a dict of label -> description, or list of descriptions.

    Returns
    -------
    labels : list
        The sorted labels.

    texts : list of list of str
        The descriptions of each label.

    Raises
    ------
    TypeError
        If it is not a mapping, its keys cannot be sorted, or a description is no str.

    ValueError
        If there are fewer than two classes, or a description is empty.
    """
    if not isinstance(class_descriptions, Mapping):
        raise TypeError(
            "class_descriptions must be a dict of label -> description, got "
            f"{type(class_descriptions).__name__}."
        )
    if len(class_descriptions) < 2:
        raise ValueError(
            "class_descriptions must describe 2 classes or more, got "
            f"{len(class_descriptions)}."
        )
    try:
        labels = sorted(class_descriptions)
    except TypeError as error:
        raise TypeError(
            "class_descriptions must have keys of one type, for example all str."
        ) from error
    if np.ndim(labels) != 1:
        raise TypeError("class_descriptions must have keys of str, int or bool.")
    texts = []
    for label in labels:
        given = class_descriptions[label]
        given = [given] if isinstance(given, str) else given
        texts.append(
            check_texts(
                given,
                name=f"class_descriptions[{label!r}]",
                allow_empty_strings=False,
            ).tolist()
        )
    return labels, texts


def first_descriptions(descriptions, X):
    """Return the first description of each class, or None if X is not texts."""
    if not is_text(X):
        return None
    return np.array([texts[0] for texts in descriptions], dtype=object)
