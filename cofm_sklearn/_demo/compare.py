"""The runs of the comparison: every strategy, share of wrong labels and seed."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from sklearn.base import BaseEstimator, clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.utils import check_random_state
from threadpoolctl import threadpool_limits
from tqdm.auto import tqdm

from cofm_sklearn._demo.data import split_corpus
from cofm_sklearn.encoders import SentenceTransformerEncoder
from cofm_sklearn.models import CoDecisionClassifier
from cofm_sklearn.priors import ZeroShotPrior
from cofm_sklearn.query import CoDecisionQuery
from cofm_sklearn.simulation import (
    ActiveLearningClassifier,
    NoisyOracle,
    score_predictions,
)
from cofm_sklearn.utils import import_optional

_MODAL = import_optional("modAL.uncertainty", needed_by="The comparison")

__all__ = ["OURS", "PRIOR", "STRATEGIES", "compare", "embed"]

OURS = "co-decision"
PRIOR = "prior alone"


class RandomSampling(BaseEstimator):
    """Ask for samples drawn at random; called like a strategy of modAL."""

    def __init__(self, random_state=None):
        self.random_state = random_state

    def __call__(self, learner, X_pool, n_instances=1):
        n_pool = len(X_pool)
        # The pool shrinks every round, so its size tells the rounds apart.
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.RandomState([seed, n_pool])
        return rng.choice(n_pool, size=n_instances, replace=False)


STRATEGIES = {
    OURS: CoDecisionQuery(),
    "margin": _MODAL.margin_sampling,
    "entropy": _MODAL.entropy_sampling,
    "random": RandomSampling(),
}


@dataclass
class _Split:
    """The data of one seed; the prior has seen the texts of the pool, no label."""

    seed: int
    Z_pool: np.ndarray
    y_pool: np.ndarray
    Z_test: np.ndarray
    y_test: np.ndarray
    prior: Any


def embed(corpus, *, quiet):
    """Embed texts and class descriptions, once for all runs.

    Parameters
    ----------
    corpus : Corpus
        Texts and descriptions.

    quiet : bool
        Whether to hide the progress bar.

    Returns
    -------
    embeddings : ndarray of shape (n_samples, d), dtype float32
        One row per text.

    prior : ZeroShotPrior
        Unfitted; its encoder has the descriptions in its cache.

    Raises
    ------
    ImportError, ValueError
        If the foundation model is not installed or not found.
    """
    encoder = SentenceTransformerEncoder(verbose=int(not quiet))
    embeddings = encoder.transform(corpus.texts)
    # No second progress bar for a handful of descriptions.
    prior = ZeroShotPrior(corpus.descriptions, encoder.set_params(verbose=0))
    prior.fit(embeddings)
    return embeddings, clone(prior)


def compare(
    corpus, embeddings, prior, *, budget, n_instances, n_seeds, noises, n_jobs, quiet
):
    """Let every strategy spend the budget, with every noise and seed.

    All strategies of a seed see the same split and get the same answers; all train
    the same balanced logistic regression on the same embeddings, which is the small
    model of the co-decision. Strategies of modAL start from a common random batch.

    Parameters
    ----------
    corpus : Corpus
        Texts, labels and descriptions.

    embeddings, prior
        As `embed` returns them.

    budget, n_instances, n_seeds : int
        Labels per run, labels per round, and seeds 0, 1, ...

    noises : sequence of float
        Probabilities of a wrong answer.

    n_jobs : int
        Runs at once (joblib processes). Results do not depend on it.

    quiet : bool
        Whether to hide the progress bars.

    Returns
    -------
    DataFrame
        A row per round: ``noise``, ``strategy``, ``seed``, ``round``, ``n_labels``,
        and the scores on the held-out texts. The prior without any label is a
        strategy of one row per noise and seed, with ``n_labels`` 0.
    """
    splits = [_split(corpus.labels, embeddings, prior, seed) for seed in range(n_seeds)]
    jobs = [
        delayed(_run)(split, name, noise, budget, n_instances)
        for name in STRATEGIES  # the slowest first keeps all processes busy
        for noise in noises
        for split in splits
    ]
    records = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    bar = tqdm(records, total=len(jobs), desc="Comparing", unit="run", disable=quiet)
    return pd.concat([*bar, _prior_scores(splits, noises)], ignore_index=True)


def _split(labels, Z, prior, seed):
    pool, held_out = split_corpus(labels, seed)
    # Fitted here, so that no other process needs the foundation model.
    fitted = FrozenEstimator(clone(prior).fit(Z[pool]))
    labels = labels.astype(str)
    return _Split(seed, Z[pool], labels[pool], Z[held_out], labels[held_out], fitted)


def _prior_scores(splits, noises):
    """Return one record per noise and seed for the prior without any label."""
    scores = {
        split.seed: score_predictions(split.y_test, split.prior.predict(split.Z_test))
        for split in splits
    }
    return pd.DataFrame(
        [
            {
                "strategy": PRIOR,
                "seed": seed,
                "round": 0,
                "n_labels": 0,
                **row,
                "noise": noise,
            }
            for noise in noises
            for seed, row in scores.items()
        ]
    )


def _run(split, name, noise, budget, n_instances):
    """Return the learning curve of one strategy on one split."""
    model = LogisticRegression(class_weight="balanced", max_iter=1000)
    if name == OURS:
        model = CoDecisionClassifier(model, split.prior)
    loop = ActiveLearningClassifier(
        model,
        STRATEGIES[name],
        budget=budget,
        n_instances=n_instances,
        n_initial=0 if name == OURS else n_instances,
        oracle=NoisyOracle(noise, random_state=split.seed),
        random_state=split.seed,
    )
    # The matrices are small: threads of BLAS would wait for each other more than work.
    with threadpool_limits(1):
        loop.fit(split.Z_pool, split.y_pool, eval_set=(split.Z_test, split.y_test))
    if len(loop.queried_indices_) < budget:
        raise KeyboardInterrupt  # the loop keeps what it has; a comparison must not
    return loop.learning_curve_.assign(noise=noise, strategy=name, seed=split.seed)
