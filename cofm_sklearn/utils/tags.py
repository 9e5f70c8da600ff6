"""Tags of estimators that scikit-learn has no base class for."""

from sklearn.base import BaseEstimator

__all__ = ["NothingToFit"]


class NothingToFit(BaseEstimator):
    """Base class of estimators that are asked about a learner, and never fitted."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.requires_fit = False
        return tags
