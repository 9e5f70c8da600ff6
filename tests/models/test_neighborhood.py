"""The neighbours in the co-decision: their probabilities, weight and safety."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from modAL.models import ActiveLearner
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import softmax
from sklearn.base import clone
from sklearn.compose import make_column_transformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    FunctionTransformer,
    OneHotEncoder,
    StandardScaler,
    normalize,
)

from cofm_sklearn import (
    ActiveLearningClassifier,
    AnnotationSession,
    CoDecisionClassifier,
    CoDecisionQuery,
    NeighborGraph,
    PrecomputedPrior,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.models import base, co_decision, fit_to_pool
from cofm_sklearn.models.neighborhood import fit_neighbors
from cofm_sklearn.noise.estimate import centre_logits


def groups(n=300, seed=0):
    """Two classes of four groups each, which a linear model learns one by one."""
    rng = np.random.RandomState(seed)
    group = rng.randint(8, size=n)
    centres = normalize(rng.normal(size=(8, 12)))
    X = normalize(centres[group] + 0.16 * rng.normal(size=(n, 12)))
    return X.astype(np.float32), group % 2


def model(neighbors="auto", **params):
    small = LogisticRegression(class_weight="balanced")
    return CoDecisionClassifier(small, neighbors=neighbors, random_state=0, **params)


def slow_neighbors(Z, proba, of_nodes, Z_nodes, attention, k, own=None):
    """Distances between rows [z, attention sqrt(proba)] of unit norm; the k nearest of
    the 5 k nearest by embedding, in loops."""
    found = []
    for i, z in enumerate(Z):
        order = np.argsort(np.linalg.norm(Z_nodes - z, axis=1), kind="stable")
        order = [j for j in order if own is None or j != i][: 5 * k]
        rows = np.hstack([Z_nodes[order], attention * np.sqrt(of_nodes[order])])
        row = np.hstack([z, attention * np.sqrt(proba[i])]) / np.hypot(1, attention)
        d = np.linalg.norm(rows / np.hypot(1, attention) - row, axis=1)
        nearest = np.argsort(d, kind="stable")[:k]
        found.append([(order[j], d[j]) for j in nearest])
    return found


def slow_voice(Z, proba, rows, codes, quality, new, new_proba, attention, k):
    """The formulas of docs/method.md with dense matrices; labelled rows are nodes."""
    n = len(proba)
    near = slow_neighbors(Z, proba, proba, Z, attention, k, own=True)
    h = np.median([found[-1][1] for found in near])
    W = np.zeros((n, n))
    for i, found in enumerate(near):
        for j, d in found:
            W[i, j] = W[j, i] = np.exp(-2 * (d / h) ** 2)
    seeds = 0.1 * proba
    for row in rows:
        seeds[row] = 0
    for row, code, q in zip(rows, codes, quality):
        seeds[row, code] += q
    mass = seeds.sum(axis=0)
    degree = W.sum(axis=1)
    S = W / np.sqrt(np.outer(degree, degree))
    F = seeds / mass
    for _ in range(40):
        F = 0.9 * S @ F + 0.1 * seeds / mass
    A = np.zeros((len(new), n))
    near = slow_neighbors(new, new_proba, proba, Z, attention, k)
    for i, found in enumerate(near):
        for j, d in found:
            A[i, j] = np.exp(-2 * (d / h) ** 2)
    A /= np.sqrt(np.outer(A.sum(axis=1), degree))
    share = (0.9 * A @ F + 0.1 * 0.1 * new_proba / mass) / F.sum(axis=0)
    nodes = F / F.sum(axis=0)
    return [P / P.sum(axis=1, keepdims=True) for P in (share, nodes)]


def slow_attention_and_weight(Z, proba, k):
    """Moran's I of the logits, by pairs, and the resulting attention and weight."""
    near = slow_neighbors(Z, proba, proba, Z, 0.0, k, own=True)
    logits = centre_logits(proba) - centre_logits(proba).mean(axis=0)
    pairs = [logits[i] @ logits[j] for i, found in enumerate(near) for j, _ in found]
    alike = np.mean(pairs) / np.mean(np.sum(logits**2, axis=1))
    attention = 0.5 * np.clip((0.85 - alike) / 0.15, 0, 1)
    return attention, 0.5 * np.clip((alike - 0.2) / 0.2, 0, 1)


