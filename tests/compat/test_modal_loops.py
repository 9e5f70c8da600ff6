"""Loops of stock modAL, of whichever release is installed, on every kind of pool."""

import warnings

import cofm_sklearn  # noqa: F401  (first: it makes modAL importable)

# isort: split

import modAL.batch
import modAL.disagreement
import modAL.uncertainty
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from modAL.models import ActiveLearner, Committee
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, MaxAbsScaler
from sklearn.utils.validation import check_is_fitted

N_LABELED = 8
WORDS = [
    ["fourier", "wavelet", "spectrum", "filter"],
    ["matrix", "eigenvalue", "factor", "inverse"],
    ["spline", "polynomial", "knot", "curve"],
]
NUMERIC = ["array", "nested list", "csr_matrix", "csr_array", "frame", "pipeline"]
TEXT = ["text list", "text array", "text series", "text frame"]
KINDS = NUMERIC + TEXT


def make(kind, n=30):
    """Samples in a container of that kind, string labels, and a fresh estimator."""
    rng = np.random.default_rng(0)
    topics = np.arange(n) % 3
    y = np.array(["signal", "linalg", "interpolate"])[topics]
    dense = rng.random((n, 4)) + 2 * np.eye(4)[topics]
    texts = [
        " ".join(rng.choice(WORDS[topic] + ["the", "of"], size=4)) for topic in topics
    ]
    labels = rng.permutation(n)  # row labels that are not positions
    classifier = MultinomialNB()
    text_classifier = make_pipeline(TfidfVectorizer(), classifier)
    one_column = FunctionTransformer(lambda X: np.asarray(X).ravel())
    return {
        "array": (dense, y, classifier),
        "nested list": (dense.tolist(), y.tolist(), classifier),
        "csr_matrix": (sp.csr_matrix(dense), y, classifier),
        "csr_array": (sp.csr_array(dense), y, classifier),
        "frame": (
            pd.DataFrame(dense, columns=list("badc"), index=labels),
            pd.Series(y, index=labels, name="topic"),
            classifier,
        ),
        "pipeline": (
            pd.DataFrame(dense, columns=list("badc"), index=labels),
            y,
            make_pipeline(MaxAbsScaler(), classifier),
        ),
        "text list": (texts, y.tolist(), text_classifier),
        "text array": (np.array(texts, dtype=object), y, text_classifier),
        "text series": (
            pd.Series(texts, index=labels),
            pd.Series(y, index=labels),
            text_classifier,
        ),
        "text frame": (
            pd.DataFrame({"text": texts}, index=labels),
            y,
            make_pipeline(one_column, TfidfVectorizer(), classifier),
        ),
    }[kind]


def take(X, rows):
    """The rows at these positions, the obvious way."""
    if isinstance(X, list):
        return [X[row] for row in rows]
    return X.iloc[list(rows)] if hasattr(X, "iloc") else X[list(rows)]


def plain(X):
    """Any container as nested lists."""
    if sp.issparse(X):
        X = X.toarray()
    return np.asarray(X).tolist()


def without(rows, n):
    return [row for row in range(n) if row not in rows]


def n_rows(X):
    return X.shape[0] if hasattr(X, "shape") else len(X)


def measure_uncertainty(proba):
    return 1 - proba.max(axis=1)


def measure_margin(proba):
    best = np.sort(proba, axis=1)
    return best[:, -2] - best[:, -1]


def measure_entropy(proba):
    return -(proba * np.log(proba)).sum(axis=1)


STRATEGIES = {
    modAL.uncertainty.uncertainty_sampling: measure_uncertainty,
    modAL.uncertainty.margin_sampling: measure_margin,
    modAL.uncertainty.entropy_sampling: measure_entropy,
}


@pytest.mark.parametrize("n_instances", [1, 3])
@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.__name__)
@pytest.mark.parametrize("kind", KINDS)
def test_loop(kind, strategy, n_instances):
    X, y, estimator = make(kind)
    known, pool = list(range(N_LABELED)), list(range(N_LABELED, n_rows(X)))
    learner = ActiveLearner(
        estimator=clone(estimator),
        query_strategy=strategy,
        X_training=take(X, known),
        y_training=take(y, known),
    )
    for _ in range(3):
        X_pool, y_pool = take(X, pool), take(y, pool)
        rows, instances = learner.query(X_pool, n_instances=n_instances)
        assert plain(instances) == plain(take(X_pool, rows))
        utility = STRATEGIES[strategy](learner.predict_proba(X_pool))
        best = np.sort(utility)[-n_instances:]
        np.testing.assert_allclose(np.sort(utility[rows]), best)

        learner.teach(instances, take(y_pool, rows))
        known += [pool[row] for row in rows]
        pool = take(pool, without(rows, len(pool)))
        assert plain(learner.X_training) == plain(take(X, known))
        assert plain(learner.y_training) == plain(take(y, known))
        assert type(learner.X_training) is type(X)

    fresh = clone(estimator).fit(take(X, known), take(y, known))
    assert plain(learner.predict(X)) == plain(fresh.predict(X))
    assert learner.score(X, y) == fresh.score(X, y)


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_another_container(kind):
    X, y, estimator = make(kind)
    learner = ActiveLearner(
        estimator=estimator, X_training=take(X, range(8)), y_training=take(y, range(8))
    )
    learner.teach(take(X, [8, 9]), np.asarray(take(y, [8, 9])))
    learner.teach(take(X, [10, 11]), list(take(y, [10, 11])))
    assert plain(learner.y_training) == plain(take(y, range(12)))


