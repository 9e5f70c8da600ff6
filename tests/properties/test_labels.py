"""Properties of labels, their quality and their noise."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from cofm_sklearn.datasets import flip_labels, make_long_tail
from cofm_sklearn.noise import (
    combine_annotators,
    estimate_noise,
    find_suspects,
    label_quality,
    spread_answers,
)
from cofm_sklearn.simulation import label_savings, labels_to_reach, score_predictions

SEEDS = st.integers(0, 10**6)
# Names of three classes, in sorted order, in every dtype that labels come in.
NAMES = [
    np.array([-2, 0, 7], dtype=np.int8),
    np.array([0, 1, 2**40]),
    np.array([0.0, 1.0, 2.0], dtype=np.float32),
    np.array(["", "b", "ç" * 20]),
    np.array(["a", "b", "c"], dtype=object),
]
names_of_classes = st.sampled_from(NAMES)
as_container = st.sampled_from([np.asarray, list, pd.Series])


def draw_labels(seed, n, n_classes=3):
    """Codes and out-of-fold probabilities, some certain, some tied."""
    rng = np.random.RandomState(seed)
    proba = rng.dirichlet(np.full(n_classes, rng.choice([0.05, 1, 20])), size=n)
    proba[rng.uniform(size=n) < 0.2] = 1 / n_classes
    sure = rng.uniform(size=n) < 0.2
    proba[sure] = np.eye(n_classes)[rng.randint(n_classes, size=sure.sum())]
    return rng, rng.randint(n_classes, size=n), proba


@given(seed=SEEDS, names=names_of_classes, container=as_container)
def test_kind_of_labels_changes_no_estimate(seed, names, container):
    _, codes, proba = draw_labels(seed, 12)
    plain = estimate_noise(codes, proba, classes=[0, 1, 2])
    named = estimate_noise(container(names[codes]), proba, classes=names)
    for one, other in zip(plain, named):
        assert_array_equal(one, other)


@given(seed=SEEDS, dtype=st.sampled_from([np.float16, np.float32, list]))
def test_precision_of_probabilities_hardly_matters(seed, dtype):
    _, codes, proba = draw_labels(seed, 10)
    rough = proba.tolist() if dtype is list else proba.astype(dtype)
    exact = label_quality(codes, proba, classes=[0, 1, 2])
    assert_allclose(label_quality(codes, rough, classes=[0, 1, 2]), exact, atol=0.03)


@given(seed=SEEDS, n=st.integers(1, 15), factor=st.sampled_from([1e-9, 1.0, 1e9]))
def test_equal_weights_are_none_and_order_is_free(seed, n, factor):
    rng, codes, proba = draw_labels(seed, n)
    plain = estimate_noise(codes, proba, classes=[0, 1, 2])
    same = estimate_noise(
        codes, proba, classes=[0, 1, 2], sample_weight=np.full(n, factor)
    )
    order = rng.permutation(n)
    moved = estimate_noise(codes[order], proba[order], classes=[0, 1, 2])
    assert_allclose(same.label_quality, plain.label_quality, atol=1e-6)
    assert_allclose(moved.label_quality, plain.label_quality[order], atol=1e-6)
    for other in (same, moved):
        assert_allclose(other.noise_rate, plain.noise_rate, atol=1e-6)
        assert_allclose(other.noise_matrix, plain.noise_matrix, atol=1e-6)


@given(seed=SEEDS, n=st.integers(1, 25), names=names_of_classes)
def test_a_higher_threshold_suspects_more(seed, n, names):
    rng = np.random.RandomState(seed)
    y, quality = names[rng.randint(3, size=n)], rng.uniform(size=n).round(1)
    before = set()
    for threshold in (0.0, 0.3, 0.5, 1.0):
        found = find_suspects(y, quality, threshold=threshold, min_per_class=0)
        assert set(found.tolist()) == set(np.flatnonzero(quality < threshold))
        assert before <= set(found.tolist())
        before = set(found.tolist())


@pytest.mark.filterwarnings("ignore:.Nearly. all labels")
@given(seed=SEEDS, n=st.integers(1, 25), least=st.integers(0, 3))
def test_classes_keep_their_best_labels(seed, n, least):
    rng = np.random.RandomState(seed)
    y, quality = rng.randint(3, size=n), rng.uniform(size=n)
    kept = np.setdiff1d(np.arange(n), find_suspects(y, quality, min_per_class=least))
    for label in np.unique(y):
        members = np.flatnonzero(y == label)
        best = members[np.argsort(-quality[members])][:least]
        assert set(best) <= set(kept)


def draw_votes(seed):
    rng = np.random.RandomState(seed)
    votes = rng.randint(3, size=(rng.randint(1, 8), rng.randint(1, 5)))
    missing = rng.uniform(size=votes.shape) < 0.3
    missing[np.arange(len(votes)), rng.randint(votes.shape[1], size=len(votes))] = False
    return rng, np.where(missing, -1, votes)


@given(seed=SEEDS, names=names_of_classes, missing=st.sampled_from([None, np.nan]))
def test_who_answers_and_in_which_row_does_not_matter(seed, names, missing):
    rng, codes = draw_votes(seed)
    matrix = names.astype(object)[codes]
    matrix[codes < 0] = missing
    proba = rng.dirichlet(np.ones(3), size=len(codes))
    rows, people = rng.permutation(len(codes)), rng.permutation(codes.shape[1])
    for opinion in (None, proba):
        plain = combine_annotators(matrix, opinion, classes=names)
        moved = combine_annotators(
            matrix[rows][:, people],
            None if opinion is None else opinion[rows],
            classes=names,
        )
        assert_array_equal(moved.labels, plain.labels[rows])
        assert_allclose(moved.quality, plain.quality[rows])
        assert_allclose(moved.disagreement, plain.disagreement[rows])
        assert_allclose(moved.annotator_quality, plain.annotator_quality[people])


@given(seed=SEEDS, names=names_of_classes)
def test_spread_answers_are_the_answers(seed, names):
    _, codes = draw_votes(seed)
    matrix = names.astype(object)[codes]
    matrix[codes < 0] = None
    rows, y, weight = spread_answers(matrix, classes=names)
    assert_array_equal(y, names[codes[codes >= 0]])
    assert_array_equal(np.bincount(rows), (codes >= 0).sum(axis=1))
    assert_allclose(np.bincount(rows, weights=weight), 1)
    skill = np.where((codes >= 0).any(axis=0), 1.0, np.nan)
    assert_allclose(spread_answers(matrix, skill, classes=names)[2], weight)


@given(seed=SEEDS, names=names_of_classes, container=as_container)
def test_long_tails_and_flips_go_by_the_order_of_the_classes(seed, names, container):
    codes = np.random.RandomState(seed).randint(3, size=40)
    codes[:3] = [0, 1, 2]
    y = container(names[codes])
    kept = make_long_tail(codes, ratio=5, random_state=seed)
    assert_array_equal(make_long_tail(y, ratio=5, random_state=seed), kept)
    wrong = flip_labels(codes, noise=0.4, random_state=seed)
    assert_array_equal(
        np.asarray(flip_labels(y, noise=0.4, random_state=seed)), names[wrong]
    )


@given(seed=SEEDS, noise=st.sampled_from([0.1, 0.5, 0.9]), n_classes=st.integers(2, 5))
def test_the_share_of_flipped_labels_is_the_noise(seed, noise, n_classes):
    y = np.arange(2000) % n_classes
    share = (flip_labels(y, noise=noise, random_state=seed) != y).mean()
    assert abs(share - noise) < 5 * np.sqrt(noise * (1 - noise) / 2000)


@given(seed=SEEDS, ratio=st.floats(1, 100), n_classes=st.integers(2, 6))
def test_the_ratio_of_balanced_classes_is_met(seed, ratio, n_classes):
    y = np.repeat(np.arange(n_classes), 300)
    kept = make_long_tail(y, ratio=ratio, min_class_size=1, random_state=seed)
    sizes = np.bincount(y[kept])
    assert sizes.max() == 300
    assert sizes.min() == round(300 / ratio)


@given(seed=SEEDS, factor=st.sampled_from([0.5, 3.0, 1e6]), shift=st.floats(-5, 5))
def test_labels_to_reach_scale_with_counts_and_grow_with_the_level(seed, factor, shift):
    rng = np.random.RandomState(seed)
    counts = np.cumsum(rng.randint(1, 20, size=6)).astype(float)
    scores = rng.uniform(size=6).round(2)
    levels = np.sort(rng.uniform(size=5))
    found = [labels_to_reach(counts, scores, level) for level in levels]
    reached = [n for n in found if not np.isnan(n)]
    assert reached == sorted(reached)
    assert np.isnan(found[len(reached) :]).all()
    scaled = [labels_to_reach(factor * counts, scores, level) for level in levels]
    assert_allclose(scaled, factor * np.array(found))
    moved = [labels_to_reach(counts, scores + 8, level + 8) for level in levels]
    assert_allclose(moved, found)


def draw_records(seed, strategies=("ours", "first", "second")):
    rng = np.random.RandomState(seed)
    rows = [
        (name, run, 10 * (i + 1), min(1.0, 0.1 * i + rng.uniform(0, 0.3)))
        for name in strategies
        for run in range(2)
        for i in range(8)
    ]
    return pd.DataFrame(rows, columns=["strategy", "seed", "n_labels", "score"])


@given(seed=SEEDS)
def test_savings_ignore_units_of_labels_order_and_copies_of_rivals(seed):
    records = draw_records(seed)
    plain = label_savings(records, ours="ours", metric="score")
    copy = records[records["strategy"] == "first"].assign(strategy="zweitens")
    changed = [
        records.assign(n_labels=7 * records["n_labels"]),
        records.sample(frac=1, random_state=seed),
        pd.concat([records, copy]),
    ]
    for other in changed:
        found = label_savings(other, ours="ours", metric="score")
        assert_allclose(found["saving"], plain["saving"])
        assert_allclose(found["level"], plain["level"])


@given(seed=SEEDS)
def test_nothing_is_saved_against_a_copy_and_a_worse_rival_changes_nothing(seed):
    records = draw_records(seed, ("ours",))
    twin = pd.concat([records, records.assign(strategy="twin")])
    found = label_savings(twin, ours="ours", metric="score")
    assert_allclose(found["saving"], 0, atol=1e-12)
    start = records["score"].min()
    worse = twin.assign(score=start)[twin["strategy"] == "twin"]
    more = pd.concat([twin, worse.assign(strategy="worse")])
    again = label_savings(more, ours="ours", metric="score", baselines=["twin"])
    pd.testing.assert_frame_equal(again, found)


@given(seed=SEEDS, names=names_of_classes)
def test_scores_are_shares_and_all_right_is_one(seed, names):
    rng = np.random.RandomState(seed)
    true, guessed = names[rng.randint(3, size=(2, 15))]
    scores = score_predictions(true, guessed)
    assert all(0 <= score <= 1 for score in scores.values())
    assert set(score_predictions(true, true).values()) == {1.0}
    order = rng.permutation(15)
    moved = score_predictions(true[order], guessed[order])
    assert_allclose(list(moved.values()), list(scores.values()))
