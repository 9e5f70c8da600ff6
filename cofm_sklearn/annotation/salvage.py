"""Copy what can still be read out of a damaged file."""

import sqlite3
from contextlib import closing
from pathlib import Path

__all__ = ["salvage"]

_MAX_MISSES = 100_000


def salvage(path):
    """Copy the events that can be read into a new file beside the damaged one.

    Each event is looked up by its number, forwards and then backwards, and compared
    with its checksum. The damaged file is only read. Batches and questions are left
    out: questions that were open are asked again in new batches.

    Parameters
    ----------
    path : Path
        The damaged file.

    Returns
    -------
    copy : Path or None
        The new file; None if there is nothing to copy.

    n_events : int
        Events in it.
    """
    from cofm_sklearn.annotation.store import AnnotationStore

    events, notes = _read(path)
    if not events:
        return None, 0
    number = 1
    while (copy := Path(f"{path}.salvaged-{number}")).exists():
        number += 1
    with AnnotationStore(copy) as store, store.transaction():
        for key, value in notes:
            store.change("INSERT OR IGNORE INTO meta VALUES (?, ?)", (key, value))
        for values in events:
            store.insert_event(values)
    return copy, len(events)


def _read(path):
    # A write-ahead log beside the file is read as well.
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        # Without this, SQLite refuses a file that has been cut off.
        connection.execute("PRAGMA writable_schema = ON")
        notes = _rows(connection, "SELECT key, value FROM meta")
        events = [_event(connection, n) for n in _numbers(connection)]
        return [event for event in events if event is not None], notes


def _numbers(connection):
    """Every number that an event may have."""
    ends = [
        row[0]
        for sql in (
            "SELECT max(seq) FROM event",
            "SELECT seq FROM sqlite_sequence WHERE name = 'event'",
            "SELECT seq FROM event ORDER BY seq",
            "SELECT seq FROM event ORDER BY seq DESC",
            "SELECT count(*) FROM event",
        )
        for row in _rows(connection, sql)
        if isinstance(row[0], int)
    ]
    return range(1, min(max(ends, default=0), _MAX_MISSES + len(ends)) + 1)


def _event(connection, number):
    from cofm_sklearn.annotation.store import event_checksum

    rows = _rows(
        connection,
        "SELECT seq, time, annotator, kind, sample, label, target, checksum "
        f"FROM event WHERE seq = {number}",
    )
    if not rows or not all(isinstance(v, str) for v in rows[0][2:5]):
        return None
    *values, checksum = rows[0]
    return values if checksum == event_checksum(values) else None


def _rows(connection, sql):
    """Read rows up to the first that cannot be read."""
    rows = []
    try:
        for row in connection.execute(sql):
            rows.append(row)
    except (sqlite3.DatabaseError, OverflowError, UnicodeDecodeError):
        pass
    return rows
