"""Adapters for strategies of modAL and scikit-activeml."""

from inspect import Parameter, signature

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError

from cofm_sklearn.models.small_model import class_proba
from cofm_sklearn.query.base import BaseQueryStrategy, ask_strategy, check_strategy
from cofm_sklearn.query.view import may_have_gaps, parts_of
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.labels import encode_labels
from cofm_sklearn.utils.pipelines import split_pipeline
from cofm_sklearn.utils.texts import is_text
from cofm_sklearn.utils.validation import (
    check_pool,
    is_fitted,
    is_mixed_frame,
    n_rows,
    take_rows,
)

__all__ = ["ModALQuery", "SkactivemlQuery"]

# scikit-activeml's argument for the classifier -> its flag to refit it.
_CLASSIFIER_ARGUMENTS = {"clf": "fit_clf", "estimator": "fit_estimator"}
_FILLED_IN = {"X", "y", "candidates", "batch_size", "return_utilities"}


class ModALQuery(BaseQueryStrategy):
    """Wrap a modAL strategy function as an estimator with cold start and random ties.

    Loops of this package and modAL's learners also accept the bare function. Wrapped,
    its arguments become parameters for `clone` and `GridSearchCV`, an unfitted learner
    gets random samples, and ties are broken by `random_state` (modAL would take the
    first, or use NumPy's global random state).

    Parameters
    ----------
    function : callable
        Called as ``function(learner, X_pool, n_instances=n, **arguments)``.

    n_instances : int, default=1
        Samples per query, unless given in the call.

    arguments : dict or None, default=None
        Further arguments of the function.

    random_state : int, RandomState or None, default=None
        Seed. Each call combines it with the number of labels.

    Examples
    --------
    >>> import numpy as np
    >>> from modAL.uncertainty import margin_sampling
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import ModALQuery
    >>> model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> strategy = ModALQuery(margin_sampling, random_state=0)
    >>> strategy(model, np.array([[0.1], [0.5], [0.9]]))
    array([1])
    """

    def __init__(self, function, n_instances=1, *, arguments=None, random_state=None):
        self.function = function
        self.n_instances = n_instances
        self.arguments = arguments
        self.random_state = random_state

    def _select_for(self, learner, X_pool, n_instances):
        check_strategy(self.function, "function")
        X_pool = check_pool(X_pool, allow_nan=may_have_gaps(learner))
        taught = getattr(learner, "y_training", None)
        rng = self._rng(0 if taught is None else len(taught))
        # modAL breaks ties by position, so positions are shuffled.
        order = rng.permutation(n_rows(X_pool))
        try:
            picked, worth = ask_strategy(
                self.function,
                learner,
                take_rows(X_pool, order),
                n_instances,
                **(self.arguments or {}),
            )
        except (NotFittedError, AttributeError) as error:
            # Pipelines of scikit-learn before 1.8 call their steps without a fit.
            untrained = not is_fitted(split_pipeline(parts_of(learner)[-1])[1])
            if not (untrained or isinstance(error, NotFittedError)):
                raise
            picked, worth = np.arange(n_instances), None
        picked = order[picked]
        if worth is None or np.size(worth) != len(picked):
            worth = np.arange(len(picked), 0, -1)
        utilities = np.full(len(order), np.nan)
        utilities[picked] = np.ravel(worth)
        return picked, utilities


