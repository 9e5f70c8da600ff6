"""Labels: one per sample, or an error that names the argument."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from cofm_sklearn import CoDecisionClassifier
from cofm_sklearn.utils.labels import check_labels, ravel_labels


@pytest.mark.parametrize("check", [check_labels, ravel_labels])
def test_sequences_in_place_of_labels_are_named(check):
    with pytest.raises(ValueError, match="y_true holds sequences of several lengths"):
        check([[0, 1], [0]], "y_true")


@pytest.mark.parametrize(
    ("labels", "kind"),
    [
        ([0, 1, 1], "i"),
        ([np.int8(0), np.int8(1)], "i"),
        ([True, np.bool_(False)], "b"),
        ([0.0, 1.0], "f"),
        (["a", "bcd"], "O"),
    ],
)
def test_numbers_of_dtype_object_get_their_own(labels, kind):
    found = check_labels(np.array(labels, dtype=object))
    assert found.dtype.kind == kind
    assert found.tolist() == labels


def test_a_model_takes_labels_from_a_column_of_a_mixed_frame():
    X = np.random.RandomState(0).normal(size=(30, 2))
    y = (X[:, 0] > 0).astype(int)
    model = CoDecisionClassifier(LogisticRegression(), random_state=0)
    found = model.fit(X, y.astype(object)).predict_proba(X)
    np.testing.assert_array_equal(found, model.fit(X, y).predict_proba(X))
    assert model.fit(X, y.astype(object)).classes_.dtype.kind == "i"
