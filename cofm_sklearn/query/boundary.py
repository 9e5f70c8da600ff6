"""Query strategies along class boundaries: GALAXY and DIRECT.

Both rank all samples, labelled or not, once per class and search for the point in the
ranking where the class ends. The functions use only ranks and observed labels.
"""

import heapq

import numpy as np

from cofm_sklearn.query.base import BaseQueryStrategy
from cofm_sklearn.utils.labels import encode_labels
from cofm_sklearn.utils.validation import check_integer

__all__ = [
    "ClassRankings",
    "DirectQuery",
    "GalaxyQuery",
    "best_threshold",
    "direct_picks",
    "galaxy_picks",
    "threshold_interval",
]


class _RankingQuery(BaseQueryStrategy):
    """Base class of strategies that rank labelled and pool samples."""

    _embeds = False

    def _select(self, view, n_instances, rng):
        n_pool = view.X_pool.shape[0]
        if view.proba is None or view.proba_labeled is None or len(view.classes) < 2:
            picked = rng.choice(n_pool, size=n_instances, replace=False)
        else:
            n_labeled = len(view.y_labeled)
            labels = np.full(n_labeled + n_pool, -1)
            labels[:n_labeled] = encode_labels(view.y_labeled, view.classes)
            proba = np.concatenate([view.proba_labeled, view.proba])
            picked = self._pick(proba, labels, n_instances, rng) - n_labeled
        utilities = np.full(n_pool, np.nan)
        utilities[picked] = np.arange(n_instances, 0, -1)
        return picked, utilities


class GalaxyQuery(_RankingQuery):
    """Bisect the shortest gaps between classes, then query around the cuts (GALAXY).

    For each class, samples are ranked by how likely they belong to it. A cut lies
    between two neighbouring labelled samples of which only one is of the class; the
    unlabelled samples between them form a gap. The sample in the middle of the shortest
    gap over all classes is queried; once all gaps are closed, the samples closest to a
    cut. Small classes have short gaps, which balances the labels. Every label is
    trusted, so wrong labels open gaps of their own.

    Parameters
    ----------
    n_instances : int, default=1
        Samples per query, unless given in the call.

    random_state : int, RandomState or None, default=None
        Seed. Each call combines it with the number of labels.

    See Also
    --------
    DirectQuery : The same idea, robust to wrong labels.

    Notes
    -----
    The published algorithm reads each label before it chooses the next sample. In a
    batch, the label is not known yet, so a picked sample splits its gap into two, which
    wait until every gap between observed labels has been bisected. With
    ``n_instances=1``, both are the same. The authors' code reads the labels of the
    whole data set while choosing, draws the class whose gap is bisected at random
    instead of taking the shortest gap of all, and queries only around inverted cuts (a
    sample of the class ranked just below one of another class) and at random elsewhere;
    this implementation queries around all cuts.

    Without labels, or with labels of one class only, samples are drawn at random. A
    call takes ``O(n_seen * n log n)`` for n samples and n_seen classes with labels.

    References
    ----------
    Zhang, J., Katz-Samuels, J., Nowak, R. (2022). GALAXY: Graph-based Active Learning
    at the Extreme. ICML.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import GalaxyQuery
    >>> from cofm_sklearn.simulation import ActiveLearningClassifier
    >>> X = np.random.RandomState(0).normal(size=(200, 2))
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), GalaxyQuery(), n_initial=10, n_instances=5,
    ...     budget=20, random_state=0).fit(X, X[:, 0] > 1)
    >>> loop.learning_curve_["n_labels"].tolist()
    [10, 15, 20]
    """

    def __init__(self, n_instances=1, *, random_state=None):
        self.n_instances = n_instances
        self.random_state = random_state

    def _pick(self, proba, labels, n_instances, rng):
        return galaxy_picks(proba, labels, n_instances, rng)


class DirectQuery(_RankingQuery):
    """Find the boundary of each class despite wrong labels, and query there (DIRECT).

    For each class, samples are ranked by how likely they belong to it; the class ends
    at the threshold with the fewest labels on the wrong side. Half of a batch is drawn
    from the interval of possible thresholds, for the rarest classes first; the other
    half is closest to the thresholds found so far, again rarest classes first.
    Thresholds depend on all labels, so a few wrong ones hardly move them.

    Parameters
    ----------
    n_instances : int, default=1
        Samples per query, unless given in the call.

    min_per_class : int, default=3
        Samples per class in the first half of a batch, at least 1. If it is too small
        for all classes, the rarest get theirs.

    random_state : int, RandomState or None, default=None
        Seed. Each call combines it with the number of labels.

    See Also
    --------
    GalaxyQuery : Its predecessor, which trusts every label.

    Notes
    -----
    The published algorithm reads labels several times within a batch and narrows the
    interval each time by the same factor, ``d ** (1 / n_rounds)`` for d unlabelled
    samples in it. Here every batch is one such round, and the number of rounds is
    inferred from the labels inside the interval, so that a call depends only on
    probabilities and observed labels. The authors' code reads the labels of the whole
    data set while choosing, serves all classes regardless of the minimum per class, and
    visits classes in random order in the second half.

    Without labels, or with labels of one class only, samples are drawn at random. A
    call takes ``O(min(n_classes, n_instances) * n log n)`` for n samples.

    References
    ----------
    Nuggehalli, S., Zhang, J., Jain, L., Nowak, R. (2025). Improved Algorithm for Deep
    Active Learning under Imbalance via Optimal Separation. ICML. (DIRECT)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from cofm_sklearn.query import DirectQuery
    >>> from cofm_sklearn.simulation import ActiveLearningClassifier
    >>> X = np.random.RandomState(0).normal(size=(200, 2))
    >>> loop = ActiveLearningClassifier(
    ...     LogisticRegression(), DirectQuery(), n_initial=10, n_instances=5,
    ...     budget=20, random_state=0).fit(X, X[:, 0] > 1)
    >>> loop.learning_curve_["n_labels"].tolist()
    [10, 15, 20]
    """

    def __init__(self, n_instances=1, *, min_per_class=3, random_state=None):
        self.n_instances = n_instances
        self.min_per_class = min_per_class
        self.random_state = random_state

    def _pick(self, proba, labels, n_instances, rng):
        check_integer("min_per_class", self.min_per_class, 1)
        return direct_picks(
            proba, labels, n_instances, rng, min_per_class=self.min_per_class
        )


class ClassRankings:
    """Rank samples by how likely they belong to a class, one class at a time.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.query.boundary import ClassRankings
    >>> rankings = ClassRankings(np.array([[0.9, 0.1], [0.4, 0.6], [0.6, 0.4]]))
    >>> rankings[0], len(rankings)
    (array([0, 2, 1]), 2)
    """

    def __init__(self, proba):
        self._proba = proba
        self._top = proba.max(axis=1)

    def __len__(self):
        return self._proba.shape[1]

    def __getitem__(self, k):
        """Order samples by the gap of class k to their highest probability.

        Samples predicted as k come first, the most certain one at the top.
        """
        proba = self._proba[:, k]
        below = self._top - proba
        order = np.argsort(below, kind="stable")
        # Ties are rare except among those predicted as k, so one sort key suffices.
        ranked = below[order]
        edges = np.flatnonzero(np.diff(ranked)) + 1
        starts, stops = np.r_[0, edges], np.r_[edges, len(order)]
        for i in np.flatnonzero(stops - starts > 1):
            equal = order[starts[i] : stops[i]]
            order[starts[i] : stops[i]] = equal[
                np.argsort(-proba[equal], kind="stable")
            ]
        return order


def galaxy_picks(proba, labels, n_instances, rng):
    """Select samples with GALAXY, from observed labels.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities of labelled and unlabelled samples.

    labels : ndarray of shape (n_samples,), dtype int
        Observed class, or -1 without a label.

    n_instances : int
        Number of samples, at most that of unlabelled samples.

    rng : RandomState
        Breaks ties.

    Returns
    -------
    ndarray of shape (n_instances,), dtype int64
        Unlabelled samples in query order.
    """
    rankings = ClassRankings(proba)
    gaps, orders, cuts = [], {}, {}
    # A class without labels has no boundary. With two classes, the second ranking is
    # the reverse of the first.
    known = np.unique(labels[labels >= 0])
    for k in known if len(rankings) > 2 else range(1):
        order = rankings[k].astype(np.int32)
        seen = np.flatnonzero(labels[order] >= 0)
        is_k = labels[order[seen]] == k
        left = np.flatnonzero(is_k[:-1] != is_k[1:])
        if not len(left):
            continue
        orders[k], cuts[k] = order, (seen[left] + seen[left + 1]) / 2
        for lo, hi in zip(seen[left], seen[left + 1]):
            if hi - lo > 1:
                gaps.append((0, hi - lo, rng.uniform(), k, lo, hi))
    heapq.heapify(gaps)
    chosen: dict[int, None] = {}
    while gaps and len(chosen) < n_instances:
        level, _, _, k, lo, hi = heapq.heappop(gaps)
        middle = (lo + hi) // 2
        chosen[int(orders[k][middle])] = None
        for a, b in ((lo, middle), (middle, hi)):
            if b - a > 1:
                heapq.heappush(gaps, (level + 1, b - a, rng.uniform(), k, a, b))
    open_ = np.setdiff1d(np.flatnonzero(labels < 0), list(chosen))
    distance = _distance_to_cuts(orders, cuts, len(labels))[open_]
    nearest = open_[np.lexsort((rng.uniform(size=len(open_)), distance))]
    picks = [*chosen, *nearest.tolist()][:n_instances]
    return np.array(picks, dtype=np.int64)


