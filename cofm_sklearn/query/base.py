"""Base class and helpers of all query strategies."""

from copy import deepcopy
from numbers import Integral

import numpy as np
from sklearn.utils import check_random_state

from cofm_sklearn.compat import modal_wants_metrics
from cofm_sklearn.query.view import view_learner
from cofm_sklearn.utils.tags import NothingToFit
from cofm_sklearn.utils.validation import check_n_instances, n_rows

__all__ = [
    "BaseQueryStrategy",
    "are_positions",
    "ask_strategy",
    "check_strategy",
    "rng_of_round",
    "take_highest",
]


def check_strategy(strategy, name="query_strategy"):
    """Raise a TypeError that names the cure unless a strategy can be called."""
    if callable(strategy):
        return
    if type(strategy).__module__.partition(".")[0] == "skactiveml":
        raise TypeError(
            f"{name} must be callable. Wrap a strategy of scikit-activeml: "
            f"SkactivemlQuery({strategy!r})."
        )
    raise TypeError(
        f"{name} must be callable, for example CoDecisionQuery() or modAL's "
        f"margin_sampling; got {strategy!r}."
    )


def ask_strategy(strategy, learner, X_pool, n_instances, **options):
    """Call any strategy, and validate what it returns.

    Parameters
    ----------
    strategy : callable
        A strategy of this package, a function of modAL, or the user's own.

    learner : object
        A learner that the strategy accepts.

    X_pool : array-like of length n_pool
        Unlabelled samples.

    n_instances : int
        Number of samples to query.

    **options
        Further arguments of the strategy.

    Returns
    -------
    picked : ndarray of shape (n_instances,), dtype int64
        Distinct positions in X_pool, in query order.

    others : object or None
        Anything else that the strategy returned: utilities, or modAL's metrics.

    Raises
    ------
    ValueError
        If it returned anything else; the error shows it.
    """
    found = strategy(learner, X_pool, n_instances=n_instances, **options)
    # Strategies for modAL 0.4.2 return (indices, metrics).
    picked, *others = found if isinstance(found, tuple) else (found,)
    n_pool = n_rows(X_pool)
    try:
        picked = np.asarray(picked).ravel()
    except ValueError:  # lists of different lengths
        picked = np.array([None])
    if len(picked) != n_instances or not are_positions(picked, n_pool):
        name = getattr(strategy, "__name__", type(strategy).__name__)
        raise ValueError(
            f"query_strategy {name} must return distinct positions in the pool of "
            f"{n_pool} samples, {n_instances} of them; got {found!r:.200}."
        )
    return picked.astype(np.int64), others[0] if others else None


def are_positions(picked, n):
    """Tell whether an array, not empty, holds distinct integers from 0 to n - 1."""
    return (
        picked.dtype.kind in "iu"
        and len(np.unique(picked)) == picked.size
        and picked.min() >= 0
        and picked.max() < n
    )


def rng_of_round(seed, n_labeled):
    """Return the random state of a round, determined by seed and number of labels.

    modAL 0.4.2 calls a strategy again if the first call raised an error, so a given
    RandomState is copied, not advanced.
    """
    if seed is None:
        return check_random_state(None)
    if not isinstance(seed, Integral):
        seed = deepcopy(check_random_state(seed)).randint(np.iinfo(np.int32).max)
    return np.random.RandomState([int(seed), n_labeled])


def take_highest(utilities, n_instances, rng):
    """Return the positions of the highest utilities, ties in random order."""
    order = rng.permutation(len(utilities))
    return order[np.argsort(-utilities[order], kind="stable")][:n_instances]


class BaseQueryStrategy(NothingToFit):
    """Base class of query strategies: estimators that modAL can call.

    A subclass stores its parameters, including `n_instances` and `random_state`, and
    implements ``_select``, or ``_select_for`` if it needs the learner itself. It has no
    other state: equal input and an equal seed give equal picks.
    """

    prior = None
    # Whether `_select` reads the embeddings of the view.
    _embeds = True

    def __call__(self, learner, X_pool, n_instances=None, *, return_utilities=False):
        """Select the samples to label next; this is what modAL calls.

        Parameters
        ----------
        learner : modAL learner or committee, or estimator
            The learner of the labels; may be unfitted.

        X_pool : array-like of length n_pool
            Unlabelled samples that the learner accepts.

        n_instances : int, default=None
            Number of samples; None uses the strategy's own `n_instances`.

        return_utilities : bool, default=False
            Whether to return the scores as well.

        Returns
        -------
        indices : ndarray of shape (n_instances,), dtype int64
            Positions in X_pool, in query order.

        utilities : ndarray of shape (n_pool,), dtype float64
            Only with `return_utilities`: the utility of each sample when the first was
            picked; NaN if it was not evaluated. (A learner of modAL 0.4.2 gets the
            utilities of the picked samples instead, as it expects.)

        Raises
        ------
        ValueError
            If the pool is empty, has values that are not finite, or is smaller
            than `n_instances`.

        TypeError
            If `learner` is not a learner, or `n_instances` not an integer.
        """
        if not any(hasattr(learner, name) for name in ("fit", "estimator")):
            raise TypeError(
                "learner must be a learner of modAL or an estimator, got "
                f"{type(learner).__name__}."
            )
        n_instances = self._check_n_instances(n_instances, n_rows(X_pool))
        indices, utilities = self._select_for(learner, X_pool, n_instances)
        if return_utilities:
            return indices, utilities
        if modal_wants_metrics(learner):
            return indices, utilities[indices]
        return indices

    def _select_for(self, learner, X_pool, n_instances):
        """Select from a learner's pool; return indices and utilities."""
        view = view_learner(learner, X_pool, self.prior, embeds=self._embeds)
        return self._select(view, n_instances, self._rng(len(view.y_labeled)))

    def _select(self, view, n_instances, rng):
        """Select from a `LearnerView`; return indices and utilities."""
        raise NotImplementedError(f"{type(self).__name__} has no _select.")

    def _check_n_instances(self, n_instances, n_pool):
        if n_instances is None:
            n_instances = self.n_instances
        return check_n_instances(n_instances, n_pool)

    def _rng(self, n_labeled):
        return rng_of_round(self.random_state, n_labeled)
