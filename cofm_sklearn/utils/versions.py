"""Versions of everything a bug report needs, read without importing it."""

import importlib.metadata
import os
import platform
import re
import sys
from pathlib import Path

from packaging.requirements import Requirement
from threadpoolctl import threadpool_info

from cofm_sklearn.utils.optional import MINILM_PACKAGE, package_folder

__all__ = ["show_versions"]

# Extras for developers of the package.
_TOOLS = {"test", "docs", "dev"}
# Some extras include other extras.
_OWN_NAMES = {"cofm_sklearn", "cofm-sklearn"}


def show_versions():
    """Print the versions and settings that a bug report needs.

    Python and the system; every dependency, core and extra, with the bounds that
    cofm_sklearn sets; the thread pools; where the weights of all-MiniLM-L6-v2 are. The
    versions come from the metadata of what is installed: nothing heavy is imported. The
    home folder is written as ``~``.

    Examples
    --------
    >>> import cofm_sklearn
    >>> cofm_sklearn.show_versions()  # doctest: +ELLIPSIS
    System
        python: 3...
    cofm_sklearn
        version: 0...
    Dependencies
        numpy: ...
        scikit-learn: ... (>=1.6)
        ...
    """
    for title, entries in _sections():
        print(title)
        for name, value in entries:
            print(_without_home(f"    {name}: {value}"))


def _sections():
    yield "System", _system()
    yield "cofm_sklearn", _package()
    yield from _dependencies(_requirements()).items()
    yield "Thread pools", _thread_pools()
    yield "Weights of all-MiniLM-L6-v2", _weights()


def _system():
    yield "python", sys.version.replace("\n", " ")
    yield "executable", sys.executable
    yield "machine", platform.platform()


def _package():
    yield "version", _installed("cofm_sklearn")
    yield "folder", Path(__file__).parents[1]


def _requirements():
    """Return the requirements of cofm_sklearn, from its metadata."""
    try:
        return importlib.metadata.requires("cofm_sklearn") or []
    except importlib.metadata.PackageNotFoundError:
        return []


def _dependencies(requirements):
    """Group requirements under titles, each with its installed version."""
    found: dict[str, list[tuple[str, str]]] = {"Dependencies": []}
    for requirement in map(Requirement, requirements):
        extra = re.search(r'extra == "([\w-]+)"', str(requirement.marker))
        if requirement.name in _OWN_NAMES or (extra and extra[1] in _TOOLS):
            continue
        title = f"Extra {extra[1]}" if extra else "Dependencies"
        bounds = f" ({requirement.specifier})" if requirement.specifier else ""
        entry = requirement.name, _installed(requirement.name) + bounds
        found.setdefault(title, []).append(entry)
    if not requirements:
        found["Dependencies"].append(("unknown", "cofm_sklearn is not installed"))
    return found


def _installed(distribution):
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _thread_pools():
    for pool in threadpool_info():
        version = pool["version"] or "of unknown version"
        yield pool["internal_api"], f"{version}, {pool['num_threads']} threads"
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        if name in os.environ:
            yield name, os.environ[name]


def _weights():
    folder = package_folder(MINILM_PACKAGE)
    weights = folder and folder / "model" / "model.safetensors"
    if weights is None:
        yield "package", "not installed; taken from the model hub or a local folder"
    else:
        yield "package", weights if weights.is_file() else f"{weights} is missing"
    for name in ("HF_HUB_OFFLINE", "HF_HOME"):
        if name in os.environ:
            yield name, os.environ[name]


def _without_home(text):
    home = str(Path.home())
    # A home of "/" would change every path.
    return text.replace(home + os.sep, "~" + os.sep) if len(home) > 1 else text
