"""Weights of single samples: uncertainty and class balance."""

from dataclasses import dataclass

import numpy as np

__all__ = [
    "UNCERTAINTIES",
    "PoolWeights",
    "class_shares",
    "learn_weights",
    "uncertainty_of",
]

_FLOOR = 1e-6


@dataclass(frozen=True)
class PoolWeights:
    """Weights of samples, and their odds of being drawn as candidates.

    Without labels, all samples have equal weight. Everything that depends on the whole
    pool is learned once (`learn_weights`), so that blocks of the pool can be weighted
    one by one, anywhere, with the same result.

    Attributes
    ----------
    uncertainty : {"least_confidence", "margin", "entropy"}
        Uncertainty of the model.

    sharpness, balance : float
        Powers of the uncertainty and of the class shares.

    trust : float
        Weight of the prior in the probabilities used to balance classes.

    shares : ndarray of shape (n_classes,) or None
        Class shares of the pool.

    floor : float
        Added to every weight, so that coverage alone decides if nothing is uncertain.

    class_totals : ndarray of shape (n_classes,) or None
        Share of the pool's weight on the samples predicted as each class.
    """

    uncertainty: str
    sharpness: float
    balance: float
    trust: float
    shares: np.ndarray | None = None
    floor: float = 0.0
    class_totals: np.ndarray | None = None

    def weigh(self, proba, prior_proba, n_samples):
        """Return the weights of samples and their sampling odds.

        Half of the odds is the weight; the other half has equal totals for all classes.
        """
        if proba is None or self.class_totals is None:
            return np.ones(n_samples), np.ones(n_samples)
        weight, taken_for = self._weigh(proba, prior_proba)
        n_classes = len(self.class_totals)
        odds = 0.5 + 0.5 / (n_classes * self.class_totals)
        return weight, weight * odds[taken_for]

    def _weigh(self, proba, prior_proba):
        weight = uncertainty_of(proba, self.uncertainty) ** self.sharpness
        mixed = _mix(proba, prior_proba, self.trust)
        if self.balance:
            typical = np.maximum(mixed @ self.shares, _FLOOR)
            weight = weight / typical**self.balance
        return weight + self.floor, mixed.argmax(axis=1)


def learn_weights(proba, prior_proba, trust, *, uncertainty, sharpness, balance):
    """Learn the parts of the weights that depend on the whole pool.

    Parameters
    ----------
    proba, prior_proba : ndarray of shape (n_samples, n_classes) or None
        Model and prior on the pool, or on a uniform sample of it.

    trust : float
        Weight of the prior.

    uncertainty, sharpness, balance : str, float, float
        As in `CoDecisionQuery`.

    Returns
    -------
    PoolWeights
    """
    given = (uncertainty, sharpness, balance, trust)
    if proba is None:
        return PoolWeights(*given)
    shares = class_shares(_mix(proba, prior_proba, trust))
    first = PoolWeights(*given, shares=shares)
    weight, taken_for = first._weigh(proba, prior_proba)
    floor = _FLOOR * max(weight.max(), _FLOOR)
    totals = np.bincount(taken_for, weights=weight + floor, minlength=len(shares))
    # A class that the sample missed may be in the pool; it gets the weight of one
    # sample.
    totals = np.maximum(totals, (weight + floor).mean())
    return PoolWeights(
        *given,
        shares=shares,
        floor=floor,
        class_totals=totals / totals.sum(),
    )


UNCERTAINTIES = ("least_confidence", "margin", "entropy")


def uncertainty_of(proba, kind):
    """Return the uncertainty of each row of probabilities, 0 to 1."""
    if proba.shape[1] == 1:
        return np.zeros(len(proba))
    if kind == "least_confidence":
        return 1 - proba.max(axis=1)
    if kind == "margin":
        top = np.partition(proba, -2, axis=1)[:, -2:]
        return 1 - (top[:, 1] - top[:, 0])
    entropy = -np.sum(proba * np.log(np.maximum(proba, 1e-12)), axis=1)
    return np.maximum(entropy, 0) / np.log(proba.shape[1])


def class_shares(proba, n_iter=20):
    """Estimate class shares from probabilities under equal shares, by EM."""
    n_samples, n_classes = proba.shape
    shares = np.full(n_classes, 1 / n_classes)
    for _ in range(n_iter):
        # The mean over samples of proba * shares, each row divided by its sum.
        row_sums = np.maximum(proba @ shares, 1e-12)
        shares = shares * ((1 / row_sums) @ proba) / n_samples + 0.01 / n_classes
        shares /= shares.sum()
    return shares


def _mix(proba, prior_proba, trust):
    if prior_proba is None:
        return proba
    return (1 - trust) * proba + trust * prior_proba
