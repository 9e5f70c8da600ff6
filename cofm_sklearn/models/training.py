"""Train a small model beside a prior: evidence, fusion, cleaning."""

from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from cofm_sklearn.models.fusion import (
    Fusion,
    fit_fusion,
    fit_prior_weights,
    smooth_by_fold,
    smooth_proba,
    weigh_evidence,
)
from cofm_sklearn.models.small_model import (
    class_proba,
    cross_fit_proba,
    fit_small_model,
    is_balanced,
    learned_share,
)
from cofm_sklearn.models.training_set import (
    learned_shares,
    net_weight,
    without_shares,
)
from cofm_sklearn.noise.estimate import explain_labels
from cofm_sklearn.priors import CombinedPrior

__all__ = ["Case", "Decision", "train_co_decision", "weigh_priors"]

# No second round of cleaning if all labels are at least this likely right.
_CLEAN_ENOUGH = 0.9
# No model is trained for a case of this probability or less.
_NEGLIGIBLE = 0.01
# Weight of what the small model has learned from the prior's rows, as a share of the
# trust that the labels find. Found on four data sets (docs/decisions.md).
_LEARNED_COUNTS = 0.5
# Up to here, more threads of BLAS cost more than they give: with 1,000 rows of 384
# features, two threads took 9 times as long as one.
_ONE_THREAD_ROWS = 20_000


