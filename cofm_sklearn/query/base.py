"""What all query strategies share."""

from copy import deepcopy
from numbers import Integral

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from cofm_sklearn.compat import modal_wants_metrics
from cofm_sklearn.query.view import view_learner
from cofm_sklearn.utils.validation import check_n_instances, n_rows

__all__ = [
    "BaseQueryStrategy",
    "ask_strategy",
    "check_strategy",
    "rng_of_round",
    "take_highest",
]


def check_strategy(strategy, name="query_strategy"):
    """Raise a TypeError unless a strategy can be called; the cure is named."""
    if callable(strategy):
        return
    if type(strategy).__module__.partition(".")[0] == "skactiveml":
        raise TypeError(
            f"{name} must be callable. Wrap what is of scikit-activeml: "
            f"SkactivemlQuery({strategy!r})."
        )
    raise TypeError(
        f"{name} must be callable, for example CoDecisionQuery() or modAL's "
        f"margin_sampling; got {strategy!r}."
    )


def ask_strategy(strategy, learner, X_pool, n_instances, **options):
    """Ask any strategy, and make sure that its answer can be used.

    Parameters
    ----------
    strategy : callable
        Of this package, or a function of modAL or of the user's.

    learner : object
        As the strategy takes it.

    X_pool : array-like of length n_pool
        Unlabelled samples.

    n_instances : int
        How many are wanted.

    **options
        Further arguments of the strategy.

    Returns
    -------
    picked : ndarray of shape (n_instances,), dtype int64
        Distinct positions in X_pool, in the order of asking.

    others : object or None
        What the strategy returned beside them: utilities, or modAL's metrics.

    Raises
    ------
    ValueError
        If it returned anything else; it is named.
    """
    found = strategy(learner, X_pool, n_instances=n_instances, **options)
    # modAL 0.4.2 gives (indices, metrics).
    picked, *others = found if isinstance(found, tuple) else (found,)
    n_pool = n_rows(X_pool)
    try:
        picked = np.asarray(picked).ravel()
    except ValueError:  # lists of different lengths
        picked = np.array([None])
    if (
        picked.dtype.kind not in "iu"
        or len(picked) != n_instances
        or len(np.unique(picked)) != n_instances
        or picked.min() < 0
        or picked.max() >= n_pool
    ):
        name = getattr(strategy, "__name__", type(strategy).__name__)
        raise ValueError(
            f"query_strategy {name} must return distinct positions in the pool of "
            f"{n_pool} samples, {n_instances} of them; got {found!r:.200}."
        )
    return picked.astype(np.int64), others[0] if others else None


def rng_of_round(seed, n_labeled):
    """Draws of a round: the same for the same seed and labels, else new ones.

    modAL 0.4.2 calls a strategy again where the first call raised, so a given
    RandomState is copied, not used up.
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


class BaseQueryStrategy(BaseEstimator):
    """Base of query strategies: callables that modAL takes, and estimators.

    A subclass stores its parameters, among them `n_instances` and `random_state`,
    and writes ``_select``, or ``_select_for`` if it wants the learner itself. It keeps
    no state: equal input and an equal seed give equal picks.
    """

    prior = None

    def __call__(self, learner, X_pool, n_instances=None, *, return_utilities=False):
        """Choose what to label next; this is what modAL calls.

        Parameters
        ----------
        learner : modAL learner or committee, or estimator
            Who will learn from the labels; may be unfitted.

        X_pool : array-like of length n_pool
            Unlabelled samples, as the learner takes them.

        n_instances : int, default=None
            How many samples; None takes the strategy's own `n_instances`.

        return_utilities : bool, default=False
            Whether to return the scores as well.

        Returns
        -------
        indices : ndarray of shape (n_instances,), dtype int64
            Positions in X_pool, in the order of asking.

        utilities : ndarray of shape (n_pool,), dtype float64
            Only with `return_utilities`: what each sample was worth when the first
            was picked; NaN where it was not looked at. (A learner of modAL 0.4.2
            gets the utilities of the chosen instead, as it expects.)

        Raises
        ------
        ValueError
            If the pool is empty, holds values that are not finite, or is smaller
            than `n_instances`.

        TypeError
            If `learner` is none, or `n_instances` no integer.
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
        """Choose from a learner's pool; returns indices and utilities."""
        view = view_learner(learner, X_pool, self.prior)
        return self._select(view, n_instances, self._rng(len(view.y_labeled)))

    def _select(self, view, n_instances, rng):
        """Choose from a `LearnerView`; returns indices and utilities."""
        raise NotImplementedError(f"{type(self).__name__} has no _select.")

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # It takes a learner and a pool, and there is nothing to fit.
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags

    def _check_n_instances(self, n_instances, n_pool):
        if n_pool == 0:
            raise ValueError("X_pool is empty: there is no sample left to ask for.")
        if n_instances is None:
            n_instances = self.n_instances
        return check_n_instances(n_instances, n_pool)

    def _rng(self, n_labeled):
        return rng_of_round(self.random_state, n_labeled)
