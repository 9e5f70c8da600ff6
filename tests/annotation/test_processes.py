"""Real processes on one file: killed at any moment, or four at once."""

import multiprocessing
import os
import random
import signal
import sqlite3
import time

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.naive_bayes import GaussianNB

from cofm_sklearn.annotation import AnnotationSession, AnnotationStore, StoreError
from tests.properties.endure import in_child

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")

X, Y = make_blobs([30, 30], n_features=3, random_state=0)
N_ANSWERS = 24


def open_session(path, background=True):
    return AnnotationSession(
        X,
        GaussianNB(),
        store=path,
        classes=[0, 1],
        n_instances=4,
        background=background,
    )


def label_all(path, log):
    """Label until there are enough labels; log each answer after it has returned."""
    with open_session(path) as session:
        while session.progress().n_labels < N_ANSWERS:
            for question in session.ask(1):
                session.answer(question.id, int(Y[question.index]))
                os.write(log, f"{question.id}\n".encode())


def story(path):
    """Return all events, in order."""
    with AnnotationStore(path) as store:
        return [(e.kind, e.sample, e.label) for e in store.events()]


def questions(path):
    with AnnotationStore(path) as store:
        return store.query(
            "SELECT batch, position, sample, details FROM question "
            "WHERE batch <= 5 ORDER BY batch, position"
        )


def test_nothing_is_lost_when_the_process_is_killed_200_times(tmp_path):
    for name in ("first", "whole"):  # the first process takes longer
        whole = tmp_path / f"{name}.sqlite"
        started = time.monotonic()
        log = os.open(tmp_path / f"{name}.log", os.O_CREAT | os.O_WRONLY)
        assert os.waitpid(in_child(lambda p=whole, f=log: label_all(p, f)), 0)[1] == 0
        duration = time.monotonic() - started
    reference, reference_questions = story(whole), questions(whole)
    assert len(reference) == N_ANSWERS
    rng = random.Random(0)
    n_files = n_killed = 0
    while n_killed < 200:
        path, log_path = tmp_path / f"{n_files}.sqlite", tmp_path / f"{n_files}.log"
        n_files += 1
        finished = False
        while not finished and n_killed < 200:
            log = os.open(log_path, os.O_CREAT | os.O_WRONLY | os.O_APPEND)
            pid = in_child(lambda path=path, log=log: label_all(path, log))
            time.sleep(rng.uniform(0, 0.6 * duration))
            os.kill(pid, signal.SIGKILL)
            status = os.waitpid(pid, 0)[1]
            os.close(log)
            killed = os.WIFSIGNALED(status)
            n_killed += killed
            assert killed or status == 0
            returned = log_path.read_text().split()
            said = story(path)  # opens every time
            assert said == reference[: len(said)]
            assert len(returned) <= len(said)
            assert {sample for _, sample, _ in said} >= set(returned)
            finished = len(said) == N_ANSWERS
        # Finished by the next process, it is as if nothing had happened.
        log = os.open(log_path, os.O_WRONLY | os.O_APPEND)
        assert os.waitpid(in_child(lambda p=path, f=log: label_all(p, f)), 0)[1] == 0
        os.close(log)
        assert story(path) == reference
        assert questions(path) == reference_questions
    assert n_files > 10


def test_four_processes_give_500_answers_each(tmp_path):
    path = tmp_path / "shared.sqlite"
    pool = np.arange(2200.0).reshape(-1, 1)

    def open_as(name):
        return AnnotationSession(
            pool,
            GaussianNB(),
            picks_first,
            store=AnnotationStore(path, timeout=120),
            classes=[0, 1],
            n_instances=50,
            annotator=name,
            background=False,
        )

    open_as("nobody").close()

    def work(name):
        with open_as(name) as session:
            for _ in range(100):
                asked = session.ask(5)
                session.answer([q.id for q in asked], [q.index % 2 for q in asked])

    names = ["ann", "bob", "cem", "dee"]
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=work, args=(name,)) for name in names]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * 4
    with open_as("nobody") as session:
        frame = session.export()
    assert len(frame) == 2000
    assert frame["id"].nunique() == 2000
    assert frame.groupby("annotator").size().to_dict() == dict.fromkeys(names, 500)
    assert (frame["label"] == frame["index"] % 2).all()


def picks_first(learner, X_pool, n_instances):
    return np.arange(n_instances)


def test_locked_file_is_named(tmp_path):
    path = tmp_path / "locked.sqlite"
    with AnnotationStore(path, timeout=0.1) as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreError, match=r"locked.sqlite is locked"):
            AnnotationStore(path, timeout=0.1)
        with (
            pytest.raises(StoreError, match="Nothing was written"),
            store.transaction(),
        ):
            pass
        other.execute("ROLLBACK")
        other.close()
        with store.transaction():
            store.append("ann", "answer", "s", "1")


def test_read_only_file_is_named(tmp_path):
    path = tmp_path / "read_only.sqlite"
    open_session(path).close()
    path.chmod(0o444)
    tmp_path.chmod(0o555)
    result = tmp_path.parent / "result.txt"
    result.touch()
    result.chmod(0o666)

    def work():
        if os.getuid() == 0:  # root may write everything
            for folder in tmp_path.parents:
                if not folder.stat().st_mode & 0o001:
                    folder.chmod(0o755)
            os.setuid(65534)
        said = []
        for name in (path, tmp_path / "new.sqlite"):
            try:
                open_session(name)
            except StoreError as error:
                said.append(str(error))
        result.write_text("\n".join(said))

    assert os.waitpid(in_child(work), 0)[1] == 0
    tmp_path.chmod(0o755)
    assert "read_only.sqlite is read-only" in result.read_text()
    assert "new.sqlite is read-only" in result.read_text()


def test_store_is_not_used_across_a_fork(tmp_path):
    with AnnotationStore(tmp_path / "forked.sqlite") as store:

        def work():
            with pytest.raises(StoreError, match="another process"):
                store.events()

        assert os.waitpid(in_child(work), 0)[1] == 0
