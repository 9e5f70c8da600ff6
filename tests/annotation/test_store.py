"""The annotation file: its content, its locks, and the detection of damage."""

import contextlib
import os
import shutil
import signal
import sqlite3
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn.annotation import (
    AnnotationSession,
    AnnotationStore,
    AnnotationWidget,
    DamagedStoreError,
    StoreError,
)
from cofm_sklearn.annotation.identity import sample_ids
from cofm_sklearn.annotation.store import _STEPS, _statements, row_checksum

X, Y = make_blobs([30, 30], n_features=3, random_state=0)
IDS = sample_ids(X)


def open_session(path, **settings):
    settings = {"classes": [0, 1], "n_instances": 4, "background": False, **settings}
    return AnnotationSession(X, GaussianNB(), store=path, **settings)


def label(session, n, annotator=None):
    for question in session.ask(n, annotator=annotator):
        session.answer(question.id, int(Y[question.index]), annotator)


@pytest.fixture
def path(tmp_path):
    """A file with 12 answers, a skip, a correction, and two batches behind it."""
    path = tmp_path / "s.sqlite"
    with open_session(path) as session:
        label(session, 12)
        session.skip(session.ask()[0].id)
        session.relabel(session.export()["id"][0], 0)
    return path


def change_by_hand(path, sql, values=()):
    """Change a file without its checks."""
    with contextlib.closing(sqlite3.connect(path)) as connection:
        triggers = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type = 'trigger'"
        ).fetchall()
        for name, _ in triggers:
            connection.execute(f"DROP TRIGGER {name}")
        assert connection.execute(sql, values).rowcount > 0
        for _, statement in triggers:
            connection.execute(statement)
        connection.commit()


def test_answers_stand_in_the_file_itself(tmp_path):
    """Copy a file in the middle of a session, without its companion files."""
    path, copy = tmp_path / "s.sqlite", tmp_path / "copy.sqlite"
    with open_session(path) as session:
        for n in range(1, 9):
            label(session, 1)
            shutil.copy(path, copy)
            with AnnotationStore(copy) as store:
                assert len(store.events()) == n
        assert not list(tmp_path.glob("s.sqlite-*"))


