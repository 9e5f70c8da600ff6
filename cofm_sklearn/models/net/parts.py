"""Modules, losses and data loaders for skorch.

Functions instead of classes, so that this module can be imported without torch.
"""

from functools import partial

import numpy as np

__all__ = [
    "LOSSES",
    "MODULES",
    "batches",
    "conv_net",
    "linear_head",
    "mlp_head",
]


def linear_head(n_inputs, n_outputs):
    """Build a linear layer that starts with equal logits.

    Parameters
    ----------
    n_inputs : int
        Number of features.

    n_outputs : int
        Number of classes.

    Returns
    -------
    torch.nn.Module
        From ``(n, n_inputs)`` to logits ``(n, n_outputs)``.
    """
    from torch import nn

    layer = nn.Linear(n_inputs, n_outputs)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def mlp_head(n_inputs, n_outputs, hidden=(64,), dropout=0.0):
    """Build a multi-layer perceptron with ReLU activations.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Number of features and of classes.

    hidden : sequence of int or int, default=(64,)
        Width of each hidden layer.

    dropout : float, default=0.0
        Dropout rate of hidden units, at least 0 and below 1.

    Returns
    -------
    torch.nn.Module
        From ``(n, n_inputs)`` to logits ``(n, n_outputs)``.
    """
    from torch import nn

    layers = []
    for width in np.atleast_1d(np.asarray(hidden, dtype=int)).tolist():
        layers += [nn.Linear(n_inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        n_inputs = width
    return nn.Sequential(*layers, nn.Linear(n_inputs, n_outputs))


def conv_net(n_inputs, n_outputs, channels=(32, 64), dropout=0.0):
    """Build a convolutional net: halving blocks, mean pooling, a linear layer.

    Group norm, since the batches of the first rounds are too small for batch norm.

    Parameters
    ----------
    n_inputs : tuple of int
        Channels, height and width of the images.

    n_outputs : int
        Number of classes.

    channels : sequence of int or int, default=(32, 64)
        Width of each block.

    dropout : float, default=0.0
        Dropout rate of the pooled features.

    Returns
    -------
    torch.nn.Module
        From ``(n, channels, height, width)`` to logits ``(n, n_outputs)``.
    """
    from torch import nn

    depth, height, width = n_inputs
    layers = []
    for features in np.atleast_1d(np.asarray(channels, dtype=int)).tolist():
        layers += [
            nn.Conv2d(depth, features, kernel_size=3, padding=1),
            nn.GroupNorm(int(np.gcd(8, features)), features),
            nn.ReLU(),
        ]
        if min(height, width) > 1:
            layers.append(nn.MaxPool2d(2))
            height, width = height // 2, width // 2
        depth = features
    pool = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout)]
    return nn.Sequential(*layers, *pool, nn.Linear(depth, n_outputs))


MODULES = {"linear": linear_head, "mlp": mlp_head, "conv": conv_net}


def cross_entropy():
    """Return the cross entropy of logits and weighted class shares."""
    return _cross_entropy


def generalized_cross_entropy(q=0.7):
    """Return the loss (1 - p^q) / q: cross entropy for q -> 0, absolute error for 1."""
    if not 0 < q <= 1:
        raise ValueError(f"criterion__q must be above 0 and at most 1, got {q!r}.")
    return partial(_generalized_cross_entropy, q=q)


def focal(gamma=2.0):
    """Return cross entropy times (1 - p)^gamma, which down-weights easy samples."""
    if gamma < 0:
        raise ValueError(f"criterion__gamma must be 0 or more, got {gamma!r}.")
    return partial(_focal, gamma=gamma)


LOSSES = {
    "cross_entropy": cross_entropy,
    "gce": generalized_cross_entropy,
    "focal": focal,
}


def _cross_entropy(logits, targets):
    return -(targets * logits.log_softmax(-1)).sum(-1).mean()


def _generalized_cross_entropy(logits, targets, q):
    p_to_q = (q * logits.log_softmax(-1)).exp()
    return (targets * (1 - p_to_q) / q).sum(-1).mean()


def _focal(logits, targets, gamma):
    log_p = logits.log_softmax(-1)
    # -expm1(log p) is 1 - p; its power has no finite slope at exactly 0.
    easy = (-log_p.expm1()).clamp_min(1e-6) ** gamma
    return -(targets * easy * log_p).sum(-1).mean()


def batches(dataset, batch_size, shuffle=False, **settings):
    """Make a DataLoader that fetches each batch with a single indexing operation.

    Parameters
    ----------
    dataset : torch.utils.data.Dataset
        A dataset that accepts lists of positions.

    batch_size : int
        Rows per batch.

    shuffle : bool, default=False
        Whether to shuffle each epoch.

    **settings
        Further arguments of the DataLoader.

    Returns
    -------
    torch.utils.data.DataLoader
        The loader.
    """
    from torch import Generator
    from torch.utils import data

    if not shuffle:
        # A loader always draws a seed; predictions leave torch's global state alone.
        settings.setdefault("generator", Generator())
    order = data.RandomSampler if shuffle else data.SequentialSampler
    sampler = data.BatchSampler(order(dataset), batch_size, drop_last=False)
    return data.DataLoader(dataset, sampler=sampler, batch_size=None, **settings)
