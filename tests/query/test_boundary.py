"""GALAXY and DIRECT: their definitions, on constructed pools."""

import tracemalloc

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import ActiveLearningClassifier
from cofm_sklearn.loop.checks import parametrize_strategies_with_checks
from cofm_sklearn.query import DirectQuery, GalaxyQuery
from cofm_sklearn.query.boundary import (
    ClassRankings,
    best_threshold,
    direct_picks,
    galaxy_picks,
    threshold_interval,
)


@parametrize_strategies_with_checks(
    [GalaxyQuery(random_state=0), DirectQuery(random_state=0)]
)
def test_shared_checks(strategy, check):
    check(strategy)


def ranked_binary(n):
    """Probabilities of two classes along a line: sample 0 is most like class 0."""
    p = np.linspace(0.999, 0.001, n)
    return np.column_stack([p, 1 - p])


def labels_at(n, **by_class):
    labels = np.full(n, -1)
    for name, positions in by_class.items():
        labels[positions] = int(name[1:])
    return labels


def test_rankings_put_predicted_members_first_by_confidence():
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.ones(4), size=50)
    rankings = ClassRankings(proba)
    for k, order in enumerate(rankings):
        assert sorted(order) == list(range(50))
        is_predicted = proba.argmax(axis=1)[order] == k
        n_members = is_predicted.sum()
        assert is_predicted[:n_members].all()
        assert (np.diff(proba[order[:n_members], k]) <= 0).all()
        shortfall = (proba.max(axis=1) - proba[:, k])[order]
        assert (np.diff(shortfall) >= 0).all()


def test_galaxy_bisects_the_shortest_gap():
    # Gaps between a label of class 0 and one of class 1: (9, 30) and (60, 70).
    labels = labels_at(100, c0=[0, 9, 70], c1=[30, 60, 99])
    (picked,) = galaxy_picks(ranked_binary(100), labels, 1, np.random.RandomState(0))
    assert picked == 65


def test_galaxy_closes_a_gap_in_log_steps_then_asks_around_the_cut():
    n, boundary = 1000, 333
    truth = (np.arange(n) >= boundary).astype(int)
    labels = labels_at(n, c0=[0], c1=[n - 1])
    rng = np.random.RandomState(0)
    asked = []
    for _ in range(20):
        (picked,) = galaxy_picks(ranked_binary(n), labels, 1, rng)
        assert labels[picked] == -1
        labels[picked] = truth[picked]
        asked.append(picked)
    # log2(1000) = 10 questions find the boundary, the others are next to it.
    assert {boundary - 1, boundary} <= set(asked[:10])
    assert np.abs(np.array(asked[10:]) - boundary).max() <= 10


def test_galaxy_in_a_batch_bisects_every_gap_before_it_guesses():
    labels = labels_at(200, c0=[0, 100], c1=[64, 199])
    first = galaxy_picks(ranked_binary(200), labels, 3, np.random.RandomState(0))
    # Gaps (0, 64), (64, 100) and (100, 199), the shortest first.
    assert first.tolist() == [82, 32, 149]


def test_galaxy_believes_each_wrong_label():
    labels = labels_at(100, c0=[0, 20, 40], c1=[60, 99])
    honest = galaxy_picks(ranked_binary(100), labels, 1, np.random.RandomState(0))
    labels[20] = 1  # gaps on either side of it
    misled = galaxy_picks(ranked_binary(100), labels, 2, np.random.RandomState(0))
    assert honest == [50]
    assert set(misled) & {10, 30}


def test_galaxy_without_a_second_class_asks_at_random():
    labels = labels_at(50, c0=[3, 4])
    picks = [
        galaxy_picks(ranked_binary(50), labels, 10, np.random.RandomState(seed))
        for seed in range(2)
    ]
    assert not np.array_equal(*picks)


def brute_force_threshold(signs):
    wrong = [
        np.sum(signs[:j] == -1) + np.sum(signs[j:] == 1) for j in range(len(signs) + 1)
    ]
    return np.flatnonzero(np.array(wrong) == min(wrong))


@pytest.mark.parametrize("seed", range(5))
def test_threshold_has_the_fewest_labels_on_the_wrong_side(seed):
    rng = np.random.RandomState(seed)
    signs = rng.choice([-1, 0, 1], size=60)
    assert best_threshold(signs) in brute_force_threshold(signs)


def test_threshold_stays_put_under_flipped_labels():
    n, boundary = 400, 120
    clean = np.where(np.arange(n) < boundary, 1, -1)
    moved, gaps = [], []
    for seed in range(20):
        rng = np.random.RandomState(seed)
        asked = rng.permutation(n)[:200]
        signs = np.zeros(n, dtype=int)
        signs[asked] = clean[asked]
        quiet = best_threshold(signs)
        signs[rng.permutation(asked)[:40]] *= -1  # 20 %
        moved.append(abs(best_threshold(signs) - quiet))
        # What believing every label does with the same labels: the first cut.
        seen = np.flatnonzero(signs)
        first_cut = seen[np.flatnonzero(np.diff(signs[seen]))[0]]
        gaps.append(abs(first_cut - boundary))
    assert np.median(moved) <= 0.01 * n
    assert max(moved) <= 0.05 * n
    assert np.median(gaps) > 0.2 * n


