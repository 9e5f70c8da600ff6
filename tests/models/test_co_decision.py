"""CoDecisionClassifier on arrays."""

import pickle

import numpy as np
import pandas as pd
import pytest
from imblearn.over_sampling import SMOTE
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn import config_context
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import make_column_transformer
from sklearn.datasets import make_blobs, make_classification
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    IsolationForest,
    RandomForestClassifier,
)
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import recall_score, roc_auc_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils import estimator_html_repr
from sklearn.utils.class_weight import compute_sample_weight

from cofm_sklearn import (
    CoDecisionClassifier,
    NeighborGraph,
    NetClassifier,
    PrecomputedPrior,
    SafeSampler,
)
from cofm_sklearn.models import fit_to_pool
from cofm_sklearn.models.small_model import (
    class_proba,
    fit_small_model,
    is_balanced,
)
from cofm_sklearn.models.training import train_co_decision
from cofm_sklearn.models.training_set import TrainingSet, learned_shares
from cofm_sklearn.noise.estimate import centre_logits

LABELS = np.array(["common", "rare", "scarce"])
COLUMNS = [0, 1, 2]


def make_data(skill=3.0, n=240, seed=0):
    """Probabilities of a prior beside two features; and the labels."""
    Z, codes = make_blobs(n, centers=3, cluster_std=1.0, random_state=seed)
    logits = np.random.RandomState(seed + 1).normal(size=(n, 3))
    logits[np.arange(n), codes] += skill
    proba = np.exp(logits)
    proba /= proba.sum(axis=1, keepdims=True)
    return np.column_stack([proba, Z]), LABELS[codes]


@pytest.fixture
def data():
    return make_data()


def co_decision(estimator=None, **options):
    options = {
        "prior": PrecomputedPrior(LABELS, COLUMNS),
        "random_state": 0,
        **options,
    }
    return CoDecisionClassifier(estimator or LogisticRegression(), **options)


def flip(y, share, seed=0):
    rng = np.random.RandomState(seed)
    wrong = rng.uniform(size=len(y)) < share
    codes = np.searchsorted(LABELS, y)
    return np.where(wrong, LABELS[(codes + rng.randint(1, 3, len(y))) % 3], y), wrong


@pytest.mark.parametrize("estimator", [LogisticRegression(), KNeighborsClassifier(1)])
def test_all_classes_from_the_first_label(data, estimator):
    X, _ = data
    model = co_decision(estimator).fit(X[:2], ["common", "common"])
    assert_array_equal(model.classes_, LABELS)
    proba = model.predict_proba(X)
    assert proba.shape == (240, 3)
    assert_allclose(proba.sum(axis=1), 1)
    assert (proba > 0).all()
    assert model.small_model_proba(X)[:, 1:].sum() == 0
    # One class cannot tell samples apart, so the prior decides.
    assert_array_equal(model.predict(X), LABELS[X[:, :3].argmax(axis=1)])
    assert_allclose(model.predict_proba(X), model.prior_proba(X))
    model.fit(X[[0, 5]], LABELS[:2])
    assert_array_equal(model.classes_, LABELS)
    assert model.label_quality_.shape == (2,)


@pytest.mark.parametrize("y", [None, [], np.array([])])
def test_without_labels_the_prior_decides(data, y):
    X, _ = data
    model = co_decision().fit(X, y)
    prior = PrecomputedPrior(LABELS, COLUMNS).fit(X)
    assert_allclose(model.predict_proba(X), prior.predict_proba(X))
    assert_array_equal(model.predict(X), prior.predict(X))
    assert_allclose(model.small_model_proba(X), 1 / 3)
    assert_allclose(model.prior_proba(X), prior.predict_proba(X))
    assert model.estimator_ is None
    assert (model.trust_, model.prior_evidence_) == (1.0, 2 / 3)
    assert model.label_quality_.shape == (0,)
    assert model.oof_proba_.shape == (0, 3)
    assert (model.temperature_, model.noise_rate_) == (1.0, 0.0)
    assert model.noise_rate_interval_ == (0.0, 1.0)
    assert_array_equal(model.noise_matrix_, np.eye(3))
    assert co_decision(trust=0.3).fit(X, y).trust_ == 0.3
    with pytest.raises(ValueError, match="5 features"):
        model.predict(X[:, :4])


