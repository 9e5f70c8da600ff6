"""A model with its labels and a query strategy."""

from contextlib import suppress
from copy import copy, deepcopy
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.utils import check_consistent_length
from sklearn.utils.metaestimators import available_if

from cofm_sklearn.models.base import BasePriorClassifier
from cofm_sklearn.models.small_model import (
    fit_constant_model,
    is_constant,
    naming_the_cure,
)
from cofm_sklearn.query.base import (
    BaseQueryStrategy,
    ask_strategy,
    check_strategy,
    rng_of_round,
)
from cofm_sklearn.query.co_decision import CoDecisionQuery
from cofm_sklearn.utils.labels import check_targets
from cofm_sklearn.utils.pipelines import (
    check_takes,
    needs_labels,
    params_named,
    split_pipeline,
)
from cofm_sklearn.utils.quiet import few_labels_per_class
from cofm_sklearn.utils.validation import (
    check_n_instances,
    check_pool,
    is_fitted,
    is_numeric,
    n_rows,
    stack_rows,
    take_rows,
)

__all__ = ["Learner", "missing_seeds", "with_seeds"]


class Learner:
    """Query a pool for samples worth labelling, and learn from the answers.

    You write the loop: query, label, teach, as often as you like. A call that fails
    changes nothing: `teach` trains a clone on all labels, and replaces model, samples
    and labels only when that has succeeded.

    Parameters
    ----------
    estimator : classifier
        Trained on all labels by every `teach`; may be a pipeline on raw samples. Clones
        are trained, never the given estimator; a fitted prior and neighbours keep their
        fit. ``fit_to_pool(estimator, X_pool)`` fits them to the pool.

    query_strategy : callable or None, default=None
        Called as ``strategy(learner, X_pool, n_instances=n)``: a strategy of this
        package, or a function of modAL, or your own. None uses
        `CoDecisionQuery()`.

    random_state : int, RandomState or None, default=None
        Seed of the random samples used instead of strategies of other packages until
        there are labels of two classes. A query draws from it and the number of labels.

    Attributes
    ----------
    estimator : classifier
        Trained on all labels; without labels, the given estimator.

    X_training : array-like of length n_labeled, or None
        The labelled samples, in the order of teaching; None before the first.

    y_training : ndarray of shape (n_labeled,), or None
        Their labels.

    See Also
    --------
    cofm_sklearn.ActiveLearningClassifier : The whole loop with known labels.
    cofm_sklearn.AnnotationSession : The whole loop with human annotators.

    Notes
    -----
    As long as all labels are of one class, an estimator that cannot be trained on one
    class is replaced by a constant prediction.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import CoDecisionQuery, Learner
    >>> X, y = make_blobs([90, 90, 20], n_features=4, random_state=0)
    >>> learner = Learner(LogisticRegression(), CoDecisionQuery(random_state=0))
    >>> pool = np.arange(len(X))
    >>> for _ in range(3):
    ...     picked = pool[learner.query(X[pool], n_instances=4)]
    ...     learner = learner.teach(X[picked], y[picked])
    ...     pool = np.setdiff1d(pool, picked)
    >>> len(learner.y_training)
    12
    >>> learner.predict(X[:3]).shape
    (3,)
    """

    # used by modAL's ranked batches
    on_transformed = False

    def __init__(self, estimator, query_strategy=None, *, random_state=None):
        self.estimator = estimator
        self.query_strategy = query_strategy
        self.random_state = random_state
        self.X_training: Any = None
        self.y_training: Any = None
        self._fit_params: Any = {}
        # `estimator` may be a constant at first
        self._untrained = estimator

    def __repr__(self):
        n = 0 if self.y_training is None else len(self.y_training)
        return f"<Learner of {self._untrained!r} with {n} labels>"

    @property
    def knows_classes(self):
        """Whether it was trained on labels of several classes."""
        return self.y_training is not None and not is_constant(self.estimator)

    def query(self, X_pool, n_instances=None, *, return_utilities=False):
        """Select the samples to label next.

        Parameters
        ----------
        X_pool : array-like of length n_pool
            Unlabelled samples that the estimator accepts.

        n_instances : int, default=None
            Number of samples; None uses the strategy's own number, or 1.

        return_utilities : bool, default=False
            Whether to return the scores as well.

        Returns
        -------
        indices : ndarray of shape (n_instances,), dtype int64
            Distinct positions in X_pool, in query order.

        utilities : ndarray of shape (n_pool,), dtype float64
            Only with `return_utilities`: the utility of each sample when the first was
            picked; NaN if unknown.

        Raises
        ------
        ValueError
            If the pool is empty or smaller than `n_instances`, or the strategy returns
            anything but that many distinct positions.

        TypeError
            If the strategy cannot be called, or `n_instances` is not an integer.
        """
        strategy = self.query_strategy
        strategy = CoDecisionQuery() if strategy is None else strategy
        check_strategy(strategy)
        if n_instances is None:
            n_instances = getattr(strategy, "n_instances", 1)
        n_pool = n_rows(X_pool)
        n_instances = check_n_instances(n_instances, n_pool)
        utilities = np.full(n_pool, np.nan)
        if isinstance(strategy, BaseQueryStrategy):
            options = {"return_utilities": True} if return_utilities else {}
            picked, found = ask_strategy(strategy, self, X_pool, n_instances, **options)
            utilities = found if return_utilities else utilities
        elif self.knows_classes:
            picked, _ = ask_strategy(strategy, self, X_pool, n_instances)
        else:
            n_labeled = 0 if self.y_training is None else len(self.y_training)
            rng = rng_of_round(self.random_state, n_labeled)
            picked = rng.choice(n_pool, size=n_instances, replace=False)
        return (picked, utilities) if return_utilities else picked

    def teach(self, X, y, **fit_params):
        """Add labels, and train on all labels so far.

        Parameters
        ----------
        X : array-like of length n_samples
            Labelled samples.

        y : array-like of shape (n_samples,)
            Their labels.

        **fit_params : dict of array-like of length n_samples
            Further arguments of the estimator's `fit`, such as `sample_weight`. They
            are kept with the labels, so every call must pass the same names. None
            counts as not given.

        Returns
        -------
        self : object
            The learner.

        Raises
        ------
        ValueError, TypeError
            If there are no samples or not as many labels, a label is missing or of
            another type than those so far, samples are of another type or width,
            `fit_params` has other names or lengths, or the estimator rejects the
            samples. The learner keeps its state.
        """
        X, y, fit_params = _check_taught(X, y, fit_params)
        if self.y_training is not None:
            X = _below(self.X_training, X)
            y = _more_labels(self.y_training, y)
            if set(fit_params) != set(self._fit_params):
                raise ValueError(
                    f"fit_params has {sorted(fit_params)}, but the labels so far have "
                    f"{sorted(self._fit_params)}. Pass the same names in each call."
                )
            fit_params = {
                name: stack_rows(self._fit_params[name], values)
                for name, values in fit_params.items()
            }
        return self._train(X, y, fit_params)

    def fit(self, X, y, **fit_params):
        """Train on these labels only, and discard earlier ones.

        Parameters
        ----------
        X : array-like of length n_samples
            Labelled samples.

        y : array-like of shape (n_samples,)
            Their labels.

        **fit_params : dict of array-like of length n_samples
            As in `teach`.

        Returns
        -------
        self : object
            The learner.

        Raises
        ------
        ValueError, TypeError
            As in `teach`.
        """
        X, y, fit_params = _check_taught(X, y, fit_params)
        return self._train(X, y, fit_params)

    def _train(self, X, y, fit_params):
        check_takes(self._untrained, X)
        steps, last = split_pipeline(self._untrained)
        takes_one_class = isinstance(last, BasePriorClassifier) and not any(
            map(needs_labels, steps)
        )
        if len(np.unique(y)) == 1 and not takes_one_class:
            model = fit_constant_model(self._untrained, X, y)
        else:
            with few_labels_per_class(), naming_the_cure(self._untrained, X):
                model = _untrained_copy(self._untrained).fit(X, y, **fit_params)
        prior = getattr(split_pipeline(model)[1], "prior_", None)
        if prior is not None and -1 in set(y.tolist()).difference(prior.classes_):
            raise ValueError(
                "y contains -1, which is no class of the prior: there is no label. "
                "Teach the labelled samples only."
            )
        self.estimator, self.X_training, self.y_training = model, X, y
        self._fit_params = fit_params
        return self

    def expecting(self, X, y):
        """Return a copy with further labels, without training on them.

        Strategies then treat these samples as labelled.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples that are being labelled.

        y : array-like of shape (n_samples,)
            The expected labels.

        Returns
        -------
        Learner
            A copy.
        """
        learner = copy(self)
        X = check_pool(X, "X")
        if self.y_training is not None:
            X = _below(self.X_training, X)
            y = _more_labels(self.y_training, np.asarray(y))
        learner.X_training, learner.y_training = X, y
        return learner

    def predict(self, X):
        """Predict labels with the current model.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.
        """
        return self.estimator.predict(X)

    @available_if(lambda self: hasattr(self.estimator, "predict_proba"))
    def predict_proba(self, X):
        """Predict class probabilities with the current model.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of ``estimator.classes_``.
        """
        return self.estimator.predict_proba(X)


