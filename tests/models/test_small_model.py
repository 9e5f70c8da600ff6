"""Any classifier as small model: weights, missing classes, out-of-fold predictions."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.pipeline import make_pipeline as make_sampling_pipeline
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.datasets import make_blobs
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC

from cofm_sklearn.models.small_model import (
    class_proba,
    cross_fit_proba,
    fit_small_model,
    learned_share,
)
from cofm_sklearn.models.training_set import TrainingSet, net_weight, typical_rows

CLASSES = np.array(["a", "b", "c"])


@pytest.fixture
def data():
    X, codes = make_blobs(60, centers=3, cluster_std=0.5, random_state=0)
    return TrainingSet(X, codes, CLASSES)


def tiny_net(n_outputs=3, n_inputs=2):
    from skorch import NeuralNetClassifier
    from torch import manual_seed, nn

    manual_seed(0)
    return NeuralNetClassifier(
        nn.Linear(n_inputs, n_outputs),
        criterion=nn.CrossEntropyLoss,
        train_split=None,
        max_epochs=40,
        lr=0.5,
        verbose=0,
    )


MODELS = {
    "takes weights": LogisticRegression(),
    "no weights": KNeighborsClassifier(3),
    "no probabilities": LinearSVC(),
    "pipeline": make_pipeline(StandardScaler(), LogisticRegression()),
    "oversampling": make_sampling_pipeline(
        RandomOverSampler(random_state=0), LogisticRegression()
    ),
    "SMOTE": make_sampling_pipeline(
        SMOTE(k_neighbors=1, random_state=0), LogisticRegression()
    ),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("weighted", [False, True])
def test_any_classifier(data, name, weighted):
    if weighted:
        data.weight = np.linspace(0.1, 2, 60)
    before = repr(MODELS[name])
    model = fit_small_model(MODELS[name], data)
    proba = class_proba(model, data.X, CLASSES)
    assert proba.shape == (60, 3)
    assert_allclose(proba.sum(axis=1), 1)
    assert np.mean(proba.argmax(axis=1) == data.codes) > 0.95
    assert repr(MODELS[name]) == before
    assert not hasattr(MODELS[name], "classes_")


@pytest.mark.parametrize("missing", [None, 0, 1, 2])
def test_net_with_fixed_outputs(data, missing):
    rows = np.flatnonzero(data.codes != missing)
    X = data.X.astype(np.float32)
    part = TrainingSet(X, data.codes, CLASSES).subset(rows)
    net = tiny_net()
    proba = class_proba(fit_small_model(net, part), X[rows], CLASSES)
    assert np.mean(proba.argmax(axis=1) == part.codes) > 0.95
    assert not net.initialized_
    inside = make_sampling_pipeline(RandomOverSampler(random_state=0), tiny_net())
    proba = class_proba(fit_small_model(inside, part), X[rows], CLASSES)
    assert np.mean(proba.argmax(axis=1) == part.codes) > 0.95


def test_net_with_the_wrong_number_of_outputs(data):
    data.X = data.X.astype(np.float32)
    model = fit_small_model(tiny_net(n_outputs=5), data)
    with pytest.raises(ValueError, match="5 outputs for 3 classes"):
        class_proba(model, data.X, CLASSES)


def test_classes_without_labels_have_no_probability(data):
    part = data.subset(np.flatnonzero(data.codes != 1))
    for name in ("takes weights", "no probabilities"):
        model = fit_small_model(MODELS[name], part)
        proba = class_proba(model, data.X, CLASSES)
        assert_array_equal(proba[:, 1], 0)
        assert_allclose(proba.sum(axis=1), 1)
        assert_array_equal(CLASSES[proba.argmax(axis=1)], model.predict(data.X))


def test_one_class_and_no_class(data):
    part = data.subset(np.flatnonzero(data.codes == 2))
    model = fit_small_model(LogisticRegression(), part)
    assert_array_equal(class_proba(model, data.X, CLASSES), np.eye(3)[np.full(60, 2)])
    assert_array_equal(model.predict(data.X), np.full(60, "c"))
    nothing = data.subset(np.array([], dtype=int))
    assert fit_small_model(LogisticRegression(), nothing) is None
    assert_allclose(class_proba(None, data.X, CLASSES), 1 / 3)


def test_a_regressor_is_refused(data):
    model = LinearRegression().fit(data.X, data.codes)
    with pytest.raises(TypeError, match="LinearRegression has neither predict_proba"):
        class_proba(model, data.X, CLASSES)


def test_weights_reach_the_end_of_a_pipeline(data):
    data.weight = np.random.RandomState(0).uniform(0.1, 3, 60)
    alone = fit_small_model(LogisticRegression(), data)
    y = CLASSES[data.codes]
    by_hand = LogisticRegression().fit(data.X, y, sample_weight=data.weight)
    assert_allclose(alone.coef_, by_hand.coef_)
    nested = make_pipeline(make_pipeline("passthrough", LogisticRegression()))
    inner = fit_small_model(nested, data)[-1][-1]
    assert_allclose(inner.coef_, by_hand.coef_, rtol=1e-6)


def test_without_weights_doubtful_rows_are_kept_away():
    X = np.arange(6.0)[:, None]
    data = TrainingSet(X, np.array([0, 0, 1, 0, 2, 2]), CLASSES)
    quality = np.array([1, 1, 1, 0.1, 0.2, 0.1])
    model = fit_small_model(KNeighborsClassifier(1), data.weighed(quality))
    # The best member of a class stays, doubtful or not.
    assert_array_equal(model.predict(X), ["a", "a", "b", "b", "c", "c"])


def test_without_weights_an_extra_row_is_there_as_often_as_it_weighs(data):
    part = TrainingSet(data.X, data.codes, CLASSES, None, data.X[:3], 4)
    doubtful = np.where(np.arange(60) == 5, 0.1, 1.0)
    X, codes = part.weighed(doubtful).rows_without_weights()
    assert_array_equal(X[:59], np.delete(data.X, 5, axis=0))
    assert_array_equal(X[59:], np.tile(data.X[:3], (4, 1)))
    assert_array_equal(codes[59:], np.tile([0, 1, 2], 4))


def test_weights_of_the_caller_leave_no_label_out_of_a_model_without_weights(data):
    weight = np.where(data.codes == 0, 0.1, 10.0)
    weighted = TrainingSet(data.X, data.codes, CLASSES, weight)
    for a, b in zip(weighted.rows_without_weights(), data.rows_without_weights()):
        assert_array_equal(a, b)


def test_equal_weights_are_passed_on(data):
    threefold = TrainingSet(data.X, data.codes, CLASSES, np.full(60, 3.0))
    model = fit_small_model(LogisticRegression(C=0.01), threefold)
    labels = CLASSES[np.tile(data.codes, 3)]
    repeated = LogisticRegression(C=0.01).fit(np.tile(data.X, (3, 1)), labels)
    assert_allclose(model.coef_, repeated.coef_, atol=1e-4)


def test_more_neighbours_than_labels_are_named(data):
    few = data.subset(np.flatnonzero(data.codes < 2)[:4])
    model = fit_small_model(KNeighborsClassifier(5), few)
    with pytest.raises(ValueError, match="Lower n_neighbors, or label more"):
        class_proba(model, data.X, CLASSES)


def test_scores_of_pairs_of_classes_are_refused():
    X, y = make_blobs([20] * 3, random_state=0)
    pairs = SVC(decision_function_shape="ovo").fit(X, y)
    with pytest.raises(ValueError, match="decision_function_shape='ovr'"):
        class_proba(pairs, X, np.arange(3))
    class_proba(SVC().fit(X, y), X, np.arange(3))


def test_rows_of_weight_zero_are_absent(data):
    weight = np.ones(60)
    weight[data.codes == 1] = 0
    zeroed = TrainingSet(data.X, data.codes, CLASSES, weight)
    removed = data.subset(np.flatnonzero(weight))
    assert_array_equal(zeroed.class_counts(), removed.class_counts())
    for model in (LogisticRegression(), KNeighborsClassifier()):
        assert_allclose(
            class_proba(fit_small_model(model, zeroed), data.X, CLASSES),
            class_proba(fit_small_model(model, removed), data.X, CLASSES),
        )


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, pd.DataFrame])
def test_extra_rows_belong_to_every_training_set(data, kind):
    centers = np.array([data.X[data.codes == k].mean(axis=0) for k in range(3)])
    X = kind(data.X)
    extra = pd.DataFrame(centers) if kind is pd.DataFrame else centers
    part = TrainingSet(X, data.codes, CLASSES, None, extra, 0.5)
    rows, codes, weight = part.subset(np.array([4, 7])).rows()
    assert rows.shape == (5, 2)
    assert_array_equal(codes, [*data.codes[[4, 7]], 0, 1, 2])
    assert_array_equal(weight, [1, 1, 0.5, 0.5, 0.5])
    nothing = part.subset(np.array([], dtype=int))
    proba = class_proba(fit_small_model(LogisticRegression(), nothing), X, CLASSES)
    assert np.mean(proba.argmax(axis=1) == data.codes) > 0.95


@pytest.mark.parametrize("n_folds", [2, 5, 1000])
def test_predictions_are_out_of_fold(n_folds):
    rng = np.random.RandomState(0)
    X, codes = rng.normal(size=(300, 2)), rng.randint(3, size=300)
    data = TrainingSet(X, codes, CLASSES)
    nearest = KNeighborsClassifier(1)
    in_sample = class_proba(fit_small_model(nearest, data), X, CLASSES)
    assert np.mean(in_sample.argmax(axis=1) == codes) == 1
    proba, counts = cross_fit_proba(nearest, data, n_folds=n_folds, random_state=0)
    assert abs(np.mean(proba.argmax(axis=1) == codes) - 1 / 3) < 0.1
    left_out = np.bincount(codes) - counts
    assert (left_out[np.arange(300), codes] >= 1).all()
    assert_array_equal(left_out.sum(axis=1), 300 // min(n_folds, 300))


def test_folds_share_out_small_classes(data):
    codes = np.r_[np.zeros(50, int), np.ones(5, int), np.full(5, 2)]
    data = TrainingSet(data.X, codes, CLASSES)
    _, counts = cross_fit_proba(KNeighborsClassifier(1), data, random_state=0)
    assert_array_equal(np.unique(counts, axis=0), [[40, 4, 4]])


def test_jobs_do_not_matter(data):
    one = cross_fit_proba(LogisticRegression(), data, random_state=3, n_jobs=1)
    two = cross_fit_proba(LogisticRegression(), data, random_state=3, n_jobs=2)
    for a, b in zip(one, two):
        assert_array_equal(a, b)
    other, _ = cross_fit_proba(LogisticRegression(), data, random_state=4)
    assert not np.array_equal(one[0], other)


@given(codes=st.lists(st.integers(0, 9), min_size=1, max_size=8))
@settings(max_examples=30, deadline=None)
def test_any_few_labels_will_do(codes):
    X = np.random.RandomState(0).normal(size=(len(codes), 2))
    data = TrainingSet(X, np.array(codes), np.arange(10))
    proba, counts = cross_fit_proba(KNeighborsClassifier(1), data, random_state=0)
    assert_allclose(proba.sum(axis=1), 1)
    assert counts.shape == proba.shape == (len(codes), 10)
    if len(codes) == 1:
        assert_allclose(proba, 0.1)


def test_rows_that_do_not_sum_to_one_are_made_to():
    """Naive Bayes gives [1, 1] here: the logarithms are too large to differ."""
    model = GaussianNB().fit([[-1.0, 0.0], [1.0, 0.0]], list("ab"))
    far = np.array([[0.0, 1e6]])
    assert_array_equal(model.predict_proba(far), [[1, 1]])
    assert_array_equal(class_proba(model, far, np.array(["a", "b"])), [[0.5, 0.5]])


def test_probabilities_that_are_not_finite_are_refused():
    """Naive Bayes divides by the variance of features, and all are constant here."""
    with np.errstate(all="ignore"):
        model = GaussianNB().fit(np.ones((4, 2)), list("aabb"))
        with pytest.raises(ValueError, match=r"GaussianNB.predict_proba\(X\) contains"):
            class_proba(model, np.ones((1, 2)), np.array(["a", "b"]))


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**16), st.integers(1, 500))
def test_typical_rows_are_means_of_the_surest_in_any_order(seed, n):
    rng = np.random.RandomState(seed)
    X, proba = rng.normal(size=(n, 3)), rng.dirichlet(np.ones(4), size=n).round(1)
    rows, weight = typical_rows(X, proba)
    assert weight == min(max(n // 16, 1), 10)
    n_typical = max(weight, n // 32)
    for k, row in enumerate(rows):
        worst = sorted(proba[:, k], reverse=True)[:n_typical][-1]
        mean = X[proba[:, k] >= worst].mean(axis=0)  # equals of the last count, too
        length = np.mean([np.linalg.norm(x) for x in X])
        assert_allclose(row, mean / np.linalg.norm(mean) * length, atol=1e-9)
    order = rng.permutation(n)
    assert_allclose(typical_rows(X[order], proba[order])[0], rows, atol=1e-9)


def test_a_small_model_learns_a_prior_that_reads_its_features():
    X, y = make_blobs(300, centers=3, cluster_std=2.0, random_state=0)
    reads = LogisticRegression().fit(X, y).predict_proba(X)
    rng = np.random.RandomState(0)
    unseen = rng.dirichlet(np.ones(3), size=300)
    constant = np.full((300, 3), 1 / 3)
    shares = []
    for proba in (reads, unseen, constant):
        data = TrainingSet(X[:3], np.arange(3), CLASSES, None, *typical_rows(X, proba))
        shares.append(learned_share(LogisticRegression(), data, X, proba))
    assert shares[0] > 0.7
    assert shares[1] < 0.1
    assert shares[2] == 0


def test_the_learned_share_is_a_squared_correlation():
    X, y = make_blobs(50, centers=2, cluster_std=3.0, random_state=1)
    proba = np.random.RandomState(1).dirichlet(np.ones(2), size=50)
    rows = np.array([X[y == k].mean(axis=0) for k in range(2)])
    model = LogisticRegression().fit(rows, [0, 1], sample_weight=[4, 4])
    log_odds = np.log(proba[:, 0] / proba[:, 1])
    # With two classes, centred log-probabilities are half of the log-odds, once with
    # each sign, so their mean over both classes is 0.
    small = -model.decision_function(X)
    r = log_odds @ small / np.sqrt((log_odds @ log_odds) * (small @ small))
    data = TrainingSet(X[:2], y[:2], CLASSES[:2], None, rows, 4)
    learned = learned_share(LogisticRegression(), data, X, proba)
    assert_allclose(learned, max(r, 0) ** 2, rtol=0.01)
    # A prior that says the opposite is not one that was learned.
    assert learned_share(LogisticRegression(), data, X, proba[:, ::-1]) == (
        pytest.approx(max(-r, 0) ** 2, rel=0.01)
    )


@given(st.integers(2, 50), st.floats(0, 1))
def test_a_net_weight_pulls_as_much_as_all_possible_classes_together(k, quality):
    """The gradient of the log-loss at equal probabilities."""
    weight = net_weight(np.array([quality]), k)[0]
    # One sample of each class with its probability of being the true one.
    target = np.full(k, (1 - quality) / (k - 1))
    target[0] = quality
    pull = target - 1 / k
    if k * quality > 1 + 0.02 * (k - 1):
        assert_allclose(weight * (np.eye(k)[0] - 1 / k), pull, atol=1e-9)
    else:
        assert weight == 0.02