def ranked_batch(proba, known, pool, n_instances):
    """Ranked batch-mode sampling, one row after the other."""
    chosen = []
    for _ in range(n_instances):
        left = without(chosen, len(pool))
        labeled = np.vstack([known, pool[chosen]])
        share = len(left) / (len(left) + len(labeled))
        distance = [np.linalg.norm(labeled - pool[row], axis=1).min() for row in left]
        scores = share * (1 - 1 / (1 + np.array(distance)))
        scores += (1 - share) * measure_uncertainty(proba[left])
        chosen.append(left[int(np.argmax(scores))])
    return chosen


@pytest.mark.parametrize("kind", ["array", "csr_matrix", "csr_array"])
def test_uncertainty_batch_sampling(kind):
    X, y, estimator = make(kind)
    learner = ActiveLearner(
        estimator=estimator,
        query_strategy=modAL.batch.uncertainty_batch_sampling,
        X_training=take(X, range(8)),
        y_training=take(y, range(8)),
    )
    pool = take(X, range(8, 30))
    rows, instances = learner.query(pool, n_instances=5)
    dense = np.array(plain(X))
    expected = ranked_batch(learner.predict_proba(pool), dense[:8], dense[8:], 5)
    assert rows.tolist() == expected
    assert plain(instances) == plain(take(pool, rows))


def committee_of(kind, strategy=modAL.disagreement.vote_entropy_sampling):
    X, y, estimator = make(kind)
    other = clone(estimator)
    is_pipeline = hasattr(other, "steps")
    name = f"{other.steps[-1][0]}__alpha" if is_pipeline else "alpha"
    other.set_params(**{name: 100.0})
    learners = [
        ActiveLearner(
            estimator=member, X_training=take(X, part), y_training=take(y, part)
        )
        # the second one does not know the third class
        for member, part in ((estimator, range(8)), (other, [0, 1, 3, 4]))
    ]
    return Committee(learner_list=learners, query_strategy=strategy), X, y


@pytest.mark.parametrize("n_instances", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_committee(kind, n_instances):
    committee, X, y = committee_of(kind)
    pool = list(range(8, 30))
    for _ in range(2):
        X_pool = take(X, pool)
        rows, instances = committee.query(X_pool, n_instances=n_instances)
        votes = [learner.predict(X_pool) for learner in committee]
        disagree = votes[0] != votes[1]
        assert disagree[rows].sum() == min(disagree.sum(), n_instances)
        committee.teach(instances, take(take(y, pool), rows))
        pool = take(pool, without(rows, len(pool)))
    assert [n_rows(learner.X_training) for learner in committee] == [
        8 + 2 * n_instances,
        4 + 2 * n_instances,
    ]
    assert set(committee.predict(X)) <= set(y)
    assert committee.score(X, y) == np.mean(committee.predict(X) == np.asarray(y))


@pytest.mark.parametrize(
    "strategy",
    [
        modAL.disagreement.consensus_entropy_sampling,
        modAL.disagreement.max_disagreement_sampling,
    ],
    ids=lambda s: s.__name__,
)
@pytest.mark.parametrize("kind", ["text list", "text series", "nested list"])
def test_other_disagreement_measures(kind, strategy):
    committee, X, _ = committee_of(kind, strategy)
    rows, instances = committee.query(X, n_instances=2)
    assert plain(instances) == plain(take(X, rows))


def test_committee_votes_of_numbers_stay_numbers():
    X, y, estimator = make("array")
    labels = np.unique(y, return_inverse=True)[1]
    learner = ActiveLearner(estimator=estimator, X_training=X, y_training=labels)
    committee = Committee(learner_list=[learner])
    votes = committee.vote(X)
    assert votes.dtype == float
    np.testing.assert_array_equal(votes[:, 0], learner.predict(X))


@pytest.mark.parametrize("strategy", STRATEGIES, ids=lambda s: s.__name__)
def test_unfitted_learner_on_a_list_of_texts(strategy):
    texts, y, _ = make("text list")
    learner = ActiveLearner(estimator=NeverFittedYet(), query_strategy=strategy)
    rows, instances = learner.query(texts, n_instances=2)
    assert instances == take(texts, rows)
    learner.teach(texts[:3], y[:3])
    assert learner.X_training == texts[:3]


class NeverFittedYet(ClassifierMixin, BaseEstimator):
    """A text classifier that raises NotFittedError itself."""

    def fit(self, X, y):
        self.pipeline_ = make_pipeline(TfidfVectorizer(), MultinomialNB()).fit(X, y)
        self.classes_ = self.pipeline_.classes_
        return self

    def predict_proba(self, X):
        check_is_fitted(self)
        return self.pipeline_.predict_proba(X)


def test_force_all_finite_false_lets_missing_values_through():
    X, y, _ = make("array")
    learner = ActiveLearner(
        estimator=HistGradientBoostingClassifier(max_iter=2), force_all_finite=False
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        learner.teach(X, y)
        learner.teach(np.full((1, 4), np.nan), y[:1])
    assert len(learner.X_training) == 31


def test_frames_of_other_columns_are_refused():
    X, y, estimator = make("frame")
    learner = ActiveLearner(estimator=estimator, X_training=X, y_training=y)
    with pytest.raises(ValueError):
        learner.teach(X[:2].rename(columns={"a": "e"}), y[:2])