@dataclass(frozen=True)
class Case:
    """The models to use if the prior is useful, or if it is not.

    Attributes
    ----------
    model : classifier
        The small model.

    class_counts : ndarray of shape (n_classes,)
        Rows it was trained on, by class.

    fusion : Fusion
        The weighing of prior and small model.

    noise_matrix : ndarray of shape (n_classes, n_classes)
        Share of given labels (columns) by true class (rows).

    oof_proba : ndarray of shape (n_samples, n_classes)
        Prediction for the labelled samples, with small models that have not seen them,
        trained before any label lost weight.

    label_weight : ndarray of shape (n_samples,)
        How much each label counts in training, 0 to 1.
    """

    model: Any
    class_counts: np.ndarray
    fusion: Fusion
    noise_matrix: np.ndarray
    oof_proba: np.ndarray
    label_weight: np.ndarray

    def proba(self, prior_proba, features, classes):
        """Return the prediction of this case.

        Parameters
        ----------
        prior_proba : ndarray of shape (n_samples, n_classes) or None
            Prior probabilities of the samples.

        features : array-like of length n_samples
            Input of the small model.

        classes : ndarray of shape (n_classes,)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        small = class_proba(self.model, features, classes)
        small = smooth_proba(small, self.class_counts)
        return self.fusion.proba(prior_proba, small)


class _Unseen(NamedTuple):
    """Out-of-fold probabilities of the small model.

    `even` are those without the class shares of its training set, by which labels are
    judged; the same object if the small model is balanced.
    """

    proba: np.ndarray
    even: np.ndarray


@dataclass(frozen=True)
class Decision:
    """The two cases, weighed by the labels.

    Attributes
    ----------
    cases : tuple of (float, Case)
        Probability of each case and the case itself, the more likely one first. A
        case with a probability near 0 is left out.

    evidence : float
        Probability that the prior is useful.
    """

    cases: tuple
    evidence: float

    def mean(self, value):
        """Average a value over the cases."""
        return sum(share * value(case) for share, case in self.cases)

    @property
    def noise_rate_interval(self):
        """From the lowest to the highest rate in the cases that are not unlikely."""
        likely = [case.fusion for share, case in self.cases if share > 0.05]
        lows, highs = zip(*(fusion.noise_rate_interval for fusion in likely))
        return min(lows), max(highs)


def train_co_decision(
    estimator,
    data,
    prior_proba,
    *,
    trust="auto",
    pool=None,
    label_noise="auto",
    sample_weight=None,
    n_folds=5,
    random_state=None,
    n_jobs=None,
):
    """Fit small models on labels weighted by how likely they are right.

    There are two cases. If the prior is useful, its rows are part of the training set,
    and prior and small model are fused. If it is not, the small model learns from the
    labels only and decides alone. The labels determine the probability of each case.

    Labels are judged as if all classes were equally frequent. So the class shares of
    the training set are taken out of the probabilities of a small model that is not
    balanced; its predictions keep them.

    Parameters
    ----------
    estimator : classifier
        The small model; clones are fitted.

    data : TrainingSet
        Labelled samples; its extra rows represent the classes for the prior.

    prior_proba : ndarray of shape (n_samples, n_classes) or None
        Prior probabilities of the labelled samples.

    trust, label_noise
        As in `fit_fusion`. A number as trust leaves one case.

    pool : tuple of (array-like, ndarray) or None, default=None
        Samples of the pool and their prior probabilities, to measure how much of the
        prior the small model learns from the extra rows (`learned_share`). None: it
        learns nothing.

    sample_weight : ndarray of shape (n_samples,) or None, default=None
        The caller's weights, which `data` includes as well.

    n_folds, random_state, n_jobs
        As in `cross_fit_proba`.

    Returns
    -------
    Decision
    """
    few = len(data.codes) <= _ONE_THREAD_ROWS
    with threadpool_limits(1, user_api="blas") if few else nullcontext():
        return _train(
            estimator,
            data,
            prior_proba,
            trust,
            pool,
            {"label_noise": label_noise, "sample_weight": sample_weight},
            {"n_folds": n_folds, "random_state": random_state, "n_jobs": n_jobs},
        )


def _train(estimator, data, prior_proba, trust, pool, fusing, folds):
    balanced = is_balanced(estimator)

    def cross_fit(training):
        proba, counts = cross_fit_proba(estimator, training, **folds)
        smooth = smooth_by_fold(proba, counts)
        if balanced:
            return _Unseen(smooth, smooth)
        weight = training.weight * training.quality
        shares = learned_shares(proba, training.codes, weight)
        proba = without_shares(proba, shares)
        return _Unseen(smooth, smooth_by_fold(proba, counts))

    def train(trust, training, unseen=None):
        unseen = cross_fit(training) if unseen is None else unseen
        return _train_case(
            estimator, training, prior_proba, unseen, trust, pool, fusing, cross_fit
        )

    labels_alone = data.without_extra()
    if prior_proba is None:
        return Decision(((1.0, train(0.0, labels_alone)),), 0.0)
    if not isinstance(trust, str):
        case = train(trust, data if trust > 0 else labels_alone)
        return Decision(((1.0, case),), float(trust > 0))
    alone = cross_fit(labels_alone)
    joined = alone if data.extra is None else cross_fit(data)
    evidence = weigh_evidence(
        prior_proba, joined.proba, alone.proba, data.codes, **fusing
    )
    if len(np.unique(data.codes[data.weight > 0])) == 1:
        # Labels of one class cannot distinguish samples, but the prior can.
        case = train("auto", data, joined)
        fusion = replace(case.fusion, trust=1.0, temperature=1.0, prior_scale=1.0)
        return Decision(((1.0, replace(case, fusion=fusion)),), evidence)
    share, cases = evidence, []
    if share > _NEGLIGIBLE:
        cases.append((share, train("auto", data, joined)))
    if 1 - share > _NEGLIGIBLE:
        cases.append((1 - share, train(0.0, labels_alone, alone)))
    whole = sum(share for share, _ in cases)
    cases = sorted(((share / whole, c) for share, c in cases), key=lambda c: -c[0])
    return Decision(tuple(cases), evidence)


def _train_case(
    estimator, training, prior_proba, unseen, trust, pool, fusing, cross_fit
):
    """Fit, judge the labels, and fit again on those that are likely to be right."""
    used = training.codes[training.weight > 0]
    only = np.bincount(used, minlength=len(training.classes)) == 1
    with_prior = isinstance(trust, str) or trust > 0

    def weigh(quality):
        # Without a prior, wrong labels are hardly told apart from right ones, and
        # weights near 0 lost more right labels than wrong ones.
        return net_weight(quality, len(training.classes)) if with_prior else quality

    def fit(proba):
        prior = proba if prior_proba is None else prior_proba
        return fit_fusion(prior, proba, training.codes, trust=trust, **fusing)

    def fuse(unseen):
        """Return the fusion to predict with, and the one that judges the labels."""
        judge = fit(unseen.even)
        if not with_prior:
            # The only label of a class cannot be judged without a prior.
            quality = np.where(only[training.codes], 1.0, judge.label_quality)
            judge = replace(judge, label_quality=quality)
        if unseen.even is unseen.proba:
            return judge, judge
        fusion = replace(
            fit(unseen.proba),
            label_quality=judge.label_quality,
            noise_rate=judge.noise_rate,
            noise_rate_interval=judge.noise_rate_interval,
        )
        return fusion, judge

    fusion, judge = fuse(unseen)
    known = None if fusing["label_noise"] is None else fusion.noise_rate
    noise_matrix = explain_labels(
        training.codes,
        judge.proba(prior_proba, unseen.even),
        known,
        fusing["sample_weight"],
    ).noise_matrix
    last = fusion
    if fusion.label_quality[training.weight > 0].min() <= _CLEAN_ENOUGH:
        # One iteration: a second one changed nothing in experiments.
        again = cross_fit(training.weighed(weigh(fusion.label_quality)))
        # Noise is judged before any label lost weight: a model trained on what was
        # kept agrees with it, and would call too few labels wrong.
        last = replace(
            fuse(again)[0],
            noise_rate=fusion.noise_rate,
            noise_rate_interval=fusion.noise_rate_interval,
        )
    if isinstance(trust, str) and pool is not None:
        # What the small model has learned from the prior must not count twice.
        counts = 1 - _LEARNED_COUNTS * learned_share(estimator, training, *pool)
        last = replace(last, trust=last.trust * counts)
        fusion = replace(fusion, trust=fusion.trust * counts)
    label_weight = weigh(last.label_quality)
    training = training.weighed(label_weight)
    return Case(
        fit_small_model(estimator, training),
        training.class_counts(),
        last,
        noise_matrix,
        # Not of the models after cleaning: a sample's own label was among those that
        # judged the others, so these models agree with it, even if it is wrong.
        fusion.proba(prior_proba, unseen.proba),
        label_weight,
    )


def weigh_priors(prior, X, codes, label_noise, sample_weight):
    """Return a combined prior with weights learned from the labels; others unchanged.

    The labels then also judge the prior that they selected. With weights from the other
    labels for each one, trust was too low with 20 labels (balanced accuracy .73 instead
    of .77 over 18 cells of benchmarks/priors.py) and the same with 300.
    """
    inner = prior.estimator if isinstance(prior, FrozenEstimator) else prior
    if not isinstance(inner, CombinedPrior):
        return prior
    weights, scales = fit_prior_weights(
        inner.each_proba(X), codes, label_noise=label_noise, sample_weight=sample_weight
    )
    return inner.with_weights(weights, scales)
