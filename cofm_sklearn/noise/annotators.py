"""One label per sample from the labels of several annotators."""

import warnings
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy.special import softmax
from sklearn.base import clone
from sklearn.model_selection import KFold

from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.labels import (
    align_proba,
    check_classes,
    check_labels,
    columns_by_name,
    encode_labels,
)
from cofm_sklearn.utils.pipelines import split_pipeline
from cofm_sklearn.utils.quiet import few_labels_per_class
from cofm_sklearn.utils.validation import (
    check_integer,
    check_numbers,
    check_option,
    check_proba,
    n_rows,
    take_rows,
)

__all__ = ["Consensus", "combine_annotators", "spread_answers"]

_METHODS = ("auto", "channel", "crowdlab", "majority")
_N_ITER = 20
# Prior weight, in labels, of the average error rate of all annotators.
_ALIKE = 10.0
# Wrong labels are expected to be rare: this many right ones are assumed.
_RIGHT_LABELS = 3.0
# Weight of an annotator who only guesses, so that weights are never all 0.
_GUESSER = 0.01
# Limit on the model's confidence, so that answers can overrule it.
_DOUBT = 1e-3


class Consensus(NamedTuple):
    """Result of `combine_annotators`.

    Attributes
    ----------
    labels : ndarray of shape (n_samples,)
        The most likely label of each sample, given all answers and the model.

    quality : ndarray of shape (n_samples,)
        Probability that the label is right, in [0, 1].

    annotator_quality : ndarray of shape (n_annotators,)
        Accuracy of each annotator, in [0, 1]; NaN for one without labels.

    disagreement : ndarray of shape (n_samples,)
        Share of the sample's answers that differ from its label, in [0, 1].
    """

    labels: np.ndarray
    quality: np.ndarray
    annotator_quality: np.ndarray
    disagreement: np.ndarray


