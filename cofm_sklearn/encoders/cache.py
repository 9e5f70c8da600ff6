"""A cache of embeddings by content, for any frozen encoder.

Keys are bytes, values are float32 rows; nothing here knows about texts or models.
"""

import hashlib
import threading
from collections import Counter, OrderedDict, namedtuple

import numpy as np

from cofm_sklearn.encoders.disk import DiskStore
from cofm_sklearn.utils.forks import renew_after_fork

__all__ = ["MEMORY", "CacheInfo", "EmbeddingCache", "MemoryStore", "content_key"]

CacheInfo = namedtuple("CacheInfo", "hits misses embedded n_items bytes")
CacheInfo.__doc__ = """Counts of one model's cache in this process.

Every call of an encoder counts each distinct sample once: as a hit (found in memory or
on disk) or as a miss. `embedded` counts the samples that the model embedded, even if no
cache is in use. `n_items` and `bytes` describe the current content of memory."""


def content_key(data):
    """Return the key of a sample: a digest of its content.

    Parameters
    ----------
    data : bytes-like
        The content of one sample, for example a text as UTF-8.

    Returns
    -------
    bytes of length 20
        BLAKE2b digest.

    Examples
    --------
    >>> from cofm_sklearn.encoders.cache import content_key
    >>> content_key(b"a text") == content_key(b"a text")
    True
    """
    return hashlib.blake2b(data, digest_size=20).digest()


class MemoryStore:
    """Least-recently-used store of float32 rows in memory.

    Parameters
    ----------
    limit_bytes : int, default=2**30
        Limit on the bytes of the rows (about 700,000 rows of width 384 in the default 1
        GiB). May be changed at any time; the next `put` enforces it. For a pool larger
        than the limit, use a disk cache.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.encoders.cache import MemoryStore
    >>> store = MemoryStore(limit_bytes=8)
    >>> store.put("model", [b"a", b"b"], np.ones((2, 2), dtype=np.float32))
    >>> list(store.get("model", [b"a", b"b"]))
    [b'b']
    """

    def __init__(self, limit_bytes=2**30):
        self.limit_bytes = limit_bytes
        self._rows = OrderedDict()
        self._n_items: Counter[str] = Counter()
        self._bytes: Counter[str] = Counter()
        self._lock = renew_after_fork(threading.Lock())

    def get(self, namespace, keys):
        """Return the stored rows as a dict by key."""
        found = {}
        with self._lock:
            for key in keys:
                row = self._rows.get((namespace, key))
                if row is not None:
                    self._rows.move_to_end((namespace, key))
                    found[key] = row
        return found

    def put(self, namespace, keys, rows):
        """Store one row per key, and evict others beyond the limit."""
        with self._lock:
            for key, row in zip(keys, rows):
                if (namespace, key) not in self._rows:
                    # A copy: a view would keep its whole batch alive.
                    self._rows[namespace, key] = np.array(row, dtype=np.float32)
                    self._n_items[namespace] += 1
                    self._bytes[namespace] += self._rows[namespace, key].nbytes
            while self._rows and self._bytes.total() > self.limit_bytes:
                (owner, _), row = self._rows.popitem(last=False)
                self._n_items[owner] -= 1
                self._bytes[owner] -= row.nbytes

    def clear(self, namespace):
        """Remove all rows of a namespace."""
        with self._lock:
            for entry in [entry for entry in self._rows if entry[0] == namespace]:
                del self._rows[entry]
            del self._n_items[namespace], self._bytes[namespace]

    def usage(self, namespace):
        """Return the number of rows of a namespace, and their bytes."""
        with self._lock:
            return self._n_items[namespace], self._bytes[namespace]


#: The store that all encoders of this process share.
MEMORY = MemoryStore()


class _Space:
    """Counters and computing lock of one namespace."""

    def __init__(self):
        self.computing = renew_after_fork(threading.RLock())
        self.reset()

    def reset(self):
        self.hits = self.misses = self.embedded = 0
        self.n_features = None


_SPACES: dict[str, "_Space"] = {}
_SPACES_LOCK = renew_after_fork(threading.Lock())


