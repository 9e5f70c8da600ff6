"""Zero-shot prior, co-decision and query on raw images, through a real open_clip."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import normalize

from cofm_sklearn import ZeroShotPrior

N_CLASSES, WIDTH = 4, 32


class GapEncoder(TransformerMixin, BaseEstimator):
    """A fake image encoder whose texts lie in another part of the space.

    The spaces are drawn: a test of the prior must know what is right.
    """

    def __init__(self, gap=2.0, images=True):
        self.gap = gap
        self.images = images

    def fit(self, X, y=None):
        return self

    def transform(self, X):
        raise AssertionError("embeddings go past the encoder")

    def encode_prompts(self, texts):
        directions, _, texts_at = space()
        rows = directions[[int(text) for text in texts]]
        return normalize(rows + self.gap * texts_at).astype(np.float32)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = self.images
        return tags


def space():
    """Directions of the classes, and where images and texts lie."""
    rng = np.random.RandomState(3)
    basis = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    # Classes are not at right angles to the gap, as in real models.
    apart = normalize(basis[[5, 6]] + 0.5 * basis[:2], axis=1)
    return basis[:N_CLASSES], apart[0], apart[1]


def draw(n, gap=2.0, seed=0, noise=2.5):
    directions, images_at, _ = space()
    rng = np.random.RandomState(seed)
    y = rng.randint(N_CLASSES, size=n)
    Z = directions[y] + gap * images_at
    Z = Z + noise * rng.normal(size=(n, WIDTH)) / np.sqrt(WIDTH)
    return normalize(Z).astype(np.float32), y


DESCRIPTIONS = {k: str(k) for k in range(N_CLASSES)}


def fitted(X, **params):
    return ZeroShotPrior(DESCRIPTIONS, GapEncoder(**params)).fit(X)


def test_images_and_texts_are_apart_in_the_drawn_space():
    Z, y = draw(400, noise=0.5)
    D = GapEncoder().encode_prompts(list("0123"))
    own = np.einsum("ij,ij->i", Z, D[y])
    assert own.max() < (Z[:50] @ Z[:50].T).min()


def test_prior_does_not_mind_the_gap():
    Z, y = draw(2000)
    near = np.mean(fitted(Z).predict(Z) == y)
    closed, y_closed = draw(2000, gap=0.0)
    best = np.mean(fitted(closed, gap=0.0).predict(closed) == y_closed)
    assert near > 0.95 * best > 0.8


@pytest.mark.parametrize("n", [1, 4, 8])
def test_few_images_are_not_centred_by_the_texts(n):
    Z, y = draw(2000)
    few = [np.mean(fitted(Z[i : i + n]).predict(Z) == y) for i in range(0, 40 * n, n)]
    as_texts = [
        np.mean(fitted(Z[i : i + n], images=False).predict(Z) == y)
        for i in range(0, 40 * n, n)
    ]
    none = np.mean(fitted(None).predict(Z) == y)
    assert np.mean(few) > np.mean(as_texts) + 0.005
    assert np.mean(few) > none


def test_without_images_the_rule_is_that_of_clip():
    Z, _ = draw(500)
    prior = fitted(None)
    assert not prior.center_.any()
    D = GapEncoder().encode_prompts(list("0123"))
    centred = normalize(D - D.mean(axis=0))
    np.testing.assert_array_equal(prior.predict(Z), (Z @ centred.T).argmax(axis=1))


def test_descriptions_as_rows_lie_among_the_images():
    Z, y = draw(2000)
    prior = fitted(Z)
    rows = prior.description_rows(Z)
    labels = np.arange(N_CLASSES)
    np.testing.assert_allclose(rows.mean(axis=0), prior.center_, atol=1e-6)
    gap = np.linalg.norm(GapEncoder().encode_prompts(list("0123")).mean(0) - Z.mean(0))
    assert gap > 1
    assert np.linalg.norm(rows.mean(axis=0) - Z.mean(axis=0)) < 0.01
    # A model of three images a class and the descriptions, on other images.
    few = np.concatenate([np.flatnonzero(y == k)[:1] for k in labels])
    new, y_new = draw(2000, seed=1)

    def score(extra):
        X, codes = Z[few], y[few]
        if extra is not None:
            X, codes = np.concatenate([X, extra]), np.concatenate([codes, labels])
        return LogisticRegression(C=100).fit(X, codes).score(new, y_new)

    raw = prior.description_embeddings_
    assert score(rows) > score(None)
    assert score(rows) > score(raw)
    # Alone, texts as they are cannot tell images apart as well.
    alone = LogisticRegression(C=100).fit(rows, labels).score(new, y_new)
    assert alone > LogisticRegression(C=100).fit(raw, labels).score(new, y_new)
