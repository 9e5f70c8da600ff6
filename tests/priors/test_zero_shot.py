"""Zero-shot prior with the real MiniLM."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator

from cofm_sklearn import SentenceTransformerEncoder, ZeroShotPrior
from cofm_sklearn.utils.validation import is_finite

TEXTS = [
    "the striker scored twice before half time",
    "the central bank raised interest rates",
    "a new telescope has seen a distant galaxy",
    "the coach praised her goalkeeper",
    "shares of the car maker fell by five percent",
    "biologists found a frog that was thought extinct",
]
Y = np.array(["sport", "money", "science"] * 2)
DESCRIPTIONS = {
    "sport": "sports news",
    "science": "news of scientific research",
    "money": "news of business and the economy",
}


@pytest.fixture(scope="module")
def encoder():
    return SentenceTransformerEncoder(device="cpu")


@pytest.fixture(scope="module")
def Z(encoder):
    return encoder.transform(TEXTS)


@pytest.fixture(scope="module")
def prior(encoder):
    return ZeroShotPrior(DESCRIPTIONS, encoder).fit(TEXTS)


def test_classifies_without_labels(prior):
    assert_array_equal(prior.classes_, ["money", "science", "sport"])
    assert_array_equal(prior.predict(TEXTS), Y)
    assert prior.score(TEXTS, Y) == 1
    proba = prior.predict_proba(TEXTS)
    assert proba.dtype == np.float64
    assert_allclose(proba.sum(axis=1), 1)


def test_embeddings_are_as_good_as_texts(prior, encoder, Z):
    wanted = prior.predict_proba(TEXTS)
    for X in (Z, 7.0 * Z, Z.astype(np.float64), Z.tolist(), pd.DataFrame(Z)):
        assert_allclose(prior.predict_proba(X), wanted, atol=1e-5)
    assert_allclose(prior.predict_proba(sparse.csr_array(Z)), wanted, atol=1e-5)
    fitted_on_numbers = ZeroShotPrior(DESCRIPTIONS, encoder).fit(Z)
    assert_allclose(fitted_on_numbers.predict_proba(TEXTS), wanted, atol=1e-5)
    for X in (np.array(TEXTS), pd.Series(TEXTS), pd.DataFrame({"text": TEXTS})):
        assert_allclose(prior.predict_proba(X), wanted, atol=1e-5)


def test_equals_the_formula(encoder, Z):
    """Cosines of centred embeddings, by hand."""
    prior = ZeroShotPrior(DESCRIPTIONS, encoder, scale=12.0).fit(Z)
    D = np.array([encoder.encode_prompts([DESCRIPTIONS[c]])[0] for c in prior.classes_])
    center = (len(Z) * Z.mean(axis=0) + 10 * D.mean(axis=0)) / (len(Z) + 10)
    logits = np.empty((len(Z), 3))
    for i, z in enumerate(Z):
        for k, d in enumerate(D):
            a, b = z - center, d - D.mean(axis=0)
            logits[i, k] = 12 * (a @ b) / np.linalg.norm(a) / np.linalg.norm(b)
    odds = np.exp(logits)
    wanted = odds / odds.sum(axis=1, keepdims=True)
    assert_allclose(prior.predict_proba(Z), wanted, atol=1e-4)


def test_descriptions_and_prompts_are_averaged(encoder):
    prior = ZeroShotPrior(
        {"a": ["a cat", "a dog"], "b": "a car"}, encoder, prompts=["{}", "photo of {}"]
    ).fit()
    cats_and_dogs = ["a cat", "photo of a cat", "a dog", "photo of a dog"]
    mean = encoder.encode_prompts(cats_and_dogs).mean(axis=0)
    assert_allclose(
        prior.description_embeddings_[0], mean / np.linalg.norm(mean), atol=1e-5
    )
    assert_allclose(np.linalg.norm(prior.description_embeddings_, axis=1), 1, atol=1e-6)
    assert prior.descriptions_ == [["a cat", "a dog"], ["a car"]]


def test_scale_sharpens(encoder, Z):
    soft = ZeroShotPrior(DESCRIPTIONS, encoder, scale=1).fit(Z).predict_proba(Z)
    hard = ZeroShotPrior(DESCRIPTIONS, encoder, scale=100).fit(Z).predict_proba(Z)
    assert soft.max() < 0.8 < hard.max(axis=1).min()
    assert_array_equal(soft.argmax(axis=1), hard.argmax(axis=1))


def test_many_samples_move_the_centre(encoder, Z):
    few = ZeroShotPrior(DESCRIPTIONS, encoder).fit(Z)
    many = ZeroShotPrior(DESCRIPTIONS, encoder).fit(np.tile(Z, (200, 1)))
    none = ZeroShotPrior(DESCRIPTIONS, encoder).fit()
    mean = Z.mean(axis=0)

    def distance(prior):
        return np.linalg.norm(prior.center_ - mean)

    assert distance(many) < 0.02 < distance(few) < distance(none)


def test_description_rows_are_samples_like_the_others(prior, Z):
    texts = prior.description_rows(TEXTS)
    assert texts.tolist() == [DESCRIPTIONS[c] for c in prior.classes_]
    rows = prior.description_rows(Z)
    assert rows.shape == (3, Z.shape[1])
    assert_allclose(rows.mean(axis=0), prior.center_, atol=1e-6)
    assert_array_equal(prior.predict(rows), prior.classes_)


def test_labels_need_not_be_texts(encoder):
    prior = ZeroShotPrior({3: "sports", -1: "the economy"}, encoder).fit()
    assert_array_equal(prior.classes_, [-1, 3])
    assert prior.predict(TEXTS[:2]).tolist() == [3, -1]


def test_default_encoder_is_minilm(prior):
    default = ZeroShotPrior(DESCRIPTIONS).fit(TEXTS)
    assert default.encoder is None
    assert isinstance(default.encoder_, SentenceTransformerEncoder)
    assert_allclose(default.predict_proba(TEXTS), prior.predict_proba(TEXTS), atol=1e-5)


def test_pickle_carries_no_model(prior):
    pickled = pickle.dumps(prior)
    assert len(pickled) < 20_000
    loaded = pickle.loads(pickled)
    assert_allclose(loaded.predict_proba(TEXTS), prior.predict_proba(TEXTS), atol=1e-6)


def test_clone_forgets_and_a_frozen_prior_does_not(prior):
    assert not hasattr(clone(prior), "classes_")
    assert clone(FrozenEstimator(prior)).classes_ is prior.classes_
    with pytest.raises(NotFittedError):
        clone(prior).predict(TEXTS)
    assert clone(prior).set_params(scale=5.0).get_params()["scale"] == 5.0


def test_nothing_given_is_changed(encoder, Z):
    X, descriptions = Z.copy(), {"b": ["one", "two"], "a": "three"}
    prior = ZeroShotPrior(descriptions, encoder).fit(X)
    prior.predict_proba(X)
    assert_array_equal(X, Z)
    assert descriptions == {"b": ["one", "two"], "a": "three"}
    assert prior.encoder is encoder
    assert prior.encoder_ is not encoder


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"class_descriptions": {"a": "alone"}}, ValueError, "2 classes or more"),
        ({"class_descriptions": {}}, ValueError, "2 classes or more"),
        ({"class_descriptions": ["a", "b"]}, TypeError, "must be a dict"),
        ({"class_descriptions": {"a": "x", 1: "y"}}, TypeError, "keys of one type"),
        ({"class_descriptions": {(1, 2): "x", (3, 4): "y"}}, TypeError, "keys of str"),
        ({"class_descriptions": {"a": "x", "b": ""}}, ValueError, r"\['b'\]\[0\]"),
        ({"class_descriptions": {"a": "x", "b": None}}, TypeError, r"\['b'\]"),
        ({"class_descriptions": {"a": "x", "b": []}}, ValueError, r"\['b'\]"),
        ({"class_descriptions": {"a": "x", "b": ["y", None]}}, ValueError, "missing"),
        ({"class_descriptions": {"a": "x", "b": 3}}, TypeError, r"\['b'\]"),
        ({"prompts": "a {}"}, ValueError, "list of templates"),
        ({"prompts": []}, ValueError, "list of templates"),
        ({"prompts": None}, ValueError, "list of templates"),
        ({"prompts": ["about it"]}, ValueError, "about it"),
        ({"prompts": ["{} or {}"]}, ValueError, "one {}"),
        ({"scale": 0}, ValueError, "scale"),
        ({"scale": -3.0}, ValueError, "scale"),
        ({"scale": np.nan}, ValueError, "scale"),
        ({"scale": "10"}, ValueError, "scale"),
    ],
)
def test_bad_parameters_are_named(encoder, options, error, message):
    options = {"class_descriptions": DESCRIPTIONS, "encoder": encoder, **options}
    with pytest.raises(error, match=message):
        ZeroShotPrior(**options).fit(TEXTS)


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (lambda Z: Z[:0], ValueError, "0 samples"),
        (lambda Z: Z[:, :5], ValueError, "5 features, but 384 are expected"),
        (lambda Z: np.where(Z[0, 0] == Z, np.nan, Z), ValueError, "NaN"),
        (lambda Z: np.where(Z[0, 0] == Z, np.inf, Z), ValueError, "infinity"),
        (lambda Z: Z[0], ValueError, "2D array"),
        (lambda Z: [], ValueError, "0 sample"),
        (lambda Z: ["text", None], ValueError, r"X\[1\] is missing"),
        (lambda Z: ["text", 3], TypeError, r"X\[1\] must be a str"),
    ],
)
@pytest.mark.parametrize("method", ["fit", "predict_proba"])
def test_bad_samples_are_named(prior, Z, spoil, error, message, method):
    with pytest.raises(error, match=message):
        getattr(clone(prior).fit(Z), method)(spoil(Z))


class InBlocks:
    """A pool on disk, too large to be an array."""

    def __init__(self, Z):
        self.Z, self.shape, self.dtype, self.ndim = Z, Z.shape, Z.dtype, 2

    def __len__(self):
        return len(self.Z)

    def __getitem__(self, rows):
        return self.Z[rows]

    def __array__(self, dtype=None, copy=None):
        raise MemoryError("the whole pool was read at once")


def test_a_pool_of_embeddings_is_read_in_blocks(encoder, Z):
    Z = np.tile(Z, (40_000 // len(Z), 1))
    prior = ZeroShotPrior(DESCRIPTIONS, encoder=encoder)
    center = prior.fit(Z).center_
    assert_allclose(prior.fit(InBlocks(Z)).center_, center, rtol=1e-6)
    assert is_finite(InBlocks(Z))
    for row in (0, len(Z) - 1):
        gaps = Z.copy()
        gaps[row, 3] = np.nan
        assert not is_finite(InBlocks(gaps))
