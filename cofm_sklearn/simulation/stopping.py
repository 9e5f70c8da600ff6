"""When labelling more will not help much."""

from copy import deepcopy
from numbers import Real
from typing import NamedTuple

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.metrics import cohen_kappa_score
from sklearn.utils import check_random_state

from cofm_sklearn.models.small_model import TrainingSet, cross_fit_proba
from cofm_sklearn.query.weights import class_shares
from cofm_sklearn.utils.pipelines import split_pipeline
from cofm_sklearn.utils.validation import (
    check_integer,
    encode_labels,
    is_share,
    n_rows,
    take_rows,
)

__all__ = ["EstimatedAccuracy", "StabilizedPredictions", "StoppingDecision"]

_N_BOOTSTRAP = 200


class StoppingDecision(NamedTuple):
    """What a stopping rule says after a round.

    Attributes
    ----------
    stop : bool
        Whether labelling more is unlikely to help much.

    reason : str
        Why, or why not yet.

    value : float
        What the rule looks at; NaN while there is too little to tell.

    interval : tuple of (float, float) or None
        Between these the value lies with probability .95, where the rule can tell.
    """

    stop: bool
    reason: str
    value: float
    interval: tuple | None = None


class _StoppingRule(BaseEstimator):
    """Base of stopping rules: they look at one fixed set of samples, round by round."""

    def _stop_set(self, X):
        """Take samples in the first round, and the same ones ever after."""
        if not hasattr(self, "stop_set_"):
            n = n_rows(X)
            if n == 0:
                raise ValueError("X is empty: there is no sample (0 samples) to use.")
            rng = check_random_state(self.random_state)
            rows = np.sort(rng.permutation(n)[: self.n_samples])
            self.stop_set_ = take_rows(X, rows)
            self.history_ = []
        return self.stop_set_

    def _check_counts(self):
        check_integer("window", self.window, 1)
        check_integer("n_samples", self.n_samples, 1)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # It takes a fitted estimator and the samples; there is nothing to fit.
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags


class StabilizedPredictions(_StoppingRule):
    """Stop when new labels no longer change what the model predicts.

    After each round, the model predicts a fixed set of samples. Agreement with the
    predictions of the round before is Cohen's kappa, which does not take the
    agreement for granted that a common class brings. When its mean over the last
    rounds is high enough, labelling stops. No label is spent on it.

    Parameters
    ----------
    threshold : float, default=0.99
        Mean agreement at which to stop, 0 to 1. A lower one stops earlier.

    window : int, default=3
        Agreements whose mean is taken.

    n_samples : int, default=2000
        Samples that are predicted, drawn in the first round.

    random_state : int, RandomState or None, default=None
        Draws them.

    Attributes
    ----------
    stop_set_ : array-like of length at most `n_samples`
        The samples.

    history_ : list of float
        Agreement after each round but the first.

    See Also
    --------
    EstimatedAccuracy : Stops at an accuracy, or when it no longer rises.

    References
    ----------
    Bloodgood, M., Vijay-Shanker, K. (2009). A Method for Stopping Active Learning
    Based on Stabilizing Predictions and the Need for User-Adjustable Stopping. CoNLL.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import ActiveLearningClassifier, CoDecisionQuery
    >>> from cofm_sklearn.simulation import StabilizedPredictions
    >>> X, y = make_blobs([200, 200, 20], n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), CoDecisionQuery(), n_instances=5, budget=200,
    ...     stopping=StabilizedPredictions(), random_state=0).fit(X, y)
    >>> len(loop.queried_indices_) < 100
    True
    """

    def __init__(self, threshold=0.99, window=3, *, n_samples=2000, random_state=None):
        self.threshold = threshold
        self.window = window
        self.n_samples = n_samples
        self.random_state = random_state

    def update(self, estimator, X, *, n_labels, X_labeled=None, y_labeled=None):
        """Look at the model after a round.

        Parameters
        ----------
        estimator : fitted classifier
            Trained on the labels so far.

        X : array-like of length n_samples
            All samples, labelled or not; read in the first round only.

        n_labels : int
            Labels so far.

        X_labeled, y_labeled : array-like of length n_labeled, default=None
            Not used.

        Returns
        -------
        StoppingDecision
            `value` is the mean agreement.

        Raises
        ------
        ValueError
            If a parameter is out of range, or X is empty.
        """
        if not is_share(self.threshold):
            raise ValueError(
                f"threshold must be a number from 0 to 1, got {self.threshold!r}."
            )
        self._check_counts()
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