def test_without_anything_but_a_fitted_prior(data):
    X, _ = data
    prior = PrecomputedPrior(LABELS, COLUMNS).fit()
    model = co_decision(prior=prior).fit(None)
    assert_array_equal(model.predict(X), prior.predict(X))


def test_labels_decide_whom_to_trust():
    X, y = make_data(skill=6.0)
    X[:, 3:] = np.random.RandomState(9).normal(size=(240, 2))  # useless features
    good = co_decision().fit(X[:60], y[:60])
    assert good.trust_ > 0.7
    assert good.score(X[60:], y[60:]) > 0.9

    X, y = make_data()
    X[:, :3] = np.random.RandomState(9).permutation(X[:, :3])  # useless prior
    useless = co_decision().fit(X[:120], y[:120])
    assert useless.trust_ < 0.1
    alone = co_decision(prior=None).fit(X[:120, 3:], y[:120])
    assert useless.score(X[120:], y[120:]) > alone.score(X[120:, 3:], y[120:]) - 0.03


def test_better_than_either_half():
    X, y = make_data(skill=1.5, n=600)
    X[:, 3:] *= 0.5
    X[:, 3:] += np.random.RandomState(5).normal(size=(600, 2))
    model = co_decision().fit(X[:200], y[:200])
    rest, truth = X[200:], y[200:]

    def accuracy(proba):
        return np.mean(LABELS[proba.argmax(axis=1)] == truth)

    halves = accuracy(model.prior_proba(rest)), accuracy(model.small_model_proba(rest))
    assert model.score(rest, truth) > max(halves) + 0.02


@pytest.mark.parametrize("trust", [0.0, 1.0, 0.5])
def test_fixed_trust(data, trust):
    X, y = data
    model = co_decision(trust=trust).fit(X[:40], y[:40])
    assert model.trust_ == pytest.approx(trust)
    if trust == 1.0:
        assert_array_equal(model.predict(X), LABELS[X[:, :3].argmax(axis=1)])
    if trust == 0.0:
        small = LABELS[model.small_model_proba(X).argmax(axis=1)]
        assert_array_equal(model.predict(X), small)


@pytest.mark.parametrize("estimator", [LogisticRegression(), KNeighborsClassifier()])
@pytest.mark.parametrize("with_prior", [True, False])
def test_wrong_labels_are_found(data, estimator, with_prior):
    X, y = data
    noisy, wrong = flip(y, 0.2)
    options = {} if with_prior else {"prior": None}
    X = X if with_prior else X[:, 3:]
    model = co_decision(estimator, **options).fit(X, noisy)
    assert roc_auc_score(wrong, -model.label_quality_) > 0.95
    assert abs(model.noise_rate_ - wrong.mean()) < 0.08
    clean = co_decision(estimator, **options).fit(X, y)
    assert clean.label_quality_.mean() > 0.9
    assert clean.noise_rate_ < 0.05
    kept = co_decision(estimator, label_noise=None, **options).fit(X, noisy)
    assert_allclose(kept.label_quality_, 1)


def test_cleaning_helps(data):
    X, y = data
    X = X[:, 3:] + 0.5 * np.random.RandomState(1).normal(size=(240, 2))
    scores = {None: [], "auto": []}
    for seed in range(4):
        noisy, _ = flip(y, 0.3, seed)
        for noise, seen in scores.items():
            model = co_decision(
                KNeighborsClassifier(1), prior=None, label_noise=noise
            ).fit(X[:150], noisy[:150])
            seen.append(model.score(X[150:], y[150:]))
    assert np.mean(scores["auto"]) > np.mean(scores[None]) + 0.02


def test_weight_zero_silences_wrong_labels(data):
    X, y = data
    noisy, wrong = flip(y, 0.4)
    model = co_decision(label_noise=None)
    plain = model.fit(X, noisy).small_model_proba(X)
    silenced = model.fit(X, noisy, sample_weight=1.0 - wrong).small_model_proba(X)
    right = clone(model).fit(X[~wrong], y[~wrong]).small_model_proba(X)
    assert_allclose(silenced, right, atol=1e-6)
    assert not np.allclose(plain, right, atol=0.05)
    assert model.label_quality_.shape == y.shape
    # Other spoiled labels of weight 0 change nothing at all.
    before = model.predict_proba(X)
    respoiled = np.where(wrong, "rare", noisy)
    again = clone(model).fit(X, respoiled, sample_weight=1.0 - wrong)
    assert_allclose(again.trust_, model.trust_, atol=0.1)
    assert np.mean(again.predict(X) == LABELS[before.argmax(axis=1)]) > 0.97


