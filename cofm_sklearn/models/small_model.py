"""Train any scikit-learn classifier on weighted samples, and predict all classes."""

import re
import warnings
from contextlib import contextmanager

import numpy as np
from scipy.special import expit, softmax
from sklearn import config_context
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import has_fit_parameter

from cofm_sklearn.models.resampling import SafeSampler, is_about_sizes
from cofm_sklearn.noise.estimate import centre_logits
from cofm_sklearn.utils.labels import align_proba
from cofm_sklearn.utils.pipelines import (
    fit_without_labels,
    params_named,
    pipeline_example,
    resamples,
    split_pipeline,
)
from cofm_sklearn.utils.quiet import few_labels_per_class
from cofm_sklearn.utils.validation import (
    check_weights,
    is_mixed_frame,
    is_numeric,
    n_rows,
    take_rows,
)

__all__ = [
    "ConstantModel",
    "check_fit_weights",
    "class_proba",
    "cross_fit_proba",
    "fit_constant_model",
    "fit_small_model",
    "is_balanced",
    "is_constant",
    "learned_share",
]


# What scikit-learn says if labels are too few for its folds or validation sets.
_ABOUT_OWN_SPLITS = re.compile(
    "n_splits|-fold|members in each class|least populated class|test_size"
)
# Modules of models whose predictions follow the weights of their loss.
_LINEAR_AND_NETS = "sklearn.linear_model", "cofm_sklearn.models.net"
# What libraries say about columns that are not numbers.
_ABOUT_TYPES = re.compile("convert|dtype|string", re.IGNORECASE)


def learned_share(estimator, data, X, prior_proba):
    """Return how much of a prior the small model learns from its rows alone.

    A small model that reads what the prior reads, the same embeddings, repeats most of
    it. It learns little of a language model that it cannot see.

    Parameters
    ----------
    estimator : classifier
        The small model; a clone is fitted.

    data : TrainingSet
        Its extra rows are those of the prior; its labels are not used.

    X : array-like of length n_samples
        Samples, as the small model sees them.

    prior_proba : ndarray of shape (n_samples, n_classes)
        Their prior probabilities.

    Returns
    -------
    float
        Squared correlation of the centred log-probabilities over samples and classes,
        0 to 1; 0 if it is negative, if one of them does not vary, or if the small
        model cannot be trained on so few rows.
    """
    rows_alone = data.subset(np.arange(0))
    try:
        learned = class_proba(fit_small_model(estimator, rows_alone), X, data.classes)
    except ValueError:
        return 0.0  # it learns nothing from so few rows, as with inner folds
    a, b = (centre_logits(proba).ravel() for proba in (prior_proba, learned))
    spread = np.std(a) * np.std(b)
    if spread == 0:
        return 0.0
    return float(max(np.mean(a * b) / spread, 0.0) ** 2)


class ConstantModel(DummyClassifier):
    """Stand-in for an estimator as long as all labels are of one class.

    It has a class of its own, so that a user's `DummyClassifier` is not taken for it.
    """

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags


def fit_constant_model(estimator, X, y):
    """Fit an estimator with its final model replaced by a constant.

    Parameters
    ----------
    estimator : classifier
        Not modified. Transformers of a pipeline are cloned and fitted, up to the first
        that needs labels, since a query needs their output.

    X : array-like of length n_samples
        Labelled samples.

    y : ndarray of shape (n_samples,)
        Their labels, of one class.

    Returns
    -------
    ConstantModel or Pipeline
    """
    fitted = []
    for step in split_pipeline(estimator)[0]:
        # With one class, a supervised transformer has nothing to learn, either.
        fitted_step = fit_without_labels(step, X)
        if fitted_step is None:
            break
        X = fitted_step.transform(X)
        fitted.append(fitted_step)
    constant = ConstantModel().fit(X, y)
    return make_pipeline(*fitted, constant) if fitted else constant


def is_constant(estimator):
    """Tell whether an estimator is a `ConstantModel`, or ends in one."""
    return isinstance(split_pipeline(estimator)[1], ConstantModel)


def fit_small_model(estimator, data):
    """Fit a clone of the estimator.

    Weights go to estimators that accept `sample_weight`, also through pipelines; others
    are fitted on `TrainingSet.rows_without_weights`. A skorch net gets the full class
    list and the positions of the labels, since its output units are fixed.

    Parameters
    ----------
    estimator : classifier
        Not modified.

    data : TrainingSet
        The training data.

    Returns
    -------
    classifier or None
        The fitted clone; None if there is nothing to train on.

    Raises
    ------
    ValueError
        If the samples are texts, images or a mixed frame, and the estimator cannot read
        them.
    """
    model = clone(estimator)
    weight_name = _weight_parameter(model)
    params = {}
    if weight_name is None:
        X, codes = data.rows_without_weights()
    else:
        X, codes, weight = data.rows()
        # Equal qualities say nothing; equal weights of the caller count as repeats.
        if np.any(weight != weight[:1]) or not np.isin(data.weight, (0, 1)).all():
            params[weight_name] = weight
    if len(codes) == 0:
        return None
    if len(np.unique(codes)) == 1:
        return ConstantModel().fit(X, data.classes[codes])
    net = _skorch_step(model)
    if net is None:
        y = data.classes[codes]
    else:
        y = codes
        model.set_params(**{f"{net}classes": list(range(len(data.classes)))})
    # The weights are computed here, so they bypass metadata routing, whether or not the
    # caller uses it.
    with (
        config_context(enable_metadata_routing=False),
        few_labels_per_class(),
        naming_the_cure(model, X),
    ):
        return model.fit(X, y, **params)


