"""Get models from the hub, and keep those that were loaded."""

import threading
from functools import lru_cache
from pathlib import Path

from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.forks import renew_after_fork

__all__ = ["check_unchanged", "hub_folder", "load_once"]

_MAX_LOADED = 2
_LOADING = renew_after_fork(threading.Lock())


def hub_folder(
    repository, patterns, *, ignored=(), revision=None, download, about, cures
):
    """Return the folder of a model from the hub, and download it if necessary.

    Parameters
    ----------
    repository : str
        Owner and name.

    patterns, ignored : tuple of str
        Patterns of the files to download, and of those among them that are left out.

    revision : str or None, default=None
        Branch, tag or commit.

    download : bool
        With False, it must have been downloaded before.

    about, cures : str
        Beginning and end of the error.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If it cannot be downloaded.
    """
    wanted = repository, patterns, ignored, revision, download
    try:
        folder = _snapshot(*wanted)
        if not folder.is_dir():  # the hub's cache was cleared in the meantime
            _snapshot.cache_clear()
            folder = _snapshot(*wanted)
    except (OSError, ValueError) as error:
        raise ValueError(
            f"{about} could not be downloaded from the hub "
            f"({type(error).__name__}: {error}). {cures}"
        ) from error
    return folder


@lru_cache(maxsize=32)
def _snapshot(repository, patterns, ignored, revision, download):
    hub = import_optional("huggingface_hub", needed_by="A model from the hub")
    folder = hub.snapshot_download(
        repository,
        revision=revision,
        # Offline, huggingface_hub 1.33 still lists the files of a commit, and fails.
        local_files_only=not download or hub.constants.HF_HUB_OFFLINE,
        allow_patterns=list(patterns),
        ignore_patterns=list(ignored),
    )
    return Path(folder)


def load_once(loaded, key, load):
    """Return the model of a key, which is loaded if it is not among the last two used.

    Parameters
    ----------
    loaded : OrderedDict
        The models, by key.

    key : tuple

    load : callable
        Called without arguments, by one thread at a time.

    Returns
    -------
    object
        The model.
    """
    with _LOADING:
        if key not in loaded:
            loaded[key] = load()
        loaded.move_to_end(key)
        while len(loaded) > _MAX_LOADED:
            loaded.popitem(last=False)
        return loaded[key]


def check_unchanged(about, fingerprint, expected):
    """Raise a ValueError if files were replaced while a model was loaded from them."""
    if fingerprint != expected:
        raise ValueError(f"{about} changed while they were read. Call again.")
