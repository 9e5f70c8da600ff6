"""Nets as ordinary classifiers: classes, weights, losses, seeds and devices."""

import copy
import pickle

import numpy as np
import pytest
import torch
from modAL.models import ActiveLearner
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits, make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils import estimator_html_repr

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    NetClassifier,
    PrecomputedPrior,
)

FAST = {"lr": 0.05, "max_epochs": 20, "device": "cpu", "random_state": 0}


@pytest.fixture
def blobs():
    X, codes = make_blobs(
        90, n_features=6, centers=3, cluster_std=2.0, center_box=(-4, 4), random_state=0
    )
    return X, np.array(["ham", "spam", "eggs"])[codes]


def state_of(net):
    return {k: v.numpy() for k, v in net.net_.module_.state_dict().items()}


# Parameters


def test_settings_are_parameters():
    net = NetClassifier("mlp", module__hidden=(4,), optimizer__weight_decay=0.1)
    net.set_params(criterion__q=0.5, lr=0.1, criterion="gce")
    params = clone(net).get_params()
    assert params["module__hidden"] == (4,)
    assert params["optimizer__weight_decay"] == 0.1
    assert params["criterion__q"] == 0.5
    assert params["lr"] == 0.1
    assert "module__hidden=(4,)" in repr(net)
    assert "module__hidden" in estimator_html_repr(net)


def test_settings_reach_the_parts(blobs):
    net = NetClassifier(
        module__hidden=(5, 4),
        module__dropout=0.25,
        optimizer="SGD",
        optimizer__momentum=0.9,
        iterator_train__batch_size=7,
        **FAST,
    ).fit(*blobs)
    layers = list(net.net_.module_)
    assert [layer.out_features for layer in layers[::3]] == [5, 4, 3]
    assert layers[2].p == 0.25
    assert isinstance(net.net_.optimizer_, torch.optim.SGD)
    assert net.net_.optimizer_.param_groups[0]["momentum"] == 0.9
    assert len(net.net_.history[0]["batches"]) == -(-90 // 7)


def test_unknown_names_are_refused(blobs):
    with pytest.raises(TypeError, match="modul"):
        NetClassifier(modul="mlp")
    with pytest.raises(ValueError, match="modul"):
        NetClassifier().set_params(modul="mlp")
    with pytest.raises(TypeError, match="width"):
        NetClassifier(module__width=3, **FAST).fit(*blobs)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"module": "transformer"}, "module must be"),
        ({"criterion": "mse"}, "criterion must be"),
        ({"criterion": "gce", "criterion__q": 0}, "criterion__q"),
        ({"criterion": "focal", "criterion__gamma": -1}, "criterion__gamma"),
        ({"optimizer": "Adamm"}, "optimizer='Adamm'"),
        ({"lr": 0}, "lr must be"),
        ({"max_epochs": 0}, "max_epochs"),
        ({"label_smoothing": 1.0}, "label_smoothing"),
        ({"validation_fraction": 0.0}, "validation_fraction"),
        ({"class_weight": "equal"}, "class_weight"),
        ({"class_weight": {"tofu": 1}}, "tofu"),
        ({"class_weight": {"ham": -1}}, "class_weight"),
        ({"classes": ["ham", "spam"]}, "eggs"),
        ({"module": "conv"}, "image_shape"),
        ({"module": "conv", "image_shape": (2, 2)}, "image_shape"),
    ],
)
def test_bad_parameters_are_named_and_leave_the_net_as_it_was(blobs, params, message):
    X, y = blobs
    net = NetClassifier("linear", **FAST).fit(X, y)
    before = net.predict_proba(X)
    with pytest.raises(ValueError, match=message):
        clone(net).set_params(**params).fit(X, y)
    old = net.get_params()
    with pytest.raises(ValueError, match=message):
        net.set_params(**params).fit(X[:, :6], y)
    net.set_params(module=old["module"], image_shape=None)
    assert_array_equal(net.predict_proba(X), before)


def test_bad_data_is_refused(blobs):
    X, y = blobs
    net = NetClassifier("linear", **FAST)
    with pytest.raises(ValueError, match="90 samples, but y has 89"):
        net.fit(X, y[:-1])
    with pytest.raises(ValueError, match="zero"):
        net.fit(X, y, sample_weight=np.zeros(90))
    with pytest.raises(ValueError, match="dimensions"):
        net.fit(X.reshape(90, 2, 3), y)


# Classes


