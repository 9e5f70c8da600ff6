"""One round of active learning: query, teach, and decide whether to stop."""

from cofm_sklearn.loop.learner import Learner
from cofm_sklearn.loop.stopping import (
    StabilizedPredictions,
    StoppingDecision,
    TargetScore,
)

__all__ = ["Learner", "StabilizedPredictions", "StoppingDecision", "TargetScore"]
