"""The compared strategies."""

from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec

import numpy as np
from modAL.uncertainty import entropy_sampling, margin_sampling, uncertainty_sampling
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import CoDecisionClassifier, CoDecisionQuery
from cofm_sklearn.models import PriorALClassifier
from cofm_sklearn.query import (
    DirectQuery,
    GalaxyQuery,
    ModALQuery,
    PriorALQuery,
    SkactivemlQuery,
    UncertaintyHerdingQuery,
)
from cofm_sklearn.utils import import_optional

__all__ = [
    "BASELINES",
    "OURS",
    "OURS_ALONE",
    "PRIOR_ALONE",
    "STRATEGIES",
    "available",
    "co_decision",
    "make",
    "small_model",
]

# Our query with the co-decision as learner, and with the plain small model.
OURS = "co-decision"
OURS_ALONE = "co-decision query"
# The prior without labels.
PRIOR_ALONE = "prior alone"
SLOW_SEEDS = 3


@dataclass(frozen=True)
class Entry:
    """Factory of a strategy, and its properties for the protocol."""

    factory: callable
    cold_start: bool = False  # whether it selects the first batch itself
    slow: bool = False  # with 77 classes, more than 2 s a query: fewer seeds
    package: str = "cofm_sklearn"
    prior: bool = False  # whether the strategy itself gets the prior
    # Creates the model that it queries with and that judges it, from a split and a
    # seed; None is the small model.
    model: callable = None


def small_model():
    """Return the small model that all strategies retrain."""
    return LogisticRegression(C=1.0, class_weight="balanced", max_iter=300)


def co_decision(split, seed):
    """Return the co-decision, with prior and neighbours fitted on the pool."""
    return CoDecisionClassifier(
        small_model(), split.prior, neighbors=split.neighbors, random_state=seed
    )


def prioral(split, seed):
    """Return the small model trained as in PriorAL, warm-started in each round."""
    return PriorALClassifier(
        small_model(), split.prior, pool=split.Z_pool, warm_start=True
    )


def first_rows(learner, X_pool, n_instances=1):
    """Take the first samples; random ones, as `ModALQuery` shuffles the pool."""
    return np.arange(n_instances)


def skactiveml(name, *, cold_start=False, slow=False, **params):
    """Return the entry of a scikit-activeml strategy."""

    def factory():
        pool = import_optional("skactiveml.pool", needed_by=f"the baseline {name}")
        return SkactivemlQuery(getattr(pool, name)(**params))

    return Entry(factory, cold_start, slow, "skactiveml")


STRATEGIES = {
    OURS: Entry(CoDecisionQuery, cold_start=True, model=co_decision),
    OURS_ALONE: Entry(CoDecisionQuery, cold_start=True),
    "random": Entry(partial(ModALQuery, first_rows)),
    "margin": Entry(partial(ModALQuery, margin_sampling)),
    "entropy": Entry(partial(ModALQuery, entropy_sampling)),
    "least confidence": Entry(partial(ModALQuery, uncertainty_sampling)),
    "Uncertainty Herding": Entry(UncertaintyHerdingQuery, cold_start=True),
    "GALAXY": Entry(GalaxyQuery),
    "DIRECT": Entry(DirectQuery),
    "PriorAL": Entry(PriorALQuery, model=prioral),
    "PriorAL query": Entry(PriorALQuery, prior=True),
    "BADGE": skactiveml("Badge", slow=True),
    "CoreSet": skactiveml("CoreSet", cold_start=True),
    "TypiClust": skactiveml("TypiClust", cold_start=True),
    "ProbCover": skactiveml("ProbCover", cold_start=True),
    "DropQuery": skactiveml("DropQuery"),
    "Falcun": skactiveml("Falcun"),
    "Clue": skactiveml("Clue"),
    # The width of the paper, instead of scikit-learn's default kernel width, with which
    # 384 features and rows of unit norm make all samples alike.
    "MaxHerding": skactiveml("MaxHerding", cold_start=True, metric_dict={"gamma": 1.0}),
}
BASELINES = tuple(name for name in STRATEGIES if name not in (OURS, OURS_ALONE))


def available():
    """Return the names of the strategies whose packages are installed."""
    return [name for name, entry in STRATEGIES.items() if find_spec(entry.package)]


def make(name, seed):
    """Create a strategy with a seed.

    Parameters
    ----------
    name : str
        A key of `STRATEGIES`.

    seed : int
        Seed of its draws.

    Returns
    -------
    query strategy
    """
    return STRATEGIES[name].factory().set_params(random_state=seed)
