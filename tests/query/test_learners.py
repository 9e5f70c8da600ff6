"""Realistic learners: unfitted steps, missing values, lost classes, column y."""

import numpy as np
import pandas as pd
import pytest
from modAL.models import ActiveLearner, Committee
from modAL.uncertainty import margin_sampling
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.feature_selection import SelectFromModel, SelectKBest
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from cofm_sklearn import (
    ActiveLearningClassifier,
    AnnotationSession,
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
)
from cofm_sklearn.query import (
    DirectQuery,
    GalaxyQuery,
    ModALQuery,
    PriorALQuery,
    RandomQuery,
    UncertaintyHerdingQuery,
    UncertaintyQuery,
)
from cofm_sklearn.utils.validation import take_rows

WORDS = [["ball", "goal", "match"], ["bank", "rates", "shares"]]
rng = np.random.RandomState(0)
TOPICS = np.arange(60) % 2
TEXTS = [f"{' '.join(rng.permutation(WORDS[t]))} {i}" for i, t in enumerate(TOPICS)]
X, Y = make_blobs([40, 30, 20], n_features=4, cluster_std=2.0, random_state=0)


class Lengths:
    """A custom encoder without scikit-learn's conventions."""

    def fit(self, X, y=None):
        self.words = sorted({word for text in X for word in text.split()[:3]})
        return self

    def transform(self, X):
        return np.array([[text.count(word) for word in self.words] for text in X])


class Supervised(TransformerMixin, BaseEstimator):
    """An encoder of texts that learns from labels."""

    def fit(self, X, y):
        self.words_ = sorted({word for text in X for word in text.split()[:3]})
        return self

    def transform(self, X):
        return np.array([[text.count(word) for word in self.words_] for text in X])


TEXT_STEPS = {
    "home-made": [Lengths()],
    "supervised": [Supervised()],
    "selected": [TfidfVectorizer(), SelectKBest(k=3)],
    "from model": [TfidfVectorizer(), SelectFromModel(LogisticRegression())],
    "union": [TfidfVectorizer(), FeatureUnion([("best", SelectKBest(k=2))])],
}
STRATEGIES = [
    CoDecisionQuery(random_state=0),
    UncertaintyHerdingQuery(random_state=0),
    GalaxyQuery(random_state=0),
    DirectQuery(random_state=0),
    ModALQuery(margin_sampling, random_state=0),
]


@pytest.mark.parametrize("steps", TEXT_STEPS.values(), ids=TEXT_STEPS)
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)
def test_steps_that_cannot_embed_yet_do_not_stop_a_strategy(steps, strategy):
    model = make_pipeline(*steps, LogisticRegression())
    picked = strategy(model, TEXTS, n_instances=6)
    assert len(set(picked)) == 6
    model.fit(TEXTS[:20], TOPICS[:20])
    assert len(set(strategy(model, TEXTS[20:], n_instances=6))) == 6


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)
def test_numbers_before_a_supervised_step_are_embeddings(strategy):
    model = make_pipeline(LinearDiscriminantAnalysis(), LogisticRegression())
    assert len(set(strategy(model, X, n_instances=6))) == 6
    loop = ActiveLearningClassifier(model, strategy, budget=20, n_instances=5)
    assert len(set(loop.fit(X, Y).queried_indices_)) == 20
    cold = CoDecisionQuery(random_state=0)
    np.testing.assert_array_equal(
        cold(model, X, n_instances=6), cold(LogisticRegression(), X, n_instances=6)
    )


def test_a_home_made_step_is_not_fitted_again_behind_a_trained_model():
    model = make_pipeline(Lengths(), LogisticRegression()).fit(TEXTS[:4], [0, 1, 0, 1])
    words = model[0].words
    CoDecisionQuery(random_state=0)(model, ["other words here"] * 3 + TEXTS[:5])
    assert model[0].words is words


