"""Fix the priors inside estimators to the pool."""

from sklearn.base import clone
from sklearn.frozen import FrozenEstimator

from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.utils.pipelines import fit_without_labels, split_pipeline
from cofm_sklearn.utils.validation import is_fitted

__all__ = ["freeze_prior"]


def freeze_prior(estimator, X):
    """Clone an estimator and fix the prior in it to unlabelled samples.

    The prior of a co-decision is otherwise fitted on the few labelled samples. In a
    pipeline, X goes through clones of the steps before; samplers among them are
    skipped, as they are in prediction.

    Parameters
    ----------
    estimator : estimator
        A `CoDecisionClassifier`, a pipeline that ends in one, or anything else,
        which is only cloned. As in any clone, a fitted prior loses its fit, unless
        it is in a ``sklearn.frozen.FrozenEstimator``.

    X : array-like of length n_samples
        The pool, as the estimator's `fit` takes it.

    Returns
    -------
    estimator
        The clone, whose prior is fitted and survives further clones.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import clone
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import CoDecisionClassifier, PrecomputedPrior
    >>> from cofm_sklearn.models import freeze_prior
    >>> model = CoDecisionClassifier(LogisticRegression(), PrecomputedPrior([0, 1]))
    >>> frozen = freeze_prior(model, np.eye(2))
    >>> clone(frozen).prior.classes_
    array([0, 1])
    """
    estimator = clone(estimator)
    before, last = split_pipeline(estimator)
    if not isinstance(last, CoDecisionClassifier) or last.prior is None:
        return estimator
    if is_fitted(last.prior):
        return estimator
    for step in before:
        step = fit_without_labels(step, X)
        if step is None:
            return estimator  # the prior waits for the labels, as the step does
        X = step.transform(X)
    last.prior = FrozenEstimator(clone(last.prior).fit(X))
    return estimator