@given(seed=st.integers(0, 10**6), n_classes=st.integers(2, 4), n=st.integers(20, 50))
@settings(max_examples=25, deadline=None)
def test_equals_the_slow_version(seed, n_classes, n):
    rng = np.random.RandomState(seed)
    Z = normalize(rng.normal(size=(n, 4)))
    new = normalize(rng.normal(size=(5, 4)))
    centres = 3 * rng.normal(size=(4, n_classes)) * rng.uniform()
    proba = softmax(Z @ centres + rng.normal(size=(n, n_classes)), axis=1)
    new_proba = softmax(new @ centres, axis=1)
    graph = NeighborGraph(n_neighbors=4).fit(Z)
    rows, codes = rng.choice(n, 8, replace=False), rng.randint(n_classes, size=8)
    quality = rng.uniform(size=8)
    voice = fit_neighbors(graph, proba, Z[rows], proba[rows], codes, quality)
    attention, weight = slow_attention_and_weight(Z, proba, 4)
    assert_allclose(voice.attention, attention, atol=1e-4)
    assert_allclose(voice.weight, weight, atol=1e-4)
    slow, nodes = slow_voice(
        Z, proba, rows, codes, quality, new, new_proba, attention, 4
    )
    assert_allclose(voice.proba(new, new_proba), slow, atol=1e-3)
    scale = centre_logits(proba).std() / centre_logits(nodes).std()
    assert_allclose(voice.scale, scale, rtol=1e-2)
    mixed = weight * scale * centre_logits(slow) + (1 - weight) * centre_logits(
        new_proba
    )
    assert_allclose(voice.fuse(new, new_proba), softmax(mixed, axis=1), atol=0.01)


def test_classes_are_found_through_their_neighbours():
    X, y = groups()
    labelled = np.concatenate([np.flatnonzero(y == k)[:15] for k in (0, 1)])
    plain = model(None).fit(X[labelled], y[labelled])
    joined = model(NeighborGraph().fit(X)).fit(X[labelled], y[labelled])
    assert joined.neighbor_weight_ > 0.3
    assert joined.score(X, y) > plain.score(X, y) + 0.02
    said = joined.neighbors_proba(X)
    assert np.mean(said.argmax(axis=1) == y) > plain.score(X, y) + 0.03
    assert_allclose(said.sum(axis=1), 1)


def test_trust_and_labels_are_judged_without_neighbours():
    X, y = groups()
    y[:10] = 1 - y[:10]
    plain = model(None).fit(X[:60], y[:60])
    joined = model(NeighborGraph().fit(X)).fit(X[:60], y[:60])
    for name in ("trust_", "temperature_", "noise_rate_", "prior_evidence_"):
        assert getattr(joined, name) == getattr(plain, name)
    assert_array_equal(joined.label_quality_, plain.label_quality_)
    assert_array_equal(joined.oof_proba_, plain.oof_proba_)
    assert_array_equal(joined.small_model_proba(X), plain.small_model_proba(X))
    assert_array_equal(joined.prior_proba(X), plain.prior_proba(X))
    assert plain.neighbors_ is None
    assert plain.neighbor_weight_ == 0
    assert_allclose(plain.neighbors_proba(X), 0.5)


def with_prior(X, y, accuracy=0.8, seed=1):
    """Prepend the probabilities of a prior to the features."""
    rng = np.random.RandomState(seed)
    said = np.where(rng.uniform(size=len(y)) < accuracy, y, 1 - y)
    proba = np.where(said[:, None] == np.arange(2), 0.9, 0.1)
    return np.hstack([proba, X]), PrecomputedPrior([0, 1], columns=[0, 1]).fit()


def test_random_vectors_do_no_harm():
    rng = np.random.RandomState(0)
    y = rng.randint(2, size=400)
    X, prior = with_prior(rng.normal(size=(400, 20)), y)
    graph = NeighborGraph(prior).fit(X)
    plain = model(None, prior=prior).fit(X[:30], y[:30])
    joined = model(graph, prior=prior).fit(X[:30], y[:30])
    assert joined.neighbor_weight_ < 0.05
    assert joined.score(X, y) >= plain.score(X, y) - 0.01


