"""Annotation file: an append-only history in SQLite, without pickle."""

import json
import os
import signal
import sqlite3
import threading
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cofm_sklearn.annotation.damage import (
    DamagedStoreError,
    StoreError,
    row_checksum,
)
from cofm_sklearn.annotation.history import Event
from cofm_sklearn.annotation.salvage import plays_back, salvage
from cofm_sklearn.utils.forks import take_before_fork

__all__ = ["AnnotationStore", "DamagedStoreError", "StoreError"]

_APPLICATION_ID = 0x636F666D  # "cofm"
_DAMAGE_CODES = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_TOOBIG}
# Columns in the checksum of a row.
_COLUMNS = {
    "event": "seq, time, annotator, kind, sample, label, target",
    "meta": "key, value",
    "batch": "number, point, computed, opened, report",
    "question": "sample, batch, position, is_open, claimed_by, claimed_at, details",
    "tally": "events, last, total, version, file",
}
# Count and sum of the events, to detect pages from another file.
_COUNTED = "count(*), coalesce(max(seq), 0), coalesce(sum(row_number(checksum)), 0)"
# Step n migrates a file from version n to n + 1; steps are added, never changed.
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
    # Checksums for all other tables, and the number of events.
    f"""
    CREATE TABLE tally (
        one INTEGER PRIMARY KEY CHECK (one = 1), events INTEGER NOT NULL,
        last INTEGER NOT NULL, total INTEGER NOT NULL, version INTEGER NOT NULL,
        file TEXT NOT NULL, checksum BLOB);
    INSERT INTO tally (one, events, last, total, version, file)
        SELECT 1, {_COUNTED}, 3, hex(randomblob(8)) FROM event;
    UPDATE tally SET checksum = row_checksum({_COLUMNS["tally"]});
    CREATE TRIGGER event_is_counted AFTER INSERT ON event BEGIN
        UPDATE tally SET events = events + 1, last = NEW.seq,
        total = total + row_number(NEW.checksum); END;
    CREATE TRIGGER tally_update AFTER UPDATE OF {_COLUMNS["tally"]} ON tally BEGIN
        UPDATE tally SET checksum = row_checksum({_COLUMNS["tally"]}); END;
    """
    + "".join(
        f"""
    ALTER TABLE {table} ADD COLUMN checksum BLOB;
    UPDATE {table} SET checksum = row_checksum({_COLUMNS[table]});
    CREATE TRIGGER {table}_insert AFTER INSERT ON {table} BEGIN
        UPDATE {table} SET checksum = row_checksum({_COLUMNS[table]})
        WHERE rowid = NEW.rowid; END;
    CREATE TRIGGER {table}_update AFTER UPDATE OF {_COLUMNS[table]} ON {table} BEGIN
        UPDATE {table} SET checksum = row_checksum({_COLUMNS[table]})
        WHERE rowid = NEW.rowid; END;
    """
        for table in ("meta", "batch", "question")
    ),
    # Check sets and class changes: earlier versions would train on the former, and
    # ignore the latter.
    "UPDATE tally SET version = 4;",
]


