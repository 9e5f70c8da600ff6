"""Calls of the public API with random arguments, and properties of the results.

Each function makes its arguments with a `Draw`, calls, and asserts what is true
whatever the arguments were.
"""

import tempfile
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pandas as pd
from imblearn.over_sampling import SMOTE, RandomOverSampler
from imblearn.under_sampling import RandomUnderSampler, TomekLinks
from modAL.uncertainty import margin_sampling
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from cofm_sklearn import (
    ActiveLearningClassifier,
    CoDecisionClassifier,
    CoDecisionQuery,
    LabelCleaner,
    NeighborGraph,
    PrecomputedPrior,
    SafeSampler,
)
from cofm_sklearn.annotation import (
    samples_from_dataset,
)
from cofm_sklearn.datasets import ParquetEmbeddings, flip_labels, make_long_tail
from cofm_sklearn.loop import StabilizedPredictions
from cofm_sklearn.noise import (
    combine_annotators,
    estimate_noise,
    find_suspects,
    fit_label_channel,
    label_quality,
    spread_answers,
)
from cofm_sklearn.query import (
    AskAgainQuery,
    DirectQuery,
    GalaxyQuery,
    ModALQuery,
    UncertaintyHerdingQuery,
)
from cofm_sklearn.simulation import (
    ExactOracle,
    NoisyOracle,
    RecordedVotesOracle,
    label_savings,
    labels_to_reach,
    score_predictions,
)
from tests.properties.session_targets import (
    check_shares,
    journey,
    label_studio,
    session,
)

__all__ = ["TARGETS"]

METHODS = ["auto", "channel", "majority"]
if find_spec("cleanlab"):  # of an extra
    METHODS.append("crowdlab")


def _check_proba(P, n, k):
    P = np.asarray(P)
    assert P.shape == (n, k)
    assert (P >= 0).all()
    np.testing.assert_allclose(P.sum(axis=1), 1, rtol=1e-6)


def _check_picks(picks, n_pool, n):
    picks = np.asarray(picks)
    assert picks.dtype.kind == "i"
    assert picks.shape == (n,)
    assert len(set(picks.tolist())) == n
    assert picks.min(initial=0) >= 0
    assert picks.max(initial=0) < n_pool


def long_tail(d):
    y = d.labels(d.names(), d.number(0, 40))
    kept = make_long_tail(
        y,
        ratio=d.maybe(d.one(None, 1, 2.5, 50, 1e9)),
        max_samples=d.maybe(d.one(None, None, d.number(1, 40))),
        order=d.maybe(None),
        min_class_size=d.maybe(d.number(1, 4)),
        random_state=d.seed(),
    )
    assert (np.diff(kept) > 0).all()
    assert len(kept)
    assert set(np.ravel(y)[kept].tolist()) == set(np.ravel(y).tolist())


def flip(d):
    n, names = d.number(1, 40), d.names()
    y = d.labels(names, n)
    confusion = dict(zip(names.tolist(), np.roll(names, 1).tolist()))
    wrong = flip_labels(
        y,
        noise=d.maybe(d.one(0, 0.2, 0.999)),
        kind=d.maybe(d.one("symmetric", "asymmetric")),
        classes=d.maybe(d.one(None, names, names.tolist())),
        confusion=d.maybe(d.one(None, confusion)),
        X=d.one(None, d.table(n, 3)),
        random_state=d.seed(),
    )
    assert wrong.shape == np.ravel(y).shape
    known = set(np.ravel(y).tolist()) | set(names.tolist())
    assert set(wrong.tolist()) <= known


def noise_estimate(d):
    n, names = d.number(1, 15), d.names()
    y, proba = d.labels(names, n), d.proba(n, len(names))
    call = d.one(estimate_noise, label_quality)
    found = call(
        y,
        proba,
        classes=d.maybe(d.one(names, np.sort(names), None)),
        label_noise=d.maybe(d.one("auto", None, 0.0, 0.3)),
        sample_weight=d.weights(n),
    )
    if call is label_quality:
        check_shares(found)
        return
    check_shares(found.label_quality)
    assert len(found.label_quality) == n
    assert 0 <= found.noise_rate < 1
    low, high = found.noise_rate_interval
    assert 0 <= low <= high <= 1
    _check_proba(found.noise_matrix, *found.noise_matrix.shape)
    low, high = found.noise_matrix_interval
    assert (low <= high + 1e-12).all()


