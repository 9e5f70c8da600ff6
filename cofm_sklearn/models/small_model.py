"""Train any scikit-learn classifier on weighted samples, and predict all classes."""

import re
from contextlib import contextmanager
from copy import copy

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
    pipeline_example,
    split_pipeline,
)
from cofm_sklearn.utils.quiet import few_labels_per_class
from cofm_sklearn.utils.validation import (
    is_numeric,
    n_rows,
    stack_rows,
    take_rows,
)

__all__ = [
    "ConstantModel",
    "TrainingSet",
    "class_proba",
    "cross_fit_proba",
    "fit_constant_model",
    "fit_small_model",
    "is_constant",
    "learned_share",
    "net_weight",
    "typical_rows",
]


# Models without sample weights are not trained on samples lighter than this share of
# the mean weight: nearest neighbours do better with a farther neighbour once this one
# is less likely right than most.
_ENOUGH = 0.75

# What scikit-learn says if labels are too few for its folds or validation sets.
_ABOUT_OWN_SPLITS = re.compile(
    "n_splits|-fold|members in each class|least populated class|test_size"
)

# A typical row counts as many labels as it averages samples, up to this limit.
_TYPICAL = 10
# Weight of a label that is more likely wrong than right, above 0: see `net_weight`.
_LEAST_WEIGHT = 0.02