@pytest.mark.parametrize("version", [1, 2])
def test_file_of_an_earlier_version_is_opened_with_its_log(tmp_path, version):
    """The last answers are in a write-ahead log, as after a kill."""
    old, path = tmp_path / "old.sqlite", tmp_path / "s.sqlite"
    connection = sqlite3.connect(old, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    for step in _STEPS[:version]:
        for statement in _statements(step):
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {version}")
    connection.execute(f"PRAGMA application_id = {0x636F666D}")
    connection.execute("INSERT INTO meta VALUES ('classes', '[0, 1]')")
    for seq in (1, 2, 3):
        row = [seq, 1.5 * seq, "ann", "import", IDS[seq], "1", None]
        connection.execute(
            "INSERT INTO event VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [*row, row_checksum(*row)],
        )
    for ending in ("", "-wal"):
        shutil.copy(f"{old}{ending}", f"{path}{ending}")
    connection.close()
    with open_session(path) as session:
        assert session.export()["id"].tolist() == IDS[1:4]
        label(session, 5)
    with open_session(path) as session:
        assert len(session.export()) == 8
    assert not list(tmp_path.glob("s.sqlite-*"))


@pytest.mark.parametrize(
    ("table", "sql"),
    [
        ("event", "UPDATE event SET label = '7' WHERE seq = 3"),
        ("event", "UPDATE event SET annotator = x'00' WHERE seq = 3"),
        ("event", "UPDATE event SET kind = CAST(x'ff' AS TEXT) WHERE seq = 3"),
        ("event", "UPDATE event SET time = 'x' WHERE seq = 3"),
        ("meta", "UPDATE meta SET value = '[0, 1' WHERE key = 'classes'"),
        ("meta", "UPDATE meta SET value = x'5b'"),
        ("batch", "UPDATE batch SET report = '{\"stop\": 0}' WHERE number = 1"),
        ("batch", "UPDATE batch SET report = x'ff' WHERE number = 1"),
        ("batch", "UPDATE batch SET computed = 'one' WHERE number = 1"),
        ("batch", "UPDATE batch SET point = 1e300 WHERE number = 1"),
        ("question", "UPDATE question SET details = '{}' WHERE position = 1"),
        ("question", "UPDATE question SET details = '[' WHERE position = 1"),
        ("question", "UPDATE question SET claimed_at = 'now' WHERE position = 1"),
        ("question", "UPDATE question SET sample = x'00' WHERE batch = 1 LIMIT 1"),
        ("tally", "UPDATE tally SET last = 99"),
        ("tally", "UPDATE tally SET file = x'00'"),
        ("it has", "DELETE FROM event WHERE seq = 5"),
        ("it has", "DELETE FROM event WHERE seq > 9"),
        ("tally", "UPDATE tally SET events = 'x'"),
        ("count of its events is missing", "DELETE FROM tally"),
    ],
)
def test_a_changed_row_is_seen_when_the_file_is_opened(path, table, sql):
    sql = sql.replace(" LIMIT 1", " AND position = 0")
    with AnnotationStore(path) as store:
        whole = store.events()
    change_by_hand(path, sql)
    with pytest.raises(DamagedStoreError, match=table) as caught:
        open_session(path).ask()
    with AnnotationStore(caught.value.salvaged) as store:
        saved = store.events()
    assert set(saved) <= set(whole)
    assert len(whole) - len(saved) == {
        "DELETE FROM event WHERE seq = 5": 1,
        "DELETE FROM event WHERE seq > 9": 5,
    }.get(sql, "event SET" in sql)
    # The next call is told of the same copy, also after work has gone on with it.
    with open_session(caught.value.salvaged) as session:
        label(session, 2)
    with pytest.raises(DamagedStoreError) as again:
        open_session(path)
    assert again.value.salvaged == caught.value.salvaged
    assert len(list(path.parent.glob("*salvaged*"))) == 1


@pytest.mark.parametrize("sql", ["UPDATE batch SET report = '['", "DELETE FROM batch"])
def test_damage_in_the_middle_of_a_session(path, sql):
    with open_session(path) as session:
        widget = AnnotationWidget(session)
        change_by_hand(path, sql)
        for _ in range(3):
            reply = widget.handle({"type": "hello", "seq": 1})
            assert "is damaged" in reply["error"]
            assert reply["ack"] == 1
            with pytest.raises(DamagedStoreError):
                session.progress()
    assert len(list(path.parent.glob("*salvaged*"))) == 1


@pytest.mark.parametrize("at", [0, 20, 30, 47, 60, 63, 68, 96])
def test_a_flipped_bit_in_the_header(path, at):
    content = bytearray(path.read_bytes())
    with AnnotationStore(path) as store:
        whole = store.events()
    content[at] ^= 4
    path.write_bytes(content)
    try:
        AnnotationStore(path).close()
    except DamagedStoreError as error:
        path, message = error.salvaged, str(error)
        assert "none are missing" in message
    with AnnotationStore(path) as store:
        assert store.events() == whole


@pytest.mark.parametrize("left", [b"", b"x" * 5000])
def test_a_file_that_has_lost_all_is_not_a_new_one(path, left):
    path.write_bytes(left)
    for _ in range(2):
        with pytest.raises(DamagedStoreError, match="No answer could be read") as error:
            open_session(path)
        assert "all content is missing" in str(error.value)
    assert path.read_bytes() == left
    assert [error.value.salvaged] == list(path.parent.glob("*salvaged*"))
    with open_session(error.value.salvaged) as session:
        assert "all content is missing" in session.store.note("salvaged")
        label(session, 1)
    with pytest.raises(DamagedStoreError) as again:
        open_session(path)
    assert again.value.salvaged != error.value.salvaged  # that one has answers now


def test_a_file_that_was_killed_while_it_was_made_is_new(tmp_path):
    path = tmp_path / "s.sqlite"
    path.touch()
    (tmp_path / "s.sqlite-new").touch()
    with open_session(path) as session:
        label(session, 2)
    assert list(tmp_path.iterdir()) == [path]


def test_a_copy_says_what_is_missing(path):
    change_by_hand(path, "DELETE FROM event WHERE seq IN (3, 5)")
    with pytest.raises(DamagedStoreError) as error:
        open_session(path)
    with AnnotationStore(error.value.salvaged) as store:
        note = store.note("salvaged")
    assert note == "12 events of s.sqlite were saved; 2 are missing (numbers 3, 5)"


def test_a_copy_that_cannot_be_written_is_no_other_error(path):
    long = path.rename(path.with_name("n" * 245))  # its copy would have 256
    change_by_hand(long, "DELETE FROM event WHERE seq = 5")
    for _ in range(2):
        with pytest.raises(DamagedStoreError, match="cannot be written") as error:
            AnnotationStore(long)
        assert error.value.salvaged is None


@pytest.mark.parametrize("whose", ["another", "none", "its own, with a bit"])
def test_a_journal_that_leads_nowhere_is_not_played_back(path, tmp_path, whose):
    """Journals of two files in the middle of a transaction."""
    journals, files = [], []
    for name in ("one", "two"):
        here = tmp_path / f"{name}.sqlite"
        with AnnotationStore(here) as store:
            with store.transaction():
                for i in range(300):
                    store.append("ann", "import", IDS[i % 60], name)
            store.query("PRAGMA cache_size = 1")  # pages go to the file at once
            with contextlib.suppress(InterruptedError), store.transaction():
                for i in range(300):
                    store.append("bob", "import", IDS[i % 60], "1")
                journals.append(Path(f"{here}-journal").read_bytes())
                files.append(here.read_bytes())
                raise InterruptedError
    journal = {"another": journals[1], "none": b"\xd9\xd5" * 3000}.get(whose)
    if journal is None:
        journal = bytearray(journals[0])
        journal[len(journal) // 2 :] = bytes(len(journal) - len(journal) // 2)
    path = tmp_path / "s.sqlite"
    path.write_bytes(files[0])
    Path(f"{path}-journal").write_bytes(journal)
    for _ in range(2):
        with pytest.raises(DamagedStoreError, match="was not changed") as error:
            AnnotationStore(path)
        assert path.read_bytes() == files[0]
        assert Path(f"{path}-journal").read_bytes() == journal
    assert len(list(tmp_path.glob("*salvaged*"))) == 1
    with AnnotationStore(error.value.salvaged) as store:
        ours = [e.label for e in store.events() if e.annotator == "ann"]
    assert ours == ["one"] * 300
    Path(f"{path}-journal").write_bytes(journals[0])  # the right one
    with AnnotationStore(path) as store:
        assert [e.label for e in store.events()] == ["one"] * 300


def test_answers_are_read_where_their_table_has_lost_them(tmp_path):
    path = tmp_path / "s.sqlite"
    with AnnotationStore(path) as store:
        for i in range(200):
            with store.transaction():
                store.append("ann", "import", IDS[i % 60], "1")
        whole = store.events()
        ((root,),) = store.query(
            "SELECT rootpage FROM sqlite_master WHERE name = 'event'"
        )
    content = bytearray(path.read_bytes())
    content[4096 * (root - 1) : 4096 * root] = bytes(4096)
    path.write_bytes(content)
    with pytest.raises(DamagedStoreError, match="none are missing") as error:
        AnnotationStore(path)
    with AnnotationStore(error.value.salvaged) as store:
        assert store.events() == whole


@pytest.mark.parametrize("name", ["a#b", "a?b", "a%20b", "a b", "ä", "a'b", "file:a"])
def test_names_that_mean_something_in_addresses(path, name):
    odd = path.parent / name / f"{name}.sqlite"
    odd.parent.mkdir()
    path.rename(odd)
    change_by_hand(odd, "DELETE FROM event WHERE seq = 5")
    with pytest.raises(
        DamagedStoreError, match=r"1 are missing \(numbers 5\)"
    ) as error:
        open_session(odd)
    assert error.value.salvaged.parent == odd.parent
    with open_session(error.value.salvaged) as session:
        assert len(session.export()) == 11


@pytest.mark.skipif(os.name == "nt", reason="an open file cannot be deleted there")
def test_a_file_deleted_while_it_is_open_is_named_and_labels_can_be_exported(path):
    with open_session(path) as session:
        for file in path.parent.glob("s.sqlite*"):
            file.unlink()
        with pytest.raises(StoreError, match="was deleted or moved"):
            session.undo()
        assert len(session.export()) == 12


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    with pytest.raises(StoreError, match="is a folder"):
        AnnotationStore(tmp_path)
    if os.name == "nt" or os.getuid() == 0:
        pytest.skip("may write everything")
    tmp_path.chmod(0o555)
    with pytest.raises(StoreError, match="is read-only"):
        AnnotationStore(tmp_path / "s.sqlite")


def test_ctrl_c_while_waiting_for_the_lock_leaves_none(path):
    """Ctrl-C during another program's write, which then ends."""
    with AnnotationStore(path, timeout=20) as store:
        other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        other.execute("BEGIN IMMEDIATE")
        threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT)).start()
        threading.Timer(0.5, other.execute, ("ROLLBACK",)).start()
        with pytest.raises(KeyboardInterrupt) as kept, store.transaction():
            store.append("ann", "import", IDS[0], "1")
        assert kept.traceback  # a notebook keeps it
        with AnnotationStore(path, timeout=0.1) as another, another.transaction():
            pass
        done = threading.Thread(target=store.events)
        done.start()
        done.join(5)
        assert not done.is_alive()
        with store.transaction():
            store.append("ann", "import", IDS[0], "1")
        other.close()


