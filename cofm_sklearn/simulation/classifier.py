"""A whole active-learning loop as one estimator."""

import warnings
from copy import copy
from typing import Any

import joblib
import numpy as np
import pandas as pd
from sklearn import get_config
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import _estimator_has, check_is_fitted
from tqdm.auto import tqdm

from cofm_sklearn.loop.learner import Learner, with_seeds
from cofm_sklearn.loop.stopping import check_stopping, look, says_stop
from cofm_sklearn.models import fit_to_pool, label_pool
from cofm_sklearn.models.base import BasePriorClassifier
from cofm_sklearn.pool.blocks import PoolView
from cofm_sklearn.query import BaseQueryStrategy
from cofm_sklearn.query.base import check_strategy
from cofm_sklearn.simulation.again import agree, ask, group_answers, pick_again
from cofm_sklearn.simulation.curves import strategy_name
from cofm_sklearn.simulation.oracle import ExactOracle, check_oracle
from cofm_sklearn.simulation.scoring import check_scorers, score_model
from cofm_sklearn.utils.labels import (
    align_proba,
    check_targets,
    encode_labels,
    ravel_labels,
)
from cofm_sklearn.utils.pipelines import allows_nan, check_takes, split_pipeline
from cofm_sklearn.utils.validation import (
    check_integer,
    check_n_instances,
    check_samples,
    is_fitted,
    is_numeric,
    n_rows,
    set_features,
    take_rows,
)

__all__ = [
    "ActiveLearningClassifier",
    "check_prior_knows",
    "draw_seed",
    "seed_model",
]


class ActiveLearningClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Simulate active learning, and act as the resulting classifier.

    `fit` uses y as the knowledge of an oracle: in each round, the query strategy
    selects samples, the oracle answers, and the estimator is trained again, until the
    budget is spent. All settings are parameters, so `GridSearchCV` can compare
    strategies, models and budgets.

    Parameters
    ----------
    estimator : classifier
        Trained on the labels so far in every round; may be a pipeline on raw samples.
        An unfitted prior of a `CoDecisionClassifier` is fitted once, on all of X.

    query_strategy : callable
        `CoDecisionQuery`, another strategy of this package, or a function of modAL:
        called as ``strategy(learner, X_pool, n_instances=n)``. If it has a method
        `select_again`, such as `AskAgainQuery`, this first selects the labelled samples
        that are worth another answer.

    n_initial : "auto" or int, default="auto"
        Number of labels in the first, random batch. ``"auto"`` is 0 for the strategies
        of this package, which start without labels, and `n_instances` for others.

    n_instances : int, default=10
        Number of labels per round.

    budget : int, default=100
        Number of labels to spend; at most one per sample, unless the strategy asks
        again: then every answer costs one.

    oracle : oracle or None, default=None
        Gives the answers, for example `NoisyOracle(0.2)`; None uses `ExactOracle()`.

    scoring : None, str, callable, list or dict, default=None
        Scores of the learning curve, as for scikit-learn's `check_scoring`. None
        records balanced accuracy, macro-F1 and rare-class recall; an empty list
        records nothing and saves the time. scikit-learn's scorers see all classes, with
        probability 0 for those without labels; other functions get the model itself.

    stopping : stopping rule or None, default=None
        Ends the loop before the budget is spent, for example `StabilizedPredictions()`.
        It gets models and samples, but never the true labels.

    warm_start : bool, default=False
        Whether another `fit` on the same data continues with its labels: after an
        interruption, or with a larger budget.

    verbose : int, default=0
        Above 0, show a progress bar.

    random_state : int, RandomState or None, default=None
        Seed of the random draws and of all parts without their own seed.

    Attributes
    ----------
    estimator_ : classifier
        Trained on all queried labels.

    classes_ : ndarray of shape (n_classes,)
        Labels of y and of the estimator, sorted.

    queried_indices_ : ndarray of shape (n_labels,), dtype int64
        Positions in X, in query order; positions queried again are repeated.

    answers_ : ndarray of shape (n_labels,)
        The oracle's answers.

    labeled_indices_ : ndarray of shape (n_labeled,), dtype int64
        The distinct queried positions, in the order of their first query.

    labels_ : ndarray of shape (n_labeled,)
        The label of each that `estimator_` was trained on: its answer, or several
        answers combined by `combine_annotators`.

    learning_curve_ : DataFrame
        A row per round: `strategy`, `seed`, `round`, `n_labels`, and the scores; for a
        `CoDecisionClassifier` also the mean `label_quality` and the `noise_rate`; with
        a stopping rule, its `stopping_value`.

    stopping_ : stopping rule or None
        The rule with its state; ``stopping_.decision_`` is its last decision.

    oracle_ : oracle
        The fitted oracle.

    n_features_in_ : int
        Number of features of X; only if X is numeric.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    See Also
    --------
    cofm_sklearn.simulation.LearningCurveDisplay : Plots `learning_curve_`.

    Notes
    -----
    An interruption (Ctrl-C) keeps all complete rounds. With `warm_start`, the loop ends
    with a warning, and the next `fit` continues; else KeyboardInterrupt is raised,
    which ends a search as well. As long as all labels are of one class,
    an estimator that cannot be trained on one class is replaced by a constant
    prediction, and strategies of other packages by random sampling.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import ActiveLearningClassifier, CoDecisionQuery
    >>> X, y = make_blobs([90, 90, 20], n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), CoDecisionQuery(), budget=12, n_instances=4,
    ...     random_state=0).fit(X, y)
    >>> loop.learning_curve_[["round", "n_labels"]].values.tolist()
    [[0, 4], [1, 8], [2, 12]]
    >>> len(set(loop.queried_indices_))
    12
    """

    estimator_: Any

    def __init__(
        self,
        estimator,
        query_strategy,
        n_initial="auto",
        n_instances=10,
        budget=100,
        *,
        oracle=None,
        scoring=None,
        stopping=None,
        warm_start=False,
        verbose=0,
        random_state=None,
    ):
        self.estimator = estimator
        self.query_strategy = query_strategy
        self.n_initial = n_initial
        self.n_instances = n_instances
        self.budget = budget
        self.oracle = oracle
        self.scoring = scoring
        self.stopping = stopping
        self.warm_start = warm_start
        self.verbose = verbose
        self.random_state = random_state

    def fit(self, X, y, *, eval_set=None, votes=None, **fit_params):
        """Spend the budget on labels of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            The pool.

        y : array-like of shape (n_samples,)
            True labels; used only by the oracle and the scores.

        eval_set : tuple (X_eval, y_eval), default=None
            Data for the scores of the learning curve; None uses all of X and y.

        votes : array-like of shape (n_samples, n_classes), default=None
            Counts of recorded answers, for `RecordedVotesOracle`: a column per class,
            in sorted order, or a DataFrame whose column names are the classes, also
            those that y lacks.

        **fit_params : dict of array-like of length n_samples
            Passed to the estimator's `fit`, for the samples labelled so far:
            `sample_weight`, or ``step__sample_weight`` in a pipeline; None is left out.
            With ``set_config(enable_metadata_routing=True)``, what the estimator
            requests.

        Returns
        -------
        self : object
            The estimator.

        Raises
        ------
        ValueError
            If X or y is empty, X is infinite or has NaN that the estimator does not
            accept, lengths differ, a parameter is out of range, the prior lacks a class
            of y, or `warm_start` is set and X or y differs on the labelled samples. The
            fitted state is kept.

        TypeError
            If `query_strategy` cannot be called, `oracle` is no oracle, or `stopping`
            is no stopping rule.
        """
        given = {name: v for name, v in fit_params.items() if v is not None}
        fit_params = self._routed(given)
        seen = copy(self)  # so that a failed fit changes nothing
        X = seen._check_X(X, reset=True)
        y = check_targets(X, y)
        check_consistent_length(y, *fit_params.values())
        n_initial, budget = self._check_parameters(len(y))
        check_takes(self.estimator, X)
        check_stopping(self.stopping)
        check_oracle(self.oracle)
        seed = draw_seed(self.random_state)
        strategy = with_seeds(self.query_strategy, seed)
        estimator = fit_to_pool(seed_model(self.estimator, seed), X)
        oracle = ExactOracle() if self.oracle is None else self.oracle
        oracle = with_seeds(oracle, seed + 2)
        oracle.fit(y, X=X if is_numeric(X) else None, votes=votes)
        check_prior_knows(estimator, y)
        if votes is not None:
            check_prior_knows(estimator, getattr(oracle, "classes_", y), "votes")
        known, dtype = _possible_answers(y, oracle, estimator)
        evaluate = seen._evaluator(X, y, eval_set)

        stopping = with_seeds(self.stopping, seed + 3)

        asked, answers, curve = [], [], []
        learner = Learner(estimator, strategy, random_state=seed)
        if self.warm_start and hasattr(self, "queried_indices_"):
            done = self.labeled_indices_
            if vars(self).get("_labelled") != (_digest(X, done), _digest(y, done)):
                raise ValueError(
                    "warm_start=True continues with the labels of the last fit, but X "
                    "and y differ now, or are in another order. Give the same, or set "
                    "warm_start=False."
                )
            asked = list(self.queried_indices_)
            answers = list(self.answers_)
            curve = self.learning_curve_.to_dict("records")
            learner.fit(take_rows(X, done), self.labels_, **_take(fit_params, done))
            # As it was given, since a missing seed differs in every fit.
            if vars(self).get("_stopping") == repr(self.stopping):
                stopping = self.stopping_
        progress = tqdm(
            total=budget, initial=len(asked), unit="label", disable=self.verbose <= 0
        )
        with progress:
            try:
                while len(asked) < budget and not says_stop(stopping):
                    n = min(self.n_instances, budget - len(asked))
                    pool = np.delete(np.arange(len(y)), asked)
                    again = pick_again(strategy, learner, X, pool, asked, answers, n)
                    new = pool[:0]
                    n = min(n - len(again), len(pool))
                    if n:
                        new = pool[self._pick(learner, X, pool, n, n_initial, seed)]
                    picked = np.concatenate([new, again])
                    if not len(picked):
                        break  # nothing is left that is worth a query
                    said = ask(oracle, picked, asked)
                    encode_labels(
                        said,
                        known,
                        f"an answer of oracle={oracle!r}",
                        "It must answer with labels of y, or of the prior.",
                    )
                    answers = [*answers, *said.tolist()]
                    asked = [*asked, *picked.tolist()]
                    _teach(learner, X, asked, answers, dtype, fit_params)
                    row = {
                        "strategy": strategy_name(strategy),
                        "seed": seed,
                        "round": len(curve),
                        "n_labels": len(asked),
                        **_label_quality(learner.estimator),
                        **evaluate(learner.estimator),
                    }
                    if stopping is not None:
                        stopping = look(stopping, learner, X, len(asked))
                        row["stopping_value"] = stopping.decision_.value
                    curve = [*curve, row]
                    # Keep only complete rounds, whatever ends the loop.
                    self._publish(
                        learner, oracle, stopping, X, y, asked, answers, curve, dtype
                    )
                    set_features(self, seen)
                    progress.update(len(picked))
                # With warm_start, its parameters may be new without a new round.
                self.__dict__.update(_model_of(learner, y))
            except KeyboardInterrupt as error:
                if not curve:
                    raise
                n = len(self.queried_indices_)
                said = f"Interrupted: {n} of {budget} labels are kept."
                if not self.warm_start:
                    # A search must not take half a loop for a whole one.
                    cure = "Set warm_start=True and call fit again to continue."
                    error.add_note(f"{said} {cure}")
                    raise
                warnings.warn(f"{said} Call fit again to continue.", stacklevel=2)
        return self

    def get_metadata_routing(self):
        """Return the metadata routing of this loop.

        Returns
        -------
        MetadataRouter
            `fit` uses `eval_set` and `votes`, and passes the rest to the estimator.
        """
        mapping = MethodMapping().add(caller="fit", callee="fit")
        router = MetadataRouter(owner=type(self).__name__).add_self_request(self)
        return router.add(estimator=self.estimator, method_mapping=mapping)

    def _routed(self, fit_params):
        if not get_config()["enable_metadata_routing"]:
            return fit_params
        return process_routing(self, "fit", **fit_params)["estimator"]["fit"]

    def _publish(self, learner, oracle, stopping, X, y, asked, answers, curve, dtype):
        known = np.array(list(dict.fromkeys(asked)), dtype=np.int64)
        # At once, as an interruption may come at any time.
        self.__dict__.update(
            _model_of(learner, y),
            oracle_=oracle,
            stopping_=stopping,
            _stopping=repr(self.stopping),
            queried_indices_=np.array(asked, dtype=np.int64),
            answers_=np.array(answers, dtype=dtype),
            labeled_indices_=known,
            labels_=learner.y_training,
            learning_curve_=pd.DataFrame(curve),
            _labelled=(_digest(X, known), _digest(y, known)),
        )

    def predict(self, X):
        """Predict with the estimator trained on the queried labels.

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
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        return self.estimator_.predict(self._check_X(X, reset=False))

    @available_if(_estimator_has("predict_proba"))
    def predict_proba(self, X):
        """Predict class probabilities with the trained estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Columns in the order of `classes_`; 0 for classes without labels.

        Raises
        ------
        NotFittedError
            Before `fit`.
        """
        check_is_fitted(self)
        proba = self.estimator_.predict_proba(self._check_X(X, reset=False))
        return align_proba(proba, self.estimator_.classes_, self.classes_)

    @available_if(_estimator_has("predict_proba"))
    def label_pool(self, X, *, target_precision=None):
        """Label the whole pool: queried samples by the oracle, others by the estimator.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            The pool of `fit`.

        target_precision : float or None, default=None
            As in `cofm_sklearn.models.label_pool`.

        Returns
        -------
        DataFrame
            As returned by `cofm_sklearn.models.label_pool`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError
            If X is not that pool, in the same order, or the target is not in (0, 1).
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        if self._labelled[0] != _digest(X, self.labeled_indices_):
            raise ValueError(
                "X must be the pool of fit, in the same order: the rows that were "
                "asked about hold other samples now. For other samples, use predict."
            )
        answers = self.labels_, self.labeled_indices_
        return label_pool(
            self.estimator_, X, *answers, target_precision=target_precision
        )

    def _pick(self, learner, X, pool, n, n_initial, seed):
        """Return the positions in `pool` to query next."""
        n_asked = 0 if learner.y_training is None else len(learner.y_training)
        if n_asked < n_initial:
            n = min(n_initial - n_asked, self.budget - n_asked, len(pool))
            rng = np.random.RandomState([seed, n_asked])
            return rng.choice(len(pool), size=n, replace=False)
        is_table = isinstance(X, np.ndarray) and X.dtype.kind in "fiu" and X.ndim == 2
        native = isinstance(learner.query_strategy, BaseQueryStrategy)
        view = PoolView if native and is_table else take_rows
        return learner.query(view(X, pool), n)

    def _evaluator(self, X, y, eval_set):
        """Return a function estimator -> dict of scores."""
        classes = np.unique(y)
        if eval_set is not None:
            if not isinstance(eval_set, tuple | list) or len(eval_set) != 2:
                raise ValueError(
                    "eval_set must be a tuple (X_eval, y_eval), got "
                    f"{type(eval_set).__name__}."
                )
            X_eval, y_eval = eval_set
            if is_numeric(X) != is_numeric(X_eval):
                raise ValueError(
                    "eval_set holds other samples than X: one of them is a table of "
                    "numbers, the other is not. A Pipeline transforms X alone: "
                    "transform X_eval first, with pipeline[:-1], or put the steps "
                    "before the classifier in estimator=."
                )
            X, y = self._check_X(X_eval, reset=False), ravel_labels(y_eval, "y_eval")
            if n_rows(X) != len(y):
                raise ValueError(
                    f"eval_set has {n_rows(X)} samples, but {len(y)} labels."
                )
        scorers = check_scorers(self.scoring, self.estimator)
        return lambda model: score_model(scorers, model, X, y, classes)

    def _check_X(self, X, *, reset):
        # The estimator may accept missing values, or select columns by name.
        checked = check_samples(self, X, reset=reset, allow_nan=True)
        is_table = isinstance(X, pd.DataFrame) and is_numeric(X)
        return X if is_table else checked

    def _check_parameters(self, n_samples):
        check_strategy(self.query_strategy)
        check_n_instances(self.n_instances, np.inf)
        check_integer("budget", self.budget, 1)
        check_integer("n_initial", self.n_initial, 0, also=("auto",))
        n_initial = self.n_initial
        if isinstance(n_initial, str):
            native = isinstance(self.query_strategy, BaseQueryStrategy)
            n_initial = 0 if native else self.n_instances
        if hasattr(self.query_strategy, "select_again"):
            return n_initial, self.budget
        return n_initial, min(self.budget, n_samples)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.input_tags.allow_nan = allows_nan(self.estimator)
        return tags


def _model_of(learner, y):
    """Return the attributes of a loop that depend on its model."""
    model = learner.estimator
    return {"estimator_": model, "classes_": np.union1d(np.unique(y), model.classes_)}


def draw_seed(random_state):
    """Draw the seed of a loop."""
    return check_random_state(random_state).randint(np.iinfo(np.int32).max)


def seed_model(estimator, seed):
    """Clone the estimator of a loop with a seed, and set its missing seeds."""
    return with_seeds(estimator, seed + 1)


def check_prior_knows(estimator, y, name="y"):
    """Raise a ValueError if a fitted prior of an estimator lacks a class of y."""
    classes = _classes_of_prior(estimator)
    if classes is None:
        return
    encode_labels(np.unique(y), classes, name, "Describe it, or correct the label.")


def _classes_of_prior(estimator):
    """Return the classes of an estimator's prior; None without a fitted one."""
    model = split_pipeline(estimator)[1]
    prior = getattr(model, "prior", None)
    if not isinstance(model, BasePriorClassifier) or prior is None:
        return None
    # Steps before it that need labels leave it unfitted.
    return prior.classes_ if is_fitted(prior) else None


