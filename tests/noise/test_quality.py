"""The label channel: against a slow version, by properties, on planted noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from sklearn.metrics import roc_auc_score

from cofm_sklearn.noise import fit_label_channel, quality
from cofm_sklearn.noise.quality import fit_label_channels, speakers


def slow_channel(y, proba, noise_rate=None, weight=None, confusion="uniform"):
    """The same model, in loops and Bayes' rule."""
    n, k = proba.shape
    weight = np.ones(n) if weight is None else weight
    shares = [sum(weight[i] for i in range(n) if y[i] == c) + 0.5 for c in range(k)]
    shares = [s / sum(shares) for s in shares]
    rate = 0.1 if noise_rate is None else noise_rate

    def wrong_to(c, label):
        """P(label, given that the label of class c is wrong)."""
        if confusion == "uniform":
            return 1 / (k - 1)

        def similar(d):
            alike = sum(weight[i] * proba[i][c] * proba[i][d] for i in range(n))
            return alike + 1e-9 / (k - 1)

        others = sum(similar(d) for d in range(k) if d != c)
        return 0.8 * similar(label) / others + 0.2 / (k - 1)

    def joint(i):
        """P(true class c, given label y[i]) up to a factor, for each c."""
        says = [1 - rate if c == y[i] else rate * wrong_to(c, y[i]) for c in range(k)]
        return [shares[c] * proba[i][c] * says[c] for c in range(k)]

    for _ in range(50):
        before = [rate, *shares]
        posterior = [[v / sum(joint(i)) for v in joint(i)] for i in range(n)]
        if noise_rate is None:
            wrong = sum(weight[i] * (1 - posterior[i][y[i]]) for i in range(n))
            new_rate = min((wrong + 0.5) / (sum(weight) + 1), 0.9 * (k - 1) / k)
        else:
            new_rate = rate
        totals = [
            sum(weight[i] * posterior[i][c] for i in range(n)) + 0.5 for c in range(k)
        ]
        rate, shares = new_rate, [t / sum(totals) for t in totals]
        if max(abs(a - b) for a, b in zip(before, [rate, *shares])) < 1e-3:
            break
    evidence = [
        sum(joint(i)) / sum(shares[c] * proba[i][c] for c in range(k)) for i in range(n)
    ]
    quality = [joint(i)[y[i]] / sum(joint(i)) for i in range(n)]
    rarity = [
        sum(v / (k * s) for v, s in zip(joint(i), shares)) / sum(joint(i))
        for i in range(n)
    ]
    true = [[v / sum(joint(i)) for v in joint(i)] for i in range(n)]
    return np.log(evidence), rate, np.array(quality), np.array(shares), rarity, true


def random_case(seed, n=12, k=3):
    rng = np.random.RandomState(seed)
    return rng.randint(k, size=n), rng.dirichlet(np.ones(k), size=n)


