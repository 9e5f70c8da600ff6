"""Oracles for simulations: exact, noisy, or from recorded votes."""

import warnings
from abc import ABCMeta, abstractmethod
from copy import deepcopy
from numbers import Integral

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.datasets.make import flip_labels
from cofm_sklearn.utils.labels import check_classes, check_labels, columns_by_name
from cofm_sklearn.utils.texts import is_frame

__all__ = [
    "BaseOracle",
    "ExactOracle",
    "NoisyOracle",
    "RecordedVotesOracle",
    "check_oracle",
]


class BaseOracle(BaseEstimator, metaclass=ABCMeta):
    """Base class of oracles, which fix their answers before the first query.

    A repeated query of the same sample gets a new answer with its own error. A subclass
    implements ``_draw_answers(y, X, votes, classes)``, which returns an array of
    answers, one per sample, of the dtype of `y`.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The possible labels, sorted.

    answers_ : ndarray of shape (n_samples,)
        The first answer about each sample.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.simulation.oracle import BaseOracle
    >>> class LazyOracle(BaseOracle):
    ...     def _draw_answers(self, y, X, votes, classes):
    ...         return np.full_like(y, classes[0])
    >>> LazyOracle().fit(["spam", "ham"]).answer([0])
    array(['ham'], dtype='<U4')
    """

    def fit(self, y, X=None, votes=None, *, classes=None):
        """Draw the first answer about each sample.

        So every query strategy gets the same answers, in whatever order it queries.

        Parameters
        ----------
        y : array-like of shape (n_samples,)
            True labels: str, int or bool.

        X : {array-like, sparse matrix} of shape (n_samples, d) or None, default=None
            Numeric features, for an oracle that mistakes similar classes.

        votes : array-like of shape (n_samples, n_classes) or None, default=None
            Number of annotators per answer. The columns are the sorted classes; those
            of a DataFrame are found by their names, which must be the classes.

        classes : array-like of shape (n_classes,) or None, default=None
            All classes; None takes those in `y`, and for `RecordedVotesOracle` also
            those of the column names of `votes`.

        Returns
        -------
        self : object
            The fitted oracle.

        Raises
        ------
        ValueError
            If a required argument is missing or does not match `y`.
        """
        labels = check_labels(y)
        if classes is None:
            labels, classes = self._all_classes(labels, votes)
        self.classes_, _ = check_classes(classes, labels)
        self.answers_ = self._draw_answers(labels, X, votes, self.classes_)
        self._known = (labels, X, votes, self.classes_)
        self._seed = _as_integer(getattr(self, "random_state", None))
        self._rounds = [self.answers_]
        return self

    def answer(self, indices, n_before=0):
        """Return the labels of some samples.

        Parameters
        ----------
        indices : array-like of shape (n_asked,) and dtype int
            Positions in the `y` of `fit`, each from 0 to ``n_samples - 1``.

        n_before : int or array-like of shape (n_asked,), default=0
            Number of earlier answers about each of them. The same call gives the same
            answer; a higher count draws another one.

        Returns
        -------
        ndarray of shape (n_asked,)
            The answers, of the dtype of `y`.

        Raises
        ------
        ValueError
            If an index is out of range, `indices` is not one row of integers, or
            `n_before` is not one count per index.
        """
        check_is_fitted(self)
        asked = _as_array(indices, "indices")
        if asked.ndim != 1 or (asked.size and asked.dtype.kind not in "iu"):
            raise ValueError(
                "indices must be 1-D and of integers; turn a mask into indices with "
                f"np.flatnonzero. Got shape {asked.shape} and dtype {asked.dtype}."
            )
        asked = asked.astype(np.intp)
        n_samples = len(self.answers_)
        outside = asked[(asked < 0) | (asked >= n_samples)]
        if outside.size:
            raise ValueError(
                f"indices must be from 0 to {n_samples - 1}, the samples of fit; got "
                f"{outside[:5].tolist()}."
            )
        n_before = _as_array(n_before, "n_before")
        if (
            n_before.dtype.kind not in "iu"
            or n_before.shape not in ((), asked.shape)
            or (n_before < 0).any()
        ):
            raise ValueError(
                "n_before must be a count of earlier answers, 0 or more, or one per "
                f"index; got {n_before!r}."
            )
        n_before = np.broadcast_to(n_before, asked.shape)
        answers = self.answers_[asked]
        for k in np.unique(n_before[n_before > 0]):
            again = n_before == k
            answers[again] = self._round(k)[asked[again]]
        return answers

    def _all_classes(self, y, votes):
        """Return labels with room for all classes, and these; None: those of y."""
        return y, None

    def _round(self, k):
        """Return the answer number k, from 0, about each sample."""
        while len(self._rounds) <= k:
            self._rounds.append(self._draw_again(*self._known, self._rounds))
        return self._rounds[k]

    def _draw_again(self, y, X, votes, classes, earlier):
        """Return one more answer per sample; `earlier` lists the previous ones."""
        fresh = clone(self)
        if hasattr(fresh, "random_state"):
            fresh.random_state = self._rng_after(earlier)
        return fresh._draw_answers(y, X, votes, classes)

    def _rng_after(self, earlier):
        """Return the random state of the answers after earlier ones."""
        return np.random.RandomState([self._seed, len(earlier)])

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        # The first argument of fit is y.
        tags.input_tags.one_d_array = True
        tags.input_tags.two_d_array = False
        return tags

    @abstractmethod
    def _draw_answers(self, y, X, votes, classes):
        """Return one answer per sample, of the dtype of `y`."""


