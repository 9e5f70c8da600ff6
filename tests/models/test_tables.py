"""Tables as people have them: gaps, yes and no, categories, demanding classifiers."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_array_equal
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_classification
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.multiclass import OneVsRestClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    LabelCleaner,
    Learner,
)
from cofm_sklearn.query import RandomQuery, UncertaintyQuery
from cofm_sklearn.utils.validation import stack_rows

X, codes = make_classification(240, 4, n_redundant=0, weights=[0.8], random_state=0)
y = np.array(["fine", "fraud"])[codes]
GAPS = np.where(np.random.RandomState(0).uniform(size=X.shape) < 0.1, np.nan, X)
BOOSTING = HistGradientBoostingClassifier(max_iter=20, random_state=0)


def run_loop(model, data, query=None):
    loop = ActiveLearningClassifier(
        model, query or CoDecisionQuery(), budget=40, scoring=[], random_state=0
    )
    return loop.fit(data, y)


TAKE_GAPS = {
    "boosting": BOOSTING,
    "imputed columns": make_pipeline(
        make_column_transformer((SimpleImputer(), list("abcd"))),
        LogisticRegression(class_weight="balanced"),
    ),
    "columns as they are": make_pipeline(
        make_column_transformer(("passthrough", list("abcd"))), BOOSTING
    ),
    "calibrated": CalibratedClassifierCV(BOOSTING, cv=2),
}


@pytest.mark.parametrize("name", TAKE_GAPS)
def test_gaps_that_a_model_takes_are_allowed(name):
    frame = pd.DataFrame(GAPS, columns=list("abcd"))
    model = CoDecisionClassifier(TAKE_GAPS[name], random_state=0)
    assert model.fit(frame, y).score(frame, y) > 0.85
    for estimator in (TAKE_GAPS[name], model):
        kept, _ = LabelCleaner(estimator, random_state=0).fit_resample(frame, y)
        assert 180 < len(kept) <= 240
    if name != "calibrated":  # it needs two labels of each class in every fold
        assert run_loop(model, frame).score(frame, y) > 0.75


@pytest.mark.parametrize("query", [CoDecisionQuery, UncertaintyQuery, RandomQuery])
@pytest.mark.parametrize("bare", [True, False])
def test_gaps_are_allowed_while_all_labels_are_of_one_class(query, bare):
    model = BOOSTING if bare else CoDecisionClassifier(BOOSTING)
    learner = Learner(model, query(random_state=0))
    fine = np.flatnonzero(codes == 0)[:6]
    learner.teach(GAPS[fine], y[fine])
    assert len(set(learner.query(GAPS, n_instances=5))) == 5


class OnlyNumbers(LogisticRegression):
    """Refuses columns of objects, as LightGBM and XGBoost do."""

    def fit(self, X, y, sample_weight=None):
        if isinstance(X, pd.DataFrame):
            assert all(pd.api.types.is_numeric_dtype(dtype) for dtype in X.dtypes)
            X = X.astype(float)
        return super().fit(X, y, sample_weight)


@pytest.mark.parametrize("dtype", [bool, "boolean"])
def test_yes_and_no_stay_numbers_beside_the_rows_of_a_prior(dtype):
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["d"] = (frame["d"] > 0).astype(dtype)
    prior = FrozenEstimator(LogisticRegression().fit(frame, y))
    model = CoDecisionClassifier(OnlyNumbers(), prior)
    assert run_loop(model, frame).score(frame, y) > 0.8
    rows = pd.DataFrame([[0.5] * 4], columns=list("abcd"))
    both = stack_rows(frame, rows)
    assert_array_equal(both["d"].astype(float), [*frame["d"].astype(float), 0.5])
    assert stack_rows(frame, frame)["d"].dtype == dtype
    if dtype == "boolean":
        frame.loc[3, "d"] = pd.NA
        assert_array_equal(np.flatnonzero(stack_rows(frame, rows)["d"].isna()), [3])


def test_a_single_column_of_categories_is_a_table():
    frame = pd.DataFrame({"f": pd.Categorical(np.where(codes, "x", "z"))})
    model = make_pipeline(
        make_column_transformer((OneHotEncoder(), ["f"])), LogisticRegression()
    )
    assert CoDecisionClassifier(model).fit(frame, y).score(frame, y) == 1
    assert run_loop(CoDecisionClassifier(model), frame).score(frame, y) == 1
    assert len(LabelCleaner(model).fit_resample(frame, y)[0]) == len(frame)


def test_errors_on_a_frame_are_about_what_is_wrong():
    frame = pd.DataFrame(X, columns=list("abcd"))
    frame["f"] = pd.Categorical(np.where(X[:, 0] > 0, "x", "z"))
    model = HistGradientBoostingClassifier(max_iter=-1)
    with pytest.raises(ValueError, match="'max_iter'") as caught:
        CoDecisionClassifier(model).fit(frame, y)
    assert "Put an encoder" not in str(caught.value)
    with pytest.raises(ValueError, match="Put an encoder before it"):
        CoDecisionClassifier(LogisticRegression()).fit(frame, y)


class FromZero(LogisticRegression):
    """Takes labels from 0 to K-1 only, as XGBoost does."""

    def fit(self, X, y, sample_weight=None):
        expected, got = np.arange(len(np.unique(y))), np.unique(y)
        if not np.array_equal(expected, got):
            raise ValueError(
                "Invalid classes inferred from unique values of `y`.  "
                f"Expected: {expected}, got {got}"
            )
        return super().fit(X, y, sample_weight)


def test_a_classifier_that_insists_on_its_labels_is_named_with_the_cure():
    for model in (FromZero(), CoDecisionClassifier(FromZero())):
        with pytest.raises(ValueError, match=r"OneVsRestClassifier\(FromZero\(\)\)"):
            run_loop(model, X)
    model = CoDecisionClassifier(OneVsRestClassifier(FromZero()))
    assert run_loop(model, X).score(X, y) > 0.8
    labels = np.array(["one", "two", "three"])[(codes + (np.arange(240) == 7)) % 3]
    assert CoDecisionClassifier(model.estimator).fit(X, labels).score(X, labels) > 0.8