def channel(d):
    n, k = d.number(1, 20), d.number(1, 4)
    y = d.rng.randint(k, size=n)
    y = d.one(y, y, y[1:], y + 1) if d.chance(d.evil) else y
    P = d.rng.dirichlet(np.full(k, d.one(0.05, 1.0)), size=n)
    w = d.rng.exponential(size=n)
    found = fit_label_channel(
        y,
        P,
        noise_rate=d.one(None, 0, 0.2, 0.999, 1, -0.1),
        confusion=d.one("uniform", "similar", "none"),
        sample_weight=d.one(None, w / w.mean()),
    )
    assert np.isfinite(found.log_likelihood).all()
    check_shares(found.quality)
    assert 0 <= found.noise_rate < 1
    np.testing.assert_allclose(found.class_shares.sum(), 1)
    _check_proba(found.true_class, n, k)
    assert (found.rarity > 0).all()


def suspects(d):
    n, names = d.number(0, 20), d.names()
    y = d.labels(names, n)
    quality = d.maybe(np.round(d.rng.uniform(size=n), 1))
    threshold = d.maybe(d.one(0, 0.5, 1, 1.0))
    found = find_suspects(
        y, quality, threshold=threshold, min_per_class=d.maybe(d.number(0, 3))
    )
    assert len(set(found.tolist())) == len(found)
    worst = np.asarray(quality, dtype=float)[found]
    assert (worst < threshold).all()
    assert (np.diff(worst) >= 0).all()


def annotators(d):
    n, m, names = d.number(1, 12), d.number(1, 4), d.names()
    matrix = names.astype(object)[d.rng.randint(len(names), size=(n, m))]
    missing = d.rng.uniform(size=(n, m)) < 0.3
    missing[np.arange(n), d.rng.randint(m, size=n)] = False
    matrix[missing] = d.one(None, np.nan, pd.NA)
    labels = d.maybe(d.one(matrix, matrix.tolist(), pd.DataFrame(matrix)))
    classes = d.maybe(d.one(names, None))
    if d.chance(0.3):
        quality = d.maybe(d.one(None, d.rng.uniform(size=m)))
        rows, y, weight = spread_answers(labels, quality, classes=classes)
        assert len(rows) == len(y) == len(weight)
        assert (weight > 0).all()
        assert (np.diff(rows) >= 0).all()
        return
    model = d.one(None, None, GaussianNB())
    found = combine_annotators(
        labels,
        d.one(None, d.proba(n, len(names))),
        classes=classes,
        method=d.maybe(d.one(*METHODS)),
        estimator=d.maybe(model),
        X=None if model is None else d.table(n, 2),
        n_folds=d.maybe(d.number(2, 4)),
        random_state=d.seed(),
    )
    assert len(found.labels) == len(found.quality) == len(found.disagreement)
    check_shares(found.quality)
    check_shares(found.disagreement)
    told = ~np.isnan(found.annotator_quality)
    check_shares(found.annotator_quality[told])


def select(d):
    n, k, width = d.number(0, 40), d.number(1, 4), d.number(1, 5)
    n_labeled = d.number(0, 6)
    strategy = CoDecisionQuery(
        uncertainty=d.maybe(d.one("least_confidence", "margin", "entropy")),
        sharpness=d.maybe(d.one(0, 4.0, 50)),
        balance=d.maybe(d.one(0, 0.25, 5.0)),
        kernel_width=d.maybe(d.one("auto", 0.5, 1e-3, 1e3)),
        max_candidates=d.maybe(d.one(None, 1, 7, 2048)),
        block_size=d.maybe(d.one("auto", 1, 5)),
        random_state=d.seed(),
    )
    X = d.table(n, width)
    wanted = d.maybe(d.number(1, max(n, 1)))
    picks, worth = strategy.select(
        X,
        d.one(None, d.proba(n, k)),
        d.one(None, d.proba(n, k)),
        X_labeled=d.one(None, d.table(n_labeled, width)),
        y_labeled=d.one(None, None, d.labels(np.arange(k), n_labeled)),
        n_instances=wanted,
        trust=d.maybe(d.one(None, 0, 0.5, 1.0)),
        return_utilities=True,
    )
    size = X.shape[0] if hasattr(X, "shape") else len(X)
    _check_picks(picks, size, 1 if wanted is None else int(wanted))
    assert worth.shape == (size,)
    assert not np.isnan(worth[picks]).any()


def _small_model(d):
    return d.one(
        LogisticRegression(max_iter=20),
        GaussianNB(),
        DecisionTreeClassifier(random_state=0),
        KNeighborsClassifier(1),
    )


