"""CoDecisionQuery in the stock learners of modAL, on every kind of data."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.base import clone
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MaxAbsScaler

import cofm_sklearn  # noqa: F401 - repairs modAL before it is imported

# isort: split
from modAL.models import ActiveLearner, Committee

from cofm_sklearn import CoDecisionClassifier, CoDecisionQuery
from cofm_sklearn.utils.validation import n_rows, take_rows

KINDS = {
    "array": np.asarray,
    "float32": np.float32,
    "csr": sparse.csr_matrix,
    "frame": lambda X: pd.DataFrame(X, columns=[f"x{i}" for i in range(X.shape[1])]),
    # Labels of rows and columns that could be taken for positions.
    "numbered frame": lambda X: pd.DataFrame(X, index=np.arange(len(X))[::-1] + 3),
}
ESTIMATORS = {
    "logistic": LogisticRegression(),
    "pipeline": make_pipeline(MaxAbsScaler(), LogisticRegression()),
    "co-decision": CoDecisionClassifier(LogisticRegression(), random_state=0),
}


@pytest.fixture
def blobs():
    return make_blobs([60, 30, 8], n_features=4, random_state=0)


@pytest.mark.filterwarnings("error::UserWarning", "error::RuntimeWarning")
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_rounds_from_nothing(blobs, kind, estimator):
    X, y = blobs
    data = KINDS[kind](X)
    learner = ActiveLearner(
        clone(ESTIMATORS[estimator]), CoDecisionQuery(random_state=0)
    )
    pool = np.arange(len(y))
    picked = []
    for n_instances in (3, 1, 2, 6):
        indices, rows = learner.query(take_rows(data, pool), n_instances=n_instances)
        assert n_rows(rows) == n_instances
        chosen = pool[indices]
        # modAL hands out the very rows that were chosen, whatever they are called.
        dense = rows.toarray() if sparse.issparse(rows) else np.asarray(rows)
        np.testing.assert_allclose(dense, X[chosen], rtol=1e-6)
        learner.teach(rows, y[chosen])
        picked += chosen.tolist()
        pool = np.setdiff1d(pool, chosen)
    assert len(set(picked)) == 12
    assert learner.score(data, y) > 0.8


def test_committee_asks_with_all_its_members(blobs):
    X, y = blobs
    members = [
        ActiveLearner(LogisticRegression(C=C), X_training=X[::9], y_training=y[::9])
        for C in (0.01, 1.0)
    ]
    committee = Committee(members, CoDecisionQuery(random_state=0))
    indices, _ = committee.query(X, n_instances=5)
    assert len(set(np.asarray(indices).tolist())) == 5
    committee.teach(X[indices], y[indices])
    assert committee.score(X, y) > 0.8
