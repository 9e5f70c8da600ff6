"""Several priors as one."""

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

_FLOOR = 1e-12  # of probabilities, before their logarithm is taken


class CombinedPrior(BasePrior):
    """Average several priors in log space, with weights that labels decide on.

    Before any label all count alike. A `CoDecisionClassifier` weighs them by how well
    their average predicts the labels, and discards those that add nothing, by the same
    evidence by which it then trusts the result.

    Parameters
    ----------
    priors : list of priors
        Two or more, of the same classes: `ZeroShotPrior`, `LanguageModelPrior`,
        `TransformersPrior`, `PrecomputedPrior`, or any classifier with
        `predict_proba`. A fitted one is used as it is; an unfitted one is cloned and
        fitted on the samples, without labels. Put a fitted one into
        ``sklearn.frozen.FrozenEstimator`` where clones must keep the fit. All are
        given the same samples; a pipeline may choose from these.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted.

    priors_ : list of priors
        The fitted ones.

    weights_ : ndarray of shape (n_priors,)
        Their weights, of sum 1.

    scales_ : ndarray of shape (n_priors,)
        How sharp each one is, before it is weighed: the standard deviation of its
        logits on the labelled samples. All 1 before any label.

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
        """Fit the priors that are not fitted.

        Parameters
        ----------
        X : array-like of length n_samples, default=None
            Unlabelled samples, best the whole pool.

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
            If `priors` is no list, or something in it has no `predict_proba`.
        """
        if not isinstance(self.priors, list | tuple):
            raise TypeError(f"priors must be a list of priors, got {self.priors!r}.")
        if len(self.priors) < 2:
            raise ValueError(f"priors must be 2 or more, got {len(self.priors)}.")
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
        """Return the average.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples, as all priors take them.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError, TypeError
            If a prior refuses X, or gives no probabilities.
        """
        logits = np.log(np.maximum(self.each_proba(X), _FLOOR))
        # As sharp as they are themselves, in the mean.
        share = self.weights_ / self.scales_
        share = share * (self.weights_ @ self.scales_)
        return softmax(np.tensordot(share, logits, axes=1), axis=1)

    def each_proba(self, X):
        """Return what each prior says.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples, as all priors take them.

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
        """Return the same prior with other weights.

        Parameters
        ----------
        weights : array-like of shape (n_priors,)
            0 or more, of sum 1.

        scales : array-like of shape (n_priors,) or None, default=None
            Become `scales_`; None leaves these as they are.

        Returns
        -------
        CombinedPrior
            A fitted copy, which shares the priors.

        Raises
        ------
        ValueError
            If there are not as many as priors, or they are no weights of sum 1.
        """
        check_is_fitted(self, "classes_")
        new = copy(self)
        new.weights_ = check_proba([weights], 1, len(self.priors_), name="weights")[0]
        if scales is not None:
            new.scales_ = np.asarray(scales, dtype=np.float64)
        return new

    def features(self, X):
        """Return X without the columns that a prior takes for itself.

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
        # Each prior chooses from a row that holds the positions.
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
        """Return embeddings of X, of the first prior that has any; else None."""
        return self._first_of("embed", X)

    def description_rows(self, X):
        """Return one sample per class, of the first prior that has any; else None."""
        return self._first_of("description_rows", X)

    def _first_of(self, method, X):
        check_is_fitted(self, "classes_")
        for prior in self.priors_:
            if is_package_prior(prior):
                found = getattr(prior, method)(X)
                if found is not None:
                    return found
        return None