def test_only_ratios_of_weights_matter(data):
    # Nearest neighbours has no regularisation that a larger weight would weaken.
    X, y = data
    weight = np.random.RandomState(0).uniform(0.5, 2, len(y))
    with pytest.warns(UserWarning, match="does not take sample_weight"):
        one = co_decision(KNeighborsClassifier()).fit(X, y, weight)
    with pytest.warns(UserWarning, match="does not take sample_weight"):
        ten = co_decision(KNeighborsClassifier()).fit(X, y, 10 * weight)
    assert_allclose(one.predict_proba(X), ten.predict_proba(X))


def test_weights_that_a_small_model_cannot_take_remove_no_class():
    X, y = make_blobs([175, 75], n_features=4, cluster_std=3, random_state=0)
    weight = compute_sample_weight("balanced", y)  # .71 and 1.67
    with pytest.warns(UserWarning, match="KNeighborsClassifier, or a sampler"):
        model = CoDecisionClassifier(KNeighborsClassifier(), random_state=0).fit(
            X, y, sample_weight=weight
        )
    assert recall_score(y, model.predict(X), average=None).min() > 0.8


@pytest.mark.parametrize(
    "estimator",
    [
        KNeighborsClassifier(),
        LinearDiscriminantAnalysis(),
        CalibratedClassifierCV(LogisticRegression()),
        make_sampling_pipeline(
            SafeSampler(SMOTE(random_state=0)), LogisticRegression()
        ),
    ],
)
def test_models_without_weights_learn_from_prior_pool_and_labels(estimator):
    X, y = make_blobs([100] * 3, n_features=4, cluster_std=3, random_state=0)
    rng = np.random.RandomState(0)
    right = np.where(rng.uniform(size=300) < 0.75, y, rng.randint(3, size=300))
    pool = np.hstack([X, 0.125 + 0.625 * np.eye(3)[right]])
    prior = PrecomputedPrior([0, 1, 2], columns=[4, 5, 6])
    model = fit_to_pool(CoDecisionClassifier(estimator, prior, random_state=0), pool)
    labelled = rng.permutation(300)[:60]
    model.fit(pool[labelled], y[labelled])
    alone = clone(estimator).fit(X[labelled], y[labelled]).score(X, y)
    assert model.score(pool, y) > alone
    small = model.small_model_proba(pool).argmax(axis=1)
    assert np.mean(small == y) > alone - 0.03


def test_weight_zero_is_the_same_as_absence(data):
    X, y = data
    used = np.arange(len(y)) % 4 > 0
    ignored = co_decision(random_state=0).fit(X, y, sample_weight=used.astype(float))
    absent = co_decision(random_state=0).fit(X[used], y[used])
    assert_allclose(ignored.predict_proba(X), absent.predict_proba(X), atol=1e-6)
    assert_allclose(ignored.trust_, absent.trust_)


def test_prior_none(data):
    X, y = data
    model = co_decision(prior=None).fit(X[:60, 3:], y[:60])
    assert model.prior_ is None
    assert (model.trust_, model.prior_evidence_) == (0.0, 0.0)
    assert_allclose(model.prior_proba(X[:, 3:]), 1 / 3)
    assert model.score(X[60:, 3:], y[60:]) > 0.9
    for kind in (sparse.csr_array, sparse.csc_matrix, sparse.coo_array):
        same = co_decision(prior=None).fit(kind(X[:60, 3:]), y[:60])
        assert_allclose(
            same.predict_proba(kind(X[:, 3:])),
            model.predict_proba(X[:, 3:]),
            atol=1e-3,
        )


def test_sparse_with_prior_columns(data):
    X, y = data
    dense = co_decision().fit(X[:60], y[:60])
    model = co_decision().fit(sparse.csr_array(X[:60]), y[:60])
    S = sparse.csr_array(X)
    assert_allclose(model.predict_proba(S), dense.predict_proba(X), atol=1e-3)


