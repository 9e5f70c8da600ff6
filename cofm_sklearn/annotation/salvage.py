"""Recover the readable events of a damaged file."""

import os
import shutil
import sqlite3
import tempfile
from contextlib import ExitStack, closing
from pathlib import Path

from cofm_sklearn.annotation.damage import (
    DamagedStoreError,
    StoreError,
    row_checksum,
)

__all__ = ["plays_back", "salvage"]

_MAX_EVENTS = 10_000_000
_HEADER, _PAGE, _LEAF = 100, 4096, 0x0D


def salvage(path, why, open_store, aside=None):
    """Copy the readable events of a damaged file into a new file beside it.

    Each event is looked up by its number, forwards and then backwards, and verified by
    its checksum. The damaged file is only read. Batches and questions are not copied:
    open questions will be asked again in new batches. If an earlier copy has these
    events already, perhaps with newer ones, it is used. If no event is readable, the
    copy contains only a note of the loss.

    Parameters
    ----------
    path : Path
        The damaged file.

    why : object
        What is wrong with it.

    open_store : callable
        Opens a store at a path; creates it if it does not exist.

    aside : bytes or None, default=None
        Content of the file before SQLite played back a journal.

    Returns
    -------
    message : str
        What happened, what is missing, and what to do.

    copy : Path or None
        The new file; None if it could not be written.
    """
    try:
        events, notes, last = _read(path, open_store, aside)
    except OSError as error:
        events, notes, last, why = {}, [], 0, f"{why}; {error}"
    missing = [n for n in range(1, max(last, *events, 0) + 1) if n not in events]
    listed = ", ".join(map(str, missing[:20])) + (", ..." if len(missing) > 20 else "")
    if missing:
        lost = f"{len(missing)} are missing (numbers {listed})"
    elif last:
        lost = "none are missing"
    elif events:
        lost = f"those after number {max(events)} are missing, if any"
    else:
        lost = "all content is missing"
    if events:
        found = f"The {len(events)} readable events were copied to"
        cure = "Check that file, then continue with it"
    else:
        found = "No answer could be read from it, which is noted in"
        cure = "Use a backup if there is one, or start again with that file"
    said = f"The store {path} is damaged ({why}). It was not changed."
    try:
        copy = _copy(path, open_store, events, notes, lost)
    except (OSError, StoreError) as error:
        return f"{said} A copy cannot be written ({error}); {lost}.", None
    return f"{said} {found} {copy}, {lost}. {cure}.", copy


def _copy(path, open_store, events, notes, lost):
    """Return a file with the events: an existing one, or a new one."""
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "made.sqlite"
        with open_store(made) as store, store.transaction():
            # Notes of earlier versions have no checksum; the next session writes them
            # again.
            for row in notes:
                store.change("INSERT INTO meta (key, value) VALUES (?, ?)", row)
            for _, row in sorted(events.items()):
                store.insert_event(row)
            saved = f"{len(events)} events of {path.name} were saved"
            store.note("salvaged", f"{saved}; {lost}")
        content = made.read_bytes()
    number = 1
    while True:
        copy = Path(f"{path}.salvaged-{number}")
        try:
            with open(copy, "xb") as file, ExitStack() as failed:
                failed.callback(copy.unlink)
                file.write(content)
                os.fsync(file.fileno())
                failed.pop_all()
            return copy
        except FileExistsError:
            number += 1
        try:
            with open_store(copy) as store:
                there = {
                    event.seq: list(vars(event).values()) for event in store.events()
                }
        except StoreError:
            continue
        # A copy without events does not match a file that has some.
        if there.items() >= events.items() if events else not there:
            return copy


def _read(path, open_store, aside):
    """Return events by number, notes, and the last event's number, 0 if unknown.

    SQLite opens a copy, which it may change by playing back a journal.
    """
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "copy.sqlite"
        for ending in ("", "-journal", "-wal"):
            if Path(f"{path}{ending}").is_file():
                shutil.copyfile(f"{path}{ending}", f"{copy}{ending}")
        found = [_read_copy(copy)]
        if aside is not None:
            copy = Path(folder) / "aside.sqlite"
            copy.write_bytes(aside)
            found.append(_read_copy(copy))
            if len({found[0][3], found[1][3]} - {None}) == 2:
                del found[0]  # the copy has become another file
        if not found[0][2] or len(found[0][0]) < found[0][2]:
            # Only the header or the journal may be damaged.
            for ending in ("-journal", "-wal", "-shm"):
                Path(f"{copy}{ending}").unlink(missing_ok=True)
            if aside is None:
                shutil.copyfile(path, copy)
            _renew_header(copy, Path(folder) / "new.sqlite", open_store)
            found.append(_read_copy(copy))
            if not found[0][0]:
                found.append(
                    (_read_leaves(copy, Path(folder), open_store), [], 0, None)
                )
        events, notes, last, _ = found[0]
        for more, others, latest, _ in found[1:]:
            events, notes = {**more, **events}, notes or others
            last = max(last, latest)
    return events, notes, last