@pytest.mark.parametrize("steps", TEXT_STEPS.values(), ids=TEXT_STEPS)
@pytest.mark.parametrize("first", [TOPICS, np.zeros(60, dtype=int)], ids=["two", "one"])
def test_loops_and_sessions_start_and_go_on_with_such_steps(steps, first):
    model = make_pipeline(*steps, LogisticRegression())
    loop = ActiveLearningClassifier(
        model, CoDecisionQuery(), budget=20, n_instances=5, scoring=[], random_state=0
    ).fit(TEXTS, TOPICS)
    assert len(loop.queried_indices_) == 20
    with AnnotationSession(
        TEXTS, model, classes=[0, 1], n_instances=4, background=False
    ) as session:
        for k in range(20):
            (question,) = session.ask()
            y = first if k < 10 else TOPICS
            session.answer(question.id, y[question.index])
        rest = session.ask(8)
    assert len(rest) == 8
    assert rest[-1].proba is not None


def test_a_stuck_first_batch_moves_on_once_there_are_labels(tmp_path):
    """As earlier versions left it: planned before any label, never computed."""
    model = make_pipeline(*TEXT_STEPS["supervised"], LogisticRegression())
    file = tmp_path / "s.sqlite"
    opened = {"classes": [0, 1], "store": file, "background": False}
    with AnnotationSession(TEXTS, model, **opened) as session:
        session.import_labels(pd.DataFrame({"position": range(40), "label": 0}))
        with session.store.transaction():
            session.store.change("UPDATE batch SET point = 0")
    with AnnotationSession(TEXTS, model, **opened) as session:
        assert session.ask()[0].index >= 40
        assert (
            session.store.query("SELECT point FROM batch WHERE number = 0")[0][0] == 40
        )


def with_gaps():
    gaps = X.copy()
    gaps[::5, 1] = np.nan
    return gaps


TAKE_GAPS = {
    "imputer": make_pipeline(SimpleImputer(), LogisticRegression()),
    "trees": HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2),
    "columns": make_pipeline(
        make_column_transformer((SimpleImputer(), [0, 1, 2, 3])), LogisticRegression()
    ),
    "co-decision": make_pipeline(
        SimpleImputer(), CoDecisionClassifier(LogisticRegression(), random_state=0)
    ),
    "trees in a co-decision": CoDecisionClassifier(
        HistGradientBoostingClassifier(max_iter=5, min_samples_leaf=2), random_state=0
    ),
    "imputer in a co-decision": CoDecisionClassifier(
        make_pipeline(SimpleImputer(), LogisticRegression()), random_state=0
    ),
}