@pytest.mark.parametrize("then", ["another transaction", "close"])
def test_ctrl_c_works_after_a_transaction_that_was_left_open(path, then):
    handler = signal.getsignal(signal.SIGINT)
    with AnnotationStore(path) as store:
        store.transaction().__enter__()
        assert signal.getsignal(signal.SIGINT) != handler  # it waits for the end
        if then == "another transaction":
            with store.transaction():
                pass
            assert signal.getsignal(signal.SIGINT) == handler
    assert signal.getsignal(signal.SIGINT) == handler


def test_a_transaction_that_was_left_open_is_taken_back(path):
    with AnnotationStore(path) as store:
        n = len(store.events())
        lost = store.transaction()
        lost.__enter__()  # as if Ctrl-C had come before the first line
        store.append("ann", "import", IDS[0], "1")
        with store.transaction():
            pass
        assert len(store.events()) == n
        with AnnotationStore(path, timeout=0.1) as another, another.transaction():
            pass


class Busy(ClassifierMixin, BaseEstimator):
    """A classifier that trains until it is stopped."""

    gate = threading.Event()

    def fit(self, X, y):
        self.classes_ = np.unique(y)
        Busy.gate.wait(30)
        return self

    def predict(self, X):
        return np.repeat(self.classes_[:1], len(X))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_forked_child_is_told_and_changes_nothing(path):
    def first_n(learner, X_pool, n_instances):
        return np.arange(n_instances)

    session = AnnotationSession(
        X, Busy(), first_n, store=path, classes=[0, 1], n_instances=2
    )
    with session, session.store.transaction():  # and another thread is training
        session.store.append("ann", "import", IDS[0], "1")
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                verbs = [
                    session.ask,
                    session.progress,
                    session.export,
                    session.predict,
                    session.undo,
                    session.store.events,
                    session.store.transaction().__enter__,
                    lambda: session.answer(IDS[0], 1),
                    lambda: session.import_labels([]),
                ]
                for verb in verbs:
                    with pytest.raises(StoreError, match="another process"):
                        verb()
                session.close()
                session.store.close()
                code = 0
            finally:
                os._exit(code)
        end = time.monotonic() + 30
        while not (ended := os.waitpid(pid, os.WNOHANG))[0] and time.monotonic() < end:
            time.sleep(0.01)
        Busy.gate.set()
        if not ended[0]:
            os.kill(pid, signal.SIGKILL)
        assert ended == (pid, 0)
    with AnnotationStore(path) as store:
        assert store.events()[-1].annotator == "ann"


