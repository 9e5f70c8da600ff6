"""Resampling that works with classes of one or two members."""

import re
import warnings
from collections import Counter

import numpy as np
import pandas as pd
from imblearn.base import BaseSampler
from imblearn.over_sampling import SMOTE
from imblearn.under_sampling import EditedNearestNeighbours
from imblearn.utils import check_sampling_strategy
from sklearn.base import clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.validation import validate_data

from cofm_sklearn.utils.labels import check_targets
from cofm_sklearn.utils.quiet import few_labels_per_class
from cofm_sklearn.utils.validation import (
    check_option,
    set_features,
    stack_rows,
    take_rows,
)

__all__ = ["BaseLabelSampler", "SafeSampler"]

# Parameters, also of nested samplers, that need this many other members of a class; for
# `cv` see below.
_NEIGHBOURS = ("k_neighbors", "n_neighbors", "n_neighbors_ver3")
# Messages of imbalanced-learn and scikit-learn when classes are too small or badly
# placed; errors with other messages are raised.
_ABOUT_SIZES = re.compile(
    r"n_(neighbors|samples|clusters|splits)|neigh?bou?rs|clusters|sample\(s\)|members"
    r"|[Nn]o samples|number of samples|support vectors|NaN to integer"
    r"|specified ratio|too (few|small)|not enough|at least|minimum"
)
# Below this size, a class is too small for imbalanced-learn's default settings.
_USUAL_SIZE = 6


class BaseLabelSampler(BaseSampler):
    """Base class of samplers that accept small classes, lists and raw samples.

    A subclass defines `_fit_resample`, and extends `_check` if it has more to check.
    """

    def fit(self, X, y):
        """Only check the input; resampling happens in `fit_resample`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        self : object
            The sampler.

        Raises
        ------
        ValueError, TypeError
            As in `fit_resample`, except for errors raised while resampling.
        """
        self._check(X, y)
        return self

    def fit_resample(self, X, y):
        """Check the input, and return the samples to train on.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features) \
                or raw samples
            Samples that the wrapped sampler or estimator accepts.

        y : array-like of shape (n_samples,)
            Labels.

        Returns
        -------
        X_resampled : same type as X, length n_new
            Samples.

        y_resampled : list, ndarray or Series of shape (n_new,), same type as y
            Labels.

        Raises
        ------
        TypeError
            If the wrapped sampler or estimator has the wrong type.

        ValueError
            If lengths differ, values are not finite, a parameter is out of range, or
            the wrapped sampler or estimator rejects the samples.
        """
        X_new, y_new = self._fit_resample(*self._check(X, y))
        y_new = _labels_like(y, y_new, getattr(X_new, "index", None))
        return X_new.tolist() if isinstance(X, list) else X_new, y_new

    def _check(self, X, y):
        """Return samples and labels as arrays of equal length; learn the features."""
        X = np.asarray(X) if isinstance(X, list | tuple) else X
        y = check_targets(X, y)
        set_features(self)
        validate_data(self, X, skip_check_array=True)
        return X, y


def _labels_like(given, y, index):
    """Return labels in the container that they came in, even a one-column frame."""
    if isinstance(given, pd.DataFrame):
        return _labels_like(given.iloc[:, 0], y, index).to_frame()
    if isinstance(given, pd.Series):
        return pd.Series(y, index=index, dtype=given.dtype, name=given.name)
    return y.tolist() if isinstance(given, list) else y


