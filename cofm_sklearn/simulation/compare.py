"""Compare strategies on the same data and answers, over several seeds."""

import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.model_selection import train_test_split
from sklearn.utils.parallel import Parallel, delayed
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from cofm_sklearn.loop.learner import missing_seeds
from cofm_sklearn.models import fit_to_pool
from cofm_sklearn.query.base import check_strategy
from cofm_sklearn.simulation.classifier import (
    ActiveLearningClassifier,
    check_prior_knows,
    draw_seed,
    seed_model,
)
from cofm_sklearn.simulation.oracle import NoisyOracle
from cofm_sklearn.utils.labels import check_targets
from cofm_sklearn.utils.pipelines import split_pipeline
from cofm_sklearn.utils.validation import check_integer, take_rows

__all__ = ["compare_strategies"]


def compare_strategies(
    strategies,
    X,
    y,
    *,
    estimator=None,
    eval_set=None,
    splits=None,
    seeds=3,
    noise=0.0,
    n_initial="auto",
    n_instances=10,
    budget=100,
    scoring=None,
    n_jobs=None,
    verbose=0,
):
    """Run strategies with the same budget on the same data, and record their scores.

    Each run is an `ActiveLearningClassifier`. A seed fixes the split, the wrong answers
    and all random draws, so that strategies differ only in their queries, and in the
    model if each has its own.

    Parameters
    ----------
    strategies : dict of str to query strategy or tuple (estimator, query strategy)
        Strategies by name. A strategy without its own model trains `estimator`.

    X : array-like of length n_samples
        Samples that the estimators accept.

    y : array-like of shape (n_samples,)
        True labels.

    estimator : classifier or None, default=None
        Model for the strategies without their own. Its unsupervised parts, such as an
        unfitted prior, are fitted on each pool once (`fit_to_pool`).

    eval_set : tuple (X_eval, y_eval) or None, default=None
        Evaluation samples; X is then the whole pool. None holds out samples of X.

    splits : iterable of tuple (pool, held_out) or None, default=None
        Positions in X, one pair per seed. None holds out 30 %, stratified by class,
        differently for each seed.

    seeds : int or iterable of int, default=3
        Seeds; a number n means 0 to n - 1.

    noise : float or iterable of float, default=0.0
        Probabilities of a wrong answer, at least 0 and below 1 (`NoisyOracle`).

    n_initial, n_instances, budget, scoring
        As in `ActiveLearningClassifier`.

    n_jobs : int or None, default=None
        Parallel runs (joblib). Results do not depend on it.

    verbose : int, default=0
        Above 0, show a progress bar.

    Returns
    -------
    DataFrame
        A row per run and round: ``strategy``, ``seed``, ``noise``, ``round``,
        ``n_labels``, the scores, and the further columns of the learning curves.

    Raises
    ------
    ValueError
        If there is no strategy or no seed, a strategy has no estimator, the number of
        `splits` is not that of the seeds, `eval_set` and `splits` are both given, or
        `ActiveLearningClassifier` raises an error.

    TypeError
        If `strategies` is not a dict, or a strategy cannot be called.

    See Also
    --------
    LearningCurveDisplay.from_records : Plots the result.
    label_savings : Computes how many labels a strategy saves.

    Notes
    -----
    An interruption (Ctrl-C) returns the rows of all complete runs, with a warning.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import CoDecisionQuery
    >>> from cofm_sklearn.query import RandomQuery
    >>> from cofm_sklearn.simulation import compare_strategies
    >>> X, y = make_blobs([90, 90, 20], n_features=4, random_state=0)
    >>> records = compare_strategies(
    ...     {"ours": CoDecisionQuery(), "random": RandomQuery()}, X, y,
    ...     estimator=LogisticRegression(), seeds=2, budget=20)
    >>> records.groupby(["strategy", "n_labels"]).size().unstack()
    n_labels  10  20
    strategy
    ours       2   2
    random     2   2
    """
    models = _check_strategies(strategies, estimator)
    y = check_targets(X, y)
    if isinstance(seeds, Integral):
        check_integer("seeds", seeds, 1)
        seeds = range(seeds)
    seeds = list(seeds)
    noises = [noise] if isinstance(noise, Real) else list(noise)
    if not seeds or not noises:
        raise ValueError("seeds and noise must have at least one value each.")
    data = _splits(X, y, eval_set, splits, seeds)
    options = {
        "n_initial": n_initial,
        "n_instances": n_instances,
        "budget": budget,
        "scoring": scoring,
    }
    fitted: dict[tuple[int, int, object], object] = {}
    jobs = []
    for name, (model, strategy) in models.items():
        for rate in noises:
            for seed, (X_pool, y_pool, held_out) in zip(seeds, data):
                # Once here, so that no worker process needs the foundation model.
                # With the seeds of the run, if what is fitted here is random.
                draws = _fits_at_random(model)
                key = id(model), id(X_pool), seed if draws else None
                if key not in fitted:
                    ready = seed_model(model, draw_seed(seed)) if draws else model
                    fitted[key] = fit_to_pool(ready, X_pool)
                check_prior_knows(fitted[key], y_pool)
                about = {"strategy": name, "seed": seed, "noise": rate}
                run = (about, fitted[key], strategy, X_pool, y_pool, held_out)
                jobs.append(delayed(_run)(*run, options))
    curves, done = [], Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    progress = tqdm(total=len(jobs), unit="run", disable=verbose <= 0)
    try:
        with progress:
            for curve in done:
                curves.append(curve)
                progress.update()
    except KeyboardInterrupt:
        if not curves:
            raise
        warnings.warn(
            f"Interrupted: {len(curves)} of {len(jobs)} runs are complete; their rows "
            "are returned.",
            stacklevel=2,
        )
    return pd.concat(curves, ignore_index=True)


