"""Resumable embedding of a pool into a memory-mapped file."""

import errno
import hashlib
import json
import os
import shutil
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import numpy as np
from sklearn.base import clone
from tqdm.auto import tqdm

from cofm_sklearn.utils.files import check_path, whole_file
from cofm_sklearn.utils.validation import check_integer, check_option

__all__ = ["embed_to_file"]

_DTYPES = ("float32", "float16")


def embed_to_file(encoder, X, path, *, dtype, block_size):
    """Embed samples into a file; see `BaseEncoder.transform_to_file`."""
    samples = encoder._check_samples(X)
    path = check_path(path)
    check_option("dtype", dtype, _DTYPES)
    check_integer("block_size", block_size, 1)
    blocks = [
        range(start, min(start + int(block_size), len(samples)))
        for start in range(0, len(samples), int(block_size))
    ]
    digest = hashlib.blake2b(digest_size=16)
    for block in blocks:
        for key in encoder._content_keys(samples, block):
            digest.update(key)
    made_of = {
        "encoder": encoder._identity(),
        "dtype": dtype,
        "samples": digest.hexdigest(),
    }
    own_store = Path(f"{path}.cache")
    if not _is_made_of(path, made_of):
        store = encoder.cache_dir or own_store
        caching = clone(encoder).set_params(verbose=0, cache_dir=store)
        progress = tqdm(
            total=len(samples),
            desc="Embedding",
            unit="sample",
            disable=encoder.verbose <= 0,
        )
        with progress, _partial_file(path) as file:
            # Another process may have written it since.
            for block in [] if _is_made_of(path, made_of) else blocks:
                rows = caching._embed(samples, block).astype(dtype)
                if block.start == 0:
                    _begin(file, (len(samples), rows.shape[1]), dtype)
                file.write(rows.tobytes())
                progress.update(len(rows))
            if file.tell():
                _finish(file, path, made_of)
    if encoder.cache_dir is None:
        # Also after a process that died when it had completed the file.
        _remove_store(own_store)
    return np.load(path, mmap_mode="r")


def _is_made_of(path, made_of):
    """Tell whether the file exists; raise if its content is different."""
    if not path.exists():
        return False
    try:
        found = dict(json.loads(Path(f"{path}.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError, RecursionError):
        found = {}
    for name, value in made_of.items():
        here = found.get(name, "unknown")
        if here != value:
            raise ValueError(
                f"path={str(path)!r} exists, but was not made of these samples by this "
                f"encoder: its {name} is {here!r}, not {value!r}. Delete it or use "
                "another path."
            )
    return True


@contextmanager
def _partial_file(path):
    """Open the partial file exclusively; errors say how to resume."""
    with _open_alone(Path(f"{path}.part"), path) as file:
        file.truncate(0)
        complete = False
        try:
            yield file
            complete = True
        except (OSError, KeyboardInterrupt) as error:
            error.add_note(
                f"{path.name} is not complete. Embeddings so far are kept; call again "
                "with the same path to resume."
            )
            raise
        finally:
            if not complete or not file.tell():
                # Its rows are in the cache, and the disk may be full.
                Path(file.name).unlink(missing_ok=True)


def _open_alone(part, path):
    """Open and lock the partial file, and check that it was not replaced meanwhile."""
    if part.is_symlink():
        raise ValueError(
            f"path={str(path)!r}: {part.name} beside it is a link, whose target "
            "would be overwritten. Remove it or use another path."
        )
    while True:
        with ExitStack() as failed:
            file = failed.enter_context(open(part, "r+b", opener=_make_no_link))
            _lock(file, path)
            with suppress(FileNotFoundError):
                # The other process may just have renamed it to `path`.
                if os.path.samestat(os.fstat(file.fileno()), os.stat(part)):
                    failed.pop_all()
                    return file


def _make_no_link(part, flags):
    return os.open(part, flags | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o666)


def _lock(file, path):
    try:
        import fcntl
    except ImportError:  # not on Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(
            f"path={str(path)!r} is being written by another process. Wait for it "
            "or use another path."
        ) from None


def _remove_store(folder):
    """Remove the rows cached for one file, and no other files."""
    # It may hold other files or be read-only. The embeddings are complete without it.
    with suppress(OSError):
        for path in folder.glob("embeddings-*.sqlite*"):
            path.unlink(missing_ok=True)
        folder.rmdir()


def _begin(file, shape, dtype):
    """Write the header; fail early if there is no space."""
    header = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(file, header)
    size = shape[0] * shape[1] * np.dtype(dtype).itemsize
    free = shutil.disk_usage(Path(file.name).parent).free
    if free < size:
        raise OSError(
            errno.ENOSPC,
            f"the file takes {size / 2**20:,.1f} MiB, {free / 2**20:,.1f} MiB are free",
            file.name,
        )


def _finish(file, path, made_of):
    file.flush()
    os.fsync(file.fileno())
    # The note goes first: without the file it means nothing.
    note = Path(f"{path}.json")
    if note.is_symlink():
        note.unlink()
    with whole_file(note) as part:
        part.write_text(json.dumps(made_of, indent=1) + "\n", encoding="utf-8")
    os.replace(file.name, path)
