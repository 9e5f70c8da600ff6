"""Uncertainty herding: coverage weighted by calibrated uncertainty."""

import numpy as np
from scipy.special import softmax

from cofm_sklearn.models.small_model import cross_fit_proba
from cofm_sklearn.models.training_set import TrainingSet
from cofm_sklearn.query.base import BaseQueryStrategy
from cofm_sklearn.query.coverage import covered_by, greedy_coverage
from cofm_sklearn.query.worth import UNCERTAINTIES, uncertainty_of
from cofm_sklearn.utils.labels import encode_labels
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    check_option,
)

__all__ = ["UncertaintyHerdingQuery", "calibration_error", "fit_temperature"]

_TEMPERATURES = np.logspace(-1.5, 1.0, 26)
_N_BINS = 15
_BLOCK = 1024
# In units of distance between unit rows: the distance is at most 2, and rows closer
# than the lower bound are duplicates.
_LARGEST_RADIUS = 1.0
_SMALLEST_RADIUS = 0.05


class UncertaintyHerdingQuery(BaseQueryStrategy):
    """Cover the uncertainty of the pool, for low and high budgets (UHerding).

    Samples are picked one by one, each where it adds most to the coverage of the
    embedding space by labelled samples, weighted by the small model's uncertainty. Two
    parameters adapt, so that the strategy covers the space with few labels and queries
    uncertain samples with many: the temperature of the small model's probabilities is
    calibrated out of fold, and the radius of the kernel shrinks to the smallest
    distance between labelled samples.

    Parameters
    ----------
    n_instances : int, default=1
        Samples per query, unless given in the call.

    uncertainty : {"least_confidence", "margin", "entropy"}, default="margin"
        Uncertainty of a sample; the paper prefers margins.

    temperature : "auto" or float, default="auto"
        Divisor of the small model's logits, above 0. ``"auto"`` uses the one with the
        lowest calibration error on out-of-fold predictions.

    radius : "auto" or float, default="auto"
        Radius r of the kernel ``exp(-(distance / r) ** 2)`` of unit embeddings, above
        0. ``"auto"`` uses the smallest distance between labelled samples, clipped to
        0.05 and 1.

    max_candidates : int, default=4096
        Number of candidates to draw from a larger pool.

    random_state : int, RandomState or None, default=None
        Seed. Each call combines it with the number of labels.

    See Also
    --------
    cofm_sklearn.CoDecisionQuery : Coverage with other weights and another radius.

    Notes
    -----
    The paper does not specify both adaptations completely. Here, calibration is
    measured on 5 folds of the labels instead of a random validation set, with 26
    temperatures from 0.03 to 10, and duplicates are ignored in the smallest distance. A
    committee keeps temperature 1, as it cannot be refitted. Without labels, all samples
    have equal weight, which is MaxHerding.

    References
    ----------
    Bae, W., Oliveira, G. L., Sutherland, D. J. (2025). Uncertainty Herding: One
    Active Learning Method for All Label Budgets. ICLR.

    Bae, W., Noh, J., Sutherland, D. J. (2024). Generalized Coverage for More Robust
    Low-Budget Active Learning. ECCV. (MaxHerding)

    Guo, C., Pleiss, G., Sun, Y., Weinberger, K. Q. (2017). On Calibration of Modern
    Neural Networks. ICML. (temperature, calibration error)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import UncertaintyHerdingQuery
    >>> rng = np.random.RandomState(0)
    >>> Z = np.repeat(np.eye(3), [50, 30, 5], axis=0) + 0.1 * rng.normal(size=(85, 3))
    >>> strategy = UncertaintyHerdingQuery(random_state=0)
    >>> picked = strategy(LogisticRegression(), Z, n_instances=3)  # no label yet
    >>> sorted(int(Z[i].argmax()) for i in picked)
    [0, 1, 2]
    """

    def __init__(
        self,
        n_instances=1,
        *,
        uncertainty="margin",
        temperature="auto",
        radius="auto",
        max_candidates=4096,
        random_state=None,
    ):
        self.n_instances = n_instances
        self.uncertainty = uncertainty
        self.temperature = temperature
        self.radius = radius
        self.max_candidates = max_candidates
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        self._check_parameters()
        n_pool = view.X_pool.shape[0]
        n_candidates = min(n_pool, max(self.max_candidates, n_instances))
        # In random order even if all are taken, so that ties are broken at random.
        chosen = rng.permutation(n_pool)[:n_candidates]
        if view.proba is None:
            weight = np.ones(n_candidates)
        else:
            proba = sharpened(view.proba[chosen], self._temperature(view, rng))
            weight = uncertainty_of(proba, self.uncertainty)
            # If nothing is uncertain any more, coverage alone decides.
            weight = weight + 1e-6 * max(weight.max(), 1e-6)
        radius = self.radius
        if isinstance(radius, str):
            radius = smallest_distance(view.X_labeled)
        width = radius / np.sqrt(2)  # exp(-(d / r)^2) = exp(-d^2 / (2 width^2))
        X = view.X_pool[chosen]
        covered = covered_by(X, view.X_labeled, width)
        picked, gains = greedy_coverage(X, weight, covered, n_instances, width)
        utilities = np.full(n_pool, np.nan)
        utilities[chosen] = gains
        return chosen[picked], utilities

    def _temperature(self, view, rng):
        if not isinstance(self.temperature, str):
            return self.temperature
        model = view.small_model
        n_seen = len(np.unique(view.y_labeled))
        if hasattr(model, "learner_list") or n_seen < 2:
            return 1.0
        codes = encode_labels(view.y_labeled, view.classes)
        data = TrainingSet(view.inputs_labeled, codes, view.classes)
        proba, _ = cross_fit_proba(model, data, random_state=rng)
        return fit_temperature(proba, codes)

    def _check_parameters(self):
        check_option("uncertainty", self.uncertainty, UNCERTAINTIES)
        for name in ("temperature", "radius"):
            check_number(name, getattr(self, name), closed="neither", also=("auto",))
        check_integer("max_candidates", self.max_candidates, 1)


