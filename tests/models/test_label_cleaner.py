"""The sampler that removes wrong labels."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline
from numpy.testing import assert_array_equal
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from cofm_sklearn import (
    CoDecisionClassifier,
    LabelCleaner,
    PrecomputedPrior,
    SafeSampler,
)

NAMES = np.array(["eggs", "ham", "spam"])


@pytest.fixture(scope="module")
def data():
    """Samples, true classes, and labels of which one in five is wrong."""
    X, codes = make_blobs(240, centers=3, cluster_std=1.5, random_state=4)
    rng = np.random.RandomState(0)
    wrong = rng.uniform(size=240) < 0.2
    given = np.where(wrong, (codes + rng.randint(1, 3, 240)) % 3, codes)
    return X, NAMES[codes], NAMES[given]


def test_drops_wrong_labels_and_keeps_right_ones(data):
    X, true, given = data
    cleaner = LabelCleaner(random_state=0)
    X_new, y_new = cleaner.fit_resample(X, given)
    kept = cleaner.sample_indices_
    assert_array_equal(X_new, X[kept])
    assert_array_equal(y_new, given[kept])
    assert (np.diff(kept) > 0).all()
    assert np.mean(y_new != true[kept]) < 0.05
    assert len(kept) > 0.7 * len(X)
    assert abs(cleaner.noise_rate_ - np.mean(given != true)) < 0.05


def test_clean_labels_stay(data):
    X, true, _ = data
    assert len(LabelCleaner(random_state=0).fit_resample(X, true)[1]) >= 238


def test_helps_a_classifier_that_believes_everything(data):
    X, true, given = data
    plain = KNeighborsClassifier(1).fit(X, given).score(X, true)
    pipe = make_pipeline(LabelCleaner(random_state=0), KNeighborsClassifier(1))
    assert pipe.fit(X, given).score(X, true) > plain + 0.1
    # It acts in `fit` only.
    assert len(pipe.predict(X)) == len(X)


def test_thinning_amounts_to_weights(data):
    X, _, given = data
    cleaner = LabelCleaner(random_state=0)
    cleaner.fit_resample(X, given)
    quality = cleaner.label_quality_
    kept = np.zeros(len(X))
    for seed in range(20):
        # The folds of the estimator stay, the draws change.
        estimator = CoDecisionClassifier(
            LogisticRegression(class_weight="balanced", max_iter=1000), random_state=0
        )
        thin = LabelCleaner(estimator, action="thin", random_state=seed)
        thin.fit_resample(X, given)
        kept[thin.sample_indices_] += 1 / 20
    doubted = quality < 0.3
    assert doubted.sum() > 10
    assert kept[doubted].mean() < 0.3
    assert abs(kept.mean() - thin.label_quality_.mean()) < 0.02


def test_asks_the_prior_where_there_is_one(data):
    X, true, given = data
    rng = np.random.RandomState(1)
    prior = rng.dirichlet(np.full(3, 0.3), size=len(X))
    rows, codes = np.arange(len(X)), np.searchsorted(NAMES, true)
    prior[rows, codes] += rng.uniform(0.2, 4, size=len(X))
    prior /= prior.sum(axis=1, keepdims=True)
    columns = np.hstack([X, prior])
    # Nothing can be learned from the other columns.
    columns[:, :2] = rng.normal(size=X.shape)
    knows = CoDecisionClassifier(
        LogisticRegression(class_weight="balanced"),
        PrecomputedPrior(NAMES, columns=[2, 3, 4]),
        random_state=0,
    )
    cleaner = LabelCleaner(knows)
    cleaner.fit_resample(columns, given)
    kept = cleaner.sample_indices_
    assert np.mean(given[kept] != true[kept]) < 0.12 < np.mean(given != true)
    assert not hasattr(knows, "label_quality_")


def test_a_class_is_never_lost(data):
    X, _, given = data
    # Four labels in the middle of another class are all that this one has.
    near = np.argsort(np.sum((X - X[given == "ham"].mean(axis=0)) ** 2, axis=1))
    y = given.astype(object)
    y[near[:4]] = "tofu"
    with pytest.warns(UserWarning, match="tofu"):
        _, y_new = LabelCleaner(threshold=1.0, random_state=0).fit_resample(X, y)
    assert set(y_new) == set(y)


def test_one_label_per_class():
    X, y = np.eye(3), NAMES
    assert_array_equal(LabelCleaner(random_state=0).fit_resample(X, y)[1], y)


def test_frames_and_further_samplers(data):
    X, true, given = data
    frame = pd.DataFrame(X, columns=["a", "b"])
    cleaner = LabelCleaner(GaussianNB(), random_state=0)
    X_new, _ = cleaner.fit_resample(frame, given)
    assert isinstance(X_new, pd.DataFrame)
    assert list(cleaner.feature_names_in_) == ["a", "b"]
    pipe = make_pipeline(cleaner, SafeSampler(SMOTE(random_state=0)), GaussianNB())
    search = GridSearchCV(pipe, {"labelcleaner__threshold": [0.2, 0.5]}, cv=2)
    assert search.fit(frame, given).score(frame, true) > 0.85


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"action": "burn"}, ValueError, "action must be"),
        ({"threshold": 1.5}, ValueError, "threshold must be"),
        ({"min_per_class": "one"}, ValueError, "min_per_class must be"),
        ({"estimator": SMOTE()}, TypeError, "SMOTE"),
    ],
)
def test_bad_parameters_are_named(data, params, error, message):
    X, _, given = data
    with pytest.raises(error, match=message):
        LabelCleaner(**params).fit_resample(X, given)


def test_bad_samples_are_named(data):
    X, _, given = data
    with pytest.raises(ValueError, match="240 samples, but y has 9 labels"):
        LabelCleaner().fit_resample(X, given[:9])
    with pytest.raises(ValueError, match="NaN"):
        LabelCleaner().fit_resample(np.where(X > 5, np.nan, X), given)
