"""Precision from answers: against slow, obvious versions, and where truth is known."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit, logit
from scipy.stats import binom, norm

from cofm_sklearn.models.precision import (
    Precision,
    agree_beyond_chance,
    count_precision,
    fit_precision,
    pool_scores,
    pool_shares,
    score_weights,
)

SCORES = st.lists(st.floats(-4, 8).map(lambda s: round(s, 2)), min_size=1, max_size=30)


def make_precision(rng, n_lines=5):
    belief = rng.uniform(0.1, 1, n_lines)
    return Precision(
        rng.normal(0, 0.5, n_lines),
        rng.uniform(0.5, 1.5, n_lines),
        belief / belief.sum(),
    )


@given(SCORES, st.integers(0, 99), st.floats(0.6, 0.97))
def test_threshold_is_the_lowest_that_reaches_the_target(scores, seed, target):
    precision, scores = make_precision(np.random.RandomState(seed)), np.array(scores)
    found = np.inf
    for cut in scores:
        chosen = scores[scores >= cut]
        surely = single = 0.0
        for a, b, belief in zip(precision.offsets, precision.slopes, precision.belief):
            p = 1 / (1 + np.exp(-a - b * chosen))
            error = np.sqrt(np.sum(p * (1 - p))) / len(chosen)
            surely += belief * norm.sf(target, p.mean(), np.hypot(error, 1e-6))
            single += belief / (1 + np.exp(-a - b * cut))
        if surely >= 0.8 and single >= 0.5:
            found = min(found, cut)
    assert precision.threshold(scores, target, 0.8) == found


@given(SCORES, st.integers(0, 99))
def test_curve_ends_in_what_is_expected_of_all(scores, seed):
    precision, scores = make_precision(np.random.RandomState(seed)), np.array(scores)
    curve = precision.curve(scores, n_points=4)
    expected = precision.expect(scores)
    assert expected[0] == pytest.approx(precision.proba(scores).mean())
    assert expected[1] <= expected[0] <= expected[2]
    assert curve["coverage"][-1] == 1
    last = (curve["precision"][-1], curve["low"][-1], curve["high"][-1])
    assert last == pytest.approx(expected)
    assert np.all(np.diff(curve["precision"]) <= 1e-12)
    for share, value in zip(curve["coverage"], curve["precision"]):
        surest = np.sort(scores)[::-1][: round(share * len(scores))]
        assert value == pytest.approx(precision.proba(surest).mean())


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_the_line_is_found_behind_wrong_answers(noise):
    rng = np.random.RandomState(0)
    n = 20_000
    scores = rng.uniform(-1, 5, n)
    true = rng.uniform(size=n) < expit(-0.5 + 0.8 * scores)
    wrong = rng.uniform(size=n) < noise
    # A wrong answer of four classes meets a wrong label in one of three cases.
    agree = np.where(wrong, ~true & (rng.uniform(size=n) < 1 / 3), true)
    found = fit_precision(scores, agree, np.ones(n), noise, 4)
    at = np.array([0.0, 2.0, 4.0])
    assert found.proba(at) == pytest.approx(expit(-0.5 + 0.8 * at), abs=0.03)


def test_without_answers_scores_are_taken_at_their_word_give_or_take():
    nothing = np.empty(0)
    found = fit_precision(nothing, nothing.astype(bool), nothing, 0.0, 3)
    assert found.proba(np.array([2.0])) == pytest.approx(expit(2.0), abs=0.04)
    _, low, high = found.expect(np.full(50, 2.0))
    assert low < 0.7
    assert high > 0.95


def test_shares_of_an_unequal_pool_are_found():
    rng = np.random.RandomState(0)
    y = rng.choice(3, size=4000, p=[0.7, 0.25, 0.05])
    # Honest posteriors under equal shares, of a Gaussian around each class.
    x = rng.normal(3.0 * y, 1)
    density = np.exp(-0.5 * (x[:, None] - 3.0 * np.arange(3)) ** 2)
    proba = density / density.sum(axis=1, keepdims=True)
    shares = pool_shares(proba)
    assert shares.sum() == pytest.approx(1)
    assert shares == pytest.approx([0.7, 0.25, 0.05], abs=0.05)
    scores = pool_scores(proba, shares, proba.argmax(axis=1))
    # The likeliest class where all are equally frequent is less likely if it is rare.
    even = int(np.argmin(np.abs(proba[:, 2] - 0.6)))
    assert scores[even] < logit(0.5)


def test_weights_give_answers_the_spread_of_the_pool():
    rng = np.random.RandomState(0)
    pool, chosen = rng.normal(3, 1, 5000), rng.normal(2, 1, 2000)
    weight = score_weights(chosen, pool)
    assert np.average(chosen, weights=weight) == pytest.approx(3, abs=0.15)
    # Half of the effective number, which unequal weights make smaller.
    assert weight.sum() < 1000
    assert score_weights(pool, pool).sum() == pytest.approx(2500, rel=0.01)


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9, 0.1], [0.6, 0.3, 0.1]])
def test_unrelated_labels_seldom_agree_beyond_chance(shares):
    rng = np.random.RandomState(0)
    pairs = [rng.choice(len(shares), (2, 200), p=shares) for _ in range(1000)]
    beyond = np.mean([agree_beyond_chance(*pair, len(shares)) for pair in pairs])
    assert 0.02 < beyond < 0.08
    told = rng.choice(len(shares), 200, p=shares)
    assert agree_beyond_chance(told, told, len(shares))
    assert not agree_beyond_chance(np.zeros_like(told), told, len(shares))
    assert not agree_beyond_chance(told, np.zeros_like(told), len(shares))
    better = np.where(rng.rand(200) < 0.5, told, rng.permutation(told))
    assert agree_beyond_chance(better, told, len(shares))


def test_interval_of_a_check_is_where_such_a_count_is_not_rare():
    low, high = count_precision(45, 50, (0.0, 0.0), 2)
    assert binom.sf(44, 50, low) == pytest.approx(0.025)
    assert binom.cdf(45, 50, high) == pytest.approx(0.025)
    assert count_precision(0, 0, (0.0, 0.1), 2) == (0.0, 1.0)


def test_interval_of_a_check_makes_up_for_wrong_answers():
    rng = np.random.RandomState(0)
    held = 0
    for _ in range(200):
        agree = rng.binomial(80, 0.9 * 0.8 + 0.1 * 0.1)  # .2 wrong, three classes
        low, high = count_precision(agree, 80, (0.2, 0.2), 3)
        held += low <= 0.9 <= high
    assert held >= 185
    # Not knowing how many answers are wrong makes it wider.
    surely, unsure = (count_precision(50, 80, r, 3) for r in ((0.2, 0.2), (0.1, 0.3)))
    assert unsure[0] < surely[0] < surely[1] < unsure[1]
    # At one end answers are right, at the other by the coin.
    low, high = count_precision(9, 10, (0.0, 0.5), 2)
    assert low == count_precision(9, 10, (0.0, 0.0), 2)[0]
    assert high == 1