def test_undo_takes_back_what_came_last(path):
    with open_session(path) as session:
        sample = session.export()["id"][1]
        label_there = session.export().set_index("id").loc[sample, "label"]
        session.relabel(sample, 1 - label_there)
        session.store.transaction()
        assert session.import_labels([(IDS[7], 1, "me"), (IDS[8], 1, "me")]) <= 2
        session.import_labels([(sample, label_there, "me")])
        for _ in range(len(session.store.events())):
            before = session.export().set_index("id")["label"].to_dict()
            last = session._answers.history.last_action("me")
            if not last:
                break
            assert session.undo() == last[0].sample
            after = session.export().set_index("id")["label"].to_dict()
            changed = {
                name
                for name in before.keys() | after.keys()
                if before.get(name) != after.get(name)
            }
            assert changed <= {event.sample for event in last}
            assert changed or last[0].kind in ("skip", "relabel", "import")
        assert session.export().empty


@pytest.mark.parametrize("ahead", [5 * 365 * 86400, 86400, 3600])
def test_a_clock_that_ran_ahead_locks_nobody_out(path, ahead):
    with open_session(path) as session:
        asked = [q.id for q in session.ask(2, annotator="ann")]
        assert not set(asked) & {q.id for q in session.ask(2, annotator="bob")}
        for sample in asked:
            session.store.change(
                "UPDATE question SET claimed_at = ? WHERE sample = ?",
                (time.time() + ahead, sample),
            )
        assert set(asked) <= {q.id for q in session.ask(8, annotator="bob")}


