"""The two strategies that all others are measured against."""

from cofm_sklearn.query.base import BaseQueryStrategy, take_highest
from cofm_sklearn.query.worth import uncertainty_of
from cofm_sklearn.utils.validation import check_option

__all__ = ["RandomQuery", "UncertaintyQuery"]

_MEASURES = ("least_confidence", "margin", "entropy")


class RandomQuery(BaseQueryStrategy):
    """Ask for samples drawn at random.

    Parameters
    ----------
    n_instances : int, default=1
        Samples per query, unless the call says otherwise.

    random_state : int, RandomState or None, default=None
        Seed. A call draws from the seed and the number of labels, so rounds differ
        and can be repeated.

    See Also
    --------
    UncertaintyQuery : Asks what the model is least sure of.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import RandomQuery
    >>> RandomQuery(random_state=0)(LogisticRegression(), np.eye(9), 3).shape
    (3,)
    """

    def __init__(self, n_instances=1, *, random_state=None):
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        utilities = rng.uniform(size=view.X_pool.shape[0])
        return take_highest(utilities, n_instances, rng), utilities


class UncertaintyQuery(BaseQueryStrategy):
    """Ask what the small model is least sure of.

    A batch can hold many samples that are alike, and the model has to know something
    first; `CoDecisionQuery` minds both. Before the first label, samples are drawn at
    random, the same as `RandomQuery` draws.

    Parameters
    ----------
    measure : {"margin", "entropy", "least_confidence"}, default="margin"
        1 minus the lead of the highest probability, the entropy in units of its
        maximum, or 1 minus the highest probability. For two classes all three ask for
        the same samples.

    n_instances : int, default=1
        Samples per query, unless the call says otherwise.

    random_state : int, RandomState or None, default=None
        Seed of the first draw, and of the choice between equal samples. A call draws
        from the seed and the number of labels.

    See Also
    --------
    RandomQuery : Knows nothing at all.
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

    def __init__(self, measure="margin", n_instances=1, *, random_state=None):
        self.measure = measure
        self.n_instances = n_instances
        self.random_state = random_state

    def _select(self, view, n_instances, rng):
        check_option("measure", self.measure, _MEASURES)
        if view.proba is None:
            utilities = rng.uniform(size=view.X_pool.shape[0])
        else:
            utilities = uncertainty_of(view.proba, self.measure)
        return take_highest(utilities, n_instances, rng), utilities
