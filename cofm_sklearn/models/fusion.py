"""Estimate trust in the prior, fuse both models, and judge labels.

Pure functions on arrays; `CoDecisionClassifier` is built on them.
"""

from dataclasses import dataclass
from itertools import combinations_with_replacement
from math import comb

import numpy as np
from scipy.special import expit, logit, logsumexp, softmax

from cofm_sklearn.noise.estimate import (
    SHARPNESS_GRID,
    centre_logits,
    list_hypotheses,
    rate_information,
    rate_interval,
    scale_of,
)
from cofm_sklearn.noise.quality import fit_label_channels, speakers

__all__ = [
    "BELIEF",
    "Fusion",
    "compare_priors",
    "fit_fusion",
    "fit_prior_weights",
    "smooth_by_fold",
    "smooth_proba",
    "weigh_evidence",
]

# Probability that a prior is useful, without labels: somebody chose it on purpose.
BELIEF = 2 / 3
# Shares of wrong labels over which the evidence is averaged.
_RATES = (0.01, 0.1, 0.2, 0.3, 0.4)

_TRUST_GRID = np.linspace(0.0, 1.0, 6)
# Shares of these mixtures in the evidence for the prior. With many labels, its rows can
# be useful although its opinion is not. With few labels, that would keep a bad prior.
_TRUST_SHARES = np.array([0.001, *5 * [0.1998]])
# Power of the inverse class shares in the weights of labels: with 0, the largest class
# determines trust; with 1, a handful of labels does, half of which may be wrong.
_BALANCE = 0.7
_MAX_GRID = 70


@dataclass(frozen=True)
class Fusion:
    """Fitted weights of prior and small model, with the label quality they imply.

    Attributes
    ----------
    trust : float
        Weight of the prior, 0 to 1: the posterior mean.

    temperature : float
        Divisor of the fused logits, above 0.

    noise_rate : float
        Share of wrong labels, averaged over the hypotheses.

    noise_rate_interval : tuple of (float, float)
        Credible interval of probability .95.

    label_quality : ndarray of shape (n_samples,)
        Probability that each label is right.

    prior_scale, small_scale : float
        Divisors of the centred logits of prior and small model.
    """

    trust: float
    temperature: float
    noise_rate: float
    noise_rate_interval: tuple
    label_quality: np.ndarray
    prior_scale: float
    small_scale: float

    def proba(self, prior_proba, small_proba):
        """Fuse two sets of class probabilities.

        Parameters
        ----------
        prior_proba : ndarray of shape (n_samples, n_classes) or None
            Probabilities of the prior; None if there is none, and trust is 0.

        small_proba : ndarray of shape (n_samples, n_classes)
            Probabilities of the small model, smoothed by `smooth_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities of the co-decision.
        """
        logits = (1 - self.trust) * centre_logits(small_proba) / self.small_scale
        if prior_proba is not None:
            logits += self.trust * centre_logits(prior_proba) / self.prior_scale
        return softmax(logits / self.temperature, axis=1)


def smooth_proba(proba, class_counts):
    """Smooth the probabilities of a model trained on few labels.

    A model trained on n labels keeps its probabilities except for 1 part in n + 1.
    Classes without labels share the probability that a new label is of a new class,
    which is about the share of labels whose class was seen once (Good, 1953).

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities; columns of classes without labels are 0.

    class_counts : ndarray of shape (n_classes,)
        Number of training labels of each class.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Probabilities above 0.

    References
    ----------
    Good, I. J. (1953). The Population Frequencies of Species and the Estimation of
    Population Parameters. Biometrika 40.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.fusion import smooth_proba
    >>> smooth_proba(np.array([[1.0, 0.0, 0.0]]), np.array([2, 1, 0])).round(2)
    array([[0.61, 0.06, 0.33]])
    """
    n_labels = class_counts.sum()
    n_classes = proba.shape[1]
    floor = 1 / (n_labels + 1)
    unseen = class_counts == 0
    smooth = (1 - floor) * proba + floor / n_classes
    if unseen.any():
        new = (np.sum(class_counts == 1) + 1) / (n_labels + 1)
        new = min(new, unseen.mean())
        smooth[:, unseen] = 0.0
        smooth *= (1 - new) / np.maximum(smooth.sum(axis=1, keepdims=True), 1e-12)
        smooth[:, unseen] = new / unseen.sum()
    return smooth


