"""Stopping rules: when more labels are unlikely to help."""

from copy import deepcopy
from typing import NamedTuple

import numpy as np
from sklearn.metrics import cohen_kappa_score
from sklearn.utils import check_random_state

from cofm_sklearn.loop.check_score import score_check_set
from cofm_sklearn.utils.tags import NothingToFit
from cofm_sklearn.utils.validation import (
    check_integer,
    check_not_empty,
    check_number,
    check_option,
    n_rows,
    take_rows,
)

__all__ = [
    "StabilizedPredictions",
    "StoppingDecision",
    "TargetScore",
    "check_stopping",
    "look",
    "says_stop",
]


class StoppingDecision(NamedTuple):
    """Decision of a stopping rule after a round.

    Attributes
    ----------
    stop : bool
        Whether more labels are unlikely to help much.

    reason : str
        Explanation of the decision.

    value : float
        The measured value; NaN as long as there are too few rounds.
    """

    stop: bool
    reason: str
    value: float


class StabilizedPredictions(NothingToFit):
    """Stop when new labels no longer change what the model predicts.

    After each round, the model predicts a fixed set of samples. Agreement with the
    previous round's predictions is Cohen's kappa, which corrects for the chance
    agreement that a common class causes; it is 0 while all predictions are of one
    class. When its mean over the last rounds is high enough, labelling stops. This
    needs no labels.

    Parameters
    ----------
    threshold : float, default=0.95
        Mean agreement at which to stop, 0 to 1. A lower one stops earlier. The paper
        uses 0.99, which is hardly ever reached with 20 labels a round.

    window : int, default=3
        Number of agreements to average.

    n_samples : int, default=2000
        Number of samples to predict, drawn in the first round.

    random_state : int, RandomState or None, default=None
        Seed of the samples.

    Attributes
    ----------
    stop_set_ : array-like of length at most `n_samples`
        The samples to predict.

    history_ : list of float
        Agreement after each round except the first.

    Notes
    -----
    Measured on eight data sets, stopping at a fixed number of labels is on average
    better (see "When to stop" in the user guide).

    References
    ----------
    Bloodgood, M., Vijay-Shanker, K. (2009). A Method for Stopping Active Learning
    Based on Stabilizing Predictions and the Need for User-Adjustable Stopping. CoNLL.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import ActiveLearningClassifier, CoDecisionQuery
    >>> from cofm_sklearn.loop import StabilizedPredictions
    >>> X, y = make_blobs([200, 200, 20], n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), CoDecisionQuery(), n_instances=5, budget=200,
    ...     stopping=StabilizedPredictions(), random_state=0).fit(X, y)
    >>> len(loop.queried_indices_) < 100
    True
    """

    history_: list[float]
    predictions_: np.ndarray

    def __init__(self, threshold=0.95, window=3, *, n_samples=2000, random_state=None):
        self.threshold = threshold
        self.window = window
        self.n_samples = n_samples
        self.random_state = random_state

    def update(self, estimator, X, *, n_labels, X_labeled=None, y_labeled=None):
        """Update the rule with the model of a round.

        Parameters
        ----------
        estimator : fitted classifier
            Trained on the labels so far.

        X : array-like of length n_samples
            All samples, labelled or not; read in the first round only.

        n_labels : int
            Number of labels so far.

        X_labeled, y_labeled : array-like of length n_labeled, default=None
            Ignored.

        Returns
        -------
        StoppingDecision
            `value` is the mean agreement.

        Raises
        ------
        ValueError
            If a parameter is out of range, or X is empty.
        """
        check_number("threshold", self.threshold, 0, 1)
        check_integer("window", self.window, 1)
        check_integer("n_samples", self.n_samples, 1)
        now = np.asarray(estimator.predict(self._stop_set(X)))
        if hasattr(self, "predictions_"):
            self.history_ = [*self.history_, _kappa(self.predictions_, now)]
        self.predictions_ = now
        if len(self.history_) < self.window:
            return StoppingDecision(
                False, f"{self.window + 1} rounds are needed to tell.", np.nan
            )
        mean = float(np.mean(self.history_[-self.window :]))
        return StoppingDecision(
            mean >= self.threshold,
            f"Predictions of the last {self.window + 1} rounds agree to {mean:.1%} "
            f"beyond chance; {self.threshold:.1%} are enough.",
            mean,
        )

    def _stop_set(self, X):
        """Draw the samples in the first round, and reuse them afterwards."""
        if not hasattr(self, "stop_set_"):
            check_not_empty(X)
            rng = check_random_state(self.random_state)
            rows = np.sort(rng.permutation(n_rows(X))[: self.n_samples])
            self.stop_set_ = take_rows(X, rows)
            self.history_ = []
        return self.stop_set_


