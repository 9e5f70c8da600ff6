"""Prior and small model combined in one classifier."""

import warnings

import numpy as np
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from cofm_sklearn.models.base import BasePriorClassifier, in_blocks, prior_proba_of
from cofm_sklearn.models.fusion import BELIEF
from cofm_sklearn.models.neighborhood import fit_neighbors
from cofm_sklearn.models.small_model import check_fit_weights, class_proba
from cofm_sklearn.models.training import train_co_decision, weigh_priors
from cofm_sklearn.models.training_set import TrainingSet, typical_rows
from cofm_sklearn.models.unlabelled import fit_beside_pool
from cofm_sklearn.noise.estimate import check_label_noise
from cofm_sklearn.priors.base import features_for_small_model, is_package_prior
from cofm_sklearn.utils.pipelines import encodes_categories
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    is_fitted,
    is_numeric,
    n_rows,
    table_like,
    take_rows,
)

__all__ = ["CoDecisionClassifier"]

# Graph samples times classes over which labels spread within seconds.
_MOST_SPREAD = 10_000_000
# Samples on which the small model is compared with the prior.
_ENOUGH_NODES = 3000


class CoDecisionClassifier(BasePriorClassifier):
    """Classifier that combines a foundation model's prior and a small model.

    `fit` considers two cases. If the prior is useful, the small model is trained on the
    labelled samples and on the class descriptions, which give every class a first
    member, and the prediction is a softmax over the weighted sum of both models'
    logits, each scaled to unit spread. If the prior is not useful, the small model
    learns from the labels only and predicts alone. In both cases, out-of-fold
    predictions determine which labels are unlikely; these lose weight, and the small
    model is trained again. The labels also determine how probable each case is, and
    the prediction averages the two. Without labels, the prior alone predicts.

    With the neighbours of the pool, the labels and this prediction then spread to
    similar samples, labelled or not, and the result is mixed in. If neighbours in this
    pool do not share classes, they are chosen by class as well. Trust, temperature,
    noise and label quality are learned without the neighbours.

    Parameters
    ----------
    estimator : classifier
        The small model: any scikit-learn classifier with `predict_proba` or
        `decision_function`, a skorch net, or an imbalanced-learn pipeline. It need not
        have seen all classes. With rare classes, balance it
        (``class_weight="balanced"`` or a sampler), or it seldom predicts them.

    prior : prior or None, default=None
        `ZeroShotPrior`, `LanguageModelPrior`, `PrecomputedPrior`, several as a
        `CombinedPrior`, or any classifier with `predict_proba`. It should treat all
        classes alike: divide the probabilities of an old model by the class shares of
        its training set.
        A fitted prior is used as it is; an unfitted one is cloned and fitted on the
        labelled samples, without their labels. Preferably fit it on the pool, and wrap
        it in ``sklearn.frozen.FrozenEstimator`` if clones must keep the fit. None uses
        only the small model and the cleaning of labels.

    trust : "auto" or float, default="auto"
        Weight of the prior, 0 to 1. ``"auto"`` learns it out of fold; it is 1 as long
        as all labels are of one class.

    label_noise : "auto", None or float, default="auto"
        Share of wrong labels, at least 0 and below 1. ``"auto"`` estimates it, None
        assumes that all labels are right.

    neighbors : NeighborGraph, "auto" or None, default="auto"
        A graph fitted on the pool, along which labels and co-decision spread. It is
        used as it is; wrap it in ``sklearn.frozen.FrozenEstimator`` if clones must keep
        the fit. ``"auto"`` uses the graph of the pool where the pool is known, as in
        `ActiveLearningClassifier` and `AnnotationSession`, and none elsewhere. None
        uses no neighbours. With more than 10 million graph samples times classes, they
        are left out with a warning.

    n_folds : int, default=4
        Number of folds for the out-of-fold predictions, at least 2.

    n_jobs : int or None, default=None
        Folds fitted in parallel (joblib). Results do not depend on it.

    random_state : int, RandomState or None, default=None
        Seed of the folds. The small model has its own.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The prior's full class list, whether or not a class has labels yet. Without a
        prior, the labels in y.

    estimator_ : classifier or None
        The fitted small model, that of the more probable case; None without labels.

    prior_ : prior or None
        The fitted prior; for a `CombinedPrior`, with weights learned from the labels.

    neighbors_ : NeighborGraph or None
        The graph of the pool; None without one.

    trust_ : float
        Weight of the prior against the small model, 0 to 1, averaged over the cases.

    neighbor_weight_ : float
        Weight of the neighbours against prior and small model together, 0 to 0.5: 0 if
        neighbours in the pool have nothing in common, and without neighbours.

    temperature_ : float
        Divisor of the fused logits, averaged over the cases.

    prior_evidence_ : float
        Probability, given the labels, that the prior is useful at all; 2/3 without
        labels, 0 without a prior.

    noise_rate_ : float
        Estimated (or given) share of wrong labels.

    noise_rate_interval_ : tuple of (float, float)
        Credible interval of probability .95; (0, 1) without labels.

    noise_matrix_ : ndarray of shape (n_classes, n_classes)
        Probability of each given label (column) given the true class (row).

    label_quality_ : ndarray of shape (n_samples,)
        Probability that each label passed to `fit` is right.

    y_train_ : ndarray of shape (n_samples,)
        The labels passed to `fit`, to which `label_quality_` and `oof_proba_` refer.

    oof_proba_ : ndarray of shape (n_samples, n_classes)
        Prior and small model combined for each sample passed to `fit`, with small
        models that have not seen it. Neighbours are not used.

    n_features_in_ : int
        Number of features of X; only if X is numeric.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    See Also
    --------
    CoDecisionQuery : Chooses what to label next.

    Notes
    -----
    `predict_proba` assumes equal class shares if the small model is balanced
    (``class_weight="balanced"``, a resampling pipeline), which suits balanced accuracy
    and macro-F1.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from cofm_sklearn import (
    ...     CoDecisionClassifier, SentenceTransformerEncoder, ZeroShotPrior)
    >>> texts = ["the match ended two to one", "shares fell after the report",
    ...          "the goalkeeper was injured", "the bank raised its rates"]
    >>> prior = ZeroShotPrior({"sport": "a sports game", "money": "the economy"})
    >>> model = make_pipeline(
    ...     SentenceTransformerEncoder(),
    ...     CoDecisionClassifier(LogisticRegression(), prior, random_state=0))
    >>> model.fit(texts[:2], ["sport", "money"]).predict(texts)
    array(['sport', 'money', 'sport', 'money'], dtype='<U5')
    """

    def __init__(
        self,
        estimator,
        prior=None,
        trust="auto",
        label_noise="auto",
        *,
        neighbors="auto",
        n_folds=4,
        n_jobs=None,
        random_state=None,
    ):
        self.estimator = estimator
        self.prior = prior
        self.trust = trust
        self.label_noise = label_noise
        self.neighbors = neighbors
        self.n_folds = n_folds
        self.n_jobs = n_jobs
        self.random_state = random_state

    def fit(self, X, y=None, sample_weight=None):
        """Learn from labelled samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Embeddings, or anything that both prior and small model accept.

        y : array-like of shape (n_samples,), default=None
            Labels. None or an empty list means that X has no labels: an unfitted prior
            is fitted on X, and predicts alone. Among labels, None means that a sample
            has none, and so does -1 if the prior knows no such class: all of X is then
            the pool, and `label_quality_` and `oof_proba_` refer to the labelled
            samples only.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples, at least 0. When the small model is trained, a
            sample of weight .5 counts as half a label beside the rows of the prior,
            whose weight is 1 or more. For trust, evidence and noise, only the ratios
            of the weights matter. Samples of weight 0 are ignored.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If y contains a label that the prior does not know, values are infinite, or
            missing although there is a prior or the small model does not accept NaN,
            lengths differ, all weights are 0, a parameter is out of range, the prior is
            not fitted and needs labels, `neighbors` is not fitted or was fitted on
            samples of another width, or there are neither labels nor a prior. The
            classifier keeps its former state.

        TypeError
            If the small model has neither `predict_proba` nor `decision_function`,
            `neighbors` is not a `NeighborGraph`, or labels of several types cannot be
            sorted.
        """
        self._check_parameters()
        if y is None or n_rows(y) == 0:
            return self._fit_prior_alone(X)
        if (new := fit_beside_pool(self, X, y, sample_weight)) is not None:
            return self._take_over(new)
        new, X, codes = self._begin(X, y)
        if sample_weight is not None:
            sample_weight = check_fit_weights(self.estimator, sample_weight, len(codes))
        new.prior_ = weigh_priors(new.prior_, X, codes, self.label_noise, sample_weight)
        new.neighbors_ = self._fitted_neighbors()
        new._learn(X, codes, sample_weight)
        return self._take_over(new)

    def predict_proba(self, X):
        """Predict class probabilities: the co-decision.

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
        return self._ask_in_blocks(self._decide, X)

    def neighbors_proba(self, X):
        """Return the class probabilities from the neighbours alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities; equal ones without neighbours or labels.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        return self._ask_in_blocks(self._ask_neighbors, X)

    def _ask_in_blocks(self, ask, X):
        """Check samples, and ask for their probabilities block by block."""
        check_is_fitted(self, "classes_")
        X = self._check_X(X, reset=False)
        return in_blocks(ask, X, len(self.classes_))

    def _ask_neighbors(self, X):
        """Return what the neighbours of checked samples say."""
        if self._voice is None:
            return class_proba(None, X, self.classes_)
        return self._voice.proba(X, self._decide_alone(X))

    def _decide(self, X):
        """Return the co-decision of checked samples."""
        proba = self._decide_alone(X)
        return proba if self._voice is None else self._voice.fuse(X, proba)

    def proba_without_neighbors(self, X):
        """Return the co-decision of prior and small model, without the neighbours.

        The counterpart of `oof_proba_` for any samples, by which `CoDecisionQuery`
        chooses.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features) or raw samples
            Samples.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities; those of `predict_proba` if there are no neighbours.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        return self._ask_in_blocks(self._decide_alone, X)

    def _decide_alone(self, X):
        """Combine prior and small model, without neighbours."""
        if self.estimator_ is None:
            return prior_proba_of(self.prior_, X, self.classes_)
        prior = self.prior_
        proba = None if prior is None else prior_proba_of(prior, X, self.classes_)
        features = features_for_small_model(prior, X)
        return self._decision.mean(
            lambda case: case.proba(proba, features, self.classes_)
        )

    def _learn(self, X, codes, sample_weight):
        """Train the small model, fuse it with the prior, and spread the labels."""
        prior, classes = self.prior_, self.classes_
        rng = check_random_state(self.random_state)
        features = features_for_small_model(prior, X)
        nodes = None
        if self.neighbors_ is not None:
            nodes = self._nodes_like(X)
        rows, weight, pool = self._class_rows(X, nodes)
        rows = None if rows is None else table_like(features, rows)
        given = np.ones(len(codes)) if sample_weight is None else sample_weight
        decision = train_co_decision(
            self.estimator,
            TrainingSet(features, codes, classes, given, rows, weight),
            None if prior is None else prior_proba_of(prior, X, classes),
            trust=self.trust,
            pool=pool,
            label_noise=self.label_noise,
            sample_weight=sample_weight,
            n_folds=self.n_folds,
            random_state=rng.randint(np.iinfo(np.int32).max),
            n_jobs=self.n_jobs,
        )
        self._decision, self.y_train_ = decision, classes[codes]
        self.estimator_ = decision.cases[0][1].model
        self.prior_evidence_ = decision.evidence
        self.trust_ = decision.mean(lambda case: case.fusion.trust)
        self.temperature_ = decision.mean(lambda case: case.fusion.temperature)
        self.noise_rate_ = decision.mean(lambda case: case.fusion.noise_rate)
        self.noise_rate_interval_ = decision.noise_rate_interval
        self.noise_matrix_ = decision.mean(lambda case: case.noise_matrix)
        self.label_quality_ = decision.mean(lambda case: case.fusion.label_quality)
        self.oof_proba_ = decision.mean(lambda case: case.oof_proba)
        self._voice = None
        if nodes is not None:
            counted = decision.mean(lambda case: case.label_weight)
            counted = counted * given / given[given > 0].mean()
            self._voice = fit_neighbors(
                self.neighbors_,
                in_blocks(self._decide_alone, nodes, len(classes), np.float32),
                X,
                in_blocks(self._decide_alone, X, len(classes)),
                codes,
                counted,
            )
        self.neighbor_weight_ = 0.0 if self._voice is None else self._voice.weight

    def _nodes_like(self, X):
        """Return the samples of the graph, or None if they are too many."""
        nodes, n_classes = self.neighbors_.samples_like(X), len(self.classes_)
        if n_rows(nodes) * n_classes <= _MOST_SPREAD:
            return nodes
        most = max(_MOST_SPREAD // n_classes, 3)
        warnings.warn(
            f"Labels of {n_classes} classes cannot spread over {n_rows(nodes)} "
            "neighbours in reasonable time, so the neighbours are left out. Give "
            f"neighbors=NeighborGraph(max_samples={most}).",
            stacklevel=2,
        )
        return None

    def _class_rows(self, X, nodes):
        """Return one row per class from the prior, its weight, and some of the pool.

        Its description, and what is typical of the class in the pool: both if both
        exist, since a description differs from samples. The rows are None if there is
        neither. The samples of the pool are given as the small model sees them, with
        their prior probabilities; None without typical samples.
        """
        prior = self.prior_
        described = prior.description_rows(X) if is_package_prior(prior) else None
        if prior is None or nodes is None or not is_numeric(nodes):
            return described, 1, None  # raw samples cannot be averaged
        if encodes_categories(self.estimator):
            return described, 1, None  # codes of categories cannot, either
        proba = prior_proba_of(prior, nodes, self.classes_)
        features = features_for_small_model(prior, nodes)
        rows, weight = typical_rows(table_like(proba, features), proba)
        if described is not None:
            rows = (described + rows) / 2
        some = np.unique(np.linspace(0, len(proba) - 1, _ENOUGH_NODES, dtype=int))
        return rows, weight, (take_rows(features, some), proba[some])

    def _fit_prior_alone(self, X):
        new = self._begin_without_labels(X)
        new.neighbors_, new._voice = self._fitted_neighbors(), None
        new.neighbor_weight_ = 0.0
        n_classes = len(new.classes_)
        new.noise_matrix_, new.oof_proba_ = np.eye(n_classes), np.empty((0, n_classes))
        new.trust_ = 1.0 if _is_auto(self.trust) else float(self.trust)
        new.temperature_, new.prior_evidence_ = 1.0, BELIEF
        new.noise_rate_, new.noise_rate_interval_ = 0.0, (0.0, 1.0)
        new.label_quality_, new.y_train_ = np.ones(0), new.classes_[:0]
        return self._take_over(new)

    def _fitted_neighbors(self):
        if self.neighbors is None or _is_auto(self.neighbors):
            return None
        if not hasattr(self.neighbors, "samples_like"):
            raise TypeError(
                'neighbors must be a NeighborGraph, "auto" or None, got '
                f"{self.neighbors!r}."
            )
        if not is_fitted(self.neighbors):
            raise ValueError(
                f"neighbors={self.neighbors!r} is not fitted. Fit it on the pool, and "
                "wrap it in sklearn.frozen.FrozenEstimator if this classifier is "
                "cloned."
            )
        return self.neighbors

    def _check_parameters(self):
        check_number("trust", self.trust, 0, 1, also=("auto",))
        check_label_noise(self.label_noise)
        check_integer("n_folds", self.n_folds, 2)


def _is_auto(value):
    return isinstance(value, str) and value == "auto"