def smooth_by_fold(proba, counts):
    """Smooth each row by the training labels of its own model.

    Parameters
    ----------
    proba, counts : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities, and training labels per class of each row's model.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        As in `smooth_proba`, row by row.
    """
    smooth = np.empty_like(proba)
    folds: dict[bytes, list[int]] = {}
    for i, class_counts in enumerate(counts):
        folds.setdefault(class_counts.tobytes(), []).append(i)
    for rows in folds.values():
        smooth[rows] = smooth_proba(proba[rows], counts[rows[0]])
    return smooth


def fit_fusion(
    prior_proba,
    small_proba,
    y,
    *,
    trust="auto",
    label_noise="auto",
    sample_weight=None,
):
    """Weight prior and small model by how well they predict the labels.

    Bayesian averaging over a grid of trust, temperature, and three hypotheses about
    the labels: all right, wrong at an unknown rate, or wrong and mostly taken for a
    similar class (`cofm_sklearn.noise.fit_label_channel`). A BIC penalty applies to the
    noise rate. Whether the prior is useful at all is estimated by `weigh_evidence`.

    With very many labels of many classes (more than 12,500 of 200, or 500 of 2,000),
    trust and temperature are learned from a subset, and the resulting co-decision
    judges all labels.

    Parameters
    ----------
    prior_proba : ndarray of shape (n_samples, n_classes)
        Prior probabilities of the labelled samples.

    small_proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities of the small model, smoothed.

    y : ndarray of shape (n_samples,), dtype int
        Labels, as positions of columns.

    trust : "auto" or float in [0, 1], default="auto"
        A number fixes it.

    label_noise : "auto", None or float in [0, 1), default="auto"
        None assumes that all labels are right; a number is the known rate.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the samples, at least 0; only their ratios matter.

    Returns
    -------
    Fusion
        The fitted weights.

    References
    ----------
    Hoeting, J. A. et al. (1999). Bayesian Model Averaging: A Tutorial. Statistical
    Science 14(4).

    Schwarz, G. (1978). Estimating the Dimension of a Model. Annals of Statistics.
    """
    (Zp, Zs), scales, w = _on_unit_scale((prior_proba, small_proba), sample_weight)
    everything = Zp, Zs, y, w
    rows = speakers(y, w, prior_proba.shape[1])
    Zp, Zs, y, w = (part[rows] for part in everything)
    trusts = _TRUST_GRID if isinstance(trust, str) else np.array([float(trust)])
    hypotheses = list_hypotheses(label_noise, np.count_nonzero(w))
    penalty = np.array([h.penalty for h in hypotheses])
    shape = (len(trusts), len(SHARPNESS_GRID), len(hypotheses))
    ll, rarity = np.empty((*shape, len(y))), np.empty((*shape, len(y)))
    rates, quality = np.zeros(shape), np.ones((*shape, len(y)))
    informations = np.full(shape, np.inf)
    for i, t in enumerate(trusts):
        proba = _at_each_sharpness(t * Zp + (1 - t) * Zs)
        for h, hypothesis in enumerate(hypotheses):
            ll[i, :, h], rate, right, _, rarity[i, :, h] = fit_label_channels(
                y, proba, hypothesis.rate, hypothesis.confusion, w
            )
            if hypothesis.doubt:
                rates[i, :, h], quality[i, :, h] = rate, right
                if hypothesis.rate is None:
                    informations[i, :, h] = rate_information(rate, right, w)
    counted = _normalised(ll @ w - penalty)
    if trusts.any():
        rarity = np.tensordot(counted, rarity, axes=3)
        post = _normalised(ll @ _balanced(w, rarity) - penalty)
    else:
        # Without a prior, a few labels are all the evidence about a rare class, and
        # balancing would amplify wrong ones.
        post = counted
    by_sharpness = post.sum(axis=(0, 2))
    mean_trust = min(float(post.sum(axis=(1, 2)) @ trusts), 1.0)
    temperature = float(np.exp(-by_sharpness @ np.log(SHARPNESS_GRID)))
    quality = np.tensordot(post, quality, axes=3)
    if len(rows) < len(everything[2]):
        belief = post.sum(axis=(0, 1))
        quality = _quality(everything, mean_trust, temperature, hypotheses, belief)
    return Fusion(
        trust=mean_trust,
        temperature=temperature,
        noise_rate=float((post * rates).sum()),
        noise_rate_interval=rate_interval(
            post.ravel(), rates.ravel(), informations.ravel()
        ),
        label_quality=np.minimum(quality, 1.0),
        prior_scale=float(scales[0]),
        small_scale=float(scales[1]),
    )


