"""Label noise: detect wrong labels, and combine several annotators."""

from cofm_sklearn.noise.annotators import (
    Consensus,
    combine_annotators,
    spread_answers,
)
from cofm_sklearn.noise.estimate import NoiseEstimate, estimate_noise, label_quality
from cofm_sklearn.noise.quality import LabelChannel, fit_label_channel
from cofm_sklearn.noise.suspects import find_suspects

__all__ = [
    "Consensus",
    "LabelChannel",
    "NoiseEstimate",
    "combine_annotators",
    "estimate_noise",
    "find_suspects",
    "fit_label_channel",
    "label_quality",
    "spread_answers",
]
