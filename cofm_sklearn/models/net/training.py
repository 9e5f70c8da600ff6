"""Build and train the skorch net behind a `NetClassifier`."""

from contextlib import contextmanager
from copy import deepcopy
from threading import RLock

import numpy as np

from cofm_sklearn.models.net.parts import LOSSES, MODULES, batches
from cofm_sklearn.utils.validation import check_integer, check_number

__all__ = [
    "PREFIXES",
    "check_parameters",
    "few_threads",
    "is_setting",
    "make_net",
    "seeded",
    "train",
]

# What skorch hands on to its parts.
PREFIXES = (
    "module",
    "criterion",
    "optimizer",
    "iterator_train",
    "iterator_valid",
    "callbacks",
)
# The random state of torch is one per process, so nets in threads take turns.
_TORCH_SEED = RLock()
# Up to here, more threads cost more than they give: with 400 rows of 384 features and
# busy cores, two threads took 100 times as long as one.
_ONE_THREAD_VALUES = 20_000_000


def is_setting(name):
    """Tell whether a parameter name is one of a part of the net."""
    prefix, _, rest = name.partition("__")
    return prefix in PREFIXES and bool(rest)


def check_parameters(params):
    """Check the parameters of a `NetClassifier` that need no data.

    Parameters
    ----------
    params : dict
        Of `get_params`.

    Raises
    ------
    ValueError
        If one is out of range; it is named.
    """
    for name, known in (("module", MODULES), ("criterion", LOSSES)):
        value = params[name]
        if not callable(value) and value not in list(known):
            raise ValueError(
                f"{name} must be callable or one of {', '.join(map(repr, known))}; "
                f"got {value!r}."
            )
    for name in ("max_epochs", "batch_size", "n_iter_no_change"):
        check_integer(name, params[name], 1)
    for name, high, closed in (
        ("label_smoothing", 1, "left"),
        ("lr", np.inf, "neither"),
        ("validation_fraction", 1, "neither"),
        ("tol", np.inf, "left"),
    ):
        check_number(name, params[name], 0, high, closed=closed)


def make_net(params, shape, n_classes, device, monitor=None):
    """Build a skorch net and initialise its weights.

    Parameters
    ----------
    params : dict
        Of `NetClassifier.get_params`.

    shape : tuple of int
        Of one sample.

    n_classes : int
        Outputs.

    device : str
        Device of torch.

    monitor : {"valid_loss", "train_loss"} or None, default=None
        What early stopping watches; None does not stop early.

    Returns
    -------
    skorch.NeuralNet
        Initialised.
    """
    from skorch import NeuralNet
    from skorch.callbacks import EarlyStopping

    module, criterion = params["module"], params["criterion"]
    callbacks = deepcopy(list(params["callbacks"] or []))
    if monitor is not None:
        stopping = EarlyStopping(
            monitor,
            patience=params["n_iter_no_change"],
            threshold=params["tol"],
            threshold_mode="abs",
            sink=_say_nothing,
            load_best=True,
        )
        callbacks.append(("early_stopping", stopping))
    settings = {
        "iterator_train__shuffle": True,
        "iterator_valid__batch_size": 1024,
        "module__n_inputs": shape[0] if len(shape) == 1 else tuple(shape),
        "module__n_outputs": n_classes,
    }
    settings.update({name: params[name] for name in params if is_setting(name)})
    net = NeuralNet(
        MODULES[module] if isinstance(module, str) else module,
        LOSSES[criterion] if isinstance(criterion, str) else criterion,
        optimizer=_find_optimizer(params["optimizer"]),
        lr=params["lr"],
        max_epochs=params["max_epochs"],
        batch_size=params["batch_size"],
        iterator_train=batches,
        iterator_valid=batches,
        train_split=None,
        callbacks=callbacks,
        predict_nonlinearity=_softmax,
        verbose=params["verbose"],
        device=device,
        **settings,
    )
    return net.initialize()


def train(net, X, targets, split=None):
    """Train an initialised net.

    Parameters
    ----------
    net : skorch.NeuralNet
        Is changed.

    X : ndarray of shape (n_samples, ...), dtype float32
        Samples.

    targets : ndarray of shape (n_samples, n_classes), dtype float32
        Of `soft_targets`.

    split : tuple of (train, valid) or None, default=None
        Positions to train on, and to hold out.
    """
    from skorch.helper import predefined_split
    from torch import as_tensor
    from torch.utils.data import TensorDataset

    def dataset(rows):
        # skorch would look at each row of a batch.
        return TensorDataset(as_tensor(X[rows]), as_tensor(targets[rows]))

    rows, valid = (slice(None), None) if split is None else split
    if valid is not None:
        net.train_split = predefined_split(dataset(valid))
    net.partial_fit(dataset(rows))
    # The held-out samples shall not travel with the net.
    net.train_split = None


@contextmanager
def seeded(seed, device):
    """Seed torch for a while; its random state is put back afterwards.

    Parameters
    ----------
    seed : int
        Seed of the default generators of the CPU and of `device`.

    device : str or torch.device
        Where the net is trained.
    """
    import torch

    kind = torch.device(device).type
    devices = [] if kind == "cpu" else [torch.device(device).index or 0]
    with (
        _TORCH_SEED,
        torch.random.fork_rng(devices, device_type="cuda" if kind == "cpu" else kind),
        # the fastest convolution is chosen by the clock, and may differ every time
        torch.backends.cudnn.flags(deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield


@contextmanager
def few_threads(X, device):
    """Let torch use one CPU thread while the data are small.

    Parameters
    ----------
    X : ndarray
        What the net sees; images are never small.

    device : str
        Anything but the CPU is left alone.
    """
    import torch

    before = torch.get_num_threads()
    small = X.ndim == 2 and X.size <= _ONE_THREAD_VALUES and str(device) == "cpu"
    try:
        torch.set_num_threads(1 if small else before)
        yield
    finally:
        torch.set_num_threads(before)


def _find_optimizer(optimizer):
    import torch

    if not isinstance(optimizer, str):
        return optimizer
    found = getattr(torch.optim, optimizer, None)
    if not isinstance(found, type):
        raise ValueError(
            f"optimizer={optimizer!r} is no class in torch.optim; take for example "
            '"AdamW" or "SGD".'
        )
    return found


def _softmax(logits):
    return logits.softmax(-1)


def _say_nothing(_):
    """Where skorch's early stopping sends its message."""
