"""Kill, damage and interrupt sessions at random; no answer may be lost silently.

    python -m tests.properties.endure --kills 500 --damages 1000 --interrupts 1000

Kills: a process that answers, corrects, skips, undoes, imports, exports and opens files
of an earlier version is killed at a random moment, sometimes in the middle of a write;
what its calls had returned must be in the file, in order.

Damages: flipped bits, cut ends, stale or foreign pages, lost and foreign side files,
emptied and swapped files, over files at rest, files left in the middle of a
transaction, and exports. Either all answers are there, or one clear error names a copy
and every answer that is not in it, each time the file is opened. A spoilt export
changes no answer of the session that it came from; elsewhere it ends in labels or in a
clear error.

Interrupts: as many Ctrl-Cs, and as many forks beside threads that write and train. No
call hangs, no lock is left, and a child gets an error if it uses its parent's session.
"""

import argparse
import contextlib
import faulthandler
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections import Counter
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn.annotation import (
    AnnotationSession,
    AnnotationStore,
    DamagedStoreError,
    StoreError,
)
from cofm_sklearn.annotation.identity import sample_ids
from cofm_sklearn.annotation.store import _STEPS, _statements, row_checksum

X, Y = make_blobs([60, 60], n_features=3, random_state=0)
IDS = sample_ids(X)
LONGEST_S = 60  # limit for any process
WAYS_OF_ANY_FILE = ["bit", "bits", "cut", "zeros", "noise", "longer", "swapped", "lost"]
WAYS = [
    *("stale page", "foreign page", "lost journal", "cut journal"),
    *("bit in the journal", "foreign journal"),
]
EXPORTS = ["out.csv", "out.jsonl", "out.parquet"]


def open_session(path, **settings):
    settings = {"classes": [0, 1], "n_instances": 5, **settings}
    return AnnotationSession(X, GaussianNB(), store=path, **settings)


def events_of(store):
    return [[e.annotator, e.kind, e.sample, e.label, e.target] for e in store.events()]


# Random actions on a session.


def act(session, rng, folder):
    """Perform one action that writes."""
    people = ["ann", "bob"]
    name = rng.choice(people)
    said = session.export()
    verb = rng.choice(
        ["answer", "answer", "answer", "skip", "relabel", "undo", "import", "export"]
    )
    if verb in ("answer", "skip"):
        asked = session.ask(rng.randint(1, 3), annotator=name)
        if asked and verb == "answer":
            ids, labels = [q.id for q in asked], [int(Y[q.index]) for q in asked]
            session.answer(ids, labels, name)
        elif asked:
            session.skip(asked[0].id, name)
    elif verb == "relabel" and len(said):
        session.relabel(rng.choice(said["id"].tolist()), rng.randint(0, 1), name)
    elif verb == "undo" and name in set(said["annotator"]):
        session.undo(name)
    elif verb == "import":
        rows = [(rng.choice(IDS), rng.randint(0, 1), name) for _ in range(20)]
        session.import_labels(rows, overwrite=rng.random() < 0.5)
    elif verb == "export":
        session.export(folder / rng.choice(EXPORTS))


def write_earlier_version(path, n_events):
    """Write a file as version 2 did, with its last events in a write-ahead log."""
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old.sqlite"
        connection = sqlite3.connect(old, isolation_level=None)
        connection.execute("PRAGMA journal_mode = WAL")
        for step in _STEPS[:2]:
            for statement in _statements(step):
                connection.execute(statement)
        connection.execute("PRAGMA user_version = 2")
        connection.execute(f"PRAGMA application_id = {0x636F666D}")
        for seq in range(1, n_events + 1):
            row = [seq, float(seq), "ann", "import", IDS[seq], "1", None]
            connection.execute(
                "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [*row, row_checksum(*row)],
            )
        for ending in ("", "-wal"):
            shutil.copy(f"{old}{ending}", f"{path}{ending}")
        connection.close()


# Processes.


