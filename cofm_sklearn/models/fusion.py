"""How far to trust the prior, from labels: evidence, fusion, label quality.

Pure functions on arrays; `CoDecisionClassifier` is built on them.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from scipy.special import expit, logsumexp, softmax

from cofm_sklearn.noise.quality import CONFUSIONS, fit_label_channel

__all__ = ["Fusion", "centre_logits", "fit_fusion", "smooth_by_fold", "smooth_proba"]

_TRUST_GRID = np.linspace(0.0, 1.0, 11)
_SHARPNESS_GRID = np.array([0.5, 1.0, 2.0, 4.0])
# A label may be a slip even where labels are "clean".
_SLIP_RATE = 0.01
# Power of the inverse class shares in the weights of labels: at 0 the largest class
# decides on trust; at 1 a handful of labels does, half of which may be wrong.
_BALANCE = 0.7


@dataclass(frozen=True)
class Fusion:
    """A weighing of prior against small model, and what it says about the labels.

    Attributes
    ----------
    trust : float
        Weight of the prior, 0 to 1: the posterior mean.

    temperature : float
        What the fused logits are divided by, above 0.

    prior_evidence : float
        Posterior probability that the prior adds anything to the small model, 0 to 1;
        it was 0.5 before any label.

    noise_rate : float
        Share of wrong labels, averaged over the hypotheses "none" and "some".

    label_quality : ndarray of shape (n_samples,)
        Probability that each label is right.

    prior_scale, small_scale : float
        What centred logits of prior and small model are divided by.
    """

    trust: float
    temperature: float
    prior_evidence: float
    noise_rate: float
    label_quality: np.ndarray
    prior_scale: float
    small_scale: float

    def proba(self, prior_proba, small_proba):
        """Fuse two sets of class probabilities.

        Parameters
        ----------
        prior_proba, small_proba : ndarray of shape (n_samples, n_classes)
            Of prior and small model; the latter smoothed as by `smooth_proba`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            The co-decision.
        """
        logits = self.trust * centre_logits(prior_proba) / self.prior_scale
        logits += (1 - self.trust) * centre_logits(small_proba) / self.small_scale
        return softmax(logits / self.temperature, axis=1)


def centre_logits(proba):
    """Log-probabilities, each row moved to mean 0.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.fusion import centre_logits
    >>> centre_logits(np.array([[0.5, 0.5]]))
    array([[0., 0.]])
    """
    logits = np.log(np.maximum(proba, 1e-12))
    return logits - logits.mean(axis=1, keepdims=True)


def smooth_proba(proba, class_counts):
    """Leave room for what few labels cannot have shown.

    A model trained on n labels is taken at its word up to 1 part in n + 1. Classes
    without any label share the probability that a new label is of a new class, which
    is about the share of labels whose class was seen once (Good, 1953).

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities; columns of classes without label are 0.

    class_counts : ndarray of shape (n_classes,)
        Labels that the model was trained on, by class.

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
    """Smooth each row by the labels that its own model was trained on.

    Parameters
    ----------
    proba, counts : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities, and labels per class behind each row's model.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        As of `smooth_proba`, row by row.
    """
    smooth = np.empty_like(proba)
    folds, inverse = np.unique(counts, axis=0, return_inverse=True)
    inverse = inverse.ravel()
    for k, class_counts in enumerate(folds):
        smooth[inverse == k] = smooth_proba(proba[inverse == k], class_counts)
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
    """Weigh prior against small model by how well they foretell the labels.

    Bayesian averaging over a grid of trust, temperature, and three hypotheses about
    the labels: all right, wrong at an unknown rate, or wrong and mostly taken for a
    similar class (`fit_label_channel`). Half of the belief starts at trust 0, so that
    a useless prior is let go of rather than given a small weight; wrong labels have
    to earn their extra parameter (BIC). The prior counts only as far as it, all by
    itself, foretells labels better than the shares of the classes do: beside a small
    model that knows little yet, any other opinion looks good.

    Parameters
    ----------
    prior_proba : ndarray of shape (n_samples, n_classes)
        Prior of the labelled samples.

    small_proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities of the small model, smoothed.

    y : ndarray of shape (n_samples,), dtype int
        Labels, as positions of columns.

    trust : "auto" or float in [0, 1], default="auto"
        A number fixes the trust.

    label_noise : "auto", None or float in [0, 1), default="auto"
        None takes every label for right; a number is the known rate.

    sample_weight : ndarray of shape (n_samples,), default=None
        Weights of the samples, 0 or more; only their ratios matter.

    Returns
    -------
    Fusion
        The weighing.

    References
    ----------
    Hoeting, J. A. et al. (1999). Bayesian Model Averaging: A Tutorial. Statistical
    Science 14(4).

    Schwarz, G. (1978). Estimating the Dimension of a Model. Annals of Statistics.
    """
    Zp, Zs = centre_logits(prior_proba), centre_logits(small_proba)
    n_labels, w, weighed = len(y), sample_weight, slice(None)
    if w is not None:
        # A label of weight 0 is as good as absent.
        weighed = w > 0
        n_labels = np.count_nonzero(weighed)
        w = w / w[weighed].mean()
    prior_scale, small_scale = _scale(Zp[weighed]), _scale(Zs[weighed])
    Zp, Zs = Zp / prior_scale, Zs / small_scale
    if isinstance(trust, str):
        trusts = _TRUST_GRID
        log_belief = np.full(len(trusts), np.log(0.5 / (len(trusts) - 1)))
        log_belief[0] = np.log(0.5)
    else:
        trusts, log_belief = np.array([float(trust)]), np.zeros(1)
    hypotheses = _hypotheses(label_noise, n_labels)
    penalty = np.array([h.penalty for h in hypotheses])
    shape = (len(trusts), len(_SHARPNESS_GRID), len(hypotheses))
    ll, rarity = np.empty((*shape, len(y))), np.empty((*shape, len(y)))
    rates, quality = np.zeros(shape), np.ones((*shape, len(y)))
    nearby = [None] * len(hypotheses)
    for i, t in enumerate(trusts):
        mixed = t * Zp + (1 - t) * Zs
        for j, sharpness in enumerate(_SHARPNESS_GRID):
            proba = softmax(sharpness * mixed, axis=1)
            for h, hypothesis in enumerate(hypotheses):
                channel = fit_label_channel(
                    y,
                    proba,
                    noise_rate=hypothesis.rate,
                    confusion=hypothesis.confusion,
                    sample_weight=w,
                    start=nearby[h],
                )
                nearby[h] = channel
                ll[i, j, h] = channel.log_likelihood
                rarity[i, j, h] = channel.rarity
                if hypothesis.doubt:
                    rates[i, j, h] = channel.noise_rate
                    quality[i, j, h] = channel.quality
    w = np.ones(len(y)) if w is None else w
    log_belief = log_belief[:, None, None] - penalty
    counted = ll @ w + log_belief
    rarity = np.tensordot(_normalised(counted), rarity, axes=3)
    balanced = ll @ _balanced(w, rarity) + log_belief
    post = _normalised(balanced)
    adds = float(post[trusts > 0].sum())
    if isinstance(trust, str):
        adds *= _skill(ll[-1] @ w - penalty, y, w, prior_proba.shape[1])
        post[1:] = adds * _normalised(balanced[1:])
    if trusts[0] == 0:
        # Without prior, a few labels are all the evidence there is about a rare
        # class, and balance would make the most of wrong ones.
        post[0] = (1 - adds) * _normalised(counted[0])
    by_sharpness = post.sum(axis=(0, 2))
    return Fusion(
        trust=min(float(post.sum(axis=(1, 2)) @ trusts), 1.0),
        temperature=float(np.exp(-by_sharpness @ np.log(_SHARPNESS_GRID))),
        prior_evidence=adds,
        noise_rate=float((post * rates).sum()),
        label_quality=np.minimum(np.tensordot(post, quality, axes=3), 1.0),
        prior_scale=prior_scale,
        small_scale=small_scale,
    )


