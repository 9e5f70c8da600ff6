"""A session that uses the model of an earlier one as its prior."""

import joblib
import numpy as np
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn import AnnotationSession, CoDecisionClassifier
from cofm_sklearn.datasets import load_api_docs

NAMES = ["linalg", "ndimage", "stats"]


def test_what_it_learned_is_the_prior_of_the_next(tmp_path):
    docs = load_api_docs()
    here = np.isin(docs.target, NAMES)
    X, y = docs.data[here], docs.target[here]
    order = np.random.RandomState(0).permutation(len(X))
    X, y = X[order], y[order]
    half = len(X) // 2
    vectors = TfidfVectorizer().fit(X[:half])
    small = LogisticRegression(class_weight="balanced")
    first = make_pipeline(FrozenEstimator(vectors), CoDecisionClassifier(small))
    with AnnotationSession(X[:half], first, classes=NAMES) as session:
        for _ in range(40):
            (question,) = session.ask()
            session.answer(question.id, y[question.index])
        joblib.dump(session.model_, tmp_path / "model.joblib")

    old = joblib.load(tmp_path / "model.joblib")
    expected = old.predict_proba(X[half:])
    start = CoDecisionClassifier(small, FrozenEstimator(old[-1]))
    model = make_pipeline(FrozenEstimator(old[:-1]), start)
    with AnnotationSession(X[half:], model, check_share=0) as session:
        assert session.classes == NAMES
        # Before any label, it predicts like the old model, which is not trained again.
        np.testing.assert_allclose(session.predict_proba(), expected)
        (question,) = session.ask()
        said = expected[question.index]
        np.testing.assert_allclose(list(question.prior_proba.values()), said)
        before = np.mean(session.predict() == y[half:])
        asked = []
        for _ in range(30):
            (question,) = session.ask()
            asked.append(half + question.index)
            session.answer(question.id, y[asked[-1]])
        assert question.prior_proba is not None
        assert question.trust["prior"] > 0
        new = clone(first).fit([X[i] for i in asked], y[asked])
        with_old, without = (
            np.mean(predicted == y[half:])
            for predicted in (session.predict(), new.predict(X[half:]))
        )
        # Of 85 or 90 samples, one may be lost again.
        assert with_old >= max(without, before - 0.012, 0.8)
        assert session.pool_map()["predicted"].notna().all()
        joblib.dump(session.model_, tmp_path / "next.joblib")
        np.testing.assert_array_equal(
            joblib.load(tmp_path / "next.joblib").predict(X), session.predict(X)
        )
