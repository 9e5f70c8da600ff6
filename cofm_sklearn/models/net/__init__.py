"""skorch nets as scikit-learn classifiers."""

from cofm_sklearn.models.net.net_classifier import NetClassifier

__all__ = ["NetClassifier"]
