"""Train a small model beside a prior: evidence, fusion, cleaning."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
from sklearn.frozen import FrozenEstimator
from threadpoolctl import threadpool_limits

from cofm_sklearn.models.fusion import (
    fit_fusion,
    fit_prior_weights,
    smooth_by_fold,
)
from cofm_sklearn.models.small_model import (
    TrainingSet,
    cross_fit_proba,
    fit_small_model,
)
from cofm_sklearn.noise.estimate import explain_labels
from cofm_sklearn.priors import CombinedPrior

__all__ = ["train_co_decision", "weigh_priors"]

# No second round of cleaning if all labels are at least this likely right.
_CLEAN_ENOUGH = 0.9
# Power of the evidence in the weight of the prior's rows: when in doubt, the rows of a
# bad prior must not outweigh the first labels.
_CAUTION = 3
# Below this size, more BLAS threads are slower: with 1,000 rows of 384 features, two
# threads took 9 times as long as one.
_ONE_THREAD_ROWS = 20_000


def train_co_decision(
    estimator,
    data,
    prior_proba,
    *,
    trust="auto",
    label_noise="auto",
    sample_weight=None,
    n_folds=5,
    random_state=None,
    n_jobs=None,
):
    """Fit the small model on labels weighted by their estimated quality.

    Parameters
    ----------
    estimator : classifier
        The small model; a clone is fitted.

    data : TrainingSet
        Labelled samples; its extra rows represent the classes for the prior, with the
        weight that they have if the prior is certain to be useful.

    prior_proba : ndarray of shape (n_samples, n_classes) or None
        Prior probabilities of the labelled samples.

    trust, label_noise
        As in `fit_fusion`.

    sample_weight : ndarray of shape (n_samples,) or None, default=None
        The caller's weights, which `data` includes as well.

    n_folds, random_state, n_jobs
        As in `cross_fit_proba`.

    Returns
    -------
    model : classifier
        The small model.

    class_counts : ndarray of shape (n_classes,)
        Number of training rows of each class.

    fusion : Fusion
        The fitted weights.

    noise_matrix : ndarray of shape (n_classes, n_classes)
        Share of given labels (columns) by true class (rows).

    oof_proba : ndarray of shape (n_samples, n_classes)
        Co-decision on the labelled samples, with small models that have not seen them.
    """
    few = len(data.codes) <= _ONE_THREAD_ROWS
    with threadpool_limits(1, user_api="blas") if few else nullcontext():
        return _train(
            estimator,
            data,
            prior_proba,
            trust,
            {"label_noise": label_noise, "sample_weight": sample_weight},
            {"n_folds": n_folds, "random_state": random_state, "n_jobs": n_jobs},
        )


def _train(estimator, data, prior_proba, trust, fusing, folds):
    def build(quality, evidence):
        return TrainingSet(
            data.X,
            data.codes,
            data.classes,
            data.weight * quality,
            data.extra,
            data.extra_weight * evidence**_CAUTION,
        )

    def weigh(training, evidence):
        proba, counts = cross_fit_proba(estimator, training, **folds)
        proba = smooth_by_fold(proba, counts)
        fusion = fit_fusion(
            proba if prior_proba is None else prior_proba,
            proba,
            data.codes,
            trust=0.0 if prior_proba is None else trust,
            **fusing,
        )
        if evidence < 0.5:
            # The only label of a class cannot be judged unless the prior is useful.
            others = counts[np.arange(len(proba)), data.codes]
            alone = others <= (training.extra is not None)
            quality = np.where(alone, 1.0, fusion.label_quality)
            fusion = replace(fusion, label_quality=quality)
        return fusion, proba

    evidence = 0.0
    if data.extra is not None and isinstance(trust, str):
        # These rows repeat the prior, so their weight depends on how useful it is,
        # judged by a model without them.
        evidence = weigh(build(1.0, 0.0), 0.0)[0].prior_evidence
    elif data.extra is not None:
        evidence = float(trust > 0)
    training = build(1.0, evidence)
    fusion, proba = weigh(training, evidence)
    first, last_proba = fusion, proba
    if fusion.label_quality.min() <= _CLEAN_ENOUGH:
        # One iteration: a second one changed nothing in experiments.
        fusion, last_proba = weigh(build(fusion.label_quality, evidence), evidence)
    training = build(fusion.label_quality, evidence)
    model = fit_small_model(estimator, training)
    # Judged before any label lost weight: a model trained on the kept labels agrees
    # with them, and would find too few wrong ones.
    fusion = replace(
        fusion,
        noise_rate=first.noise_rate,
        noise_rate_interval=first.noise_rate_interval,
    )
    known = None if fusing["label_noise"] is None else first.noise_rate

    def fused(weighing, small):
        return weighing.proba(small if prior_proba is None else prior_proba, small)

    noise_matrix = explain_labels(
        data.codes, fused(first, proba), known, fusing["sample_weight"]
    ).noise_matrix
    oof_proba = fused(fusion, last_proba)
    return model, training.class_counts(), fusion, noise_matrix, oof_proba


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
