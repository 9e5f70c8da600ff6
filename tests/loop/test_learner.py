"""The learner: rounds, and failed calls that change nothing."""

import numpy as np
import pandas as pd
import pytest
from modAL.uncertainty import margin_sampling
from scipy import sparse
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.semi_supervised import SelfTrainingClassifier

from cofm_sklearn import (
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
    PrecomputedPrior,
)
from cofm_sklearn.models.small_model import is_constant
from cofm_sklearn.query import UncertaintyQuery

X, Y = make_blobs([60, 30, 8], n_features=4, random_state=0)
NAMES = np.array(["a", "b", "c"])[Y]
WITH_PRIOR = np.hstack([X, np.full((len(X), 3), 1 / 3)])
KINDS = {
    "array": np.asarray,
    "list": lambda X: X.tolist(),
    "csr": sparse.csr_array,
    "frame": lambda X: pd.DataFrame(X, columns=list("wxyz"), index=range(9, 107)),
    "texts": lambda X: [" ".join(f"w{i}{v > 0}" for i, v in enumerate(r)) for r in X],
    "images": lambda X: [np.full((3, 3, 3), 40 * k + 9, dtype=np.uint8) for k in Y],
}


class Picky(ClassifierMixin, BaseEstimator):
    """Reject a label with a given exception."""

    def __init__(self, error=ValueError):
        self.error = error

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        if "refused" in self.classes_:
            raise self.error("refused")
        return self

    def predict(self, X):
        return np.full(len(X), self.classes_[0])


class Brightness(BaseEstimator):
    """An encoder of images."""

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        return np.array([[image.mean(), image.max()] for image in X])

    def __sklearn_is_fitted__(self):
        return True


def take(data, rows):
    if hasattr(data, "iloc"):
        return data.iloc[rows]
    return [data[i] for i in rows] if isinstance(data, list) else data[rows]


def model_for(kind):
    steps = {"texts": [TfidfVectorizer()], "images": [Brightness()]}.get(kind, [])
    return make_pipeline(*steps, LogisticRegression())


@pytest.mark.parametrize("kind", KINDS)
def test_rounds_end_in_the_model_of_all_labels(kind):
    data, model = KINDS[kind](X), model_for(kind)
    learner = Learner(model, CoDecisionQuery(random_state=0))
    pool, asked = np.arange(len(Y)), []
    for n_instances in (4, 1, 7):
        rows = pool[learner.query(take(data, pool), n_instances)]
        assert len(rows) == n_instances
        assert learner.teach(take(data, rows), NAMES[rows]) is learner
        asked += rows.tolist()
        pool = np.setdiff1d(pool, rows)
    assert len(set(asked)) == 12
    assert learner.y_training.tolist() == NAMES[asked].tolist()
    expected = clone(model).fit(take(data, asked), NAMES[asked])
    np.testing.assert_allclose(
        learner.predict_proba(data), expected.predict_proba(data), atol=1e-4
    )
    assert not hasattr(model[-1], "classes_")  # what was given is never trained


def test_picks_are_those_of_the_strategy():
    start = np.r_[0:90:9]
    learner = Learner(LogisticRegression(), CoDecisionQuery(n_instances=3))
    learner.query_strategy.set_params(random_state=1)
    learner.fit(X[start], Y[start])
    picked, worth = learner.query(X, return_utilities=True)
    again, expected = learner.query_strategy(learner, X, return_utilities=True)
    np.testing.assert_array_equal(picked, again)
    np.testing.assert_array_equal(worth, expected)
    learner.query_strategy = margin_sampling
    theirs = margin_sampling(learner, X, n_instances=2)
    # modAL 0.4.2 returns utilities beside the positions.
    theirs = theirs[0] if isinstance(theirs, tuple) else theirs
    np.testing.assert_array_equal(learner.query(X, 2), theirs)


def test_strategies_of_others_wait_for_two_classes():
    learner = Learner(LogisticRegression(), margin_sampling, random_state=0)
    first = learner.query(X, 5)
    np.testing.assert_array_equal(first, learner.query(X, 5))
    learner.teach(X[:3], Y[:3] * 0)
    assert is_constant(learner.estimator)
    assert not learner.knows_classes
    assert not np.array_equal(first, learner.query(X, 5))
    learner.teach(X[60:62], [1, 1])
    assert learner.knows_classes
    assert isinstance(learner.estimator, LogisticRegression)


