"""Classifiers with a prior, nets, resampling and label cleaning."""

from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.models.descriptions import (
    DescriptionReview,
    review_descriptions,
)
from cofm_sklearn.models.label_cleaner import LabelCleaner
from cofm_sklearn.models.net import NetClassifier
from cofm_sklearn.models.pool_labels import label_pool
from cofm_sklearn.models.prioral import PriorALClassifier
from cofm_sklearn.models.resampling import SafeSampler
from cofm_sklearn.models.unlabelled import fit_to_pool

__all__ = [
    "CoDecisionClassifier",
    "DescriptionReview",
    "LabelCleaner",
    "NetClassifier",
    "PriorALClassifier",
    "SafeSampler",
    "fit_to_pool",
    "label_pool",
    "review_descriptions",
]
