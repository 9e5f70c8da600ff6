"""One pass over a pool that weights every sample and draws candidates."""

from dataclasses import dataclass
from typing import Any

from cofm_sklearn.pool.reservoir import draw_priorities, fill_reservoir
from cofm_sklearn.query.worth import PoolWeights
from cofm_sklearn.utils.validation import (
    check_pool,
    check_proba,
    check_unit_embeddings,
    n_rows,
    take_rows,
)

__all__ = ["ArraySource", "LearnerSource", "PoolScanner"]


@dataclass(frozen=True)
class LearnerSource:
    """Probabilities of samples from a learner.

    Attributes
    ----------
    reader : LearnerReader
        Reads the learner.

    use_prior : bool
        Whether to use the prior of the query strategy.
    """

    reader: Any
    use_prior: bool

    def read(self, X, rows):
        """Return probabilities, those of the prior, and an embedding function."""
        reader = self.reader
        Z = reader.transform(X)
        proba = reader.ask_learner(X, Z)
        prior_proba = None
        if self.use_prior and proba is not None:
            prior_proba = reader.ask_prior(Z)
        return proba, prior_proba, lambda keep: reader.embed(take_rows(Z, keep))


@dataclass(frozen=True)
class ArraySource:
    """Probabilities of samples from arrays.

    Attributes
    ----------
    proba, prior_proba : array-like of shape (n_pool, n_classes) or None
        Model and prior on the whole pool; checked block by block.
    """

    proba: Any
    prior_proba: Any

    def read(self, X, rows):
        """Return probabilities, those of the prior, and an embedding function."""
        n_samples = n_rows(X)
        X = check_pool(X, allow_nan=False)  # also checks rows that are not candidates
        proba, prior_proba = (
            None
            if given is None
            else check_proba(given[rows], n_samples, name=name, rows=rows)
            for given, name in (
                (self.proba, "proba"),
                (self.prior_proba, "prior_proba"),
            )
        )
        if proba is None:
            prior_proba = None
        return (
            proba,
            prior_proba,
            lambda keep: check_unit_embeddings(take_rows(X, keep), name="X_pool"),
        )


@dataclass(frozen=True)
class PoolScanner:
    """Weight blocks of a pool and draw candidates from them.

    Attributes
    ----------
    source : LearnerSource or ArraySource
        Provides probabilities of samples.

    weights : PoolWeights
        Computes weights from them.

    n_candidates : int
        Number of candidates to draw.

    seed : int
        Seed of the draw.

    block_size : int or None
        Samples per block; None lets the pool choose.
    """

    source: Any
    weights: PoolWeights
    n_candidates: int
    seed: int
    block_size: int | None = None

    @property
    def n_columns(self):
        """Number of probabilities per sample, to compute the memory of a block."""
        return 1 if self.weights.shares is None else len(self.weights.shares)

    def add(self, reservoir, X, start):
        """Return the reservoir with the candidates of a checked block."""
        rows = slice(start, start + n_rows(X))
        return self.add_read(reservoir, start, n_rows(X), self.source.read(X, rows))

    def add_read(self, reservoir, start, n_samples, read):
        """Like `add`, for a block that was read already."""
        proba, prior_proba, embed = read
        weight, size = self.weights.weigh(proba, prior_proba, n_samples)
        priority = draw_priorities(size, start, self.seed)
        return fill_reservoir(
            reservoir, self.n_candidates, start, priority, size, weight, embed
        )
