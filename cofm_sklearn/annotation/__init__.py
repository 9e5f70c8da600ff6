"""Labelling by people: persistent sessions, shared in one file."""

from cofm_sklearn.annotation.exchange import samples_from_dataset
from cofm_sklearn.annotation.label_studio import (
    from_label_studio,
    label_studio_config,
    to_label_studio,
)
from cofm_sklearn.annotation.pool_map import PoolMapDisplay
from cofm_sklearn.annotation.session import AnnotationSession
from cofm_sklearn.annotation.store import (
    AnnotationStore,
    DamagedStoreError,
    StoreError,
)
from cofm_sklearn.annotation.views import Progress, Question
from cofm_sklearn.annotation.widget import AnnotationWidget
from cofm_sklearn.loop.check_score import CheckScore

__all__ = [
    "AnnotationSession",
    "AnnotationStore",
    "AnnotationWidget",
    "CheckScore",
    "DamagedStoreError",
    "PoolMapDisplay",
    "Progress",
    "Question",
    "StoreError",
    "from_label_studio",
    "label_studio_config",
    "samples_from_dataset",
    "to_label_studio",
]
