"""Resumable embedding of a pool into a memory-mapped file."""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.base import clone
from tqdm.auto import tqdm

from cofm_sklearn.utils.files import check_path, whole_file
from cofm_sklearn.utils.validation import (
    check_integer,
    check_option,
    take_rows,
)

__all__ = ["FileEncoderMixin"]

_DTYPES = ("float32", "float16")


class FileEncoderMixin:
    """`transform_to_file` for encoders with a cache on disk.

    An encoder has `transform`, `cache_dir` and `verbose`, and provides
    ``_check_samples(X)``, which returns samples that can be sliced; ``_identity()``, a
    string for everything that determines a row besides the sample; and
    ``_content_keys(X)``, bytes per sample.
    """

    cache_dir: str | os.PathLike | None
    verbose: int
    transform: Callable[[Any], Any]
    _check_samples: Callable[[Any], Any]
    _identity: Callable[[], str]
    _content_keys: Callable[[Any], Iterable[bytes]]

    def transform_to_file(self, X, path, *, dtype="float32", block_size=8192):
        """Embed samples into a ``.npy`` file; an interrupted call can be resumed.

        Embeddings are written to disk as they are computed: to `cache_dir`, or without
        one to ``<path>.cache``, which is removed once the file is complete. After an
        interruption, a kill or an error, the next call embeds only what is missing,
        whatever the order of the samples. With a `cache_dir`, a pool that has grown
        costs only its new samples. Memory use does not depend on the number of samples.

        Parameters
        ----------
        X : array-like of length n_samples
            Samples, as for `transform`.

        path : str or path-like
            The file. It appears when it is complete, with ``<path>.json`` beside it,
            which records its samples and encoder.

        dtype : {"float32", "float16"}, default="float32"
            Data type of the file. Half precision takes half the space.

        block_size : int, default=8192
            Number of samples in memory at once.

        Returns
        -------
        memmap of shape (n_samples, d)
            The file, read-only. If it already exists with the same samples and encoder,
            nothing is computed.

        Raises
        ------
        ValueError, TypeError
            As `transform`; if `path` is a folder or its folder does not exist; if the
            file has other samples, or those of another encoder or dtype; if another
            process is writing it; if a parameter is out of range.

        OSError
            If the disk is full or the file cannot be written. Finished work is kept.

        Examples
        --------
        >>> import tempfile
        >>> from cofm_sklearn import SentenceTransformerEncoder
        >>> encoder = SentenceTransformerEncoder()
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Z = encoder.transform_to_file(["a text", "more"], f"{folder}/pool.npy")
        ...     Z.shape, str(Z.dtype)
        ((2, 384), 'float32')
        """
        samples = self._check_samples(X)
        path = check_path(path)
        check_option("dtype", dtype, _DTYPES)
        check_integer("block_size", block_size, 1)
        blocks = [
            slice(start, min(start + int(block_size), len(samples)))
            for start in range(0, len(samples), int(block_size))
        ]
        digest = hashlib.blake2b(digest_size=16)
        for block in blocks:
            for key in self._content_keys(take_rows(samples, block)):
                digest.update(key)
        made_of = {
            "encoder": self._identity(),
            "dtype": dtype,
            "samples": digest.hexdigest(),
        }
        if not _is_made_of(path, made_of):
            store = self.cache_dir or f"{path}.cache"
            encoder = clone(self).set_params(verbose=0, cache_dir=store)
            progress = tqdm(
                total=len(samples),
                desc="Embedding",
                unit="sample",
                disable=self.verbose <= 0,
            )
            with progress, _partial_file(path) as file:
                # Another process may have written it since.
                for block in [] if _is_made_of(path, made_of) else blocks:
                    rows = encoder.transform(take_rows(samples, block)).astype(dtype)
                    if block.start == 0:
                        _begin(file, (len(samples), rows.shape[1]), dtype)
                    file.write(rows.tobytes())
                    progress.update(len(rows))
                if file.tell():
                    _finish(file, path, made_of)
            if self.cache_dir is None:
                _remove_store(Path(store))
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
    for path in folder.glob("embeddings-*.sqlite*"):
        path.unlink(missing_ok=True)
    with suppress(OSError):  # it holds other files
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