def test_any_classifier_can_be_a_prior(data):
    X, y = data
    old = LogisticRegression().fit(X[:100], y[:100])
    model = co_decision(KNeighborsClassifier(), prior=old).fit(X[100:130], y[100:130])
    assert model.prior_ is old
    assert_allclose(model.prior_proba(X), old.predict_proba(X))
    assert model.trust_ > 0.2
    with pytest.raises(ValueError, match=r"LogisticRegression.* is not fitted"):
        co_decision(prior=LogisticRegression()).fit(X, y)


def test_fitted_prior_is_used_and_unfitted_cloned(data):
    X, y = data
    unfitted, fitted = (PrecomputedPrior(LABELS, COLUMNS) for _ in range(2))
    fitted.fit()
    model = co_decision(prior=unfitted).fit(X, y)
    assert model.prior_ is not unfitted
    assert not hasattr(unfitted, "classes_")
    assert co_decision(prior=fitted).fit(X, y).prior_ is fitted
    frozen = co_decision(prior=FrozenEstimator(fitted))
    assert clone(frozen).fit(X, y).prior_.estimator is fitted
    assert_allclose(
        clone(frozen).fit(X, y).predict_proba(X), model.predict_proba(X), atol=1e-12
    )


@pytest.mark.parametrize("n_labels", [1, 2, 3, 7])
@pytest.mark.parametrize(
    "estimator", [LogisticRegression(), KNeighborsClassifier(1), LinearSVC()]
)
def test_few_labels(data, n_labels, estimator):
    X, y = data
    model = co_decision(estimator).fit(X[:n_labels], y[:n_labels])
    assert np.isfinite(model.predict_proba(X)).all()
    assert 0 <= model.trust_ <= 1
    assert model.temperature_ > 0
    # A good prior is not thrown away because of a handful of labels.
    prior = np.mean(LABELS[X[:, :3].argmax(axis=1)] == y)
    assert model.score(X, y) > prior - 0.15


def test_duplicates_and_one_class_only(data):
    X, _ = data
    model = co_decision().fit(np.repeat(X[:1], 20, axis=0), np.repeat("rare", 20))
    assert np.isfinite(model.predict_proba(X)).all()
    alone = co_decision(prior=None).fit(X, np.repeat("rare", 240))
    assert_array_equal(alone.predict(X), np.repeat("rare", 240))
    assert_allclose(alone.label_quality_, 1)


def test_seed_and_jobs(data):
    X, y = data[0][:90], data[1][:90]
    noisy, _ = flip(y, 0.2)
    one = co_decision().fit(X, noisy)
    for same in (co_decision(), co_decision(n_jobs=2)):
        assert_array_equal(same.fit(X, noisy).predict_proba(X), one.predict_proba(X))
        assert_array_equal(same.label_quality_, one.label_quality_)
    other = co_decision(random_state=1).fit(X, noisy)
    assert not np.array_equal(other.label_quality_, one.label_quality_)


def test_folds(data):
    X, y = data[0][:60], data[1][:60]
    noisy, _ = flip(y, 0.2)
    two, three, four = (
        co_decision(n_folds=n).fit(X, noisy).oof_proba_ for n in (2, 3, 4)
    )
    assert_array_equal(four, co_decision().fit(X, noisy).oof_proba_)
    assert not np.allclose(two, three)
    assert not np.allclose(three, four)


def test_without_a_prior_there_is_no_evidence_for_it(data):
    assert co_decision(prior=None).fit(*data).prior_evidence_ == 0


def test_what_the_small_model_has_learned_does_not_count_twice():
    """The same opinions, once from features that the small model reads as well."""
    Z, codes = make_blobs(400, centers=3, cluster_std=2.0, random_state=0)
    proba = LogisticRegression().fit(Z, codes).predict_proba(Z)
    noise = np.random.RandomState(0).normal(size=Z.shape)
    trusts = {}
    for name, features in {"reads": Z, "does not": noise}.items():
        X = np.column_stack([proba, features])
        prior = FrozenEstimator(PrecomputedPrior(LABELS, COLUMNS).fit(X))
        for neighbors in (FrozenEstimator(NeighborGraph(prior).fit(X)), None):
            model = co_decision(prior=prior, neighbors=neighbors)
            model.fit(X[:40], LABELS[codes[:40]])
            assert model.prior_evidence_ > 0.9
            trusts[name, neighbors is not None] = model.trust_
    # Only typical samples of a pool teach the small model what the prior knows.
    assert trusts["reads", True] < 0.75 * trusts["reads", False]
    assert trusts["does not", True] > 0.8 * trusts["does not", False]


