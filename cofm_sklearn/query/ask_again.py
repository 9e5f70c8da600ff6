"""Query strategy that also asks for second opinions on labels."""

import warnings
from contextlib import redirect_stdout
from io import StringIO

import numpy as np
from sklearn.base import clone

from cofm_sklearn.noise import combine_annotators
from cofm_sklearn.query.adapters import ModALQuery
from cofm_sklearn.query.base import BaseQueryStrategy, check_strategy
from cofm_sklearn.query.worth import class_shares
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.labels import align_proba, encode_labels
from cofm_sklearn.utils.validation import (
    check_integer,
    check_n_instances,
    check_number,
    check_option,
    n_rows,
)

__all__ = ["AskAgainQuery", "opinion_on_labeled"]

_SCORES = ("doubt", "activelab")
# No second opinion on labels that are at least this likely right.
_SURE = 0.8


class AskAgainQuery(BaseQueryStrategy):
    """Split each batch between new samples and labels worth a second opinion.

    New samples come from another strategy, and labels for a second opinion from
    `select_again`, which `ActiveLearningClassifier` calls for each batch. Every answer
    costs one label of the budget.

    Parameters
    ----------
    query_strategy : query strategy or callable
        Selects the new samples: a strategy of this package, or a function of modAL.

    n_instances : int, default=1
        Answers per batch, unless given in the call.

    share : float, default=0.1
        Maximal share of second opinions in the answers, 0 to 1. With 40 % wrong
        answers, 0.1 was about as good as new samples only; more was no better.

    score : {"doubt", "activelab"}, default="doubt"
        - ``"doubt"``: the probability that the consensus label is wrong, from
          `combine_annotators` with the learner's probabilities, divided by a power of
          the share of the rarest class among the answers. Labels that are right with a
          probability of 0.8 get no second opinion. It needs calibrated probabilities,
          such as the co-decision's.
        - ``"activelab"``: cleanlab's score, which is comparable between new and
          answered samples; the lowest of both are selected. [1]_ Needs the extra
          ``baselines``.

    balance : float, default=1.0
        Power of the class shares, at least 0, for ``"doubt"``.

    max_answers : int, default=3
        Maximal number of answers per sample, at least 2.

    random_state : int, RandomState or None, default=None
        Seed for a `query_strategy` without its own seed.

    See Also
    --------
    cofm_sklearn.noise.combine_annotators : One label from several answers.

    Notes
    -----
    With modAL's stock learners, `query` returns new samples only. Keep the answers as
    one list per sample of ``learner.X_training``; then, in each round::

        again = strategy.select_again(learner, answers, X_pool, n_instances=10)
        for i in again:
            answers[i].append(ask_once_more(learner.X_training[i]))
        ...  # learner.query(X_pool, n_instances=10 - len(again)), learner.teach(...)
        proba = learner.predict_proba(learner.X_training)
        agreed = combine_annotators(answers_padded_with_None, proba)
        learner.fit(learner.X_training, agreed.labels)

    References
    ----------
    .. [1] Goh, H. W., Mueller, J. (2023). ActiveLab: Active Learning with Re-Labeling
       by Multiple Annotators. ICLR Workshop on Trustworthy ML.

    Sheng, V. S., Provost, F., Ipeirotis, P. G. (2008). Get Another Label? Improving
    Data Quality and Data Mining Using Multiple, Noisy Labelers. KDD. (repeated
    labelling of the least certain labels)

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import (
    ...     ActiveLearningClassifier, CoDecisionClassifier, CoDecisionQuery)
    >>> from cofm_sklearn.query import AskAgainQuery
    >>> from cofm_sklearn.simulation import NoisyOracle
    >>> X, y = make_blobs([90, 60], n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(
    ...     CoDecisionClassifier(LogisticRegression()),
    ...     AskAgainQuery(CoDecisionQuery(), share=0.5),
    ...     budget=60, oracle=NoisyOracle(0.3), random_state=0).fit(X, y)
    >>> len(loop.queried_indices_)
    60
    >>> len(loop.labeled_indices_) < 60
    True
    """

    def __init__(
        self,
        query_strategy,
        n_instances=1,
        *,
        share=0.1,
        score="doubt",
        balance=1.0,
        max_answers=3,
        random_state=None,
    ):
        self.query_strategy = query_strategy
        self.n_instances = n_instances
        self.share = share
        self.score = score
        self.balance = balance
        self.max_answers = max_answers
        self.random_state = random_state

    def select_again(self, learner, answers, X_pool=None, n_instances=None):
        """Select labelled samples for a second opinion.

        Parameters
        ----------
        learner : object with `X_training`, `estimator` and `predict_proba`
            A fitted learner, such as modAL's ActiveLearner.

        answers : array-like of shape (n_labeled, n_answers)
            The answers about each sample of ``learner.X_training``, padded with None.

        X_pool : array-like of length n_pool or None, default=None
            Unlabelled samples; None means that none are left, so that the whole batch
            may be second opinions.

        n_instances : int, default=None
            Number of answers in the batch, new samples and second opinions together;
            None uses the strategy's own.

        Returns
        -------
        ndarray of shape (n_again,), dtype int64
            Positions in ``learner.X_training``, the most doubtful first; between 0 and
            `n_instances` of them.

        Raises
        ------
        ValueError
            If a parameter is out of range, or `answers` do not fit the learner.

        ImportError
            If ``score="activelab"`` and cleanlab is not installed.
        """
        self._check_parameters()
        if n_instances is None:
            n_instances = self.n_instances
        n_instances = check_n_instances(n_instances, np.inf)
        answers = np.array(answers, dtype=object)
        if not len(answers):
            return np.empty(0, dtype=np.int64)
        if answers.ndim != 2 or len(answers) != n_rows(learner.X_training):
            raise ValueError(
                "answers must have one row per sample of learner.X_training, "
                f"{n_rows(learner.X_training)}, padded with None; got shape "
                f"{answers.shape}."
            )
        classes, proba = opinion_on_labeled(learner, answers)
        codes = _encode(answers, classes)
        n_before = (codes >= 0).sum(axis=1)
        limit = n_instances
        if X_pool is not None:
            # Fractions of an answer accumulate over batches.
            so_far = n_before.sum()
            limit = int(self.share * (so_far + n_instances)) - int(self.share * so_far)
        if self.score == "activelab":
            pool = None if X_pool is None else _aligned(learner, X_pool, classes)
            worth, worth_new = _activelab_worth(codes, proba, pool)
            if worth_new is not None:
                first = np.sort(np.concatenate([worth, worth_new]))[-n_instances:]
                limit = min(limit, int((worth >= first[0]).sum()))
        else:
            found = combine_annotators(answers, proba, classes=classes)
            pool = proba if X_pool is None else _aligned(learner, X_pool, classes)
            shares = class_shares(pool)
            own = encode_labels(found.labels, classes)
            worth = _doubt_worth(codes, own, found.quality, shares, self.balance)
        worth[n_before >= self.max_answers] = -np.inf
        order = np.argsort(-worth, kind="stable")[: max(limit, 0)]
        return order[worth[order] > -np.inf].astype(np.int64)

    def _select_for(self, learner, X_pool, n_instances):
        self._check_parameters()
        strategy = self.query_strategy
        if not isinstance(strategy, BaseQueryStrategy):
            strategy = ModALQuery(strategy)
        if strategy.random_state is None and self.random_state is not None:
            strategy = clone(strategy).set_params(random_state=self.random_state)
        return strategy._select_for(learner, X_pool, n_instances)

    def _check_parameters(self):
        check_strategy(self.query_strategy)
        check_option("score", self.score, _SCORES)
        check_number("share", self.share, 0, 1)
        check_number("balance", self.balance, closed="left")
        check_integer("max_answers", self.max_answers, 2)