class SafeSampler(BaseLabelSampler):
    """Wrap an imbalanced-learn sampler so that it works with tiny classes.

    Samplers look for neighbours inside classes, and most raise an error when a class
    has fewer members than neighbours, as rare classes have in the first rounds. The
    sampler is first tried as it is; if it works, its result is unchanged. If it fails,
    it is tried again with as many neighbours as the smallest class allows. If that
    fails too, the smallest classes are passed through unchanged, one size after the
    other, and the rest is resampled without them.

    Like any sampler it acts only in `fit`: put it before the classifier in an
    imbalanced-learn pipeline.

    Parameters
    ----------
    sampler : sampler
        A sampler of imbalanced-learn, or any object with `fit_resample`. Its parameters
        are ``sampler__k_neighbors`` and so on.

    tiny_classes : {"pass", "repeat"}, default="pass"
        What to do with classes that are too small for the sampler. ``"pass"`` keeps
        them as they are. ``"repeat"`` repeats their samples up to the number that an
        over-sampler would have reached, so that even a class of one member is balanced;
        this repeats wrong labels as well.

    random_state : int, RandomState or None, default=None
        Seed of the repetitions. The sampler has its own.

    Attributes
    ----------
    sampler_ : sampler or None
        The sampler that gave the result, with adapted neighbours; None if nothing was
        resampled.

    passed_classes_ : ndarray
        Labels of the classes that were passed through without resampling.

    kept_classes_ : ndarray
        Labels of the classes that the sampler removed and that were restored.

    refusal_ : str or None
        Message of the sampler's last error; None if there was none.

    sample_indices_ : ndarray of shape (n_new,), dtype int
        Positions in X of the returned samples; only for samplers that select.

    n_features_in_ : int
        Number of features of X.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    Notes
    -----
    Small classes never cause an error, and no class loses all of its members. Other
    errors of the sampler are raised. Counts in a dict `sampling_strategy` that do not
    fit the current labels (a class without labels yet, or a target below the present
    count) are dropped or adapted.

    Sample weights cannot follow resampled rows, so `fit_resample` takes none, as in
    imbalanced-learn. `CoDecisionClassifier` therefore drops samples of low quality
    instead of weighting them.

    Examples
    --------
    >>> import numpy as np
    >>> from imblearn.over_sampling import SMOTE
    >>> from cofm_sklearn import SafeSampler
    >>> X = np.arange(20.0).reshape(10, 2)
    >>> y = np.array(["often"] * 7 + ["rare"] * 2 + ["once"])
    >>> sampler = SafeSampler(SMOTE(random_state=0))
    >>> X_more, y_more = sampler.fit_resample(X, y)
    >>> labels, counts = np.unique(y_more, return_counts=True)
    >>> dict(zip(labels.tolist(), counts.tolist()))
    {'often': 7, 'once': 1, 'rare': 7}
    >>> sampler.sampler_.k_neighbors, sampler.passed_classes_.tolist()
    (1, ['once'])
    """

    def __init__(self, sampler, *, tiny_classes="pass", random_state=None):
        self.sampler = sampler
        self.tiny_classes = tiny_classes
        self.random_state = random_state

    def _check(self, X, y):
        if not hasattr(self.sampler, "fit_resample"):
            raise TypeError(
                "sampler must have fit_resample, like SMOTE() of imbalanced-learn; got "
                f"{self.sampler!r}."
            )
        check_option("tiny_classes", self.tiny_classes, ("pass", "repeat"))
        X, y = super()._check(X, y)
        _check_input(self.sampler, X, y)
        return X, y

    def _fit_resample(self, X, y):
        with few_labels_per_class():
            sampler, rows, result, refusal = _resample(self.sampler, X, y)
        # The resampled rows, then rows passed through, restored, or repeated.
        X_new, y_new = (X, y) if result is None else result
        rest = np.setdiff1d(np.arange(len(y)), rows)
        kept = np.setdiff1d(np.unique(y[rows]), np.unique(y_new))
        put_back = np.flatnonzero(np.isin(y, kept))
        more = np.concatenate([rest, put_back])
        if self.tiny_classes == "repeat" and result is not None:
            more = np.concatenate([more, self._repeats(y, rest)])
        if len(more):
            X_new = stack_rows(X_new, take_rows(X, more))
            y_new = np.concatenate([y_new, y[more]])
        self.__dict__.pop("sample_indices_", None)
        if result is None:
            self.sample_indices_ = np.arange(len(y))
        elif hasattr(sampler, "sample_indices_"):
            chosen = rows[sampler.sample_indices_]
            self.sample_indices_ = np.concatenate([chosen, more])
        self.sampler_ = None if result is None else sampler
        self.passed_classes_ = np.unique(y if result is None else y[rest])
        self.kept_classes_, self.refusal_ = kept, refusal
        return X_new, y_new

    def _repeats(self, y, rest):
        """Return positions that repeat tiny classes to the over-sampled size."""
        if getattr(self.sampler, "_sampling_type", None) != "over-sampling":
            return np.array([], dtype=int)
        rng = check_random_state(self.random_state)
        strategy = _suit_strategy(self.sampler.sampling_strategy, y, over=True)
        missing = check_sampling_strategy(strategy, y, "over-sampling")
        drawn = [
            rng.choice(np.flatnonzero(y == label), missing.get(label, 0))
            for label in np.unique(y[rest])
        ]
        return np.concatenate([*drawn, np.array([], dtype=int)]).astype(int)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        if hasattr(self.sampler, "fit_resample"):
            inner = get_tags(self.sampler)
            tags.input_tags = inner.input_tags
            tags.sampler_tags = getattr(inner, "sampler_tags", tags.sampler_tags)
        return tags


