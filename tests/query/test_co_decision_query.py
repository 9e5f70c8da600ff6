"""CoDecisionQuery: its queries and its errors."""

import numpy as np
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import normalize
from sklearn.svm import LinearSVC

from cofm_sklearn import CoDecisionClassifier, CoDecisionQuery, PrecomputedPrior
from cofm_sklearn.query.co_decision import _sample_rows
from cofm_sklearn.query.view import view_learner
from cofm_sklearn.query.worth import class_shares, uncertainty_of


@pytest.fixture
def clusters():
    """Three tight clusters on the sphere, of 60, 30 and 6 samples."""
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [60, 30, 6])
    return normalize(np.eye(8)[y] + 0.05 * rng.normal(size=(96, 8))), y


def test_first_batch_has_one_of_each_cluster_whatever_its_size(clusters):
    Z, y = clusters
    picked = CoDecisionQuery(kernel_width=0.5, random_state=0).select(Z, n_instances=3)
    assert set(y[picked]) == {0, 1, 2}


def test_what_is_labelled_is_not_asked_again(clusters):
    Z, y = clusters
    strategy = CoDecisionQuery(kernel_width=0.5, random_state=0)
    picked = strategy.select(
        Z, X_labeled=Z[y == 0][:2], y_labeled=[0, 0], n_instances=2
    )
    assert set(y[picked]) == {1, 2}


def test_uncertain_samples_come_first(clusters):
    Z, y = clusters
    proba = np.full((96, 3), [0.98, 0.01, 0.01])
    proba[y == 1] = [0.4, 0.3, 0.3]
    picked = CoDecisionQuery(random_state=0).select(Z, proba, n_instances=5)
    assert (y[picked] == 1).all()
    # Sharpness 0 takes the uncertainty away again.
    strategy = CoDecisionQuery(sharpness=0, kernel_width=0.5, random_state=0)
    assert set(y[strategy.select(Z, proba, n_instances=3)]) == {0, 1, 2}


def test_balance_moves_the_batch_to_rare_classes():
    """Position is independent of the class here, so only the weights matter."""
    rng = np.random.RandomState(0)
    Z = normalize(rng.normal(size=(200, 4)))
    y = (rng.uniform(size=200) < 0.1).astype(int)
    proba = np.where(y[:, None] == [0, 1], 0.7, 0.3)

    def n_rare(balance):
        strategy = CoDecisionQuery(balance=balance, kernel_width=0.1, random_state=0)
        return int(y[strategy.select(Z, proba, proba, n_instances=20)].sum())

    assert n_rare(1.0) >= n_rare(0.0) + 5


def test_the_prior_says_which_samples_are_of_a_rare_class():
    """The small model knows nothing; only the prior can tell the classes apart."""
    rng = np.random.RandomState(0)
    Z = normalize(rng.normal(size=(200, 4)))
    y = (rng.uniform(size=200) < 0.1).astype(int)
    proba = np.full((200, 2), 0.5)
    prior_proba = np.where(y[:, None] == [0, 1], 0.9, 0.1)
    strategy = CoDecisionQuery(balance=1.0, kernel_width=0.1, random_state=0)

    def n_rare(**given):
        return int(y[strategy.select(Z, proba, n_instances=20, **given)].sum())

    assert n_rare(prior_proba=prior_proba) >= n_rare() + 5
    assert n_rare(prior_proba=prior_proba, trust=0.0) == n_rare()
    half = n_rare(prior_proba=prior_proba, trust=0.5)
    assert n_rare(prior_proba=prior_proba) == half


def test_a_prior_of_the_strategy_is_asked(clusters):
    Z, y = clusters
    X = np.hstack([np.eye(3)[y] * 0.7 + 0.1, Z])
    labeled = [0, 1, 60, 61, 90]
    model = LogisticRegression(C=0.01).fit(X[labeled], y[labeled])

    class Learner:
        estimator, X_training, y_training = model, X[labeled], y[labeled]

    def picks(prior):
        strategy = CoDecisionQuery(prior, balance=2.0, random_state=0)
        return strategy(Learner(), X, n_instances=10).tolist()

    expected = CoDecisionQuery(balance=2.0, random_state=0).select(
        X,
        model.predict_proba(X),
        X[:, :3],
        X_labeled=X[labeled],
        n_instances=10,
    )
    assert picks(PrecomputedPrior([0, 1, 2], columns=slice(0, 3))) == expected.tolist()
    assert picks(None) != expected.tolist()


