"""What labelling each sample of a pool is worth, by itself."""

from dataclasses import dataclass

import numpy as np

__all__ = ["PoolWeights", "class_shares", "learn_weights", "uncertainty_of"]

_FLOOR = 1e-6


@dataclass(frozen=True)
class PoolWeights:
    """Weights of samples, and the odds of drawing them as candidates.

    Before the first label all weigh the same. What depends on the pool as a whole was
    learned once (`learn_weights`), so that
    blocks of the pool are weighed one by one, anywhere, with one result.

    Attributes
    ----------
    uncertainty : {"least_confidence", "margin", "entropy"}
        Uncertainty of the small model.

    sharpness, balance : float
        Powers of the uncertainty and of the class shares.

    trust : float
        Weight of the prior in the probabilities that classes are balanced by.

    shares : ndarray of shape (n_classes,) or None
        Class shares of the pool.

    floor : float
        Added to every weight: where nothing is uncertain, coverage alone decides.

    class_totals : ndarray of shape (n_classes,) or None
        Part of the pool's weight that lies on samples taken for each class.
    """

    uncertainty: str
    sharpness: float
    balance: float
    trust: float
    shares: np.ndarray | None = None
    floor: float = 0.0
    class_totals: np.ndarray | None = None

    def weigh(self, proba, prior_proba, n_samples):
        """Return the weights of samples, and what the draw of each is proportional to.

        Half of the draw is by weight, half gives all classes the same total.
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
    """Learn what the weights of samples need to know of the pool as a whole.

    Parameters
    ----------
    proba, prior_proba : ndarray of shape (n_samples, n_classes) or None
        The small model and the prior on the pool or a uniform sample of it.

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
    # A class that the sample missed may be in the pool; it is drawn as if it had the
    # weight of one sample.
    totals = np.maximum(totals, (weight + floor).mean())
    return PoolWeights(
        *given,
        shares=shares,
        floor=floor,
        class_totals=totals / totals.sum(),
    )


def uncertainty_of(proba, kind):
    """Uncertainty of each row of probabilities, 0 to 1."""
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