def with_seeds(thing, seed):
    """Copy, and set missing seeds; what cannot be copied is returned unchanged."""
    if not hasattr(thing, "get_params"):
        with suppress(TypeError):  # for example a lock
            return deepcopy(thing)
        return thing
    thing = clone(thing)
    return thing.set_params(**dict.fromkeys(missing_seeds(thing), seed))


def missing_seeds(thing):
    """Return the names of the seeds, also of nested parts, that are None."""
    if not hasattr(thing, "get_params"):
        return []
    seeds = params_named(thing, "random_state")
    return [name for name, seed in seeds.items() if seed is None]


def _untrained_copy(estimator):
    """Clone an estimator, keeping its fitted unsupervised parts."""
    copied = clone(estimator)
    given, last = split_pipeline(estimator)[1], split_pipeline(copied)[1]
    if isinstance(given, BasePriorClassifier):
        for name in ("prior", "neighbors"):
            part = getattr(given, name, None)
            if hasattr(part, "fit") and is_fitted(part):
                setattr(last, name, part)
    return copied


def _check_taught(X, y, fit_params):
    """Return checked copies, as the caller may reuse the memory."""
    X = check_pool(X, "X")
    y = check_targets(X, y)
    rows = np.arange(len(y))
    given = {}
    for name, values in fit_params.items():
        if values is None:
            continue
        try:
            check_consistent_length(y, values)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"{name} must have one value per sample of X, {len(y)}. Set parameters "
                "that are not per sample in the estimator."
            ) from error
        given[name] = take_rows(values, rows)
    return take_rows(X, rows), y[rows], given


def _below(known, X):
    """Append samples to those so far, if they are of one type."""
    framed = isinstance(known, pd.DataFrame)
    if framed != isinstance(X, pd.DataFrame) or is_numeric(known) != is_numeric(X):
        raise ValueError(
            f"X must be of the type of the samples so far, {type(known).__name__}; "
            f"got {type(X).__name__}."
        )
    if framed and list(known.columns) != list(X.columns):
        raise ValueError(
            f"X has the columns {list(X.columns)}, but the samples so far have "
            f"{list(known.columns)}."
        )
    if is_numeric(known) and known.shape[1] != X.shape[1]:
        raise ValueError(
            f"X has {X.shape[1]} features, but the samples so far have "
            f"{known.shape[1]}."
        )
    return stack_rows(known, X)


def _more_labels(known, y):
    """Append labels to those so far; numpy would turn numbers into strings."""
    if (known.dtype.kind in "biuf") != (y.dtype.kind in "biuf"):
        raise TypeError(
            f"y contains {y[0]!r}, but the labels so far are like {known[0]!r}. "
            "Give labels of one type."
        )
    return np.concatenate([known, y])