class EmbeddingCache:
    """Rows of one model by content: memory first, then disk, then computed.

    Objects with the same namespace share memory, counters and the lock for computing
    rows, so creating one is cheap and clones of an encoder share theirs.

    Parameters
    ----------
    namespace : str
        Identifies everything that determines a row besides the sample: the fingerprint
        of the model.

    memory : MemoryStore or None, default=MEMORY
        Store of the rows in this process.

    cache_dir : str, path-like or None, default=None
        Folder of the disk part; see `DiskStore`.

    Raises
    ------
    ValueError
        If `cache_dir` cannot be created or is not a folder.

    Examples
    --------
    >>> import numpy as np
    >>> from cofm_sklearn.encoders.cache import EmbeddingCache, MemoryStore
    >>> cache = EmbeddingCache("docs: lengths", memory=MemoryStore())
    >>> words = ["one", "three", "one"]
    >>> def compute(positions):
    ...     rows = [[len(words[i])] for i in positions]
    ...     yield positions, np.array(rows, dtype=np.float32)
    >>> cache.fetch([word.encode() for word in words], compute)
    array([[3.],
           [5.],
           [3.]], dtype=float32)
    >>> cache.info().embedded
    2
    """

    def __init__(self, namespace, *, memory=MEMORY, cache_dir=None):
        self.namespace = namespace
        self._memory = memory
        self._disk = None if cache_dir is None else DiskStore(cache_dir, namespace)
        with _SPACES_LOCK:
            self._space = _SPACES.setdefault(namespace, _Space())

    def fetch(self, keys, compute):
        """Return one row per key; compute those that are not stored, and store them.

        Parameters
        ----------
        keys : sequence of bytes of length n >= 1
            Equal keys mean equal samples and share one row.

        compute : callable
            Takes a list of positions in `keys` and yields pairs ``(positions, rows)``,
            in any order and division; `rows` is a float32 array of shape
            ``(len(positions), d)``. Each pair is stored as it arrives, so an
            interrupted call keeps what it has. Called at most once, by one thread at a
            time. Positions that it leaves out are not stored.

        Returns
        -------
        ndarray of shape (n, d), dtype float32
            A new array, in the order of `keys`; NaN in rows that `compute` left out.
        """
        first: dict[bytes, int] = {}
        for position, key in enumerate(keys):
            first.setdefault(key, position)
        rows = self._lookup(first)
        if len(rows) < len(first):
            with self._space.computing:
                absent = {k: i for k, i in first.items() if k not in rows}
                # Another thread may have computed them while this one waited.
                rows.update(self._lookup(absent))
                missing = [i for k, i in absent.items() if k not in rows]
                self._space.misses += len(missing)
                if missing:
                    for positions, block in compute(missing):
                        self._store([keys[i] for i in positions], block, rows)
        if len(rows) < len(first):
            blank = np.full(self.n_features, np.nan, dtype=np.float32)
            return np.stack([rows.get(key, blank) for key in keys])
        return np.stack([rows[key] for key in keys])

    def info(self):
        """Return the `CacheInfo` of this namespace in this process."""
        n_items, n_bytes = (0, 0)
        if self._memory is not None:
            n_items, n_bytes = self._memory.usage(self.namespace)
        space = self._space
        return CacheInfo(space.hits, space.misses, space.embedded, n_items, n_bytes)

    def clear(self):
        """Clear the rows in memory and reset the counters; keep the disk part."""
        with self._space.computing:
            if self._memory is not None:
                self._memory.clear(self.namespace)
            self._space.reset()

    @property
    def n_features(self):
        """Width of the rows seen by this process, or None."""
        return self._space.n_features

    def _lookup(self, keys):
        rows = {}
        if self._memory is not None:
            rows = self._memory.get(self.namespace, keys)
        if self._disk is not None and len(rows) < len(keys):
            found = self._disk.get([key for key in keys if key not in rows])
            if found and self._memory is not None:
                self._memory.put(self.namespace, found.keys(), found.values())
            rows.update(found)
        with _SPACES_LOCK:
            self._space.hits += len(rows)
        if rows:
            self._space.n_features = len(next(iter(rows.values())))
        return rows

    def _store(self, keys, block, rows):
        self._space.embedded += len(keys)
        self._space.n_features = block.shape[1]
        rows.update(zip(keys, block))
        if self._memory is not None:
            self._memory.put(self.namespace, keys, block)
        if self._disk is not None:
            self._disk.put(keys, block)