def test_predictions_out_of_fold_are_the_same_mixture():
    """They calibrate the labels of a pool."""
    X, y = make_data(skill=2.0)
    codes, proba, Z = np.searchsorted(LABELS, y[:80]), X[:80, :3], X[:80, 3:]
    data = TrainingSet(Z, codes, LABELS, np.ones(80), Z[[0, 1, 2]], 1)
    rows_alone = fit_small_model(LogisticRegression(), data.subset(np.arange(0)))
    learned = class_proba(rows_alone, Z, LABELS)
    whole, half = (
        train_co_decision(
            LogisticRegression(), data, proba, pool=pool, random_state=0
        ).cases[0][1]
        for pool in (None, (Z, learned))
    )
    t = whole.fusion.trust
    assert t > 0.1
    assert half.fusion.trust == pytest.approx(t / 2)
    P = centre_logits(proba) / whole.fusion.prior_scale
    mixed = whole.fusion.temperature * centre_logits(whole.oof_proba)
    S = (mixed - t * P) / (1 - t)
    assert_allclose(
        half.fusion.temperature * centre_logits(half.oof_proba),
        t / 2 * P + (1 - t / 2) * S,
        atol=1e-6,
    )


def test_labels_of_little_quality_hardly_count_beside_a_prior():
    X, y = make_data(skill=6.0)
    noisy, wrong = flip(y[:80], 0.3)
    cases = co_decision().fit(X[:80], noisy)._decision.cases
    [case] = [case for _, case in cases if case.fusion.trust > 0]
    quality = case.fusion.label_quality
    assert_allclose(case.label_weight, np.clip((3 * quality - 1) / 2, 0.02, 1))
    assert case.label_weight[wrong].mean() < 0.3
    alone = co_decision(prior=None).fit(X[:80, 3:], noisy)
    [(_, case)] = alone._decision.cases
    assert_array_equal(case.label_weight, case.fusion.label_quality)


class NegativePrior(PrecomputedPrior):
    """A prior that returns scores around 0 instead of probabilities."""

    def predict_proba(self, X):
        return 2 * super().predict_proba(X) - 0.5


def test_a_prior_that_gives_no_probabilities_is_named(data):
    prior = NegativePrior(LABELS, COLUMNS).fit(data[0])
    with pytest.raises(ValueError, match=r"^NegativePrior.predict_proba.X. must"):
        co_decision(prior=prior).fit(*data)


def test_nothing_given_is_changed(data):
    X, y = data
    weight = np.linspace(0.5, 2, len(y))
    estimator, prior = LogisticRegression(), PrecomputedPrior(LABELS, COLUMNS)
    before = X.copy(), y.copy(), weight.copy()
    model = CoDecisionClassifier(estimator, prior).fit(X, y, sample_weight=weight)
    model.predict_proba(X)
    for now, then in zip((X, y, weight), before):
        assert_array_equal(now, then)
    assert model.estimator is estimator
    assert vars(estimator) == vars(LogisticRegression())
    assert vars(prior) == {"classes": LABELS, "columns": COLUMNS}


def test_params_pickle_and_repr(data):
    X, y = data
    model = co_decision(n_folds=3).fit(X, y)
    proba = model.predict_proba(X)
    assert_array_equal(pickle.loads(pickle.dumps(model)).predict_proba(X), proba)
    fresh = clone(model)
    assert not hasattr(fresh, "classes_")
    with pytest.raises(NotFittedError):
        fresh.predict(X)
    fresh.set_params(estimator__C=0.5, prior__columns=[2, 1, 0], trust=0.3)
    assert fresh.estimator.C == 0.5
    assert fresh.prior.columns == [2, 1, 0]
    assert model.estimator.C == 1.0
    assert "CoDecisionClassifier" in repr(model)
    for fitted in (model, fresh):
        html = estimator_html_repr(fitted)
        assert "LogisticRegression" in html
        assert "PrecomputedPrior" in html


