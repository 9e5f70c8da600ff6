"""Read only those files of a model's folder that contain no code.

Libraries look for more in a folder than its weights: Python files, pickles, and names
of classes to import. So the folder is checked first, and the model is loaded from a
copy that holds only the files of its fingerprint.
"""

import hashlib
import json
import os
import re
import shutil
import tempfile
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path, PurePosixPath

__all__ = [
    "clean_copy",
    "folder_fingerprint",
    "model_files",
    "read_json",
    "refuse_code",
    "refuse_keys",
    "sha256_of_file",
]

# The files of a model, without pickled weights (*.bin, *.pt).
SUFFIXES = (".json", ".txt", ".model", ".jinja", ".safetensors")
OTHER_BACKENDS = ("onnx", "openvino")
_MAX_FILES = 10_000
_MODULES = re.compile(
    r"sentence_transformers\.(models|base\.modules|sentence_transformer\.modules)\."
    r"(\w+\.)?(Asym|BoW|CLIPModel|CNN|Dense|Dropout|LSTM|LayerNorm|Normalize|Pooling|"
    r"Router|StaticEmbedding|Transformer|WeightedLayerPooling|WordEmbeddings|"
    r"WordWeights)"
)
_TOKENIZERS = re.compile(
    r"sentence_transformers\.(models|sentence_transformer\.modules)\.tokenizer\."
    r"(\w+\.)?(PhraseTokenizer|WhitespaceTokenizer)"
)
_ACTIVATIONS = re.compile(
    r"torch\.nn\.(modules\.(activation|linear)\.)?(CELU|ELU|GELU|Hardsigmoid|Hardswish|"
    r"Hardtanh|Identity|LeakyReLU|LogSigmoid|Mish|ReLU|ReLU6|SELU|SiLU|Sigmoid|"
    r"Softplus|Softsign|Tanh|Tanhshrink)"
)
# Keys that make a library run code, or read what is not in the folder.
_CODE_KEYS = {"auto_map", "code_revision", "trust_remote_code", "use_kernels"}
_ELSEWHERE_KEYS = {"base_model_name_or_path", "gguf_file", "tokenizer_name_or_path"}


def model_files(folder):
    """List the files that determine what a model computes.

    Folders that are symbolic links are followed, as the libraries do.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    dict of pathlib.Path to pathlib.Path
        Relative path of each file to its location, sorted.

    Raises
    ------
    ValueError
        If there are too many files for a model.
    """
    found: dict[Path, Path] = {}
    waiting: list[tuple] = [(folder, (os.path.realpath(folder),))]
    while waiting:
        here, above = waiting.pop()
        for path in here.iterdir():
            real = os.path.realpath(path)
            if path.name.startswith(".") or real in above:  # or a circular link
                continue
            if path.is_dir():
                if not (here == folder and path.name in OTHER_BACKENDS):
                    waiting.append((path, (*above, real)))
            elif path.suffix in SUFFIXES and path.is_file():
                found[path.relative_to(folder)] = path
        if len(found) + len(waiting) > _MAX_FILES:
            raise ValueError(
                f"The folder {str(folder)!r} has too many files for a model. Save the "
                "model in a folder of its own."
            )
    return dict(sorted(found.items()))


def folder_fingerprint(folder):
    """Digest of the files that determine what a model computes.

    Parameters
    ----------
    folder : pathlib.Path
        Folder of the model.

    Returns
    -------
    str
        SHA-256 over relative names and contents of configuration, vocabulary and
        safetensors weights, in hexadecimal. A copy of the folder has the same digest.
    """
    digest = hashlib.sha256()
    for relative, path in model_files(folder).items():
        digest.update(f"{relative.as_posix()}\0{sha256_of_file(path)}\n".encode())
    return digest.hexdigest()


