"""Sample weights reach the model that is trained."""

import numpy as np
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from packaging.version import Version
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
    PrecomputedPrior,
)
from cofm_sklearn.models import PriorALClassifier

X, y = make_blobs(60, centers=3, cluster_std=2.0, random_state=0)
WEIGHT = np.random.RandomState(0).uniform(0.1, 2, size=60)


class Recorder(LogisticRegression):
    def fit(self, X, y, sample_weight=None):
        self.seen_ = sample_weight
        return super().fit(X, y, sample_weight)


def loop(estimator, **params):
    params = {"budget": 16, "n_instances": 8, "random_state": 0} | params
    return ActiveLearningClassifier(estimator, CoDecisionQuery(), **params)


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_weights_of_the_labelled_samples_reach_the_estimator():
    done = loop(Recorder()).fit(X, y, sample_weight=WEIGHT)
    assert_array_equal(done.estimator_.seen_, WEIGHT[done.labeled_indices_])
    pipe = make_pipeline(MinMaxScaler(), Recorder())
    done = loop(pipe).fit(X, y, recorder__sample_weight=WEIGHT.tolist())
    assert_array_equal(done.estimator_[-1].seen_, WEIGHT[done.labeled_indices_])
    with pytest.raises(ValueError, match="inconsistent numbers"):
        loop(Recorder()).fit(X, y, sample_weight=WEIGHT[:9])


@pytest.mark.parametrize("routed", [False, True])
def test_weights_that_are_none_are_left_out(routed):
    model = Recorder()
    with sklearn.config_context(enable_metadata_routing=routed):
        if routed:
            model.set_fit_request(sample_weight=True)
        done = loop(model).fit(X, y, sample_weight=None)
    assert done.estimator_.seen_ is None


def test_weights_go_on_with_a_warm_start():
    first = loop(Recorder(), budget=8, warm_start=True)
    first.fit(X, y, sample_weight=WEIGHT).set_params(budget=16)
    first.fit(X, y, sample_weight=WEIGHT)
    whole = loop(Recorder()).fit(X, y, sample_weight=WEIGHT)
    assert_array_equal(first.queried_indices_, whole.queried_indices_)
    assert_array_equal(first.estimator_.seen_, whole.estimator_.seen_)


@pytest.mark.usefixtures("routing")
def test_routing_asks_what_the_estimator_requests():
    with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
        loop(Recorder()).fit(X, y, sample_weight=WEIGHT)
    refuses = Recorder().set_fit_request(sample_weight=False)
    with pytest.raises(TypeError, match="unexpected argument"):
        loop(refuses).fit(X, y, sample_weight=WEIGHT)
    assert loop(Recorder()).fit(X, y).estimator_.seen_ is None
    wants = Recorder().set_fit_request(sample_weight="importance")
    for model in (wants, make_pipeline(MinMaxScaler(), wants)):
        done = loop(model).fit(X, y, eval_set=(X, y), importance=WEIGHT)
        last = done.estimator_[-1] if model is not wants else done.estimator_
        assert_array_equal(last.seen_, WEIGHT[done.labeled_indices_])


@pytest.mark.usefixtures("routing")
@pytest.mark.skipif(
    Version(sklearn.__version__) < Version("1.8"),
    reason="before scikit-learn 1.8, a search asks no pipeline what its score requests",
)
def test_routing_through_a_search_and_a_pipeline():
    wants = loop(Recorder().set_fit_request(sample_weight=True))
    search = GridSearchCV(
        make_pipeline(MinMaxScaler(), wants.set_score_request(sample_weight=True)),
        {"activelearningclassifier__budget": [8, 16]},
        cv=2,
        error_score="raise",
    ).fit(X, y, sample_weight=WEIGHT)
    best = search.best_estimator_[-1]
    assert_array_equal(best.estimator_.seen_, WEIGHT[best.labeled_indices_])


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("kind", [CoDecisionClassifier, PriorALClassifier])
def test_classifiers_with_a_prior_consume_weights(kind):
    model = kind(LogisticRegression())
    if kind is CoDecisionClassifier:
        model.set_params(random_state=0)
    alone = clone(model).fit(X, y, sample_weight=WEIGHT)
    asks = clone(model).set_fit_request(sample_weight=True)
    routed = make_pipeline(None, asks).fit(X, y, sample_weight=WEIGHT)
    assert_allclose(routed.predict_proba(X), alone.predict_proba(X))
    unweighted = clone(model).fit(X, y)
    assert not np.allclose(alone.predict_proba(X), unweighted.predict_proba(X))


def test_a_pseudo_label_weighs_as_much_as_a_label_on_average():
    proba = np.random.RandomState(1).dirichlet(np.full(3, 0.3), size=60)
    model = PriorALClassifier(
        Recorder(), PrecomputedPrior([0, 1, 2]), noise_share=0.5, pool=proba
    ).fit(proba[:12], y[:12], sample_weight=WEIGHT[:12])
    n_clean = len(model.clean_indices_)
    assert n_clean == 24
    expected = [*WEIGHT[:12], *np.full(n_clean, WEIGHT[:12].mean())]
    assert_allclose(model.estimator_.seen_, expected)


def test_a_learner_keeps_weights_with_the_labels():
    learner = Learner(Recorder()).teach(X[:20], y[:20], sample_weight=WEIGHT[:20])
    learner.teach(X[20:30], y[20:30], sample_weight=WEIGHT[20:30])
    assert_array_equal(learner.estimator.seen_, WEIGHT[:30])
    with pytest.raises(ValueError, match="sample_weight"):
        learner.teach(X[30:], y[30:])
    with pytest.raises(ValueError, match="sample_weight must have one value"):
        learner.teach(X[30:], y[30:], sample_weight=[1.0])
    assert len(learner.y_training) == 30
    assert learner.fit(X, y).estimator.seen_ is None
