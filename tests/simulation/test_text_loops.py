"""Stock modAL and the loop on raw text with the real encoder."""

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import cofm_sklearn  # noqa: F401 - repairs modAL before it is imported

# isort: split
from modAL.models import ActiveLearner
from modAL.uncertainty import margin_sampling

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    Learner,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs


@pytest.fixture(scope="module")
def docs():
    """About 250 texts of four topics, imbalanced as they come."""
    data = load_api_docs()
    topics = ["fft", "integrate", "signal", "spatial"]
    keep = np.isin(data.target, topics)
    descriptions = {topic: data.class_descriptions[topic] for topic in topics}
    return data.data[keep], data.target[keep], descriptions


def fresh_encoder():
    encoder = SentenceTransformerEncoder()
    encoder.clear_cache()
    return encoder


@pytest.mark.parametrize(
    "with_prior", [False, True], ids=["plain pipeline", "co-decision"]
)
def test_five_rounds_of_stock_modal_embed_each_text_once(docs, with_prior):
    texts, y, descriptions = docs
    encoder = fresh_encoder()
    classifier = LogisticRegression(class_weight="balanced")
    n_prompts = 0
    if with_prior:
        n_prompts = len(descriptions)
        classifier = CoDecisionClassifier(
            classifier, ZeroShotPrior(descriptions).fit(texts), random_state=0
        )
    learner = ActiveLearner(
        make_pipeline(encoder, classifier), CoDecisionQuery(random_state=0)
    )
    pool = np.arange(len(y))
    for _ in range(5):
        indices, asked = learner.query(texts[pool], n_instances=8)
        learner.teach(asked, y[pool[indices]])
        pool = np.delete(pool, indices)
        learner.predict(texts)
    assert len(learner.y_training) == 40
    distinct = len(set(texts))
    assert encoder.cache_info().embedded == distinct + n_prompts
    # A topic that nobody labelled can be predicted from its description.
    assert with_prior or set(learner.y_training) == set(descriptions)
    assert balanced_accuracy_score(y, learner.predict(texts)) > 0.8


@pytest.mark.parametrize("container", [list, np.array, pd.Series, pd.DataFrame])
def test_texts_in_any_container(docs, container):
    texts, y, descriptions = docs
    model = make_pipeline(
        SentenceTransformerEncoder(),
        CoDecisionClassifier(LogisticRegression(), ZeroShotPrior(descriptions)),
    )
    learner = ActiveLearner(model, CoDecisionQuery(random_state=0))
    pool = container(list(texts[:60]))
    for _ in range(2):
        indices, asked = learner.query(pool, n_instances=6)
        learner.teach(asked, y[indices])
    assert len(learner.predict(pool)) == 60


def test_unknown_label_leaves_the_learner_as_it_was(docs):
    texts, y, descriptions = docs
    model = make_pipeline(
        SentenceTransformerEncoder(),
        CoDecisionClassifier(
            LogisticRegression(), ZeroShotPrior(descriptions), random_state=0
        ),
    )
    learner = Learner(model, CoDecisionQuery(random_state=0)).teach(texts[:9], y[:9])
    before = learner.predict_proba(texts)
    for bad_texts, bad_y, message in (
        (texts[9:11], np.array(["fft", "cooking"]), "cooking"),
        (np.array([None, "a text"], dtype=object), np.array(["fft", "fft"]), "None"),
        (np.array([3, "a text"], dtype=object), np.array(["fft", "fft"]), "str"),
    ):
        with pytest.raises((ValueError, TypeError), match=message):
            learner.teach(bad_texts, bad_y)
        assert list(learner.X_training) == list(texts[:9])
        assert list(learner.y_training) == list(y[:9])
        np.testing.assert_array_equal(learner.predict_proba(texts), before)
    learner.teach(texts[9:12], y[9:12])
    assert len(learner.y_training) == 12


def test_raw_text_without_an_encoder_step(docs):
    """The prior's encoder is used if the small model has its own features."""
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts, y, descriptions = docs
    loop = ActiveLearningClassifier(
        CoDecisionClassifier(
            make_pipeline(TfidfVectorizer(), LogisticRegression()),
            ZeroShotPrior(descriptions),
        ),
        CoDecisionQuery(),
        n_instances=10,
        budget=30,
        random_state=0,
    ).fit(texts, y)
    assert loop.score(texts, y) > 0.65


def test_grid_search_from_raw_text(docs):
    texts, y, descriptions = docs
    loop = ActiveLearningClassifier(
        make_pipeline(
            SentenceTransformerEncoder(),
            CoDecisionClassifier(
                LogisticRegression(class_weight="balanced"),
                ZeroShotPrior(descriptions),
            ),
        ),
        CoDecisionQuery(),
        n_instances=10,
        scoring=[],
        random_state=0,
    )
    grid = {
        "query_strategy__balance": [0.0, 0.5],
        "query_strategy__sharpness": [1.0, 2.0],
        "estimator__codecisionclassifier__estimator__C": [0.3, 1.0],
        "budget": [20],
    }
    searches = [
        GridSearchCV(
            loop,
            grid,
            scoring="balanced_accuracy",
            cv=2,
            n_jobs=n_jobs,
            error_score="raise",
        ).fit(texts, y)
        for n_jobs in (1, 2)
    ]
    one, two = (search.cv_results_["mean_test_score"] for search in searches)
    np.testing.assert_array_equal(one, two)
    assert one.min() > 0.6


def test_co_decision_finds_rare_topics_sooner_than_margin_sampling(docs):
    """The main claim, on real text, as one number."""
    texts, y, descriptions = docs
    Z = SentenceTransformerEncoder().transform(texts)
    plain = LogisticRegression(class_weight="balanced")
    ours = CoDecisionClassifier(plain, ZeroShotPrior(descriptions))

    def area(estimator, strategy):
        scores = [
            ActiveLearningClassifier(
                estimator, strategy, n_instances=8, budget=40, random_state=seed
            )
            .fit(Z[::2], y[::2], eval_set=(Z[1::2], y[1::2]))
            .learning_curve_["rare_class_recall"]
            .mean()
            for seed in range(3)
        ]
        return np.mean(scores)

    assert area(ours, CoDecisionQuery()) > area(plain, margin_sampling)
