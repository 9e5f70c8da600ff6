"""Validation, files, images, texts and optional dependencies."""

from cofm_sklearn.utils.optional import import_optional

__all__ = ["import_optional"]