class EstimatedAccuracy(_StoppingRule):
    """Stop when the balanced accuracy is high enough, or no longer rises.

    The estimate needs no test set. What the model's probabilities say about its
    balanced accuracy on samples of the pool is corrected by how far they were wrong
    about the labelled samples, out of fold. A label counts as far as it is likely to
    be right.

    Parameters
    ----------
    target : float or None, default=None
        Stop when the lower end of the interval reaches this balanced accuracy; None
        has no target.

    tolerance : float or None, default=0.005
        Stop when the estimate has gained less than this per round, in the mean over
        the window; None goes on however little is gained.

    window : int, default=5
        Rounds over which the gain is measured.

    n_samples : int, default=2000
        Samples of the pool that are looked at, drawn in the first round.

    random_state : int, RandomState or None, default=None
        Draws them, and the bootstrap samples behind the interval.

    Attributes
    ----------
    stop_set_ : array-like of length at most `n_samples`
        The samples.

    history_ : list of float
        Estimated balanced accuracy after each round.

    See Also
    --------
    StabilizedPredictions : Stops when predictions no longer change.

    Notes
    -----
    Labelled samples were chosen for being hard, so their out-of-fold accuracy alone is
    too low; the model's confidence alone is often too high. The correction assumes
    that confidence is wrong by as much on the pool as on the labelled samples, which
    is only roughly so: see docs/stopping.md for how far estimates and intervals held.

    References
    ----------
    Guillory, D. et al. (2021). Predicting with Confidence on Unseen Distributions.
    ICCV. (difference of confidences)

    Saerens, M., Latinne, P., Decaestecker, C. (2002). Adjusting the Outputs of a
    Classifier to New a Priori Probabilities. Neural Computation 14(1).

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import ActiveLearningClassifier, CoDecisionQuery
    >>> from cofm_sklearn.simulation import EstimatedAccuracy
    >>> X, y = make_blobs([200, 200, 20], n_features=4, random_state=0)
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), CoDecisionQuery(), n_instances=5, budget=200,
    ...     stopping=EstimatedAccuracy(target=0.9), random_state=0).fit(X, y)
    >>> len(loop.queried_indices_) < 100
    True
    """

    def __init__(
        self,
        target=None,
        tolerance=0.005,
        window=5,
        *,
        n_samples=2000,
        random_state=None,
    ):
        self.target = target
        self.tolerance = tolerance
        self.window = window
        self.n_samples = n_samples
        self.random_state = random_state

    def update(self, estimator, X, *, n_labels, X_labeled=None, y_labeled=None):
        """Look at the model after a round.

        Parameters
        ----------
        estimator : fitted classifier
            Trained on the labels so far, with `predict_proba`. Out-of-fold
            probabilities of a `CoDecisionClassifier` are taken from it; others are
            trained on folds for it.

        X : array-like of length n_samples
            All samples, labelled or not; read in the first round only.

        n_labels : int
            Labels so far.

        X_labeled, y_labeled : array-like of length n_labeled
            What the estimator was trained on.

        Returns
        -------
        StoppingDecision
            `value` is the estimated balanced accuracy.

        Raises
        ------
        ValueError
            If a parameter is out of range, or X is empty.
        """
        self._check_parameters()
        proba = np.asarray(estimator.predict_proba(self._stop_set(X)))
        seen, oof, quality = _out_of_fold(estimator, X_labeled, y_labeled)
        if seen is None:
            self.history_ = [*self.history_, np.nan]
            return StoppingDecision(False, "Labels of two classes are needed.", np.nan)
        value, interval = estimate_balanced_accuracy(
            proba, oof, seen, quality, random_state=self.random_state
        )
        self.history_ = [*self.history_, value]
        shown = f"Balanced accuracy is about {value:.2f} ({interval[0]:.2f} to "
        shown += f"{interval[1]:.2f})"
        if self.target is not None and interval[0] >= self.target:
            return StoppingDecision(
                True, f"{shown}; the target is {self.target:.2f}.", value, interval
            )
        if self.tolerance is not None and len(self.history_) > self.window:
            gain = (value - self.history_[-1 - self.window]) / self.window
            if gain < self.tolerance:
                return StoppingDecision(
                    True,
                    f"{shown}; it gained {gain:.4f} per round over the last "
                    f"{self.window}, less than {self.tolerance}.",
                    value,
                    interval,
                )
        return StoppingDecision(False, f"{shown}.", value, interval)

    def _check_parameters(self):
        if self.target is not None and not is_share(self.target):
            raise ValueError(
                f"target must be None or a number from 0 to 1, got {self.target!r}."
            )
        tolerance = self.tolerance
        if tolerance is not None and (
            not isinstance(tolerance, Real) or not 0 <= tolerance < 1
        ):
            raise ValueError(
                "tolerance must be None or a number of at least 0 and below 1, got "
                f"{tolerance!r}."
            )
        self._check_counts()


