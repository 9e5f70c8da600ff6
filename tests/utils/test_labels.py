"""Labels: one per sample, or an error that names the argument."""

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_predict

from cofm_sklearn import CoDecisionClassifier, PrecomputedPrior
from cofm_sklearn.utils.labels import (
    check_labels,
    columns_by_name,
    encode_labels,
    ravel_labels,
)


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


def with_prior(classes):
    prior = PrecomputedPrior(classes)
    return CoDecisionClassifier(LogisticRegression(), prior, random_state=0)


IN_SCIKIT_LEARN = {
    "cross_val_predict": lambda model, X, y: cross_val_predict(
        model, X, y, cv=2, method="predict_proba"
    ),
    "bagging": lambda model, X, y: BaggingClassifier(model, 2).fit(X, y),
    "voting": lambda model, X, y: VotingClassifier([("m", model)]).fit(X, y),
    "stacking": lambda model, X, y: StackingClassifier([("m", model)], cv=2).fit(X, y),
}


@pytest.mark.parametrize("use", IN_SCIKIT_LEARN.values(), ids=IN_SCIKIT_LEARN)
def test_names_that_scikit_learn_has_replaced_by_numbers(use):
    X = np.tile([[0.4, 0.6], [0.6, 0.4]], (20, 1))
    y = np.tile(["spam", "ham"], 20)
    with pytest.raises(ValueError, match=r"replaced the labels.*the numbers 0 to 1"):
        use(with_prior(["ham", "spam"]), X, y)
    use(with_prior([0, 1]), X, y)


@pytest.mark.parametrize("labels", [[0, 2], [-1, 0], [True, False], [0, "eggs"]])
def test_other_labels_than_positions_have_no_such_cure(labels):
    with pytest.raises(ValueError, match="Add it"):
        encode_labels(np.array(labels, dtype=object), ["ham", "spam"])


@pytest.mark.parametrize(
    ("columns", "classes", "found"),
    [
        (["c", "a", "b"], ["a", "b", "c"], [1, 2, 0]),
        (["1", "0"], [0, 1], [1, 0]),
        ([1, 0], [0, 1], [1, 0]),
        ([0, 1], [1, 0], [1, 0]),
        (None, [1, 0], None),  # no names were given
        (["a", "d"], ["a", "b"], None),
        (["a", "a"], ["a", "b"], None),
    ],
)
def test_columns_are_found_by_the_names_of_the_classes(columns, classes, found):
    frame = pd.DataFrame(np.zeros((1, len(classes))), columns=columns)
    assert columns_by_name(frame, classes) == found
    assert columns_by_name(frame.to_numpy(), classes) is None
