"""The query strategy of the co-decision."""

import numpy as np

from cofm_sklearn.pool.blocks import BlockPool
from cofm_sklearn.pool.opening import open_pool
from cofm_sklearn.query.base import BaseQueryStrategy
from cofm_sklearn.query.coverage import (
    covered_by,
    greedy_coverage,
    kernel_width,
    similarities,
    to_device,
)
from cofm_sklearn.query.scan import ArraySource, LearnerSource, PoolScanner
from cofm_sklearn.query.view import LearnerReader, count_labels
from cofm_sklearn.query.worth import UNCERTAINTIES, learn_weights
from cofm_sklearn.utils.labels import encode_labels
from cofm_sklearn.utils.validation import (
    check_integer,
    check_number,
    check_numbers,
    check_option,
    check_proba,
    check_unit_embeddings,
    n_rows,
)

__all__ = ["CoDecisionQuery"]

# Number of samples used to estimate the class shares of a larger pool.
_SAMPLE = 16_384
# Pools up to the first size are used completely, in about 0.2 s; from larger pools, the
# second number of candidates is drawn.
_SMALL_POOL, _DRAWN = 4096, 2048


class CoDecisionQuery(BaseQueryStrategy):
    """Query samples of high uncertainty that no label covers yet.

    Samples are picked one by one, each where it adds most to the weighted coverage of
    the embedding space by labelled samples. The weight of a sample is the learner's
    uncertainty, divided by a power of the share of its class in the pool, so that rare
    classes count. With a `CoDecisionClassifier` as the learner, this is the uncertainty
    of prior and small model together, without neighbours. Similar samples cover each
    other, so a batch has no near-duplicates. Without labels, all weights are equal: the
    first batch spreads over the pool, and an unconfirmed prior has no influence.

    Parameters
    ----------
    prior : prior or None, default=None
        Prior for the balance of classes, for learners without one. An unfitted prior
        is fitted on the pool.

    n_instances : int, default=1
        Samples per query, unless given in the call.

    uncertainty : {"least_confidence", "margin", "entropy"}, default="least_confidence"
        Uncertainty of the learner: 1 minus its highest probability, 1 minus the margin
        between the two highest, or the normalized entropy.

    sharpness : float, default=2.0
        Power of the uncertainty, at least 0: 0 covers the pool regardless of
        uncertainty, a large value queries only the most uncertain samples.

    balance : float, default=0.25
        Power of the class shares, at least 0: 0 weights classes by their frequency, 1
        gives all classes the same weight. Shares are estimated on the pool.

    kernel_width : "auto" or float, default="auto"
        Reach of a label, in units of distance between embeddings of unit norm.
        ``"auto"`` derives it from the distances to near neighbours in the pool.

    max_candidates : "auto", int or None, default="auto"
        Number of candidates drawn from a larger pool, half of them by weight and half
        with equal weight for all classes; they represent the pool. So the pool is read
        once, in blocks, and time and memory of the greedy step do not depend on its
        size. ``"auto"`` draws 2,048 from pools of more than 4,096 samples. With None,
        every sample is a candidate, which takes time quadratic in the size of the pool.

    block_size : "auto" or int, default="auto"
        Number of pool samples to read at once. ``"auto"`` uses as many as fit into 16
        MiB. It affects results only through the order of sums.

    device : str or None, default=None
        torch device for the coverage of candidates, for example ``"auto"``; None uses
        NumPy. The small model runs on its own device, for example
        ``NetClassifier(device="cuda")``.

    verbose : int, default=0
        Above 0, show a progress bar while a large pool is read.

    random_state : int, RandomState or None, default=None
        Seed. Each call combines it with the number of labels, so rounds differ and are
        reproducible.

    See Also
    --------
    CoDecisionClassifier : The classifier that goes with it.

    References
    ----------
    Bae, W., Oliveira, G. L., Sutherland, D. J. (2025). Uncertainty Herding: One
    Active Learning Method for All Label Budgets. ICLR. (coverage weighted by
    uncertainty)

    Saerens, M., Latinne, P., Decaestecker, C. (2002). Adjusting the Outputs of a
    Classifier to New a Priori Probabilities. Neural Computation 14(1). (class shares
    of the pool)

    Duffield, N., Lund, C., Thorup, M. (2007). Priority Sampling for Estimation of
    Arbitrary Subset Sums. Journal of the ACM 54(6). (draw of candidates)

    Efraimidis, P. S., Spirakis, P. G. (2006). Weighted Random Sampling with a
    Reservoir. Information Processing Letters 97(5). (draw for the kernel width)

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn import CoDecisionQuery
    >>> rng = np.random.RandomState(0)
    >>> Z = np.repeat(np.eye(3), [50, 30, 5], axis=0) + 0.1 * rng.normal(size=(85, 3))
    >>> strategy = CoDecisionQuery(kernel_width=0.5, random_state=0)
    >>> picked = strategy.select(Z, n_instances=3)
    >>> sorted(int(Z[i].argmax()) for i in picked)  # one of each kind
    [0, 1, 2]
    """

    def __init__(
        self,
        prior=None,
        n_instances=1,
        *,
        uncertainty="least_confidence",
        sharpness=2.0,
        balance=0.25,
        kernel_width="auto",
        max_candidates="auto",
        block_size="auto",
        device=None,
        verbose=0,
        random_state=None,
    ):
        self.prior = prior
        self.n_instances = n_instances
        self.uncertainty = uncertainty
        self.sharpness = sharpness
        self.balance = balance
        self.kernel_width = kernel_width
        self.max_candidates = max_candidates
        self.block_size = block_size
        self.device = device
        self.verbose = verbose
        self.random_state = random_state

    def select(
        self,
        X_pool,
        proba=None,
        prior_proba=None,
        X_labeled=None,
        y_labeled=None,
        n_instances=None,
        *,
        classes=None,
        trust=None,
        return_utilities=False,
    ):
        """Select the samples to label next, from plain arrays.

        Parameters
        ----------
        X_pool : array-like or CSR of shape (n_pool, d)
            Embeddings of the unlabelled samples; rows are scaled to unit L2 norm.

        proba : array-like of shape (n_pool, n_classes), default=None
            Probabilities of the model, `CoDecisionClassifier.proba_without_neighbors`
            for a co-decision; None without labels.

        prior_proba : array-like of shape (n_pool, n_classes), default=None
            Probabilities of a prior that the model does not know, for the balance of
            classes.

        X_labeled : array-like or CSR of shape (n_labeled, d), default=None
            Embeddings of the labelled samples.

        y_labeled : array-like of shape (n_labeled,), default=None
            Their labels, which are only checked: only the positions of labelled samples
            matter.

        n_instances : int, default=None
            Number of samples; None uses the strategy's own.

        classes : array-like of shape (n_classes,), default=None
            The label of each column, which is also only checked: one per column,
            including all labels in `y_labeled`. None allows any.

        trust : float, default=None
            Weight of the prior in the estimate of class shares, 0 to 1; None means
            0.5 if both probabilities are given.

        return_utilities : bool, default=False
            Whether to return the scores as well.

        Returns
        -------
        indices : ndarray of shape (n_instances,), dtype int64
            Rows of X_pool, in query order.

        utilities : ndarray of shape (n_pool,), dtype float64
            Only with `return_utilities`: coverage that each sample would have added as
            the first pick; NaN if it was not a candidate.

        Raises
        ------
        ValueError
            If an array is empty, not finite or of the wrong shape, probabilities do
            not sum to 1, a label is unknown, or `n_instances` exceeds the pool.
        """
        pool = open_pool(X_pool)
        n_pool = len(pool)
        if not isinstance(pool, BlockPool):
            raise TypeError(
                "select needs arrays on this machine. For a pool on Dask, call the "
                "strategy itself, with a learner: strategy(learner, X_pool)."
            )
        if len(pool.shape) != 2:
            raise ValueError(
                "X_pool must hold embeddings, a table of numbers. Embed texts and "
                "images first, for example with SentenceTransformerEncoder()."
            )
        n_instances = self._check_n_instances(n_instances, n_pool)
        n_classes = None if classes is None else n_rows(classes)
        proba, prior_proba = _check_probas(proba, prior_proba, n_pool, n_classes)
        if X_labeled is not None:
            X_labeled = check_unit_embeddings(
                X_labeled, name="X_labeled", n_features=pool.shape[1]
            )
        n_labeled = 0 if X_labeled is None else X_labeled.shape[0]
        if y_labeled is not None:
            y_labeled = np.asarray(y_labeled)
            if len(y_labeled) != n_labeled:
                raise ValueError(
                    f"y_labeled has {len(y_labeled)} labels for {n_labeled} rows of "
                    "X_labeled."
                )
            if classes is not None:
                encode_labels(y_labeled, np.asarray(classes), name="y_labeled")
        check_number("trust", trust, 0, 1, also=(None,))
        self._check_parameters()
        rng = self._rng(n_labeled)
        rows = _sample_rows(n_pool, rng)
        indices, utilities = self._select_from(
            pool,
            ArraySource(proba, prior_proba),
            rows,
            pool.take(rows),
            X_labeled,
            trust,
            n_instances,
            rng,
        )
        return (indices, utilities) if return_utilities else indices

    def _select_for(self, learner, X_pool, n_instances):
        self._check_parameters()
        pool = open_pool(X_pool)
        rng = self._rng(count_labels(learner))
        rows = _sample_rows(len(pool), rng)
        X_sample = pool.take(rows)
        reader = LearnerReader(learner, X_sample, self.prior)
        return self._select_from(
            pool,
            LearnerSource(
                reader, use_prior=self.balance > 0 and self.prior is not None
            ),
            rows,
            X_sample,
            reader.embed_labeled(),
            reader.trust,
            n_instances,
            rng,
        )

    def _select_from(
        self, pool, source, rows, X_sample, X_labeled, trust, n_instances, rng
    ):
        """Weight the pool, draw candidates, and pick those that cover it best."""
        n_pool = len(pool)
        n_candidates = self._count_candidates(n_pool, n_instances)
        # Positions of the sample; a small pool is used completely, and read once.
        positions = slice(0, n_pool) if rows is None else rows
        read = source.read(X_sample, positions)
        proba, prior_proba = read[:2]
        weights = learn_weights(
            proba,
            prior_proba,
            0.5 if trust is None else trust,
            uncertainty=self.uncertainty,
            sharpness=self.sharpness,
            balance=self.balance,
        )
        scanner = PoolScanner(
            source,
            weights,
            n_candidates,
            seed=rng.randint(np.iinfo(np.int32).max) if n_candidates < n_pool else 0,
            block_size=None if self.block_size == "auto" else self.block_size,
        )
        if rows is None:
            reservoir = scanner.add_read(None, 0, n_pool, read)
        else:
            del read
            reservoir = pool.scan(scanner, verbose=self.verbose)
        chosen, weight, X = reservoir.sample(n_candidates)
        order = rng.permutation(n_candidates)  # ties are broken at random
        chosen, weight, X = chosen[order], weight[order], X[order]
        # Drawn candidates need no second weighted draw.
        odds = reservoir.size[order] if n_candidates == n_pool else None
        X_labeled = X[:0] if X_labeled is None else X_labeled
        X, X_labeled = to_device(X, self.device), to_device(X_labeled, self.device)
        similar = similarities(X)
        width = self.kernel_width
        if isinstance(width, str):
            width = kernel_width(X, rng, odds, similar=similar)
        covered = covered_by(X, X_labeled, width)
        picked, gains = greedy_coverage(X, weight, covered, n_instances, width, similar)
        utilities = np.full(n_pool, np.nan)
        utilities[chosen] = gains
        return chosen[picked], utilities

    def _count_candidates(self, n_pool, n_instances):
        most = self.max_candidates
        if most == "auto":
            most = None if n_pool <= _SMALL_POOL else _DRAWN
        return n_pool if most is None else min(n_pool, max(most, n_instances))

    def _check_parameters(self):
        if not any((self.prior is None, hasattr(self.prior, "predict_proba"))):
            raise TypeError(
                f"prior must be a prior or None, got {self.prior!r}. The number of "
                "samples to ask about is n_instances."
            )
        check_option("uncertainty", self.uncertainty, UNCERTAINTIES)
        for name in ("sharpness", "balance"):
            check_number(name, getattr(self, name), closed="left")
        width = self.kernel_width
        check_number("kernel_width", width, closed="neither", also=("auto",))
        check_integer("max_candidates", self.max_candidates, 1, also=("auto", None))
        check_integer("block_size", self.block_size, 1, also=("auto",))


def _sample_rows(n_pool, rng):
    """Return positions of a uniform sample of the pool; None for all of it."""
    if n_pool <= _SAMPLE:
        return None
    return np.sort(rng.choice(n_pool, size=_SAMPLE, replace=False))


def _check_probas(proba, prior_proba, n_pool, n_classes):
    """Check shapes; values are checked block by block."""
    checked = []
    for given, name in ((proba, "proba"), (prior_proba, "prior_proba")):
        if given is not None:
            given = given if hasattr(given, "shape") else check_numbers(given, name)
            if n_rows(given) != n_pool:
                raise ValueError(
                    f"{name} has {n_rows(given)} rows for {n_pool} samples."
                )
            check_proba(given[:1], n_classes=n_classes, name=name)
            n_classes = given.shape[1]
        checked.append(given)
    return checked