def in_child(work):
    """Run work in a forked process; return its id."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        work()
        code = 0
    finally:  # the child must never go on as the test run
        if code:
            traceback.print_exc()
            sys.stderr.flush()
        os._exit(code)


def wait_for(pid, why):
    """Wait for a process; stop it and fail if it hangs."""
    end = time.monotonic() + LONGEST_S
    while time.monotonic() < end:
        found, status = os.waitpid(pid, os.WNOHANG)
        if found:
            return status
        time.sleep(0.002)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    raise AssertionError(f"{why} hangs")


# Kills.


def work_and_tell(path, log, seed):
    """Perform actions forever, and log the content of the file after each."""
    rng = random.Random(seed)
    with open_session(path, background=rng.random() < 0.5) as session:
        while True:
            held = events_of(session.store)
            os.write(log, json.dumps(held).encode() + b"\n")
            act(session, rng, path.parent)


def kills(n, seed):
    """Kill processes n times; return the number of files."""
    rng, n_files, n_killed = random.Random(seed), 0, 0
    while n_killed < n:
        n_files += 1
        with tempfile.TemporaryDirectory() as folder:
            path, log_path = Path(folder) / "s.sqlite", Path(folder) / "log"
            if rng.random() < 0.3:
                write_earlier_version(path, 40)
            for _ in range(rng.randint(1, 6)):
                log = os.open(log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
                pid = in_child(partial(work_and_tell, path, log, rng.random()))
                time.sleep(rng.uniform(0.01, 0.5))
                os.kill(pid, signal.SIGKILL)
                status = os.waitpid(pid, 0)[1]
                os.close(log)
                assert os.WIFSIGNALED(status), "it ended before it was killed"
                n_killed += 1
                whole_lines = log_path.read_bytes().split(b"\n")[:-1]
                held = json.loads(whole_lines[-1]) if whole_lines else []
                with AnnotationStore(path) as store:
                    found = events_of(store)
                assert found[: len(held)] == held, "an answer is gone"
                check_exports(path.parent)
                if n_killed == n:
                    break
    return n_files


def check_exports(folder):
    """Check that existing exports are complete."""
    for path in folder.glob("out.*"):
        with open_session(":memory:", background=False) as session:
            session.import_labels(path)


# Damages.


def scene(folder, seed):
    """Create files of two sessions; return the files and their content."""
    rng, made = random.Random(seed), []
    for name in ("one", "two"):
        (folder / name).mkdir()
        path = folder / name / "s.sqlite"
        with open_session(path, background=False) as session:
            for _ in range(rng.randint(3, 25)):
                with contextlib.suppress(ValueError):
                    act(session, rng, path.parent)
            early = path.read_bytes()
            for _ in range(rng.randint(1, 10)):
                with contextlib.suppress(ValueError):
                    act(session, rng, path.parent)
            held = events_of(session.store)
            for export in EXPORTS:
                session.export(path.with_name(export), checksum=True)
        made.append((path, held, early))
        leave_in_the_middle(path, folder / name / "middle.sqlite", rng)
    return made


def leave_in_the_middle(path, target, rng):
    """Copy a file with its journal during a transaction."""
    shutil.copy(path, target.with_name("writing.sqlite"))
    with AnnotationStore(target.with_name("writing.sqlite")) as store:
        store.query("PRAGMA cache_size = 1")  # pages go to the file at once
        with contextlib.suppress(InterruptedError), store.transaction():
            for _ in range(rng.randint(1, 200)):
                store.append("eve", "import", rng.choice(IDS), "0")
            for ending in ("", "-journal"):
                written = target.with_name(f"writing.sqlite{ending}")
                if written.exists():
                    shutil.copy(written, f"{target}{ending}")
            raise InterruptedError


def spoil(path, way, other, rng):
    """Damage a file of any type."""
    content = bytearray(path.read_bytes())
    start = rng.randrange(max(len(content), 1))
    if way in ("bit", "bits") and content:
        for _ in range(1 if way == "bit" else rng.randint(2, 40)):
            content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    elif way == "cut":
        del content[start:]
    elif way in ("zeros", "noise"):
        n = rng.choice([1, 16, 512, 4096])
        filling = bytes(n) if way == "zeros" else rng.randbytes(n)
        content[start : start + n] = filling[: len(content) - start]
    elif way == "longer":
        content += rng.randbytes(rng.choice([1, 4096]))
    elif way == "swapped":
        content = bytearray(other.read_bytes())
    elif way == "lost":
        content = bytearray()
    path.write_bytes(content)


def damage(path, other, early, rng):
    """Damage a session's file in one of many ways; return the name of the way."""
    content, journal = bytearray(path.read_bytes()), Path(f"{path}-journal")
    way = rng.choice(WAYS_OF_ANY_FILE + WAYS)
    page = 4096 * rng.randrange(max(len(content) // 4096, 1))
    if way in WAYS_OF_ANY_FILE:
        spoil(path, way, other, rng)
    elif way in ("stale page", "foreign page"):
        there = early if way == "stale page" else other.read_bytes()
        content[page : page + 4096] = there[page : page + 4096]
        path.write_bytes(content)
    elif way == "lost journal":
        journal.unlink(missing_ok=True)
    elif way == "foreign journal":
        foreign = other.with_name("middle.sqlite-journal")
        if foreign.exists():
            shutil.copy(foreign, journal)
    elif journal.exists():
        spoil(journal, "bit" if way == "bit in the journal" else "cut", journal, rng)
    return way


def check_damaged(path, way, held, others):
    """Open a damaged file, and check the outcome; return its name."""
    found, error = go_on(path)
    if error:
        note = check_salvaged(error, held, others)
        assert note in str(error), "the copy does not say what is missing"
        _, again = go_on(path)
        assert again, "damaged at first, and then not"
        assert again.salvaged == error.salvaged, "salvaged twice"
        check_salvaged(again, held, others)
        return "error with a copy"
    # It has become the other file, which is valid by itself.
    whole = [held, others] if way == "swapped" else [held]
    assert any(found[: len(one)] == one for one in whole), "lost in silence"
    return "right labels"


def go_on(path):
    """Use a session as a person would; return its events, or the error."""
    try:
        with open_session(path, background=False) as session:
            session.progress()
            session.export()
            for question in session.ask(2):
                session.answer(question.id, 1)
            return events_of(session.store), None
    except DamagedStoreError as error:
        return None, error


def check_salvaged(error, held, others):
    """Check that no answer is missing silently; return the note of the copy."""
    message = str(error)
    assert error.salvaged is not None, "no copy"
    with AnnotationStore(error.salvaged) as store:
        events, note = store.events(), store.note("salvaged")
    note = note.partition("; ")[2]
    saved = {e.seq: [e.annotator, e.kind, e.sample, e.label, e.target] for e in events}
    if list(saved.values()) == others:  # it was swapped
        return note
    gone = [
        seq
        for seq, row in enumerate(held, 1)
        if saved.get(seq) not in (row, others[seq - 1] if seq <= len(others) else row)
    ]
    for seq in gone:
        assert seq not in saved or saved[seq][0] == "eve", "a label has changed"
    said = re.search(r"(\d+) are missing \(numbers ([\d, .]+)\)", message)
    after = re.search(r"those after number (\d+) are missing", message)
    if said and said[2].endswith("..."):
        assert int(said[1]) >= len(gone), "more are missing in silence"
    elif said or after:
        named = set(said[2].split(", ")) if said else set()
        for seq in gone:
            known = str(seq) in named or (after and seq > int(after[1]))
            assert known, f"{seq} is missing in silence"
    else:
        assert not gone or "all content is missing" in message
    return note


def check_export(path, way, source):
    """Import a damaged export; return the name of the outcome."""
    with open_session(source, background=False) as session:
        before = labels_of(session)
        with contextlib.suppress(ValueError):
            session.import_labels(path)
        assert labels_of(session).items() >= before.items(), "a label has changed"
    with open_session(":memory:", background=False) as session:
        try:
            session.import_labels(path)
        except ValueError:
            assert not session.store.events()
            return "export: clear error"
        found = labels_of(session)
    assert found == before, "a spoilt export was taken for a whole one"
    return "export: right labels"


def labels_of(session):
    frame = session.export()
    return {(r.id, r.annotator): r.label for r in frame.itertuples()}


def damages(n, seed):
    """Damage files n times; return the count of each outcome."""
    rng, ends, done = random.Random(seed), Counter(), 0
    while done < n:
        with tempfile.TemporaryDirectory() as folder:
            one, two = scene(Path(folder), rng.random())
            for _ in range(min(50, n - done)):
                work = Path(folder) / "work"
                shutil.rmtree(work, ignore_errors=True)
                work.mkdir()
                source = rng.choice(["s.sqlite", "middle.sqlite", "export"])
                try:
                    if source == "export":
                        source = rng.choice(EXPORTS)
                        shutil.copy(one[0], work / "s.sqlite")
                        for name in (source, f"{source}.sha256"):
                            shutil.copy(one[0].with_name(name), work / name)
                        way = rng.choice(WAYS_OF_ANY_FILE)
                        spoil(work / source, way, two[0].with_name(source), rng)
                        end = check_export(work / source, way, work / "s.sqlite")
                    else:
                        for ending in ("", "-journal"):
                            path = one[0].with_name(f"{source}{ending}")
                            if path.exists():
                                shutil.copy(path, work / f"s.sqlite{ending}")
                        way = damage(work / "s.sqlite", two[0], one[2], rng)
                        end = check_damaged(work / "s.sqlite", way, one[1], two[1])
                except BaseException as error:
                    error.add_note(f"damage {done}: {way} in {source}")
                    raise
                ends[end] += 1
                done += 1
    return ends


# Ctrl-C and forks.


def go_on_in_spite_of_ctrl_c(path, ready, seed):
    """Work until Ctrl-C, repeatedly; check for locks each time."""
    rng, kept = random.Random(seed), []
    stop: list = []
    faulthandler.enable()
    signal.signal(signal.SIGTERM, lambda *_: stop.append(True))
    with open_session(path, background=rng.random() < 0.5) as session:
        os.write(ready, b"!")
        while not stop:
            try:
                signal.signal(signal.SIGINT, signal.default_int_handler)
                while not stop:
                    os.write(ready, b",")
                    with contextlib.suppress(ValueError):
                        act(session, rng, path.parent)
            except KeyboardInterrupt as error:
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                kept.append(error)  # with its traceback, as a notebook does
                with AnnotationStore(path, timeout=5) as other, other.transaction():
                    pass
                free = threading.Thread(target=session.store.events, daemon=True)
                free.start()
                free.join(LONGEST_S / 2)
                assert not free.is_alive(), "a thread waits for ever"
                os.write(ready, b".")


def ctrl_cs(n, seed):
    rng, done = random.Random(seed), 0
    while done < n:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "s.sqlite"
            told, ready = os.pipe()
            os.set_blocking(told, False)
            seeded = partial(go_on_in_spite_of_ctrl_c, path, ready, rng.random())
            pid = in_child(seeded)
            read_one(told, pid)
            for _ in range(min(50, n - done)):
                time.sleep(rng.uniform(0, 0.05))
                os.kill(pid, signal.SIGINT)
                read_one(told, pid)
                done += 1
            os.kill(pid, signal.SIGTERM)
            status = wait_for(pid, "a process after Ctrl-C")
            assert status == 0, f"it ended with {status}"
            os.close(told)
            os.close(ready)


def read_one(told, pid):
    """Wait until the process reports that it has recovered."""
    heard = sent = time.monotonic()
    while (now := time.monotonic()) < heard + LONGEST_S:
        said = b""
        with contextlib.suppress(BlockingIOError):
            said = os.read(told, 4096)
        if {*said} & {*b"!."}:
            return
        heard = now if said else heard
        if said and now > sent + 0.5:  # Python drops what comes while it cleans up
            sent = now
            os.kill(pid, signal.SIGINT)
        assert os.waitpid(pid, os.WNOHANG)[0] == 0, "it ended after Ctrl-C"
        time.sleep(0.001)
    os.kill(pid, signal.SIGABRT)  # shows where, if it has a fault handler
    raise AssertionError("a process hangs after Ctrl-C")


def forks(n, seed):
    """Fork beside a thread that writes and one that trains."""
    rng = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        path, stop, failed = Path(folder) / "s.sqlite", threading.Event(), []
        with open_session(path) as session:

            def write():
                mine = random.Random(seed)
                while not stop.is_set():
                    try:
                        with contextlib.suppress(ValueError):
                            act(session, mine, path.parent)
                    except (RuntimeError, OSError) as error:
                        failed.append(error)
                        return

            def answer():
                session.answer(IDS[0], 1)

            def close():
                session.close()
                session.store.close()

            def told():
                refused = 0
                for verb in (session.ask, session.undo, answer, session.progress):
                    try:
                        verb()
                    except StoreError:
                        refused += 1
                close()
                assert refused == 4, "it was not told"

            writer = threading.Thread(target=write)
            writer.start()
            for _ in range(n):
                time.sleep(rng.uniform(0, 0.01))
                assert wait_for(in_child(told), "a forked child") == 0
            stop.set()
            writer.join(LONGEST_S)
            assert not failed, failed
            held = events_of(session.store)
        with AnnotationStore(path, timeout=1) as store, store.transaction():
            assert events_of(store) == held


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=500)
    parser.add_argument("--damages", type=int, default=1000)
    parser.add_argument("--interrupts", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    warnings.simplefilter("ignore", UserWarning)  # of labels that are left out
    n_files = kills(options.kills, options.seed)
    print(f"{options.kills} kills over {n_files} files: no answer lost", flush=True)
    ends = damages(options.damages, options.seed)
    print(f"{options.damages} damages: {dict(ends)}", flush=True)
    ctrl_cs(options.interrupts, options.seed)
    print(f"{options.interrupts} times Ctrl-C: no hang, no lock left", flush=True)
    forks(options.interrupts, options.seed)
    print(f"{options.interrupts} forks: no hang, no lock left", flush=True)


if __name__ == "__main__":
    np.seterr(all="ignore")
    main()