@contextmanager
def clean_copy(folder, others=()):
    """Make a folder with only the files of the fingerprint.

    Parameters
    ----------
    folder : pathlib.Path

    others : sequence of pathlib.Path, default=()
        Further files of the folder.

    Yields
    ------
    pathlib.Path
        A temporary folder of links.
    """
    with tempfile.TemporaryDirectory(prefix="cofm-model-") as copy:
        files = {**model_files(folder), **{p.relative_to(folder): p for p in others}}
        for relative, path in files.items():
            target = Path(copy) / relative
            target.parent.mkdir(parents=True, exist_ok=True)
            try:
                target.symlink_to(path.resolve())
            except OSError:  # Windows allows links only to some users
                shutil.copyfile(path, target)
        yield Path(copy)


def refuse_code(folder, model):
    """Reject a folder whose configuration runs code or refers to other folders.

    Releases differ in what they import from a folder even when remote code is off, so
    the whole configuration is checked, whichever library reads it.

    Parameters
    ----------
    folder : pathlib.Path

    model : str
        Name of the model, used in errors.

    Raises
    ------
    ValueError
        If it refers to a class that is not allowed, or to a file outside the folder.
    """
    for module in read_json(folder / "modules.json", []):
        if not isinstance(module, dict):
            raise ValueError(f"{model} has a modules.json that is not a list.")
        _refuse_class(module.get("type"), _MODULES, model)
        _refuse_outside(module.get("path", ""), model)
    for relative, path in model_files(folder).items():
        if relative.name == "adapter_config.json":
            raise ValueError(
                f"{model} is an adapter of another model, which is not in the folder. "
                "Merge the adapter into its model, and save that."
            )
        if relative.suffix == ".json":
            refuse_keys(read_json(path, None), model)


def refuse_keys(content, model):
    """Reject forbidden keys at any depth of a configuration; see `refuse_code`."""
    waiting = [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            for key, inner in value.items():
                _refuse_pair(key, inner, model)


def _refuse_pair(key, value, model):
    # In a vocabulary, such keys are tokens, and their values numbers.
    if value is None or value is False or type(value) in (int, float):
        return
    if key in _CODE_KEYS and value:
        raise _code(f"{key}: {value!r:.80}", model)
    if key in _ELSEWHERE_KEYS and value:
        raise ValueError(
            f"{model} refers to {value!r:.80} ({key}), which is not in its folder and "
            "is not read. Save the complete model in one folder."
        )
    if key == "types" and isinstance(value, dict):  # sub-modules of a router
        for name, kind in value.items():
            if isinstance(kind, str):
                _refuse_class(kind, _MODULES, model)
                _refuse_outside(name, model)
    elif isinstance(value, str):
        if key == "activation_function" and "." in value:
            _refuse_class(value, _ACTIVATIONS, model)
        elif key == "tokenizer_class" and "." in value:
            _refuse_class(value, _TOKENIZERS, model)
        elif key.endswith("attn_implementation") and "/" in value:
            raise _code(value, model)  # a kernel of the hub


def _refuse_class(name, allowed, model):
    if not isinstance(name, str) or not allowed.fullmatch(name):
        raise _code(name, model)


def _refuse_outside(path, model):
    inside = isinstance(path, str) and not {"\\", ":"} & set(path)
    if not inside or {"..", "/"} & set(PurePosixPath(path).parts):
        raise ValueError(
            f"{model} has a part at {path!r}, outside its folder, which is not "
            "read. Save the complete model in one folder."
        )


def _code(what, model):
    return ValueError(
        f"{model} needs custom code ({what}), which is never run. Choose a model that "
        "uses only modules of sentence-transformers, transformers and open_clip, and "
        "activations of torch."
    )


def read_json(path, default):
    """Return the content of a JSON file; the default if missing or of another type."""
    if not path.is_file():
        return default
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(
            f"{str(path)!r} is not valid JSON ({error}). Download the model again."
        ) from error
    return content if default is None or isinstance(content, type(default)) else default


def sha256_of_file(path):
    """Return the SHA-256 of a file in hexadecimal; hash each version once."""
    status = os.stat(path)
    return _sha256_of_version(str(path), status.st_size, status.st_mtime_ns)


@lru_cache(maxsize=1024)
def _sha256_of_version(path, size, mtime_ns):
    """Hash a file, cached by its size and modification time."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