def _check_strategies(strategies, estimator):
    """Return estimator and strategy by name."""
    if not isinstance(strategies, dict):
        raise TypeError(
            "strategies must be a dict that maps names to strategies, got "
            f"{type(strategies).__name__}."
        )
    if not strategies:
        raise ValueError("strategies is empty; give at least one.")
    models = {}
    for name, value in strategies.items():
        model, strategy = value if isinstance(value, tuple) else (estimator, value)
        check_strategy(strategy, f"strategies[{name!r}]")
        if model is None:
            raise ValueError(
                f"strategies[{name!r}] has no model to train. Give estimator=, or a "
                "tuple (estimator, strategy)."
            )
        models[name] = model, strategy
    return models


def _fits_at_random(model):
    """Tell whether a part that is fitted to the pool has no seed."""
    before, last = split_pipeline(model)
    parts = [*before, getattr(last, "prior", None), getattr(last, "neighbors", None)]
    return any(map(missing_seeds, parts))


def _splits(X, y, eval_set, splits, seeds):
    """Return samples and labels of the pool, and the evaluation set, for each seed."""
    if eval_set is not None:
        if splits is not None:
            raise ValueError("Give either eval_set or splits, not both.")
        return [(X, y, eval_set)] * len(seeds)
    if splits is None:
        rows = np.arange(len(y))
        splits = [
            train_test_split(rows, test_size=0.3, stratify=y, random_state=seed)
            for seed in seeds
        ]
    splits = list(splits)
    if len(splits) != len(seeds):
        raise ValueError(
            f"splits has {len(splits)} pairs for {len(seeds)} seeds; give one for each."
        )
    return [
        (take_rows(X, pool), y[pool], (take_rows(X, held_out), y[held_out]))
        for pool, held_out in splits
    ]


def _run(about, model, strategy, X_pool, y_pool, held_out, options):
    """Return the learning curve of one strategy with one seed."""
    seed = about["seed"]
    loop = ActiveLearningClassifier(
        model,
        strategy,
        oracle=NoisyOracle(about["noise"], random_state=seed),
        random_state=seed,
        **options,
    )
    # The matrices are small: BLAS threads would mostly wait for each other.
    with threadpool_limits(1):
        loop.fit(X_pool, y_pool, eval_set=held_out)
    curve = loop.learning_curve_.drop(columns=["strategy", "seed"])
    for place, (column, value) in enumerate(about.items()):
        curve.insert(place, column, value)
    return curve