@pytest.mark.parametrize("noise_rate", [None, 0.3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("confusion", ["uniform", "similar"])
def test_equals_the_slow_version(noise_rate, weighted, confusion):
    y, proba = random_case(0)
    weight = np.random.RandomState(1).uniform(0, 2, len(y)) if weighted else None
    fast = fit_label_channel(
        y, proba, noise_rate=noise_rate, sample_weight=weight, confusion=confusion
    )
    slow = slow_channel(y, proba, noise_rate, weight, confusion)
    for got, wanted in zip(fast, slow, strict=True):
        assert_allclose(got, wanted, rtol=1e-9)


@pytest.mark.parametrize("n", [1, 4])
def test_more_classes_than_labels(monkeypatch, n):
    """Similarity of classes without an array of classes x classes."""
    monkeypatch.setattr(quality, "_FEW_CLASSES", 0)
    y, proba = random_case(1, n=n, k=6)
    weight = np.random.RandomState(1).uniform(0.1, 2, n)
    fast = fit_label_channel(y, proba, sample_weight=weight, confusion="similar")
    slow = slow_channel(y, proba, None, weight, "similar")
    for got, wanted in zip(fast, slow, strict=True):
        assert_allclose(got, wanted, rtol=1e-9)


@given(
    y=st.lists(st.integers(0, 9), min_size=1, max_size=300),
    work=st.integers(1, 10**5),
    seed=st.integers(0, 100),
)
def test_some_labels_speak_for_all(y, work, seed):
    y, n_classes = np.array(y), 10
    weight = np.random.RandomState(seed).choice([0.0, 1.0], size=len(y))
    weight[0] = 1.0
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(quality, "_MOST_WORK", work)
        rows = speakers(y, weight, n_classes)
    assert np.all(np.diff(rows) > 0)
    assert weight[rows].any()
    if len(rows) == len(y):
        return
    n = len(rows) - 1  # rounding up may add one
    assert n * n_classes * min(n, n_classes) <= work
    step = len(y) / len(rows)
    for k in range(n_classes):  # each class has its share, as far as labels count
        share = np.sum(weight[y == k]) / step
        assert abs(np.sum(weight[rows][y[rows] == k]) - share) <= 2


def planted(rate, n=3000, k=4, seed=0):
    """Calibrated, mostly confident probabilities, and noisy labels."""
    rng = np.random.RandomState(seed)
    proba = rng.dirichlet(np.full(k, 0.05), size=n)
    true = (proba.cumsum(axis=1) > rng.uniform(size=(n, 1))).argmax(axis=1)
    wrong = rng.uniform(size=n) < rate
    y = np.where(wrong, (true + rng.randint(1, k, size=n)) % k, true)
    return y, proba, wrong


@pytest.mark.parametrize("rate", [0.05, 0.2, 0.4])
def test_finds_planted_noise(rate):
    y, proba, wrong = planted(rate)
    channel = fit_label_channel(y, proba)
    assert abs(channel.noise_rate - wrong.mean()) < 0.03
    assert roc_auc_score(wrong, -channel.quality) > 0.95
    assert abs(channel.quality.mean() - (1 - wrong.mean())) < 0.03


def test_finds_labels_taken_for_a_similar_class():
    rng = np.random.RandomState(0)
    true = rng.randint(4, size=2000)
    proba = np.full((2000, 4), 0.001)
    twin = true ^ 1  # 0 looks like 1, and 2 like 3
    proba[np.arange(2000), true], proba[np.arange(2000), twin] = 0.98, 0.018
    wrong = rng.uniform(size=2000) < 0.2
    y = np.where(wrong, twin, true)
    similar = fit_label_channel(y, proba, confusion="similar")
    uniform = fit_label_channel(y, proba)
    assert similar.log_likelihood.sum() > uniform.log_likelihood.sum() + 50
    assert abs(similar.noise_rate - 0.2) < 0.03


def test_finds_uneven_class_shares():
    rng = np.random.RandomState(0)
    true = rng.choice(3, p=[0.8, 0.15, 0.05], size=2000)
    proba = np.full((2000, 3), 0.1)
    proba[np.arange(2000), true] = 0.8
    shares = fit_label_channel(true, proba).class_shares
    assert_allclose(shares, np.bincount(true) / 2000, atol=0.02)


def test_a_known_rate_is_kept():
    y, proba, _ = planted(0.3)
    assert fit_label_channel(y, proba, noise_rate=0.05).noise_rate == 0.05
    assert_allclose(fit_label_channel(y, proba, noise_rate=0.0).quality, 1)


def test_weight_two_equals_a_copy():
    y, proba = random_case(3, n=20)
    twice = np.r_[0:20, 0:5]
    weight = np.ones(20)
    weight[:5] = 2
    copied = fit_label_channel(y[twice], proba[twice])
    weighted = fit_label_channel(y, proba, sample_weight=weight)
    assert_allclose(weighted.noise_rate, copied.noise_rate)
    assert_allclose(weighted.quality, copied.quality[:20])


cases = st.tuples(st.integers(0, 10**6), st.integers(1, 15), st.integers(1, 5))


@given(case=cases, zeros=st.booleans(), rate=st.sampled_from([None, 0.0, 0.5, 0.9]))
@settings(max_examples=60, deadline=None)
def test_finite_and_in_range(case, zeros, rate):
    y, proba = random_case(*case)
    if zeros:  # nothing but 0 and 1
        proba = np.eye(case[2])[proba.argmax(axis=1)]
    channel = fit_label_channel(y, proba, noise_rate=rate)
    assert np.isfinite(channel.log_likelihood).all()
    assert ((channel.quality >= 0) & (channel.quality <= 1 + 1e-12)).all()
    assert 0 <= channel.noise_rate < 1
    assert_allclose(channel.class_shares.sum(), 1)


@given(case=cases)
@settings(max_examples=40, deadline=None)
def test_order_of_samples_and_classes_does_not_matter(case):
    y, proba = random_case(*case)
    rng = np.random.RandomState(case[0])
    samples, classes = rng.permutation(len(y)), rng.permutation(case[2])
    plain = fit_label_channel(y, proba)
    moved = fit_label_channel(
        np.argsort(classes)[y[samples]], proba[samples][:, classes]
    )
    assert_allclose(moved.quality, plain.quality[samples], rtol=1e-9)
    assert_allclose(moved.class_shares, plain.class_shares[classes], rtol=1e-9)
    assert_allclose(moved.noise_rate, plain.noise_rate, rtol=1e-9)


@pytest.mark.parametrize(
    ("y", "options", "message"),
    [
        ([0, 1], {}, "y must hold one label per row"),
        ([0, 1, 2], {}, "y must hold positions"),
        ([0, -1, 1], {}, "y must hold positions"),
        ([0, 1, 1], {"noise_rate": 1.0}, "noise_rate"),
        ([0, 1, 1], {"noise_rate": -0.1}, "noise_rate"),
    ],
)
def test_bad_arguments_are_named(y, options, message):
    with pytest.raises(ValueError, match=message):
        fit_label_channel(np.array(y), np.full((3, 2), 0.5), **options)


def test_a_label_that_nothing_explains_is_kept():
    proba = np.array([[1.0, 0.0], [0.0, 1.0]])
    channel = fit_label_channel(np.array([1, 1]), proba, noise_rate=0.0)
    assert_allclose(channel.quality, 1)
    assert_allclose(channel.true_class, [[0, 1], [0, 1]])


@given(seed=st.integers(0, 10**6), rate=st.sampled_from([None, 0.3]))
@settings(max_examples=30, deadline=None)
def test_many_sets_at_once_are_each_by_itself(seed, rate):
    rng = np.random.RandomState(seed)
    y, proba = rng.randint(3, size=15), rng.dirichlet(np.ones(3), size=(4, 15))
    for confusion in ("uniform", "similar"):
        together = fit_label_channels(y, proba, rate, confusion, np.ones(15))
        for k in range(4):
            alone = fit_label_channel(y, proba[k], noise_rate=rate, confusion=confusion)
            for many, one in zip(together, alone):
                assert_allclose(many[k], one, rtol=1e-9)


def test_errors_say_what_would_be_right():
    proba = np.full((1, 3), 1 / 3)
    with pytest.raises(ValueError, match="columns of proba, 0 to 2; got 3 to 3"):
        fit_label_channel(np.array([3]), proba)
    with pytest.raises(ValueError, match="confusion must be one of"):
        fit_label_channel(np.array([0]), proba, confusion="none")