BAD = {
    "no samples": (X[:0], NAMES[:0], ValueError, "empty"),
    "not as many labels": (X[:2], NAMES[:1], ValueError, "2 samples.*1 labels"),
    "missing label": (X[:2], ["a", None], ValueError, "missing"),
    "numbers": (X[:2], [0, 1], TypeError, "one type"),
    "width": (X[:2, :3], NAMES[:2], ValueError, "3 features.*have 4"),
    "infinite": (X[:2] * [np.inf, 1, 1, 1], NAMES[:2], ValueError, "infinity"),
    "gap": (X[:2] * [np.nan, 1, 1, 1], NAMES[:2], ValueError, "NaN"),
    "texts": (["x", "y"], NAMES[:2], ValueError, "X must be of the type"),
    "frame": (pd.DataFrame(X[:2]), NAMES[:2], ValueError, "X must be of the type"),
}


@pytest.mark.parametrize(("rows", "labels", "error", "said"), BAD.values(), ids=BAD)
def test_what_is_refused_changes_nothing(rows, labels, error, said):
    learner = Learner(LogisticRegression()).fit(X[::5], NAMES[::5])
    before = dict(vars(learner))
    with pytest.raises(error, match=said):
        learner.teach(rows, labels)
    assert vars(learner) == before


@pytest.mark.parametrize("classes", [[0, 1], [-1, 1]])
def test_minus_one_is_refused_unless_it_is_a_class(classes):
    proba = np.full((len(X), 2), 0.5)
    prior = PrecomputedPrior(classes, columns=[0, 1])
    learner = Learner(CoDecisionClassifier(LogisticRegression(), prior))
    data = np.hstack([proba, X])
    labels = np.where(np.arange(20) % 2, 1, -1)
    if -1 in classes:
        learner.teach(data[:20], labels)
        assert len(learner.query(data[20:], 3)) == 3
    else:
        with pytest.raises(ValueError, match=r"y contains -1.*labelled samples only"):
            learner.teach(data[:20], labels)
        assert learner.y_training is None


def test_minus_one_is_left_to_models_that_learn_without_labels():
    learner = Learner(SelfTrainingClassifier(LogisticRegression()), UncertaintyQuery())
    learner.teach(X[:20], np.where(np.arange(20) % 3, Y[:20], -1))
    assert len(learner.query(X[20:], 3)) == 3


def test_frames_of_other_columns_are_refused():
    frame = KINDS["frame"](X)
    learner = Learner(LogisticRegression()).fit(frame, Y)
    with pytest.raises(ValueError, match="columns"):
        learner.teach(frame[:2].rename(columns={"w": "v"}), Y[:2])
    pd.testing.assert_frame_equal(learner.X_training, frame)


def test_columns_of_categories_stay_features_when_batches_differ():
    frame = pd.DataFrame({"class": NAMES, "n": 0.0})
    by_dtype = make_column_selector(dtype_include="category")
    encoder = OneHotEncoder(handle_unknown="ignore")
    columns = make_column_transformer((encoder, by_dtype), remainder="passthrough")
    learner = Learner(make_pipeline(columns, LogisticRegression()))
    for rows in (Y != 2, Y != 0):
        learner.teach(frame[rows].astype({"class": "category"}), Y[rows])
    assert learner.estimator.score(frame.astype({"class": "category"}), Y) == 1


def test_weights_that_are_none_count_as_not_given():
    learner = Learner(LogisticRegression())
    for rows in (slice(0, 98, 5), slice(1, 98, 5)):
        learner.teach(X[rows], Y[rows], sample_weight=None)
    learner.teach(X[2::5], Y[2::5])
    assert len(learner.y_training) == 60


@pytest.mark.parametrize("weight", [np.ones(4), 1.0])
def test_weights_of_another_length_are_refused(weight):
    learner = Learner(LogisticRegression())
    with pytest.raises(
        ValueError, match="sample_weight must have one value per sample"
    ):
        learner.teach(X[::5], Y[::5], sample_weight=weight)


