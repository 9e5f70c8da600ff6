import sys
import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from cofm_sklearn.encoders.cache import EmbeddingCache, MemoryStore, content_key
from cofm_sklearn.encoders.disk import DiskStore

_names = (f"test-{i}" for i in range(sys.maxsize))


def row_of(key, width=4):
    """A fake embedding: a row that depends only on the sample."""
    seed = int.from_bytes(content_key(key)[:4], "little")
    return np.random.default_rng(seed).normal(size=width).astype(np.float32)


def rows_of(keys):
    return np.stack([row_of(key) for key in keys])


class Model:
    """Compute rows, and record the calls."""

    def __init__(self, keys, block=3):
        self.keys, self.block, self.asked = keys, block, []

    def __call__(self, positions):
        positions = sorted(positions, key=lambda i: self.keys[i])
        for start in range(0, len(positions), self.block):
            part = positions[start : start + self.block]
            self.asked.extend(self.keys[i] for i in part)
            yield part, rows_of([self.keys[i] for i in part])


key_lists = st.lists(
    st.lists(st.sampled_from([b"%d" % i for i in range(12)]), min_size=1, max_size=20),
    min_size=1,
    max_size=5,
)


@settings(max_examples=60, deadline=None)
@given(calls=key_lists, limit=st.sampled_from([0, 64, 10_000]), disk=st.booleans())
def test_rows_are_right_whatever_is_cached(tmp_path_factory, calls, limit, disk):
    folder = tmp_path_factory.mktemp("cache") if disk else None
    cache = EmbeddingCache(
        next(_names), memory=MemoryStore(limit_bytes=limit), cache_dir=folder
    )
    embedded = 0
    for keys in calls:
        model = Model(keys)
        np.testing.assert_array_equal(cache.fetch(keys, model), rows_of(keys))
        assert len(model.asked) == len(set(model.asked))
        embedded += len(model.asked)
    info = cache.info()
    assert info.embedded == info.misses == embedded
    assert info.hits + info.misses == sum(len(set(keys)) for keys in calls)
    assert info.bytes <= limit
    if disk or limit == 10_000:
        assert embedded == len({key for keys in calls for key in keys})


def test_caches_of_one_namespace_share_rows_and_others_do_not():
    memory, name = MemoryStore(), next(_names)
    keys = [b"a", b"b"]
    EmbeddingCache(name, memory=memory).fetch(keys, Model(keys))
    model = Model(keys)
    EmbeddingCache(name, memory=memory).fetch(keys, model)
    assert model.asked == []
    EmbeddingCache(next(_names), memory=memory).fetch(keys, model)
    assert model.asked == keys


def test_returned_rows_are_a_copy():
    cache = EmbeddingCache(next(_names), memory=MemoryStore())
    keys = [b"a", b"b"]
    cache.fetch(keys, Model(keys))[:] = 7
    cache.fetch(keys, Model(keys))[:] = 7
    np.testing.assert_array_equal(cache.fetch(keys, Model(keys)), rows_of(keys))


def test_clear_forgets_one_namespace_only():
    memory = MemoryStore()
    caches = [EmbeddingCache(next(_names), memory=memory) for _ in range(2)]
    for cache in caches:
        cache.fetch([b"a"], Model([b"a"]))
    caches[0].clear()
    assert caches[0].info() == (0, 0, 0, 0, 0)
    assert caches[1].info() == (0, 1, 1, 1, 16)
    model = Model([b"a"])
    caches[0].fetch([b"a"], model)
    assert model.asked == [b"a"]


def test_the_row_used_longest_ago_leaves_first():
    memory = MemoryStore(limit_bytes=2 * 16)
    memory.put("m", [b"a", b"b"], rows_of([b"a", b"b"]))
    memory.get("m", [b"a"])
    memory.put("m", [b"c"], rows_of([b"c"]))
    assert set(memory.get("m", [b"a", b"b", b"c"])) == {b"a", b"c"}
    assert memory.usage("m") == (2, 32)


def test_interrupted_call_keeps_the_blocks_it_has(tmp_path):
    name = next(_names)
    cache = EmbeddingCache(name, memory=None, cache_dir=tmp_path)
    keys = [b"a", b"b", b"c"]

    def interrupted(positions):
        yield positions[:2], rows_of(keys[:2])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cache.fetch(keys, interrupted)
    model = Model(keys)
    np.testing.assert_array_equal(cache.fetch(keys, model), rows_of(keys))
    assert model.asked == [b"c"]


def test_threads_compute_a_row_once():
    cache = EmbeddingCache(next(_names), memory=MemoryStore())
    keys = [b"%d" % i for i in range(50)]
    together = threading.Barrier(4)
    results = []

    def work():
        together.wait()
        results.append(cache.fetch(keys, Model(keys)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.info().embedded == 50
    for result in results:
        np.testing.assert_array_equal(result, rows_of(keys))


def test_disk_outlives_memory(tmp_path):
    name, keys = next(_names), [b"a", b"b"]
    EmbeddingCache(name, memory=MemoryStore(), cache_dir=tmp_path).fetch(
        keys, Model(keys)
    )
    memory, model = MemoryStore(), Model(keys)
    later = EmbeddingCache(name, memory=memory, cache_dir=tmp_path)
    np.testing.assert_array_equal(later.fetch(keys, model), rows_of(keys))
    assert model.asked == []
    assert memory.usage(name)[0] == 2  # the next call need not read the disk


def test_cache_dir_that_is_no_folder(tmp_path):
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(ValueError, match=r"cache_dir=.*file"):
        DiskStore(path, "m")


def test_rows_that_are_left_out_are_nan_and_asked_for_again():
    cache = EmbeddingCache("test: left out", memory=MemoryStore())
    keys, asked = [b"a", b"b", b"a", b"c"], []

    def compute(positions, left_out):
        asked.append(positions)
        yield [], np.empty((0, 2), dtype=np.float32)
        for i in positions:
            if i not in left_out:
                yield [i], np.full((1, 2), i, dtype=np.float32)

    nothing = cache.fetch(keys, lambda positions: compute(positions, {0, 1, 3}))
    assert np.isnan(nothing).all()
    assert nothing.shape == (4, 2)
    some = cache.fetch(keys, lambda positions: compute(positions, {1}))
    assert_array_equal(some[:, 0], [0, np.nan, 0, 3])
    rest = cache.fetch(keys, lambda positions: compute(positions, ()))
    assert_array_equal(rest[:, 0], [0, 1, 0, 3])
    assert asked == [[0, 1, 3], [0, 1, 3], [1]]
