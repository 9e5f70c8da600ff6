"""Fit the unsupervised parts of an estimator to the pool."""

from copy import copy

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.utils import check_consistent_length

from cofm_sklearn.models.base import BasePriorClassifier
from cofm_sklearn.pool import NeighborGraph
from cofm_sklearn.priors.base import (
    features_for_small_model,
    fitted_prior,
    is_package_prior,
)
from cofm_sklearn.utils.labels import ravel_labels
from cofm_sklearn.utils.pipelines import (
    can_freeze,
    fit_without_labels,
    split_pipeline,
)
from cofm_sklearn.utils.validation import (
    is_finite,
    is_fitted,
    is_numeric,
    n_rows,
    take_rows,
)

__all__ = ["fit_beside_pool", "fit_to_pool"]


def fit_to_pool(estimator, X):
    """Clone an estimator, and fit its unsupervised parts to unlabelled samples.

    These are the prior, which would otherwise be fitted on the few labelled samples,
    the neighbours of a co-decision, for which ``neighbors="auto"`` would otherwise mean
    none, and the pool of a `PriorALClassifier` without one. In a pipeline, the steps
    before it are fitted to X, and stay so; samplers are skipped, as in prediction.

    Parameters
    ----------
    estimator : estimator
        A `CoDecisionClassifier` or `PriorALClassifier`, a pipeline that ends in one,
        or any other estimator, which is only cloned. As in any clone, a fitted prior
        and fitted neighbours lose their fit unless they are wrapped in
        ``sklearn.frozen.FrozenEstimator``.

    X : array-like of length n_samples
        The pool, as the estimator's `fit` takes it.

    Returns
    -------
    estimator
        The clone; what is fitted in it survives further clones.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.base import clone
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import CoDecisionClassifier, PrecomputedPrior
    >>> from cofm_sklearn.models import fit_to_pool
    >>> model = CoDecisionClassifier(LogisticRegression(), PrecomputedPrior([0, 1]))
    >>> fitted = fit_to_pool(model, np.eye(2))
    >>> clone(fitted).prior.classes_
    array([0, 1])
    """
    estimator = clone(estimator)
    before, last = split_pipeline(estimator)
    if not isinstance(last, BasePriorClassifier) or not any(_lacks(last)):
        return estimator
    fitted = {}
    for step in before:
        found = fit_without_labels(step, X)
        if found is None:
            return estimator  # this step needs labels, so the rest cannot be fitted yet
        X = found.transform(X)
        if found is not step and can_freeze(step):
            # A few labelled samples would teach it another space than the pool's.
            fitted[id(step)] = FrozenEstimator(found)
    _give_pool(last, X)
    pipeline = estimator
    while pipeline is not last:
        pipeline.steps = [(name, fitted.get(id(s), s)) for name, s in pipeline.steps]
        pipeline = pipeline.steps[-1][1]
    return estimator


def fit_beside_pool(model, X, y, sample_weight=None):
    """Fit on the labelled samples, with all samples as the pool.

    Parameters
    ----------
    model : BasePriorClassifier
        Not changed.

    X : array-like of length n_samples
        Samples, labelled or not.

    y : array-like of shape (n_samples,)
        Labels. None, NaN or ``pandas.NA`` means that there is none; so does -1 if there
        is a prior without this class. Whole numbers that became float beside NaN count
        as int.

    sample_weight : array-like of shape (n_samples,), default=None
        Weights of the samples; ignored for unlabelled ones.

    Returns
    -------
    BasePriorClassifier or None
        A fitted copy with the same parameters; None if every sample has a label.
    """
    labels = ravel_labels(y)
    missing = absent = pd.isna(labels)
    if model.prior is not None and labels.dtype.kind in "ifO":
        absent = missing.copy()
        absent[~missing] = labels[~missing] == -1
    if not absent.any():
        return None
    check_consistent_length(X, labels, sample_weight)
    new = copy(model)
    _give_pool(new, X)
    if absent is not missing and -1 in new.prior.classes_.tolist():
        absent = missing
        if not absent.any():
            return None
    rows = np.flatnonzero(~absent)
    weight = None if sample_weight is None else take_rows(sample_weight, rows)
    # As a list, numbers get the dtype that they would have without missing ones.
    known = np.array(labels[rows].tolist())
    if known.dtype.kind == "f" and all(map(float.is_integer, known.tolist())):
        known = known.astype(np.int64)
    if known.dtype.kind not in "biuf":
        known = take_rows(y, rows)
    new.fit(take_rows(X, rows), known, weight)
    vars(new).update(model.get_params(deep=False))
    return new


def _lacks(model):
    """Tell whether a model lacks a fitted prior, fitted neighbours, and a pool."""
    neighbors = getattr(model, "neighbors", None)
    return (
        model.prior is not None and not is_fitted(model.prior),
        isinstance(neighbors, str) or not (neighbors is None or is_fitted(neighbors)),
        getattr(model, "pool", ()) is None,
    )


def _give_pool(model, X):
    lacks_prior, lacks_neighbors, lacks_pool = _lacks(model)
    if lacks_prior:
        model.prior = FrozenEstimator(fitted_prior(model.prior, X))
    if lacks_neighbors:
        model.neighbors = _neighbors_of_pool(model, X)
    if lacks_pool:
        model.pool = X


def _neighbors_of_pool(model, X):
    """Return the frozen graph, or None if "auto" finds no embedding of X."""
    graph = model.neighbors
    automatic = isinstance(graph, str)
    if automatic:
        # Distances to missing values are unknown.
        if n_rows(X) < 3 or (is_numeric(X) and not is_finite(X)):
            return None
        graph = NeighborGraph(random_state=model.random_state)
    if graph.encoder is None:
        # Set as an attribute, since set_params would clone a fitted prior.
        graph.encoder = _embedder(model, X)
        if automatic and graph.encoder is None and not is_numeric(X):
            return None
    return FrozenEstimator(graph.fit(X))


def _embedder(model, X):
    """Return the transformer that embeds the samples for a co-decision."""
    prior, first = model.prior, take_rows(X, slice(0, 1))
    if is_package_prior(prior):
        features = features_for_small_model(prior, first)
        if is_numeric(features) or prior.embed(features) is not None:
            return prior
    steps = split_pipeline(model.estimator)[0]
    if is_numeric(X) or not steps:
        return None
    return fit_without_labels(make_pipeline(*steps), X)
