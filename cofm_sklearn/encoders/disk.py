"""The disk part of the embedding cache: SQLite, no pickle."""

import hashlib
import os
import sqlite3
import threading
import warnings
from contextlib import closing
from pathlib import Path

import numpy as np

from cofm_sklearn.utils.forks import take_before_fork

__all__ = ["DiskStore"]

_BUSY_TIMEOUT_S = 60
_KEYS_PER_QUERY = 500
_DAMAGE_CODES = {
    sqlite3.SQLITE_CORRUPT,
    sqlite3.SQLITE_NOTADB,
    sqlite3.SQLITE_ERROR,  # a table with other columns, so not our file
}


# SQLite has its own locks, which must not be held during a fork.
_IN_SQLITE = take_before_fork(threading.RLock())


class _DamagedFileError(Exception):
    """The file cannot be read, or a row does not match its checksum."""


class DiskStore:
    """Float32 rows by key in one SQLite file.

    Several processes may read and write the same file at once. Every row carries a
    checksum over namespace, key and value. A damaged file is set aside under a new name
    (``*.damaged-1``, ...) with a warning, and a new one is started; a wrong vector is
    never returned.

    The file uses SQLite's rollback journal, and every call opens and closes its own
    connection. So threads and forked processes share nothing, no companion file stays
    behind, and the folder can be moved or copied when not in use.

    Parameters
    ----------
    folder : str or path-like
        Created if it does not exist.

    namespace : str
        Identifies the model; part of the file name and of each checksum.

    Raises
    ------
    ValueError
        If `folder` cannot be created or is not a folder.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     store = DiskStore(folder, "model-1")
    ...     store.put([b"key"], np.ones((1, 3), dtype=np.float32))
    ...     store.get([b"key", b"unknown"])
    {b'key': array([1., 1., 1.], dtype=float32)}
    """

    def __init__(self, folder, namespace):
        folder = Path(folder).expanduser()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise ValueError(
                f"cache_dir={str(folder)!r} cannot be used as a folder ({error}). "
                "Use a writable folder, or cache_dir=None."
            ) from error
        self._salt = namespace.encode()
        name = hashlib.blake2b(self._salt, digest_size=16).hexdigest()
        self.path = folder / f"embeddings-{name}.sqlite"

    def get(self, keys):
        """Look up keys.

        Parameters
        ----------
        keys : list of bytes

        Returns
        -------
        dict of bytes to ndarray of shape (d,), dtype float32
            The stored rows, by key.
        """
        seen = _identity(self.path)
        if seen is None:
            return {}
        try:
            return self._run(self._select, keys) or {}
        except _DamagedFileError as error:
            self._set_aside(seen, error)
            return {}

    def put(self, keys, rows):
        """Store rows; existing keys are not overwritten.

        Parameters
        ----------
        keys : list of bytes of length n

        rows : ndarray of shape (n, d), dtype float32
        """
        # Explicit byte order, so that files can be moved between machines.
        values = [row.tobytes() for row in np.asarray(rows, dtype="<f4")]
        records = [(k, v, self._checksum(k, v)) for k, v in zip(keys, values)]
        seen = _identity(self.path)
        try:
            self._run(self._insert, records)
        except _DamagedFileError as error:
            self._set_aside(seen, error)
            self._run(self._insert, records)

    def _select(self, connection, keys):
        tables = "SELECT count(*) FROM sqlite_master WHERE name = 'embedding'"
        if not connection.execute(tables).fetchone()[0]:
            return {}  # another process is about to create the table
        found, wanted = {}, set(keys)
        for start in range(0, len(keys), _KEYS_PER_QUERY):
            part = keys[start : start + _KEYS_PER_QUERY]
            marks = ",".join("?" * len(part))
            query = f"SELECT key, value, checksum FROM embedding WHERE key IN ({marks})"
            for key, value, checksum in connection.execute(query, part):
                # In a damaged file a column may even come back as another type, and
                # the index may lead to the row of another key.
                if (
                    key not in wanted
                    or not isinstance(value, bytes)
                    or self._checksum(key, value) != checksum
                ):
                    raise _DamagedFileError("a row does not match its checksum")
                found[key] = np.frombuffer(value, dtype="<f4").astype(np.float32)
        return found

    def _insert(self, connection, records):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute(
            "CREATE TABLE IF NOT EXISTS embedding (key BLOB PRIMARY KEY NOT NULL, "
            "value BLOB NOT NULL, checksum BLOB NOT NULL)"
        )
        connection.executemany(
            "INSERT OR IGNORE INTO embedding VALUES (?, ?, ?)", records
        )
        connection.execute("COMMIT")

    def _run(self, work, argument):
        """Call `work` with an open file; None if the file is currently unusable."""
        try:
            # isolation_level=None: transactions are begun by hand, never implicitly.
            with (
                _IN_SQLITE,
                closing(
                    sqlite3.connect(
                        self.path, timeout=_BUSY_TIMEOUT_S, isolation_level=None
                    )
                ) as connection,
            ):
                return work(connection, argument)
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            if code == sqlite3.SQLITE_IOERR_SHORT_READ or code & 0xFF in _DAMAGE_CODES:
                raise _DamagedFileError(error) from error
            # Locked for long, read-only, disk full: a cache must not cost the user the
            # vectors that are being computed.
            warnings.warn(
                f"The embedding cache {self.path} is not used in this call: {error}.",
                stacklevel=2,
            )
            return None

    def _set_aside(self, seen, error):
        # Another process may have replaced the file since it was opened here; the
        # new one must stay.
        if seen is None or _identity(self.path) != seen:
            return
        number = 1
        while (target := Path(f"{self.path}.damaged-{number}")).exists():
            number += 1
        try:
            self.path.rename(target)
        except FileNotFoundError:
            return
        # A journal left by a crash belongs to the damaged file, not to the next one.
        journal = Path(f"{self.path}-journal")
        if journal.exists():
            journal.rename(f"{target}-journal")
        warnings.warn(
            f"The embedding cache {self.path} is damaged ({error}). It was renamed to "
            f"{target.name} and is rebuilt; the renamed file can be deleted.",
            stacklevel=2,
        )

    def _checksum(self, key, value):
        digest = hashlib.blake2b(self._salt, digest_size=8)
        digest.update(key)
        digest.update(value)
        return digest.digest()


def _identity(path):
    try:
        status = os.stat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino
