"""Frozen foundation models as transformers: raw samples to embeddings, cached."""

from cofm_sklearn.encoders.cache import CacheInfo, EmbeddingCache
from cofm_sklearn.encoders.image import OpenCLIPEncoder
from cofm_sklearn.encoders.text import SentenceTransformerEncoder

__all__ = [
    "CacheInfo",
    "EmbeddingCache",
    "OpenCLIPEncoder",
    "SentenceTransformerEncoder",
]