def _possible_answers(y, oracle, estimator):
    """Return the labels that an oracle may give, and a dtype that holds them all."""
    known = dict.fromkeys(np.unique(y).tolist())
    for classes in (getattr(oracle, "classes_", None), _classes_of_prior(estimator)):
        if classes is not None:
            known |= dict.fromkeys(np.asarray(classes).tolist())
    # A str of fixed width would cut off a longer one.
    dtype = np.array(list(known)).dtype if y.dtype.kind in "US" else y.dtype
    return list(known), dtype


def _digest(values, rows):
    """Return a digest of some rows of the samples or of their true labels."""
    if rows.max() >= n_rows(values):
        return ""
    return joblib.hash(take_rows(values, rows))


def _take(fit_params, rows):
    return {name: take_rows(values, rows) for name, values in fit_params.items()}


def _teach(learner, X, asked, answers, dtype, fit_params):
    """Train on the labels combined from the answers so far."""
    samples, matrix = group_answers(asked, answers)
    X = take_rows(X, samples)
    labels = agree(matrix, learner, X)
    labels = np.array(labels.tolist(), dtype=dtype)
    learner.fit(X, labels, **_take(fit_params, samples))


def _label_quality(estimator):
    """Return mean label quality and noise rate, if the estimator has them."""
    model = split_pipeline(estimator)[1]
    quality = getattr(model, "label_quality_", None)
    if quality is None or not len(quality):
        return {}
    return {"label_quality": float(np.mean(quality)), "noise_rate": model.noise_rate_}