def is_about_sizes(error):
    """Tell whether a sampler's error means that classes are too small."""
    return _ABOUT_SIZES.search(str(error)) is not None


def _check_input(sampler, X, y):
    """Let the sampler check X and its parameters, whatever the class sizes."""
    if len(np.unique(y)) == 1 or not hasattr(sampler, "fit"):
        return
    probe = _adapted(sampler, y)
    strategy = getattr(probe, "sampling_strategy", None)
    if isinstance(strategy, float) and len(np.unique(y)) == 2:
        # Two classes may already be closer than this ratio, which is fine.
        probe.set_params(sampling_strategy="auto")
    probe.fit(X, y)


def _resample(sampler, X, y):
    """Return the sampler used, the rows it saw, its result or None, its last error.

    Without a result, the rows are all rows.
    """
    everything = np.arange(len(y))
    labels, counts = np.unique(y, return_counts=True)
    # (smallest class size to resample, whether to adapt neighbours to it)
    attempts = [(1, False), *((size, True) for size in np.unique(counts).tolist())]
    refusal = None
    for size, adapt in attempts:
        if (counts >= size).sum() < 2:
            break
        rows = np.flatnonzero(np.isin(y, labels[counts >= size]))
        trial = _adapted(sampler, y[rows], size if adapt else None)
        try:
            result = _call(trial, take_rows(X, rows), y[rows])
        except (ValueError, RuntimeError, IndexError) as error:
            if not is_about_sizes(error) and not isinstance(error, IndexError):
                raise
            refusal = str(error)
            continue
        return trial, rows, result, refusal
    if counts.min() >= _USUAL_SIZE and len(counts) > 1:
        warnings.warn(
            f"{type(sampler).__name__} failed, so the samples are not resampled: "
            f"{refusal}",
            stacklevel=3,
        )
    return None, everything, None, refusal


def _call(sampler, X, y):
    """Resample without warnings about small classes, which are handled here."""
    with warnings.catch_warnings():
        for message in ("The least populated class", "Number of classes in training"):
            warnings.filterwarnings("ignore", message=message)
        try:
            return sampler.fit_resample(X, y)
        except (TypeError, IndexError):
            if y.dtype.kind in "biuf":
                raise
        # NeighbourhoodCleaningRule and InstanceHardnessThreshold need numbers.
        labels, codes = np.unique(y, return_inverse=True)
        X_new, codes_new = sampler.fit_resample(X, codes)
        return X_new, labels[codes_new]


def _adapted(sampler, y, size=None):
    """Clone a sampler and adapt it to the labels, and to classes of `size` if given."""
    sampler = clone(sampler)
    if size is not None and "smote" in sampler.get_params(deep=False):
        _name_inner_samplers(sampler)
    over = getattr(sampler, "_sampling_type", None) == "over-sampling"
    changes = {}
    for name, value in sampler.get_params(deep=True).items():
        last = name.rpartition("__")[2]
        if last == "sampling_strategy":
            suited = _suit_strategy(value, y, over=over)
            if suited is not value:
                changes[name] = suited
        if size is None or not isinstance(value, int):
            continue
        if last in _NEIGHBOURS and value >= size:
            changes[name] = max(1, size - 1)
        elif last == "m_neighbors" and value >= len(y):  # of all classes
            changes[name] = len(y) - 1
        elif last == "cv" and value > size:
            changes[name] = max(2, size)
    return sampler.set_params(**changes)


def _name_inner_samplers(sampler):
    """Set the inner samplers of SMOTEENN and SMOTETomek, so they can be adapted."""
    params = sampler.get_params(deep=False)
    if params["smote"] is None:
        smote = SMOTE(
            sampling_strategy=sampler.sampling_strategy,
            random_state=sampler.random_state,
        )
        sampler.set_params(smote=smote)
    if "enn" in params and params["enn"] is None:
        sampler.set_params(enn=EditedNearestNeighbours(sampling_strategy="all"))


def _suit_strategy(strategy, y, *, over):
    """Drop absent classes from a strategy, and clip its counts to valid ones."""
    if isinstance(strategy, list):
        present = np.unique(y).tolist()
        wanted = [label for label in strategy if label in present]
        return strategy if wanted == strategy else wanted
    if not isinstance(strategy, dict):
        return strategy
    counts = Counter(y.tolist())
    reach = max if over else min
    suited = {
        label: reach(number, counts[label])
        for label, number in strategy.items()
        if label in counts
    }
    return strategy if suited == strategy else suited
