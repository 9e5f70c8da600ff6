"""What small models are trained on: weighted labels, and rows for the classes."""

from copy import copy

import numpy as np
from scipy import sparse
from scipy.sparse.linalg import norm as sparse_norm

from cofm_sklearn.utils.validation import stack_rows, take_rows

__all__ = [
    "TrainingSet",
    "learned_shares",
    "net_weight",
    "typical_rows",
    "without_shares",
]

# Models without sample weights are not trained on labels whose quality is below this
# share of the mean: nearest neighbours do better with a farther neighbour once this one
# is less likely right than most.
_ENOUGH = 0.75

# A typical row counts as many labels as it averages samples, up to this limit.
_TYPICAL = 10
# Weight of a label that is more likely wrong than right, above 0: see `net_weight`.
_LEAST_WEIGHT = 0.02


def typical_rows(X, proba):
    """Return one row per class: the mean of its most confident samples.

    Parameters
    ----------
    X : ndarray or CSR of shape (n_samples, n_features)
        Samples.

    proba : ndarray of shape (n_samples, n_classes)
        Their prior probabilities.

    Returns
    -------
    rows : ndarray of shape (n_classes, n_features)
        Scaled to the norm of the samples, as a mean of unit vectors is shorter.

    weight : int
        Number of labels that a row is worth: 1 to 10, fewer for small classes.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.training_set import typical_rows
    >>> right = np.linspace(0, 1, 40)
    >>> angles = right * np.pi / 2
    >>> X = np.column_stack([np.cos(angles), np.sin(angles)])
    >>> rows, weight = typical_rows(X, np.column_stack([1 - right, right]))
    >>> rows.round(2)
    array([[1.  , 0.08],
           [0.08, 1.  ]])
    >>> weight
    5
    """
    # An eighth of a class of average size; a quarter if that is no more than ten.
    average = len(proba) / proba.shape[1]
    weight = int(np.clip(average / 4, 1, _TYPICAL))
    n_typical = max(weight, int(average / 8))
    # Neither the last digits nor the order may decide between samples.
    proba = proba.round(6)
    last = len(proba) - n_typical
    typical = proba >= np.partition(proba, last, axis=0)[last]
    rows = (typical / typical.sum(axis=0)).T @ X
    norm = sparse_norm if sparse.issparse(X) else np.linalg.norm
    length = norm(X, axis=1).mean()
    own = np.linalg.norm(rows, axis=1, keepdims=True)
    return rows * (length / np.where(own > 0, own, 1.0)), weight


def net_weight(label_quality, n_classes):
    """Return the weights of labels that are right with some probability.

    A wrong label pulls towards one of the other classes as strongly as a right one
    pulls towards its own, so a label counts as much as it is more likely right than
    another class is. Wrong labels keep a little weight, as their classes were seen.

    Parameters
    ----------
    label_quality : ndarray of shape (n_samples,)
        Probability that each label is right.

    n_classes : int

    Returns
    -------
    ndarray of shape (n_samples,)
        From 0.02 to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.training_set import net_weight
    >>> net_weight(np.array([1.0, 0.75, 0.5, 0.2]), 2)
    array([1.  , 0.5 , 0.02, 0.02])
    """
    if n_classes < 2:
        return label_quality
    net = (n_classes * label_quality - 1) / (n_classes - 1)
    return np.clip(net, _LEAST_WEIGHT, 1.0)


