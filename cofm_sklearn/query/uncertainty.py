"""The two baselines: random and uncertainty sampling."""

from cofm_sklearn.query.base import BaseQueryStrategy, take_highest
from cofm_sklearn.query.worth import UNCERTAINTIES, uncertainty_of
from cofm_sklearn.utils.validation import check_option

__all__ = ["RandomQuery", "UncertaintyQuery"]


class RandomQuery(BaseQueryStrategy):
    """Query samples at random.

    Parameters
    ----------
    n_instances : int, default=1
        Samples per query, unless given in the call.

    random_state : int, RandomState or None, default=None
        Seed. Each call combines it with the number of labels, so rounds differ and are
        reproducible.

    See Also
    --------
    UncertaintyQuery : Queries the most uncertain samples.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import RandomQuery
    >>> RandomQuery(random_state=0)(LogisticRegression(), np.eye(9), 3).shape
    (3,)
    """

    _embeds = False

    def __init__(self, n_instances=1, *, random_state=None):
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        utilities = rng.uniform(size=view.X_pool.shape[0])
        return take_highest(utilities, n_instances, rng), utilities


class UncertaintyQuery(BaseQueryStrategy):
    """Query the samples about which the small model is most uncertain.

    A batch can contain many similar samples, and the model needs some labels first;
    `CoDecisionQuery` addresses both. Without labels, samples are drawn at random, as by
    `RandomQuery`.

    Parameters
    ----------
    measure : {"margin", "entropy", "least_confidence"}, default="margin"
        1 minus the margin between the two highest probabilities, the normalized
        entropy, or 1 minus the highest probability. For two classes, all three select
        the same samples.

    n_instances : int, default=1
        Samples per query, unless given in the call.

    random_state : int, RandomState or None, default=None
        Seed of the first draw and of ties. Each call combines it with the number of
        labels.

    See Also
    --------
    RandomQuery : Random sampling.
    cofm_sklearn.CoDecisionQuery : Uncertainty, coverage and rare classes.

    References
    ----------
    Settles, B. (2009). Active Learning Literature Survey. Computer Sciences Technical
    Report 1648, University of Wisconsin-Madison.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import UncertaintyQuery
    >>> model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    >>> UncertaintyQuery()(model, np.array([[-1.0], [0.4], [3.0]]))
    array([1])
    """

    _embeds = False

    def __init__(self, measure="margin", n_instances=1, *, random_state=None):
        self.measure = measure
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        check_option("measure", self.measure, UNCERTAINTIES)
        if view.proba is None:
            utilities = rng.uniform(size=view.X_pool.shape[0])
        else:
            utilities = uncertainty_of(view.proba, self.measure)
        return take_highest(utilities, n_instances, rng), utilities
