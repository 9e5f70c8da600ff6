"""Embeddings of a pool in a file: killed, resumed, full disks, wrong files."""

import errno
import json
import multiprocessing
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cofm_sklearn import SentenceTransformerEncoder
from cofm_sklearn.encoders import file as file_module
from cofm_sklearn.encoders import text as text_module

TEXTS = [f"text number {i} about {i % 4} cats" for i in range(90)]

# Writes a line for every text that goes through the model.
CHILD = """
    import sys
    from sentence_transformers import SentenceTransformer
    from cofm_sklearn import SentenceTransformerEncoder
    from cofm_sklearn.encoders import text

    folder, n_texts, block = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    text._BLOCK = block
    encode = SentenceTransformer.encode

    def logged(self, texts, **settings):
        rows = encode(self, texts, **settings)
        with open(f"{folder}/log", "a") as log:
            log.write("".join(f"{one}\\n" for one in texts))
        return rows

    SentenceTransformer.encode = logged
    texts = [f"sentence {i * 7919 % n_texts} of the pool" for i in range(n_texts)]
    encoder = SentenceTransformerEncoder(batch_size=8)
    encoder.transform_to_file(texts, f"{folder}/pool.npy", block_size=4 * block)
"""


def start(folder, n_texts, block):
    command = [sys.executable, "-c", textwrap.dedent(CHILD)]
    return subprocess.Popen([*command, str(folder), str(n_texts), str(block)])


def n_logged(folder):
    log = folder / "log"
    return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.mark.slow
def test_killed_every_row_is_right_and_none_embedded_twice(tmp_path):
    n_texts, block, n_kills = 400, 16, 2
    rng = np.random.RandomState(os.getpid())
    for _ in range(n_kills):
        # Somewhere in the part that this process begins.
        goal = n_logged(tmp_path) + rng.randint(20, 150)
        process = start(tmp_path, n_texts, block)
        while n_logged(tmp_path) < goal:
            assert process.poll() is None, "it ended before it was killed"
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
        assert not (tmp_path / "pool.npy").exists()
        assert n_logged(tmp_path) < n_texts
    assert start(tmp_path, n_texts, block).wait() == 0
    seen = (tmp_path / "log").read_text().splitlines()
    assert len(set(seen)) == n_texts
    assert len(seen) <= n_texts + n_kills * block
    Z = np.load(tmp_path / "pool.npy", mmap_mode="r")
    texts = [f"sentence {i * 7919 % n_texts} of the pool" for i in range(n_texts)]
    expected = SentenceTransformerEncoder().transform(texts)
    np.testing.assert_allclose(Z, expected, atol=1e-6)
    assert not list(tmp_path.glob("pool.npy.*cache"))


@pytest.fixture
def encoder():
    """The real model, with nothing in memory from other tests."""
    encoder = SentenceTransformerEncoder(cache=False, batch_size=8)
    encoder.clear_cache()
    yield encoder
    encoder.clear_cache()


def test_file_holds_what_transform_gives(encoder, tmp_path):
    path = tmp_path / "pool.npy"
    Z = encoder.transform_to_file(TEXTS, path, block_size=32)
    assert isinstance(Z, np.memmap)
    assert not Z.flags.writeable
    np.testing.assert_allclose(Z, encoder.transform(TEXTS), atol=1e-6)
    np.testing.assert_array_equal(np.load(path), Z)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["pool.npy", "pool.npy.json"]
    before = encoder.cache_info().embedded
    again = encoder.transform_to_file(np.array(TEXTS), path)
    np.testing.assert_array_equal(again, Z)
    assert encoder.cache_info().embedded == before


def test_half_precision_takes_half_the_room(encoder, tmp_path):
    whole = encoder.transform_to_file(TEXTS[:5], tmp_path / "a.npy")
    half = encoder.transform_to_file(TEXTS[:5], tmp_path / "b.npy", dtype="float16")
    assert half.dtype == np.float16
    np.testing.assert_array_equal(half, whole.astype(np.float16))


def test_a_grown_pool_costs_what_is_new(encoder, tmp_path):
    encoder.set_params(cache_dir=tmp_path / "cache")
    encoder.transform_to_file(TEXTS[:50], tmp_path / "a.npy")
    assert encoder.cache_info().embedded == 50
    grown = TEXTS[60:] + TEXTS[:50][::-1]
    Z = encoder.transform_to_file(grown, tmp_path / "b.npy")
    assert encoder.cache_info().embedded == 80
    np.testing.assert_allclose(Z[30:], np.load(tmp_path / "a.npy")[::-1], atol=1e-6)