def sharpened(proba, temperature):
    """Divide logits by a temperature; return probabilities again."""
    return softmax(np.log(np.maximum(proba, 1e-12)) / temperature, axis=1)


def calibration_error(proba, codes, n_bins=_N_BINS):
    """Compute the expected calibration error.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities.

    codes : ndarray of shape (n_samples,), dtype int
        True classes.

    n_bins : int, default=15
        Number of confidence bins of equal width.

    Returns
    -------
    float
        Mean over samples of the difference between confidence and accuracy in their
        bin, 0 to 1.
    """
    confidence = proba.max(axis=1)
    right = proba.argmax(axis=1) == codes
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    gap = np.bincount(bins, weights=confidence - right, minlength=n_bins)
    return float(np.abs(gap).sum() / len(codes))


def fit_temperature(proba, codes):
    """Find the temperature with the lowest calibration error.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities of samples that the model has not seen.

    codes : ndarray of shape (n_samples,), dtype int
        Their classes.

    Returns
    -------
    float
        One of 26 temperatures from 0.03 to 10.
    """
    errors = [calibration_error(sharpened(proba, t), codes) for t in _TEMPERATURES]
    return float(_TEMPERATURES[int(np.argmin(errors))])


def smallest_distance(X_labeled):
    """Return the kernel radius from the two closest labelled samples."""
    n_labeled, smallest = X_labeled.shape[0], _LARGEST_RADIUS
    for start in range(0, n_labeled, _BLOCK):
        block = X_labeled[start : start + _BLOCK]
        similar = block @ X_labeled[start:].T
        similar = similar.toarray() if hasattr(similar, "toarray") else similar
        distance = np.sqrt(np.maximum(2 - 2 * similar, 0))
        # Each pair once, without pairs of a sample with itself.
        distance[np.tril_indices(len(distance), m=distance.shape[1])] = 0
        distance = distance[distance >= _SMALLEST_RADIUS]
        smallest = distance.min(initial=smallest)
    return float(smallest)
