"""PriorAL: the split of the pool, and the small model's training data."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs
from sklearn.dummy import DummyClassifier
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn import ActiveLearningClassifier, PrecomputedPrior, ZeroShotPrior
from cofm_sklearn.models import PriorALClassifier, fit_to_pool
from cofm_sklearn.models.prioral import (
    imbalance_aware_entropy,
    in_noise_set,
    product_of_experts,
)
from cofm_sklearn.priors.base import BasePrior
from cofm_sklearn.query import PriorALQuery

FLAT = np.full((100, 2), 0.5)


class Recording(LogisticRegression):
    """A logistic regression that records its training data."""

    def fit(self, X, y, sample_weight=None):
        self.seen_ = X, y, sample_weight
        return super().fit(X, y, sample_weight)


def make_pool(n=120, seed=0):
    """Probabilities of a prior beside two features; and the labels."""
    Z, y = make_blobs([n // 2, n // 3, n // 6], cluster_std=2, random_state=seed)
    logits = np.random.RandomState(seed + 1).normal(size=(n, 3))
    logits[np.arange(n), y] += 2
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return np.column_stack([proba, Z]), y


PRIOR = PrecomputedPrior([0, 1, 2], columns=[0, 1, 2])


def probabilities(n_classes):
    positive = st.floats(0.01, 1)
    rows = arrays(
        np.float64, st.tuples(st.integers(1, 30), st.just(n_classes)), elements=positive
    )
    return rows.map(lambda p: p / p.sum(axis=1, keepdims=True))


@given(st.data())
def test_the_entropy_is_what_the_paper_says(data):
    prior = data.draw(probabilities(3))
    small = data.draw(probabilities(3).filter(lambda p: len(p) >= len(prior)))
    small = small[: len(prior)]
    taken_for = [int(row.argmax()) for row in prior]
    found = imbalance_aware_entropy(prior, small)
    for i, (p, s) in enumerate(zip(prior, small)):
        joint = p * s / sum(p * s)
        entropy = -sum(j * np.log(j) for j in joint)
        largest = max(taken_for.count(k) for k in range(3))
        weight = taken_for.count(taken_for[i]) / largest
        assert found[i] == pytest.approx(weight * entropy, abs=1e-9)


def test_where_one_expert_is_flat_the_other_decides():
    p = np.array([[0.7, 0.2, 0.1], [1.0, 0.0, 0.0], [1 / 3] * 3])
    flat = np.full((3, 3), 1 / 3)
    assert_allclose(product_of_experts(p, flat), p, atol=1e-9)
    assert_allclose(product_of_experts(flat, p), p, atol=1e-9)
    # Experts that contradict each other leave nothing.
    opposed = product_of_experts(np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]]))
    assert_allclose(opposed, [[0.5, 0.5]])
    # Two that are certain of two classes are no division by 0.
    certain = np.eye(2)
    assert_allclose(product_of_experts(certain, certain[::-1]), FLAT[:2])


def test_predicted_rare_classes_enter_the_clean_set_sooner():
    rng = np.random.RandomState(0)
    rare = rng.permutation(100) < 10
    # As sure of the common samples as of the rare ones.
    prior = np.where(rare[:, None], [[0.2, 0.8]], [[0.8, 0.2]])
    assert_array_equal(~in_noise_set(prior, FLAT, 0.9), rare)
    # Even where the prior is somewhat surer of the common ones.
    prior[~rare] = 0.95, 0.05
    assert_array_equal(~in_noise_set(prior, FLAT, 0.9), rare)
    # Between classes of one size, the surer ones come first.
    prior = np.where(np.arange(100)[:, None] < 50, [[0.2, 0.8]], [[0.95, 0.05]])
    assert_array_equal(in_noise_set(prior, FLAT, 0.5), np.arange(100) < 50)


@pytest.mark.parametrize(
    ("share", "n_noisy"), [(0, 0), (0.25, 25), (0.9, 90), (1, 100)]
)
def test_the_noise_set_has_its_share(share, n_noisy):
    prior = np.random.RandomState(0).dirichlet([1, 1], size=100)
    assert in_noise_set(prior, FLAT, share).sum() == n_noisy


def test_trains_on_exactly_the_clean_set_and_the_labels():
    X, y = make_pool()
    asked = np.arange(20, 40)
    model = PriorALClassifier(Recording(), PRIOR, 0.8, pool=X).fit(X[asked], y[asked])
    unlabelled = np.setdiff1d(np.arange(120), asked)
    # Slow and obvious: the small model trained on the labels, the split, the union.
    alone = LogisticRegression().fit(X[asked, 3:], y[asked])
    prior = X[unlabelled, :3]
    entropy = imbalance_aware_entropy(prior, alone.predict_proba(X[unlabelled, 3:]))
    clean = unlabelled[np.argsort(entropy)[: len(unlabelled) - 80]]
    assert_array_equal(model.clean_indices_, np.sort(clean))
    assert_array_equal(model.pseudo_labels_, X[np.sort(clean), :3].argmax(axis=1))
    seen_X, seen_y, weight = model.estimator_.seen_
    assert_allclose(seen_X, np.vstack([X[asked, 3:], X[np.sort(clean), 3:]]))
    assert_array_equal(seen_y, np.concatenate([y[asked], model.pseudo_labels_]))
    assert weight is None  # plain cross-entropy
    assert_allclose(
        model.predict_proba(X), model.estimator_.predict_proba(X[:, 3:]), atol=1e-12
    )


@pytest.mark.parametrize("without", ["pool", "prior"])
def test_without_pool_or_prior_the_labels_are_all_there_is(without):
    X, y = make_pool()
    parts = {"prior": PRIOR, "pool": X, without: None}
    model = PriorALClassifier(Recording(), **parts).fit(X[:30], y[:30])
    assert len(model.clean_indices_) == len(model.pseudo_labels_) == 0
    assert_array_equal(model.estimator_.seen_[1], y[:30])


def test_without_labels_the_prior_decides():
    X, _ = make_pool()
    model = PriorALClassifier(LogisticRegression(), PRIOR, pool=X).fit(X)
    assert model.estimator_ is None
    assert_allclose(model.predict_proba(X), X[:, :3])
    assert len(model.clean_indices_) == 0
    with pytest.raises(ValueError, match="PriorALClassifier requires y"):
        PriorALClassifier(LogisticRegression(), pool=X).fit(X)


def test_from_the_first_label_the_clean_set_brings_all_classes():
    X, _ = make_pool()
    model = PriorALClassifier(LogisticRegression(), PRIOR, 0.5, pool=X)
    model.fit(X[:1], [0])
    assert_array_equal(model.estimator_.classes_, [0, 1, 2])


def test_a_warm_start_splits_by_what_the_last_fit_has_learned():
    X, y = make_pool()
    model = PriorALClassifier(LogisticRegression(), PRIOR, 0.8, pool=X, warm_start=True)
    cold = clone(model).fit(X[:40], y[:40])
    last = model.fit(X[:20], y[:20]).estimator_
    model.fit(X[:40], y[:40])
    noisy = in_noise_set(X[40:, :3], last.predict_proba(X[40:, 3:]), 0.8)
    assert_array_equal(model.clean_indices_, 40 + np.flatnonzero(~noisy))
    assert not np.array_equal(model.clean_indices_, cold.clean_indices_)
    # Without, a second fit is as the first.
    model.set_params(warm_start=False).fit(X[:40], y[:40])
    assert_array_equal(model.clean_indices_, cold.clean_indices_)


TEXTS = [f"{kind} number {i}" for i in range(12) for kind in ("match", "bank")]


def clean_of(pool, labelled, y, prior, small):
    model = PriorALClassifier(small, prior, 0.0, pool=pool)
    return model.fit(labelled, y).clean_indices_


def test_labelled_samples_are_recognised_whatever_their_kind():
    X, y = make_pool(30)
    rest, small = np.arange(5, 30), LogisticRegression()
    for convert in (np.asarray, sparse.csr_matrix, pd.DataFrame):
        pool = convert(X)
        labelled = convert(X[:5]) if convert is not pd.DataFrame else pool[:5]
        assert_array_equal(clean_of(pool, labelled, y[:5], PRIOR, small), rest)
    # Embedded in another batch, and in half the precision.
    again = X[:5] * (1 + 1e-7)
    assert_array_equal(clean_of(X, again, y[:5], PRIOR, small), rest)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_matrix, pd.DataFrame])
def test_a_feature_that_is_large_in_all_samples_hides_no_difference(convert):
    X, y = make_pool(30)
    X = np.column_stack([X, np.full(30, 1e5)])
    small = DummyClassifier()
    found = clean_of(convert(X), convert(X[:5]), y[:5], PRIOR, small)
    assert_array_equal(found, np.arange(5, 30))


class Keywords(BasePrior):
    """A prior that reads texts, or the texts of a frame."""

    def fit(self, X, y=None):
        self.classes_ = np.array(["money", "sport"])
        return self

    def predict_proba(self, X):
        texts = X["text"] if hasattr(X, "columns") else X
        bank = np.array([0.9 if "bank" in text else 0.2 for text in texts])
        return np.column_stack([bank, 1 - bank])


def test_labelled_texts_and_mixed_rows_are_recognised():
    y = ["sport", "money"]
    reader = HashingVectorizer(n_features=64)
    model = make_pipeline(reader, LogisticRegression())
    for texts in (TEXTS, np.array(TEXTS), pd.Series(TEXTS)):
        found = clean_of(texts, TEXTS[:2], y, Keywords(), model)
        assert_array_equal(found, np.arange(2, 24))
    frame = pd.DataFrame({"text": TEXTS, "length": np.arange(24)})
    both = make_column_transformer((reader, "text"), ("passthrough", ["length"]))
    model = make_pipeline(both, LogisticRegression())
    # The same text beside another number is another sample.
    other = frame[2:4].assign(length=99)
    labelled = pd.concat([frame[:1], other])
    found = clean_of(frame, labelled, ["sport", *y], Keywords(), model)
    assert_array_equal(found, np.arange(1, 24))


def test_in_the_loop_the_pool_is_known_and_labelled_samples_are_not_in_it():
    X, y = make_pool()
    loop = ActiveLearningClassifier(
        PriorALClassifier(Recording(), PRIOR, 0.8),
        PriorALQuery(noise_share=0.8),
        n_instances=10,
        budget=30,
        random_state=0,
    ).fit(X, y)
    model = loop.estimator_
    assert_array_equal(model.pool, X)
    assert len(model.clean_indices_) == 90 - 72
    assert not set(model.clean_indices_) & set(loop.queried_indices_)
    assert len(model.estimator_.seen_[1]) == 30 + 18


def test_behind_an_encoder_the_pool_is_its_embeddings():
    vectorize = HashingVectorizer(n_features=64)
    prior = PrecomputedPrior(["a", "b"], columns=[0, 1])
    pipeline = make_pipeline(
        vectorize, PriorALClassifier(LogisticRegression(), prior, warm_start=True)
    )
    # HashingVectorizer gives no probabilities, so nothing may be fitted to them.
    with pytest.raises(ValueError, match="probab"):
        fit_to_pool(pipeline, TEXTS).fit(TEXTS[:2], ["a", "b"])
    pipeline[-1].set_params(prior=None)
    fitted = fit_to_pool(pipeline, TEXTS)
    assert fitted[-1].pool.shape == (24, 64)
    assert pipeline[-1].pool is None
    kept = fitted[-1].pool
    assert fit_to_pool(fitted, TEXTS[:3])[-1].pool.shape == kept.shape


def test_a_prior_from_descriptions():
    rng = np.random.RandomState(0)
    Z = np.repeat(np.eye(3), [60, 30, 10], axis=0) + 0.2 * rng.normal(size=(100, 3))
    y = np.repeat([0, 1, 2], [60, 30, 10])

    class Describe(HashingVectorizer):
        def encode_prompts(self, texts):
            return np.eye(3)[[int(text) for text in texts]]

    prior = ZeroShotPrior({k: str(k) for k in range(3)}, Describe()).fit(Z)
    model = PriorALClassifier(LogisticRegression(), prior, 0.5, pool=Z)
    asked = np.r_[58:62, 90]
    model.fit(Z[asked], y[asked])
    assert (y[model.clean_indices_] == model.pseudo_labels_).all()
    assert (model.predict(Z) == y).mean() > 0.9


@pytest.mark.parametrize("share", [-0.1, 1.1, "0.5", True, None, np.nan])
def test_bad_shares_are_named(share):
    X, y = make_pool()
    with pytest.raises(ValueError, match="noise_share"):
        PriorALClassifier(LogisticRegression(), PRIOR, share, pool=X).fit(X, y)


def test_a_pool_of_another_kind_is_named_and_nothing_is_lost():
    X, y = make_pool()
    model = PriorALClassifier(LogisticRegression(), PRIOR, pool=X).fit(X[:30], y[:30])
    before = model.predict_proba(X)
    with pytest.raises(ValueError, match="features"):
        model.set_params(pool=X[:, :4]).fit(X[:50], y[:50])
    with pytest.raises(ValueError, match="pool and X"):
        model.set_params(pool=TEXTS).fit(X[:50], y[:50])
    assert_array_equal(model.predict_proba(X), before)


def test_all_of_the_pool_labelled():
    X, y = make_pool()
    model = PriorALClassifier(LogisticRegression(), PRIOR, pool=X).fit(X, y)
    assert len(model.clean_indices_) == 0
    assert_array_equal(
        model.predict(X), LogisticRegression().fit(X[:, 3:], y).predict(X[:, 3:])
    )