def test_an_error_on_the_way_keeps_what_is_done(encoder, tmp_path, monkeypatch):
    monkeypatch.setattr(text_module, "_BLOCK", 8)
    path, run_model = tmp_path / "pool.npy", SentenceTransformerEncoder._run_model

    def interrupted(self, *args):
        for n, block in enumerate(run_model(self, *args)):
            if n == 3:
                raise KeyboardInterrupt
            yield block

    with monkeypatch.context() as patch:
        patch.setattr(SentenceTransformerEncoder, "_run_model", interrupted)
        with pytest.raises(KeyboardInterrupt) as error:
            encoder.transform_to_file(TEXTS, path)
    assert "call again with the same path" in error.value.__notes__[0]
    assert encoder.cache_info().embedded == 24
    assert not path.exists()
    encoder.transform_to_file(TEXTS, path)
    assert encoder.cache_info().embedded == len(TEXTS)


def _encode_with_little_room(path, limit, connection):
    import resource

    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    text_module._BLOCK = 8
    try:
        SentenceTransformerEncoder(batch_size=8, cache=False).transform_to_file(
            TEXTS, path, block_size=16
        )
    except OSError as error:
        connection.send((error.errno, str(error), error.__notes__))


@pytest.mark.slow
def test_a_file_that_cannot_grow_is_a_clear_error_and_can_be_resumed(encoder, tmp_path):
    """The limit of the process: the file reaches it before it is complete."""
    path = tmp_path / "pool.npy"
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe(duplex=False)
    process = context.Process(
        target=_encode_with_little_room, args=(path, 90_000, theirs)
    )
    process.start()
    assert mine.poll(120)
    number, message, notes = mine.recv()
    process.join()
    assert number == errno.EFBIG
    assert "File too large" in message
    assert "resume" in notes[0]
    assert not path.exists()
    (store,) = (tmp_path / "pool.npy.cache").glob("*.sqlite")
    with closing(sqlite3.connect(store)) as connection:
        n_kept = connection.execute("SELECT count(*) FROM embedding").fetchone()[0]
    assert 8 <= n_kept < len(TEXTS)
    encoder.transform_to_file(TEXTS, path)
    assert encoder.cache_info().embedded == len(TEXTS) - n_kept


def test_no_room_is_said_before_hours_are_spent(encoder, tmp_path, monkeypatch):
    full = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: full)
    with pytest.raises(OSError, match=r"0\.1 MiB, 0\.0 MiB are free"):
        encoder.transform_to_file(TEXTS, tmp_path / "pool.npy")


def test_wrong_files_are_named_and_left_alone(encoder, tmp_path):
    path = tmp_path / "pool.npy"
    encoder.transform_to_file(TEXTS[:4], path)
    content = path.read_bytes()
    for change, name in (
        (lambda: encoder.transform_to_file(TEXTS[:5], path), "samples"),
        (lambda: encoder.transform_to_file(TEXTS[:4][::-1], path), "samples"),
        (lambda: encoder.transform_to_file(TEXTS[:4], path, dtype="float16"), "dtype"),
        (
            lambda: SentenceTransformerEncoder(normalize=False).transform_to_file(
                TEXTS[:4], path
            ),
            "encoder",
        ),
    ):
        with pytest.raises(ValueError, match=f"its {name} is"):
            change()
    assert path.read_bytes() == content
    path.with_name("pool.npy.json").write_text(json.dumps([1]))
    with pytest.raises(ValueError, match="unknown"):
        encoder.transform_to_file(TEXTS[:4], path)


def test_bad_arguments_are_named(encoder, tmp_path):
    with pytest.raises(ValueError, match="is a folder"):
        encoder.transform_to_file(TEXTS, tmp_path)
    with pytest.raises(ValueError, match="there is no folder"):
        encoder.transform_to_file(TEXTS, tmp_path / "no" / "pool.npy")
    with pytest.raises(ValueError, match="dtype must be one of"):
        encoder.transform_to_file(TEXTS, tmp_path / "a.npy", dtype="float64")
    with pytest.raises(ValueError, match="block_size"):
        encoder.transform_to_file(TEXTS, tmp_path / "a.npy", block_size=0)
    with pytest.raises(ValueError, match=r"X\[1\] is missing"):
        encoder.transform_to_file(["a", None], tmp_path / "a.npy")
    assert list(tmp_path.iterdir()) == []


