"""CoDecisionClassifier on raw texts, frames and nets, with the real MiniLM."""

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

from cofm_sklearn import (
    CoDecisionClassifier,
    PrecomputedPrior,
    SafeSampler,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.models import fit_to_pool

TEMPLATES = {
    "sport": ["the {} won the match", "a goal by the {}", "the {} lost the final"],
    "money": ["the {} sold its shares", "profits of the {} fell", "the {} took a loan"],
    "science": ["the {} studied a galaxy", "a gene found by the {}", "the {} measured"],
}
DESCRIPTIONS = {
    "sport": "sports news",
    "science": "news of scientific research",
    "money": "news of business and the economy",
}
WHO = ["team", "group", "Swede", "newcomer", "veteran", "woman"]
TEXTS = [t.format(w) for w in WHO for ts in TEMPLATES.values() for t in ts]
Y = np.array([label for _ in WHO for label, ts in TEMPLATES.items() for _ in ts])


@pytest.fixture(scope="module")
def encoder():
    return SentenceTransformerEncoder(device="cpu")


@pytest.fixture(scope="module")
def Z(encoder):
    return encoder.transform(TEXTS)


@pytest.fixture(scope="module")
def prior(encoder):
    return ZeroShotPrior(DESCRIPTIONS, encoder).fit(TEXTS)


def tiny_net():
    from skorch import NeuralNetClassifier
    from torch import manual_seed, nn

    manual_seed(0)
    return NeuralNetClassifier(
        nn.Sequential(nn.Linear(384, 8), nn.ReLU(), nn.Linear(8, 3)),
        criterion=nn.CrossEntropyLoss,
        train_split=None,
        max_epochs=30,
        lr=0.5,
        verbose=0,
    )


SMALL_MODELS = {
    "logistic": LogisticRegression(),
    "neighbours": KNeighborsClassifier(3),
    "oversampling": make_sampling_pipeline(
        RandomOverSampler(random_state=0), LogisticRegression()
    ),
    "SMOTE": make_sampling_pipeline(
        # Of a class without labels there is one description.
        SafeSampler(SMOTE(random_state=0)),
        LogisticRegression(),
    ),
}


@pytest.mark.parametrize("name", [*SMALL_MODELS, "net"])
@pytest.mark.parametrize("classes", [["sport", "money"], ["money", "science", "sport"]])
def test_small_models_on_embeddings(Z, prior, name, classes):
    estimator = tiny_net() if name == "net" else SMALL_MODELS[name]
    of_classes = np.isin(Y, classes)
    rows = np.flatnonzero(of_classes)[:20]
    model = CoDecisionClassifier(estimator, prior, random_state=0)
    model.fit(Z[rows], Y[rows])
    assert model.classes_.tolist() == ["money", "science", "sport"]
    assert model.score(Z[of_classes], Y[of_classes]) > 0.9
    assert_allclose(model.predict_proba(Z).sum(axis=1), 1)


@pytest.mark.parametrize("n_labels", [0, 1, 2, 3, 5])
def test_few_labels_do_no_harm(Z, prior, n_labels):
    model = CoDecisionClassifier(LogisticRegression(), prior, random_state=0)
    model.fit(Z[:n_labels], Y[:n_labels])
    assert model.score(Z, Y) >= prior.score(Z, Y) - 0.15


def test_raw_texts_reach_both_halves(prior):
    small = make_pipeline(TfidfVectorizer(), LogisticRegression())
    model = CoDecisionClassifier(small, prior, random_state=0)
    model.fit(TEXTS[:9], Y[:9])
    assert model.score(TEXTS, Y) > 0.9
    assert_allclose(model.prior_proba(TEXTS), prior.predict_proba(TEXTS))
    # The descriptions are training texts of the small model.
    vocabulary = model.estimator_[0].vocabulary_
    assert {"sports", "economy", "research"} <= set(vocabulary)
    assert not hasattr(model, "n_features_in_")
    for same in (np.array(TEXTS), pd.Series(TEXTS), pd.DataFrame({"text": TEXTS})):
        assert_allclose(model.predict_proba(same), model.predict_proba(TEXTS))
    wanted = model.predict_proba(TEXTS)
    model.fit(pd.Series(TEXTS[:9]), pd.Series(Y[:9]))
    assert_allclose(model.predict_proba(TEXTS), wanted)
    with pytest.raises(ValueError, match=r"X\[1\] is missing"):
        model.predict(["a text", None])


@pytest.mark.parametrize("text_first", [True, False])
def test_frame_of_texts_and_probabilities(encoder, Z, prior, text_first):
    columns = list(prior.classes_)
    frame = pd.DataFrame(prior.predict_proba(Z), columns=columns)
    frame.insert(0 if text_first else 3, "text", TEXTS)
    small = make_pipeline(encoder, LogisticRegression())
    model = CoDecisionClassifier(
        small, PrecomputedPrior(columns, columns), random_state=0
    )
    model.fit(frame[:12], Y[:12])
    assert_allclose(model.prior_proba(frame), prior.predict_proba(Z))
    assert model.score(frame, Y) > 0.9
    model.fit(frame, None)
    assert_array_equal(model.predict(frame), prior.predict(Z))
    with pytest.raises(ValueError, match="0 samples"):
        model.predict(frame[:0])
    with pytest.raises(ValueError, match="lacks the column 'money'"):
        model.predict(frame.drop(columns="money"))


def test_unknown_label_names_it_and_the_cure(Z, prior):
    model = CoDecisionClassifier(LogisticRegression(), prior)
    with pytest.raises(ValueError, match=r"unknown label 'weather'.*Describe it"):
        model.fit(Z[:2], ["weather", "sport"])


def test_fit_to_pool_fits_on_the_pool(encoder, Z, prior):
    unfitted = ZeroShotPrior(DESCRIPTIONS, encoder)
    plain = CoDecisionClassifier(LogisticRegression(), unfitted)
    sampling = make_sampling_pipeline(
        encoder, RandomOverSampler(random_state=0), clone(plain)
    )
    for estimator, pool in (
        (plain, Z),
        (make_pipeline(encoder, clone(plain)), TEXTS),
        (make_pipeline(encoder, "passthrough", clone(plain)), TEXTS),
        (sampling, TEXTS),
    ):
        frozen = clone(fit_to_pool(estimator, pool))
        last = frozen[-1] if hasattr(frozen, "steps") else frozen
        assert_allclose(last.prior.center_, prior.center_, atol=1e-6)
        frozen.fit(pool[:6], Y[:6])
        assert_allclose(last.prior_.center_, prior.center_, atol=1e-6)
    assert not hasattr(unfitted, "center_")
    assert plain.prior is unfitted


def test_fit_to_pool_puts_the_pool_through_the_steps_before(encoder, Z):
    mirror = FunctionTransformer(lambda X: X[:, ::-1])
    pipe = make_pipeline(
        mirror,
        CoDecisionClassifier(
            LogisticRegression(), ZeroShotPrior(DESCRIPTIONS, encoder)
        ),
    )
    wanted = ZeroShotPrior(DESCRIPTIONS, encoder).fit(Z[:, ::-1]).center_
    assert_allclose(fit_to_pool(pipe, Z)[-1].prior.center_, wanted, atol=1e-6)


def test_fit_to_pool_leaves_others_alone(Z, prior):
    for estimator in (
        LogisticRegression(C=3.0),
        make_pipeline(StandardScaler(), LogisticRegression()),
        CoDecisionClassifier(LogisticRegression(), neighbors=None),
    ):
        frozen = fit_to_pool(estimator, Z)
        assert frozen is not estimator
        assert repr(frozen) == repr(estimator)
    once = fit_to_pool(CoDecisionClassifier(LogisticRegression(), prior), Z[:4])
    again = fit_to_pool(once, Z)
    assert again.prior.estimator is once.prior.estimator


@pytest.mark.parametrize(
    "X",
    [
        TEXTS,
        pd.DataFrame({"text": TEXTS, "length": range(len(TEXTS))}),
        [np.full((8, 8, 3), i, dtype=np.uint8) for i in range(len(TEXTS))],
    ],
    ids=["texts", "frame", "images"],
)
def test_a_model_of_numbers_asks_for_an_encoder(X):
    model = CoDecisionClassifier(LogisticRegression())
    with pytest.raises(ValueError, match=r"LogisticRegression cannot .* an encoder"):
        model.fit(X, Y)


def test_errors_of_a_pipeline_are_its_own():
    model = make_pipeline(TfidfVectorizer(token_pattern="never"), LogisticRegression())
    with pytest.raises(ValueError, match=r"^empty vocabulary"):
        CoDecisionClassifier(model).fit(TEXTS, Y)


def test_numbers_leave_no_trace_when_texts_follow(Z):
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    model.fit(pd.DataFrame(Z).add_prefix("z"), Y)
    assert model.n_features_in_ == Z.shape[1]
    model.set_params(estimator=make_pipeline(TfidfVectorizer(), LogisticRegression()))
    model.fit(TEXTS, Y)
    assert not hasattr(model, "n_features_in_")
    assert not hasattr(model, "feature_names_in_")
    assert model.score(TEXTS, Y) > 0.9