class ExactOracle(BaseOracle):
    """An oracle that answers with the true label.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The possible labels, sorted.

    answers_ : ndarray of shape (n_samples,)
        The true labels.

    Examples
    --------
    >>> from cofm_sklearn.simulation.oracle import ExactOracle
    >>> ExactOracle().fit([7, 8, 9]).answer([2, 0])
    array([9, 7])
    """

    def _draw_answers(self, y, X, votes, classes):
        return y.copy()


class NoisyOracle(BaseOracle):
    """An oracle that sometimes answers with a wrong class.

    Each answer is wrong with probability `noise`, as defined in `flip_labels`.

    Parameters
    ----------
    noise : float, default=0.2
        Probability of a wrong answer, in [0, 1).

    kind : {"symmetric", "asymmetric"}, default="symmetric"
        A wrong answer is uniform over the other classes, or the most similar class
        according to `confusion` or, without it, to the `X` of `fit`.

    confusion : dict of label to label or None, default=None
        For ``kind="asymmetric"``: the class that each class is mistaken for.

    random_state : int, RandomState instance or None, default=None
        Seed of the wrong answers. With an integer, the wrong answers at a small
        `noise` are among those at a larger one.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The possible labels, sorted.

    answers_ : ndarray of shape (n_samples,)
        The first answer about each sample.

    See Also
    --------
    cofm_sklearn.datasets.flip_labels : The exact definition.

    References
    ----------
    .. [1] G. Patrini, A. Rozza, A. K. Menon, R. Nock, L. Qu (2017). Making Deep Neural
       Networks Robust to Label Noise: a Loss Correction Approach. CVPR.

    Examples
    --------
    >>> from cofm_sklearn.simulation.oracle import NoisyOracle
    >>> oracle = NoisyOracle(noise=0.5, random_state=0).fit(["no"] * 4 + ["yes"] * 4)
    >>> print(*oracle.answers_)
    no no yes yes yes yes yes no
    """

    def __init__(self, noise=0.2, kind="symmetric", confusion=None, random_state=None):
        self.noise = noise
        self.kind = kind
        self.confusion = confusion
        self.random_state = random_state

    def _draw_answers(self, y, X, votes, classes):
        return flip_labels(
            y,
            noise=self.noise,
            kind=self.kind,
            classes=classes,
            confusion=self.confusion,
            X=X,
            random_state=self.random_state,
        )


class RecordedVotesOracle(BaseOracle):
    """An oracle that replays the answers of real annotators.

    An answer is one of the votes that annotators gave for the sample, drawn uniformly:
    so disputed samples get the wrong answers that people really gave. Further queries
    of a sample draw from its remaining votes, and from all again once none is left.

    Parameters
    ----------
    random_state : int, RandomState instance or None, default=None
        Seed of the draws. With an integer, the answer for a sample depends only on its
        votes and its position.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The possible labels, sorted.

    answers_ : ndarray of shape (n_samples,)
        The first answer about each sample.

    References
    ----------
    .. [1] J. C. Peterson, R. M. Battleday, T. L. Griffiths, O. Russakovsky (2019).
       Human Uncertainty Makes Classification More Robust. ICCV. (Labels drawn from
       the recorded votes of annotators.)

    Examples
    --------
    >>> from cofm_sklearn.simulation.oracle import RecordedVotesOracle
    >>> votes = [[3, 0], [1, 2], [0, 3]]  # columns: no, yes
    >>> oracle = RecordedVotesOracle(random_state=0)
    >>> print(*oracle.fit(["no", "no", "yes"], votes=votes).answer([0, 1, 2]))
    no yes yes
    """

    def __init__(self, random_state=None):
        self.random_state = random_state

    def _all_classes(self, y, votes):
        return _with_names(y, votes.columns) if is_frame(votes) else (y, None)

    def _draw_answers(self, y, X, votes, classes):
        counts = _check_votes(votes, len(y), classes)
        own = counts[np.arange(len(y)), np.searchsorted(classes, y)]
        contradicted = np.mean(own < counts.max(axis=1))
        if contradicted > 0.5:
            warnings.warn(
                f"The majority of votes contradicts y for {contradicted:.0%} of the "
                f"samples. Check the columns of votes: they must be {classes.tolist()} "
                "in this order, or have these names in a DataFrame.",
                stacklevel=3,
            )
        return _draw(counts, classes, check_random_state(self.random_state))

    def _draw_again(self, y, X, votes, classes, earlier):
        counts = _check_votes(votes, len(y), classes)
        left = counts.copy()
        for answers in earlier:
            left -= answers[:, None] == classes
        left = np.maximum(left, 0)
        left = np.where(left.sum(axis=1, keepdims=True) > 0, left, counts)
        return _draw(left, classes, self._rng_after(earlier))