class TrainingSet:
    """Weighted labelled samples, with extra rows that represent the classes.

    Parameters
    ----------
    X : array-like of length n_samples
        Samples of any type.

    codes : ndarray of shape (n_samples,), dtype int64
        Labels as positions in `classes`.

    classes : ndarray of shape (n_classes,)
        The labels.

    weight : ndarray of shape (n_samples,), default=None
        Sample weights, at least 0; samples of weight 0 are not used.

    extra : array-like of length n_classes or None, default=None
        One more row per class, part of every training set.

    extra_weight : int, default=1
        Weight of each of these rows.
    """

    def __init__(self, X, codes, classes, weight=None, extra=None, extra_weight=1):
        self.X = X
        self.codes = codes
        self.classes = classes
        self.weight = np.ones(len(codes)) if weight is None else weight
        self.extra = extra
        self.extra_weight = extra_weight
        self.quality = np.ones(len(codes))

    def without_extra(self):
        """Return the labelled samples alone."""
        found = copy(self)
        found.extra = None
        return found

    def weighed(self, quality):
        """Return the same rows, where a label counts as much as its quality, 0 to 1."""
        found = copy(self)
        found.quality = quality
        return found

    def subset(self, indices):
        """Return a subset of the labelled samples, with the extra rows."""
        found = copy(self)
        found.X = take_rows(self.X, indices)
        found.codes, found.weight = self.codes[indices], self.weight[indices]
        found.quality = self.quality[indices]
        return found

    def rows(self):
        """Return samples of positive weight and extra rows, with codes and weights."""
        weight = self.weight * self.quality
        X, codes = self._labels(np.flatnonzero(weight))
        weight = weight[weight > 0]
        if self.extra is None:
            return X, codes, weight
        X, codes = self._with_extra(X, codes, 1)
        extra_weight = np.full(len(self.classes), float(self.extra_weight))
        return X, codes, np.concatenate([weight, extra_weight])

    def rows_without_weights(self):
        """Return samples and extra rows for a model without sample weights, with codes.

        Doubtful labels are left out, but no class loses its last label, and an extra
        row is there as often as it weighs. The weights of the caller do not count,
        except for 0.
        """
        used = np.flatnonzero(self.weight)
        used = used[_likely_enough(self.codes[used], self.quality[used])]
        X, codes = self._labels(used)
        if self.extra is None:
            return X, codes
        return self._with_extra(X, codes, self.extra_weight)

    def _labels(self, indices):
        if len(indices) == len(self.codes):
            return self.X, self.codes
        return take_rows(self.X, indices), self.codes[indices]

    def _with_extra(self, X, codes, times):
        again = np.tile(np.arange(len(self.classes)), times)
        extra = take_rows(self.extra, again)
        X = stack_rows(X, extra) if len(codes) else extra
        return X, np.concatenate([codes, again])

    def class_counts(self):
        """Count the training rows of each class, extra rows included."""
        used = self.codes[self.weight * self.quality > 0]
        counts = np.bincount(used, minlength=len(self.classes))
        return counts + (self.extra is not None)


def learned_shares(proba, codes, weight, n_iter=100):
    """Estimate the class shares that the probabilities of a model contain.

    They are those of its training set, or equal ones if it is balanced, or something
    between. Probabilities that contain the shares of the labels agree with these on
    average; which shares must be exchanged for them is found step by step, as by
    Saerens et al. (2002) the other way round.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Out-of-fold probabilities.

    codes : ndarray of shape (n_samples,), dtype int
        Labels as positions of columns.

    weight : ndarray of shape (n_samples,)
        Sample weights, at least 0.

    n_iter : int, default=100
        Maximal number of steps.

    Returns
    -------
    ndarray of shape (n_classes,)
        Positive, with the sum 1.

    References
    ----------
    Saerens, M., Latinne, P., Decaestecker, C. (2002). Adjusting the Outputs of a
    Classifier to New a Priori Probabilities. Neural Computation 14(1).

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.training_set import learned_shares, without_shares
    >>> codes = np.repeat([0, 1], [800, 200])
    >>> found = np.repeat([0, 1, 0, 1], [720, 80, 20, 180])  # nine in ten are right
    >>> balanced = np.array([[0.9, 0.1], [0.1, 0.9]])[found]
    >>> learned_shares(balanced, codes, np.ones(1000)).round(2)
    array([0.5, 0.5])
    >>> with_shares = without_shares(balanced, [1 / 0.8, 1 / 0.2])
    >>> learned_shares(with_shares, codes, np.ones(1000)).round(2)
    array([0.8, 0.2])
    """
    counts = 0.5 + np.bincount(codes, weight, minlength=proba.shape[1])
    of_labels = counts / counts.sum()
    proba = np.maximum(proba, 1e-6)
    shares = of_labels
    for _ in range(n_iter):
        found = weight @ without_shares(proba, shares / of_labels) / weight.sum()
        new = np.maximum(shares * found / of_labels, 0.5 / counts.sum())
        new /= new.sum()
        moved, shares = np.abs(new - shares).max(), new
        if moved < 1e-4:
            break
    return shares


def without_shares(proba, shares):
    """Return probabilities as if all classes were equally frequent.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Probabilities of a model.

    shares : array-like of shape (n_classes,)
        The class shares that they contain, above 0.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.training_set import without_shares
    >>> without_shares(np.array([[0.9, 0.1], [0.5, 0.5]]), np.array([0.9, 0.1]))
    array([[0.5, 0.5],
           [0.1, 0.9]])
    """
    proba = proba / np.asarray(shares)
    return proba / proba.sum(axis=1, keepdims=True)


def _likely_enough(codes, quality):
    """Return positions of the labels to keep for models without sample weights."""
    if not len(codes):
        return np.arange(0)
    keep = quality >= _ENOUGH * quality.mean()
    for code in np.setdiff1d(codes, codes[keep]):
        members = np.flatnonzero(codes == code)
        keep[members[quality[members].argmax()]] = True
    return np.flatnonzero(keep)
