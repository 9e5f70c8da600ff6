"""One run: a strategy spends the budget on one split, the models are scored.

Scores are those on the test set; those with "pool" in their name are of the labels that
the whole pool ends up with: answers where asked, the model's elsewhere.
"""

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.base import clone

from benchmarks.savings.data import label_counts, make_split
from benchmarks.savings.strategies import (
    PRIOR_ALONE,
    STRATEGIES,
    co_decision,
    make,
    small_model,
)
from cofm_sklearn.models.small_model import TrainingSet, fit_small_model
from cofm_sklearn.simulation import score_predictions

__all__ = ["COLUMNS", "Run", "execute"]

SCORES = ("balanced_accuracy", "macro_f1", "rare_class_recall")
TASKS = ("", "pool_")
COLUMNS = (
    *("dataset", "noise", "prior", "strategy", "seed", "n_rounds", "fused_every"),
    *("round", "last", "n_labels"),
    # What the strategy's own model, or the co-decision of the same labels, reaches.
    *(f"{m}_{task}{s}" for m in ("small", "fused") for task in TASKS for s in SCORES),
    *("trust", "noise_rate", "query_seconds", "fit_seconds", "asked"),
)


@dataclass(frozen=True)
class Run:
    """What identifies a run; its rows are written together or not at all."""

    dataset: str
    noise: str
    prior: str
    strategy: str
    seed: int
    n_rounds: int
    fused_every: int


@dataclass
class _Learner:
    """What strategies get to see; shaped like modAL's ActiveLearner."""

    estimator: Any
    X_training: np.ndarray
    y_training: np.ndarray

    def predict(self, X):
        return self.estimator.predict(X)

    def predict_proba(self, X):
        return self.estimator.predict_proba(X)


def execute(run, folder, cache, recorded=None, params=None):
    """Let a strategy spend its budget.

    Parameters
    ----------
    run : Run
        What to run.

    folder, cache : str
        Where data and cached embeddings are.

    recorded : list of dict or None, default=None
        Rows of a finished run that differs in `fused_every` only: its samples are
        taken as asked for, its scores of the small model as they are.

    params : dict or None, default=None
        Parameters of the strategy that differ from its entry.

    Returns
    -------
    list of dict
        One row per round, with the keys `COLUMNS`. The fused scores are None in
        rounds in which they were not measured; `asked` are the rows of the pool.
    """
    split = make_split(run.dataset, run.noise, run.prior, run.seed, folder, cache)
    nothing = np.empty(0, dtype=np.int64)
    if run.strategy == PRIOR_ALONE:
        row = asdict(run) | {"round": 0, "last": 1, "n_labels": 0}
        row |= _scores("small", None, split, nothing)
        return [row | _scores("fused", split.prior, split, nothing)]
    strategy = make(run.strategy, run.seed).set_params(**(params or {}))
    entry = STRATEGIES[run.strategy]
    if entry.prior:
        strategy.set_params(prior=split.prior)
    fuses = entry.model or co_decision
    fused = fuses(split, run.seed)
    learner, asked, rows = None, nothing, []
    if entry.cold_start:
        learner = _Learner(clone(fused) if entry.model else small_model(), None, None)
    counts = label_counts(len(split.classes), run.n_rounds)
    for k, count in enumerate(counts):
        pool = np.setdiff1d(np.arange(len(split.Z_pool)), asked)
        n = min(count - len(asked), len(pool))
        last = count == counts[-1] or len(pool) == n
        start = perf_counter()
        if recorded is not None:
            picked = np.array(recorded[k]["asked"].split(), dtype=np.int64)
        elif learner is None:
            rng = np.random.RandomState(run.seed)
            picked = pool[rng.choice(len(pool), size=n, replace=False)]
        else:
            picked = pool[strategy(learner, split.Z_pool[pool], n_instances=n)]
        queried = perf_counter()
        asked = np.concatenate([asked, picked])
        Z, y = split.Z_pool[asked], split.answers[asked]
        small = None
        if recorded is None:
            row = {"round": k, "last": int(last), "n_labels": len(asked)}
            row["asked"] = " ".join(map(str, picked))
            small = fit_small_model(small_model(), TrainingSet(Z, y, split.classes))
            row |= _scores("small", small, split, asked)
            row["query_seconds"] = round(queried - start, 4)
        else:
            row = dict(recorded[k])
        row |= asdict(run)
        measured = entry.model is not None or _measures_fused(run, k, last)
        if measured:
            fused.fit(Z, y)
        row |= _scores("fused", fused if measured else None, split, asked)
        for name in ("trust", "noise_rate"):
            learned = getattr(fused, f"{name}_", None) if measured else None
            row[name] = None if learned is None else round(learned, 4)
        row["fit_seconds"] = round(perf_counter() - queried, 4)
        rows.append(row)
        learner = _Learner(fused if entry.model else small, Z, y)
        if last:
            break
    return rows


def _measures_fused(run, k, last):
    every = run.fused_every
    return bool(every) and (k % every == 0 or last)


def _scores(name, model, split, asked):
    if model is None:
        return {f"{name}_{task}{score}": None for task in TASKS for score in SCORES}
    labels = model.predict(split.Z_pool)
    labels[asked] = split.answers[asked]
    found = {}
    for task, truth, said in (
        ("", split.y_test, model.predict(split.Z_test)),
        ("pool_", split.y_pool, labels),
    ):
        scores = score_predictions(truth, said, classes=split.classes)
        found |= {f"{name}_{task}{score}": round(scores[score], 6) for score in SCORES}
    return found
