import hashlib
import sqlite3
import subprocess
import sys

import numpy as np
import pytest

from cofm_sklearn.encoders.disk import DiskStore

KEYS = [b"key %d" % i for i in range(120)]


def rows_of(keys):
    digests = [hashlib.blake2b(key, digest_size=64).digest() for key in keys]
    return np.array([list(digest) for digest in digests], dtype=np.float32)


def damaged_files(folder):
    return sorted(path.name for path in folder.glob("*.damaged-*"))


def assert_rows(found, keys):
    assert set(found) == set(keys)
    for key, row in zip(keys, rows_of(keys)):
        np.testing.assert_array_equal(found[key], row)
        assert found[key].dtype == np.float32


@pytest.fixture
def store(tmp_path):
    store = DiskStore(tmp_path, "model")
    store.put(KEYS, rows_of(KEYS))
    return store


def assert_rebuilds(store, match):
    """Reading warns, sets the file aside, and the next write starts a new one."""
    damaged = store.path.read_bytes()
    with pytest.warns(UserWarning, match=match):
        assert store.get(KEYS) == {}
    aside = damaged_files(store.path.parent)
    assert (store.path.parent / aside[-1]).read_bytes() == damaged
    store.put(KEYS, rows_of(KEYS))
    assert_rows(store.get(KEYS), KEYS)
    assert damaged_files(store.path.parent) == aside


def test_round_trip_and_partial_hits(store):
    assert_rows(store.get(KEYS[::-1]), KEYS)
    assert_rows(store.get([KEYS[3], b"unknown"]), [KEYS[3]])
    assert store.get([]) == {}


def test_many_keys_in_one_query(tmp_path):
    store = DiskStore(tmp_path, "model")
    keys = [b"%d" % i for i in range(1201)]
    store.put(keys, rows_of(keys))
    assert_rows(store.get(keys), keys)


def test_what_is_stored_first_stays(store):
    store.put(KEYS[:2], np.zeros((2, 64), dtype=np.float32))
    assert_rows(store.get(KEYS), KEYS)


def test_namespaces_do_not_mix(store, tmp_path):
    assert DiskStore(tmp_path, "other model").get(KEYS) == {}


def test_file_is_plain_sqlite_and_leaves_no_companion(store, tmp_path):
    assert store.path.read_bytes().startswith(b"SQLite format 3\0")
    assert [path.name for path in tmp_path.iterdir()] == [store.path.name]


def test_truncated_file(store):
    data = store.path.read_bytes()
    store.path.write_bytes(data[: len(data) // 2])
    assert_rebuilds(store, "is damaged")


def test_file_of_something_else(store):
    store.path.write_bytes(b"not a database " * 100)
    assert_rebuilds(store, "is damaged")


def test_table_of_another_shape(store):
    store.path.unlink()
    with sqlite3.connect(store.path) as connection:
        connection.execute("CREATE TABLE embedding (something INTEGER)")
    connection.close()
    assert_rebuilds(store, "is damaged")


def test_file_of_another_model_under_this_name(store, tmp_path):
    other = DiskStore(tmp_path, "other model")
    other.put(KEYS, -rows_of(KEYS))
    other.path.replace(store.path)
    assert_rebuilds(store, "checksum")


def test_flipped_byte_in_a_vector(store):
    data = bytearray(store.path.read_bytes())
    data[data.find(rows_of(KEYS[:1]).tobytes()) + 5] ^= 0x10
    store.path.write_bytes(data)
    assert_rebuilds(store, "checksum")


def test_damage_found_on_writing(store):
    store.path.write_bytes(b"not a database " * 100)
    with pytest.warns(UserWarning, match="is damaged"):
        store.put(KEYS[:3], rows_of(KEYS[:3]))
    assert_rows(store.get(KEYS), KEYS[:3])


def test_every_damaged_file_gets_its_own_name(store, tmp_path):
    for _ in range(2):
        store.path.write_bytes(b"not a database " * 100)
        with pytest.warns(UserWarning, match="is damaged"):
            store.get(KEYS)
    assert len(damaged_files(tmp_path)) == 2


@pytest.mark.filterwarnings("ignore:The embedding cache")
def test_no_flipped_byte_gives_a_wrong_vector(store):
    intact = store.path.read_bytes()
    rng = np.random.default_rng(0)
    positions = [*range(0, 120, 8), *rng.integers(len(intact), size=35)]
    for position in positions:
        data = bytearray(intact)
        data[position] ^= 1 << rng.integers(8)
        store.path.write_bytes(data)
        truth = dict(zip(KEYS, rows_of(KEYS)))
        for key, row in store.get(KEYS).items():
            np.testing.assert_array_equal(row, truth[key])
        missing = [key for key in KEYS if key not in store.get(KEYS)]
        store.put(missing, rows_of(missing))
        for key, row in store.get(KEYS).items():
            np.testing.assert_array_equal(row, truth[key])


def test_locked_file_is_left_alone_with_a_warning(store, monkeypatch):
    monkeypatch.setattr("cofm_sklearn.encoders.disk._BUSY_TIMEOUT_S", 0.05)
    connection = sqlite3.connect(store.path, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    with pytest.warns(UserWarning, match="is not used"):
        assert store.get(KEYS) == {}
    with pytest.warns(UserWarning, match="is not used"):
        store.put([b"new"], rows_of([b"new"]))
    connection.execute("COMMIT")
    connection.close()
    assert damaged_files(store.path.parent) == []
    assert_rows(store.get(KEYS), KEYS)


WRITER = """
import sys, time
from pathlib import Path
import numpy as np
from cofm_sklearn.encoders.cache import EmbeddingCache

folder, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
cache = EmbeddingCache("shared", memory=None, cache_dir=Path(folder, "cache"))
Path(folder, f"ready-{first}").touch()
while not Path(folder, "go").exists():
    time.sleep(0.001)
for start in range(first, last, 10):
    keys = [b"%d" % i for i in range(start, start + 10)]
    def compute(positions):
        for part in (positions[:5], positions[5:]):
            values = [[int(keys[i])] * 8 for i in part]
            yield part, np.array(values, dtype=np.float32).reshape(-1, 8)
    rows = cache.fetch(keys, compute)
    assert (rows[:, 0] == np.arange(start, start + 10)).all()
print(cache.info().embedded)
"""


@pytest.mark.slow
def test_two_processes_write_at_once(tmp_path):
    # The ranges overlap, so both also write the same keys.
    ranges = [(0, 200), (100, 300)]
    command = [sys.executable, "-W", "error", "-c", WRITER, str(tmp_path)]
    writers = [
        subprocess.Popen(
            [*command, str(first), str(last)], stdout=subprocess.PIPE, text=True
        )
        for first, last in ranges
    ]
    while len(list(tmp_path.glob("ready-*"))) < 2:
        assert all(writer.poll() is None for writer in writers)
    (tmp_path / "go").touch()
    embedded = [int(writer.communicate(timeout=100)[0]) for writer in writers]
    assert [writer.returncode for writer in writers] == [0, 0]
    assert 300 <= sum(embedded) <= 400

    store = DiskStore(tmp_path / "cache", "shared")
    found = store.get([b"%d" % i for i in range(300)])
    assert len(found) == 300
    for key, row in found.items():
        np.testing.assert_array_equal(row, np.full(8, int(key)))
    connection = sqlite3.connect(store.path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
