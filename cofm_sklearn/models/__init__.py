"""Classifiers that decide together with a prior, nets, resampling and cleaning."""

from cofm_sklearn.models.cleaning import LabelCleaner
from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.models.freezing import freeze_prior
from cofm_sklearn.models.nets import NetClassifier
from cofm_sklearn.models.resampling import SafeSampler

__all__ = [
    "CoDecisionClassifier",
    "LabelCleaner",
    "NetClassifier",
    "SafeSampler",
    "freeze_prior",
]