def typical_rows(X, proba):
    """Return one row per class: the mean of its most confident samples.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Samples.

    proba : ndarray of shape (n_samples, n_classes)
        Their prior probabilities.

    Returns
    -------
    rows : ndarray of shape (n_classes, n_features)
        Scaled to the norm of the samples, as a mean of unit vectors is shorter.

    weight : int
        Number of labels that a row is worth: 1 to 10, fewer for small classes.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.small_model import typical_rows
    >>> right = np.linspace(0, 1, 40)
    >>> angles = right * np.pi / 2
    >>> X = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> rows, weight = typical_rows(X, np.column_stack([1 - right, right]))
    >>> rows.round(2)
    array([[1.  , 0.08],
           [0.08, 1.  ]])
    >>> weight
    5
    """
    # An eighth of a class of average size; a quarter if that is no more than ten.
    average = len(X) / proba.shape[1]
    weight = int(np.clip(average / 4, 1, _TYPICAL))
    n_typical = max(weight, int(average / 8))
    # Neither the last digits nor the order may decide between samples.
    proba = proba.round(6)
    last = len(X) - n_typical
    typical = proba >= np.partition(proba, last, axis=0)[last]
    rows = (typical / typical.sum(axis=0)).T @ X
    length = np.linalg.norm(X, axis=1).mean()
    own = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * (length / np.where(own > 0, own, 1.0)), weight


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
        0 to 1; 0 if it is negative, or if one of them does not vary.
    """
    rows_alone = data.subset(np.arange(0))
    learned = class_proba(fit_small_model(estimator, rows_alone), X, data.classes)
    a, b = (centre_logits(proba).ravel() for proba in (prior_proba, learned))
    spread = np.std(a) * np.std(b)
    if spread == 0:
        return 0.0
    return float(max(np.mean(a * b) / spread, 0.0) ** 2)


def net_weight(label_quality, n_classes):
    """Return the weights of labels that are right with some probability.

    A wrong label pulls towards one of the other classes as strongly as a right one
    pulls towards its own, so a label counts as much as it is more likely right than
    another class is. Wrong labels keep a little weight, as their classes were seen.

    Parameters
    ----------
    label_quality : ndarray of shape (n_samples,)
        Probability that each label is right.

    n_classes : int

    Returns
    -------
    ndarray of shape (n_samples,)
        From 0.02 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.small_model import net_weight
    >>> net_weight(np.array([1.0, 0.75, 0.5, 0.2]), 2)
    array([1.  , 0.5 , 0.02, 0.02])
    """
    if n_classes < 2:
        return label_quality
    net = (n_classes * label_quality - 1) / (n_classes - 1)
    return np.clip(net, _LEAST_WEIGHT, 1.0)


class TrainingSet:
    """Weighted labelled samples, with extra rows that represent the classes.

    Parameters
    ----------
    X : array-like of length n_samples
        Samples of any type.

    codes : ndarray of shape (n_samples,), dtype int64
        Labels as positions in `classes`.

    classes : ndarray of shape (n_classes,)
        The labels.

    weight : ndarray of shape (n_samples,), default=None
        Sample weights, at least 0; samples of weight 0 are not used.

    extra : array-like of length n_classes or None, default=None
        One more row per class, part of every training set.

    extra_weight : float, default=1.0
        Weight of each of these rows.
    """

    def __init__(self, X, codes, classes, weight=None, extra=None, extra_weight=1.0):
        self.X = X
        self.codes = codes
        self.classes = classes
        self.weight = np.ones(len(codes)) if weight is None else weight
        self.extra = extra
        self.extra_weight = extra_weight

    def without_extra(self):
        """Return the labelled samples alone."""
        return TrainingSet(self.X, self.codes, self.classes, self.weight)

    def weighed(self, quality):
        """Return the same rows, the labelled ones with their weight times `quality`."""
        found = copy(self)
        found.weight = self.weight * quality
        return found

    def subset(self, indices):
        """Return a subset of the labelled samples, with the extra rows."""
        found = copy(self)
        found.X = take_rows(self.X, indices)
        found.codes, found.weight = self.codes[indices], self.weight[indices]
        return found

    def rows(self):
        """Return samples of positive weight and extra rows, with codes and weights."""
        X, codes, weight = self.X, self.codes, self.weight
        if not weight.all():
            keep = np.flatnonzero(weight)
            X, codes, weight = take_rows(X, keep), codes[keep], weight[keep]
        if self.extra is None:
            return X, codes, weight
        n_classes = len(self.classes)
        X = stack_rows(X, self.extra) if len(codes) else self.extra
        codes = np.concatenate([codes, np.arange(n_classes)])
        extra_weight = np.full(n_classes, self.extra_weight)
        return X, codes, np.concatenate([weight, extra_weight])

    def class_counts(self):
        """Count the training rows of each class, extra rows included."""
        return np.bincount(self.rows()[1], minlength=len(self.classes))


class ConstantModel(DummyClassifier):
    """Stand-in for an estimator as long as all labels are of one class.

    It has a class of its own, so that a user's `DummyClassifier` is not taken for it.
    """


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

    Weights go to estimators that accept `sample_weight`, also through pipelines. For
    others, samples with less than three quarters of the mean weight are dropped, unless
    their class would lose its last member. A skorch net gets the full class list and
    the positions of the labels, since its output units are fixed.

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
    X, codes, weight = data.rows()
    if len(codes) == 0:
        return None
    if len(np.unique(codes)) == 1:
        return ConstantModel().fit(X, data.classes[codes])
    model = clone(estimator)
    uniform = np.all(weight == weight[0])
    weight_name = _weight_parameter(model)
    if weight_name is None and not uniform:
        keep = _enough_weight(codes, weight)
        X, codes = take_rows(X, keep), codes[keep]
    params = {}
    if weight_name is not None and not uniform:
        params[weight_name] = weight
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
        if not is_numeric(X) and not isinstance(estimator, Pipeline):
            raise ValueError(
                f"{name} cannot be trained on these samples, which are not numbers: "
                f"{said}. Put an encoder before it or before the co-decision, for "
                f"example {pipeline_example(X, f'{name}()')}."
            ) from error
        if bare and is_about_sizes(error):
            raise ValueError(
                f"{bare[0]} fails on classes as small as in the first rounds: {said}. "
                f"SafeSampler({bare[0]}()) copes with them."
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
        of outputs, or its probabilities are not finite.
    """
    if model is None:
        return np.full((n_rows(X), len(classes)), 1 / len(classes))
    if hasattr(model, "predict_proba"):
        proba = np.asarray(model.predict_proba(X), dtype=np.float64)
    elif hasattr(model, "decision_function"):
        scores = np.asarray(model.decision_function(X), dtype=np.float64)
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
    dealt = np.lexsort((rng.uniform(size=n_samples), data.codes))
    fold = np.empty(n_samples, dtype=int)
    fold[dealt] = np.arange(n_samples) % min(n_folds, n_samples)

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


def _enough_weight(codes, weight):
    """Return positions of the samples to keep for models without sample weights."""
    keep = weight >= _ENOUGH * weight.mean()
    for code in np.setdiff1d(codes, codes[keep]):
        members = np.flatnonzero(codes == code)
        keep[members[weight[members].argmax()]] = True
    return np.flatnonzero(keep)
