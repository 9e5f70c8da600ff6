"""Class probabilities from the neighbours of a sample, and their weight."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from cofm_sklearn.noise.estimate import centre_logits, scale_of
from cofm_sklearn.pool import NeighborGraph
from cofm_sklearn.pool.graph import (
    join_rows,
    kernel_affinity,
    morans_i,
    nearest_by_class,
    spread,
)
from cofm_sklearn.utils.validation import take_rows

__all__ = ["NeighborVoice", "fit_neighbors"]

# Initial mass of an unlabelled sample, relative to a label.
_UNLABELLED = 0.1
# Weight of the neighbours; Moran's I at which it starts to grow, and is full.
_WEIGHT, _NOTHING, _SOMETHING = 0.5, 0.2, 0.4
# Attention to classes; Moran's I at which it is full, and at which it is 0.
_ATTENTION, _UNLIKE, _ALIKE = 0.5, 0.7, 0.85
# A labelled sample this close to a node counts as that node.
_SAME = 1e-3


@dataclass(frozen=True)
class NeighborVoice:
    """Labels and co-decision, spread over the pool.

    Attributes
    ----------
    graph : NeighborGraph
        The fitted graph.

    node_proba : ndarray of shape (n_nodes, n_classes), dtype float32
        The co-decision on the samples of the graph.

    sent : ndarray of shape (n_nodes, n_classes), dtype float32
        What has reached each node, divided by the root of its degree: its message to
        its neighbours.

    mass, reached : ndarray of shape (n_classes,)
        Sum of each class over the seeds, and over the spread values.

    attention : float
        Influence of the co-decision on the choice of neighbours.

    reach : float
        Distance at which the affinity is exp(-2).

    weight : float
        Weight of the neighbours against the co-decision, 0 to 0.5.

    scale : float
        Factor of the neighbours' centred logits that gives them the spread of the
        co-decision's.
    """

    graph: NeighborGraph
    node_proba: np.ndarray
    sent: np.ndarray
    mass: np.ndarray
    reached: np.ndarray
    attention: float
    reach: float
    weight: float
    scale: float

    def proba(self, X, proba):
        """Return the class probabilities from the neighbours.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples.

        proba : ndarray of shape (n_samples, n_classes)
            The co-decision without neighbours.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        near = _nearest(self.graph, X, proba, self.node_proba, self.attention)
        affinity = kernel_affinity(near, self.reach, len(self.sent))
        degree = np.asarray(affinity.sum(axis=1)).ravel()
        root = np.sqrt(np.where(degree > 0, degree, 1.0))[:, None]
        alpha = self.graph.alpha
        around = affinity @ self.sent / root
        own = _UNLABELLED * proba / self.mass
        return _by_class(alpha * around + (1 - alpha) * own, self.reached)

    def fuse(self, X, proba):
        """Return the co-decision of prior, small model and neighbours."""
        if not self.weight:
            return proba
        logits = self.weight * self.scale * centre_logits(self.proba(X, proba))
        return softmax(logits + (1 - self.weight) * centre_logits(proba), axis=1)


def fit_neighbors(graph, node_proba, X, proba, codes, quality):
    """Spread labels and co-decision over the pool's graph.

    A labelled node starts from its label, weighted by its quality; any other from a
    small part of the co-decision. All classes start with the same mass, consistent with
    a balanced small model. Labelled samples outside the graph are joined to their
    neighbours temporarily.

    The weight of the neighbours is learned from the pool. If they do not share classes,
    the co-decision, which knows the labels, differs between them, and Moran's I of its
    logits is low. Then neighbours are chosen among more candidates, also by class; if I
    is near 0, embeddings carry no information and the neighbours get no weight. The
    labels themselves cannot tell: each was chosen far from the others, so that leaving
    one out leaves its neighbourhood empty.

    Parameters
    ----------
    graph : NeighborGraph
        The fitted graph.

    node_proba : ndarray of shape (n_nodes, n_classes)
        The co-decision on the samples of the graph.

    X : array-like of length n_labeled
        Labelled samples.

    proba : ndarray of shape (n_labeled, n_classes)
        The co-decision on them.

    codes : ndarray of shape (n_labeled,), dtype int
        Their labels, as positions of columns.

    quality : ndarray of shape (n_labeled,)
        Weight of each label, at least 0.

    Returns
    -------
    NeighborVoice

    References
    ----------
    Zhou, D. et al. (2004). Learning with Local and Global Consistency. NIPS 16.
    (spreading; the equal class masses are the class mass normalisation of Zhu,
    X., Ghahramani, Z., Lafferty, J. (2003), ICML)
    """
    node_proba = node_proba.astype(np.float32)
    n_nodes = len(node_proba)
    logits = centre_logits(node_proba)
    alike = morans_i(graph.neighbors_, logits)
    attention = _ATTENTION * _share(_ALIKE - alike, _ALIKE - _UNLIKE)
    weight = _WEIGHT * _share(alike - _NOTHING, _SOMETHING - _NOTHING)
    near = nearest_by_class(
        (graph.candidate_distances_, graph.candidates_),
        node_proba,
        node_proba,
        attention,
        graph.n_neighbors,
    )
    # 0 if there is only one node.
    reach = (float(np.median(near[0][:, -1])) if near[0].size else 0.0) or 1.0
    affinity = kernel_affinity(near, reach, n_nodes)
    affinity = affinity.maximum(affinity.T).tocsr()
    distances, indices = graph.kneighbors(X, 1)
    node, away = indices[:, 0].copy(), np.flatnonzero(distances[:, 0] > _SAME)
    if len(away):
        found = _nearest(graph, take_rows(X, away), proba[away], node_proba, attention)
        affinity = join_rows(affinity, kernel_affinity(found, reach, n_nodes))
        node[away] = n_nodes + np.arange(len(away))
    seeds = np.zeros((n_nodes + len(away), node_proba.shape[1]), dtype=np.float32)
    seeds[:n_nodes] = _UNLABELLED * node_proba
    seeds[node[quality > 0]] = 0.0
    np.add.at(seeds, (node, codes), quality)
    mass = np.maximum(seeds.sum(axis=0, dtype=np.float64), 1e-12)
    result, root = spread(affinity, (seeds / mass).astype(np.float32), graph.alpha)
    result, root = result[:n_nodes], root[:n_nodes]
    reached = np.maximum(result.sum(axis=0, dtype=np.float64), 1e-12)
    return NeighborVoice(
        graph=graph,
        node_proba=node_proba,
        sent=result / root[:, None],
        mass=mass,
        reached=reached,
        attention=attention,
        reach=reach,
        weight=weight,
        scale=scale_of(logits) / scale_of(centre_logits(_by_class(result, reached))),
    )


def _nearest(graph, X, proba, node_proba, attention):
    """Return distances and positions of the nodes nearest to samples."""
    if not attention:
        return graph.kneighbors(X)
    candidates = graph.find_candidates(X)
    return nearest_by_class(candidates, proba, node_proba, attention, graph.n_neighbors)


def _share(part, whole):
    return float(np.clip(part / whole, 0, 1))


def _by_class(spread, reached):
    """Return probabilities from the mass that reached each sample; else equal ones."""
    share = spread / reached + 1e-300
    return share / share.sum(axis=1, keepdims=True)