@pytest.mark.parametrize(
    ("kind", "first"), [("margin", 0), ("entropy", 1), ("least_confidence", 2)]
)
def test_each_uncertainty_has_its_own_favourite(kind, first):
    proba = [[0.5, 0.5, 0.0], [0.48, 0.26, 0.26], [0.46, 0.44, 0.1], [0.9, 0.1, 0.0]]
    strategy = CoDecisionQuery(
        uncertainty=kind, sharpness=50, balance=0, kernel_width=0.1, random_state=0
    )
    assert strategy.select(np.eye(4), proba).tolist() == [first]


def test_prior_without_labels_does_not_steer(clusters):
    Z, y = clusters
    strategy = CoDecisionQuery(balance=1.0, random_state=0)
    prior_proba = np.eye(3)[y] * 0.97 + 0.01
    np.testing.assert_array_equal(
        strategy.select(Z, prior_proba=prior_proba, n_instances=8),
        strategy.select(Z, n_instances=8),
    )


def test_call_and_select_are_the_same_decision(clusters):
    Z, y = clusters
    labeled = [0, 1, 60, 61, 90]
    pool = np.setdiff1d(np.arange(96), labeled)
    model = LogisticRegression().fit(Z[labeled], y[labeled])

    class Learner:
        estimator, X_training, y_training = model, Z[labeled], y[labeled]

    strategy = CoDecisionQuery(balance=0.5, random_state=3)
    np.testing.assert_array_equal(
        strategy(Learner(), Z[pool], n_instances=10),
        strategy.select(
            Z[pool],
            proba=model.predict_proba(Z[pool]),
            X_labeled=Z[labeled],
            y_labeled=y[labeled],
            n_instances=10,
        ),
    )


def test_candidates_are_drawn_by_weight(clusters):
    Z, y = clusters
    proba = np.full((96, 3), [1.0, 0.0, 0.0])
    proba[y == 2] = [0.4, 0.3, 0.3]
    strategy = CoDecisionQuery(max_candidates=6, random_state=0)
    picked, utilities = strategy.select(Z, proba, n_instances=4, return_utilities=True)
    assert (y[picked] == 2).all()
    assert np.isfinite(utilities).sum() == 6
    # More are asked for than there would be candidates.
    assert len(strategy.select(Z, proba, n_instances=50)) == 50


@pytest.mark.parametrize(("n_pool", "n_candidates"), [(4096, 4096), (4097, 2048)])
def test_small_pools_are_their_own_candidates(n_pool, n_candidates):
    Z = np.random.RandomState(0).normal(size=(n_pool, 3)).astype(np.float32)
    for strategy in (CoDecisionQuery(), CoDecisionQuery(max_candidates=None)):
        _, utilities = strategy.select(Z, n_instances=2, return_utilities=True)
        assert np.isfinite(utilities).sum() == n_candidates
        n_candidates = n_pool  # None takes all of any pool


def test_rounds_differ_and_repeat(clusters):
    Z, y = clusters
    proba = np.full((96, 3), 1 / 3)
    strategy = CoDecisionQuery(max_candidates=20, random_state=0)
    draws = [
        strategy.select(
            Z[5:], proba[5:], X_labeled=Z[:n], y_labeled=y[:n], n_instances=9
        )
        for n in (1, 2, 1)
    ]
    np.testing.assert_array_equal(draws[0], draws[2])
    assert set(draws[0]) != set(draws[1])
    free = CoDecisionQuery(max_candidates=20)
    assert set(free.select(Z, proba, n_instances=9)) != set(
        free.select(Z, proba, n_instances=9)
    )


