"""Near neighbours of a sample, and a map of the pool."""

import numpy as np
from sklearn.decomposition import PCA, TruncatedSVD

from cofm_sklearn.query.view import LearnerReader
from cofm_sklearn.utils.validation import n_rows

__all__ = ["Surroundings"]

# Samples count as near-duplicates above this cosine.
NEARLY = 0.9
_N_NEAREST = 3
_N_NEARLY = 12
_FITTED_ON = 20_000


class Surroundings:
    """The pool in the embedding that the query uses.

    Parameters
    ----------
    estimator : classifier
        The classifier; its unsupervised parts are fitted to the pool.

    X : array-like of length n_samples
        The pool.

    Attributes
    ----------
    embeddings : ndarray or CSR of shape (n_samples, d) or None
        Rows of unit L2 norm; None if there is no encoder, or none that is fitted before
        there are labels.
    """

    def __init__(self, estimator, X):
        self._map = None
        try:
            reader = LearnerReader(estimator, X)
            Z = reader.embed(reader.transform(X))
        except (ValueError, TypeError):
            # There is no encoder for these samples.
            Z = None
        alike = Z is None or Z.shape[1] < 2
        self.embeddings = None if alike else Z

    def nearest(self, row, among, n=_N_NEAREST):
        """Find the nearest rows of a row.

        Parameters
        ----------
        row : int

        among : ndarray of int
            Rows to choose from.

        n : int, default=3

        Returns
        -------
        rows : ndarray of int
            Rows, the nearest first.

        likeness : ndarray of float
            Their cosines, from -1 to 1.
        """
        among = np.asarray(among, dtype=np.int64)
        if self.embeddings is None or not len(among):
            return among[:0], np.empty(0)
        Z = self.embeddings
        found = _dense(Z[among] @ Z[[row]].T).ravel()
        first = np.argsort(-found, kind="stable")[:n]
        return among[first], found[first].astype(float)

    def nearly_same(self, rows):
        """Return the near-duplicates of each row, the nearest first.

        Parameters
        ----------
        rows : list of int

        Returns
        -------
        list of ndarray of int
            At most 12 per row, without the row itself.
        """
        Z = self.embeddings
        if Z is None or not len(rows):
            return [np.empty(0, dtype=np.int64) for _ in rows]
        found = []
        # One product for all rows reads the pool once.
        for row, likeness in zip(rows, _dense(Z @ Z[rows].T).T):
            same = np.flatnonzero(likeness >= NEARLY)
            same = same[np.argsort(-likeness[same], kind="stable")]
            found.append(same[same != row][:_N_NEARLY])
        return found

    def map(self):
        """Return two principal components of the embeddings, computed once.

        Returns
        -------
        ndarray of shape (n_samples, 2) or None
        """
        Z = self.embeddings
        if self._map is None and Z is not None:
            sparse = hasattr(Z, "toarray")
            reducer = (
                TruncatedSVD(2, random_state=0) if sparse else PCA(2, random_state=0)
            )
            n = n_rows(Z)
            rng = np.random.RandomState(0)
            some = rng.choice(n, _FITTED_ON, replace=False) if n > _FITTED_ON else ...
            reducer.fit(Z if some is ... else Z[some])
            self._map = np.asarray(reducer.transform(Z), dtype=np.float64)
        return self._map


def _dense(product):
    return product.toarray() if hasattr(product, "toarray") else np.asarray(product)
