"""A prior from precomputed probabilities."""

from collections.abc import Mapping, Set

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.priors.base import BasePrior
from cofm_sklearn.utils.labels import check_labels
from cofm_sklearn.utils.validation import check_proba

__all__ = ["PrecomputedPrior"]


class PrecomputedPrior(BasePrior):
    """Prior from given class probabilities, e.g. of a rule or an old model.

    Parameters
    ----------
    classes : array-like of shape (n_classes,)
        The label of each probability column, in the order of the columns.

    columns : array-like of int or str, slice or None, default=None
        The columns of X with the probabilities, one per class in the order of
        `classes`: positions, a slice of positions, or names for data frames, where
        integers are positions if all names are str. The small model of a co-decision
        sees only the other columns. With None, X is just the probabilities.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted. Columns of `predict_proba` are in this order.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn import PrecomputedPrior
    >>> prior = PrecomputedPrior(["spam", "ham"]).fit()
    >>> prior.classes_
    array(['ham', 'spam'], dtype='<U4')
    >>> prior.predict_proba(np.array([[0.9, 0.1], [0.2, 0.8]]))
    array([[0.1, 0.9],
           [0.8, 0.2]])

    Probabilities beside the features of each sample:

    >>> prior = PrecomputedPrior(["spam", "ham"], columns=[0, 1]).fit()
    >>> X = np.array([[0.9, 0.1, 7.0], [0.2, 0.8, 5.0]])
    >>> prior.features(X)
    array([[7.],
           [5.]])
    """

    def __init__(self, classes, columns=None):
        self.classes = classes
        self.columns = columns

    def fit(self, X=None, y=None):
        """Learn the classes, and check X if given.

        Parameters
        ----------
        X : array-like, CSR or DataFrame of shape (n_samples, n_columns), default=None
            Samples; only checked.

        y : object, default=None
            Ignored.

        Returns
        -------
        self : object
            The prior.

        Raises
        ------
        ValueError
            If a class is repeated, there are fewer than two classes, or X does not have
            one probability per class.

        TypeError
            If `columns` has no order.
        """
        classes = check_labels(self.classes, name="classes")
        if len(np.unique(classes)) != len(classes):
            raise ValueError(f"classes must not repeat a label, got {self.classes!r}.")
        if len(classes) < 2:
            raise ValueError(
                f"classes must have at least 2 labels, got {self.classes!r}."
            )
        if isinstance(self.columns, Set | Mapping):
            raise TypeError(
                "columns must be in the order of classes, got "
                f"{type(self.columns).__name__}. Give a list."
            )
        if X is not None:
            self._read(X, len(classes))
        # Column of X for each column of predict_proba.
        self._order = np.argsort(classes)
        self.classes_ = classes[self._order]
        return self

    def predict_proba(self, X):
        """Return the probabilities in X.

        Parameters
        ----------
        X : array-like, CSR or DataFrame of shape (n_samples, n_columns)
            Samples with the probability columns.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError
            If a row has a negative value or does not sum to 1, or columns are missing.
        """
        check_is_fitted(self, "classes_")
        return self._read(X, len(self.classes_))[:, self._order]

    def features(self, X):
        """Return X without the probability columns.

        Parameters
        ----------
        X : array-like, CSR or DataFrame of shape (n_samples, n_columns)
            Samples with the probability columns.

        Returns
        -------
        ndarray, CSR or DataFrame of shape (n_samples, n_columns - n_classes)
            The other columns; X itself if `columns` is None.

        Raises
        ------
        ValueError
            If columns are missing.
        """
        return X if self.columns is None else self._select(X, inside=False)

    def _read(self, X, n_classes):
        """Return the probabilities in the column order of X."""
        given = X if self.columns is None else self._select(X, inside=True)
        if sparse.issparse(given):
            given = given.toarray()
        return check_proba(given, n_classes=n_classes, name="The prior's part of X")

    def _select(self, X, *, inside):
        if sparse.issparse(X):
            X = X.tocsr()
        elif not isinstance(X, pd.DataFrame):
            X = np.asarray(X)
        if len(X.shape) != 2:
            raise ValueError(
                f"X must be 2-D, one row per sample, got {len(X.shape)}-D. Reshape it."
            )
        frame = isinstance(X, pd.DataFrame)
        positions = np.arange(X.shape[1])
        if frame and self._are_names(X.columns):
            chosen = self._positions_by_name(X.columns)
        else:
            try:
                chosen = positions[self.columns]
            except IndexError as error:
                raise ValueError(
                    f"PrecomputedPrior(columns={self.columns!r}) does not fit X with "
                    f"{X.shape[1]} columns. Give positions, or a DataFrame and names."
                ) from error
        keep = chosen if inside else np.setdiff1d(positions, chosen)
        return X.iloc[:, keep] if frame else X[:, keep]

    def _are_names(self, names):
        if isinstance(self.columns, slice):
            return False
        are_positions = np.asarray(self.columns).dtype.kind in "iub"
        return not (are_positions and all(isinstance(name, str) for name in names))

    def _positions_by_name(self, names):
        if isinstance(self.columns, str) or not names.is_unique:
            raise ValueError(
                "PrecomputedPrior(columns=...) needs a list of names, and X column "
                f"names that do not repeat; got {self.columns!r} and {names.tolist()}."
            )
        columns = np.asarray(self.columns).tolist()
        chosen = names.get_indexer(columns)
        if (chosen < 0).any():
            raise ValueError(
                f"X lacks the column {columns[int(np.argmin(chosen))]!r} "
                f"given in PrecomputedPrior(columns=...); it has {names.tolist()}."
            )
        return chosen

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        # X must have probability columns, perhaps beside others.
        tags.input_tags.string = False
        tags.input_tags.sparse = True
        return tags
