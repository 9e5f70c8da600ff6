"""Labelling by people: sessions that outlive the process, on one file for all."""

from cofm_sklearn.annotation.exchange import samples_from_dataset
from cofm_sklearn.annotation.session import AnnotationSession
from cofm_sklearn.annotation.store import (
    AnnotationStore,
    DamagedStoreError,
    StoreError,
)
from cofm_sklearn.annotation.views import Progress, Question

__all__ = [
    "AnnotationSession",
    "AnnotationStore",
    "DamagedStoreError",
    "Progress",
    "Question",
    "StoreError",
    "samples_from_dataset",
]