def test_all_classes_have_a_column(blobs):
    X, y = blobs
    some = y != "spam"
    net = NetClassifier("linear", classes=["spam", "eggs", "ham", "tofu"], **FAST)
    net.fit(X[some], y[some])
    assert net.classes_.tolist() == ["eggs", "ham", "spam", "tofu"]
    proba = net.predict_proba(X)
    assert proba.shape == (90, 4)
    assert (proba > 0).all()
    assert_allclose(proba.sum(axis=1), 1)
    assert net.score(X[some], y[some]) > 0.9


def test_one_label_is_enough(blobs):
    X, _ = blobs
    net = NetClassifier("mlp", classes=["a", "b"], **FAST).fit(X[:1], ["b"])
    assert net.predict(X[:3]).tolist() == ["b"] * 3


# Losses and weights


def test_linear_net_finds_the_optimum_of_logistic_regression(blobs):
    X, y = blobs
    X = (X - X.mean(axis=0)) / (X - X.mean(axis=0)).std()
    weight = np.random.RandomState(0).uniform(0.1, 2, len(y))
    # decay 0.01 per unit of mean loss is C = 1 / (0.01 * sum of weights)
    slow = LogisticRegression(C=1 / (0.01 * weight.sum()), max_iter=1000)
    slow.fit(X, y, sample_weight=weight)
    net = NetClassifier(
        "linear",
        optimizer="SGD",
        optimizer__weight_decay=0.01,
        optimizer__param_groups=[("bias", {"weight_decay": 0.0})],
        lr=1.0,
        batch_size=90,
        max_epochs=500,
        standardize=False,
        device="cpu",
    ).fit(X, y, sample_weight=weight)
    assert_allclose(net.predict_proba(X), slow.predict_proba(X), atol=0.002)


def test_weight_two_is_a_sample_twice_and_weight_zero_is_none(blobs):
    X, y = blobs
    weight = np.arange(90) % 3
    params = {**FAST, "batch_size": 200}
    weighted = NetClassifier(**params).fit(X, y, sample_weight=weight)
    repeated = NetClassifier(**params).fit(np.repeat(X, weight, 0), y.repeat(weight))
    assert_allclose(
        weighted.predict_proba(X), repeated.predict_proba(X), rtol=1e-3, atol=1e-5
    )


def test_balanced_weights_are_those_of_scikit_learn(blobs):
    X, y = blobs
    keep = np.r_[np.flatnonzero(y == "ham"), np.flatnonzero(y != "ham")[:8]]
    X, y = X[keep], y[keep]
    labels, counts = np.unique(y, return_counts=True)
    by_hand = dict(zip(labels.tolist(), (len(y) / counts).tolist()))
    one = NetClassifier("linear", class_weight="balanced", **FAST).fit(X, y)
    other = NetClassifier("linear", class_weight=by_hand, **FAST).fit(X, y)
    plain = NetClassifier("linear", **FAST).fit(X, y)
    assert_allclose(one.predict_proba(X), other.predict_proba(X), rtol=1e-4)
    rare = one.classes_ != "ham"
    mass = [net.predict_proba(X)[:, rare].sum() for net in (one, plain)]
    assert mass[0] > 1.2 * mass[1]


@pytest.mark.parametrize(
    ("name", "setting", "by_hand"),
    [
        ("cross_entropy", {}, lambda p: -np.log(p)),
        ("gce", {"q": 0.7}, lambda p: (1 - p**0.7) / 0.7),
        ("gce", {"q": 1.0}, lambda p: 1 - p),
        ("focal", {"gamma": 2.0}, lambda p: -((1 - p) ** 2) * np.log(p)),
    ],
)
def test_losses_follow_their_formulas(name, setting, by_hand):
    from cofm_sklearn.models.net.data import soft_targets
    from cofm_sklearn.models.net.parts import LOSSES

    rng = np.random.RandomState(0)
    logits = torch.tensor(rng.randn(5, 3), dtype=torch.float64, requires_grad=True)
    codes, weight = np.array([0, 1, 2, 2, 0]), np.array([1.0, 2.0, 0.5, 1.0, 0.0])
    targets = torch.as_tensor(soft_targets(codes, 3, weight))
    loss = LOSSES[name](**setting)(logits, targets)
    p = torch.softmax(logits, -1).detach().numpy()[np.arange(5), codes]
    assert_allclose(loss.item(), np.average(by_hand(p), weights=weight), rtol=1e-5)
    loss.backward()
    assert torch.isfinite(logits.grad).all()


def test_label_smoothing_is_that_of_torch():
    from cofm_sklearn.models.net.data import soft_targets
    from cofm_sklearn.models.net.parts import LOSSES

    logits = torch.tensor(np.random.RandomState(0).randn(4, 3))
    codes = np.array([0, 1, 2, 1])
    targets = torch.as_tensor(soft_targets(codes, 3, np.ones(4), 0.2))
    expected = torch.nn.CrossEntropyLoss(label_smoothing=0.2)(
        logits, torch.as_tensor(codes)
    )
    loss = LOSSES["cross_entropy"]()(logits, targets)
    assert_allclose(loss.item(), expected.item(), rtol=1e-6)


def test_generalised_cross_entropy_forgives_wrong_labels():
    X, y = make_blobs(400, n_features=20, centers=4, cluster_std=4.0, random_state=1)
    rng = np.random.RandomState(0)
    wrong = rng.uniform(size=200) < 0.4
    noisy = np.where(wrong, (y[:200] + rng.randint(1, 4, 200)) % 4, y[:200])
    params = {**FAST, "max_epochs": 60, "module__hidden": (64,), "lr": 0.01}
    scores = [
        NetClassifier(criterion=name, **params)
        .fit(X[:200], noisy)
        .score(X[200:], y[200:])
        for name in ("cross_entropy", "gce")
    ]
    assert scores[1] > scores[0] + 0.05


def test_losses_and_modules_of_ones_own(blobs):
    net = NetClassifier(
        own_module,
        criterion=torch.nn.CrossEntropyLoss,
        **FAST,
    ).fit(*blobs)
    assert net.score(*blobs) > 0.7


def own_module(n_inputs, n_outputs):
    return torch.nn.Linear(n_inputs, n_outputs, bias=False)


# Early stopping


def test_early_stopping_holds_out_samples_of_each_class(blobs):
    net = NetClassifier(
        early_stopping=True, n_iter_no_change=3, **{**FAST, "max_epochs": 300}
    ).fit(*blobs)
    assert net.monitor_ == "valid_loss"
    assert net.n_iter_ < 300
    losses = net.net_.history[:, "valid_loss"]
    assert np.argmin(losses) < len(losses) - 1


def test_early_stopping_survives_tiny_classes(blobs):
    X, y = blobs
    rows = [*np.flatnonzero(y == "ham"), np.flatnonzero(y == "spam")[0]]
    net = NetClassifier(
        early_stopping=True, n_iter_no_change=3, tol=0.01, **{**FAST, "max_epochs": 300}
    ).fit(X[rows], y[rows])
    assert net.monitor_ == "train_loss"
    assert net.n_iter_ < 300


def test_splits_have_each_class_on_both_sides():
    from cofm_sklearn.models.net.data import stratified_split

    rng = np.random.RandomState(0)
    found = 0
    for seed in range(60):
        codes = rng.randint(0, rng.randint(1, 5), size=rng.randint(1, 30))
        split = stratified_split(codes, 0.2, seed)
        if split is None:
            continue
        found += 1
        for side in split:
            assert set(codes[side]) == set(codes)
        assert_array_equal(np.sort(np.concatenate(split)), np.arange(len(codes)))
    assert found > 10
    assert stratified_split(np.array([0, 0, 0, 0, 0, 1]), 0.4, 0) is None


# Seeds, state


def test_a_seed_fixes_the_net_and_leaves_torch_alone(blobs):
    params = {**FAST, "module__dropout": 0.3, "batch_size": 16, "early_stopping": True}
    torch.manual_seed(5)
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    threads = torch.get_num_threads()
    first = NetClassifier(**params).fit(*blobs)
    first.predict(blobs[0])
    assert_array_equal(torch.get_rng_state(), state)
    assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002
    assert torch.get_num_threads() == threads
    torch.manual_seed(6)
    second = NetClassifier(**params).fit(*blobs)
    other = NetClassifier(**{**params, "random_state": 1}).fit(*blobs)
    for name, values in state_of(first).items():
        assert_array_equal(state_of(second)[name], values)
    assert not np.array_equal(
        other.predict_proba(blobs[0]), first.predict_proba(blobs[0])
    )


def test_seeds_hold_in_threads(blobs):
    from joblib import Parallel, delayed

    net = NetClassifier(module__dropout=0.3, **{**FAST, "max_epochs": 5})
    fitted = Parallel(n_jobs=3, backend="threading")(
        delayed(clone(net).fit)(*blobs) for _ in range(4)
    )
    expected = clone(net).fit(*blobs).predict_proba(blobs[0])
    for each in fitted:
        assert_array_equal(each.predict_proba(blobs[0]), expected)


def test_pickle_and_copy_predict_the_same(blobs):
    net = NetClassifier("mlp", criterion="gce", early_stopping=True, **FAST).fit(*blobs)
    expected = net.predict_proba(blobs[0])
    for twin in (pickle.loads(pickle.dumps(net)), copy.deepcopy(net)):
        assert_array_equal(twin.predict_proba(blobs[0]), expected)
    assert len(pickle.dumps(net)) < 200_000