def combine_annotators(
    labels,
    proba=None,
    *,
    classes=None,
    method="auto",
    estimator=None,
    X=None,
    n_folds=5,
    random_state=None,
):
    """Find the most likely label of each sample and the quality of each annotator.

    Parameters
    ----------
    labels : array-like of shape (n_samples, n_annotators)
        One column per annotator: str, int or bool, with None, NaN or ``pandas.NA``
        where an annotator gave none. Each sample has at least one label; whole numbers
        that became float beside NaN count as int. A column may be empty.

    proba : array-like of shape (n_samples, n_classes) or None, default=None
        Class probabilities of a model that has not seen these labels (out of fold),
        columns in the order of `classes`, or a frame whose columns have their names.

    classes : array-like of shape (n_classes,) or None, default=None
        All classes, in the order of the columns of `proba`; None takes those in
        `labels`, sorted.

    method : {"auto", "channel", "crowdlab", "majority"}, default="auto"
        - ``"majority"``: most votes. A tie goes to the class with the higher
          probability, then to the one with more labels altogether, then to the first
          in sorted order. Its quality is the share of agreeing answers.
        - ``"channel"``: each annotator errs at their own rate, uniformly over the other
          classes; rates and labels are learned by expectation maximisation, with
          `proba` as the prior of each sample. [1]_
        - ``"crowdlab"``: cleanlab's average of model and annotators, weighted by how
          much better than chance each is. [2]_ Needs the extra ``baselines``.
        - ``"auto"``: ``"channel"`` with probabilities, else ``"majority"``.

    estimator : classifier or None, default=None
        Instead of `proba`: its clones are trained on the majority labels and provide
        the out-of-fold probabilities.

    X : array-like of length n_samples or None, default=None
        Samples for `estimator`.

    n_folds : int, default=5
        Folds for `estimator`, at least 2; at most one per sample is used.

    random_state : int, RandomState or None, default=None
        Seed of the folds.

    Returns
    -------
    Consensus
        Named tuple with `labels`, `quality`, `annotator_quality`, `disagreement`.

    Raises
    ------
    ValueError
        If `labels` is not 2-D, a sample has no label, a label is not in `classes`,
        probabilities do not sum to 1 or miss a class, the method needs probabilities
        and there are none, or both `proba` and `estimator` are given.

    TypeError
        If labels cannot be sorted, such as a mix of int and str.

    ImportError
        If ``"crowdlab"`` is asked for and cleanlab is not installed.

    References
    ----------
    .. [1] Dawid, A. P., Skene, A. M. (1979). Maximum Likelihood Estimation of Observer
       Error-Rates Using the EM Algorithm. Applied Statistics 28(1). (Here with one
       error rate per annotator, and a model's probabilities.)

    .. [2] Goh, H. W., Tkachenko, U., Mueller, J. (2022). CROWDLAB: Supervised Learning
       to Infer Consensus Labels and Quality Scores for Data with Multiple Annotators.
       NeurIPS Human in the Loop Learning Workshop.

    Examples
    --------
    >>> from cofm_sklearn.noise import combine_annotators
    >>> labels = [["ham", "ham", None], ["ham", "spam", "spam"], [None, "spam", "ham"]]
    >>> combine_annotators(labels).labels
    array(['ham', 'spam', 'ham'], dtype='<U4')
    >>> proba = [[0.9, 0.1], [0.2, 0.8], [0.1, 0.9]]
    >>> combine_annotators(labels, proba).labels
    array(['ham', 'spam', 'spam'], dtype='<U4')
    """
    check_option("method", method, _METHODS)
    columns, (classes, codes) = classes, _check_matrix(labels, classes)
    n_samples, n_classes = len(codes), len(classes)
    if estimator is not None:
        if proba is not None:
            raise ValueError("Give either proba or estimator, not both.")
        check_integer("n_folds", n_folds, 2)
        if X is None or n_rows(X) != n_samples:
            raise ValueError(f"estimator needs X with the {n_samples} rows of labels.")
        majority, _ = _majority(codes, n_classes, None)
        proba = out_of_fold_proba(
            estimator, X, classes, majority, n_folds, random_state
        )
    if proba is not None:
        named = columns_by_name(proba, classes)
        proba = check_proba(proba, n_samples, n_classes)
        if named is not None:
            proba = proba[:, named]
        elif columns is not None and estimator is None:
            order = np.argsort(pd.unique(check_labels(columns, "classes")))
            proba = proba.take(order, axis=1)
        proba = (1 - _DOUBT) * proba + _DOUBT / n_classes
    if method == "auto":
        method = "majority" if proba is None else "channel"
    if method != "majority" and proba is None:
        raise ValueError(
            f'method="{method}" needs proba or estimator; "majority" needs neither.'
        )
    # Annotators without labels have no quality and are left out.
    gave = np.flatnonzero((codes >= 0).any(axis=0))
    given = codes[:, gave]
    if method == "majority":
        found, quality = _majority(given, n_classes, proba)
        skill = _agreement(given, found)
    elif method == "crowdlab":
        found, quality, skill = _crowdlab(given, proba)
    else:
        found, quality, skill = _channel(given, proba)
    annotator_quality = np.full(codes.shape[1], np.nan)
    annotator_quality[gave] = skill
    answered = codes >= 0
    differ = (answered & (codes != found[:, None])).sum(axis=1)
    return Consensus(
        classes[found],
        np.clip(quality, 0.0, 1.0),
        np.clip(annotator_quality, 0.0, 1.0),
        differ / answered.sum(axis=1),
    )


