"""PriorAL: pseudo-labels where the prior is confident, queries where it is not.

The functions are shared by query and classifier.
"""

from typing import Any

import joblib
import numpy as np
from scipy import sparse
from scipy.special import entr, softmax
from sklearn.metrics import pairwise_distances_argmin_min
from sklearn.utils.extmath import row_norms
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.models.base import BasePriorClassifier, in_blocks, prior_proba_of
from cofm_sklearn.models.small_model import (
    check_fit_weights,
    class_proba,
    fit_small_model,
)
from cofm_sklearn.models.training_set import TrainingSet
from cofm_sklearn.models.unlabelled import fit_beside_pool
from cofm_sklearn.priors.base import features_for_small_model
from cofm_sklearn.utils.validation import (
    check_number,
    is_numeric,
    n_rows,
    stack_rows,
    take_rows,
)

__all__ = [
    "PriorALClassifier",
    "imbalance_aware_entropy",
    "in_noise_set",
    "product_of_experts",
]

_FLOOR = 1e-12
# Batches differ between calls, which changes the last digits of embeddings.
_SAME = 1e-4


class PriorALClassifier(BasePriorClassifier):
    """Train a small model on labels and on confident prior predictions (PriorAL).

    The pool is split in two. The *noise set* contains the samples about which prior and
    small model together are least certain; uncertainty is scaled down for samples that
    the prior assigns to a rare class. The rest is the *clean set*: it gets the prior's
    labels at no cost, and the small model is trained on it together with the labels.
    Whether the prior is any good is never checked.

    Parameters
    ----------
    estimator : classifier
        The small model, as in `CoDecisionClassifier`.

    prior : prior or None, default=None
        As in `CoDecisionClassifier`. Without a prior, there is no clean set.

    noise_share : float, default=0.9
        Share of the pool in the noise set, 0 to 1; rho in the paper.

    pool : array-like of length n_pool or None, default=None
        Unlabelled samples, as `fit` takes them; labelled samples among them are
        recognised and left out. `ActiveLearningClassifier` and `AnnotationSession` set
        it to their pool (`fit_to_pool`). Without a pool, there is no clean set.

    warm_start : bool, default=False
        Which small model to use before there is a clean set. With True, that of the
        last `fit`, if any, as in the paper. Otherwise, and in any clone, one trained on
        the labels alone, so that `fit` depends only on its arguments.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The prior's full class list; without a prior, the labels in y.

    estimator_ : classifier or None
        The fitted small model; None without labels.

    prior_ : prior or None
        The fitted prior.

    clean_indices_ : ndarray of shape (n_clean,), dtype int64
        Positions in `pool` of the clean set, ascending.

    pseudo_labels_ : ndarray of shape (n_clean,)
        The labels of the clean set.

    n_features_in_ : int
        Number of features of X; only if X is numeric.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    See Also
    --------
    cofm_sklearn.query.PriorALQuery : The query strategy that goes with it.
    cofm_sklearn.CoDecisionClassifier : Learns how far to trust the prior.

    Notes
    -----
    Based on two public third-party reading notes, which agree with each other and with
    the abstract: neither the paper itself nor its authors' code was available. Unknown
    are the value of `noise_share` in the paper (0.9 was better than 0.5 in experiments
    here) and the small model of the first round, which here is trained on the labels of
    the first batch.

    References
    ----------
    Zhang, J., Li, M., Zhang, Q., Zhu, Y. (2026). Active Learning with Foundation Model
    Priors: Efficient Learning under Class Imbalance. ICML. (PriorAL)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn import PrecomputedPrior
    >>> from cofm_sklearn.models import PriorALClassifier
    >>> pool = np.array([[0.9, 0.1], [0.6, 0.4], [0.5, 0.5], [0.3, 0.7], [0.1, 0.9]])
    >>> model = PriorALClassifier(
    ...     LogisticRegression(), PrecomputedPrior([0, 1]), noise_share=0.4, pool=pool)
    >>> model.fit(pool[1:3], [0, 1]).clean_indices_
    array([0, 4])
    >>> model.pseudo_labels_
    array([0, 1])
    """

    def __init__(
        self, estimator, prior=None, noise_share=0.9, *, pool=None, warm_start=False
    ):
        self.estimator = estimator
        self.prior = prior
        self.noise_share = noise_share
        self.pool = pool
        self.warm_start = warm_start

    def fit(self, X, y=None, sample_weight=None):
        """Learn from labelled samples and from the clean set.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Embeddings, or anything that both prior and small model accept.

        y : array-like of shape (n_samples,), default=None
            Labels. None or an empty list means that X has no labels, and the prior
            predicts alone. Among labels, None or -1 means that a sample has none, as in
            `CoDecisionClassifier`.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the labelled samples, 0 or more. Each sample of the clean set
            gets their mean weight.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If y contains a label that the prior does not know, values are not finite,
            lengths differ, all weights are 0, `noise_share` is out of range, `pool`
            contains samples of another type or width than X, the prior needs labels, or
            there are neither labels nor a prior. The classifier keeps its former state.

        TypeError
            If the small model has neither `predict_proba` nor `decision_function`.
        """
        check_number("noise_share", self.noise_share, 0, 1)
        if y is None or n_rows(y) == 0:
            new = self._begin_without_labels(X)
            new.clean_indices_ = np.empty(0, dtype=np.int64)
            new.pseudo_labels_ = new.classes_[:0]
            return self._take_over(new)
        if (new := fit_beside_pool(self, X, y, sample_weight)) is not None:
            return self._take_over(new)
        new, X, codes = self._begin(X, y)
        features = features_for_small_model(new.prior_, X)
        weight = check_fit_weights(self.estimator, sample_weight, len(codes))
        labels_alone = TrainingSet(features, codes, new.classes_, weight)
        last = getattr(self, "estimator_", None) if self.warm_start else None
        if last is None:
            last = fit_small_model(self.estimator, labels_alone)
        clean: Any = np.empty(0, dtype=np.int64)
        pseudo: Any = codes[:0]
        if new.prior_ is not None and self.pool is not None:
            clean, pseudo, features = new._add_clean_set(X, features, last)
        codes = np.concatenate([codes, pseudo])
        weight = np.concatenate([weight, np.full(len(pseudo), weight.mean())])
        both = TrainingSet(features, codes, new.classes_, weight)
        new.estimator_ = fit_small_model(self.estimator, both) if len(clean) else last
        new.clean_indices_, new.pseudo_labels_ = clean, new.classes_[pseudo]
        return self._take_over(new)

    def predict_proba(self, X):
        """Predict class probabilities with the small model, without labels the prior.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError
            If X is not finite, empty, or of another width than in `fit`.
        """
        check_is_fitted(self, "classes_")
        say = self.prior_proba if self.estimator_ is None else self.small_model_proba
        return in_blocks(say, X, len(self.classes_))

    def _add_clean_set(self, X, features, last):
        """Return positions and pseudo-labels of the clean set, and all features."""
        pool = self._check_X(self.pool, reset=False)
        if is_numeric(pool) != is_numeric(X):
            raise ValueError(
                "pool and X must hold samples of the same type: pass the same "
                "kind to both."
            )
        unlabelled = np.flatnonzero(~_is_among(pool, X))
        if not len(unlabelled):
            return unlabelled, unlabelled, features
        pool = take_rows(pool, unlabelled)
        prior_proba = prior_proba_of(self.prior_, pool, self.classes_)
        pool = features_for_small_model(self.prior_, pool)
        small_proba = class_proba(last, pool, self.classes_)
        noisy = in_noise_set(prior_proba, small_proba, self.noise_share)
        clean = np.flatnonzero(~noisy)
        features = stack_rows(features, take_rows(pool, clean))
        return unlabelled[clean], prior_proba[clean].argmax(axis=1), features