@pytest.mark.parametrize("model", TAKE_GAPS.values(), ids=TAKE_GAPS)
@pytest.mark.parametrize("as_frame", [False, True])
def test_gaps_in_numbers_are_left_to_who_takes_them(model, as_frame):
    gaps = pd.DataFrame(with_gaps()) if as_frame else with_gaps()
    loop = ActiveLearningClassifier(
        model, CoDecisionQuery(), budget=30, n_instances=10, random_state=0
    ).fit(gaps, Y)
    assert loop.predict(gaps).shape == Y.shape
    with AnnotationSession(gaps, model, classes=[0, 1, 2], background=False) as session:
        for question in session.ask(20):
            session.answer(question.id, Y[question.index])
        assert len(session.ask(10)) == 10
        assert (session.predict() == Y).mean() > 0.5
    labeled = np.r_[0:30:3, 1]
    learner = ActiveLearner(
        model, CoDecisionQuery(random_state=0), force_all_finite=False
    )
    if as_frame:
        learner.teach(gaps, Y)
    else:
        learner.teach(gaps[labeled], Y[labeled])
    assert len(learner.query(gaps, n_instances=5)[0]) == 5


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("fitted", [False, True])
def test_gaps_that_nobody_takes_are_named_with_the_cure(strategy, fitted):
    if not fitted and isinstance(strategy, ModALQuery):
        pytest.skip("draws at random before the first label")
    model = LogisticRegression()
    model = model.fit(X, Y) if fitted else model
    with pytest.raises(ValueError, match=r"X_pool.* NaN"):
        strategy(model, with_gaps())
    with pytest.raises(ValueError, match="NaN"):
        ActiveLearningClassifier(model, strategy, budget=20).fit(with_gaps(), Y)


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("names", [False, True])
def test_a_model_that_has_lost_a_class_is_asked_all_the_same(strategy, names):
    y = np.array(["a", "b", "c"])[Y] if names else Y
    start = np.r_[0:90:5]
    learner = ActiveLearner(LogisticRegression(), strategy, X[start], y[start])
    two = np.flatnonzero(Y < 2)[:20]
    learner.teach(X[two], y[two], only_new=True)
    assert len(learner.estimator.classes_) == 2
    assert len(set(learner.query(X, n_instances=4)[0])) == 4
    members = [
        ActiveLearner(LogisticRegression(), X_training=X[rows], y_training=y[rows])
        for rows in (start, two)
    ]
    members[1].X_training, members[1].y_training = X[start], y[start]
    for order in (members, members[::-1]):
        committee = Committee(order, strategy)
        assert len(set(committee.query(X, n_instances=4)[0])) == 4


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: type(s).__name__)
def test_labels_may_be_a_column(strategy):
    for y in (Y[:, None], pd.DataFrame({"label": Y})):
        learner = ActiveLearner(LogisticRegression(), strategy, X, Y)
        learner.y_training = y
        assert len(learner.query(X, n_instances=2)[0]) == 2
    if not isinstance(strategy, ModALQuery):
        learner.y_training = np.eye(3)[Y]
        with pytest.raises(ValueError, match=r"y_training has 3 columns.*multi-label"):
            learner.query(X)


def test_loops_take_a_column_of_labels_and_name_several():
    loop = ActiveLearningClassifier(LogisticRegression(), CoDecisionQuery(), budget=20)
    with pytest.warns(UserWarning, match="column-vector"):
        loop.fit(X, Y[:, None])
    assert len(loop.queried_indices_) == 20
    with pytest.raises(ValueError, match=r"y has 3 columns.*multi-label"):
        loop.fit(X, np.eye(3)[Y])


TABLE = pd.DataFrame(X, columns=list("abcd")).assign(
    land=pd.Categorical(np.array(["DE", "FR", "US"])[np.arange(len(Y)) % 3])
)


@pytest.mark.parametrize(
    ("encoder", "data"),
    [
        (
            make_column_transformer(
                (StandardScaler(), list("abcd")), (OneHotEncoder(), ["land"])
            ),
            TABLE,
        ),
        (TfidfVectorizer(), np.array(TEXTS, dtype=object)),
    ],
    ids=["table", "texts"],
)
@pytest.mark.parametrize("strategy", [CoDecisionQuery, UncertaintyHerdingQuery])
def test_encoders_of_the_small_model_serve_while_labels_are_of_one_class(
    encoder, data, strategy
):
    small = make_pipeline(encoder, LogisticRegression())
    learner = Learner(CoDecisionClassifier(small), strategy(random_state=0))
    first = np.arange(4)
    learner.teach(take_rows(data, first), ["common"] * 4)
    picked = learner.query(data, 5)
    assert len(set(picked.tolist())) == 5


@pytest.mark.parametrize(
    "strategy", [RandomQuery, UncertaintyQuery, GalaxyQuery, DirectQuery, PriorALQuery]
)
def test_strategies_that_compare_no_samples_need_no_embeddings(strategy):
    model = HistGradientBoostingClassifier(categorical_features="from_dtype")
    loop = ActiveLearningClassifier(
        CoDecisionClassifier(model), strategy(), budget=30, n_instances=15, scoring=[]
    )
    assert len(loop.fit(TABLE, Y).queried_indices_) == 30
    with pytest.raises(ValueError, match="no encoder for the pool"):
        CoDecisionQuery()(model, TABLE, 1)
