"""Find the weights of an open_clip model, identify them, load them once."""

import hashlib
import json
import pickle
from collections import OrderedDict
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from functools import lru_cache
from os import fspath
from pathlib import Path
from typing import Any

from cofm_sklearn.encoders.folders import (
    clean_copy,
    folder_fingerprint,
    read_json,
    refuse_code,
    refuse_keys,
    sha256_of_file,
)
from cofm_sklearn.encoders.hub import check_unchanged, hub_folder, load_once
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.optional import resolve_device

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
# Other tokenizer arguments select files and classes.
_TOKENIZER_ARGUMENTS = {
    "additional_special_tokens",
    "clean",
    "language",
    "reduction_mask",
    "strip_sep_token",
}


@dataclass(frozen=True)
class ClipSource:
    """Where an open_clip model comes from.

    Attributes
    ----------
    name, pretrained : str, str or None
        Arguments of ``open_clip.create_model``.

    width : int
        Width of the embeddings.

    files : tuple of pathlib.Path
        The checkpoint; several if open_clip chooses one from a folder.

    folder : pathlib.Path or None
        The folder of the model, if it has one.

    tower : str or None
        Name of the text tower in transformers, if it comes from there.
    """

    name: str
    pretrained: str | None
    width: int
    files: tuple
    folder: Path | None = None
    tower: str | None = None

    @contextmanager
    def opened(self):
        """Yield a name to load, restricted to these files."""
        if self.tower:
            _text_tower(self.tower)
        if self.folder is None:
            yield self.name
            return
        refuse_code(self.folder, f"The model {str(self.folder)!r}")
        with clean_copy(self.folder, self.files) as copy:
            yield f"local-dir:{copy}"

    def fingerprint(self, precision):
        """Digest of everything that determines a row besides the image."""
        about = [precision, *map(sha256_of_file, self.files)]
        if self.folder is not None:
            about.append(folder_fingerprint(self.folder))
            about += [_text_tower(self.tower)] if self.tower else []
        else:
            # The tag determines the preprocessing, the name the tokenizer.
            clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
            about += [self.name, clip.get_model_config(self.name)]
            about.append(clip.get_pretrained_cfg(self.name, self.pretrained))
        content = json.dumps(about, sort_keys=True, default=str)
        return hashlib.sha256(f"open_clip\0{content}".encode()).hexdigest()


@dataclass
class LoadedClip:
    """A loaded model with its preprocessing and tokenizer."""

    model: Any
    preprocess: Any
    device: str
    input_dtype: Any
    source: ClipSource
    precision: str
    fingerprint: str
    _tokenizer: Any = None

    def tokenizer(self):
        """Return the tokenizer of the text tower."""
        if self._tokenizer is None:
            self._tokenizer = _tokenizer(self.source)
            _check_unchanged(self.source, self.precision, self.fingerprint)
        return self._tokenizer


def find_clip(model_name, pretrained, *, download=True):
    """Find a model: a folder, a checkpoint for a known architecture, else a hub.

    Parameters
    ----------
    model_name : str or path-like
        An architecture that open_clip knows, a folder with ``open_clip_config.json``
        and a checkpoint, or ``"hf-hub:owner/name"``.

    pretrained : str, path-like or None
        A tag of open_clip, a checkpoint file, or a folder of this form. Ignored if
        `model_name` is a folder or on the hub.

    download : bool, default=True
        With False, nothing is downloaded and `files` of a model from a hub is empty.

    Returns
    -------
    ClipSource

    Raises
    ------
    ValueError
        If nothing is found; the message suggests similar names.
    """
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    name = fspath(model_name).removeprefix("local-dir:")
    if name.startswith(HUB):
        return _from_folder(_hub_folder(name, download), "model_name", name)
    for parameter, path in (("model_name", name), ("pretrained", pretrained)):
        if path is not None and Path(path).expanduser().is_dir():
            return _from_folder(Path(path).expanduser(), parameter, fspath(path))
    # open_clip writes names with a dash where papers use a slash.
    given, name = name, name.replace("/", "-")
    known = clip.list_models()
    if name not in known:
        cure = _near(name, known)
        if Path(given).expanduser().is_file():
            cure = "To load a checkpoint, name its architecture and set pretrained."
        raise ValueError(
            f"model_name={given!r} is neither an architecture of open_clip nor a local "
            f"folder. {cure}"
        )
    config = clip.get_model_config(name)
    width, tower = config["embed_dim"], config["text_cfg"].get("hf_model_name")
    if pretrained is None:
        raise ValueError(
            "pretrained must be given with an architecture of open_clip: a tag, a "
            f"checkpoint file or a folder. {_near('', _tags(name))}"
        )
    path = Path(pretrained).expanduser()
    if path.is_file():
        return ClipSource(name, str(path), width, (path,), tower=tower)
    tag = fspath(pretrained)
    if not clip.is_pretrained_cfg(name, tag):
        raise ValueError(
            f"pretrained={tag!r} is neither a tag of {name} nor a local file or "
            f"folder. {_near(tag, _tags(name))}"
        )
    files = (_fetch(name, tag),) if download else ()
    return ClipSource(name, tag, width, files, tower=tower)


def load_clip(source, fingerprint, device, precision):
    """Load a model, or reuse the one already loaded in this process.

    Parameters
    ----------
    source : ClipSource
        As returned by `find_clip`.

    fingerprint : str
        Fingerprint of the source; with `device` it is the key of the shared models. The
        last two used are kept.

    device : str
        A torch device, or ``"auto"``.

    precision : {"fp32", "fp16", "bf16"}
        Precision of the weights.

    Returns
    -------
    LoadedClip
        The model, in evaluation mode.

    Raises
    ------
    ValueError
        If the checkpoint cannot be loaded without running pickled code, does not fit
        the architecture, or torch cannot use the device.
    """
    device = resolve_device(device, "OpenCLIPEncoder")

    def load():
        loaded = _load(source, device, precision, fingerprint)
        _check_unchanged(source, precision, fingerprint)
        return loaded

    return load_once(_LOADED, (fingerprint, device), load)


