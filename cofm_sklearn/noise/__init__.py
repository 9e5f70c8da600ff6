"""How likely is each label wrong, and what to do about it."""

from cofm_sklearn.noise.annotators import (
    Consensus,
    combine_annotators,
    spread_answers,
)
from cofm_sklearn.noise.quality import LabelChannel, fit_label_channel

__all__ = [
    "Consensus",
    "LabelChannel",
    "combine_annotators",
    "fit_label_channel",
    "spread_answers",
]
