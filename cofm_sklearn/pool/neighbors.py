"""Nearest-neighbour graph of the pool in the foundation model's embedding."""

import numpy as np
from scipy import sparse
from sklearn.base import BaseEstimator, clone
from sklearn.neighbors import NearestNeighbors
from sklearn.utils import check_random_state
from sklearn.utils.validation import (
    _check_feature_names,
    _check_n_features,
    check_is_fitted,
)

from cofm_sklearn.pool.graph import distinct_rows
from cofm_sklearn.pool.opening import open_pool
from cofm_sklearn.priors.base import is_package_prior
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    check_pool,
    check_unit_embeddings,
    is_fitted,
    is_numeric,
    set_features,
    table_like,
    take_rows,
)

__all__ = ["NeighborGraph"]

# Pools up to the first size are used completely; from larger pools, the second number
# of samples is drawn, so that a million samples take about a minute.
_WHOLE_POOL, _DRAWN = 20_000, 4096
# Candidates per neighbour, for choosing neighbours by class as well.
_CANDIDATES = 5


class NeighborGraph(BaseEstimator):
    """Nearest-neighbour graph of the pool in the embedding.

    The foundation model tells not only which class a sample is close to, but also which
    samples belong together. `CoDecisionClassifier` spreads labels and its own
    predictions along this graph, so that it also learns from unlabelled samples.

    Every sample is linked to its `n_neighbors` nearest samples. Samples with the same
    embedding share a node. A large pool is represented by a subset. New samples are
    compared with the nodes, without changing the graph.

    Parameters
    ----------
    encoder : transformer, prior or None, default=None
        Embeds samples that are not numbers; or a prior, such as `PrecomputedPrior`,
        which determines the feature columns. None treats numbers as embeddings.

    n_neighbors : int, default=10
        Number of neighbours of each sample, at least 1.

    alpha : float, default=0.9
        How far labels spread, at least 0 and below 1: the share of a sample's value
        that comes from its neighbours.

    max_samples : "auto" or int, default="auto"
        Maximal number of samples in the graph, at least 3. ``"auto"`` uses the whole
        pool up to 20,000 samples, and 4,096 of a larger one.

    n_jobs : int or None, default=None
        Number of threads of the neighbour search. Results do not depend on it.

    random_state : int, RandomState or None, default=None
        Seed of the samples that represent a large pool.

    Attributes
    ----------
    X_ : array-like of length n_nodes
        The samples in the graph, as they were given.

    embeddings_ : ndarray or CSR of shape (n_nodes, d), dtype float32
        Their embeddings, rows of unit L2 norm.

    sample_indices_ : ndarray of shape (n_nodes,), dtype int64
        Their positions in the pool, ascending.

    neighbors_ : ndarray of shape (n_nodes, n_neighbors), dtype int64
        Neighbours of each node, as positions in `X_`, the nearest first. Fewer
        columns if there are fewer nodes.

    candidates_ : ndarray of shape (n_nodes, 5 * n_neighbors), dtype int64
        Five times as many neighbours; `neighbors_` are the first columns.

    candidate_distances_ : ndarray of shape (n_nodes, 5 * n_neighbors), dtype float32
        Their distances.

    encoder_ : transformer, prior or None
        The fitted encoder.

    n_features_in_ : int
        Number of features of X; only if X is numeric.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    See Also
    --------
    CoDecisionClassifier : Accepts this as its parameter `neighbors`.

    References
    ----------
    Zhou, D. et al. (2004). Learning with Local and Global Consistency. NIPS 16.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn import NeighborGraph
    >>> angles = np.array([0.0, 0.1, 0.2, 1.0, 1.1])
    >>> pool = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> graph = NeighborGraph(n_neighbors=1).fit(pool)
    >>> graph.neighbors_.ravel()
    array([1, 0, 1, 4, 3])
    >>> distances, indices = graph.kneighbors([[1.0, 0.01]])
    >>> indices
    array([[0]])
    """

    def __init__(
        self,
        encoder=None,
        *,
        n_neighbors=10,
        alpha=0.9,
        max_samples="auto",
        n_jobs=None,
        random_state=None,
    ):
        self.encoder = encoder
        self.n_neighbors = n_neighbors
        self.alpha = alpha
        self.max_samples = max_samples
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None):
        """Find the neighbours of each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            The pool: embeddings, also on disk or on Dask, or raw samples.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The graph.

        Raises
        ------
        ValueError
            If X has fewer than 3 samples, is not finite, or is not numeric and there
            is no encoder; or if a parameter is out of range.
        """
        check_integer("n_neighbors", self.n_neighbors, 1)
        check_number("alpha", self.alpha, 0, 1, closed="left")
        pool = open_pool(X, "X")
        if len(pool) < 3:
            raise ValueError(
                f"X has {len(pool)} sample(s): a neighbour graph needs at least 3. "
                "Fit it on the pool of unlabelled samples."
            )
        rows = self._draw(len(pool))
        X = pool.take(rows)
        encoder = self.encoder
        if encoder is not None and not is_numeric(X) and not is_fitted(encoder):
            encoder = clone(encoder).fit(X)
        Z = _embed(encoder, X)
        kept = distinct_rows(Z)
        Z = Z[kept]
        n_candidates = min(_CANDIDATES * self.n_neighbors, len(kept) - 1)
        index = NearestNeighbors(algorithm="brute", n_jobs=self.n_jobs).fit(Z)
        if n_candidates:
            distances, candidates = index.kneighbors(n_neighbors=n_candidates)
        else:
            distances, candidates = np.empty((1, 0)), np.empty((1, 0), dtype=np.int64)
        self.encoder_, self._index = encoder, index
        self.candidates_ = candidates
        self.candidate_distances_ = distances.astype(np.float32)
        self.X_, self.embeddings_ = take_rows(X, kept), Z
        self.sample_indices_ = kept if rows is None else rows[kept]
        self.neighbors_ = candidates[:, : self.n_neighbors]
        set_features(self)
        if is_numeric(X):
            _check_n_features(self, X, reset=True)
            _check_feature_names(self, X, reset=True)
        return self

    def kneighbors(self, X, n_neighbors=None):
        """Find the nearest nodes of samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            Samples, as in `fit`; numbers may be embeddings of the encoder.

        n_neighbors : int or None, default=None
            Number of neighbours, at least 1; None uses the graph's own number. At most
            the number of nodes is returned.

        Returns
        -------
        distances : ndarray of shape (n_samples, n_neighbors)
            Distances between embeddings of unit L2 norm, ascending.

        indices : ndarray of shape (n_samples, n_neighbors), dtype int64
            Positions in `X_`; ``sample_indices_[indices]`` are those in the pool.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError
            If X is not finite, or of another width than in `fit`.
        """
        check_is_fitted(self, "candidates_")
        n_neighbors = self.n_neighbors if n_neighbors is None else n_neighbors
        check_integer("n_neighbors", n_neighbors, 1)
        n_features = self.embeddings_.shape[1]
        Z = _embed(self.encoder_, check_pool(X, "X"), n_features)
        if sparse.issparse(self.embeddings_) and not sparse.issparse(Z):
            Z = sparse.csr_matrix(Z)
        elif sparse.issparse(Z) and not sparse.issparse(self.embeddings_):
            Z = Z.toarray()
        n_neighbors = min(n_neighbors, len(self.candidates_))
        return self._index.kneighbors(Z, n_neighbors=n_neighbors)

    def find_candidates(self, X):
        """Find as many candidates for each sample as each node has, at least one.

        Parameters
        ----------
        X : array-like of shape (n_samples, d) or raw samples of length n_samples
            Samples, as in `kneighbors`.

        Returns
        -------
        distances, indices : ndarray of shape (n_samples, n_candidates)
            As returned by `kneighbors`.

        Raises
        ------
        NotFittedError, ValueError
            As in `kneighbors`.
        """
        check_is_fitted(self, "candidates_")
        return self.kneighbors(X, max(self.candidates_.shape[1], 1))

    def samples_like(self, X):
        """Return the samples of the graph, in the same form as X.

        So a graph fitted on raw samples can also serve a model on their embeddings.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples that show the form.

        Returns
        -------
        array-like of length n_nodes
            `embeddings_` if X is numeric and `X_` is not, else `X_`.

        Raises
        ------
        ValueError
            If both are numeric, and of different widths.
        """
        check_is_fitted(self, "candidates_")
        if not is_numeric(X):
            return self.X_
        own = self.X_ if is_numeric(self.X_) else self.embeddings_
        if own.shape[1] != X.shape[1]:
            raise ValueError(
                f"X has {X.shape[1]} features, but neighbors was fitted on "
                f"{own.shape[1]}. Fit it on the pool in the classifier's form, with "
                "the same encoder."
            )
        return table_like(X, own)

    def _draw(self, n_pool):
        """Return positions of the samples that represent the pool; None for all."""
        most = self.max_samples
        check_integer("max_samples", most, 3, also=("auto",))
        if isinstance(most, str):
            most = n_pool if n_pool <= _WHOLE_POOL else _DRAWN
        if n_pool <= most:
            return None
        rng = check_random_state(self.random_state)
        return np.sort(rng.choice(n_pool, size=most, replace=False))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.string = True
        tags.target_tags.required = False
        return tags


def _embed(encoder, X, n_features=None):
    """Embed samples with rows of unit L2 norm, and check their width."""
    if is_package_prior(encoder):
        X = encoder.features(X)
        if not is_numeric(X):
            X = encoder.embed(X)
    elif encoder is not None and not is_numeric(X):
        X = encoder.transform(X)
    if X is None or not is_numeric(X):
        raise ValueError(
            "NeighborGraph cannot embed these samples: they are not numbers. Give it "
            "an encoder, for example NeighborGraph(SentenceTransformerEncoder())."
        )
    return check_unit_embeddings(X, n_features=n_features)
