"""What the neighbours of a sample say of it, and how far they are believed."""

from dataclasses import dataclass

import numpy as np
from scipy.special import softmax

from cofm_sklearn.noise.estimate import centre_logits, scale_of
from cofm_sklearn.pool import NeighborGraph
from cofm_sklearn.pool.graph import join_rows, kernel_affinity, morans_i, spread

__all__ = ["NeighborVoice", "fit_neighbors"]

# What a sample without label starts from, in parts of a label.
_UNLABELLED = 0.1
# The neighbours' weight grows from 0 to the most between these values of Moran's I.
_MOST, _UNLIKE, _ALIKE = 0.5, 0.55, 0.8
# A labelled sample this near to a node is that node.
_SAME = 1e-3


@dataclass(frozen=True)
class NeighborVoice:
    """Labels and co-decision, as they have spread over the pool.

    Attributes
    ----------
    graph : NeighborGraph
        The fitted graph.

    spread : ndarray of shape (n_nodes, n_classes), dtype float32
        What has reached each node.

    root_degree : ndarray of shape (n_nodes,)
        As `cofm_sklearn.pool.graph.spread` returns them.

    mass, reached : ndarray of shape (n_classes,)
        Sum of each class over the seeds, and over what they became.

    weight : float
        Weight of the neighbours against the co-decision, 0 to 0.5.

    scale : float
        What the neighbours' centred logits are multiplied by, to be as far apart as
        those of the co-decision.
    """

    graph: NeighborGraph
    spread: np.ndarray
    root_degree: np.ndarray
    mass: np.ndarray
    reached: np.ndarray
    weight: float
    scale: float

    def proba(self, X, proba):
        """Return what the neighbours say of samples.

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
        affinity = self.graph.affinity_to(X)
        degree = np.asarray(affinity.sum(axis=1)).ravel()
        root = np.sqrt(np.where(degree > 0, degree, 1.0))[:, None]
        alpha = self.graph.alpha
        around = affinity @ (self.spread / self.root_degree[:, None]) / root
        own = _UNLABELLED * proba / self.mass
        return _by_class(alpha * around + (1 - alpha) * own, self.reached)

    def fuse(self, X, proba):
        """Return the co-decision of prior, small model and neighbours."""
        if not self.weight:
            return proba
        logits = self.weight * self.scale * centre_logits(self.proba(X, proba))
        return softmax(logits + (1 - self.weight) * centre_logits(proba), axis=1)


def fit_neighbors(graph, proba, X, codes, quality):
    """Spread labels and co-decision over the pool.

    A labelled node starts from its label, as far as that is likely to be right; any
    other from a small part of the co-decision. All classes start with the same mass,
    in line with a balanced small model. Labelled samples that are not in the graph
    are joined to their neighbours for this once.

    How much the neighbours' word counts is read from the pool. Where neighbours do
    not share classes, the co-decision, which knows the labels, differs between them,
    and Moran's I of its logits is low. Labels themselves could not tell: each was
    chosen far from the others, so that taking it away leaves its neighbourhood empty.

    Parameters
    ----------
    graph : NeighborGraph
        Fitted.

    proba : ndarray of shape (n_nodes, n_classes)
        The co-decision on its samples.

    X : array-like of length n_labeled
        Labelled samples.

    codes : ndarray of shape (n_labeled,), dtype int
        Their labels, as positions of columns.

    quality : ndarray of shape (n_labeled,)
        What each label counts, 0 or more.

    Returns
    -------
    NeighborVoice

    References
    ----------
    Zhou, D. et al. (2004). Learning with Local and Global Consistency. NIPS 16.
    (spreading; that all classes start alike is their class mass normalisation, after
    Zhu, X., Ghahramani, Z., Lafferty, J. (2003), ICML)
    """
    n_nodes = len(proba)
    distances, indices = graph.kneighbors(X)
    away = np.flatnonzero(distances[:, 0] > _SAME)
    rows = kernel_affinity(distances[away], indices[away], graph.scale_, n_nodes)
    node = indices[:, 0].copy()
    node[away] = n_nodes + np.arange(len(away))
    seeds = np.zeros((n_nodes + len(away), proba.shape[1]), dtype=np.float32)
    seeds[:n_nodes] = _UNLABELLED * proba
    seeds[node[quality > 0]] = 0.0
    np.add.at(seeds, (node, codes), quality)
    mass = np.maximum(seeds.sum(axis=0, dtype=np.float64), 1e-12)
    result, root = spread(join_rows(graph.affinity_, rows), seeds / mass, graph.alpha)
    result, root = result[:n_nodes], root[:n_nodes]
    reached = np.maximum(result.sum(axis=0, dtype=np.float64), 1e-12)
    logits = centre_logits(proba)
    alike = morans_i(graph.neighbors_, logits)
    share = np.clip((alike - _UNLIKE) / (_ALIKE - _UNLIKE), 0, 1)
    scale = scale_of(logits) / scale_of(centre_logits(_by_class(result, reached)))
    return NeighborVoice(
        graph=graph,
        spread=result,
        root_degree=root,
        mass=mass,
        reached=reached,
        weight=float(_MOST * share),
        scale=scale,
    )


def _by_class(spread, reached):
    """Probabilities from what has reached each sample; equal ones where nothing has."""
    share = spread / reached + 1e-300
    return share / share.sum(axis=1, keepdims=True)