class _Hypothesis(NamedTuple):
    """About the labels: `rate` is None where it is learned."""

    rate: float | None
    confusion: str = "uniform"
    penalty: float = 0.0
    doubt: bool = True  # whether labels lose weight


def _hypotheses(label_noise, n_labels):
    clean = _Hypothesis(_SLIP_RATE, doubt=False)
    if label_noise is None:
        return [clean]
    if isinstance(label_noise, str):
        penalty = 0.5 * np.log(n_labels)
        return [clean, *(_Hypothesis(None, c, penalty) for c in CONFUSIONS)]
    return [_Hypothesis(float(label_noise), c) for c in CONFUSIONS]


def _normalised(log_post):
    post = np.exp(log_post - logsumexp(log_post))
    return post / post.sum()  # the exponential of a large sum is off by some 1e-14


def _balanced(weight, rarity):
    """Weights that let classes count more alike; they sum to the effective number."""
    weight = weight * rarity**_BALANCE
    return weight * (weight.sum() / np.sum(weight**2))


def _skill(log_post, y, weight, n_classes):
    """Probability that the prior alone foretells labels better than their shares do."""
    counts = np.bincount(y, weights=weight, minlength=n_classes)
    shares = (counts + 0.5) / (counts + 0.5).sum()
    by_chance = counts @ np.log(shares)
    by_prior = logsumexp(log_post) - np.log(len(log_post))
    return float(expit(by_prior - by_chance))


def _scale(Z):
    scale = float(Z.std())
    return scale if scale > 1e-9 else 1.0
