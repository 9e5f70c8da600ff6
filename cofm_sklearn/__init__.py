"""Active learning where a foundation model and a small model decide together.

The public names below load on first use: importing the package imports neither
torch nor sentence-transformers, open_clip or matplotlib.
"""

from importlib import import_module

from cofm_sklearn.compat.modal import repair_modal

__version__ = "0.1.0.dev0"

# public name -> module that defines it
_EXPORTS = {
    "SentenceTransformerEncoder": "cofm_sklearn.encoders",
    "OpenCLIPEncoder": "cofm_sklearn.encoders",
    "ZeroShotPrior": "cofm_sklearn.priors",
    "PrecomputedPrior": "cofm_sklearn.priors",
    "CombinedPrior": "cofm_sklearn.priors",
    "LanguageModelPrior": "cofm_sklearn.priors",
    "TransformersPrior": "cofm_sklearn.priors",
    "CoDecisionClassifier": "cofm_sklearn.models",
    "LabelCleaner": "cofm_sklearn.models",
    "NeighborGraph": "cofm_sklearn.pool",
    "NetClassifier": "cofm_sklearn.models",
    "SafeSampler": "cofm_sklearn.models",
    "CoDecisionQuery": "cofm_sklearn.query",
    "ActiveLearningClassifier": "cofm_sklearn.simulation",
    "Learner": "cofm_sklearn.loop",
    "StabilizedPredictions": "cofm_sklearn.loop",
    "AnnotationSession": "cofm_sklearn.annotation",
    "AnnotationWidget": "cofm_sklearn.annotation",
    "show_versions": "cofm_sklearn.utils.versions",
}

_SUBPACKAGES = {
    "annotation",
    "compat",
    "datasets",
    "encoders",
    "loop",
    "models",
    "noise",
    "pool",
    "priors",
    "query",
    "simulation",
    "utils",
}

__all__ = ["__version__", *sorted(_EXPORTS)]


def __getattr__(name):
    if name in _EXPORTS:
        value = getattr(import_module(_EXPORTS[name]), name)
        globals()[name] = value  # the next access skips this function
        return value
    if name in _SUBPACKAGES:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__, *_SUBPACKAGES})


# Waits for modAL to be imported; imports nothing itself.
repair_modal()