_LOADED: OrderedDict[tuple, Any] = OrderedDict()


def _check_unchanged(source, precision, fingerprint):
    about = f"The files of the model {source.name!r}"
    check_unchanged(about, source.fingerprint(precision), fingerprint)


def _load(source, device, precision, fingerprint):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    safetensors = import_optional("safetensors", needed_by="OpenCLIPEncoder")
    try:
        with source.opened() as name:
            model, preprocess = clip.create_model_from_pretrained(
                name,
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
        precision,
        fingerprint,
    )


def _from_folder(folder, parameter, given):
    config = read_json(folder / CONFIG, {}).get("model_cfg", {})
    found = [path for kind in (*_SAFE[-1:], *_TENSORS) for path in folder.glob(kind)]
    if "embed_dim" not in config or not found:
        raise ValueError(
            f"{parameter}={given!r} is a folder without an open_clip model ({CONFIG} "
            f"with its model_cfg, and a checkpoint). {_CURES}"
        )
    _refuse_towers(config, f"{parameter}={given!r}")
    name = f"local-dir:{folder}"
    # Safetensors are part of the folder's fingerprint.
    files = tuple(sorted(path for path in found if path.suffix != ".safetensors"))
    tower = config.get("text_cfg", {}).get("hf_model_name")
    return ClipSource(name, None, config["embed_dim"], files, folder, tower)


def _refuse_towers(config, model):
    """Reject a folder's configuration that sets more than an architecture."""
    text, vision = config.get("text_cfg"), config.get("vision_cfg")
    if not isinstance(text, dict) or not isinstance(vision, dict):
        raise ValueError(f"{model}: {CONFIG} has no text_cfg or no vision_cfg.")
    arguments = text.get("tokenizer_kwargs") or {}
    unknown = set(arguments) - _TOKENIZER_ARGUMENTS
    if unknown:
        raise ValueError(
            f"{model} sets arguments of its tokenizer that are not supported: "
            f"{sorted(unknown)}. Remove them from tokenizer_kwargs in {CONFIG}."
        )
    name = vision.get("timm_model_name")
    if isinstance(name, str) and ":" in name:
        raise ValueError(
            f"{model} refers to {name!r} (timm_model_name), which is not in its "
            "folder and is not read. Use an architecture of timm."
        )


@lru_cache(maxsize=32)
def _text_tower(name):
    """Return the configuration of a text tower from transformers; reject code."""
    transformers = import_optional("transformers", needed_by="OpenCLIPEncoder")
    if Path(name).expanduser().exists():
        raise ValueError(
            f"The text tower {name!r} (hf_model_name) is a folder outside the "
            "model's own, which is not read. Use one from the hub."
        )
    try:
        config = transformers.PretrainedConfig.get_config_dict(name)[0]
    except (OSError, ValueError, TypeError, RecursionError) as error:
        raise ValueError(
            f"The text tower {name!r} could not be downloaded from the hub "
            f"({type(error).__name__}: {error}). {_CURES}"
        ) from error
    refuse_keys(config, f"The text tower {name!r}")
    return {key: value for key, value in config.items() if key != "_commit_hash"}


def _hub_folder(name, download):
    def fetch(patterns):
        return hub_folder(
            name.removeprefix(HUB),
            patterns,
            download=download,
            about=f"model_name={name!r}",
            cures=_CURES,
        )

    folder = fetch(_SAFE)
    # Older repositories have no safetensors.
    return folder if any(folder.glob(_SAFE[-1])) else fetch((*_SAFE, *_TENSORS))


@lru_cache(maxsize=32)
def _fetch(name, tag):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    try:
        return Path(clip.download_pretrained(clip.get_pretrained_cfg(name, tag)))
    except (OSError, ValueError, RuntimeError) as error:
        raise ValueError(
            f"The weights of model_name={name!r}, pretrained={tag!r} could not be "
            f"downloaded ({type(error).__name__}: {error}). {_CURES}"
        ) from error


def _tokenizer(source):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    try:
        with source.opened() as name:
            if source.folder is None:
                config = clip.get_model_config(name)
            else:
                config = read_json(source.folder / CONFIG, {})["model_cfg"]
            # open_clip's own tokenizers do not take it.
            of_transformers = config["text_cfg"].get("hf_tokenizer_name")
            safe = {"trust_remote_code": False} if of_transformers else {}
            return clip.get_tokenizer(name, **safe)
    except (
        *(OSError, ValueError, KeyError, TypeError, RuntimeError, AttributeError),
        *(AssertionError, ImportError),
    ) as error:
        raise ValueError(
            f"The tokenizer of {source.name!r} could not be loaded ({error}). {_CURES}"
        ) from error


def _tags(name):
    clip = import_optional("open_clip", needed_by="OpenCLIPEncoder")
    return clip.list_pretrained_tags_by_model(name)


def _near(name, known):
    if not known:
        return "It has no tags; give a checkpoint file."
    lower = {candidate.lower(): candidate for candidate in known}
    found = get_close_matches(name.lower(), lower, n=5, cutoff=0.5)
    near = [lower[candidate] for candidate in found] or list(known)[:5]
    return f"{'Near' if found else 'Some'} matches: {', '.join(near)}."