def estimate_balanced_accuracy(
    proba_pool, proba_labeled, codes, quality=None, *, random_state=None
):
    """Estimate balanced accuracy on a pool from its probabilities and from labels.

    Parameters
    ----------
    proba_pool : ndarray of shape (n_pool, n_classes)
        The model on the pool, under equal class shares.

    proba_labeled : ndarray of shape (n_labeled, n_classes)
        The model on labelled samples it has not seen.

    codes : ndarray of shape (n_labeled,), dtype int
        Their labels, as positions of columns.

    quality : ndarray of shape (n_labeled,), default=None
        Probability that each label is right; None takes them for right.

    random_state : int, RandomState or None, default=None
        Draws bootstrap samples of the labels.

    Returns
    -------
    value : float
        0 to 1.

    interval : tuple of (float, float)
        95 %, from what the bootstrap tells of the correction.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.simulation.stopping import estimate_balanced_accuracy
    >>> pool = np.repeat([[0.8, 0.2], [0.2, 0.8]], 50, axis=0)
    >>> labeled, codes = pool[::5], np.repeat([0, 1], 10)
    >>> value, _ = estimate_balanced_accuracy(pool, labeled, codes, random_state=0)
    >>> round(value, 3)
    1.0
    """
    shares = class_shares(proba_pool)
    by_model = _adjusted(proba_pool, shares)
    value_pool = _balanced_accuracy(by_model, proba_pool.argmax(axis=1))
    taken_for = proba_labeled.argmax(axis=1)
    claimed = _adjusted(proba_labeled, shares)
    quality = np.ones(len(codes)) if quality is None else quality
    # Where a label is wrong, the true class is another one, as the model sees it.
    rows = np.arange(len(codes))
    others = claimed.copy()
    others[rows, codes] = 0
    others /= np.maximum(others.sum(axis=1, keepdims=True), 1e-12)
    observed = (1 - quality)[:, None] * others
    observed[rows, codes] += quality

    def correction(drawn):
        return _balanced_accuracy(
            observed[drawn], taken_for[drawn]
        ) - _balanced_accuracy(claimed[drawn], taken_for[drawn])

    rng = check_random_state(random_state)
    draws = [
        correction(rng.randint(len(codes), size=len(codes)))
        for _ in range(_N_BOOTSTRAP)
    ]
    low, high = np.quantile(draws, [0.025, 0.975])
    value = value_pool + correction(rows)
    low, value, high = np.clip([value_pool + low, value, value_pool + high], 0, 1)
    return float(value), (float(min(low, value)), float(max(high, value)))


def _adjusted(proba, shares):
    joint = proba * shares
    return joint / np.maximum(joint.sum(axis=1, keepdims=True), 1e-12)


def _balanced_accuracy(truth, taken_for):
    """Mean recall over classes; `truth` holds probabilities of the true class."""
    members = truth.sum(axis=0)
    right = np.zeros_like(truth)
    rows = np.arange(len(truth))
    right[rows, taken_for] = truth[rows, taken_for]
    # A class with less than half a member has no recall to speak of.
    known = members > 0.5
    return float((right.sum(axis=0)[known] / members[known]).mean())


def _out_of_fold(estimator, X_labeled, y_labeled):
    """Return codes, out-of-fold probabilities and label quality; None thrice."""
    if y_labeled is None or len(np.unique(y_labeled)) < 2:
        return None, None, None
    classes = estimator.classes_
    codes = encode_labels(y_labeled, classes, name="y_labeled")
    _, model = split_pipeline(estimator)
    oof = getattr(model, "oof_proba_", None)
    if oof is not None and len(oof) == len(codes):
        return codes, oof, model.label_quality_
    data = TrainingSet(X_labeled, codes, classes)
    return codes, cross_fit_proba(estimator, data, random_state=0)[0], None


def _kappa(first, second):
    if (first == second).all():
        return 1.0  # also where there is one class only, which leaves kappa undefined
    return float(cohen_kappa_score(first, second))


def look(rule, learner, X, n_labels):
    """Return a copy of a rule that has looked at a learner; keeps `decision_`."""
    rule = deepcopy(rule)
    rule.decision_ = rule.update(
        learner.estimator,
        X,
        n_labels=n_labels,
        X_labeled=learner.X_training,
        y_labeled=learner.y_training,
    )
    return rule


def go_on(rule, earlier):
    """Return the rule of an earlier fit, with what it has seen, if it is the same."""
    if rule is None or earlier is None or repr(rule) != repr(earlier):
        return rule
    return earlier


def says_stop(rule):
    """Tell whether a rule has said that it is enough."""
    return rule is not None and hasattr(rule, "decision_") and rule.decision_.stop
