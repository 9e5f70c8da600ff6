"""One run: a strategy spends the budget on one split, and the models are scored.

Scores are on the test set; those with "pool" in their name are of the final labels of
the whole pool: answers where queried, predictions elsewhere.
"""

from dataclasses import asdict, dataclass
from time import perf_counter

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone

from benchmarks.savings.data import label_counts, make_split
from benchmarks.savings.strategies import (
    PRIOR_ALONE,
    STRATEGIES,
    co_decision,
    make,
    small_model,
)
from cofm_sklearn import Learner
from cofm_sklearn.models.small_model import fit_small_model
from cofm_sklearn.models.training_set import TrainingSet
from cofm_sklearn.simulation import score_predictions

__all__ = ["COLUMNS", "Run", "execute", "spend"]

SCORES = ("balanced_accuracy", "macro_f1", "rare_class_recall")
TASKS = ("", "pool_")
COLUMNS = (
    *("dataset", "noise", "prior", "strategy", "seed", "n_rounds", "fused_every"),
    *("round", "last", "n_labels"),
    # Scores of the strategy's own model, or of the co-decision on the same labels.
    *(f"{m}_{task}{s}" for m in ("small", "fused") for task in TASKS for s in SCORES),
    *("trust", "noise_rate", "query_seconds", "fit_seconds", "asked"),
)


@dataclass(frozen=True)
class Run:
    """Identity of a run, whose rows are written together or not at all."""

    dataset: str
    noise: str
    prior: str
    strategy: str
    seed: int
    n_rounds: int
    fused_every: int


class _Blind(ClassifierMixin, BaseEstimator):
    """A fitted model without access to the first columns, which are for priors only."""

    def __init__(self, model, n_hidden):
        self.model = model
        self.n_hidden = n_hidden

    @property
    def classes_(self):
        return self.model.classes_

    def fit(self, X, y):
        return self

    def predict_proba(self, X):
        return self.model.predict_proba(X[:, self.n_hidden :])


def execute(run, folder, cache, recorded=None, params=None):
    """Run a strategy until its budget is spent.

    Parameters
    ----------
    run : Run
        The run.

    folder, cache : str
        Folders of data and cached embeddings.

    recorded : list of dict or None, default=None
        Rows of a finished run that differs only in `fused_every`: its queried samples
        and scores of the small model are reused.

    params : dict or None, default=None
        Parameters of the strategy that differ from its entry.

    Returns
    -------
    list of dict
        One row per round, with the keys `COLUMNS`. The fused scores are None in rounds
        in which they were not measured; `asked` are the rows of the pool.
    """
    split = make_split(run.dataset, run.noise, run.prior, run.seed, folder, cache)
    counts = label_counts(len(split.classes), run.n_rounds)
    rows = spend(
        split,
        run.strategy,
        counts,
        run.seed,
        fused_every=run.fused_every,
        recorded=recorded,
        params=params,
    )
    return [row | asdict(run) for row in rows]


def spend(split, name, counts, seed, *, fused_every=0, recorded=None, params=None):
    """Let a strategy query labels of a split until the budget is spent.

    Parameters
    ----------
    split : Split
        Pool, answers and test set.

    name : str
        A key of `STRATEGIES`, or `PRIOR_ALONE`.

    counts : list of int
        Number of labels after each round.

    seed : int
        Seed of all draws.

    fused_every, recorded, params
        As in `execute`, or as in `Run`.

    Returns
    -------
    list of dict
        One row per round, with the keys of `COLUMNS` that do not identify the run.
    """
    nothing = np.empty(0, dtype=np.int64)
    if name == PRIOR_ALONE:
        row = {"round": 0, "last": 1, "n_labels": 0}
        row |= _scores("small", None, split, nothing)
        return [row | _scores("fused", split.prior, split, nothing)]
    entry = STRATEGIES[name]
    strategy = make(name, seed).set_params(**(params or {}))
    if entry.prior:
        strategy.set_params(prior=split.prior)
    # Hide the prior's columns from strategies without a prior.
    hidden = split.n_proba
    seen = split.Z_pool if entry.model or entry.prior else split.Z_pool[:, hidden:]
    fused = (entry.model or co_decision)(split, seed)
    learner, asked, rows = None, nothing, []
    if entry.cold_start:
        learner = Learner(clone(fused) if entry.model else small_model())
    for k, count in enumerate(counts):
        pool = np.setdiff1d(np.arange(len(seen)), asked)
        n = min(count - len(asked), len(pool))
        last = count == counts[-1] or len(pool) == n
        start = perf_counter()
        if recorded is not None:
            picked = np.array(recorded[k]["asked"].split(), dtype=np.int64)
        elif learner is None:
            rng = np.random.RandomState(seed)
            picked = pool[rng.choice(len(pool), size=n, replace=False)]
        else:
            picked = pool[strategy(learner, seen[pool], n_instances=n)]
        queried = perf_counter()
        asked = np.concatenate([asked, picked])
        Z, y = split.Z_pool[asked], split.answers[asked]
        small = None
        if recorded is None:
            row = {"round": k, "last": int(last), "n_labels": len(asked)}
            row["asked"] = " ".join(map(str, picked))
            training = TrainingSet(Z[:, hidden:], y, split.classes)
            small = fit_small_model(small_model(), training)
            row |= _scores("small", small, split, asked, hidden)
            row["query_seconds"] = round(queried - start, 4)
        else:
            row = dict(recorded[k])
        measured = entry.model or (fused_every and (k % fused_every == 0 or last))
        if measured:
            fused.fit(Z, y)
        row |= _scores("fused", fused if measured else None, split, asked)
        for value in ("trust", "noise_rate"):
            learned = getattr(fused, f"{value}_", None) if measured else None
            row[value] = None if learned is None else round(learned, 4)
        row["fit_seconds"] = round(perf_counter() - queried, 4)
        rows.append(row)
        if entry.model:
            learner = Learner(fused).expecting(Z, y)
        else:
            if entry.prior:
                small = _Blind(small, hidden)
            learner = Learner(small).expecting(seen[asked], y)
        if last:
            break
    return rows


def _scores(name, model, split, asked, hidden=0):
    if model is None:
        return {f"{name}_{task}{score}": None for task in TASKS for score in SCORES}
    labels = model.predict(split.Z_pool[:, hidden:])
    labels[asked] = split.answers[asked]
    found = {}
    for task, truth, said in (
        ("", split.y_test, model.predict(split.Z_test[:, hidden:])),
        ("pool_", split.y_pool, labels),
    ):
        scores = score_predictions(truth, said, classes=split.classes)
        found |= {f"{name}_{task}{score}": round(scores[score], 6) for score in SCORES}
    return found