def test_weights_are_routed(data):
    X, y = data[0][:90], data[1][:90]
    noisy, wrong = flip(y, 0.4)
    weight = 1.0 - wrong
    by_hand = co_decision().fit(X, noisy, sample_weight=weight).predict_proba(X)
    for routing in (True, False):
        with config_context(enable_metadata_routing=routing):
            model = co_decision()
            name = "sample_weight"
            if routing:
                model.set_fit_request(sample_weight=True)
            else:
                name = "codecisionclassifier__sample_weight"
            pipe = make_pipeline("passthrough", model)
            routed = pipe.fit(X, noisy, **{name: weight}).predict_proba(X)
        assert_allclose(routed, by_hand)
    # The small model gets its own weights, requested or not.
    inner = make_pipeline(StandardScaler(), LogisticRegression())
    plain = co_decision(inner).fit(X, noisy).predict_proba(X)
    with config_context(enable_metadata_routing=True):
        assert_array_equal(co_decision(inner).fit(X, noisy).predict_proba(X), plain)


BAD_FITS = [
    ({}, lambda X, y: (X, np.where(y == "rare", "typo", y)), "label 'typo'"),
    ({}, lambda X, y: (X, np.arange(len(y)) % 3), "unknown label 0"),
    ({}, lambda X, y: (X[:50], y), "50 samples, but y has 240"),
    ({}, lambda X, y: (np.where(np.isin(X, X[7, 4]), np.nan, X), y), "NaN"),
    ({}, lambda X, y: (np.where(np.isin(X, X[7, 4]), np.inf, X), y), "infinity"),
    ({}, lambda X, y: (X[:, 3:], y), "columns"),
    ({}, lambda X, y: (2 * X, y), "instead of 1"),
    ({}, lambda X, y: (np.c_[X, 2 * X], np.full(len(y), "typo")), "typo"),
    ({}, lambda X, y: (X[:0], y), "0 sample"),
    ({}, lambda X, y: (X, y, np.zeros(len(y))), "zero"),
    ({}, lambda X, y: (X, y, -np.ones(len(y))), "[Nn]egative"),
    ({}, lambda X, y: (X, y, np.ones(3)), "sample_weight"),
    ({"trust": 1.5}, lambda X, y: (X, y), "trust must be"),
    ({"trust": "yes"}, lambda X, y: (X, y), "trust must be"),
    ({"trust": True}, lambda X, y: (X, y), "trust must be"),
    ({"trust": None}, lambda X, y: (X, y), "trust must be"),
    ({"label_noise": 1.0}, lambda X, y: (X, y), "label_noise must be"),
    ({"label_noise": -0.1}, lambda X, y: (X, y), "label_noise must be"),
    ({"label_noise": "no"}, lambda X, y: (X, y), "label_noise must be"),
    ({"n_folds": 1}, lambda X, y: (X, y), "n_folds must be"),
    ({"n_folds": 2.5}, lambda X, y: (X, y), "n_folds must be"),
    ({"n_folds": True}, lambda X, y: (X, y), "n_folds must be"),
    ({"prior": None}, lambda X, y: (X, None), "requires y"),
    ({"prior": None}, lambda X, y: (X, []), "requires y"),
]


@pytest.mark.parametrize(("options", "spoil", "message"), BAD_FITS)
def test_a_failed_fit_names_the_fault_and_changes_nothing(
    data, options, spoil, message
):
    frame = pd.DataFrame(data[0], columns=list("abcde"))
    model = co_decision().fit(frame, data[1])
    proba, state = model.predict_proba(frame), dict(vars(model))
    with pytest.raises(ValueError, match=message):
        model.set_params(**options).fit(*spoil(*data))
    assert_array_equal(model.predict_proba(frame), proba)
    learned = {name for name in state if name.endswith("_")}
    assert {name: vars(model)[name] for name in learned} == {
        name: state[name] for name in learned
    }


@pytest.mark.parametrize("held", [list, np.array, pd.DataFrame])
def test_times_are_not_rounded(held):
    """As float32, 200 seconds of one hour are 3 numbers."""
    times = [[1_790_000_000 + i] for i in range(200)]
    y = np.arange(200) // 50
    model = CoDecisionClassifier(KNeighborsClassifier(1), label_noise=None)
    assert_array_equal(model.fit(held(times), y).predict(held(times)), y)


def test_other_errors(data):
    X, y = data
    with pytest.raises(TypeError, match="LinearRegression has neither"):
        co_decision(LinearRegression(), prior=None).fit(X, np.searchsorted(LABELS, y))
    model = co_decision().fit(X, y)
    for method in ("predict", "predict_proba", "small_model_proba", "prior_proba"):
        with pytest.raises(ValueError, match="expecting 5 features"):
            getattr(model, method)(X[:, :4])
        with pytest.raises(ValueError, match="NaN"):
            getattr(model, method)(np.full((2, 5), np.nan))
        with pytest.raises(NotFittedError):
            getattr(co_decision(), method)(X)


