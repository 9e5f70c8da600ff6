"""Trust in the prior, learned from labels."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cofm_sklearn.models.fusion import (
    fit_fusion,
    smooth_by_fold,
    smooth_proba,
    weigh_evidence,
)
from cofm_sklearn.noise import estimate_noise, quality
from cofm_sklearn.noise.estimate import centre_logits, explain_labels


def opinions(y, k, skill, seed):
    """Probabilities of a model with an accuracy of about `skill`."""
    rng = np.random.RandomState(seed)
    logits = rng.normal(size=(len(y), k))
    logits[np.arange(len(y)), y] += skill
    proba = np.exp(logits)
    return proba / proba.sum(axis=1, keepdims=True)


@pytest.fixture
def y():
    return np.random.RandomState(0).randint(4, size=300)


def test_useless_prior_is_discarded(y):
    prior, small = opinions(y, 4, 4, 1), opinions(y, 4, 3, 2)
    shuffled = np.random.RandomState(3).permutation(prior)
    assert fit_fusion(shuffled, small, y).trust < 0.05
    assert weigh_evidence(shuffled, small, small, y) < 0.01
    # The very same numbers on the right rows are trusted.
    assert fit_fusion(prior, small, y).trust > 0.3
    assert weigh_evidence(prior, small, small, y) > 0.99


def test_good_prior_beats_a_poor_small_model(y):
    prior, small = opinions(y, 4, 6, 1), opinions(y, 4, 0.2, 2)
    assert fit_fusion(prior, small, y).trust > 0.8
    assert weigh_evidence(prior, small, small, y) > 0.99


def test_few_labels_leave_the_question_open(y):
    prior, small, y = opinions(y[:3], 4, 1, 1), opinions(y[:3], 4, 1, 2), y[:3]
    assert 0.1 < fit_fusion(prior, small, y).trust < 0.9
    assert 0.3 < weigh_evidence(prior, small, small, y) < 0.9


def test_rows_that_help_keep_a_prior_whose_opinion_many_labels_outgrew():
    y = np.random.RandomState(0).randint(20, size=1000)
    outgrown, small = opinions(y, 20, 0, 1), opinions(y, 20, 3, 2)
    joined = opinions(y, 20, 3.05, 2)
    assert weigh_evidence(outgrown, joined, small, y) > 0.99
    # If its rows do not help either, there is nothing to keep it for.
    assert weigh_evidence(outgrown, small, small, y) < 0.01


@pytest.mark.parametrize("rare", [False, True])
def test_labels_that_can_tell_nothing_leave_the_belief(rare):
    """Most labels of a rare class are wrong: no reason to discard a good prior."""
    rng = np.random.RandomState(0)
    true = (rng.uniform(size=100) < (0.08 if rare else 0.5)).astype(int)
    wrong = rng.uniform(size=100) < 0.4
    y = np.where(wrong, 1 - true, true)
    prior = opinions(true, 2, 2, 1)
    useless = rng.permutation(opinions(true, 2, 2, 2))
    assert weigh_evidence(prior, useless, useless, y) > 0.4
    assert weigh_evidence(prior, useless, useless, true) > 0.9


def test_both_together_beat_either(y):
    prior, small = opinions(y, 4, 2, 1), opinions(y, 4, 2, 2)
    fusion = fit_fusion(prior, small, y)

    def accuracy(proba):
        return np.mean(proba.argmax(axis=1) == y)

    fused = accuracy(fusion.proba(prior, small))
    assert fused > max(accuracy(prior), accuracy(small)) + 0.03


@pytest.mark.parametrize("trust", [0.0, 0.37, 1.0])
def test_fixed_trust_is_kept(y, trust):
    prior, small = opinions(y, 4, 4, 1), opinions(y, 4, 1, 2)
    fusion = fit_fusion(prior, small, y, trust=trust)
    assert fusion.trust == pytest.approx(trust)
    fused = fusion.proba(prior, small)
    if trust in (0.0, 1.0):
        alone = small if trust == 0.0 else prior
        assert_array_equal(fused.argmax(axis=1), alone.argmax(axis=1))


def test_overconfident_models_are_cooled_down(y):
    weak = opinions(y, 4, 0.5, 1)
    strong = opinions(y, 4, 6, 1)
    hot = fit_fusion(weak, weak, y).temperature
    assert hot > 1 > fit_fusion(strong, strong, y).temperature


def test_labels_taken_for_right(y):
    fusion = fit_fusion(
        opinions(y, 4, 3, 1),
        opinions(y, 4, 3, 2),
        np.roll(y, 1),  # mostly wrong
        label_noise=None,
    )
    assert_allclose(fusion.label_quality, 1)
    assert (fusion.label_quality <= 1).all()
    assert fusion.noise_rate == 0


def test_wrong_labels_have_low_quality(y):
    wrong = np.arange(len(y)) % 5 == 0
    given_y = np.where(wrong, (y + 1) % 4, y)
    prior, small = opinions(y, 4, 5, 1), opinions(y, 4, 5, 2)
    fusion = fit_fusion(prior, small, given_y)
    assert abs(fusion.noise_rate - 0.2) < 0.07
    assert np.median(fusion.label_quality[wrong]) < 0.3
    assert np.median(fusion.label_quality[~wrong]) > 0.9
    clean = fit_fusion(prior, small, y)
    assert clean.noise_rate < 0.03
    assert clean.label_quality.mean() > 0.95
    known = fit_fusion(prior, small, given_y, label_noise=0.2)
    assert known.noise_rate == pytest.approx(0.2)


def test_weights_count_like_copies(y):
    y = y[:60]
    prior, small = opinions(y, 4, 2, 1), opinions(y, 4, 1, 2)
    # Twice everything, once as rows and once as weights beside rows of weight 0.
    rows = np.r_[0:60, 0:60]
    weight = np.r_[np.full(60, 2.0), np.zeros(60)]
    one = fit_fusion(prior, small, y)
    weighted = fit_fusion(prior[rows], small[rows], y[rows], sample_weight=weight)
    assert weighted.trust == pytest.approx(one.trust)
    assert weighted.temperature == pytest.approx(one.temperature)
    assert weighted.prior_scale == pytest.approx(one.prior_scale)
    # A weight of 2 is a copy, but for the scale of the logits and of the weights.
    some = np.r_[0:60, 0:20]
    copied = fit_fusion(prior[some], small[some], y[some])
    weight = np.r_[np.full(20, 2.0), np.ones(40)]
    weighted = fit_fusion(prior, small, y, sample_weight=weight)
    assert weighted.trust == pytest.approx(copied.trust, abs=0.1)
    assert weighted.temperature == pytest.approx(copied.temperature, abs=0.1)


def test_rows_of_weight_zero_say_nothing(y):
    prior, small = opinions(y, 4, 2, 1), opinions(y, 4, 1, 2)
    weight = (np.arange(len(y)) % 3 > 0).astype(float)
    seen = weight > 0
    spoiled = np.where(seen, y, (y + 1) % 4)
    weighted = fit_fusion(prior, small, spoiled, sample_weight=weight)
    removed = fit_fusion(prior[seen], small[seen], y[seen])
    assert weighted.trust == pytest.approx(removed.trust)
    assert weighted.noise_rate == pytest.approx(removed.noise_rate)
    assert_allclose(weighted.label_quality[seen], removed.label_quality)


def test_one_class_leaves_nothing_to_weigh():
    fusion = fit_fusion(np.ones((3, 1)), np.ones((3, 1)), np.zeros(3, dtype=int))
    assert_allclose(fusion.label_quality, 1)
    assert_allclose(fusion.proba(np.ones((2, 1)), np.ones((2, 1))), 1)


@given(
    seed=st.integers(0, 10**6),
    counts=st.lists(st.integers(0, 4), min_size=2, max_size=6),
)
@settings(max_examples=60, deadline=None)
def test_smoothing_leaves_room_for_new_classes(seed, counts):
    counts = np.array(counts)
    proba = np.random.RandomState(seed).dirichlet(np.ones(len(counts)), size=5)
    seen = counts > 0
    if seen.any():
        proba = proba * seen
        proba /= proba.sum(axis=1, keepdims=True)
    smooth = smooth_proba(proba, counts)
    assert_allclose(smooth.sum(axis=1), 1)
    assert (smooth > 0).all()
    new_mass = smooth[:, ~seen].sum(axis=1)
    if seen.all():
        assert_allclose(new_mass, 0)
    else:
        # Good-Turing with one pseudo-label; never above an equal share.
        wanted = (np.sum(counts == 1) + 1) / (counts.sum() + 1)
        assert_allclose(new_mass, min(wanted, np.mean(~seen)))
    # The order of seen classes stays.
    assert_array_equal(
        np.argsort(smooth[:, seen], axis=1), np.argsort(proba[:, seen], axis=1)
    )


def test_smoothing_fades_with_labels():
    proba = np.array([[1.0, 0.0]])
    floors = [smooth_proba(proba, np.array([n, n]))[0, 1] for n in (1, 10, 1000)]
    assert floors[0] > floors[1] > floors[2] > 0


def test_smoothing_goes_by_the_labels_of_each_fold():
    proba = np.array([[0.9, 0.1, 0.0], [0.2, 0.8, 0.0], [0.1, 0.1, 0.8]])
    counts = np.array([[3, 2, 0], [3, 2, 0], [1, 1, 4]])
    wanted = [smooth_proba(proba[[i]], counts[i])[0] for i in range(3)]
    assert_allclose(smooth_by_fold(proba, counts), wanted)


def test_centred_logits_are_finite():
    logits = centre_logits(np.array([[1.0, 0.0, 0.0], [0.2, 0.3, 0.5]]))
    assert np.isfinite(logits).all()
    assert_allclose(logits.mean(axis=1), 0, atol=1e-12)
    assert_allclose(logits[1, 2] - logits[1, 0], np.log(2.5))


def test_without_prior_rare_labels_weigh_as_all_others():
    """Balance is for weighing a prior; without one it would find more wrong labels."""
    rng = np.random.RandomState(0)
    true = (rng.uniform(size=600) < 0.1).astype(int)
    small = opinions(true, 2, 1, 1)
    useless = rng.permutation(opinions(true, 2, 4, 2))
    y = np.where(rng.uniform(size=600) < 0.05, 1 - true, true)
    assert weigh_evidence(useless, small, small, y) < 0.05
    fusion = fit_fusion(useless, small, y, trust=0.0)
    assert fusion.noise_rate == pytest.approx(0.05, abs=0.03)


def test_some_labels_of_many_speak_for_all(y, monkeypatch):
    true, y = y, y.copy()
    y[:60] = (y[:60] + 1) % 4
    prior, small = opinions(true, 4, 3, 1), opinions(true, 4, 5, 2)
    all_of_them = fit_fusion(prior, small, y)
    noise = estimate_noise(y, small)
    monkeypatch.setattr(quality, "_MOST_WORK", 4 * 4 * 150)
    some = fit_fusion(prior, small, y)
    assert some.trust != all_of_them.trust
    assert abs(some.trust - all_of_them.trust) < 0.15
    assert abs(some.noise_rate - all_of_them.noise_rate) < 0.05
    assert_allclose(some.label_quality, all_of_them.label_quality, atol=0.25)
    assert some.label_quality[:60].mean() < 0.2 < 0.95 < some.label_quality[60:].mean()
    less = estimate_noise(y, small)
    assert_allclose(less.label_quality, noise.label_quality, atol=0.25)
    assert_allclose(less.noise_matrix, noise.noise_matrix, atol=0.05)
    low, high = less.noise_rate_interval
    assert low < 0.2 < high


def test_memory_with_many_classes(monkeypatch):
    """Some arrays of labels x classes, not one for each of the settings."""
    n, k = 800, 300
    monkeypatch.setattr(quality, "_MOST_WORK", 5e5)
    y = np.arange(n) % k
    prior, small = opinions(y, k, 4, 1), opinions(y, k, 3, 2)
    for work in (lambda: fit_fusion(prior, small, y), lambda: explain_labels(y, small)):
        tracemalloc.start()
        try:
            work()
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert peak < 10 * 8 * n * k