def query(d):
    n, width, names = d.number(1, 30), d.number(1, 4), d.names(kind="str")
    model, n_labeled = _small_model(d), d.number(0, 8)
    if n_labeled:
        y = names[d.rng.randint(len(names), size=n_labeled)]
        model.fit(d.rng.normal(size=(n_labeled, width)), y)
    strategy = d.one(CoDecisionQuery, UncertaintyHerdingQuery, GalaxyQuery)
    strategy = strategy(random_state=d.seed())
    if d.chance(0.4):
        strategy = d.one(
            DirectQuery(min_per_class=d.maybe(2), random_state=d.seed()),
            ModALQuery(d.maybe(margin_sampling), random_state=d.seed()),
            AskAgainQuery(d.maybe(CoDecisionQuery()), share=d.maybe(0.5)),
            UncertaintyHerdingQuery(
                radius=d.maybe(0.3), temperature=d.maybe(2), random_state=d.seed()
            ),
        )
    wanted, X = d.maybe(d.number(1, n)), d.table(n, width)
    picks = strategy(d.maybe(model), X, n_instances=wanted)
    size = X.shape[0] if hasattr(X, "shape") else len(X)
    _check_picks(picks, size, 1 if wanted is None else int(wanted))


def prior(d):
    n, names = d.number(1, 20), d.names()
    given = PrecomputedPrior(d.maybe(names)).fit()
    P = d.proba(n, len(names))
    found = given.predict_proba(P)
    _check_proba(found, len(P), len(names))


def co_decision(d):
    n, width, names = d.number(1, 12), d.number(1, 3), d.names()
    k = len(names)
    y, X = d.labels(names, n), d.table(n, width)
    opinion = None
    if d.chance(0.3) and isinstance(X, np.ndarray) and X.ndim == 2:
        P = d.rng.dirichlet(np.ones(k), size=len(X)).reshape(len(X), k)
        X = np.hstack([P, X])
        opinion = PrecomputedPrior(names, columns=list(range(k)))
    neighbors = d.one("auto", None)
    if d.chance(0.4):
        encoder = None if opinion is None else opinion.fit()
        neighbors = NeighborGraph(encoder, n_neighbors=d.number(1, 4)).fit(X)
    model = CoDecisionClassifier(
        _small_model(d),
        d.maybe(opinion),
        trust=d.maybe(d.one("auto", 0, 1.0, 0.3)),
        label_noise=d.maybe(d.one("auto", None, 0.2)),
        neighbors=neighbors,
        n_folds=d.maybe(d.number(2, 3)),
        random_state=d.seed(),
    ).fit(X, y, sample_weight=d.weights(n))
    check_shares(model.label_quality_)
    check_shares([model.trust_, model.prior_evidence_, model.noise_rate_])
    size, k = X.shape[0] if hasattr(X, "shape") else len(X), len(model.classes_)
    for proba in (
        *(model.predict_proba, model.small_model_proba),
        *(model.prior_proba, model.neighbors_proba),
    ):
        _check_proba(proba(X), size, k)
    assert set(model.predict(X).tolist()) <= set(model.classes_.tolist())
    _check_proba(model.oof_proba_, *model.oof_proba_.shape)


def sampler(d):
    n, names = d.number(1, 30), d.names()
    y, X = d.labels(names, n), d.table(n, d.number(1, 3))
    chosen = d.one(SMOTE, RandomOverSampler, RandomUnderSampler, TomekLinks)()
    if d.chance(0.2):
        chosen = d.one(LabelCleaner(GaussianNB(), random_state=0), d.anything())
    if not isinstance(chosen, LabelCleaner):
        chosen = SafeSampler(
            chosen,
            tiny_classes=d.maybe(d.one("pass", "repeat")),
            random_state=d.seed(),
        )
    X_new, y_new = chosen.fit_resample(X, y)
    assert X_new.shape[0] == len(y_new) if hasattr(X_new, "shape") else len(X_new)
    assert set(np.ravel(y_new).tolist()) == set(np.ravel(y).tolist())


