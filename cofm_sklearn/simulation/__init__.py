"""Simulated labelling: oracles, the loop as one estimator, learning curves."""

from cofm_sklearn.simulation.classifier import ActiveLearningClassifier
from cofm_sklearn.simulation.compare import compare_strategies
from cofm_sklearn.simulation.curves import (
    LearningCurveDisplay,
    label_savings,
    labels_to_reach,
    score_predictions,
)
from cofm_sklearn.simulation.description_display import DescriptionsDisplay
from cofm_sklearn.simulation.displays import NoiseMatrixDisplay, SuspectsDisplay
from cofm_sklearn.simulation.oracle import (
    BaseOracle,
    ExactOracle,
    NoisyOracle,
    RecordedVotesOracle,
)
from cofm_sklearn.simulation.precision_display import PrecisionCoverageDisplay

__all__ = [
    "ActiveLearningClassifier",
    "BaseOracle",
    "DescriptionsDisplay",
    "ExactOracle",
    "LearningCurveDisplay",
    "NoiseMatrixDisplay",
    "NoisyOracle",
    "PrecisionCoverageDisplay",
    "RecordedVotesOracle",
    "SuspectsDisplay",
    "compare_strategies",
    "label_savings",
    "labels_to_reach",
    "score_predictions",
]