def test_labels_are_only_checked(clusters):
    """As documented in `select`, only the positions of labelled samples matter."""
    Z, y = clusters
    given = {"X_labeled": Z[:6], "n_instances": 9}
    proba = np.full((96, 3), 1 / 3)
    strategy = CoDecisionQuery(random_state=0)
    expected = strategy.select(Z, proba, **given)
    for labels, classes in [(y[:6], None), (y[5::-1], [0, 1, 2]), (["a"] * 6, "abc")]:
        classes = None if classes is None else list(classes)
        found = strategy.select(Z, proba, y_labeled=labels, classes=classes, **given)
        np.testing.assert_array_equal(found, expected)


def test_the_view_has_both_halves_of_a_co_decision():
    X, y = make_blobs([40, 40], centers=[[3, 0, 0], [0, 3, 0]], random_state=0)
    prior_columns = np.where(y[:, None] == [0, 1], 0.99, 0.01)
    XP = np.hstack([prior_columns, X])
    labeled = np.r_[0:80:9]
    pool = np.setdiff1d(np.arange(80), labeled)
    prior = PrecomputedPrior([0, 1], columns=[0, 1])
    model = CoDecisionClassifier(LogisticRegression(C=0.01), prior, random_state=0)
    model.fit(XP[labeled], y[labeled])
    view = view_learner(model, XP[pool])
    np.testing.assert_allclose(view.proba, model.small_model_proba(XP[pool]))
    np.testing.assert_allclose(view.prior_proba, prior_columns[pool])
    # Coverage measures the features, not the columns of the prior.
    assert view.X_pool.shape == (len(pool), 3)


def test_models_without_predict_proba_use_their_decision_function(clusters):
    Z, y = clusters
    model = LinearSVC().fit(Z, y)
    assert len(CoDecisionQuery(random_state=0)(model, Z, n_instances=4)) == 4


def test_a_given_prior_wins_over_the_learners_own(clusters):
    Z, y = clusters
    own = np.full((96, 3), 1 / 3)
    given = np.eye(3)[y]
    X = np.hstack([own, given, Z])
    model = CoDecisionClassifier(
        LogisticRegression(), PrecomputedPrior([0, 1, 2], columns=slice(0, 3))
    ).fit(X[::7], y[::7])
    other = PrecomputedPrior([0, 1, 2], columns=slice(3, 6))
    view = view_learner(model, X, FrozenEstimator(other.fit()))
    np.testing.assert_allclose(view.prior_proba, given)


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"uncertainty": "variance"}, "uncertainty"),
        ({"sharpness": -1}, "sharpness"),
        ({"sharpness": np.inf}, "sharpness"),
        ({"balance": np.nan}, "balance"),
        ({"kernel_width": 0}, "kernel_width"),
        ({"kernel_width": np.inf}, "kernel_width"),
        ({"kernel_width": "wide"}, "kernel_width"),
        ({"max_candidates": 0}, "max_candidates"),
        ({"max_candidates": 2.5}, "max_candidates"),
        ({"max_candidates": "all"}, '"auto" or None or an integer'),
        (
            {"block_size": "all"},
            'block_size must be "auto" or an integer of at least 1',
        ),
    ],
)
def test_bad_parameters_are_named(clusters, params, name):
    with pytest.raises(ValueError, match=name):
        CoDecisionQuery(**params).select(clusters[0])


@pytest.mark.parametrize(
    ("arrays", "name"),
    [
        ({"proba": np.ones((96, 3))}, "proba"),
        ({"proba": np.full((95, 2), 0.5)}, "proba"),
        ({"proba": np.full((96, 2), 0.5), "prior_proba": np.ones((96, 1))}, "prior"),
        ({"X_labeled": np.ones((2, 7))}, "X_labeled"),
        ({"X_labeled": np.ones((2, 8)), "y_labeled": [0]}, "y_labeled"),
        (
            {"X_labeled": np.ones((1, 8)), "y_labeled": ["new"], "classes": ["a", "b"]},
            "^y_labeled.*new",
        ),
        ({"proba": np.full((96, 2), 0.5), "classes": ["a", "b", "c"]}, "^proba.*3"),
        ({"trust": 1.5}, "trust"),
        ({"n_instances": 97}, "n_instances"),
    ],
)
def test_bad_arrays_are_named(clusters, arrays, name):
    with pytest.raises(ValueError, match=name):
        CoDecisionQuery().select(clusters[0], **arrays)


