"""Query strategies: which samples to label next."""

from cofm_sklearn.query.adapters import ModALQuery, SkactivemlQuery
from cofm_sklearn.query.ask_again import AskAgainQuery
from cofm_sklearn.query.base import BaseQueryStrategy
from cofm_sklearn.query.boundary import DirectQuery, GalaxyQuery
from cofm_sklearn.query.co_decision import CoDecisionQuery
from cofm_sklearn.query.herding import UncertaintyHerdingQuery
from cofm_sklearn.query.prioral import PriorALQuery
from cofm_sklearn.query.uncertainty import RandomQuery, UncertaintyQuery

__all__ = [
    "AskAgainQuery",
    "BaseQueryStrategy",
    "CoDecisionQuery",
    "DirectQuery",
    "GalaxyQuery",
    "ModALQuery",
    "PriorALQuery",
    "RandomQuery",
    "SkactivemlQuery",
    "UncertaintyHerdingQuery",
    "UncertaintyQuery",
]
