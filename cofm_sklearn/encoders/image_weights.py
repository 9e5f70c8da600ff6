"""Find the weights of an open_clip model, tell them apart, load them once."""

import hashlib
import json
import pickle
import threading
from collections import OrderedDict
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from os import fspath
from pathlib import Path
from typing import Any

from cofm_sklearn.encoders.weights import (
    folder_fingerprint,
    read_json,
    resolve_device,
    sha256_of_file,
)
from cofm_sklearn.utils import import_optional

__all__ = ["ClipSource", "find_clip", "load_clip"]

CONFIG = "open_clip_config.json"
HUB = "hf-hub:"
_SAFE = ("*.json", "*.txt", "*.model", "*.safetensors")
# Read with torch's weights_only: no pickled code is run.
_TENSORS = ("*.bin", "*.pth", "*.pt")
_CURES = (
    "Give the path of a local checkpoint or folder, or check the name and that the hub "
    "can be reached (HF_HUB_OFFLINE must not be set)."
)
_MAX_LOADED = 2


@dataclass(frozen=True)
class ClipSource:
    """Where an open_clip model comes from.

    Attributes
    ----------
    name, pretrained : str, str or None
        What ``open_clip.create_model`` is told.

    width : int
        Of the embeddings.

    files : tuple of pathlib.Path
        The checkpoint; several where open_clip chooses one of a folder.

    folder : pathlib.Path or None
        Where the model is, if it is a folder.
    """

    name: str
    pretrained: str | None
    width: int
    files: tuple
    folder: Path | None = None

    def fingerprint(self, precision):
        """Digest of all that decides a row besides the image."""
        about = [precision, *map(sha256_of_file, self.files)]
        if self.folder is not None:
            about.append(folder_fingerprint(self.folder))
        else:
            # The tag decides on the preprocessing, the name on the tokenizer.
            clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
            about += [self.name, clip.get_model_config(self.name)]
            about.append(clip.get_pretrained_cfg(self.name, self.pretrained))
        content = json.dumps(about, sort_keys=True, default=str)
        return hashlib.sha256(f"open_clip\0{content}".encode()).hexdigest()


@dataclass(frozen=True)
class LoadedClip:
    """A model in memory with what goes before it."""

    model: Any
    preprocess: Any
    device: str
    input_dtype: Any
    source: ClipSource

    def tokenizer(self):
        """Return the tokenizer of the text tower."""
        return _tokenizer(self.source.name)


def find_clip(model_name, pretrained, *, download=True):
    """Find a model: a folder, a checkpoint for a known architecture, else a hub.

    Parameters
    ----------
    model_name : str or path-like
        An architecture that open_clip knows, a folder with ``open_clip_config.json``
        and a checkpoint, or ``"hf-hub:owner/name"``.

    pretrained : str, path-like or None
        A tag of open_clip, a checkpoint file, or such a folder. Not used where
        `model_name` is a folder or on the hub.

    download : bool, default=True
        With False, nothing is fetched and `files` of a model from a hub is empty.

    Returns
    -------
    ClipSource

    Raises
    ------
    ValueError
        If nothing is found; unknown names come with those that are close.
    """
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    name = fspath(model_name).removeprefix("local-dir:")
    if name.startswith(HUB):
        return _from_folder(_hub_folder(name, download), "model_name", name)
    for parameter, path in (("model_name", name), ("pretrained", pretrained)):
        if path is not None and Path(path).expanduser().is_dir():
            return _from_folder(Path(path).expanduser(), parameter, fspath(path))
    # open_clip writes its own names with a dash where papers write a slash.
    name = name.replace("/", "-")
    known = clip.list_models()
    if name not in known:
        raise ValueError(
            f"model_name={name!r} is neither an architecture of open_clip nor a local "
            f"folder. {_near(name, known)}"
        )
    width = clip.get_model_config(name)["embed_dim"]
    if pretrained is None:
        raise ValueError(
            "pretrained must be given with an architecture of open_clip: a tag, a "
            f"checkpoint file or a folder. {_near('', _tags(name))}"
        )
    path = Path(pretrained).expanduser()
    if path.is_file():
        return ClipSource(name, str(path), width, (path,))
    tag = fspath(pretrained)
    if not clip.is_pretrained_cfg(name, tag):
        raise ValueError(
            f"pretrained={tag!r} is neither a tag of {name} nor a local file or "
            f"folder. {_near(tag, _tags(name))}"
        )
    files = (_fetch(name, tag),) if download else ()
    return ClipSource(name, tag, width, files)