def loop(d):
    n, names = d.number(2, 25), d.names()
    y, X = d.labels(names, n), d.table(n, 2)
    budget = d.maybe(d.number(1, 12))
    strategy = d.one(CoDecisionQuery(), margin_sampling, GalaxyQuery(), DirectQuery())
    if d.chance(0.2):
        strategy = AskAgainQuery(CoDecisionQuery(), share=0.5)
    model = ActiveLearningClassifier(
        d.maybe(_small_model(d)),
        d.maybe(strategy),
        n_initial=d.maybe(d.one("auto", 0, 3)),
        n_instances=d.maybe(d.number(4, 6)),
        budget=budget,
        oracle=d.one(None, NoisyOracle(d.maybe(0.2))),
        scoring=d.one(None, [], "accuracy"),
        stopping=d.one(None, None, StabilizedPredictions(d.maybe(0.9), window=1)),
        random_state=d.seed(),
    ).fit(X, y)
    asked = model.queried_indices_
    assert 1 <= len(asked) <= budget
    assert len(model.answers_) == len(asked)
    assert len(set(asked.tolist())) == len(model.labeled_indices_)
    assert (np.diff(model.learning_curve_["n_labels"]) > 0).all()
    check_shares(model.classes_ == model.classes_)


def oracle(d):
    n, names = d.number(1, 20), d.names()
    y = d.labels(names, n)
    votes = d.maybe(d.rng.randint(0, 4, size=(n, len(names))) + np.eye(1, len(names)))
    ask = d.one(ExactOracle(), NoisyOracle(d.maybe(0.4)), RecordedVotesOracle())
    ask.fit(y, votes=votes, classes=d.maybe(names))
    asked = d.maybe(d.rng.randint(n, size=d.number(0, 5)))
    n_before = d.maybe(d.number(0, 3))
    answers = ask.answer(asked, n_before)
    assert answers.shape == np.shape(asked)
    assert set(answers.tolist()) <= set(ask.classes_.tolist())
    np.testing.assert_array_equal(ask.answer(asked, n_before), answers)


def _records(d):
    names = ["ours", "a", "b"][: d.number(1, 3)]
    rows = [
        (name, seed, 10 * (i + 1), round(d.rng.uniform(), 1))
        for name in names
        for seed in range(d.number(1, 2))
        for i in range(d.number(1, 5))
    ]
    records = pd.DataFrame(rows, columns=["strategy", "seed", "n_labels", "score"])
    if d.chance(d.evil):
        records.loc[0, d.one("n_labels", "score")] = d.one(np.nan, np.inf)
    return d.maybe(records)


def savings(d):
    found = label_savings(
        _records(d),
        ours=d.maybe("ours"),
        metric=d.maybe("score"),
        levels=d.maybe(d.one((0.5, 0.9), [1.0], (1e-9,))),
        baselines=d.maybe(None),
    )
    assert ((found["saving"] >= -1) | (found["n_labels"] > 0)).all()
    assert (found["saving"] <= 1).all()


def reach(d):
    n = d.number(0, 6)
    counts, scores = np.sort(d.rng.permutation(50)[:n]), d.rng.uniform(size=n)
    level = d.maybe(d.rng.uniform())
    found = labels_to_reach(d.maybe(counts), d.maybe(scores), level)
    assert isinstance(found, float)


def scores(d):
    n, names = d.number(1, 20), d.names()
    found = score_predictions(
        d.labels(names, n), d.labels(names, n), classes=d.maybe(d.one(None, names))
    )
    check_shares(list(found.values()))


def parquet(d):
    n = d.number(1, 20)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "pool.parquet"
        Z = d.rng.normal(size=(n, 3)).astype(np.float32)
        pd.DataFrame({"e": list(Z), "text": ["x"] * n}).to_parquet(path)
        pool = ParquetEmbeddings(d.maybe(path), d.maybe(d.one(None, "e")))
        rows = d.maybe(
            d.one(d.rng.randint(n, size=3), slice(0, 2), slice(None, None, -1))
        )
        try:
            found = pool[rows]
        except IndexError as error:  # as arrays say it
            raise ValueError(error) from error
        np.testing.assert_array_equal(found, Z[rows])


def dataset(d):
    samples_from_dataset(d.anything(), d.maybe("text"))


# How often each is called: the slow ones less.
TARGETS = {
    long_tail: 10,
    flip: 10,
    noise_estimate: 8,
    channel: 6,
    suspects: 8,
    annotators: 10,
    select: 12,
    query: 10,
    prior: 6,
    co_decision: 4,
    sampler: 6,
    loop: 3,
    oracle: 8,
    savings: 6,
    reach: 4,
    scores: 6,
    parquet: 2,
    session: 4,
    journey: 6,
    label_studio: 3,
    dataset: 1,
}