class AnnotationStore:
    """Events, batches and questions in one SQLite file.

    Several processes may use one file at once. Events are only ever added; every row
    has a checksum, and the events are counted. A finished transaction is on disk in
    this one file; SQLite's journal exists only during a transaction. Samples are not
    stored, only their ids.

    Parameters
    ----------
    path : str or path-like, default=":memory:"
        The file, created if it does not exist. ``":memory:"`` stores nothing on disk.

    timeout : float, default=30.0
        Seconds to wait while another process writes.

    Raises
    ------
    StoreError
        If the file cannot be opened, is locked or read-only, is not an annotation file,
        or was written by a later version.

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
        # A child forked during a transaction would roll it back on exit, in its
        # parent's file.
        self._lock = take_before_fork(threading.RLock())
        self._transaction = None  # the transaction that holds the lock
        self._pid = os.getpid()
        self._connection = None
        self._damage = None
        self._aside = None
        # Exists while a file is being created.
        self._mark = Path(f"{self.path}-new")
        with self._errors(), ExitStack() as failed:
            failed.callback(self.close)
            self._refuse_text()
            self._connect()
            self._prepare()
            self._aside = None
            self._mark.unlink(missing_ok=True)
            failed.pop_all()

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.close()

    def close(self):
        """Close the file; may be called twice."""
        if self._pid != os.getpid():
            return
        self._end_unfinished()
        with self._lock:
            if self._connection is not None:
                self._connection.close()
            self._connection = None

    def transaction(self):
        """Run an atomic transaction, during which nobody else writes."""
        return _Transaction(self)

    def rows(self, table, where="1", values=()):
        """Read rows of a table, without their checksums.

        Parameters
        ----------
        table : str

        where : str, default="1"
            Condition in SQL, and order.

        values : tuple, default=()
            Values for the condition's question marks.

        Returns
        -------
        list of tuple

        Raises
        ------
        DamagedStoreError
            If a row does not match its checksum.
        """
        found = self.query(
            f"SELECT {_COLUMNS[table]}, checksum FROM {table} WHERE {where}", values
        )
        for *row, checksum in found:
            if checksum != row_checksum(*row):
                raise self.damaged(f"{table} {row[0]!r} does not match its checksum")
        return [tuple(row) for *row, _ in found]

    def events(self, after=0, upto=None):
        """Read the history.

        Parameters
        ----------
        after : int, default=0
            Return only events after this number.

        upto : int or None, default=None
            Number of the last event to return; None returns all.

        Returns
        -------
        list of Event
        """
        upto = 2**62 if upto is None else upto
        where = "seq > ? AND seq <= ? ORDER BY seq"
        return [Event(*row) for row in self.rows("event", where, (after, upto))]

    def samples(self):
        """Return the set of all sample ids in the file."""
        rows = self.query("SELECT sample FROM event UNION SELECT sample FROM question")
        return {sample for (sample,) in rows}

    def last(self):
        """Return the number of the last event; 0 if there are none."""
        return self._tally()[1]

    def append(self, annotator, kind, sample, label=None, target=None):
        """Write the next event, inside a transaction, and return it."""
        values = [self.last() + 1, time.time(), annotator, kind, sample, label, target]
        self.insert_event(values)
        return Event(*values)

    def insert_event(self, values):
        """Write an event that already has a number."""
        self.change(
            f"INSERT INTO event ({_COLUMNS['event']}, checksum) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (*values, row_checksum(*values)),
        )

    def note(self, key, value=None):
        """Return a note about the file; store `value` first if there is none."""
        if value is not None:
            self.change(
                "INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)",
                (key, json.dumps(value)),
            )
        rows = self.rows("meta", "key = ?", (key,))
        return self.load(rows[0][1]) if rows else None

    def load(self, text):
        """Parse the JSON of a row; invalid JSON means damage."""
        try:
            return json.loads(text)
        except (TypeError, ValueError, RecursionError) as error:
            raise self.damaged(f"a row is not JSON: {error}") from error

    def query(self, sql, values=()):
        """Return the rows of a query."""
        self._check_process()
        with self._lock, self._errors():
            return self._execute(sql, values).fetchall()

    def change(self, sql, values=()):
        """Change batches or questions, inside a transaction."""
        with self._errors():
            self._execute(sql, values)

    def _check_process(self):
        # Before taking the lock, which a thread of the other process may hold.
        if self._pid != os.getpid():
            raise StoreError(
                f"The store {self.path} was opened by another process. Open the file "
                "again in each process."
            )

    def _execute(self, sql, values=()):
        self._check_process()
        if self._damage is not None:
            raise self._damage
        if self._connection is None:
            raise StoreError(f"The store {self.path} is closed. Open it again.")
        return self._connection.execute(sql, values)

    def _connect(self):
        if self.path != ":memory:":
            if not self.path.parent.is_dir():
                raise StoreError(
                    f"The folder of the store {self.path} does not exist. Make it "
                    "first."
                )
            if self.path.is_dir():
                raise StoreError(f"The store {self.path} is a folder. Use a file.")
            self._check_empty()
            self._check_journal()
        # isolation_level=None: transactions are started explicitly, never implicitly.
        # This object's lock separates threads.
        self._connection = sqlite3.connect(
            self.path,
            timeout=self.timeout,
            isolation_level=None,
            check_same_thread=False,
        )
        # Invalid text fails its checksum later, not here.
        self._connection.text_factory = lambda data: data.decode(
            "utf-8", "surrogateescape"
        )
        self._connection.create_function("row_checksum", -1, row_checksum)
        self._connection.create_function("row_number", 1, row_number)

    def _check_empty(self):
        """Start a new file; an empty existing file may be damaged."""
        # SQLite leaves an empty file if it is killed before the first write.
        try:
            if not self.path.exists():
                self._mark.touch()
            elif self._is_empty() and not self._mark.exists() and self._is_empty():
                raise self.damaged("it is empty")
        except OSError as error:
            raise self._not_writable(error) from error

    def _is_empty(self):
        return self.path.stat().st_size == 0

    def _check_journal(self):
        """Reject a bad journal before SQLite plays it back."""
        held = self._file_and_journal()
        while held is not None and not plays_back(held[0], held[1], AnnotationStore):
            self._aside = held[0]
            held = self._file_and_journal()
            if held is not None and held[0] == self._aside:  # nobody is writing
                raise self.damaged(
                    "the journal beside it is damaged, or belongs to another file"
                )
        self._aside = None if held is None else held[0]

    def _file_and_journal(self):
        if self._mark.exists():
            return None
        try:
            return self.path.read_bytes(), Path(f"{self.path}-journal").read_bytes()
        except FileNotFoundError:  # the other process has deleted the journal
            return None

    def _prepare(self):
        self._check_kind()
        found = self._execute("PRAGMA integrity_check(1)").fetchone()[0]
        if found != "ok":
            raise self.damaged(found)
        if self._version():
            self.events()  # before anything is written
        # Earlier versions kept the last answers in a second file, which could get lost.
        self._execute("PRAGMA journal_mode = DELETE")
        # An answer is on disk when `answer` returns, even after a power failure.
        self._execute("PRAGMA synchronous = EXTRA")
        if self._version() < len(_STEPS):
            self._migrate()
        else:
            # Fail now, not at the first answer.
            self._execute("BEGIN IMMEDIATE")
            self._execute("ROLLBACK")
        with self.transaction():
            for table in _COLUMNS:
                self.rows(table)
            self._check_tally()

    def _tally(self):
        rows = self.rows("tally")
        if len(rows) != 1:
            raise self.damaged("the count of its events is missing")
        return rows[0]

    def _check_tally(self):
        counted = self._tally()[:3]
        found = self.query(f"SELECT {_COUNTED} FROM event")[0]
        if found != counted:
            raise self.damaged(
                f"it has {found[0]} events up to number {found[1]}, instead of "
                f"{counted[0]} up to number {counted[1]}, or other ones"
            )

    def _check_kind(self):
        version = self._version()
        application = self._execute("PRAGMA application_id").fetchone()[0]
        names = self._execute("SELECT name FROM sqlite_master").fetchall()
        tables = {name for (name,) in names}
        if {"event", "event_stays"} <= tables:  # whatever is in the header
            if "tally" in tables:
                *_, sealed, _ = self._tally()
            else:
                sealed = 2 if "batch" in tables else 1
            if application != _APPLICATION_ID or sealed != version:
                raise self.damaged("its header is not that of its tables")
        elif tables or application or version:
            if application == _APPLICATION_ID:
                raise self.damaged("its tables are missing")
            raise StoreError(
                f"{self.path} is an SQLite file of another program. Use another file."
            )
        if version > len(_STEPS):
            raise StoreError(
                f"The store {self.path} has schema version {version}, but this version "
                f"of cofm_sklearn knows up to {len(_STEPS)}. Update cofm_sklearn."
            )

    def _version(self):
        return self._execute("PRAGMA user_version").fetchone()[0]

    def _migrate(self):
        with self.transaction():
            # Another process may have done it already.
            for number in range(self._version(), len(_STEPS)):
                for statement in _statements(_STEPS[number]):
                    self._execute(statement)
                self._execute(f"PRAGMA user_version = {number + 1}")
            self._execute(f"PRAGMA application_id = {_APPLICATION_ID}")

    @contextmanager
    def _errors(self):
        """Convert SQLite's errors to errors that say what to do."""
        try:
            yield
        except (MemoryError, UnicodeDecodeError) as error:
            # From a row that claims to be huge, or a message that quotes invalid text.
            raise self.damaged(error) from error
        except sqlite3.DatabaseError as error:
            code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
            short = code == sqlite3.SQLITE_IOERR_SHORT_READ
            if "user-defined function" in str(error):
                # Only Ctrl-C can stop `row_checksum`, and SQLite hides it.
                raise KeyboardInterrupt from error
            missing = str(error).startswith("no such ")
            if short or missing or code & 0xFF in _DAMAGE_CODES:
                raise self.damaged(error) from error
            if code & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
                raise StoreError(
                    f"The store {self.path} is locked: another program has kept it "
                    f"for more than {self.timeout:g} s. Nothing was written. Close "
                    "that program, or try again."
                ) from error
            if code & 0xFF in {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN}:
                raise self._not_writable(error) from error
            if code & 0xFF == sqlite3.SQLITE_FULL:
                raise StoreError(
                    f"The disk of the store {self.path} is full. Nothing was written. "
                    "Free some space, and try again."
                ) from error
            raise StoreError(
                f"The store {self.path} cannot be used: {error}."
            ) from error

    def _not_writable(self, error):
        try:
            gone = self._connection is not None and not Path(self.path).exists()
        except OSError:  # a folder that cannot be read
            gone = False
        if gone:
            return StoreError(
                f"The store {self.path} was deleted or moved while it was open. "
                "Nothing was written. Move the file back; the session can still export "
                "its labels."
            )
        return StoreError(
            f"The store {self.path} is read-only or cannot be opened ({error}). "
            "Nothing was written. Make the file and its folder writable, or copy it "
            "to a writable disk."
        )

    def _refuse_text(self):
        """Tell a table of labels from a damaged file, which has NUL bytes."""
        try:
            with open(self.path, "rb") as file:
                start = file.read(4096)
        except OSError:  # no file yet, in memory, or not readable: SQLite will tell
            return
        if b"\n" in start and b"\0" not in start:
            raise StoreError(
                f"{self.path} is a text file, not the file of a session. Give another "
                "path, where it is created; import_labels reads labels from tables."
            )

    def damaged(self, why):
        """Return an error for a damaged file; the answers are copied once."""
        if self._damage is None:
            if self.path == ":memory:":
                message, copy = f"The store in memory is damaged: {why}.", None
            else:
                message, copy = salvage(self.path, why, AnnotationStore, self._aside)
            self._damage = DamagedStoreError(message, copy)
        return self._damage

    def _end_unfinished(self):
        """Roll back a transaction of this thread that was entered and never left."""
        if self._lock._is_owned():
            if self._transaction is None:
                self._let_go()
            else:
                self._transaction._leave()

    def _let_go(self):
        """Roll back what was not committed, and release the lock."""
        with self._errors():
            if self._connection is not None and self._connection.in_transaction:
                self._connection.rollback()
        while self._lock._is_owned():
            self._transaction = None
            self._lock.release()


