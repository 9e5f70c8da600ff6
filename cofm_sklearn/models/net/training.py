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

# Prefixes of settings that skorch passes on.
PREFIXES = (
    "module",
    "criterion",
    "optimizer",
    "iterator_train",
    "iterator_valid",
    "callbacks",
)
# torch has one random state per process, so only one thread trains at a time.
_TORCH_SEED = RLock()
# Below this size, more threads are slower: with 400 rows of 384 features and busy
# cores, two threads took 100 times as long as one.
_ONE_THREAD_VALUES = 20_000_000
# On embeddings, the CPU trains nets of fewer weights faster than an H100 does
# (benchmarks/gpu.py): the batches are small.
_FEW = 100_000


def is_setting(name):
    """Tell whether a parameter name is a setting of a part of the net."""
    prefix, _, rest = name.partition("__")
    return prefix in PREFIXES and bool(rest)


def check_parameters(params):
    """Check the parameters of a `NetClassifier` that need no data.

    Parameters
    ----------
    params : dict
        Result of `get_params`.

    Raises
    ------
    ValueError
        If a parameter is out of range.
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
        Result of `NetClassifier.get_params`.

    shape : tuple of int
        Shape of one sample.

    n_classes : int
        Number of outputs.

    device : str
        A torch device. If `params` say "auto", small nets stay on the CPU.

    monitor : {"valid_loss", "train_loss"} or None, default=None
        The loss that early stopping monitors; None disables early stopping.

    Returns
    -------
    skorch.NeuralNet
        The initialised net.
    """
    from skorch import NeuralNet
    from skorch.callbacks import EarlyStopping
    from torch.nn.parameter import is_lazy

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
    may_stay = params["device"] == "auto" and device != "cpu" and len(shape) == 1
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
        device="cpu" if may_stay else device,
        **settings,
    ).initialize()
    if may_stay:
        weights = net.module_.parameters()
        if sum(w.numel() for w in weights if not is_lazy(w)) > _FEW:
            net.set_params(device=device).initialize()
    return net


def train(net, X, targets, split=None):
    """Train an initialised net.

    Parameters
    ----------
    net : skorch.NeuralNet
        Trained in place.

    X : ndarray of shape (n_samples, ...), dtype float32
        Samples.

    targets : ndarray of shape (n_samples, n_classes), dtype float32
        Result of `soft_targets`.

    split : tuple of (train, valid) or None, default=None
        Positions to train on and to hold out.
    """
    from skorch.helper import predefined_split
    from torch import as_tensor
    from torch.utils.data import TensorDataset

    def dataset(rows):
        # Skip skorch's access to each row of a batch.
        return TensorDataset(as_tensor(X[rows]), as_tensor(targets[rows]))

    rows, valid = (slice(None), None) if split is None else split
    if valid is not None:
        net.train_split = predefined_split(dataset(valid))
    net.partial_fit(dataset(rows))
    # Do not pickle the held-out samples with the net.
    net.train_split = None


@contextmanager
def seeded(seed, device):
    """Seed torch within a context, and restore its random state afterwards.

    Parameters
    ----------
    seed : int
        Seed of the default generators of the CPU and of `device`.

    device : str or torch.device
        The device of the net.
    """
    import torch

    kind = torch.device(device).type
    devices = [] if kind == "cpu" else [torch.device(device).index or 0]
    with (
        _TORCH_SEED,
        torch.random.fork_rng(devices, device_type="cuda" if kind == "cpu" else kind),
        # cuDNN benchmarking picks the fastest convolution, so results may vary
        torch.backends.cudnn.flags(deterministic=True, benchmark=False),
    ):
        torch.manual_seed(seed)
        yield


@contextmanager
def few_threads(X, device):
    """Limit torch to one CPU thread while the data are small.

    Parameters
    ----------
    X : ndarray
        Input of the net; images never count as small.

    device : str
        The limit applies on the CPU only.
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
            f"optimizer={optimizer!r} is not a class in torch.optim; use for "
            'example "AdamW" or "SGD".'
        )
    return found


def _softmax(logits):
    return logits.softmax(-1)


def _say_nothing(_):
    """Discard the message of skorch's early stopping."""