class SkactivemlQuery(BaseQueryStrategy):
    """Wrap a pool strategy of scikit-activeml (BADGE, CoreSet, TypiClust, ...).

    The strategy gets labelled and pool samples together, with missing labels for the
    pool, and the learner's trained small model. Only expected error reduction and
    epistemic uncertainty train clones of it. Strategies without a model get embeddings
    with rows of unit norm; those with a model get the small model's input.

    Parameters
    ----------
    strategy : scikit-activeml query strategy
        Any strategy for one annotator whose `query` needs at most a classifier of
        scikit-learn. It is cloned for every call, so it keeps no state between calls.

    n_instances : int, default=1
        Samples per query, unless given in the call.

    random_state : int, RandomState or None, default=None
        Seed for the strategy and its clustering, if they have none of their own. Each
        call combines it with the number of labels.

    Notes
    -----
    Without labels, or with labels of one class only, a strategy that needs a classifier
    is replaced by random sampling. Among duplicate rows, some strategies pick one
    sample several times; random samples replace the repeated picks.

    References
    ----------
    Kottke, D. et al. (2021). scikit-activeml: A Library and Toolbox for Active
    Learning Algorithms. Preprints 2021030194.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skactiveml.pool import CoreSet                    # doctest: +SKIP
    >>> from cofm_sklearn import ActiveLearningClassifier
    >>> from cofm_sklearn.query import SkactivemlQuery
    >>> X, y = make_blobs(200, n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(                       # doctest: +SKIP
    ...     LogisticRegression(), SkactivemlQuery(CoreSet()), budget=20).fit(X, y)
    """

    def __init__(self, strategy, n_instances=1, *, random_state=None):
        self.strategy = strategy
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        argument = self._classifier_argument()
        n_labeled, n_pool = len(view.y_labeled), view.X_pool.shape[0]
        utilities = np.full(n_pool, np.nan)
        knows_two = view.proba is not None and len(view.classes) > 1
        if argument is not None and not knows_two:
            picked = rng.choice(n_pool, size=n_instances, replace=False)
            utilities[picked] = np.arange(n_instances, 0, -1)
            return picked, utilities
        labels = np.full(n_labeled + n_pool, np.nan)
        if n_labeled:
            labels[:n_labeled] = encode_labels(view.y_labeled, view.classes)
        parts, model = (view.X_labeled, view.X_pool), {}
        if argument is not None:
            parts = (view.inputs_labeled, view.inputs_pool)
            retrains = self._retrains()
            wrapper = _FittedModel(view.small_model, view.classes)
            model = {
                argument: self._skactiveml("classifier").SklearnClassifier(
                    clone(view.small_model) if retrains else wrapper,
                    classes=np.arange(len(view.classes)),
                    missing_label=np.nan,
                ),
                _CLASSIFIER_ARGUMENTS[argument]: retrains,
            }
        X = np.concatenate([_dense(part) for part in parts if part is not None])
        strategy = self._seeded(rng)
        try:
            picked, worth = strategy.query(
                X,
                labels,
                candidates=np.arange(n_labeled, len(X)),
                batch_size=n_instances,
                return_utilities=True,
                **model,
            )
        except TypeError as error:
            raise TypeError(
                f"{type(strategy).__name__} refuses its arguments: "
                f"{str(error).rstrip('.')}. If it needs another classifier than the "
                "learner's, choose another strategy."
            ) from error
        utilities[:] = worth[0, n_labeled:]
        utilities[~np.isfinite(utilities)] = np.nan
        picked = _distinct(np.asarray(picked) - n_labeled, n_instances, n_pool, rng)
        return picked, utilities

    def _skactiveml(self, module):
        return import_optional(f"skactiveml.{module}", needed_by="SkactivemlQuery")

    def _classifier_argument(self):
        """Return the name of `query`'s classifier argument, or None if it has none."""
        base = self._skactiveml("base").SingleAnnotatorPoolQueryStrategy
        if not isinstance(self.strategy, base):
            raise TypeError(
                "strategy must be a scikit-activeml pool strategy for one annotator, "
                f"for example skactiveml.pool.Badge(); got {self.strategy!r}."
            )
        parameters = signature(self.strategy.query).parameters
        required = {
            name for name, p in parameters.items() if p.default is Parameter.empty
        } - _FILLED_IN
        known = required & set(_CLASSIFIER_ARGUMENTS)
        if required - known:
            raise TypeError(
                f"{type(self.strategy).__name__} needs {sorted(required - known)} for "
                "each query, which a learner does not have. Choose a strategy that "
                "needs at most a classifier."
            )
        return known.pop() if known else None

    def _retrains(self):
        """Tell whether the strategy must train the classifier itself."""
        pool = self._skactiveml("pool")
        return isinstance(
            self.strategy,
            (pool.ExpectedErrorReduction, pool.EpistemicUncertaintySampling),
        )

    def _seeded(self, rng):
        """Clone the strategy, and set missing seeds."""
        strategy = clone(self.strategy).set_params(missing_label=np.nan)
        parameters = strategy.get_params(deep=False)
        seed = int(rng.randint(np.iinfo(np.int32).max))
        if parameters.get("random_state") is None:
            strategy.set_params(random_state=seed)
        algorithm = parameters.get("cluster_algo")
        if algorithm is not None and "random_state" in signature(algorithm).parameters:
            settings = {"random_state": seed, **(parameters["cluster_algo_dict"] or {})}
            strategy.set_params(cluster_algo_dict=settings)
        return strategy


class _FittedModel(ClassifierMixin, BaseEstimator):
    """A fitted model whose classes are all positions."""

    def __init__(self, model, classes):
        self.model = model
        self.classes = classes

    @property
    def classes_(self):
        return np.arange(len(self.classes))

    @property
    def n_features_in_(self):
        return self.model.n_features_in_

    def __sklearn_is_fitted__(self):
        return True

    def fit(self, X, y):
        """Keep the model as it is."""
        return self

    def predict(self, X):
        return self.predict_proba(X).argmax(axis=1)

    def predict_proba(self, X):
        return class_proba(self.model, X, self.classes)


def _distinct(picked, n_instances, n_pool, rng):
    """Replace repeated picks by random samples."""
    _, first = np.unique(picked, return_index=True)
    picked = picked[np.sort(first)]
    rest = rng.permutation(np.setdiff1d(np.arange(n_pool), picked))
    missing = n_instances - len(picked)
    return np.concatenate([picked, rest[:missing]]).astype(np.int64)


def _dense(X):
    if is_text(X) or is_mixed_frame(X):
        raise ValueError(
            "scikit-activeml strategies that use the classifier need it to work on "
            "numbers. Put the encoder into a Pipeline before it, for example "
            "make_pipeline(SentenceTransformerEncoder(), classifier)."
        )
    return X.toarray() if hasattr(X, "toarray") else np.asarray(X)