def direct_picks(proba, labels, n_instances, rng, *, min_per_class=3):
    """Select samples with DIRECT, from observed labels.

    Parameters
    ----------
    proba : ndarray of shape (n_samples, n_classes)
        Class probabilities of labelled and unlabelled samples.

    labels : ndarray of shape (n_samples,), dtype int
        Observed class, or -1 without a label.

    n_instances : int
        Number of samples, at most that of unlabelled samples.

    rng : RandomState
        Draws from the intervals and breaks ties.

    min_per_class : int, default=3
        Samples per class in the first half.

    Returns
    -------
    ndarray of shape (n_instances,), dtype int64
        Unlabelled samples in query order.
    """
    rankings = ClassRankings(proba)
    n_classes = len(rankings)
    counts = np.bincount(labels[labels >= 0], minlength=n_classes)
    rarest = np.lexsort((rng.uniform(size=n_classes), counts))
    is_open = labels < 0
    chosen = []

    def take(nodes):
        chosen.extend(nodes)
        is_open[nodes] = False

    half = n_instances // 2
    served = rarest[: np.clip(half // min_per_class, 1, n_classes)]
    for k, share in zip(served, _shares(half, len(served))):
        order = rankings[k]
        signs = _signs(order, labels, k)
        low, high = threshold_interval(signs, max(share, 1), rng)
        inside = order[low : high + 1]
        inside = inside[is_open[inside]]
        take(rng.permutation(inside)[:share].tolist())
    rest = n_instances - len(chosen)
    for k, share in zip(rarest[:rest], _shares(rest, n_classes)):
        order = rankings[k]
        cut = best_threshold(_signs(order, labels, k)) - 0.5
        open_ = np.flatnonzero(is_open[order])
        nearest = np.argsort(np.abs(open_ - cut), kind="stable")[:share]
        take(order[open_[nearest]].tolist())
    return np.array(chosen, dtype=np.int64)


def best_threshold(signs):
    """Find the threshold that most labels agree with.

    Parameters
    ----------
    signs : ndarray of shape (n_samples,), dtype int
        In ranking order: 1 for a label of the class, -1 for another label, 0 for none.

    Returns
    -------
    int
        Number of samples on the side of the class, 0 to n_samples. Among equally good
        thresholds, the middle one; 0 as long as no label is of the class.
    """
    if not (signs > 0).any():
        return 0  # where a first member is most likely
    agreement = np.concatenate([[0], np.cumsum(signs)])
    ties = np.flatnonzero(agreement == agreement.max())
    return int(ties[len(ties) // 2])


def threshold_interval(signs, n_per_round, rng):
    """Find the part of a ranking that contains the threshold.

    It starts where labels begin to contradict each other, seen from the outside. Labels
    inside it come from earlier queries; each `n_per_round` of them narrow it further,
    at the end where the threshold agrees with fewer labels.

    Parameters
    ----------
    signs : ndarray of shape (n_samples,), dtype int
        As in `best_threshold`.

    n_per_round : int
        Number of labels that count as one round, at least 1.

    rng : RandomState
        Breaks ties.

    Returns
    -------
    low, high : int
        First and last position, both included.
    """
    positive, negative = np.flatnonzero(signs > 0), np.flatnonzero(signs < 0)
    first_negative = negative.min(initial=len(signs))
    last_positive = positive.max(initial=-1)
    low = int(positive[positive < first_negative].max(initial=0))
    high = int(negative[negative > last_positive].min(initial=len(signs) - 1))
    n_rounds = np.count_nonzero(signs[low + 1 : high]) / n_per_round
    n_open = np.count_nonzero(signs[low : high + 1] == 0)
    target = int(np.ceil(n_open ** (1 / (1 + n_rounds))))
    agreement = np.cumsum(signs)
    while n_open > target:
        gain = agreement[low] - agreement[high]
        if gain < 0 or (gain == 0 and rng.uniform() < 0.5):
            n_open -= signs[low] == 0
            low += 1
        else:
            n_open -= signs[high] == 0
            high -= 1
    return low, high


def _signs(order, labels, k):
    """Return 1, -1 or 0 in ranking order: the class, another one, no label."""
    ranked = labels[order]
    return np.where(ranked < 0, 0, np.where(ranked == k, 1, -1))


def _shares(total, n):
    """Split a total into n nearly equal parts, the larger ones first."""
    return [total // n + (i < total % n) for i in range(n)]


def _distance_to_cuts(orders, cuts, n_samples):
    """Return each sample's distance to the nearest cut in any ranking, in ranks."""
    distance = np.full(n_samples, np.inf)
    positions = np.arange(n_samples)
    for k, places in cuts.items():
        right = np.searchsorted(places, positions).clip(0, len(places) - 1)
        left = (right - 1).clip(0)
        near = np.minimum(
            np.abs(places[right] - positions), np.abs(places[left] - positions)
        )
        distance[orders[k]] = np.minimum(distance[orders[k]], near)
    return distance
