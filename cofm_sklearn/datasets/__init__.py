"""Offline real data; long-tailed and noisily labelled variants of any data."""

from cofm_sklearn.datasets.api_docs import load_api_docs
from cofm_sklearn.datasets.make import flip_labels, make_long_tail
from cofm_sklearn.datasets.parquet import ParquetEmbeddings

__all__ = ["ParquetEmbeddings", "flip_labels", "load_api_docs", "make_long_tail"]