def spread_answers(labels, annotator_quality=None, *, classes=None):
    """Make every answer a training row, which preserves disagreement.

    When people disagree, the label is often unclear, and a consensus would hide this
    from the model.

    Parameters
    ----------
    labels : array-like of shape (n_samples, n_annotators)
        As for `combine_annotators`.

    annotator_quality : array-like of shape (n_annotators,) or None, default=None
        Accuracy of each annotator, in [0, 1], as returned by `combine_annotators`; NaN
        for one without labels. Answers are then weighted by how much better than chance
        the annotator is. None weights all annotators equally.

    classes : array-like of shape (n_classes,) or None, default=None
        All classes; None takes those in `labels`.

    Returns
    -------
    rows : ndarray of shape (n_answers,), dtype int64
        The sample of each answer, sorted: train on ``X[rows]``.

    y : ndarray of shape (n_answers,)
        The answers.

    sample_weight : ndarray of shape (n_answers,), dtype float64
        Above 0; for each sample they sum to 1, or to the mean weight of its annotators.

    Raises
    ------
    ValueError
        If `labels` is invalid as in `combine_annotators`, or `annotator_quality` is not
        one number from 0 to 1 per annotator with labels.

    References
    ----------
    Peterson, J. C., Battleday, R. M., Griffiths, T. L., Russakovsky, O. (2019). Human
    Uncertainty Makes Classification More Robust. ICCV. (training on all votes)

    Examples
    --------
    >>> from cofm_sklearn.noise import spread_answers
    >>> rows, y, weight = spread_answers([["ham", None], ["ham", "spam"]])
    >>> rows.tolist(), y.tolist(), weight.tolist()
    ([0, 1, 1], ['ham', 'ham', 'spam'], [1.0, 0.5, 0.5])
    """
    classes, codes = _check_matrix(labels, classes)
    answered = codes >= 0
    rows, column = np.nonzero(answered)
    weight = 1 / answered.sum(axis=1)[rows]
    if annotator_quality is not None:
        quality = check_numbers(annotator_quality, "annotator_quality")
        given = answered.any(axis=0)
        if (
            quality.shape != given.shape
            or not ((quality[given] >= 0) & (quality[given] <= 1)).all()
        ):
            raise ValueError(
                f"annotator_quality must have a number from 0 to 1 for each of the "
                f"{len(given)} annotators, got {annotator_quality!r}."
            )
        guess = 1 / max(len(classes), 2)
        skill = (quality[column] - guess) / (1 - guess)
        weight = weight * np.maximum(skill, _GUESSER)
    return rows, classes[codes[rows, column]], weight


def _check_matrix(labels, classes):
    """Return classes and the codes of labels, -1 where one is missing."""
    matrix = labels.to_numpy(dtype=object) if hasattr(labels, "iloc") else labels
    matrix = np.array(matrix, dtype=object)
    if matrix.ndim != 2 or not matrix.size:
        raise ValueError(
            "labels must have one row per sample and one column per annotator, at "
            f"least one of each; got shape {matrix.shape}."
        )
    missing = pd.isna(matrix)
    empty = np.flatnonzero(missing.all(axis=1))
    if empty.size == len(matrix):
        raise ValueError("labels is empty: no annotator gave any label.")
    if empty.size:
        raise ValueError(
            f"labels has samples without any label, e.g. {empty[:5].tolist()}; remove "
            "these rows."
        )
    # As a list, they get the dtype that they would have without missing ones.
    seen = check_labels(np.array(matrix[~missing].tolist()), "labels")
    if seen.dtype.kind == "f" and (seen == np.round(seen)).all():
        seen = seen.astype(np.int64)
    if seen.dtype.kind in "US" and not all(
        isinstance(label, str) for label in matrix[~missing]
    ):
        raise TypeError(
            "labels mixes labels that cannot be sorted; make them all str or all int."
        )
    codes = np.full(matrix.shape, -1, dtype=np.int64)
    if classes is None:
        classes, codes[~missing] = check_classes(None, seen)
    else:
        classes = np.unique(check_labels(classes, "classes"))
        codes[~missing] = encode_labels(seen, classes, name="labels")
    return classes, codes


def _counts(codes, n_classes):
    """Return votes of shape (n_samples, n_classes)."""
    return (codes[:, :, None] == np.arange(n_classes)).sum(axis=1)


def _majority(codes, n_classes, proba):
    """Return the label with most votes, and the share of answers that agree with it."""
    votes = _counts(codes, n_classes)
    leads = votes == votes.max(axis=1, keepdims=True)
    if proba is not None:
        among = np.where(leads, proba, -1.0)
        leads = among == among.max(axis=1, keepdims=True)
    found = np.where(leads, votes.sum(axis=0), -1).argmax(axis=1)
    return found, votes[np.arange(len(votes)), found] / votes.sum(axis=1)


def _agreement(codes, found):
    """Return the share of each annotator's answers that agree with the majority.

    Samples with a single answer are ignored, unless there are no others.
    """
    answered = codes >= 0
    shared = answered & (answered.sum(axis=1) > 1)[:, None]
    counted = np.where(shared.any(axis=0), shared, answered)
    return (counted & (codes == found[:, None])).sum(axis=0) / counted.sum(axis=0)