def test_a_prior_must_give_probabilities(data):
    X, y = data

    class Broken(LogisticRegression):
        def predict_proba(self, X):
            return np.full((len(X), 3), np.nan)

    with pytest.raises(ValueError, match=r"Broken.predict_proba\(X\) contains NaN"):
        co_decision(prior=Broken().fit(X, y)).fit(X, y)


def test_refit_on_another_kind_of_data(data):
    X, y = data
    frame = pd.DataFrame(X, columns=list("abcde"))
    model = co_decision().fit(frame, y)
    assert model.feature_names_in_.tolist() == list("abcde")
    model.set_params(prior=None).fit(X[:, 3:], y)
    assert model.n_features_in_ == 2
    assert not hasattr(model, "feature_names_in_")


def test_out_of_fold_probabilities_have_not_seen_the_label():
    """Random labels are predicted at chance level out of fold, but not in sample."""
    rng = np.random.RandomState(0)
    X, y = rng.normal(size=(120, 30)), rng.randint(2, size=120)
    model = CoDecisionClassifier(
        LogisticRegression(C=100.0), label_noise=None, random_state=0
    ).fit(X, y)
    oof = model.oof_proba_
    assert oof.shape == (120, 2)
    np.testing.assert_allclose(oof.sum(axis=1), 1)
    assert (model.predict(X) == y).mean() > 0.7
    assert 0.35 < (oof.argmax(axis=1) == y).mean() < 0.65


def test_out_of_fold_predictions_do_not_agree_with_labels_of_pure_chance():
    agreed = []
    for seed in range(4):
        rng = np.random.RandomState(seed)
        X, y = rng.normal(size=(200, 10)), rng.randint(3, size=200)
        model = CoDecisionClassifier(KNeighborsClassifier(1), random_state=0)
        agreed.append(np.mean(model.fit(X, y).oof_proba_.argmax(axis=1) == y))
    assert np.mean(agreed) == pytest.approx(1 / 3, abs=0.05)


@pytest.mark.parametrize("prior", [None, PrecomputedPrior(LABELS, COLUMNS)])
def test_samples_of_weight_0_change_nothing(prior):
    X, y = make_data(skill=1.0)
    if prior is None:
        X = X[:, 3:]
    n, m = 40, 60
    given = y[:m].copy()
    given[n:] = np.roll(LABELS, 1)[np.searchsorted(LABELS, y[n:m])]  # all are wrong
    alone = co_decision(prior=prior).fit(X[:n], given[:n])
    both = co_decision(prior=prior)
    both.fit(X[:m], given, sample_weight=np.r_[np.ones(n), np.zeros(m - n)])
    assert_allclose(both.predict_proba(X), alone.predict_proba(X), atol=1e-9)


def test_an_old_pipeline_that_is_not_fitted_names_the_cure(data):
    X, y = data
    old = make_pipeline(StandardScaler(), LogisticRegression())
    for prior in (old, old[-1]):
        with pytest.raises(ValueError, match="wrap it in FrozenEstimator"):
            co_decision(prior=prior).fit(X, y)


@pytest.mark.parametrize("fit", [True, False])
def test_a_prior_without_classes_is_named(data, fit):
    X, y = data
    prior = IsolationForest(n_estimators=2, random_state=0)
    if fit:
        prior.fit(X)
    with pytest.raises(TypeError, match=r"prior=IsolationForest.* has no classes_"):
        co_decision(prior=prior).fit(X, y)


@pytest.mark.parametrize("form", ["integers", "floats", "array"])
def test_codes_of_categories_are_not_averaged(data, form):
    X, y = data
    codes = np.arange(len(y)) % 3 * 10
    X = np.column_stack([X, codes])
    if form != "array":
        X = pd.DataFrame(X, columns=list("abcdef"))
    if form == "integers":
        X["f"] = codes
    columns = ["f"] if form != "array" else [2]
    encode = make_column_transformer(
        (OneHotEncoder(categories=[[0, 10, 20]]), columns), remainder="passthrough"
    )
    model = fit_to_pool(co_decision(make_pipeline(encode, LogisticRegression())), X)
    take = X.iloc[:20] if form != "array" else X[:20]
    model.fit(take, y[:20])
    assert (model.predict(X) == y).mean() > 0.9