def test_pools_with_nothing_to_tell_do_no_harm():
    X, y = groups()
    same = np.ones((50, 12), dtype=np.float32)
    for pool in (same, np.concatenate([same, X[:1]]), np.eye(12)):
        joined = model(NeighborGraph().fit(pool)).fit(X[:40], y[:40])
        proba = joined.predict_proba(X)
        assert np.isfinite(proba).all()
        assert_allclose(proba.sum(axis=1), 1)
        assert joined.score(X, y) >= model(None).fit(X[:40], y[:40]).score(X, y) - 0.02
    one_class = model(NeighborGraph().fit(X)).fit(X[:5], ["a"] * 5)
    assert one_class.predict(X[:2]).tolist() == ["a", "a"]


def test_imported_labels_count_where_they_are_near():
    X, y = groups()
    inside, outside = X[100:], X[:30]
    graph = NeighborGraph().fit(inside)
    joined = model(graph).fit(outside, y[:30])
    assert joined.score(inside, y[100:]) > model(None).fit(outside, y[:30]).score(
        inside, y[100:]
    )
    # As if they were nodes, but for their part in other samples' neighbours.
    nodes = model(NeighborGraph().fit(X)).fit(outside, y[:30])
    near = joined.predict_proba(inside) - nodes.predict_proba(inside)
    assert np.abs(near).mean() < 0.1


def test_order_of_the_pool_and_blocks_change_nothing(monkeypatch):
    X, y = groups()
    order = np.random.RandomState(0).permutation(len(X))
    plain = model(NeighborGraph().fit(X)).fit(X[:30], y[:30])
    moved = model(NeighborGraph(n_jobs=2).fit(X[order])).fit(X[:30], y[:30])
    wanted = plain.predict_proba(X)
    assert_allclose(moved.predict_proba(X), wanted, atol=1e-4)
    assert_array_equal(
        model(NeighborGraph().fit(X)).fit(X[:30], y[:30]).predict_proba(X), wanted
    )
    from cofm_sklearn.models import base

    monkeypatch.setattr(base, "_BLOCK", 7)
    assert_allclose(plain.predict_proba(X), wanted, atol=1e-6)
    assert_allclose(plain.predict_proba(X[50:51]), wanted[50:51], atol=1e-6)


def test_labels_that_count_nothing_do_not_spread():
    X, y = groups()
    graph = NeighborGraph().fit(X)
    proba = np.random.RandomState(0).dirichlet([1, 1], size=len(X))
    quality = np.r_[np.ones(30), np.zeros(10)]
    voice = fit_neighbors(graph, proba, X[:40], proba[:40], y[:40], quality)
    wanted = fit_neighbors(graph, proba, X[:30], proba[:30], y[:30], quality[:30])
    assert_allclose(voice.proba(X, proba), wanted.proba(X, proba), rtol=1e-6)
    # In a fit, these are labels of weight 0.
    weight = 3 * quality
    fitted = model(graph).fit(X[:40], y[:40], sample_weight=weight)
    alone, labelled = fitted._decide_alone(X), fitted._decide_alone(X[:40])
    counted = fitted.label_quality_ * quality
    voice = fit_neighbors(graph, alone, X[:40], labelled, y[:40], counted)
    assert_allclose(fitted.neighbors_proba(X), voice.proba(X, alone), rtol=1e-6)


@pytest.mark.parametrize(
    ("neighbors", "error", "message"),
    [
        (NeighborGraph(), ValueError, "not fitted"),
        (KNeighborsClassifier(), TypeError, "must be a NeighborGraph"),
        (10, TypeError, "must be a NeighborGraph"),
        (NeighborGraph().fit(np.eye(4)), ValueError, "12 features"),
    ],
)
def test_bad_neighbors_leave_the_classifier_as_it_was(neighbors, error, message):
    X, y = groups()
    fitted = model().fit(X[:20], y[:20])
    before = fitted.predict_proba(X)
    with pytest.raises(error, match=message):
        fitted.set_params(neighbors=neighbors).fit(X[20:40], y[20:40])
    assert_array_equal(fitted.predict_proba(X), before)