@contextmanager
def naming_the_cure(estimator, X):
    """Turn errors about unsuitable samples or classes into errors that name the cure.

    Parameters
    ----------
    estimator : classifier
        The classifier trained in the context.

    X : array-like of length n_samples
        Its training samples.

    Raises
    ------
    ValueError
        Instead of the classifier's error, if the cure is known.
    """
    try:
        yield
    except (TypeError, ValueError) as error:
        steps = [step for _, step in getattr(estimator, "steps", [])]
        bare = [
            type(step).__name__
            for step in steps
            if hasattr(step, "fit_resample") and not isinstance(step, SafeSampler)
        ]
        name = type(split_pipeline(estimator)[1]).__name__
        said = str(error).rstrip(".")
        unreadable = not is_mixed_frame(X) or _ABOUT_TYPES.search(said)
        if not is_numeric(X) and unreadable and not isinstance(estimator, Pipeline):
            raise ValueError(
                f"{name} cannot be trained on these samples, which are not numbers: "
                f"{said}. Put an encoder before it or before the co-decision, for "
                f"example {pipeline_example(X, f'{name}()')}."
            ) from error
        if "Invalid classes inferred" in said:  # by XGBoost
            raise ValueError(
                f"{name} takes only labels from 0 to K-1, and all of them in every "
                f"round and fold: {said}. OneVsRestClassifier({name}()) takes any."
            ) from error
        if bare and is_about_sizes(error):
            raise ValueError(
                f"{bare[0]} fails on classes as small as in the first rounds: {said}. "
                f"SafeSampler({bare[0]}()) copes with them."
            ) from error
        if "n_neighbors" in said and "n_samples_fit" in said:
            raise ValueError(
                f"{name} looks for more neighbours than there are labels: {said}. "
                "Lower n_neighbors, or label more first."
            ) from error
        if _skorch_step(estimator) is not None and "n_splits" in str(error):
            raise ValueError(
                f"The net sets samples aside for validation, but there are too few: "
                f"{said}. Give it train_split=None."
            ) from error
        named = isinstance(error.__cause__, ValueError)  # by a context within this one
        if _ABOUT_OWN_SPLITS.search(said) and not named:
            raise ValueError(
                f"{name} splits its training samples once more, and has too few labels "
                f"per class for that: {said}. Do without its folds or validation set, "
                "for example with the classifier inside it (decision_function is "
                "enough), or label more first."
            ) from error
        raise


def is_balanced(estimator):
    """Tell whether a classifier certainly treats all classes as equally frequent.

    Class weights and samplers balance linear models and nets. Trees whose leaves are
    pure, and calibration, bring the class shares back.

    Parameters
    ----------
    estimator : classifier
        The small model.

    Returns
    -------
    bool
        True also for scores that are not probabilities.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.models.small_model import is_balanced
    >>> is_balanced(LogisticRegression())
    False
    >>> is_balanced(LogisticRegression(class_weight="balanced"))
    True
    """
    if not hasattr(estimator, "predict_proba"):
        return True
    final = split_pipeline(estimator)[1]
    of_loss = type(final).__module__.startswith(_LINEAR_AND_NETS)
    if not of_loss and _skorch_step(estimator) is None:
        return False
    weights = params_named(estimator, "class_weight").values()
    return resamples(estimator) or any(weight is not None for weight in weights)


def class_proba(model, X, classes):
    """Return the probabilities of all `classes` from a fitted model.

    Parameters
    ----------
    model : fitted classifier or None
        With `predict_proba` or `decision_function`; None gives equal probabilities.

    X : array-like of length n_samples
        Samples.

    classes : ndarray of shape (n_classes,)
        Classes of the columns of the result.

    Returns
    -------
    ndarray of shape (n_samples, n_classes), dtype float64
        Classes unknown to the model have probability 0.

    Raises
    ------
    TypeError
        If the model has neither method.

    ValueError
        If it knows a class that is not among `classes`, is a net with another number
        of outputs, decides between pairs of classes, or its probabilities are not
        finite.
    """
    if model is None:
        return np.full((n_rows(X), len(classes)), 1 / len(classes))
    if hasattr(model, "predict_proba"):
        with naming_the_cure(model, X):
            proba = np.asarray(model.predict_proba(X), dtype=np.float64)
    elif hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(X), dtype=np.float64)
        final = split_pipeline(model)[1]
        if scores.ndim > 1 and (
            getattr(final, "decision_function_shape", None) == "ovo"
            or (_skorch_step(model) is None and scores.shape[1] != len(model.classes_))
        ):
            raise ValueError(
                f"{type(final).__name__}.decision_function(X) has a column for each "
                "pair of classes. Use decision_function_shape='ovr'."
            )
        if scores.ndim == 1:
            proba = np.column_stack([expit(-scores), expit(scores)])
        else:
            proba = softmax(scores, axis=1)
    else:
        raise TypeError(
            f"{type(model).__name__} has neither predict_proba nor decision_function. "
            "Use a classifier that has one of them, such as LogisticRegression."
        )
    if not np.isfinite(proba).all():
        # For example naive Bayes if all features are constant.
        raise ValueError(
            f"{type(model).__name__}.predict_proba(X) contains NaN or inf. Drop "
            "features that are constant among the labels, or use another model."
        )
    sums = proba.sum(axis=1, keepdims=True)
    if np.any(np.abs(sums - 1) > 1e-3):
        # Naive Bayes rounds to 0 if variances differ by many orders of magnitude.
        proba = proba / np.where(sums > 0, sums, 1)
    if _skorch_step(model) is not None:
        if proba.shape[1] != len(classes):
            raise ValueError(
                f"The net has {proba.shape[1]} outputs for {len(classes)} classes. "
                "Give its module one output per class. If some classes have no labels "
                "yet, list them all: NetClassifier(classes=[...]), or a prior."
            )
        return proba
    return align_proba(proba, model.classes_, classes)