def product_of_experts(prior_proba, small_proba):
    """Multiply the probabilities of prior and small model.

    Parameters
    ----------
    prior_proba, small_proba : ndarray of shape (n_samples, n_classes)
        Probabilities; 0 counts as 1e-12.

    Returns
    -------
    ndarray of shape (n_samples, n_classes)
        Rows sum to 1. If one expert is uniform, the other decides.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.prioral import product_of_experts
    >>> product_of_experts(np.array([[0.8, 0.2]]), np.array([[0.5, 0.5]])).round(6)
    array([[0.8, 0.2]])
    """
    experts = np.maximum([prior_proba, small_proba], _FLOOR)
    return softmax(np.log(experts).sum(axis=0), axis=1)


def imbalance_aware_entropy(prior_proba, small_proba):
    """Compute the entropy of both experts, scaled down for rare predicted classes.

    Parameters
    ----------
    prior_proba, small_proba : ndarray of shape (n_samples, n_classes)
        Probabilities of unlabelled samples.

    Returns
    -------
    ndarray of shape (n_samples,)
        Entropy of the product of experts in nats, times the number of samples that the
        prior assigns to this sample's class, divided by that of the largest class.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.prioral import imbalance_aware_entropy
    >>> prior = np.array([[0.8, 0.2], [0.8, 0.2], [0.2, 0.8]])
    >>> imbalance_aware_entropy(prior, np.full((3, 2), 0.5)).round(3)
    array([0.5 , 0.5 , 0.25])
    """
    taken_for = prior_proba.argmax(axis=1)
    counts = np.bincount(taken_for)
    entropy = entr(product_of_experts(prior_proba, small_proba)).sum(axis=1)
    return counts[taken_for] / counts.max() * entropy