def test_counts_give_the_same_model_as_floats(data):
    X, y = data
    counts = np.random.RandomState(0).poisson(np.eye(3)[np.searchsorted(LABELS, y)])
    frame = pd.DataFrame(X[:, :3], columns=list("abc"))
    frame[["x", "y", "z"]] = counts
    proba = []
    for kind in (int, float):
        pool = frame.astype(dict.fromkeys("xyz", kind))
        model = fit_to_pool(co_decision(), pool).fit(pool[:20], y[:20])
        proba.append(model.predict_proba(pool))
    assert_allclose(proba[0], proba[1])


@pytest.mark.parametrize(
    "small",
    [
        LogisticRegression(),
        RandomForestClassifier(50, random_state=0),
        HistGradientBoostingClassifier(max_iter=30, class_weight="balanced"),
        CalibratedClassifierCV(LogisticRegression(class_weight="balanced"), cv=3),
    ],
    ids=["logistic", "forest", "boosting with class weights", "calibrated"],
)
def test_right_labels_of_a_rare_class_look_right_to_an_unbalanced_model(small):
    X, y = make_classification(
        1600,
        10,
        n_informative=6,
        weights=[0.9],
        flip_y=0,
        class_sep=1.3,
        random_state=0,
    )
    known, y_known = X[:600], y[:600]
    model = CoDecisionClassifier(small, random_state=0).fit(known, y_known)
    assert (model.label_quality_[y_known == 1] > 0.5).mean() > 0.95
    assert model.noise_rate_interval_[0] < 0.001
    assert model.noise_matrix_[1, 0] < 0.05
    alone = clone(small).fit(known, y_known).predict(X[600:])
    recall = recall_score(y[600:], model.predict(X[600:]))
    assert recall > recall_score(y[600:], alone) - 0.05


def test_a_balanced_model_is_judged_by_its_own_probabilities():
    small = LogisticRegression(class_weight="balanced")
    assert is_balanced(make_pipeline(StandardScaler(), small))
    assert is_balanced(NetClassifier(class_weight="balanced"))
    assert not is_balanced(NetClassifier())
    assert is_balanced(LinearSVC())
    assert is_balanced(make_sampling_pipeline(SMOTE(), LogisticRegression()))
    assert not is_balanced(make_pipeline(StandardScaler(), LogisticRegression()))
    assert not is_balanced(KNeighborsClassifier())
    assert not is_balanced(CalibratedClassifierCV(small))
    assert not is_balanced(RandomForestClassifier(class_weight="balanced"))


@pytest.mark.parametrize("contained", [(0.5, 0.3, 0.2), (1, 1, 1), (0.1, 0.1, 0.8)])
@pytest.mark.parametrize("shares", [(0.7, 0.2, 0.1), (0.2, 0.2, 0.6)])
def test_the_shares_that_probabilities_contain_are_found(contained, shares):
    contained, shares = (np.divide(s, np.sum(s)) for s in (contained, shares))
    rng = np.random.RandomState(0)
    codes = rng.choice(3, size=6000, p=shares)
    x = rng.normal(loc=1.5 * codes)
    density = np.exp(-((x[:, None] - 1.5 * np.arange(3)) ** 2) / 2)
    proba = density * contained
    proba /= proba.sum(axis=1, keepdims=True)
    found = learned_shares(proba, codes, np.ones(6000))
    assert_allclose(found, contained, atol=0.03)
    # Samples of weight 0 do not count; others count by their weight.
    weight = np.repeat([0.0, 0.5], 3000)
    half = learned_shares(proba[3000:], codes[3000:], np.full(3000, 0.5))
    assert_allclose(learned_shares(proba, codes, weight), half)


def test_a_sparse_pool_gives_the_same_model_as_a_dense_one(data):
    X, y = data
    X = X.copy()
    X[:, 3:][np.abs(X[:, 3:]) < 0.3] = 0
    models = [
        fit_to_pool(co_decision(), pool).fit(pool[:20], y[:20])
        for pool in (X, sparse.csr_matrix(X))
    ]
    dense, of_sparse = (model.predict_proba(X) for model in models)
    assert_allclose(of_sparse, dense, atol=1e-4)
    assert models[0].trust_ == pytest.approx(models[1].trust_, abs=1e-4)
