"""Class probabilities that need no labels."""

from cofm_sklearn.priors.answers import PROMPT
from cofm_sklearn.priors.base import BasePrior
from cofm_sklearn.priors.combined import CombinedPrior
from cofm_sklearn.priors.language_model import LanguageModelPrior
from cofm_sklearn.priors.precomputed import PrecomputedPrior
from cofm_sklearn.priors.transformers_model import TransformersPrior
from cofm_sklearn.priors.zero_shot import ZeroShotPrior

__all__ = [
    "PROMPT",
    "BasePrior",
    "CombinedPrior",
    "LanguageModelPrior",
    "PrecomputedPrior",
    "TransformersPrior",
    "ZeroShotPrior",
]
