"""Small nets as ordinary scikit-learn classifiers, trained with skorch."""

from copy import copy

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import (
    check_is_fitted,
    validate_data,
)

from cofm_sklearn.models.net.data import (
    channels_first,
    class_weights,
    fit_scaling,
    soft_targets,
    stratified_split,
)
from cofm_sklearn.models.net.training import (
    PREFIXES,
    check_parameters,
    few_threads,
    is_setting,
    make_net,
    seeded,
    train,
)
from cofm_sklearn.utils.labels import check_labels, check_targets, encode_labels
from cofm_sklearn.utils.optional import import_optional, resolve_device
from cofm_sklearn.utils.validation import check_weights, set_features

__all__ = ["NetClassifier"]


class NetClassifier(ClassifierMixin, BaseEstimator):
    """A small torch net as a scikit-learn classifier.

    A linear or MLP head on embeddings, or a small convolutional net on pixels. skorch
    [1]_ does the training and gives the names: every setting of the module, the loss
    and the optimizer is a parameter, such as ``module__hidden``, ``criterion__q`` or
    ``optimizer__weight_decay``, also for `set_params` and `GridSearchCV`.

    Parameters
    ----------
    module : {"linear", "mlp", "conv"} or callable, default="mlp"
        ``"mlp"`` takes ``module__hidden=(64,)`` and ``module__dropout=0.0``; ``"conv"``
        takes images, ``module__channels=(32, 64)`` and ``module__dropout=0.0``. A
        callable, such as a torch class, gets `n_inputs` (the number of
        features; for images the tuple of channels, height and width), `n_outputs` and
        the settings ``module__*``, and returns a module that outputs logits. This is
        also how to fine-tune a pretrained image model with a new last layer.

    classes : array-like of shape (n_classes,) or None, default=None
        The full class list. Classes without labels are outputs like the others, so
        `predict_proba` has their columns from the first round on. None uses the labels
        in y.

    criterion : {"cross_entropy", "gce", "focal"} or callable, \
default="cross_entropy"
        ``"gce"``, the generalised cross entropy [2]_, tolerates wrong labels
        (``criterion__q=0.7``, above 0 to 1; larger tolerates more); ``"focal"`` [3]_
        focuses on hard samples (``criterion__gamma=2``). A callable gets the settings
        ``criterion__*`` and returns a function of logits and targets, both of shape (n,
        n_classes), such as ``torch.nn.CrossEntropyLoss``; each target row sums to the
        weight of the sample.

    class_weight : None, "balanced" or dict, default=None
        Factor of each class in the loss. ``"balanced"`` gives all classes with labels
        the same total.

    label_smoothing : float, default=0.0
        Share of each label spread over all classes, at least 0 and below 1.

    optimizer : str or callable, default="AdamW"
        Name of a class in ``torch.optim``, or the class itself.

    lr : float, default=0.01
        Learning rate, above 0.

    max_epochs : int, default=60
        Number of epochs.

    batch_size : int, default=32
        Samples per step; for prediction, see ``iterator_valid__batch_size``.

    early_stopping : bool, default=False
        Whether to stop training when the loss on held-out samples no longer falls; the
        best weights are kept. If some class is too small to hold out samples from, the
        loss on the training samples decides.

    validation_fraction : float, default=0.2
        Share of samples held out for early stopping, between 0 and 1.

    n_iter_no_change : int, default=10
        Epochs without improvement before early stopping.

    tol : float, default=0.001
        Smallest decrease of the loss that counts as an improvement.

    standardize : bool, default=True
        Whether to centre features and divide them by one number, learned in `fit`, so
        that learning rates suit embeddings of any scale without changing their
        geometry. For images, per channel.

    image_shape : tuple of int or None, default=None
        ``(height, width)`` or ``(height, width, channels)`` of images given as rows of
        a table.

    warm_start : bool, default=False
        Whether `fit` continues from the current weights if they match the data and the
        settings; the optimizer restarts. modAL's `teach` keeps the net, so training can
        continue; clones start from scratch.

    callbacks : list of skorch callbacks or None, default=None
        Further callbacks, copied before use. Named callbacks take settings
        ``callbacks__name__*``.

    device : str, default="auto"
        A torch device, or ``"auto"``: cuda, else mps, else cpu. On embeddings, nets of
        up to 100,000 weights then stay on the CPU, which trains them faster.

    verbose : int, default=0
        Above 0, skorch prints the epochs.

    random_state : int, RandomState or None, default=None
        Seed of initial weights, order of samples, dropout and held-out samples. `fit`
        restores torch's random state.

    **settings
        ``module__*``, ``criterion__*``, ``optimizer__*``, ``iterator_train__*``,
        ``iterator_valid__*``, ``callbacks__*``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The class list, sorted.

    net_ : skorch.NeuralNet
        The fitted net; `net_.history` has the losses.

    device_ : str
        The device it was trained on.

    n_iter_ : int
        Number of epochs of the last `fit`.

    monitor_ : {"valid_loss", "train_loss"} or None
        The loss that early stopping monitored.

    n_features_in_ : int
        Number of features of X; only if X is a table.

    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Column names of X, if it has any.

    Notes
    -----
    Weights are exactly equivalent to repeated samples if all samples are in one batch
    and none are held out.

    References
    ----------
    .. [1] M. Tietz et al., "skorch: A scikit-learn compatible neural network library
       that wraps PyTorch", 2017.
    .. [2] Z. Zhang and M. R. Sabuncu, "Generalized Cross Entropy Loss for Training
       Deep Neural Networks with Noisy Labels", NeurIPS 2018.
    .. [3] T.-Y. Lin et al., "Focal Loss for Dense Object Detection", ICCV 2017.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from cofm_sklearn import NetClassifier
    >>> X, y = make_blobs(60, centers=2, random_state=0)
    >>> net = NetClassifier("mlp", classes=[0, 1, 2], module__hidden=(8,),
    ...                     device="cpu", random_state=0).fit(X, y)
    >>> net.predict_proba(X).shape
    (60, 3)
    >>> net.score(X, y) > 0.9
    True
    """

    _scaling: tuple
    _shape: tuple[int, ...]

    def __init__(
        self,
        module="mlp",
        *,
        classes=None,
        criterion="cross_entropy",
        class_weight=None,
        label_smoothing=0.0,
        optimizer="AdamW",
        lr=0.01,
        max_epochs=60,
        batch_size=32,
        early_stopping=False,
        validation_fraction=0.2,
        n_iter_no_change=10,
        tol=0.001,
        standardize=True,
        image_shape=None,
        warm_start=False,
        callbacks=None,
        device="auto",
        verbose=0,
        random_state=None,
        **settings,
    ):
        self.module = module
        self.classes = classes
        self.criterion = criterion
        self.class_weight = class_weight
        self.label_smoothing = label_smoothing
        self.optimizer = optimizer
        self.lr = lr
        self.max_epochs = max_epochs
        self.batch_size = batch_size
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.tol = tol
        self.standardize = standardize
        self.image_shape = image_shape
        self.warm_start = warm_start
        self.callbacks = callbacks
        self.device = device
        self.verbose = verbose
        self.random_state = random_state
        for name, value in settings.items():
            if not is_setting(name):
                raise TypeError(
                    f"NetClassifier got an unexpected keyword argument {name!r}. "
                    f"Settings start with {', '.join(p + '__' for p in PREFIXES)}."
                )
            setattr(self, name, value)

    def get_params(self, deep=True):
        """Return all parameters, including settings such as ``module__hidden``.

        Parameters
        ----------
        deep : bool, default=True
            Whether to include parameters of nested estimators.

        Returns
        -------
        dict
            Value by name.
        """
        return {**super().get_params(deep=deep), **self._settings()}

    def set_params(self, **params):
        """Set parameters, including settings that were not given before.

        Parameters
        ----------
        **params
            Values by name.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If there is no such parameter.
        """
        settings = {name: params.pop(name) for name in [*params] if is_setting(name)}
        super().set_params(**params)
        self.__dict__.update(settings)
        return self

    def fit(self, X, y, sample_weight=None):
        """Train the net.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images of shape \
(n_samples, height, width) or (n_samples, height, width, channels)
            Embeddings or images. Images of dtype uint8 are divided by 255.

        y : array-like of shape (n_samples,)
            Labels of any type that can be sorted.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights, 0 or more; only their ratios matter.

        Returns
        -------
        self : object
            The classifier.

        Raises
        ------
        ValueError
            If a parameter is out of range, values are missing or not finite, lengths
            differ, y holds a label that is not among `classes`, all weights are 0,
            or X does not have the shape that the module needs. The classifier keeps its
            former state.

        TypeError
            If the module, the loss or the optimizer does not accept a setting.
        """
        params = self.get_params(deep=False)
        check_parameters(params)
        if y is None:
            raise ValueError(
                "NetClassifier requires y to be passed, but the target y is None."
            )
        # Learn the shape of X on a copy, as later steps may fail.
        checker = copy(self)
        X = checker._check_X(X, reset=True)
        y = check_targets(X, y)
        weight = check_weights(sample_weight, len(y))
        classes = self.classes
        classes = np.unique(y if classes is None else check_labels(classes, "classes"))
        codes = encode_labels(
            y, classes, cure="Add it to `classes`, or correct the label."
        )
        X, codes, weight = X[weight > 0], codes[weight > 0], weight[weight > 0]
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        device = resolve_device(self.device, "NetClassifier")
        import_optional("skorch", needed_by="NetClassifier")  # which imports torch
        factors = class_weights(self.class_weight, codes, classes, weight)
        scaling = fit_scaling(X, weight) if self.standardize else (0, 1)
        weight = weight * factors[codes]
        if not weight.any():
            raise ValueError("class_weight leaves no sample a weight; raise a factor.")
        targets = soft_targets(codes, len(classes), weight, self.label_smoothing)
        split, monitor = None, None
        if self.early_stopping:
            split = stratified_split(codes, self.validation_fraction, seed)
            monitor = "train_loss" if split is None else "valid_loss"
        with seeded(seed, device), few_threads(X, device):
            net = make_net(params, X.shape[1:], len(classes), device, monitor)
            device = net.device
            if self.warm_start and self._copy_weights(net, classes):
                # The weights fit only the input scale they were learned on.
                scaling = self._scaling
            train(net, _scaled(X, scaling), targets, split)
        set_features(self, checker)
        self._shape = checker._shape
        self.classes_, self.net_, self._scaling = classes, net, scaling
        self.device_, self.monitor_ = str(device), monitor
        self.n_iter_ = len(net.history)
        return self

    def predict_proba(self, X):
        """Predict class probabilities: the softmax of the net's outputs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Probabilities, columns in the order of `classes_`.

        Raises
        ------
        NotFittedError
            Before `fit`.

        ValueError
            If X is not finite, empty, or of another shape than in `fit`.
        """
        check_is_fitted(self)
        X = self._check_X(X, reset=False)
        with few_threads(X, self.device_):
            proba = self.net_.predict_proba(_scaled(X, self._scaling))
        proba = proba.astype(np.float64)
        return proba / proba.sum(axis=1, keepdims=True)

    def predict(self, X):
        """Predict the most probable class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or images
            Samples, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,)
            Labels.

        Raises
        ------
        NotFittedError, ValueError
            As in `predict_proba`.
        """
        proba = self.predict_proba(X)
        return self.classes_[proba.argmax(axis=1)]

    def _settings(self):
        return {name: value for name, value in vars(self).items() if is_setting(name)}

    def _copy_weights(self, net, classes):
        """Copy the weights of the last fit; return False if they do not match."""
        if not hasattr(self, "net_") or not np.array_equal(classes, self.classes_):
            return False
        old, new = (each.module_.state_dict() for each in (self.net_, net))
        shapes = [{k: v.shape for k, v in state.items()} for state in (old, new)]
        if shapes[0] != shapes[1]:
            return False
        net.module_.load_state_dict(old)
        return True

    def _check_X(self, X, *, reset):
        """Return rows of float32, or images with channels first."""
        if reset:
            set_features(self)
        # Other dtypes are converted to the first.
        dtype = [np.float32, np.uint8]
        if len(X.shape if hasattr(X, "shape") else np.shape(np.asarray(X))) > 2:
            X = check_array(X, allow_nd=True, dtype=dtype, input_name="X")
        else:
            X = validate_data(self, X, reset=reset, dtype=dtype)
            if self.image_shape is not None:
                X = X.reshape(len(X), *self._check_image_shape(X.shape[1]))
        wants: dict[str, tuple[int, ...]] = {
            "conv": (3, 4),
            "linear": (2,),
            "mlp": (2,),
        }
        known = wants[self.module] if isinstance(self.module, str) else (2, 3, 4)
        if X.ndim not in known:
            raise ValueError(
                f"X has {X.ndim} dimensions, which module={self.module!r} does not "
                'take. Embeddings are (n_samples, n_features); images, for "conv", are '
                "(n_samples, height, width) or (n_samples, height, width, channels), "
                "or rows of a table with image_shape."
            )
        X = channels_first(X) if X.ndim > 2 else X.astype(np.float32, copy=False)
        if reset:
            self._shape = X.shape[1:]
        elif X.shape[1:] != self._shape:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]} (channels first), but the net "
                f"was fitted with {self._shape}."
            )
        return X

    def _check_image_shape(self, n_features):
        shape = tuple(np.atleast_1d(self.image_shape).tolist())
        if len(shape) not in (2, 3) or np.prod(shape) != n_features:
            raise ValueError(
                f"image_shape={self.image_shape!r} must be (height, width) or (height, "
                f"width, channels) with as many values as X has features, {n_features}."
            )
        return shape


def _scaled(X, scaling):
    mean, scale = scaling
    return ((X - mean) / scale).astype(np.float32, copy=False)
