"""A weighted combination of priors."""

from copy import copy

import numpy as np
import pandas as pd
from scipy import sparse
from scipy.special import softmax
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.priors.base import (
    BasePrior,
    features_for_small_model,
    fitted_prior,
    is_package_prior,
)
from cofm_sklearn.utils.labels import align_proba
from cofm_sklearn.utils.texts import is_frame
from cofm_sklearn.utils.validation import (
    check_proba,
    is_numeric,
    n_rows,
)

__all__ = ["CombinedPrior"]

_FLOOR = 1e-12  # of probabilities, before taking logarithms


class CombinedPrior(BasePrior):
    """Average several priors in log space, with weights learned from labels.

    Without labels, all have equal weight. A `CoDecisionClassifier` weights them by how
    well their average predicts the labels and discards those that add nothing, by the
    same criterion that sets its trust.

    Parameters
    ----------
    priors : list of priors
        Two or more, of the same classes: `ZeroShotPrior`, `LanguageModelPrior`,
        `TransformersPrior`, `PrecomputedPrior`, or any classifier with `predict_proba`.
        Fitted priors are used as they are; others are cloned and fitted on the samples,
        without labels. Wrap a fitted prior in ``sklearn.frozen.FrozenEstimator`` if
        clones must keep the fit. All get the same samples; use a pipeline to select
        from them.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    priors_ : list of priors
        The fitted priors.

    weights_ : ndarray of shape (n_priors,)
        Their weights, which sum to 1.

    scales_ : ndarray of shape (n_priors,)
        Sharpness of each prior before weighting: the standard deviation of its logits
        on the labelled samples. All 1 without labels.

    References
    ----------
    Genest, C., Zidek, J. V. (1986). Combining Probability Distributions: A Critique
    and an Annotated Bibliography. Statistical Science 1(1). (the logarithmic pool)

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn import CombinedPrior, PrecomputedPrior
    >>> prior = CombinedPrior([
    ...     PrecomputedPrior(["ham", "spam"], columns=[0, 1]),
    ...     PrecomputedPrior(["ham", "spam"], columns=[2, 3])]).fit()
    >>> prior.predict_proba(np.array([[0.5, 0.5, 0.9, 0.1]])).round(2)
    array([[0.75, 0.25]])
    >>> prior.with_weights([0, 1]).predict_proba(np.array([[0.5, 0.5, 0.9, 0.1]]))
    array([[0.9, 0.1]])
    """

    def __init__(self, priors):
        self.priors = priors

    def fit(self, X=None, y=None):
        """Fit the priors that are not fitted yet.

        Parameters
        ----------
        X : array-like of length n_samples, default=None
            Unlabelled samples, preferably the whole pool.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The prior.

        Raises
        ------
        ValueError
            If there are fewer than two priors, their classes differ, or one that is
            not fitted needs labels.

        TypeError
            If `priors` is not a list, or an element has no `predict_proba`.
        """
        if not isinstance(self.priors, list | tuple):
            raise TypeError(f"priors must be a list of priors, got {self.priors!r}.")
        if len(self.priors) < 2:
            raise ValueError(f"priors must contain at least 2, got {len(self.priors)}.")
        for prior in self.priors:
            if not hasattr(prior, "predict_proba"):
                raise TypeError(f"priors must have predict_proba, got {prior!r}.")
        priors = [fitted_prior(prior, X) for prior in self.priors]
        classes = priors[0].classes_
        for prior in priors[1:]:
            if set(prior.classes_.tolist()) != set(classes.tolist()):
                raise ValueError(
                    f"priors must have the same classes, but {priors[0]!r} has "
                    f"{classes.tolist()}, and {prior!r} {prior.classes_.tolist()}."
                )
        self.classes_ = np.sort(classes)
        self.priors_ = priors
        self.weights_ = np.full(len(priors), 1 / len(priors))
        self.scales_ = np.ones(len(priors))
        return self

    def predict_proba(self, X):
        """Return the weighted average of the priors.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples that all priors accept.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError, TypeError
            If a prior rejects X, or returns no probabilities.
        """
        logits = np.log(np.maximum(self.each_proba(X), _FLOOR))
        # Keep the average sharpness of the priors.
        share = self.weights_ / self.scales_
        share = share * (self.weights_ @ self.scales_)
        return softmax(np.tensordot(share, logits, axes=1), axis=1)

    def each_proba(self, X):
        """Return the probabilities of each prior.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples that all priors accept.

        Returns
        -------
        ndarray of shape (n_priors, n_samples, n_classes)
            Probabilities, in the order of `priors` and `classes_`.

        Raises
        ------
        NotFittedError, ValueError, TypeError
            As in `predict_proba`.
        """
        check_is_fitted(self, "classes_")
        return np.array(
            [
                check_proba(
                    align_proba(prior.predict_proba(X), prior.classes_, self.classes_),
                    n_rows(X),
                    name=f"{type(prior).__name__}.predict_proba(X)",
                )
                for prior in self.priors_
            ]
        )

    def with_weights(self, weights, scales=None):
        """Return a copy with other weights.

        Parameters
        ----------
        weights : array-like of shape (n_priors,)
            Weights of at least 0 that sum to 1.

        scales : array-like of shape (n_priors,) or None, default=None
            The new `scales_`; None keeps the current ones.

        Returns
        -------
        CombinedPrior
            A fitted copy that shares the priors.

        Raises
        ------
        ValueError
            If there is not one weight per prior, or they do not sum to 1.
        """
        check_is_fitted(self, "classes_")
        new = copy(self)
        new.weights_ = check_proba([weights], 1, len(self.priors_), name="weights")[0]
        if scales is not None:
            new.scales_ = np.asarray(scales, dtype=np.float64)
        return new

    def features(self, X):
        """Return X without the columns that priors use for themselves.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples.

        Returns
        -------
        ndarray, CSR or DataFrame of shape (n_samples, n_columns), or X itself
        """
        check_is_fitted(self, "classes_")
        if not is_frame(X) and not is_numeric(X):
            return X
        if not hasattr(X, "shape"):
            X = np.asarray(X)
        # Let each prior select from a row of column positions.
        row = np.arange(X.shape[1])[None]
        if isinstance(X, pd.DataFrame):
            row = pd.DataFrame(row, columns=X.columns)
        kept = np.ones(X.shape[1], dtype=bool)
        for prior in self.priors_:
            left = np.asarray(features_for_small_model(prior, row)).ravel()
            kept &= np.isin(np.arange(X.shape[1]), left)
        if kept.all():
            return X
        if isinstance(X, pd.DataFrame):
            return X.loc[:, kept]
        return (X.tocsr() if sparse.issparse(X) else X)[:, kept]

    def embed(self, X):
        """Return embeddings of X from the first prior that has any, else None."""
        return self._first_of("embed", X)

    def description_rows(self, X):
        """Return one sample per class from the first prior that has any, else None."""
        return self._first_of("description_rows", X)

    def _first_of(self, method, X):
        check_is_fitted(self, "classes_")
        for prior in self.priors_:
            if is_package_prior(prior):
                found = getattr(prior, method)(X)
                if found is not None:
                    return found
        return None
