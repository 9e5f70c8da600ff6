"""One run: a strategy spends the budget on one split, both models are scored."""

from dataclasses import asdict, dataclass
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegression

from benchmarks.savings.data import DATASETS, make_split
from benchmarks.savings.strategies import OURS, STRATEGIES, make
from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.models.small_model import TrainingSet, fit_small_model
from cofm_sklearn.simulation import score_predictions

__all__ = ["COLUMNS", "Run", "execute"]

SCORES = ("balanced_accuracy", "macro_f1", "rare_class_recall")
COLUMNS = (
    *("dataset", "noise", "prior", "strategy", "seed", "n_rounds", "fused_every"),
    *("round", "last", "n_labels"),
    *(f"small_{score}" for score in SCORES),
    *(f"fused_{score}" for score in SCORES),
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


def small_model():
    """Return the small model that all strategies retrain."""
    return LogisticRegression(C=1.0, class_weight="balanced", max_iter=300)


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
    batch = DATASETS[run.dataset].batch
    strategy = make(run.strategy, run.seed).set_params(**(params or {}))
    unfitted = CoDecisionClassifier(
        small_model(),
        split.prior,
        neighbors=split.neighbors,
        random_state=run.seed,
    )
    learner, asked, rows = None, np.empty(0, dtype=np.int64), []
    if run.strategy == OURS:
        learner = _Learner(unfitted, None, None)
    elif STRATEGIES[run.strategy].cold_start:
        learner = _Learner(small_model(), None, None)
    for k in range(run.n_rounds):
        pool = np.setdiff1d(np.arange(len(split.Z_pool)), asked)
        n = min(batch, len(pool))
        last = k == run.n_rounds - 1 or len(pool) == n
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
        small = fused = None
        if recorded is None:
            row = {"round": k, "last": int(last), "n_labels": len(asked)}
            row["asked"] = " ".join(map(str, picked))
            small = fit_small_model(small_model(), TrainingSet(Z, y, split.classes))
            row |= _scores("small", small, split)
            row["query_seconds"] = round(queried - start, 4)
        else:
            row = dict(recorded[k])
        row |= asdict(run)
        if run.strategy == OURS or _measures_fused(run, k, last):
            # A copy of the settings; the frozen parts are shared.
            fused = CoDecisionClassifier(**unfitted.get_params(deep=False)).fit(Z, y)
        row |= _scores("fused", fused, split)
        row["trust"] = None if fused is None else round(fused.trust_, 4)
        row["noise_rate"] = None if fused is None else round(fused.noise_rate_, 4)
        row["fit_seconds"] = round(perf_counter() - queried, 4)
        rows.append(row)
        learner = _Learner(fused if run.strategy == OURS else small, Z, y)
        if last:
            break
    return rows


def _measures_fused(run, k, last):
    every = run.fused_every
    return bool(every) and (k % every == 0 or last)


def _scores(name, model, split):
    if model is None:
        return {f"{name}_{score}": None for score in SCORES}
    scores = score_predictions(
        split.y_test, model.predict(split.Z_test), classes=split.classes
    )
    return {f"{name}_{score}": round(scores[score], 6) for score in SCORES}
