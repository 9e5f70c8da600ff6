"""The fusion matches docs/method.md exactly."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from cofm_sklearn.models.fusion import (
    Fusion,
    fit_fusion,
    smooth_proba,
    weigh_evidence,
)
from cofm_sklearn.noise.estimate import rate_interval
from cofm_sklearn.noise.quality import fit_label_channel


def logits(proba):
    Z = np.log(np.maximum(proba, 1e-12))
    return Z - Z.mean(axis=1)[:, None]


def softmax(Z):
    E = np.exp(Z - Z.max(axis=1)[:, None])
    return E / E.sum(axis=1)[:, None]


def shares_of(log_weights):
    weights = np.exp(log_weights - np.max(log_weights))
    return weights / weights.sum()


def slow_fusion(prior, small, y, trust="auto", label_noise="auto", weight=None):
    """Loops over settings, one formula of the docs after the other."""
    w = np.ones(len(y)) if weight is None else weight
    seen = w > 0
    w = w / w[seen].mean()
    P, S = logits(prior), logits(small)
    prior_scale, small_scale = P[seen].std(), S[seen].std()
    trusts = np.arange(6) / 5 if trust == "auto" else [trust]
    if label_noise == "auto":
        cost = np.log(seen.sum()) / 2
        kinds = [(0.01, "uniform", 0), (None, "uniform", cost), (None, "similar", cost)]
    elif label_noise is None:
        kinds = [(0.01, "uniform", 0)]
    else:
        kinds = [(label_noise, "uniform", 0), (label_noise, "similar", 0)]
    settings = [(t, s, h) for t in trusts for s in (0.5, 1, 2, 4) for h in kinds]
    found = []
    for t, sharpness, h in settings:
        c = softmax(sharpness * (t * P / prior_scale + (1 - t) * S / small_scale))
        found.append(
            fit_label_channel(y, c, noise_rate=h[0], confusion=h[1], sample_weight=w)
        )
    costs = np.array([h[2] for _, _, h in settings])
    ll = np.array([channel.log_likelihood for channel in found])
    post = shares_of(ll @ w - costs)
    if trust != 0:
        rarity = post @ np.array([channel.rarity for channel in found])
        b = w * rarity**0.7
        b *= b.sum() / (b**2).sum()
        post = shares_of(ll @ b - costs)
    doubt = np.array(
        [label_noise not in ("auto", None) or h[0] is None for *_, h in settings]
    )
    rates = np.array([c.noise_rate for c in found]) * doubt
    quality = np.array(
        [c.quality if d else np.ones(len(y)) for c, d in zip(found, doubt)]
    )
    known = np.array([h[0] is not None for *_, h in settings])
    information = np.full(len(settings), np.inf)
    for i in np.flatnonzero(~known):
        r, q = found[i].noise_rate, found[i].quality
        information[i] = w @ ((1 - q) / r - q / (1 - r)) ** 2
    return Fusion(
        trust=post @ [t for t, _, _ in settings],
        temperature=np.exp(-post @ np.log([s for _, s, _ in settings])),
        noise_rate=post @ rates,
        noise_rate_interval=rate_interval(post, rates, information),
        label_quality=post @ quality,
        prior_scale=prior_scale,
        small_scale=small_scale,
    )


def draw(seed, n, K):
    """Labels, some wrong; an informative prior and small model."""
    rng = np.random.RandomState(seed)
    true = rng.choice(K, size=n, p=np.arange(1, K + 1) / np.arange(1, K + 1).sum())
    y = np.where(rng.uniform(size=n) < 0.2, rng.randint(K, size=n), true)
    prior, small = rng.dirichlet(np.ones(K), size=(2, n))
    prior += rng.choice([0, 0.3, 3]) * np.eye(K)[true]
    small += rng.choice([0, 0.3, 3]) * np.eye(K)[true]
    prior, small = (P / P.sum(axis=1)[:, None] for P in (prior, small))
    return prior, small, y, rng.exponential(size=n)


@pytest.mark.parametrize("label_noise", ["auto", None, 0.2])
@pytest.mark.parametrize("trust", ["auto", 0.0, 0.4])
@given(seed=st.integers(0, 10**6), weighted=st.booleans(), n=st.integers(3, 25))
def test_fusion_equals_the_slow_version(trust, label_noise, seed, weighted, n):
    prior, small, y, weight = draw(seed, n, 3)
    if weighted:
        weight[0] = 0
    weight = weight if weighted else None
    slow = slow_fusion(prior, small, y, trust, label_noise, weight)
    fast = fit_fusion(
        prior, small, y, trust=trust, label_noise=label_noise, sample_weight=weight
    )
    for name, value in vars(slow).items():
        assert_allclose(getattr(fast, name), value, atol=1e-7, err_msg=name)


def slow_evidence(prior, joined, small, y, label_noise="auto", weight=None):
    """Likelihoods with the prior, divided by those without."""
    w = np.ones(len(y)) if weight is None else weight
    seen = w > 0
    w = w / w[seen].mean()
    P, J, S = (logits(proba) for proba in (prior, joined, small))
    P, J, S = (Z / Z[seen].std() for Z in (P, J, S))
    rates = {"auto": (0.01, 0.1, 0.2, 0.3, 0.4), None: (0.01,)}
    rates = rates.get(label_noise, (label_noise,))

    def likelihood(Z):
        each = [
            fit_label_channel(
                y,
                softmax(sharpness * Z),
                noise_rate=r,
                sample_weight=w,
            ).log_likelihood
            for sharpness in (0.5, 1, 2, 4)
            for r in rates
        ]
        return np.mean([np.prod(np.exp(one) ** w) for one in each])

    counts = np.array([w[y == k].sum() for k in range(prior.shape[1])])
    by_shares = np.prod(((counts + 0.5) / (counts + 0.5).sum()) ** counts)
    without = (likelihood(S) + by_shares) / 2
    trusts = (0.2, 0.4, 0.6, 0.8, 1.0)
    with_prior = np.mean([likelihood(t * P + (1 - t) * J) for t in trusts])
    with_prior = 0.999 * with_prior + 0.001 * likelihood(J)
    return 2 * with_prior / (2 * with_prior + without)


@pytest.mark.parametrize("label_noise", ["auto", None, 0.2])
@given(seed=st.integers(0, 10**6), weighted=st.booleans(), n=st.integers(2, 25))
def test_evidence_equals_the_slow_version(label_noise, seed, weighted, n):
    prior, small, y, weight = draw(seed, n, 3)
    if weighted:
        weight[0] = 0
    weight = weight if weighted else None
    joined = np.sqrt(prior * small)
    joined /= joined.sum(axis=1)[:, None]
    slow = slow_evidence(prior, joined, small, y, label_noise, weight)
    fast = weigh_evidence(
        prior, joined, small, y, label_noise=label_noise, sample_weight=weight
    )
    assert_allclose(fast, slow, rtol=1e-6)


def test_fused_logits_are_divided_by_scales_and_temperature():
    prior, small, *_ = draw(0, 5, 3)
    fusion = Fusion(0.3, 2.5, 0.0, (0.0, 1.0), np.ones(5), 1.7, 0.6)
    mixed = 0.3 * logits(prior) / 1.7 + 0.7 * logits(small) / 0.6
    assert_allclose(fusion.proba(prior, small), softmax(mixed / 2.5))


def test_smoothing_is_one_part_in_one_more_than_the_labels():
    proba = np.array([[1.0, 0.0]])
    assert_allclose(smooth_proba(proba, np.array([2, 5])), [[15 / 16, 1 / 16]])
    # Of four labels, one is the only one of its class, so 2 / 5 is for new classes.
    smooth = smooth_proba(np.array([[0.75, 0.25, 0.0]]), np.array([3, 1, 0]))
    old = np.array([0.8 * 0.75, 0.8 * 0.25]) + 0.2 / 3
    assert_allclose(smooth[0, 2], 1 / 3)  # at most its part of the classes
    assert_allclose(smooth[0, :2], (2 / 3) * old / old.sum())