def weigh_evidence(
    prior_proba, joined_proba, small_proba, y, *, label_noise="auto", sample_weight=None
):
    """Return the probability that a prior is useful, given labels.

    Compares how well the labels are predicted with the prior, by mixtures of the prior
    and a small model trained on its rows too, with how well they are predicted without
    it, by a small model trained on labels only, or by the class shares. Both sides are
    averaged over temperatures and shares of wrong labels. So labels that carry no
    information, because many are wrong, are no evidence against the prior. The small
    model trained on the rows has a share of .001 without the prior beside it, which
    decides only where many labels tell them apart.

    Parameters
    ----------
    prior_proba : ndarray of shape (n_samples, n_classes)
        Prior of the labelled samples.

    joined_proba, small_proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities of the small model, smoothed: trained with the rows
        of the prior, and without them.

    y, label_noise, sample_weight
        As in `fit_fusion`.

    Returns
    -------
    float
        Probability, 0 to 1; `BELIEF` without labels.

    References
    ----------
    Kass, R. E., Raftery, A. E. (1995). Bayes Factors. Journal of the American
    Statistical Association 90.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.fusion import weigh_evidence
    >>> y = np.arange(60) % 3
    >>> good = np.full((60, 3), 0.1) + 0.7 * np.eye(3)[y]
    >>> nothing = np.full((60, 3), 1 / 3)
    >>> round(weigh_evidence(good, nothing, nothing, y), 2)
    1.0
    >>> round(weigh_evidence(good[:, [1, 2, 0]], nothing, nothing, y), 1)
    0.0
    """
    probas = prior_proba, joined_proba, small_proba
    (Zp, Zj, Zs), _, w = _on_unit_scale(probas, sample_weight)
    rows = speakers(y, w, prior_proba.shape[1])
    Zp, Zj, Zs, y, w = (part[rows] for part in (Zp, Zj, Zs, y, w))
    rates = _RATES if isinstance(label_noise, str) else (label_noise or _RATES[0],)

    def log_evidence(logits):
        proba = _at_each_sharpness(logits)
        logs = [fit_label_channels(y, proba, r, "uniform", w)[0] @ w for r in rates]
        return logsumexp(logs) - np.log(np.size(logs))

    counts = np.bincount(y, weights=w, minlength=prior_proba.shape[1])
    by_shares = counts @ np.log((counts + 0.5) / (counts + 0.5).sum())
    without = np.logaddexp(log_evidence(Zs), by_shares) - np.log(2)
    logs = [log_evidence(t * Zp + (1 - t) * Zj) for t in _TRUST_GRID]
    with_prior = logsumexp(logs, b=_TRUST_SHARES)
    return float(expit(with_prior - without + logit(BELIEF)))


def fit_prior_weights(probas, y, *, label_noise="auto", sample_weight=None):
    """Weight several priors by how well they predict the labels.

    Bayesian averaging as in `fit_fusion`, over a grid of weights instead of trust.
    Every number of active priors has the same prior probability, so that a useless
    prior is discarded rather than given a small weight.

    Parameters
    ----------
    probas : ndarray of shape (n_priors, n_samples, n_classes)
        Probabilities of each prior on the labelled samples.

    y, label_noise, sample_weight
        As in `fit_fusion`.

    Returns
    -------
    weights : ndarray of shape (n_priors,)
        Posterior mean of the weights, which sum to 1.

    scales : ndarray of shape (n_priors,)
        Divisors of the centred logits of each prior.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.fusion import fit_prior_weights
    >>> y = np.arange(60) % 3
    >>> good = np.full((60, 3), 0.1) + 0.7 * np.eye(3)[y]
    >>> weights, _ = fit_prior_weights(np.array([good, good[:, [1, 2, 0]]]), y)
    >>> weights.round(1)
    array([1., 0.])
    """
    grid = _weight_grid(len(probas))
    n_counting = np.count_nonzero(grid, axis=1)
    log_belief = -np.log(np.bincount(n_counting)[n_counting])
    post, scales = _average(probas, y, grid, log_belief, label_noise, sample_weight)
    return post @ grid, scales


