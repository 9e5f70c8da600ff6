"""split_pipeline and silenced warnings."""

import warnings

import numpy as np
import pytest
from imblearn.over_sampling import RandomOverSampler
from imblearn.pipeline import make_pipeline as make_imblearn_pipeline
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
)
from cofm_sklearn.query import BaseQueryStrategy
from cofm_sklearn.utils.pipelines import split_pipeline
from cofm_sklearn.utils.quiet import few_labels_per_class


def test_nested_pipelines_without_their_samplers():
    model = LogisticRegression()
    inner = make_imblearn_pipeline(MinMaxScaler(), RandomOverSampler(), model)
    transformers, last = split_pipeline(make_pipeline(StandardScaler(), inner))
    assert [type(t) for t in transformers] == [StandardScaler, MinMaxScaler]
    assert last is model
    assert split_pipeline(model) == ([], model)


def test_queries_see_through_a_pipeline_with_a_sampler():
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(40, 3)), np.arange(40) % 3
    pipeline = make_imblearn_pipeline(
        StandardScaler(), RandomOverSampler(), _logistic()
    )
    for learner in (pipeline, pipeline.fit(X[:20], y[:20])):
        assert len(set(CoDecisionQuery(random_state=0)(learner, X[20:], 5))) == 5


def test_many_classes_for_few_labels_do_not_warn():
    """Newer scikit-learn guesses a regression there; active learning starts there."""
    X, y = np.random.RandomState(0).normal(size=(40, 5)), np.arange(40)
    loop = ActiveLearningClassifier(_logistic(), CoDecisionQuery(), budget=24)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        CoDecisionClassifier(_logistic()).fit(X, y)
        loop.fit(X, y % 15)


def test_other_warnings_stay():
    message = "The number of unique classes is greater than 50% of the samples"
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")  # whatever PYTHONWARNINGS says
        with few_labels_per_class():
            warnings.warn(message, UserWarning, stacklevel=1)
            warnings.warn("something else", UserWarning, stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["something else"]


def test_a_strategy_without_a_choice_says_so():
    class Empty(BaseQueryStrategy):
        def __init__(self, n_instances=1, random_state=None):
            self.n_instances = n_instances
            self.random_state = random_state

    with pytest.raises(NotImplementedError, match="Empty"):
        Empty()(_logistic(), np.eye(3))


def _logistic():
    return LogisticRegression(max_iter=1000)
