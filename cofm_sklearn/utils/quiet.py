"""Silence warnings that do not apply to active learning."""

import warnings
from contextlib import contextmanager

__all__ = ["few_labels_per_class"]


@contextmanager
def few_labels_per_class():
    """Silence scikit-learn's warning that y looks like regression targets.

    Examples
    --------
    >>> from sklearn.utils.multiclass import check_classification_targets
    >>> from cofm_sklearn.utils.quiet import few_labels_per_class
    >>> with few_labels_per_class():
    ...     check_classification_targets(list(range(40)))
    """
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore",
            message="The number of unique classes is greater than 50%",
            category=UserWarning,
        )
        yield