def test_two_processes_do_not_write_one_file(encoder, tmp_path):
    path = Path(tmp_path / "pool.npy")
    code = """
        import fcntl, sys, time
        file = open(sys.argv[1], "ab")
        fcntl.flock(file, fcntl.LOCK_EX)
        print("locked", flush=True)
        time.sleep(60)
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), f"{path}.part"],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert other.stdout.readline() == "locked\n"
        with pytest.raises(ValueError, match="written by another process"):
            encoder.transform_to_file(TEXTS, path)
    finally:
        other.kill()
        other.wait()
        other.stdout.close()
    assert len(encoder.transform_to_file(TEXTS, path)) == len(TEXTS)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="needs links")
def test_links_beside_the_file_are_not_followed(encoder, tmp_path):
    other = tmp_path / "precious"
    other.write_bytes(b"mine")
    (tmp_path / "pool.npy.part").symlink_to(other)
    with pytest.raises(ValueError, match=r"pool.npy.part beside it is a link"):
        encoder.transform_to_file(TEXTS[:3], tmp_path / "pool.npy")
    (tmp_path / "pool.npy.part").unlink()
    (tmp_path / "pool.npy.json").symlink_to(other)
    encoder.transform_to_file(TEXTS[:3], tmp_path / "pool.npy")
    assert other.read_bytes() == b"mine"


def test_a_folder_that_was_there_is_not_deleted(encoder, tmp_path):
    folder = tmp_path / "pool.npy.cache"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    encoder.transform_to_file(TEXTS[:3], tmp_path / "pool.npy")
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_what_a_killed_process_left_is_removed_by_the_next_call(
    encoder, tmp_path, monkeypatch
):
    """It died when the file was complete and its cache was not removed yet."""
    path, folder = tmp_path / "pool.npy", tmp_path / "pool.npy.cache"

    def killed(folder):
        raise SystemExit

    with monkeypatch.context() as patch:
        patch.setattr(file_module, "_remove_store", killed)
        with pytest.raises(SystemExit):
            encoder.transform_to_file(TEXTS[:3], path)
    assert path.exists()
    (store,) = folder.iterdir()
    # A folder that the user named is the user's, whatever its name.
    encoder.set_params(cache_dir=folder).transform_to_file(TEXTS[:3], path)
    assert store.exists()
    encoder.set_params(cache_dir=None).transform_to_file(TEXTS[:3], path)
    assert not folder.exists()


def test_a_cache_that_cannot_be_removed_does_not_hide_the_file(
    encoder, tmp_path, monkeypatch
):
    path, unlink = tmp_path / "pool.npy", Path.unlink

    def refuse(self, missing_ok=False):
        if self.parent.name == "pool.npy.cache":
            raise PermissionError(errno.EACCES, "read-only", str(self))
        unlink(self, missing_ok=missing_ok)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "unlink", refuse)
        assert len(encoder.transform_to_file(TEXTS[:3], path)) == 3
        assert len(encoder.transform_to_file(TEXTS[:3], path)) == 3
    assert list((tmp_path / "pool.npy.cache").iterdir())


def test_the_output_container_does_not_matter(encoder, tmp_path):
    expected = encoder.transform(TEXTS[:3])
    encoder.set_output(transform="pandas")
    Z = encoder.transform_to_file(TEXTS[:3], tmp_path / "pool.npy", block_size=2)
    np.testing.assert_allclose(Z, expected, atol=1e-6)


def test_a_race_for_the_lock_leaves_the_finished_file(tmp_path, monkeypatch):
    """The other process ends between opening the partial file and locking it."""
    path, part = tmp_path / "pool.npy", tmp_path / "pool.npy.part"
    part.write_bytes(b"all of it")
    lock = file_module._lock

    def lock_late(file, named):
        if not path.exists():
            os.replace(part, path)
        lock(file, named)

    monkeypatch.setattr(file_module, "_lock", lock_late)
    with file_module._partial_file(path) as file:
        assert os.path.samestat(os.fstat(file.fileno()), os.stat(part))
    assert path.read_bytes() == b"all of it"
    assert not part.exists()
