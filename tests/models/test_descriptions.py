"""Weak descriptions: detection with few labels, and the effect of rewording."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.integrate import quad
from scipy.special import expit
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from cofm_sklearn import (
    AnnotationSession,
    CoDecisionClassifier,
    PrecomputedPrior,
    SentenceTransformerEncoder,
    ZeroShotPrior,
)
from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.models import review_descriptions
from cofm_sklearn.models.descriptions import judge
from cofm_sklearn.models.fusion import compare_priors
from cofm_sklearn.simulation import DescriptionsDisplay

TOPICS = ["fft", "linalg", "optimize", "sparse", "stats"]


@pytest.fixture(scope="module")
def docs():
    """Five topics of docstrings: texts, embeddings, topics, descriptions."""
    data = load_api_docs()
    rng = np.random.RandomState(0)
    rows = np.concatenate(
        [
            rng.permutation(np.flatnonzero(np.asarray(data.target) == topic))[:60]
            for topic in TOPICS
        ]
    )
    rows = rng.permutation(rows)
    texts = [data.data[i] for i in rows]
    Z = SentenceTransformerEncoder().transform(texts)
    described = {topic: data.class_descriptions[topic] for topic in TOPICS}
    return np.array(texts, dtype=object), Z, np.asarray(data.target)[rows], described


@pytest.mark.parametrize("pair", [("sparse", "stats"), ("optimize", "linalg")])
def test_two_that_are_exchanged_are_both_named_from_20_labels(docs, pair):
    _, Z, y, described = docs
    first, second = pair
    wrong = described | {first: described[second], second: described[first]}
    prior = ZeroShotPrior(wrong).fit(Z)
    first_two, both, others = 0, 0, 0
    for seed in range(10):
        rows = np.random.RandomState(seed).permutation(len(Z))[:20]
        review = review_descriptions(prior, Z, Z[rows], y[rows])
        first_two += set(review.ranked[:2]) == set(pair)
        both += set(pair) <= set(review.weak)
        others += bool(set(review.weak) - set(pair))
        taken = review.descriptions.loc[[first, second], "taken_for"]
        assert set(taken.dropna()) <= {*TOPICS}
    assert first_two >= 9
    assert both >= 8
    assert others <= 3


def test_good_descriptions_help(docs):
    _, Z, y, described = docs
    review = review_descriptions(ZeroShotPrior(described), Z, Z, y)
    assert review.weak == []
    table = review.descriptions
    assert (table["helps"] > 0.99).all()
    assert (table["strength"] > 0.9).all()
    assert (table["note"] == "").all()


def test_without_labels(docs):
    texts, Z, _, described = docs
    described = described | {"sparse": described["linalg"] + " of all kinds"}
    prior = ZeroShotPrior(described).fit(Z)
    review = review_descriptions(prior, Z, samples=texts, n_examples=2)
    table = review.descriptions
    assert review.confusions is review.candidates is None
    assert review.weak == []
    assert review.ranked == []
    assert table.loc["sparse", "nearest"] == "linalg"
    assert table.loc["linalg", "nearest"] == "sparse"
    assert "near to linalg" in table.loc["sparse", "note"]
    proba = prior.predict_proba(Z)
    assert_array_equal(table.index, prior.classes_)
    shares = [(proba.argmax(axis=1) == k).mean() for k in range(5)]
    assert_allclose(table["share"], shares)
    assert table["description"].tolist() == [described[topic] for topic in TOPICS]
    for k, row in enumerate(table.itertuples()):
        assert row.typical[0] == texts[proba[:, k].argmax()]
        lead = np.sort(proba, axis=1)[:, -1] - np.sort(proba, axis=1)[:, -2]
        [i] = np.flatnonzero(texts == row.doubtful[0])[:1]
        between = np.argsort(proba, axis=1)[:, -2:]
        assert k in between[i]
        assert lead[i] == lead[(between == k).any(axis=1)].min()
    by_position = review_descriptions(prior, Z, n_examples=2).descriptions
    assert texts[by_position.loc["fft", "typical"][0]] == table.loc["fft", "typical"][0]


def test_a_class_that_is_hardly_given_is_noted():
    proba = np.tile([0.6, 0.3, 0.1], (50, 1))
    prior = PrecomputedPrior(["a", "b", "c"]).fit()
    table = review_descriptions(prior, proba).descriptions
    assert table["description"].tolist() == ["a", "b", "c"]
    assert "hardly ever given" not in table.loc["a", "note"]
    assert "hardly ever given" in table.loc["c", "note"]


def test_confusions_count_labels_by_what_the_prior_says(docs):
    _, Z, y, described = docs
    wrong = described | {"fft": described["stats"], "stats": described["fft"]}
    prior = ZeroShotPrior(wrong).fit(Z)
    review = review_descriptions(FrozenEstimator(prior), Z, Z, y)
    wanted = pd.crosstab(y, prior.predict(Z)).reindex(
        index=TOPICS, columns=TOPICS, fill_value=0
    )
    assert_array_equal(review.confusions, wanted)
    table = review.descriptions
    assert_array_equal(table["n_right"], np.diag(wanted))
    assert_array_equal(table["n_labels"], wanted.sum(axis=1))
    assert table.loc["fft", "taken_for"] == "stats"
    assert "taken for stats" in table.loc["fft", "note"]
    assert set(review.weak) == {"fft", "stats"}
    assert "taken for stats" in review._repr_html_()


def test_candidates_are_compared(docs):
    _, Z, y, described = docs
    wrong = described | {"fft": "cooking recipes"}
    prior = ZeroShotPrior(wrong).fit(Z)
    rows = np.random.RandomState(0).permutation(len(Z))[:30]
    tried = review_descriptions(
        prior,
        Z,
        Z[rows],
        y[rows],
        candidates={"fft": [described["fft"], "rock music"], "stats": "numbers"},
    ).candidates
    assert tried["label"].tolist() == ["fft"] * 3 + ["stats"] * 2
    assert tried["current"].tolist() == [True, False, False, True, False]
    fft = tried[tried["label"] == "fft"].set_index("description")
    assert_allclose(fft["evidence"].sum(), 1)
    assert fft["evidence"].idxmax() == described["fft"]
    assert fft.loc[described["fft"], "evidence"] > 0.9
    better = ZeroShotPrior(described).fit(Z)
    assert fft.loc[described["fft"], "n_right"] == (better.predict(Z) == y)[rows].sum()
    changed = (better.predict(Z) != prior.predict(Z)).mean()
    assert_allclose(fft.loc[described["fft"], "changed"], changed)
    assert fft.loc["cooking recipes", "changed"] == 0
    assert prior.class_descriptions is wrong
    without = review_descriptions(prior, Z, candidates={"fft": "sums of waves"})
    assert "evidence" not in without.candidates
    assert without.candidates["share"].between(0, 1).all()


def slow_judge(close, of_class):
    """The same, label by label, integrating over shifts by quadrature."""
    share = (of_class.sum() + 0.5) / (len(close) - of_class.sum() + 0.5)

    def likelihood(slope):
        def at(shift):
            value = np.exp(-0.5 * (shift / 1.5) ** 2)
            for z, hit in zip(close, of_class):
                p = 0.95 * expit(slope * z + np.log(share) + shift) + 0.025
                value *= p if hit else 1 - p
            return value

        return quad(at, -4, 4, limit=200)[0]

    steps = [0.5, 1, 2, 4]
    pro = [likelihood(s) / 12 for s in steps]
    con = [likelihood(-s) / 12 for s in steps]
    none = likelihood(0) / 3
    total = sum(pro) + sum(con) + none
    mean = (np.dot(pro, steps) - np.dot(con, steps)) / total
    return sum(pro) / total, sum(con) / total, mean


@given(seed=st.integers(0, 10**6), n=st.integers(1, 25))
def test_judging_equals_the_slow_way(seed, n):
    rng = np.random.RandomState(seed)
    close, of_class = rng.randn(n), rng.rand(n) < 0.4
    found = judge(close, of_class)
    assert_allclose(found, slow_judge(close, of_class), atol=0.03)
    helps, misleads, strength = judge(-close, of_class)
    assert_allclose((misleads, helps, -strength), found, atol=1e-9)


def test_no_label_leaves_equal_odds():
    helps, misleads, strength = judge(np.empty(0), np.empty(0, dtype=bool))
    assert_allclose((helps, misleads, strength), (1 / 3, 1 / 3, 0), atol=1e-12)


def test_the_better_prior_is_found():
    rng = np.random.RandomState(0)
    y = rng.randint(3, size=40)
    good = 0.2 + 0.4 * np.eye(3)[y]
    bad = rng.dirichlet(np.ones(3), size=40)
    assert compare_priors(np.array([bad, good, bad]), y).argmax() == 1
    assert_allclose(compare_priors(np.array([good] * 4), y), 0.25)


def test_a_class_without_label_is_not_called_weak(docs):
    _, Z, y, described = docs
    rows = np.flatnonzero(y != "fft")[:40]
    review = review_descriptions(ZeroShotPrior(described), Z, Z[rows], y[rows])
    assert review.descriptions.loc["fft", "note"] == "no label yet"
    assert set(review.ranked) == {*TOPICS} - {"fft"}


def test_any_prior_can_be_reviewed(docs):
    _, Z, y, _ = docs
    old = LogisticRegression(max_iter=500).fit(Z, y)
    review = review_descriptions(old, Z, Z[:30], y[:30])
    assert (review.descriptions["helps"] > 0.5).sum() >= 4
    with pytest.raises(ValueError, match="class_descriptions; LogisticRegression"):
        review_descriptions(old, Z, candidates={"fft": "waves"})


def test_a_session_reviews_them(docs):
    texts, _, y, described = docs
    wrong = described | {"fft": described["stats"], "stats": described["fft"]}
    model = make_pipeline(
        SentenceTransformerEncoder(),
        CoDecisionClassifier(LogisticRegression(), ZeroShotPrior(wrong)),
    )
    answers = dict(zip(texts, y))
    with AnnotationSession(texts, model, background=False) as session:
        before = session.review_descriptions()
        assert before.confusions is None
        assert before.descriptions.loc["fft", "typical"][0] in answers
        for question in session.ask(20):
            session.answer(question.id, answers[question.sample])
        for question in session.ask(10):
            session.answer(question.id, answers[question.sample])
        review = session.review_descriptions({"fft": described["fft"]})
        # Of 30 labels, some are kept for the check set.
        assert 20 < review.confusions.to_numpy().sum() <= 30
        assert set(review.weak[:2]) == {"fft", "stats"}
        assert review.candidates["evidence"].iloc[1] > 0.5
    with (
        AnnotationSession(
            texts,
            make_pipeline(SentenceTransformerEncoder(), LogisticRegression()),
            classes=TOPICS,
            background=False,
        ) as session,
        pytest.raises(ValueError, match="prior"),
    ):
        session.review_descriptions()


def test_the_picture_shows_the_numbers(docs):
    pyplot = pytest.importorskip("matplotlib.pyplot")
    _, Z, y, described = docs
    wrong = described | {"fft": described["stats"], "stats": described["fft"]}
    display = DescriptionsDisplay.from_prior(ZeroShotPrior(wrong), Z, Z[:40], y[:40])
    table = display.review.descriptions
    left, right = display.axes_
    assert_allclose([bar.get_width() for bar in left.patches], table["share"])
    widths = np.array([bar.get_width() for bar in right.patches]).reshape(3, 5)
    assert_allclose(widths[0], table["helps"], atol=1e-12)
    assert_allclose(widths[2], table["misleads"], atol=1e-12)
    assert_allclose(widths.sum(axis=0), 1)
    words = [text.get_text() for text in right.texts]
    assert words[0].startswith(f"{table['n_right'].iloc[0]} of ")
    assert len(DescriptionsDisplay.from_prior(ZeroShotPrior(described), Z).axes_) == 1
    pyplot.close("all")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"X_labeled": np.eye(2)}, ValueError, "together"),
        ({"X_labeled": np.eye(2), "y_labeled": ["a"]}, ValueError, "2 samples for 1"),
        ({"X_labeled": np.eye(2), "y_labeled": ["a", "z"]}, ValueError, "'z'"),
        ({"X": np.empty((0, 2))}, ValueError, "0 samples"),
        ({"n_examples": 0}, ValueError, "n_examples"),
        ({"samples": ["one"]}, ValueError, "1 items for 2 rows"),
        ({"candidates": {"a": "x"}}, ValueError, "class_descriptions"),
    ],
)
def test_bad_arguments_are_named(options, error, message):
    options = {"X": np.eye(2), **options}
    with pytest.raises(error, match=message):
        review_descriptions(PrecomputedPrior(["a", "b"]), **options)


@pytest.mark.parametrize(
    ("candidates", "error", "message"),
    [
        (["waves"], TypeError, "must be a dict"),
        ({"ffft": "waves"}, ValueError, "'ffft'"),
        ({"fft": ""}, ValueError, r"\['fft'\]\[0\] is an empty"),
        ({"fft": 3}, TypeError, "fft"),
    ],
)
def test_bad_candidates_are_named(docs, candidates, error, message):
    _, Z, _, described = docs
    with pytest.raises(error, match=message):
        review_descriptions(ZeroShotPrior(described), Z, candidates=candidates)
