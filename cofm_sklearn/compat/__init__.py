"""Repairs of other libraries."""

from cofm_sklearn.compat.modal import modal_wants_metrics, repair_modal

__all__ = ["modal_wants_metrics", "repair_modal"]