def test_loops_and_sessions_know_the_pool_by_themselves(tmp_path):
    X, y = groups()
    small = LogisticRegression(class_weight="balanced")

    def run(**params):
        loop = ActiveLearningClassifier(
            CoDecisionClassifier(small, **params),
            CoDecisionQuery(),
            budget=20,
            random_state=0,
        )
        return loop.fit(X, y)

    found = run()
    assert isinstance(found.estimator_.neighbors_.estimator, NeighborGraph)
    assert len(found.estimator_.neighbors_.embeddings_) == len(X)
    assert run(neighbors=None).estimator_.neighbors_ is None
    given = run(neighbors=NeighborGraph(n_neighbors=4)).estimator_.neighbors_
    assert given.neighbors_.shape == (len(X), 4)
    assert found.score(X, y) >= run(neighbors=None).score(X, y)

    def open_session():
        return AnnotationSession(
            X,
            CoDecisionClassifier(small),
            store=tmp_path / "labels.db",
            classes=[0, 1],
            n_instances=4,
            random_state=0,
        )

    with open_session() as session:
        for question in session.ask(4):
            session.answer(question.id, int(y[question.index]))
        asked = [question.id for question in session.ask(4)]
        wanted = session.predict()
    with open_session() as again:
        assert [question.id for question in again.ask(4)] == asked
        assert_array_equal(again.predict(), wanted)


def test_stock_modal_on_raw_texts_takes_one_more_line():
    docs = load_api_docs()
    texts, topics = docs.data[::5], docs.target[::5]
    encoder = SentenceTransformerEncoder()
    prior = ZeroShotPrior(docs.class_descriptions, encoder).fit(texts)
    neighbors = NeighborGraph(encoder).fit(texts)
    small = LogisticRegression(class_weight="balanced")
    learner = ActiveLearner(
        make_pipeline(
            encoder,
            CoDecisionClassifier(small, prior, neighbors=neighbors, random_state=0),
        ),
        CoDecisionQuery(random_state=0),
    )
    picked, _ = learner.query(texts, n_instances=20)
    learner.teach(texts[picked], topics[picked])
    final = learner.estimator[-1]
    assert final.neighbors_ is neighbors
    assert 0 < final.neighbor_weight_ <= 0.5
    Z = encoder.transform(texts)
    alone = final.classes_[final._decide_alone(Z).argmax(axis=1)]
    with_neighbors = balanced_accuracy_score(topics, learner.predict(texts))
    assert with_neighbors >= balanced_accuracy_score(topics, alone)
    # On raw texts, without encoder in front, it is the same model but for what is
    # typical of a class: raw texts have no mean.
    raw = CoDecisionClassifier(
        make_pipeline(encoder, small), prior, neighbors=neighbors, random_state=0
    ).fit(texts[picked], topics[picked])
    assert_allclose(raw.neighbor_weight_, final.neighbor_weight_, atol=0.05)
    assert np.mean(raw.predict(texts) == learner.predict(texts)) > 0.8


def test_fit_to_pool_finds_what_embeds():
    X, y = groups(60)
    frame = pd.DataFrame({"kind": np.where(y == 1, "a", "b"), "size": X[:, 0]})
    table = make_pipeline(
        make_column_transformer(
            (OneHotEncoder(), ["kind"]), (StandardScaler(), ["size"])
        ),
        LogisticRegression(),
    )
    fitted = fit_to_pool(CoDecisionClassifier(table), frame)
    assert isinstance(fitted.neighbors, FrozenEstimator)
    assert clone(fitted).neighbors is not None
    assert clone(fitted).fit(frame[:20], y[:20]).score(frame, y) > 0.95
    both, prior = with_prior(X, y)
    fitted = fit_to_pool(CoDecisionClassifier(table[-1], prior=clone(prior)), both)
    assert_array_equal(fitted.neighbors.neighbors_, NeighborGraph().fit(X).neighbors_)
    # Nothing embeds texts here, and two samples have no neighbourhood.
    words = CoDecisionClassifier(LogisticRegression(), PrecomputedPrior([0, 1]).fit())
    words.prior = FrozenEstimator(words.prior)
    assert fit_to_pool(words, ["a", "b", "c"]).neighbors is None
    assert fit_to_pool(model(), X[:2]).neighbors is None
    with pytest.raises(ValueError, match="2 sample"):
        fit_to_pool(model(NeighborGraph()), X[:2])
    with pytest.raises(ValueError, match="encoder"):
        fit_to_pool(model(NeighborGraph()), ["a", "b", "c"])