class _Transaction:
    """A transaction, committed or rolled back; no interruption leaves a lock.

    Ctrl-C is delayed until it has ended. Nothing else would work, as Ctrl-C may come
    before the first line of any cleanup.
    """

    def __init__(self, store):
        self._store = store
        self._handler = None
        self._interrupted = False

    def __enter__(self):
        store = self._store
        store._check_process()
        store._end_unfinished()
        self._defer()
        begun = False
        try:
            store._lock.acquire()
            store._transaction = self
            with store._errors():
                store._execute("BEGIN IMMEDIATE")
            begun = True
        finally:
            if not begun:
                self._leave()
        return store

    def __exit__(self, kind, error, trace):
        try:
            if kind is None:
                with self._store._errors():
                    self._store._execute("COMMIT")
        finally:
            self._leave()

    def _leave(self):
        try:
            self._store._let_go()
        finally:
            handler, self._handler = self._handler, None
            if handler is not None:
                signal.signal(signal.SIGINT, handler)
                if self._interrupted:
                    handler(signal.SIGINT, None)

    def _defer(self):
        # Python interrupts only its main thread.
        if threading.current_thread() is threading.main_thread():
            handler = signal.getsignal(signal.SIGINT)
            if callable(handler):
                self._handler = handler
                signal.signal(signal.SIGINT, self._note)

    def _note(self, number, frame):
        self._interrupted = True


def row_number(checksum):
    """Return a part of a checksum as a 32-bit number, for sums."""
    return int.from_bytes(checksum[:4], "big") if isinstance(checksum, bytes) else 0


def _statements(script):
    """Split a script; a trigger has a semicolon inside."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
