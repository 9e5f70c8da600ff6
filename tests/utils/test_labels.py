"""Labels: one per sample, or an error that names the argument."""

import pytest

from cofm_sklearn.utils.labels import check_labels, ravel_labels


@pytest.mark.parametrize("check", [check_labels, ravel_labels])
def test_sequences_in_place_of_labels_are_named(check):
    with pytest.raises(ValueError, match="y_true holds sequences of several lengths"):
        check([[0, 1], [0]], "y_true")
