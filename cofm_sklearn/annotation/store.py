"""The file that keeps what people said: SQLite, no pickle, nothing ever deleted."""

import hashlib
import json
import os
import sqlite3
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cofm_sklearn.annotation.history import Event

__all__ = ["AnnotationStore", "DamagedStoreError", "StoreError"]

_APPLICATION_ID = 0x636F666D  # "cofm"
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_EVENT_COLUMNS = "seq, time, annotator, kind, sample, label, target"
# Step n takes a file from version n to n + 1; steps are added, never changed.
_STEPS = [
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL);
    CREATE TABLE event (
        seq INTEGER PRIMARY KEY AUTOINCREMENT, time REAL NOT NULL,
        annotator TEXT NOT NULL, kind TEXT NOT NULL, sample TEXT NOT NULL,
        label TEXT, target INTEGER, checksum BLOB NOT NULL);
    CREATE TRIGGER event_stays BEFORE UPDATE ON event
        BEGIN SELECT RAISE(ABORT, 'the history is never changed'); END;
    CREATE TRIGGER event_is_kept BEFORE DELETE ON event
        BEGIN SELECT RAISE(ABORT, 'the history is never deleted'); END;
    """,
    """
    CREATE TABLE batch (
        number INTEGER PRIMARY KEY NOT NULL, point INTEGER NOT NULL,
        computed INTEGER NOT NULL DEFAULT 0, opened REAL, report TEXT);
    CREATE TABLE question (
        sample TEXT PRIMARY KEY NOT NULL, batch INTEGER NOT NULL,
        position INTEGER NOT NULL, is_open INTEGER NOT NULL DEFAULT 1,
        claimed_by TEXT, claimed_at REAL, details TEXT NOT NULL);
    CREATE INDEX open_question ON question (batch, position) WHERE is_open;
    """,
]


class StoreError(RuntimeError):
    """The file of annotations cannot be used as it is; the message says why."""


class DamagedStoreError(StoreError):
    """The file of annotations is damaged; what could be read was copied.

    Attributes
    ----------
    salvaged : Path or None
        The copy, which can be opened like any other; None if nothing could be read.
    """

    def __init__(self, message, salvaged=None):
        super().__init__(message)
        self.salvaged = salvaged


class AnnotationStore:
    """Events, batches and questions in one SQLite file.

    Several processes may use one file at once. Events are only ever added, each with
    a checksum; a transaction is on the disk when it ends. Samples themselves are not
    stored, only their ids.

    Parameters
    ----------
    path : str or path-like, default=":memory:"
        The file, made if it does not exist. ``":memory:"`` keeps nothing.

    timeout : float, default=30.0
        Seconds to wait for another process that is writing.

    Raises
    ------
    StoreError
        If the file cannot be opened, is locked or read-only, is not a file of
        annotations, or was written by a later version.

    DamagedStoreError
        If the file is damaged.

    Examples
    --------
    >>> from cofm_sklearn.annotation import AnnotationStore
    >>> with AnnotationStore() as store:
    ...     with store.transaction():
    ...         event = store.append("ann", "answer", "s1", '"ham"')
    ...     [(e.seq, e.annotator, e.label) for e in store.events()]
    [(1, 'ann', '"ham"')]
    """

    def __init__(self, path=":memory:", *, timeout=30.0):
        self.path = path if path == ":memory:" else Path(path).expanduser()
        self.timeout = timeout
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._connection = None
        with self._errors(), ExitStack() as failed:
            failed.callback(self.close)
            self._connect()
            self._prepare()
            failed.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        """Close the file; it can be closed twice."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def transaction(self):
        """Do all that is inside at once, or nothing of it; no one writes meanwhile."""
        with self._lock, self._errors():
            self._execute("BEGIN IMMEDIATE")
            try:
                yield self
                self._execute("COMMIT")
            finally:
                self._roll_back()

    def events(self, after=0, upto=None):
        """Read the history.

        Parameters
        ----------
        after : int, default=0
            Number of the last event that is not wanted.

        upto : int or None, default=None
            Number of the last that is.

        Returns
        -------
        list of Event
        """
        upto = 2**62 if upto is None else upto
        rows = self.query(
            f"SELECT {_EVENT_COLUMNS}, checksum FROM event "
            "WHERE seq > ? AND seq <= ? ORDER BY seq",
            (after, upto),
        )
        for *values, checksum in rows:
            if checksum != event_checksum(values):
                raise self._damaged(f"event {values[0]} does not match its checksum")
        return [Event(*values) for *values, _ in rows]

    def samples(self):
        """Return the ids of all samples that the file knows, as a set."""
        rows = self.query("SELECT sample FROM event UNION SELECT sample FROM question")
        return {sample for (sample,) in rows}

    def append(self, annotator, kind, sample, label=None, target=None):
        """Write the next event, inside a transaction; returns it."""
        last = self.query("SELECT max(seq) FROM event")[0][0] or 0
        values = [last + 1, time.time(), annotator, kind, sample, label, target]
        self.insert_event(values)
        return Event(*values)

    def insert_event(self, values):
        """Write one event with the number that it has."""
        self._execute(
            f"INSERT INTO event ({_EVENT_COLUMNS}, checksum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, event_checksum(values)),
        )

    def note(self, key, value=None):
        """Return a note about the whole file as it was first given, else `value`."""
        if value is not None:
            self._execute(
                "INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, json.dumps(value))
            )
        rows = self.query("SELECT value FROM meta WHERE key = ?", (key,))
        return json.loads(rows[0][0]) if rows else None

    def query(self, sql, values=()):
        """Return the rows of a query."""
        with self._lock, self._errors():
            return self._execute(sql, values).fetchall()

    def change(self, sql, values=()):
        """Change batches or questions, inside a transaction."""
        self._execute(sql, values)

    def _execute(self, sql, values=()):
        if self._connection is None:
            raise StoreError(f"The store {self.path} is closed. Open it again.")
        if self._pid != os.getpid():
            raise StoreError(
                f"The store {self.path} was opened by another process. Open the file "
                "again in each process."
            )
        return self._connection.execute(sql, values)

    def _connect(self):
        if self.path != ":memory:" and not self.path.parent.is_dir():
            raise StoreError(
                f"The folder of the store {self.path} does not exist. Make it first."
            )
        # isolation_level=None: transactions are begun by hand, never implicitly. The
        # lock of this object keeps threads apart.
        self._connection = sqlite3.connect(
            self.path,
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
        )

    def _prepare(self):
        self._check_kind()
        self._execute("PRAGMA journal_mode = WAL")
        # An answer is on the disk when `answer` returns, even if the power goes.
        self._execute("PRAGMA synchronous = FULL")
        if self._version() < len(_STEPS):
            self._migrate()
        else:
            # Said now, not at the first answer.
            self._execute("BEGIN IMMEDIATE")
            self._execute("ROLLBACK")
        found = self._execute("PRAGMA quick_check(1)").fetchone()[0]
        if found != "ok":
            raise self._damaged(found)
        self.events()

    def _check_kind(self):
        version = self._version()
        application = self._execute("PRAGMA application_id").fetchone()[0]
        tables = self._execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if application != _APPLICATION_ID and (tables or application or version):
            raise StoreError(
                f"{self.path} is an SQLite file of another program. Name another file."
            )
        if version > len(_STEPS):
            raise StoreError(
                f"The store {self.path} has schema version {version}, but this version "
                f"of cofm_sklearn knows up to {len(_STEPS)}. Update cofm_sklearn."
            )

    def _version(self):
        return self._execute("PRAGMA user_version").fetchone()[0]

    def _migrate(self):
        self._execute("BEGIN IMMEDIATE")
        try:
            # Another process may have done it by now.
            for number in range(self._version(), len(_STEPS)):
                for statement in _statements(_STEPS[number]):
                    self._execute(statement)
                self._execute(f"PRAGMA user_version = {number + 1}")
            self._execute(f"PRAGMA application_id = {_APPLICATION_ID}")
            self._execute("COMMIT")
        finally:
            self._roll_back()

    def _roll_back(self):
        """Take back what was not committed, if there is any."""
        if self._connection is not None and self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    @contextmanager
    def _errors(self):
        """Turn SQLite's errors into ones that say what to do."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            short = code == sqlite3.SQLITE_IOERR_SHORT_READ
            if short or code & 0xFF in _DAMAGE_CODES:
                raise self._damaged(error) from error
            if code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise StoreError(
                    f"The store {self.path} is locked: another program has kept it "
                    f"for more than {self.timeout:g} s. Nothing was written. Close "
                    "that program, or try again."
                ) from error
            if code & 0xFF == sqlite3.SQLITE_READONLY:
                raise StoreError(
                    f"The store {self.path} is read-only. Nothing was written. Allow "
                    "writing to the file and its folder, or copy it."
                ) from error
            raise StoreError(
                f"The store {self.path} cannot be used: {error}."
            ) from error

    def _damaged(self, why):
        from cofm_sklearn.annotation.salvage import salvage

        if self.path == ":memory:":
            return DamagedStoreError(f"The store in memory is damaged: {why}.")
        copy, n_events = salvage(self.path)
        if copy is None:
            return DamagedStoreError(
                f"The store {self.path} is damaged ({why}), and no answer could be "
                "read from it. It was left as it is; use a backup if there is one."
            )
        return DamagedStoreError(
            f"The store {self.path} is damaged ({why}). It was left as it is; the "
            f"{n_events} events that could be read were copied to {copy}. Look at it, "
            "then go on with that file.",
            copy,
        )


def event_checksum(values):
    """Checksum over all columns of an event."""
    text = json.dumps(list(values), ensure_ascii=True)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _statements(script):
    """Split a script; a trigger has a semicolon inside."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
