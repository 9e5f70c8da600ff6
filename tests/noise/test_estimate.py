"""Estimates of noise rate and noise matrix."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import cross_val_predict

from cofm_sklearn.datasets import flip_labels
from cofm_sklearn.models.fusion import fit_fusion
from cofm_sklearn.noise import estimate_noise, label_quality

NAMES = np.array(["eggs", "ham", "spam"])


def planted(rate, n=600, k=3, seed=0, matrix=None):
    """Calibrated probabilities, true classes drawn from them, and noisy labels."""
    rng = np.random.RandomState(seed)
    proba = rng.dirichlet(np.full(k, 0.1), size=n)
    true = (proba.cumsum(axis=1) > rng.uniform(size=(n, 1))).argmax(axis=1)
    if matrix is None:
        matrix = np.full((k, k), rate / (k - 1))
        np.fill_diagonal(matrix, 1 - rate)
    shares = np.asarray(matrix)[true].cumsum(axis=1)
    given_labels = (shares > rng.uniform(size=(n, 1))).argmax(axis=1)
    return given_labels, proba, true


@pytest.mark.parametrize("classes", [None, NAMES[[1, 2, 0]]])
def test_columns_of_a_frame_are_found_by_name(classes):
    y, proba, _ = planted(0.1)
    frame = pd.DataFrame(proba, columns=NAMES)[["spam", "eggs", "ham"]]
    expected = label_quality(NAMES[y], proba)
    assert_allclose(label_quality(NAMES[y], frame, classes=classes), expected)


@pytest.mark.parametrize("to", [list, np.array, lambda y: np.array(y, dtype=object)])
def test_a_class_may_be_longer_than_every_label(to):
    y, proba = to(["ok", "ok", "bad"]), np.tile([0.5, 0.3, 0.2], (3, 1))
    found = label_quality(y, proba, classes=["fraudulent", "ok", "bad"])
    assert_array_equal(found, label_quality([1, 1, 2], proba, classes=[0, 1, 2]))
    noise = estimate_noise(y, proba, classes=["fraudulent", "ok", "bad"])
    assert noise.noise_matrix.shape == (3, 3)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3])
def test_finds_the_planted_rate(rate):
    off, inside = [], []
    for seed in range(10):
        y, proba, true = planted(rate, seed=seed)
        found = estimate_noise(y, proba)
        low, high = found.noise_rate_interval
        assert 0 <= low <= found.noise_rate + 0.001 <= high + 0.002 <= 1.002
        off.append(found.noise_rate - np.mean(y != true))
        inside.append(low <= rate <= high)
    assert abs(np.mean(off)) < 0.03
    assert np.mean(inside) >= 0.8


def test_clean_labels_are_left_in_peace():
    y, proba, _ = planted(0.0)
    assert label_quality(y, proba).mean() > 0.99


@pytest.mark.parametrize("wrong", [0.0, 0.2])
@pytest.mark.parametrize("n_classes", [2, 3])
def test_interval_holds_where_nothing_tells_the_classes_apart(n_classes, wrong):
    for seed in range(4):
        rng = np.random.RandomState(seed)
        X, y = rng.normal(size=(200, 5)), np.arange(200) % n_classes
        y = flip_labels(y, noise=wrong, random_state=seed)
        model = LogisticRegression(class_weight="balanced")
        proba = cross_val_predict(model, X, y, method="predict_proba")
        low, high = estimate_noise(y, proba).noise_rate_interval
        assert low <= wrong <= high


def test_wrong_labels_get_low_quality():
    y, proba, true = planted(0.3)
    quality = label_quality(y, proba)
    assert quality.min() >= 0
    assert quality.max() <= 1
    assert roc_auc_score(y == true, quality) > 0.93
    # The quality is a probability: as many labels are right as it says.
    assert abs(quality.mean() - np.mean(y == true)) < 0.04


def test_noise_matrix_shows_what_is_taken_for_what():
    matrix = np.array([[0.7, 0.3, 0.0], [0.0, 1.0, 0.0], [0.1, 0.1, 0.8]])
    y, proba, _ = planted(None, n=3000, matrix=matrix)
    found = estimate_noise(y, proba)
    assert_allclose(found.noise_matrix.sum(axis=1), 1)
    assert_allclose(found.noise_matrix, matrix, atol=0.1)
    low, high = found.noise_matrix_interval
    assert np.all((low <= found.noise_matrix) & (found.noise_matrix <= high))
    few = estimate_noise(y[:200], proba[:200]).noise_matrix_interval
    assert np.all(few[1] - few[0] > high - low)


def test_interval_narrows_with_labels_and_widens_with_confidence():
    y, proba, _ = planted(0.2, n=2000)

    def width(n, confidence=0.95):
        found = estimate_noise(y[:n], proba[:n], confidence=confidence)
        return np.diff(found.noise_rate_interval)[0]

    assert width(2000) < 0.6 * width(300)
    assert width(300, 0.5) < 0.6 * width(300)


def test_a_known_rate_is_taken_as_it_is():
    y, proba, _ = planted(0.2)
    found = estimate_noise(y, proba, label_noise=0.1)
    assert found.noise_rate == pytest.approx(0.1)
    assert_allclose(found.noise_rate_interval, 0.1, atol=1e-3)
    trusting = estimate_noise(y, proba, label_noise=None)
    assert_allclose(trusting.label_quality, 1)
    assert trusting.noise_rate == 0
    assert trusting.noise_rate_interval == (0, 0)
    assert_allclose(trusting.noise_matrix, np.eye(3))


def test_is_the_quality_of_the_co_decision_without_prior():
    y, proba, _ = planted(0.2, n=200)
    fusion = fit_fusion(proba, proba, y, trust=0.0)
    # The fusion's grid of temperatures is coarser.
    assert_allclose(label_quality(y, proba), fusion.label_quality, atol=0.2)
    assert np.corrcoef(label_quality(y, proba), fusion.label_quality)[0, 1] > 0.99


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 1000), order=st.permutations(range(3)))
def test_names_and_order_of_classes_do_not_matter(seed, order):
    y, proba, _ = planted(0.2, n=80, seed=seed)
    plain = estimate_noise(y, proba, classes=[0, 1, 2])
    named = estimate_noise(NAMES[y], proba[:, order], classes=NAMES[list(order)])
    assert_allclose(named.label_quality, plain.label_quality, atol=1e-9)
    assert_allclose(named.noise_matrix, plain.noise_matrix[np.ix_(order, order)])


def test_weights_count_as_repeats_and_zero_as_absent():
    y, proba, _ = planted(0.3, n=150)
    weight = np.ones(150)
    weight[100:] = 0
    silenced = estimate_noise(y, proba, sample_weight=weight)
    alone = estimate_noise(y[:100], proba[:100])
    assert silenced.noise_rate == pytest.approx(alone.noise_rate)
    assert_allclose(silenced.label_quality[:100], alone.label_quality)
    assert_allclose(silenced.noise_matrix, alone.noise_matrix)


def test_one_label_per_class_keeps_its_quality():
    # From one label of each class no model has learned anything about the others.
    quality = label_quality(NAMES, np.full((3, 3), 1 / 3))
    assert quality.min() > 0.5


def test_all_labels_may_look_wrong():
    proba = np.repeat([[0.0, 0.01, 0.99]], 40, axis=0)
    found = estimate_noise(np.repeat(["eggs"], 40), proba, classes=NAMES)
    assert np.isfinite(found.label_quality).all()
    assert_allclose(found.noise_matrix.sum(axis=1), 1)


def test_one_class_has_no_wrong_labels():
    found = estimate_noise(["ham"] * 5, np.ones((5, 1)))
    assert_allclose(found.label_quality, 1)
    assert_array_equal(found.noise_matrix, [[1]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"y": []}, "y is empty"),
        ({"y": ["ham", "tofu"]}, "tofu"),
        ({"y": ["ham", None]}, "y"),
        ({"proba": [[0.5, 0.4], [0.5, 0.5]]}, "row 0 .* sums to 0.9"),
        ({"proba": [[1.5, -0.5], [0.5, 0.5]]}, "row 0 has a negative value"),
        ({"proba": [[np.nan, 0.5], [0.5, 0.5]]}, "NaN"),
        ({"proba": [[1.0], [1.0]]}, "1 columns for 2 classes"),
        ({"proba": [[0.5, 0.5]]}, "1 rows for 2 samples"),
        ({"sample_weight": [0, 0]}, "(?i)sample.weight"),
        ({"sample_weight": [1, -1]}, "(?i)negative"),
        ({"label_noise": 1.0}, "label_noise must be"),
        ({"label_noise": "much"}, "label_noise must be"),
        ({"confidence": 1}, "confidence must be a number"),
        ({"confidence": "high"}, "confidence must be a number"),
    ],
)
def test_bad_input_is_named(change, message):
    good = {
        "y": ["ham", "spam"],
        "proba": [[0.9, 0.1], [0.2, 0.8]],
        "classes": ["ham", "spam"],
    }
    with pytest.raises(ValueError, match=message):
        estimate_noise(**{**good, **change})


def test_classes_may_be_a_column():
    y, classes = np.arange(12) % 3, np.array([2, 0, 1])
    proba = np.full((12, 3), 0.1) + 0.7 * (y[:, None] == classes)
    given = estimate_noise(y, proba, classes=classes).label_quality
    column = estimate_noise(y, proba, classes=classes[:, None])
    assert_allclose(column.label_quality, given)


@pytest.mark.parametrize("n", [3000, 20000])
def test_the_interval_of_a_tiny_rate_contains_the_estimate(n):
    for seed in range(5):
        y, proba, _ = planted(0.0, n=n, k=2, seed=seed)
        found = estimate_noise(y, proba)
        low, high = found.noise_rate_interval
        assert low - 1e-12 <= found.noise_rate <= high + 1e-12 < 0.02
        assert low < 0.0005
