"""The query strategy of PriorAL."""

from cofm_sklearn.models.prioral import in_noise_set
from cofm_sklearn.query.base import BaseQueryStrategy, take_highest
from cofm_sklearn.query.worth import uncertainty_of
from cofm_sklearn.utils.validation import check_number

__all__ = ["PriorALQuery"]


class PriorALQuery(BaseQueryStrategy):
    """Query samples about which neither prior nor small model is certain (PriorAL).

    The pool is split in two as in `PriorALClassifier`: the *clean set*, about which
    prior and small model together are confident, needs no labels. From the rest, the
    *noise set*, the samples with the highest entropy of the small model are queried.
    Without labels, samples are drawn at random.

    Parameters
    ----------
    prior : prior or None, default=None
        Prior; None uses the learner's. An unfitted one is fitted on the pool. Without
        any, the whole pool is the noise set.

    noise_share : float, default=0.9
        Share of the pool in the noise set, 0 to 1; rho in the paper. The clean set is
        queried only when the noise set is used up.

    n_instances : int, default=1
        Samples per query, unless given in the call.

    random_state : int, RandomState or None, default=None
        Seed of the first draw and of ties. Each call combines it with the number of
        labels.

    See Also
    --------
    cofm_sklearn.models.PriorALClassifier : The classifier that goes with it.
    cofm_sklearn.CoDecisionQuery : Learns how far to trust the prior.

    Notes
    -----
    The small model is the learner's own, which the paper also trains on the clean set:
    use `PriorALClassifier` as the learner for the published algorithm. Based on two
    public third-party reading notes; see there for what is unknown.

    References
    ----------
    Zhang, J., Li, M., Zhang, Q., Zhu, Y. (2026). Active Learning with Foundation Model
    Priors: Efficient Learning under Class Imbalance. ICML. (PriorAL)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import ActiveLearningClassifier, PrecomputedPrior
    >>> from cofm_sklearn.models import PriorALClassifier
    >>> from cofm_sklearn.query import PriorALQuery
    >>> X = np.random.RandomState(0).dirichlet([1, 1], size=100)
    >>> model = PriorALClassifier(LogisticRegression(), PrecomputedPrior([0, 1]))
    >>> loop = ActiveLearningClassifier(
    ...     model, PriorALQuery(), n_instances=5, budget=10, random_state=0)
    >>> loop.fit(X, (X[:, 1] > 0.4).astype(int)).queried_indices_.shape
    (10,)
    >>> loop.estimator_.clean_indices_.shape  # a tenth of the 90 others, free of charge
    (9,)
    """

    _embeds = False

    def __init__(
        self, prior=None, noise_share=0.9, n_instances=1, *, random_state=None
    ):
        self.prior = prior
        self.noise_share = noise_share
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        check_number("noise_share", self.noise_share, 0, 1)
        if view.proba is None:
            utilities = rng.uniform(size=view.X_pool.shape[0])
        else:
            utilities = uncertainty_of(view.proba, "entropy")
            if view.prior_proba is not None:
                noisy = in_noise_set(view.prior_proba, view.proba, self.noise_share)
                # Entropies are from 0 to 1, so the clean set comes last.
                utilities = utilities - 2 * ~noisy
        return take_highest(utilities, n_instances, rng), utilities
