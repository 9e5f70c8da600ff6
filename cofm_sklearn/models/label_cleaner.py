"""Label cleaning as a step of an imbalanced-learn pipeline."""

import numpy as np
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state, get_tags

from cofm_sklearn.models.co_decision import CoDecisionClassifier
from cofm_sklearn.models.resampling import BaseLabelSampler
from cofm_sklearn.noise.suspects import check_cleaning, find_suspects
from cofm_sklearn.utils.pipelines import allows_nan, split_pipeline
from cofm_sklearn.utils.validation import (
    check_option,
    check_samples,
    take_rows,
)

__all__ = ["LabelCleaner"]


class LabelCleaner(BaseLabelSampler):
    """Remove labels that are likely wrong before a classifier is trained.

    The quality of each label is the `label_quality_` of a `CoDecisionClassifier`: out
    of fold, so that no model judges labels it has memorised, and averaged with the
    hypothesis that all labels are right, so that clean labels are kept. No class is
    lost.

    Like any sampler it acts only in `fit`: put it before the classifier in an
    imbalanced-learn pipeline. `CoDecisionClassifier` does not need it, as it weights
    labels by their quality.

    Parameters
    ----------
    estimator : classifier or None, default=None
        `CoDecisionClassifier`, or a pipeline that ends in one, to use a prior in the
        quality. Any other classifier is wrapped in a `CoDecisionClassifier` without a
        prior; None uses a balanced `LogisticRegression`.

    action : {"drop", "thin"}, default="drop"
        What to do with suspects. ``"drop"`` drops labels whose quality is below
        `threshold`. ``"thin"`` keeps each label with a probability equal to its
        quality, which acts like weights for classifiers without sample weights.

    threshold : float, default=0.5
        Labels of a lower quality are dropped, 0 to 1. Ignored by ``"thin"``.

    min_per_class : int, default=1
        Number of best labels per class to keep in any case, at least 0; a warning says
        which classes needed this.

    random_state : int, RandomState or None, default=None
        Seed of the folds, if `estimator` is not a `CoDecisionClassifier`, and of
        ``"thin"``.

    Attributes
    ----------
    estimator_ : CoDecisionClassifier or pipeline
        Fitted on the given labels.

    label_quality_ : ndarray of shape (n_samples,)
        Probability that each label is right.

    noise_rate_ : float
        Estimated share of wrong labels.

    sample_indices_ : ndarray of shape (n_new,), dtype int
        Positions of the kept samples, in order.

    n_features_in_ : int
        Number of features of X; only if X is numeric.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.pipeline import make_pipeline
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from cofm_sklearn import LabelCleaner
    >>> X, true = make_blobs(200, centers=3, random_state=4)
    >>> given = true.copy()
    >>> given[:40] = (true[:40] + 1) % 3
    >>> model = make_pipeline(LabelCleaner(random_state=0), KNeighborsClassifier(1))
    >>> float(model.fit(X, given).score(X, true)) > 0.95
    True
    >>> bool(np.mean(model[0].sample_indices_ < 40) < 0.05)
    True
    """

    def __init__(
        self,
        estimator=None,
        *,
        action="drop",
        threshold=0.5,
        min_per_class=1,
        random_state=None,
    ):
        self.estimator = estimator
        self.action = action
        self.threshold = threshold
        self.min_per_class = min_per_class
        self.random_state = random_state

    def _check(self, X, y):
        check_option("action", self.action, ("drop", "thin"))
        check_cleaning(self.threshold, self.min_per_class)
        X, y = super()._check(X, y)
        check_samples(self, X, reset=True, allow_nan=allows_nan(self._judge(0)))
        return X, y

    def _fit_resample(self, X, y):
        rng = check_random_state(self.random_state)
        estimator = self._judge(rng.randint(np.iinfo(np.int32).max)).fit(X, y)
        model = split_pipeline(estimator)[1]
        quality = model.label_quality_
        judged, threshold = quality, self.threshold
        if self.action == "thin":
            # A label is dropped if a uniform draw is above its quality; the order of
            # qualities decides what is kept of a class that would be lost.
            judged = np.where(rng.uniform(size=len(y)) < quality, 1.0, quality / 2)
            threshold = np.nextafter(0.5, 1)
        suspects = find_suspects(
            y, judged, threshold=threshold, min_per_class=self.min_per_class
        )
        kept = np.setdiff1d(np.arange(len(y)), suspects)
        self.estimator_, self.label_quality_ = estimator, quality
        self.noise_rate_, self.sample_indices_ = model.noise_rate_, kept
        return take_rows(X, kept), y[kept]

    def _judge(self, seed):
        """Return the unfitted classifier that judges the labels."""
        estimator = self.estimator
        if estimator is None:
            estimator = LogisticRegression(class_weight="balanced", max_iter=1000)
        if isinstance(split_pipeline(estimator)[1], CoDecisionClassifier):
            return clone(estimator)
        return CoDecisionClassifier(clone(estimator), random_state=seed)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self.estimator, "__sklearn_tags__"):
            tags.input_tags.string = get_tags(self.estimator).input_tags.string
        tags.sampler_tags.sample_indices = True
        return tags