@pytest.mark.parametrize("kind", ["array", "list", "csr", "frame"])
@pytest.mark.parametrize("how", ["teach", "fit"])
def test_what_was_taught_does_not_change_with_the_memory_it_came_from(kind, how):
    data = take(KINDS[kind](X), np.arange(0, 98, 5))
    labels, weight = Y[::5].copy(), np.ones(20)
    learner = Learner(LogisticRegression())
    getattr(learner, how)(data, labels, sample_weight=weight)
    if kind == "csr":
        data.data[:] = 0
    elif kind == "frame":
        data.iloc[:] = 0
    else:
        data[:] = [[0.0] * 4] * 20
    labels[:], weight[:] = 0, 9
    learner.teach(data, labels, sample_weight=weight)
    taught = learner.X_training
    taught = taught.toarray() if kind == "csr" else np.asarray(taught)
    np.testing.assert_array_equal(taught, np.vstack([X[::5], np.zeros((20, 4))]))
    np.testing.assert_array_equal(learner.y_training, np.r_[Y[::5], labels])
    expected = LogisticRegression().fit(
        taught, learner.y_training, np.repeat([1.0, 9.0], 20)
    )
    np.testing.assert_allclose(learner.estimator.coef_, expected.coef_, atol=1e-4)


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("how", ["teach", "fit"])
def test_what_the_model_refuses_changes_nothing(how, error):
    learner = Learner(Picky(error)).fit(X[:4], ["a", "b", "a", "b"])
    before = dict(vars(learner))
    with pytest.raises(error, match="refused"):
        getattr(learner, how)(X[:2], ["a", "refused"])
    assert vars(learner) == before
    learner.teach(X[:1], ["a"])
    assert learner.y_training.tolist() == ["a", "b", "a", "b", "a"]


def test_a_co_decision_keeps_its_classes():
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    learner = Learner(model).fit(X[::3], Y[::3])
    proba = learner.predict_proba(X)
    with pytest.raises(ValueError):
        learner.teach(X[:2, :3], Y[:2])
    np.testing.assert_array_equal(learner.predict_proba(X), proba)


def test_a_fitted_prior_stays_fitted_and_an_unfitted_one_is_left_alone():
    prior = PrecomputedPrior([0, 1, 2], columns=[4, 5, 6]).fit(WITH_PRIOR)
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    learner = Learner(make_pipeline("passthrough", model)).fit(WITH_PRIOR, Y)
    assert learner.estimator[-1].prior is prior
    model = CoDecisionClassifier(LogisticRegression(), clone(prior), random_state=0)
    learner = Learner(model).fit(WITH_PRIOR, Y)
    assert learner.estimator.prior is not model.prior
    assert not hasattr(model.prior, "classes_")


def test_expected_labels_cover_without_training():
    learner = Learner(LogisticRegression(), CoDecisionQuery(random_state=0))
    learner.fit(X[::9], NAMES[::9])
    waiting = np.arange(60)
    expecting = learner.expecting(X[waiting], NAMES[waiting])
    assert expecting.estimator is learner.estimator
    assert len(expecting.y_training) == len(learner.y_training) + 60
    assert len(learner.y_training) == 11
    assert not np.array_equal(expecting.query(X, 3), learner.query(X, 3))


def test_strategies_are_guarded():
    for strategy, error in (
        (lambda learner, X, n_instances: [0, 0], ValueError),
        ("margin", TypeError),
    ):
        learner = Learner(LogisticRegression(), strategy).fit(X, Y)
        with pytest.raises(error, match="query_strategy"):
            learner.query(X, 2)
    learner = Learner(LogisticRegression())
    with pytest.raises(ValueError, match="X_pool is empty"):
        learner.query(X[:0])
    with pytest.raises(ValueError, match="n_instances"):
        learner.query(X, len(X) + 1)


def test_a_model_without_probabilities_is_no_obstacle():
    learner = Learner(Picky()).fit(X[:4], ["a", "b", "a", "b"])
    assert not hasattr(learner, "predict_proba")
    assert learner.predict(X[:2]).tolist() == ["a", "a"]
    assert "with 4 labels" in repr(learner)