def test_reading_beside_another_thread(path):
    with open_session(path) as session:
        errors, stop = [], threading.Event()

        def read():
            while not stop.is_set():
                try:
                    session.progress()
                    session.export()
                except RuntimeError as error:
                    errors.append(error)
                    return

        readers = [threading.Thread(target=read) for _ in range(2)]
        for reader in readers:
            reader.start()
        for i in range(60):
            session.import_labels([(IDS[j], (i + j) % 2, f"{i}") for j in range(60)])
        stop.set()
        for reader in readers:
            reader.join()
        assert not errors


class Broken(ClassifierMixin, BaseEstimator):
    """A classifier that fails with an unexpected error."""

    class Odd(Exception):
        pass

    def fit(self, X, y):
        raise Broken.Odd("no way")

    def predict(self, X):
        return np.zeros(len(X))


@pytest.mark.parametrize("background", [True, False])
def test_the_labeller_replies_when_training_fails(background):
    def first_n(learner, X_pool, n_instances):
        return np.arange(n_instances)

    session = AnnotationSession(
        X, Broken(), first_n, classes=[0, 1], n_instances=2, background=background
    )
    with session:
        widget = AnnotationWidget(session)
        errors = set()
        for seq in range(8):
            asked = widget.handle({"type": "hello"}).get("questions")
            if asked:
                message = {"type": "answer", "id": asked[0]["id"], "label": seq % 2}
                reply = widget.handle({**message, "seq": seq})
                assert reply["ack"] == seq
        for kind in ("hello", "review", "hello", "review"):
            session._background.wait()
            errors.add(widget.handle({"type": kind}).get("error"))
        assert any(error and "Odd: no way" in error for error in errors)
        with pytest.raises(RuntimeError, match="Odd: no way"):
            session._background.run(session.review)
        assert len(session.export()) >= 2


def test_a_table_of_labels_is_not_taken_for_a_damaged_file(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_text("id,label\n1,ham\n" * 500)
    with pytest.raises(StoreError, match="import_labels reads labels from tables"):
        AnnotationStore(path)
    assert list(tmp_path.iterdir()) == [path]
