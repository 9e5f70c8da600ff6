import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import Learner


@pytest.fixture(scope="session")
def long_tailed():
    """Make a pool of four overlapping classes; the rarest has 5 %."""

    def make(n_samples, n_features):
        rng = np.random.RandomState(0)
        centres = rng.normal(size=(4, n_features))
        y = rng.choice(4, size=n_samples, p=[0.6, 0.25, 0.1, 0.05])
        Z = centres[y] + 0.7 * rng.normal(size=(n_samples, n_features))
        return Z.astype(np.float32), y

    return make


@pytest.fixture(scope="session")
def teach():
    """Make a learner from the first eight samples of each of four classes."""

    def make(X, y, estimator=None):
        first = np.concatenate([np.flatnonzero(y == k)[:8] for k in range(4)])
        return Learner(estimator or LogisticRegression()).fit(X[first], y[first])

    return make