def opinion_on_labeled(learner, answers, X=None):
    """Return all classes, and a learner's probabilities on labelled samples.

    Parameters
    ----------
    learner : object with `X_training`, `estimator` and `predict_proba`
        A fitted learner.

    answers : ndarray of shape (n_labeled, n_answers), dtype object
        Answers, padded with None; their labels are added to the classes.

    X : array-like of length n_labeled or None, default=None
        The samples; None uses ``learner.X_training``.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
        The sorted classes.

    proba : ndarray of shape (n_labeled, n_classes)
        Probabilities; 0 for classes that the learner does not know.
    """
    given = [label for label in answers.ravel() if label is not None]
    classes = np.union1d(learner.estimator.classes_, np.array(given))
    X = learner.X_training if X is None else X
    return classes, _aligned(learner, X, classes)


def _aligned(learner, X, classes):
    """Return a learner's probabilities of all classes."""
    proba = np.asarray(learner.predict_proba(X), dtype=np.float64)
    return align_proba(proba, learner.estimator.classes_, classes)


def _encode(answers, classes):
    """Return the positions of the answers in classes, -1 if missing."""
    codes = np.full(answers.shape, -1, dtype=np.int64)
    given = np.array([[label is not None for label in row] for row in answers])
    codes[given] = encode_labels(answers[given], classes, name="answers")
    return codes


def _doubt_worth(codes, own, quality, shares, balance):
    """Return the doubt in each label, higher if an answer is a rare class."""
    named = np.where(codes >= 0, shares[codes], np.inf).min(axis=1)
    rarest = np.maximum(np.minimum(named, shares[own]), 1e-6)
    return np.where(quality < _SURE, (1 - quality) / rarest**balance, -np.inf)


def _activelab_worth(codes, proba, proba_pool):
    """Return ActiveLab's scores of labelled and new samples; higher is worth more."""
    module = import_optional("cleanlab.multiannotator", needed_by='score="activelab"')
    labels = np.where(codes < 0, np.nan, codes.astype(float))
    # cleanlab prints remarks about few labels.
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        labeled, new = module.get_active_learning_scores(labels, proba, proba_pool)
    return -labeled, None if proba_pool is None else -new