def test_text_without_anything_that_embeds_it_is_refused():
    with pytest.raises(ValueError, match="no encoder for the pool"):
        CoDecisionQuery()(LogisticRegression(), ["one text", "another"], 1)


def test_unfitted_pipeline_fits_its_transformers_on_the_pool():
    from sklearn.feature_extraction.text import TfidfVectorizer

    texts = ["apple pie", "apple tart", "car engine", "car wheel"]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    picked = CoDecisionQuery(kernel_width=0.5, random_state=0)(pipeline, texts, 2)
    assert {i // 2 for i in picked} == {0, 1}
    assert not hasattr(pipeline[0], "vocabulary_")
    assert clone(pipeline)


def test_a_fitted_pipeline_is_asked_about_the_texts_themselves():
    from sklearn.feature_extraction.text import TfidfVectorizer

    kinds = ["apple", "pear", "car", "train"]
    texts = [f"{a} {b}" for a in kinds for b in kinds]
    labels = [int(text.split()[0] in kinds[2:]) for text in texts]
    pipeline = make_pipeline(TfidfVectorizer(), LogisticRegression())
    pipeline.fit(texts[::3], labels[::3])
    strategy = CoDecisionQuery(kernel_width=0.5, random_state=0)
    np.testing.assert_array_equal(
        strategy(pipeline, texts, 5),
        strategy.select(
            pipeline[0].transform(texts), pipeline.predict_proba(texts), n_instances=5
        ),
    )


@pytest.mark.parametrize("kind", ["least_confidence", "margin", "entropy"])
def test_uncertainty_runs_from_0_to_1(kind):
    sure, unsure = np.eye(4)[:1], np.full((1, 4), 0.25)
    assert uncertainty_of(sure, kind)[0] == pytest.approx(0)
    top = {"least_confidence": 0.75}.get(kind, 1.0)
    assert uncertainty_of(unsure, kind)[0] == pytest.approx(top)
    assert uncertainty_of(np.ones((3, 1)), kind) == pytest.approx(0)


def test_class_shares_undo_equal_shares():
    """Posteriors under equal shares come from likelihoods; EM finds the real shares."""
    rng = np.random.RandomState(0)
    y = rng.choice(3, size=4000, p=[0.7, 0.25, 0.05])
    x = y * 3.0 + rng.normal(size=4000)
    likelihood = np.exp(-0.5 * (x[:, None] - 3.0 * np.arange(3)) ** 2)
    shares = class_shares(likelihood / likelihood.sum(axis=1, keepdims=True))
    np.testing.assert_allclose(shares, np.bincount(y) / 4000, atol=0.02)


def test_automatic_width_looks_at_what_has_weight():
    """Most of a large pool is known and similar; the rest are outliers."""
    n_far = 2100
    rows = sparse.csr_matrix(np.eye(n_far + 1))
    Z = sparse.vstack([rows[:n_far], rows[np.full(3 * n_far, n_far)]], format="csr")
    proba = np.full((Z.shape[0], 2), [1.0, 0.0])
    proba[:n_far] = 0.5
    strategy = CoDecisionQuery(max_candidates=None, balance=0, random_state=0)
    _, utilities = strategy.select(Z, proba, return_utilities=True)
    # Near copies of one sample all say that a label reaches nowhere; then each of the
    # others would only cover itself.
    weight = 0.5**strategy.sharpness
    assert utilities[:n_far].min() > 100 * weight


def test_sample_of_a_large_pool_has_no_repeats():
    rows = _sample_rows(17_000, np.random.RandomState(0))
    assert len(rows) == len(set(rows)) == 16_384
    assert rows[0] >= 0
    assert rows[-1] < 17_000
    assert (np.diff(rows) > 0).all()
    assert _sample_rows(16_384, np.random.RandomState(0)) is None


def test_a_number_is_no_prior():
    with pytest.raises(TypeError, match=r"prior must be .* got 10\. .* n_instances"):
        CoDecisionQuery(10)(LogisticRegression(), np.eye(12))