def compare_priors(probas, y):
    """Return the probability of each prior to be the best predictor of the labels.

    Parameters
    ----------
    probas : ndarray of shape (n_priors, n_samples, n_classes)
        Probabilities of each prior on the labelled samples.

    y : ndarray of shape (n_samples,), dtype int
        Labels, as positions of columns.

    Returns
    -------
    ndarray of shape (n_priors,)
        Probabilities that sum to 1.
    """
    grid = np.eye(len(probas))
    return _average(probas, y, grid, np.zeros(len(grid)), "auto", None)[0]


def _average(probas, y, grid, log_belief, label_noise, sample_weight):
    """Return the posterior of each row of weights, and the scales of the priors."""
    scaled, scales, w = _on_unit_scale(probas, sample_weight)
    hypotheses = list_hypotheses(label_noise, np.count_nonzero(w))
    penalty = np.array([hypothesis.penalty for hypothesis in hypotheses])
    ll = np.empty((len(grid), len(SHARPNESS_GRID), len(hypotheses)))
    for i, weights in enumerate(grid):
        proba = _at_each_sharpness(np.tensordot(weights, scaled, axes=1))
        for h, hypothesis in enumerate(hypotheses):
            of_labels = fit_label_channels(
                y, proba, hypothesis.rate, hypothesis.confusion, w
            )[0]
            ll[i, :, h] = of_labels @ w
    # Unlike trust, with equal weight for all labels: a rare label that is wrong must
    # not choose between priors.
    post = _normalised(ll + log_belief[:, None, None] - penalty)
    return post.sum(axis=(1, 2)), scales


def _weight_grid(n_priors):
    """Return weights that sum to 1, in steps as fine as their number allows."""
    steps = next(
        s for s in (5, 4, 3, 2, 1) if comb(s + n_priors - 1, s) <= _MAX_GRID or s == 1
    )
    chosen = combinations_with_replacement(range(n_priors), steps)
    counts = [np.bincount(one, minlength=n_priors) for one in chosen]
    return np.array(counts) / steps


def _on_unit_scale(probas, sample_weight):
    """Return the scaled logits of each model, their divisors, and the weights."""
    logits = [centre_logits(proba) for proba in probas]
    w = np.ones(len(logits[0])) if sample_weight is None else sample_weight
    # A label of weight 0 is as good as absent.
    weighed = w > 0
    scales = np.array([scale_of(Z[weighed]) for Z in logits])
    scaled = np.array([Z / scale for Z, scale in zip(logits, scales)])
    return scaled, scales, w / w[weighed].mean()


def _at_each_sharpness(logits):
    """Return probabilities of shape (n_sharpnesses, n_samples, n_classes)."""
    return softmax(SHARPNESS_GRID[:, None, None] * logits, axis=2)


def _quality(everything, trust, temperature, hypotheses, belief):
    """Judge labels by the co-decision itself, under each hypothesis."""
    Zp, Zs, y, w = everything
    proba = softmax((trust * Zp + (1 - trust) * Zs) / temperature, axis=1)
    quality = np.zeros(len(y))
    for hypothesis, share in zip(hypotheses, belief):
        right = 1.0
        if hypothesis.doubt:
            right = fit_label_channels(
                y, proba[None], hypothesis.rate, hypothesis.confusion, w
            )[2][0]
        quality += share * right
    return quality


def _normalised(log_post):
    post = np.exp(log_post - logsumexp(log_post))
    return post / post.sum()  # exp of a large sum has an error of about 1e-14


def _balanced(weight, rarity):
    """Balance weights between classes; they sum to the effective sample size."""
    weight = weight * rarity**_BALANCE
    return weight * (weight.sum() / np.sum(weight**2))
