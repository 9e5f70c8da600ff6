"""Uncertainty herding: adaptation to the labels, and its limits."""

import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import ActiveLearningClassifier
from cofm_sklearn.loop.checks import parametrize_strategies_with_checks
from cofm_sklearn.query import UncertaintyHerdingQuery
from cofm_sklearn.query.herding import (
    calibration_error,
    fit_temperature,
    sharpened,
    smallest_distance,
)
from cofm_sklearn.utils.validation import check_unit_embeddings


@parametrize_strategies_with_checks([UncertaintyHerdingQuery(random_state=0)])
def test_shared_checks(strategy, check):
    check(strategy)


class Taught:
    """A trained model with its labels, like modAL's learner."""

    def __init__(self, estimator, X, y):
        self.estimator, self.X_training, self.y_training = estimator.fit(X, y), X, y

    def predict_proba(self, X):
        return self.estimator.predict_proba(X)


@pytest.fixture
def blobs():
    rng = np.random.RandomState(0)
    y = np.repeat([0, 1, 2], [120, 60, 20])
    X = np.eye(5)[y] + 0.25 * rng.normal(size=(200, 5))
    return X, y


def obvious_herding(X, weight, X_labeled, n_instances, radius):
    """Greedy selection by definition, computing every gain again."""
    kernel = np.exp(-((X[:, None] - X[None]) ** 2).sum(axis=2) / radius**2)
    covered = np.zeros(len(X))
    if len(X_labeled):
        distance = ((X[:, None] - X_labeled[None]) ** 2).sum(axis=2)
        covered = np.exp(-distance / radius**2).max(axis=1)
    picked = []
    for _ in range(n_instances):
        gains = [
            -1 if i in picked else weight @ np.maximum(kernel[i] - covered, 0)
            for i in range(len(X))
        ]
        picked.append(int(np.argmax(gains)))
        covered = np.maximum(covered, kernel[picked[-1]])
    return picked


def test_picks_are_the_greedy_ones_of_the_definition(blobs):
    X, y = blobs
    known = np.r_[0:4, 120:124, 180:182]
    pool = np.setdiff1d(np.arange(200), known)
    learner = Taught(LogisticRegression(), X[known], y[known])
    strategy = UncertaintyHerdingQuery(temperature=0.5, radius=0.7, random_state=0)
    picked = strategy(learner, X[pool], n_instances=8)
    proba = sharpened(learner.predict_proba(X[pool]), 0.5)
    top = np.sort(proba, axis=1)
    unit = check_unit_embeddings(X).astype(float)
    expected = obvious_herding(
        unit[pool], 1 - (top[:, -1] - top[:, -2]), unit[known], 8, 0.7
    )
    assert picked.tolist() == expected


def test_tiny_radius_is_uncertainty_sampling(blobs):
    X, y = blobs
    known = np.arange(0, 200, 8)
    pool = np.setdiff1d(np.arange(200), known)
    learner = Taught(LogisticRegression(), X[known], y[known])
    strategy = UncertaintyHerdingQuery(temperature=1.0, radius=0.02, random_state=0)
    picked = strategy(learner, X[pool], n_instances=10)
    top = np.sort(learner.predict_proba(X[pool]), axis=1)
    lead = top[:, -1] - top[:, -2]
    assert set(picked) == set(np.argsort(lead)[:10])


def test_cold_start_covers_every_cluster(blobs):
    X, y = blobs
    picked = UncertaintyHerdingQuery(random_state=0)(
        LogisticRegression(), X, n_instances=6
    )
    assert set(y[picked]) == {0, 1, 2}


def test_calibration_error_against_its_definition():
    rng = np.random.RandomState(0)
    proba, codes = rng.dirichlet(np.ones(3), size=300), rng.randint(3, size=300)
    confidence, right = proba.max(axis=1), proba.argmax(axis=1) == codes
    expected = 0
    for b in range(10):
        inside = (confidence >= b / 10) & (confidence < (b + 1) / 10)
        if inside.any():
            gap = abs(confidence[inside].mean() - right[inside].mean())
            expected += gap * inside.mean()
    assert calibration_error(proba, codes, n_bins=10) == pytest.approx(expected)


@pytest.mark.parametrize("temperature", [0.25, 1.0, 4.0])
def test_temperature_undoes_a_distortion(temperature):
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.ones(3), size=4000)
    codes = np.array([rng.choice(3, p=p) for p in proba])
    distorted = sharpened(proba, 1 / temperature)
    assert fit_temperature(distorted, codes) == pytest.approx(temperature, rel=0.35)


def test_radius_is_the_smallest_distance_but_copies_do_not_count():
    angles = np.array([0.0, 0.3, 1.5, 0.0])
    X = check_unit_embeddings(np.column_stack([np.cos(angles), np.sin(angles)]))
    assert smallest_distance(X) == pytest.approx(2 * np.sin(0.15), rel=1e-4)
    assert smallest_distance(X[[0, 3]]) == 1.0
    assert smallest_distance(X[:1]) == 1.0


def test_loop_asks_each_sample_once_and_repeats(blobs):
    X, y = blobs
    runs = [
        ActiveLearningClassifier(
            LogisticRegression(),
            UncertaintyHerdingQuery(),
            n_instances=5,
            budget=30,
            random_state=1,
        ).fit(X, y)
        for _ in range(2)
    ]
    assert runs[0].queried_indices_.tolist() == runs[1].queried_indices_.tolist()
    assert len(set(runs[0].queried_indices_)) == 30


@pytest.mark.parametrize(
    "params",
    [
        {"uncertainty": "doubt"},
        {"temperature": 0},
        {"radius": "wide"},
        {"max_candidates": 0},
    ],
)
def test_bad_parameters_are_named(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        UncertaintyHerdingQuery(**params)(LogisticRegression(), np.eye(4))


def test_radius_of_many_labels_takes_a_block_of_memory():
    X = check_unit_embeddings(np.random.RandomState(0).normal(size=(3000, 16)))
    tracemalloc.start()
    try:
        radius = smallest_distance(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    similar = (X @ X.T)[np.triu_indices(3000, 1)]
    distance = np.sqrt(np.maximum(2 - 2 * similar, 0))
    assert radius == pytest.approx(distance[distance >= 0.05].min(), rel=1e-4)
    assert peak < 60 * 2**20  # all pairs, with their places, take 190 MiB