def load_clip(source, fingerprint, device, precision):
    """Load a model, or take the one that this process has loaded already.

    Parameters
    ----------
    source : ClipSource
        As `find_clip` returns it.

    fingerprint : str
        Of the source; with `device` it is the key of the shared models. The two used
        last are kept.

    device : str
        A device of torch, or ``"auto"``.

    precision : {"fp32", "fp16", "bf16"}
        Of the weights.

    Returns
    -------
    LoadedClip
        In evaluation mode.

    Raises
    ------
    ValueError
        If the checkpoint cannot be loaded without running pickled code, does not fit
        the architecture, or torch cannot use the device.
    """
    device = resolve_device(device)
    with _LOADED_LOCK:
        key = fingerprint, device
        if key not in _LOADED:
            _LOADED[key] = _load(source, device, precision)
        _LOADED.move_to_end(key)
        while len(_LOADED) > _MAX_LOADED:
            _LOADED.popitem(last=False)
        return _LOADED[key]


_LOADED: OrderedDict[tuple, Any] = OrderedDict()
_LOADED_LOCK = threading.Lock()


def _load(source, device, precision):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    safetensors = import_optional("safetensors", needed_by="OpenCLIPEncoder")
    try:
        model, preprocess = clip.create_model_from_pretrained(
            source.name,
            pretrained=source.pretrained,
            precision=precision,
            device="cpu",
            weights_only=True,
        )
    except (
        *(OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError),
        *(pickle.UnpicklingError, EOFError, safetensors.SafetensorError),
    ) as error:
        raise ValueError(
            f"The model {source.name!r}, pretrained={source.pretrained!r}, could not "
            f"be loaded ({type(error).__name__}: {error}). It needs a complete "
            "checkpoint of this architecture, as safetensors or as tensors without "
            f"pickled code. {_CURES}"
        ) from error
    return LoadedClip(
        model.to(device).eval().requires_grad_(False),
        preprocess,
        device,
        clip.model.get_input_dtype(precision),
        source,
    )


def _from_folder(folder, parameter, given):
    config = read_json(folder / CONFIG, {}).get("model_cfg", {})
    found = [path for kind in (*_SAFE[-1:], *_TENSORS) for path in folder.glob(kind)]
    if "embed_dim" not in config or not found:
        raise ValueError(
            f"{parameter}={given!r} is a folder without an open_clip model ({CONFIG} "
            f"with its model_cfg, and a checkpoint). {_CURES}"
        )
    name = f"local-dir:{folder}"
    # Safetensors are part of the folder's fingerprint.
    files = tuple(sorted(path for path in found if path.suffix != ".safetensors"))
    return ClipSource(name, None, config["embed_dim"], files, folder)


def _hub_folder(name, download):
    hub = import_optional("huggingface_hub", needed_by="OpenCLIPEncoder")
    try:
        folder = _snapshot(name, download)
        if not folder.is_dir():  # the hub's cache was emptied in the meantime
            _snapshot.cache_clear()
            folder = _snapshot(name, download)
    except (OSError, ValueError, hub.errors.HfHubHTTPError) as error:
        raise ValueError(
            f"model_name={name!r} could not be had from the hub "
            f"({type(error).__name__}: {error}). {_CURES}"
        ) from error
    return folder


@lru_cache(maxsize=32)
def _snapshot(name, download):
    hub = import_optional("huggingface_hub", needed_by="OpenCLIPEncoder")
    repository = name.removeprefix(HUB)

    def fetch(patterns):
        return Path(
            hub.snapshot_download(
                repository, allow_patterns=patterns, local_files_only=not download
            )
        )

    folder = fetch(list(_SAFE))
    # Older repositories have no safetensors.
    return folder if any(folder.glob(_SAFE[-1])) else fetch([*_SAFE, *_TENSORS])


@lru_cache(maxsize=32)
def _fetch(name, tag):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    try:
        return Path(clip.download_pretrained(clip.get_pretrained_cfg(name, tag)))
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The weights of model_name={name!r}, pretrained={tag!r} could not be "
            f"fetched ({type(error).__name__}: {error}). {_CURES}"
        ) from error


@lru_cache(maxsize=4)
def _tokenizer(name):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    try:
        return clip.get_tokenizer(name)
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The tokenizer of {name!r} could not be loaded ({error}). {_CURES}"
        ) from error


def _tags(name):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    return clip.list_pretrained_tags_by_model(name)


def _near(name, known):
    if not known:
        return "There are no tags of it; give a checkpoint file."
    lower = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name.lower(), lower, n=5, cutoff=0.5)
    near = [lower[candidate] for candidate in found] or list(known)[:5]
    return f"{'Near' if found else 'Some'} matches: {', '.join(near)}."
