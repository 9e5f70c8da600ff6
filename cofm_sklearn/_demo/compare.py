"""The runs of the comparison: every strategy, share of wrong labels and seed."""

import pandas as pd
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression

from cofm_sklearn._demo.data import split_corpus
from cofm_sklearn.encoders import SentenceTransformerEncoder
from cofm_sklearn.models import CoDecisionClassifier
from cofm_sklearn.priors import ZeroShotPrior
from cofm_sklearn.query import CoDecisionQuery, RandomQuery, UncertaintyQuery
from cofm_sklearn.simulation import compare_strategies, score_predictions

__all__ = ["OURS", "PRIOR", "STRATEGIES", "compare", "embed"]

OURS = "co-decision"
PRIOR = "prior alone"
STRATEGIES = {
    OURS: CoDecisionQuery(),
    "margin": UncertaintyQuery("margin"),
    "entropy": UncertaintyQuery("entropy"),
    "random": RandomQuery(),
}


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
        The unfitted prior; its encoder has the descriptions in its cache.

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
    """Run every strategy with every noise rate and seed.

    For each seed, all strategies get the same split and answers; all train the same
    balanced logistic regression on the same embeddings, which is the small model of the
    co-decision. The others start from a common random batch.

    Parameters
    ----------
    corpus : Corpus
        Texts, labels and descriptions.

    embeddings, prior
        As returned by `embed`.

    budget, n_instances, n_seeds : int
        Labels per run, labels per round, and seeds 0, 1, ...

    noises : sequence of float
        Probabilities of a wrong answer.

    n_jobs : int
        Parallel runs (joblib processes). Results do not depend on it.

    quiet : bool
        Whether to hide the progress bars.

    Returns
    -------
    DataFrame
        A row per round: ``noise``, ``strategy``, ``seed``, ``round``, ``n_labels``,
        and the scores on the held-out texts. The prior without labels is a strategy
        with one row per noise and seed, with ``n_labels`` 0.
    """
    small_model = LogisticRegression(class_weight="balanced", max_iter=1000)
    ours = CoDecisionClassifier(small_model, prior)
    labels = corpus.labels.astype(str)
    splits = [split_corpus(labels, seed) for seed in range(n_seeds)]
    records = compare_strategies(
        {
            name: (ours if name == OURS else small_model, strategy)
            for name, strategy in STRATEGIES.items()  # the slowest first
        },
        embeddings,
        labels,
        splits=splits,
        seeds=n_seeds,
        noise=noises,
        n_instances=n_instances,
        budget=budget,
        n_jobs=n_jobs,
        verbose=int(not quiet),
    )
    runs = records.groupby(["strategy", "seed", "noise"]).ngroups
    if runs < len(STRATEGIES) * n_seeds * len(noises):
        raise KeyboardInterrupt  # a partial result would be summarised as if complete
    alone = [
        {"strategy": PRIOR, "seed": seed, "noise": noise, "round": 0, "n_labels": 0}
        | _prior_scores(prior, embeddings, labels, *split)
        for noise in noises
        for seed, split in enumerate(splits)
    ]
    return pd.concat([records, pd.DataFrame(alone)], ignore_index=True)


def _prior_scores(prior, Z, labels, pool, held_out):
    """Return the scores of the prior without labels."""
    fitted = clone(prior).fit(Z[pool])
    return score_predictions(labels[held_out], fitted.predict(Z[held_out]))