def _channel(codes, proba):
    """Learn error rates and labels alternately."""
    n_classes = proba.shape[1]
    answered = codes >= 0
    n_given = answered.sum(axis=0)
    ceiling = 0.9 * (n_classes - 1) / n_classes
    rates = np.full(codes.shape[1], min(0.1, ceiling))
    for _ in range(_N_ITER):
        posterior = _posterior(codes, proba, rates)
        wrong = np.zeros(len(rates))
        for a in range(len(rates)):
            rows = np.flatnonzero(answered[:, a])
            wrong[a] = (1 - posterior[rows, codes[rows, a]]).sum()
        common = (wrong.sum() + 0.5) / (n_given.sum() + 1 + _RIGHT_LABELS)
        rates = (wrong + _ALIKE * common) / (n_given + _ALIKE)
        # Beyond this, an answer would be evidence against its own class.
        rates = np.minimum(rates, ceiling)
    posterior = _posterior(codes, proba, rates)
    found = posterior.argmax(axis=1)
    return found, posterior[np.arange(len(found)), found], 1 - rates


def _posterior(codes, proba, rates):
    """Return the probability of each class given the answers and the model."""
    n_others = max(proba.shape[1] - 1, 1)
    log = np.log(proba)
    for a, rate in enumerate(rates):
        rows = np.flatnonzero(codes[:, a] >= 0)
        # Likelihood ratio of an answer's own class against each other class.
        log[rows, codes[rows, a]] += np.log((1 - rate) * n_others / max(rate, 1e-12))
    return softmax(log, axis=1)


def _crowdlab(codes, proba):
    """Run cleanlab, which cannot judge annotators if every sample has one answer."""
    module = import_optional("cleanlab.multiannotator", needed_by='method="crowdlab"')
    # Equal probabilities would make it draw from numpy's global random numbers.
    proba = proba - 1e-9 * np.arange(proba.shape[1])
    proba /= proba.sum(axis=1, keepdims=True)
    if ((codes >= 0).sum(axis=1) == 1).all():
        found = codes.max(axis=1)
        quality = proba[np.arange(len(found)), found]
        means = [quality[codes[:, a] >= 0].mean() for a in range(codes.shape[1])]
        return found, quality, np.array(means)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = module.get_label_quality_multiannotator(
            np.where(codes < 0, np.nan, codes.astype(float)), proba, verbose=False
        )
    samples = result["label_quality"]
    # cleanlab sorts this table by quality.
    annotators = result["annotator_stats"]["annotator_quality"].sort_index()
    return (
        samples["consensus_label"].to_numpy().astype(np.int64),
        samples["consensus_quality_score"].to_numpy(),
        annotators.to_numpy(),
    )


def label_folds(codes, n_folds, random_state):
    """Return the positions of training and test labels of each fold."""
    folds = KFold(min(n_folds, len(codes)), shuffle=True, random_state=random_state)
    return folds.split(codes)


def out_of_fold_proba(estimator, X, classes, codes, n_folds, random_state):
    """Return out-of-fold probabilities of every sample.

    A clone without a prior has no opinion on a class that it has not seen: the class
    gets an equal share, so that ignorance cannot outvote answers. Classes that are not
    among `classes` are ignored.
    """
    if not hasattr(estimator, "predict_proba"):
        raise TypeError(
            f"{type(estimator).__name__} has no predict_proba. Use a classifier that "
            "has it, or a CoDecisionClassifier, which can do with decision_function."
        )
    proba = np.full((len(codes), len(classes)), 1 / len(classes))
    if len(codes) < 2:
        return proba
    for train, test in label_folds(codes, n_folds, random_state):
        known = np.isin(np.arange(len(classes)), codes[train])
        if known.sum() == 1:
            continue
        with few_labels_per_class():
            model = clone(estimator).fit(take_rows(X, train), classes[codes[train]])
        found = model.predict_proba(take_rows(X, test))
        own = np.asarray(model.classes_)
        if getattr(split_pipeline(model)[1], "prior", None) is not None:
            known = np.isin(classes, own)
        wanted = np.isin(own, classes)
        found = align_proba(found[:, wanted], own[wanted], classes)[:, known]
        total = found.sum(axis=1, keepdims=True)
        equal = np.full_like(found, 1 / known.sum())
        found = np.divide(found, total, out=equal, where=total > 0)
        proba[np.ix_(test, known)] = found * known.mean()
    return proba