def check_oracle(oracle):
    """Raise a TypeError unless it is an oracle or None."""
    is_oracle = hasattr(oracle, "fit") and hasattr(oracle, "answer")
    if oracle is not None and (isinstance(oracle, type) or not is_oracle):
        raise TypeError(
            "oracle must be an oracle, such as NoisyOracle(0.2), or None for right "
            f"answers; got {oracle!r}."
        )


def _draw(counts, classes, rng):
    """Return one of the votes for each sample."""
    share = np.cumsum(counts, axis=1)
    share /= share[:, -1:]
    drawn = rng.random_sample(len(counts))
    # The first class whose cumulated share exceeds the draw: a class without votes
    # adds nothing to the sum, so it is never chosen.
    return classes[(share > drawn[:, None]).argmax(axis=1)]


def _as_integer(random_state):
    """Convert any seed to an integer without advancing it."""
    if isinstance(random_state, Integral):
        return int(random_state)
    rng = random_state if random_state is not None else np.random.RandomState()
    return deepcopy(rng).randint(np.iinfo(np.int32).max)


def _as_array(values, name):
    try:
        return np.asarray(values)
    except ValueError as error:  # rows differ in length
        raise ValueError(f"{name} must be 1-D, got {values!r}.") from error


def _check_votes(votes, n_samples, classes):
    """Return the validated votes as a float array, columns in the order of classes."""
    if votes is None:
        raise ValueError(
            "RecordedVotesOracle needs votes of shape (n_samples, n_classes): pass "
            "votes= to fit."
        )
    counts = check_array(votes, dtype=np.float64, input_name="votes")
    if counts.shape != (n_samples, len(classes)):
        raise ValueError(
            f"votes must have one row per label and one column per class, "
            f"{(n_samples, len(classes))}; got {counts.shape}. If y lacks a class, "
            "give votes as a DataFrame whose column names are all classes, of the type "
            "of y."
        )
    if is_frame(votes):
        counts = counts[:, _columns_of(classes, votes)]
    if (counts < 0).any():
        raise ValueError("votes must be counts of at least 0; some are negative.")
    empty = np.flatnonzero(counts.sum(axis=1) == 0)
    if empty.size:
        raise ValueError(
            f"votes has rows without any vote, e.g. {empty[:5].tolist()}; remove "
            "these samples."
        )
    return counts


def _with_names(y, names):
    """Return labels, and the classes in y and among the column names of a frame.

    The classes are None unless the names are all classes of y and at least one more.
    """
    known = {str(label): label for label in np.unique(y).tolist()}
    more = {str(name) for name in names} - set(known)
    if not more or len(known) + len(more) != len(names):
        return y, None
    kind = type(next(iter(known.values())))
    try:
        # The names in a file are str, also of classes that are int.
        classes = [*known.values(), *map(kind, more)]
    except ValueError:
        return y, None
    if y.dtype.kind == "U":  # its width has no room for longer names
        y = y.astype(np.array(classes).dtype)
    return y, classes


def _columns_of(classes, votes):
    """Return the position of each class among the columns of a frame."""
    found, names = columns_by_name(votes, classes.tolist()), votes.columns
    if found is not None:
        return found
    if isinstance(names, pd.RangeIndex):  # no names were given
        return list(range(len(names)))
    raise ValueError(
        f"The column names of votes must be the classes, {classes.tolist()}; got "
        f"{list(names)}. Rename them, or give an array whose columns are the classes "
        "in this order."
    )