def cross_fit_proba(estimator, data, *, n_folds=5, random_state=None, n_jobs=None):
    """Predict each labelled sample with a model that has not seen its label.

    The members of each class are dealt to the folds in turn, so that tiny classes are
    spread as evenly as possible.

    Parameters
    ----------
    estimator : classifier
        The small model.

    data : TrainingSet
        Labelled samples; extra rows are in every training set.

    n_folds : int, default=5
        Maximal number of folds; at most one per sample is used.

    random_state : int, RandomState or None, default=None
        Seed of the folds.

    n_jobs : int or None, default=None
        Folds fitted in parallel (joblib).

    Returns
    -------
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities.

    counts : ndarray of shape (n_samples, n_classes)
        Training labels per class of each row's model.
    """
    n_samples = len(data.codes)
    rng = check_random_state(random_state)
    # Samples of weight 0 are predicted, but must not change the folds of the others.
    used = np.flatnonzero(data.weight)
    dealt = used[np.lexsort((rng.uniform(size=len(used)), data.codes[used]))]
    fold = np.zeros(n_samples, dtype=int)
    fold[dealt] = np.arange(len(used)) % min(n_folds, len(used))

    def one_fold(k):
        train = data.subset(np.flatnonzero(fold != k))
        model = fit_small_model(estimator, train)
        test = take_rows(data.X, np.flatnonzero(fold == k))
        return class_proba(model, test, data.classes), train.class_counts()

    results = Parallel(n_jobs=n_jobs)(delayed(one_fold)(k) for k in np.unique(fold))
    proba = np.empty((n_samples, len(data.classes)))
    counts = np.empty((n_samples, len(data.classes)), dtype=int)
    for k, (rows, class_counts) in enumerate(results):
        proba[fold == k], counts[fold == k] = rows, class_counts
    return proba, counts


def _weight_parameter(estimator):
    """Return the name of the sample weight argument of `fit`, or None."""
    steps = getattr(estimator, "steps", None)
    if steps is None:
        return (
            "sample_weight" if has_fit_parameter(estimator, "sample_weight") else None
        )
    # Weights cannot follow a sampler, which changes the number of rows.
    if any(hasattr(step, "fit_resample") for _, step in steps):
        return None
    name, last = steps[-1]
    inner = None if last is None else _weight_parameter(last)
    return None if inner is None else f"{name}__{inner}"


def _skorch_step(estimator):
    """Return the parameter prefix of an estimator's skorch net, or None."""
    prefix = ""
    while getattr(estimator, "steps", None):
        name, estimator = estimator.steps[-1]
        prefix += f"{name}__"
    bases = {f"{c.__module__}.{c.__name__}" for c in type(estimator).__mro__}
    return prefix if "skorch.classifier.NeuralNetClassifier" in bases else None


def check_fit_weights(estimator, sample_weight, n_samples):
    """Validate the weights of a fit, and warn if the small model takes none.

    Parameters
    ----------
    estimator : classifier
        The small model.

    sample_weight : array-like of shape (n_samples,) or None
        The weights of the caller.

    n_samples : int

    Returns
    -------
    ndarray of shape (n_samples,)
        Weights; ones instead of None.

    Raises
    ------
    ValueError, TypeError
        As in `check_weights`.

    Warns
    -----
    UserWarning
        If the weights of the used samples differ, and the small model does not take
        `sample_weight`.
    """
    weight = check_weights(sample_weight, n_samples)
    if np.ptp(weight[weight > 0]) > 0 and _weight_parameter(estimator) is None:
        name = type(split_pipeline(estimator)[1]).__name__
        warnings.warn(
            f"The small model ({name}, or a sampler before it) does not take "
            "sample_weight, so it counts all samples alike. Use a small model that "
            "takes it, such as LogisticRegression without a sampler.",
            stacklevel=3,
        )
    return weight