@pytest.mark.parametrize("nested", [False, True])
def test_steps_before_a_co_decision_are_fitted_to_the_pool(nested):
    texts = [f"word{i % 7} a{i % 11} {'ball' if i % 2 else 'bank'}" for i in range(60)]
    topics = np.array(["money", "sport"])[np.arange(60) % 2]
    last = make_pipeline(StandardScaler(with_mean=False), model())
    pipeline = make_pipeline(TfidfVectorizer(), last if nested else model())
    fitted = fit_to_pool(pipeline, texts)
    # The graph is of the space in which the small model is trained.
    n_words = len(TfidfVectorizer().fit(texts).vocabulary_)
    assert fitted.fit(texts[:9], topics[:9])[:1].transform(texts).shape[1] == n_words
    assert not hasattr(pipeline[0], "vocabulary_")
    loop = ActiveLearningClassifier(pipeline, CoDecisionQuery(), budget=20)
    assert loop.fit(texts, topics).score(texts, topics) > 0.9
    with AnnotationSession(
        texts, pipeline, classes=["money", "sport"], background=False
    ) as session:
        for question in session.ask(20):
            session.answer(question.id, topics[question.index])
        assert np.mean(session.predict() == topics) > 0.8


def test_steps_that_learn_nothing_or_are_fitted_stay_as_they_are():
    X, _y = groups(60)

    class Plain:  # without tags, as FrozenEstimator needs them
        def fit(self, X, y=None):
            self.mean_ = X.mean(axis=0)
            return self

        def transform(self, X):
            return X - self.mean_

    scaler = FrozenEstimator(StandardScaler().fit(X))
    growing = FunctionTransformer(np.exp)
    fitted = fit_to_pool(make_pipeline(scaler, growing, Plain(), model()), X)
    assert isinstance(fitted[0].estimator, StandardScaler)
    assert isinstance(fitted[1], FunctionTransformer)
    assert isinstance(fitted[2], Plain)


def test_a_fitted_classifier_as_prior_says_how_it_survives_clones():
    X, y = groups(60)
    old = LogisticRegression().fit(X, y)
    loop = ActiveLearningClassifier(model(prior=old), CoDecisionQuery(), budget=10)
    with pytest.raises(ValueError, match="wrap it in FrozenEstimator"):
        loop.fit(X, y)
    loop.set_params(estimator__prior=FrozenEstimator(old)).fit(X, y)
    assert_allclose(loop.estimator_.prior_proba(X), old.predict_proba(X), rtol=1e-6)


def test_too_many_classes_for_the_graph_are_said(monkeypatch):
    X, y = groups()[:2]
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    alone = model.fit(X[:40], y[:40])
    graph = NeighborGraph().fit(X)
    joined = clone(model).set_params(neighbors=FrozenEstimator(graph))
    monkeypatch.setattr(co_decision, "_MOST_SPREAD", 2 * len(X) - 1)
    with pytest.warns(UserWarning, match=r"max_samples=299\)"):
        joined.fit(X[:40], y[:40])
    assert joined.neighbor_weight_ == 0
    assert_array_equal(joined.predict_proba(X), alone.predict_proba(X))
    joined.set_params(neighbors=NeighborGraph(max_samples=299).fit(X))
    assert joined.fit(X[:40], y[:40]).neighbor_weight_ > 0


def test_blocks_change_no_prediction(monkeypatch):
    X, y = groups()[:2]
    model = CoDecisionClassifier(
        LogisticRegression(), neighbors=NeighborGraph().fit(X), random_state=0
    )
    at_once = model.fit(X[:40], y[:40]).predict_proba(X)
    monkeypatch.setattr(base, "_BLOCK_CELLS", 7)
    in_blocks = model.fit(X[:40], y[:40]).predict_proba(X)
    assert_allclose(in_blocks, at_once, rtol=1e-5)


def test_small_model_knows_classes_without_label_from_the_pool_of_any_prior():
    """A table of probabilities has no descriptions to represent the classes."""
    rng = np.random.RandomState(0)
    y = np.repeat(np.arange(4), 60)
    Z = normalize(np.eye(8)[y] + 0.3 * rng.normal(size=(240, 8)))
    proba = np.full((240, 4), 0.1)
    proba[np.arange(240), y] = 0.7
    X = np.hstack([proba, Z])
    prior = PrecomputedPrior([0, 1, 2, 3], columns=range(4)).fit()
    labelled = np.r_[0:10, 60:70]  # nothing of the classes 2 and 3
    small = LogisticRegression(class_weight="balanced")
    found = {}
    for graph in (None, NeighborGraph(prior).fit(X)):
        model = CoDecisionClassifier(small, prior, neighbors=graph)
        proba = model.fit(X[labelled], y[labelled]).small_model_proba(X)
        found[graph is None] = np.mean(proba.argmax(axis=1) == y)
    assert found[True] <= 0.5
    assert found[False] > 0.9