def test_warm_start_goes_on_and_starts_cold_where_it_must(blobs):
    X, y = blobs
    params = {**FAST, "classes": np.unique(y), "batch_size": 200}
    net = NetClassifier("mlp", warm_start=True, **params)
    cold = clone(net).set_params(warm_start=False)
    net.fit(X[:60], y[:60]).set_params(max_epochs=1).fit(X, y)
    cold.set_params(max_epochs=1).fit(X, y)
    losses = [each.net_.history[0, "train_loss"] for each in (net, cold)]
    assert losses[0] < 0.5 * losses[1]
    # other width, other input: nothing to go on from
    for params, data in (({"module__hidden": (7,)}, X), ({}, X[:, :4])):
        net.set_params(**params).fit(data, y)
        cold = clone(net).fit(data, y)
        assert_array_equal(net.predict_proba(data), cold.predict_proba(data))


# Images


def test_conv_net_learns_from_pixels_of_any_form():
    X, y = load_digits(return_X_y=True)
    X, y = (X[:500] * 15).astype(np.uint8), y[:500]
    net = NetClassifier(
        "conv",
        image_shape=(8, 8),
        module__channels=(16, 32),
        **{**FAST, "lr": 0.01, "max_epochs": 25},
    ).fit(X[:300], y[:300])
    assert net.score(X[300:], y[300:]) > 0.85
    images = X.reshape(-1, 8, 8)
    forms = [images, images[..., None], images / 255, (images / 255).astype(np.float32)]
    twin = clone(net).set_params(image_shape=None)
    for form in forms[:1]:
        twin.fit(form[:300], y[:300])
    for form in forms:
        assert_allclose(
            twin.predict_proba(form[300:]), net.predict_proba(X[300:]), atol=1e-5
        )
    with pytest.raises(ValueError, match="fitted with"):
        twin.predict(images[:, :7])


def test_colour_images_of_one_pixel_row():
    rng = np.random.RandomState(0)
    X = rng.randint(0, 255, (40, 3, 1, 3), dtype=np.uint8)
    y = np.arange(40) % 2
    X[y == 1, ..., 0] = 255
    net = NetClassifier("conv", module__channels=8, **FAST).fit(X, y)
    assert net.predict_proba(X).shape == (40, 2)


# Where it is used


@pytest.mark.slow
def test_in_a_grid_search_with_two_processes(blobs):
    grid = {"module__hidden": [(4,), (8,)], "optimizer__weight_decay": [0.0, 0.1]}
    search = GridSearchCV(
        NetClassifier(**{**FAST, "max_epochs": 5}), grid, cv=2, n_jobs=2
    ).fit(*blobs)
    assert set(search.best_params_) == set(grid)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


def test_in_the_co_decision(blobs):
    X, y = blobs
    classes = np.unique(y)
    prior = np.where(y[:, None] == classes, 0.6, 0.2)
    model = CoDecisionClassifier(
        NetClassifier("linear", **{**FAST, "max_epochs": 10}),
        PrecomputedPrior(classes, columns=slice(6, 9)),
        random_state=0,
    )
    both = np.column_stack([X, prior])
    rows = np.r_[np.flatnonzero(y == "ham")[:5], np.flatnonzero(y == "eggs")[:5]]
    model.fit(both[rows], y[rows])
    assert model.predict_proba(both).shape == (90, 3)


def test_in_the_loop_twice_with_one_seed(blobs):
    X, y = blobs
    net = NetClassifier("mlp", classes=np.unique(y), **{**FAST, "max_epochs": 5})
    curves = []
    for _ in range(2):
        loop = ActiveLearningClassifier(
            clone(net).set_params(random_state=None),
            CoDecisionQuery(),
            n_instances=5,
            budget=15,
            random_state=3,
        ).fit(X, y)
        curves.append(loop.learning_curve_)
    assert curves[0].equals(curves[1])


def test_in_stock_modal(blobs):
    X, y = blobs
    first = [int(np.flatnonzero(y == label)[0]) for label in np.unique(y)][:2]
    learner = ActiveLearner(
        NetClassifier("linear", classes=np.unique(y), warm_start=True, **FAST),
        CoDecisionQuery(random_state=0),
        X_training=X[first],
        y_training=y[first],
    )
    for _ in range(3):
        picked, _ = learner.query(X, n_instances=4)
        learner.teach(X[picked], y[picked])
    assert learner.predict_proba(X).shape == (90, 3)
    assert learner.score(X, y) > 0.8