def in_noise_set(prior_proba, small_proba, noise_share):
    """Tell which samples are in the noise set; the others are the clean set.

    Parameters
    ----------
    prior_proba, small_proba : ndarray of shape (n_samples, n_classes)
        Probabilities of unlabelled samples.

    noise_share : float
        Share of the noise set, 0 to 1.

    Returns
    -------
    ndarray of shape (n_samples,), dtype bool
        True for the share with the highest imbalance-aware entropy; among equal
        samples, later ones come first.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.models.prioral import in_noise_set
    >>> prior = np.array([[0.8, 0.2], [0.9, 0.1], [0.2, 0.8]])
    >>> in_noise_set(prior, np.full((3, 2), 0.5), 0.33)
    array([ True, False, False])
    """
    entropy = imbalance_aware_entropy(prior_proba, small_proba)
    n_clean = len(entropy) - round(noise_share * len(entropy))
    noisy = np.ones(len(entropy), dtype=bool)
    noisy[np.argsort(entropy, kind="stable")[:n_clean]] = False
    return noisy


def _is_among(pool, X):
    """Tell which samples of a pool are among other samples, of any type."""
    if is_numeric(pool):
        return _is_near(pool, X)
    ours, theirs = (
        [joblib.hash(sample) for sample in _samples(some)] for some in (pool, X)
    )
    return np.isin(ours, theirs)


def _is_near(pool, X):
    """Tell which rows of a pool are among other rows, up to the last digits."""
    # Centred, as a feature that is large in all rows would hide every difference.
    centre = np.asarray(pool.mean(axis=0), dtype=np.float64).ravel()
    if sparse.issparse(pool):
        _, distance = pairwise_distances_argmin_min(pool, X)
        size = row_norms(pool, squared=True) - 2 * (pool @ centre) + centre @ centre
        return distance <= _SAME * np.sqrt(np.maximum(size, 0))
    known = np.asarray(X, dtype=np.float64) - centre

    def is_near(block):
        block = np.asarray(block, dtype=np.float64) - centre
        _, distance = pairwise_distances_argmin_min(block, known)
        return (distance <= _SAME * row_norms(block))[:, None]

    return in_blocks(is_near, pool, 1, dtype=bool)[:, 0]


def _samples(X):
    return X.itertuples(index=False, name=None) if hasattr(X, "iloc") else X