class TargetScore(NothingToFit):
    """Stop when the check set shows that the model is good enough.

    It needs the check set of an `AnnotationSession`; without one, it never stops.

    Parameters
    ----------
    target : float, default=0.9
        Score to reach, above 0 and below 1.

    metric : {"accuracy", "balanced_accuracy"}, default="accuracy"
        The score.

    Notes
    -----
    It stops when the whole 95 % interval of the score is at or above the target. A
    target of 0.9 needs at least 36 check labels, all predicted correctly. With balanced
    accuracy, the check set also needs labels of all classes that the model knows. The
    rule is evaluated after each batch, and each evaluation adds to the risk that one of
    the intervals is wrong.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import AnnotationSession
    >>> from cofm_sklearn.loop import TargetScore
    >>> X, y = make_blobs([100, 100], n_features=4, random_state=0)
    >>> with AnnotationSession(X, LogisticRegression(), classes=[0, 1],
    ...                        check_share=0.5, stopping=TargetScore(0.7)) as session:
    ...     while not session.progress().should_stop:
    ...         for question in session.ask(10):
    ...             session.answer(question.id, y[question.index])
    ...     session.progress().n_labels < 60
    True
    """

    def __init__(self, target=0.9, metric="accuracy"):
        self.target = target
        self.metric = metric

    def update(
        self,
        estimator,
        X,
        *,
        n_labels,
        X_labeled=None,
        y_labeled=None,
        X_check=None,
        y_check=None,
    ):
        """Score the model of a round on the check set.

        Parameters
        ----------
        estimator : fitted classifier
            Trained on the labels so far.

        X : array-like of length n_samples
            Not used.

        n_labels : int
            Not used.

        X_labeled, y_labeled : array-like of length n_labeled, default=None
            Not used.

        X_check, y_check : array-like of length n_checks, default=None
            The check set: randomly drawn samples, held out from training, and their
            labels.

        Returns
        -------
        StoppingDecision
            `value` is the lower end of the interval.

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        check_number("target", self.target, 0, 1, closed="neither")
        check_option("metric", self.metric, ("accuracy", "balanced_accuracy"))
        if X_check is None or not len(y_check):
            return StoppingDecision(False, "There is no check set yet.", np.nan)
        y_check = np.asarray(y_check)
        checked = np.unique(y_check)
        if self.metric == "balanced_accuracy" and not (
            len(checked) > 1 and np.isin(estimator.classes_, checked).all()
        ):
            return StoppingDecision(
                False, f"The check set has labels of {checked.tolist()} only.", np.nan
            )
        right = np.asarray(estimator.predict(X_check)) == y_check
        score = score_check_set(
            [
                (name, int(right[y_check == name].sum()), int((y_check == name).sum()))
                for name in checked
            ]
        )
        low, high = getattr(score, f"{self.metric}_interval")
        name = self.metric.replace("_", " ")
        return StoppingDecision(
            low >= self.target,
            f"On a check set of {score.n}, {name} is between {low:.1%} and {high:.1%}; "
            f"{self.target:.1%} is enough.",
            low,
        )


def _kappa(first, second):
    if len(np.union1d(first, second)) == 1:
        # Kappa is undefined. A model that does not know the rare class yet predicts
        # the same again and again.
        return 0.0
    return float(cohen_kappa_score(first, second))


def look(rule, learner, X, n_labels):
    """Return a copy of a rule, updated with a learner; it keeps `decision_`."""
    rule = deepcopy(rule)
    rule.decision_ = rule.update(
        learner.estimator,
        X,
        n_labels=n_labels,
        X_labeled=learner.X_training,
        y_labeled=learner.y_training,
    )
    return rule


def check_stopping(rule):
    """Raise a TypeError unless it is a stopping rule or None."""
    if rule is not None and (isinstance(rule, type) or not hasattr(rule, "update")):
        raise TypeError(
            "stopping must be a stopping rule, such as StabilizedPredictions(), or "
            f"None; got {rule!r}."
        )


def says_stop(rule):
    """Tell whether a rule has decided to stop."""
    return rule is not None and hasattr(rule, "decision_") and rule.decision_.stop