def test_interval_is_where_labels_begin_to_disagree():
    signs = np.zeros(100, dtype=int)
    signs[[0, 10, 20]] = 1
    signs[[50, 70]] = -1
    rng = np.random.RandomState(0)
    assert threshold_interval(signs, 5, rng) == (20, 50)
    signs[80] = 1  # a contradiction: the threshold may be anywhere up to the end
    low, high = threshold_interval(signs, 1000, rng)
    assert (low, high) == (20, 99)


def test_interval_narrows_around_the_threshold_with_labels_inside():
    n, boundary = 500, 200
    rng = np.random.RandomState(1)
    signs = np.zeros(n, dtype=int)
    asked = rng.permutation(n)[:100]
    signs[asked] = np.where(asked < boundary, 1, -1)
    signs[rng.permutation(asked)[:20]] *= -1
    widths = []
    for n_per_round in (1000, 50, 10):
        low, high = threshold_interval(signs, n_per_round, rng)
        widths.append(high - low)
    assert widths[0] > widths[1] > widths[2]
    assert low - 15 <= boundary <= high + 15


def rare_pool(seed, n=1500):
    """Three classes, 90, 7 and 3 %, with probabilities that rank well."""
    rng = np.random.RandomState(seed)
    truth = rng.choice(3, size=n, p=[0.9, 0.07, 0.03])
    logits = 2.0 * np.eye(3)[truth] + rng.normal(size=(n, 3)) + [1.0, 0, -0.5]
    proba = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    labels = np.full(n, -1)
    first = np.concatenate(
        [np.flatnonzero(truth == k)[:s] for k, s in [(0, 30), (1, 4), (2, 2)]]
    )
    labels[first] = truth[first]
    return proba, truth, labels


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_direct_spends_its_budget_on_the_rarest_classes(noise):
    found, base = np.zeros(3), np.zeros(3)
    for seed in range(5):
        proba, truth, labels = rare_pool(seed)
        rng = np.random.RandomState(seed)
        for _ in range(4):
            picked = direct_picks(proba, labels, 30, rng)
            assert len(set(picked)) == 30
            assert (labels[picked] == -1).all()
            answers = truth[picked].copy()
            wrong = rng.uniform(size=30) < noise
            answers[wrong] = (answers[wrong] + rng.randint(1, 3, wrong.sum())) % 3
            labels[picked] = answers
            found += np.bincount(truth[picked], minlength=3)
        base += np.bincount(truth, minlength=3) / len(truth) * 120
    lift = found / base
    assert lift[2] > 3
    assert lift[2] > lift[1] > lift[0]


def test_direct_asks_close_to_the_threshold():
    n, boundary = 300, 100
    labels = np.full(n, -1)
    asked = np.arange(0, n, 10)
    labels[asked] = (asked >= boundary).astype(int)
    picked = direct_picks(ranked_binary(n), labels, 10, np.random.RandomState(0))
    assert np.abs(picked - boundary).max() <= 15


def test_direct_looks_for_a_class_without_labels_where_it_is_likeliest():
    n = 300
    rng = np.random.RandomState(0)
    proba = rng.dirichlet([5, 5, 0.5], size=n)
    labels = np.full(n, -1)
    labels[proba[:, 2].argsort()[:20]] = np.arange(20) % 2
    picked = direct_picks(proba, labels, 6, rng)
    rank = np.argsort(ClassRankings(proba)[2])
    assert rank[picked].min() == 0


@pytest.mark.parametrize("strategy", [GalaxyQuery(), DirectQuery()])
def test_loop_is_repeatable_and_starts_without_labels(strategy):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(150, 3))
    y = np.digitize(X[:, 0], [0.8, 1.6])
    runs = [
        ActiveLearningClassifier(
            LogisticRegression(),
            clone(strategy),
            n_instances=7,
            budget=42,
            random_state=3,
        )
        .fit(X, y)
        .queried_indices_
        for _ in range(2)
    ]
    assert np.array_equal(*runs)
    assert len(set(runs[0])) == 42


def test_whole_pool_can_be_asked():
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.ones(3), size=30)
    labels = np.full(30, -1)
    labels[:6] = [0, 1, 2, 0, 1, 2]
    for picks in (galaxy_picks, direct_picks):
        picked = picks(proba, labels, 24, np.random.RandomState(0))
        assert sorted(picked) == list(range(6, 30))


def test_bad_min_per_class_is_named():
    X = np.arange(20.0)[:, None]
    model = LogisticRegression().fit(X, X[:, 0] > 9)
    model.X_training, model.y_training, model.estimator = X, X[:, 0] > 9, model
    with pytest.raises(ValueError, match="min_per_class"):
        DirectQuery(min_per_class=0)(model, X + 0.5)


@pytest.mark.parametrize("pick", [galaxy_picks, direct_picks])
def test_many_classes_take_memory_for_some_rankings_only(pick):
    rng = np.random.RandomState(0)
    proba = rng.dirichlet(np.full(500, 0.02), size=4000)
    labels = np.full(4000, -1)
    labels[:300] = rng.randint(500, size=300)
    tracemalloc.start()
    try:
        picked = pick(proba, labels, 10, rng)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert len(set(picked)) == 10
    assert (
        peak < proba.nbytes
    )  # where all rankings would take two and a half times this


def test_one_ranking_is_that_of_two_keys():
    rng = np.random.RandomState(0)
    for levels in (2, 5, 1000):
        proba = rng.randint(1, levels + 1, size=(200, 4)) / levels
        for k, order in enumerate(ClassRankings(proba)):
            below = proba.max(axis=1) - proba[:, k]
            np.testing.assert_array_equal(order, np.lexsort((-proba[:, k], below)))