def plays_back(content, journal, open_store):
    """Tell whether playing back a journal gives a sound version of the same file.

    Parameters
    ----------
    content, journal : bytes
        Content of a file, and of the journal that SQLite would play back on opening.

    open_store : callable
        As in `salvage`.

    Returns
    -------
    bool
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "copy.sqlite"
        beside, names = Path(f"{path}-journal"), set()
        path.write_bytes(content)
        for held in (b"", journal):
            beside.write_bytes(held)
            with closing(sqlite3.connect(path)) as connection:
                names.add(_name(connection))
        beside.unlink(missing_ok=True)
        if len(names - {None}) == 2:
            return False
        try:
            open_store(path).close()
        except DamagedStoreError:
            return False
        return True


def _name(connection):
    found = _tallies(connection)
    return found[0][-1] if found else None


def _tallies(connection):
    rows = _rows(
        connection, "SELECT events, last, total, version, file, checksum FROM tally"
    )
    return [row for *row, seal in rows if seal == row_checksum(*row)]


def _renew_header(path, example, open_store):
    """Write the header of this file format."""
    open_store(example).close()
    header = bytearray(example.read_bytes()[:_HEADER])
    header[28:32] = (path.stat().st_size // _PAGE).to_bytes(4, "big")
    with open(path, "r+b") as file:
        file.write(header)


def _read_copy(path):
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = lambda data: data.decode("utf-8", "surrogateescape")
        # Without this, SQLite rejects a truncated file.
        _rows(connection, "PRAGMA writable_schema = ON")
        sealed = _rows(connection, "SELECT key, value, checksum FROM meta")
        notes = [row for *row, seal in sealed if seal == row_checksum(*row)]
        last = _last(connection)
        events = {}
        for number in range(1, _largest(connection, last) + 1):
            row = _event(connection, number)
            if row is not None:
                events[number] = row
        return events, notes, last, _name(connection)


def _read_leaves(path, folder, open_store):
    """Return the events in pages that no table refers to any more.

    Each page is read as if it were the whole table, in a new file.
    """
    example, events = folder / "leaves.sqlite", {}
    open_store(example).close()
    n_pages = example.stat().st_size // _PAGE
    with closing(sqlite3.connect(example)) as connection:
        connection.execute("PRAGMA writable_schema = ON")
        connection.execute(
            "UPDATE sqlite_master SET rootpage = ? WHERE name = 'event'", (n_pages + 1,)
        )
        connection.commit()
    head, content = bytearray(example.read_bytes()), path.read_bytes()
    head[28:32] = (n_pages + 1).to_bytes(4, "big")
    for start in range(_PAGE, len(content), _PAGE):
        page = content[start : start + _PAGE]
        if page[0] == _LEAF:
            example.write_bytes(bytes(head) + page.ljust(_PAGE, b"\0"))
            with closing(sqlite3.connect(example)) as connection:
                for (number,) in _rows(connection, "SELECT seq FROM event"):
                    row = _event(connection, number)
                    if row is not None:
                        events[number] = row
    return events


def _last(connection):
    """Return the number of the last event, recorded in two places; 0 if unknown."""
    found = [row[1] for row in _tallies(connection)]
    sequence = "SELECT seq FROM sqlite_sequence WHERE name = 'event'"
    found += [n for (n,) in _rows(connection, sequence)]
    # The second has no checksum.
    return max((n for n in found if n in range(_MAX_EVENTS)), default=0)


def _largest(connection, last):
    """Return the largest possible event number."""
    ends = [
        row[0]
        for sql in (
            "SELECT max(seq) FROM event",
            "SELECT seq FROM event ORDER BY seq",
            "SELECT seq FROM event ORDER BY seq DESC",
            "SELECT count(*) FROM event",
        )
        for row in _rows(connection, sql)
        if row[0] in range(_MAX_EVENTS)
    ]
    return max([last, *ends])


def _event(connection, number):
    rows = _rows(
        connection,
        "SELECT seq, time, annotator, kind, sample, label, target, checksum "
        f"FROM event WHERE seq = {number}",
    )
    if not rows or not all(isinstance(v, str) for v in rows[0][2:5]):
        return None
    *values, checksum = rows[0]
    return values if checksum == row_checksum(*values) else None


def _rows(connection, sql):
    """Read rows up to the first unreadable one."""
    rows = []
    try:
        for row in connection.execute(sql):
            rows.append(row)
    except (sqlite3.DatabaseError, OverflowError, MemoryError, UnicodeDecodeError):
        pass
    return rows
