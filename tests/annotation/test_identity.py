"""Samples are identified by their whole content, and nothing else."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import sparse
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier

from cofm_sklearn import AnnotationSession
from cofm_sklearn.annotation import AnnotationStore
from cofm_sklearn.annotation.identity import ids_of_file, sample_ids
from cofm_sklearn.utils.validation import check_pool

Image = pytest.importorskip("PIL.Image")
widths = st.floats(width=16, allow_nan=False, allow_infinity=False)
tables = st.one_of(
    arrays(np.float64, (3, 4), elements=widths),
    arrays(np.int64, (3, 4)),
    arrays(np.uint64, (3, 4)),
    arrays(np.int16, (3, 4)),
)


def ids(X):
    return sample_ids(check_pool(X))


@given(X=tables)
def test_numbers_are_known_by_their_values(X):
    expected = ids(X)
    frame = pd.DataFrame(X)
    assert ids(frame) == expected
    assert ids(frame.convert_dtypes()) == expected
    assert ids(frame.add_prefix("x")[[f"x{j}" for j in range(4)]]) == expected
    assert ids(sparse.csr_matrix(X)) == expected
    assert ids(sparse.csc_array(X)) == expected
    assert [sample_ids([row])[0] for row in X] == expected
    assert [sample_ids([row])[0] for row in sparse.csr_array(X)[[0, 1, 2]]] == expected
    assert [sample_ids([frame.iloc[i]])[0] for i in range(3)] == expected
    assert ids(np.asfortranarray(X)) == expected
    assert ids(X.astype(X.dtype.newbyteorder())) == expected
    if X.dtype != np.uint64:  # NumPy makes floats of Python's large integers
        assert ids(X.tolist()) == expected
    if X.dtype.kind == "f":
        for width in (np.float16, np.float32):
            assert ids(X.astype(width)) == expected
    # Other values have other names.
    for i in range(3):
        for j in range(3):
            same = (X[i] == X[j]).all()
            assert (expected[i] == expected[j]) == same


def test_large_integers_differ_by_one():
    X = np.array([[2**53], [2**53 + 1], [2**63 - 1], [2**63 - 2]])
    assert len(set(ids(X))) == 4
    assert ids(pd.DataFrame({"a": X[:, 0], "b": 0.5})) != ids(
        pd.DataFrame({"a": X[:, 0] - 1, "b": 0.5})
    )
    assert len(set(ids(pd.DataFrame({"a": X[:, 0], "b": 0.5})))) == 4
    assert len(set(ids(pd.DataFrame({"a": X[:, 0], "b": "x"})))) == 4
    assert ids(X[:1].astype(float)) == ids(X[:1])


def test_wide_rows_have_one_name_too():
    X = np.zeros((3, 5000))
    X[1, 7] = X[2, 8] = 1
    assert len(set(ids(X))) == 3
    assert ids(X) == ids(sparse.csr_array(X)) == ids(pd.DataFrame(X))


def sparse_rows(values, width=2**18):
    """Make 4 rows: one unsorted with a repeated place, one with -0.0, one empty."""
    entries = np.array(values), [9, 3, 3, 70_000, 5], [0, 3, 4, 5, 5]
    return sparse.csr_matrix(entries, shape=(4, width))


@pytest.mark.parametrize(
    ("values", "first_two"),
    [
        (
            np.float32([0.1, 0.2, 0.3, np.nan, -0.0]),
            ["4fc7a93f2540574e9930d46264177cb5", "9b913cdb4052b479b85c8b21ec1c4bdb"],
        ),
        (
            np.int64([1, 2, 3, 2**53 + 1, 0]),
            ["2d74ae5ca46fd1389db9cd70b9f3d3bc", "48b53d745b926d0be700d224d3b9b836"],
        ),
    ],
)
def test_wide_sparse_rows_keep_the_names_that_files_have(values, first_two):
    """Compare with names that were computed before rows were read in small blocks."""
    empty = "bfe5177f17bffbcddd7bfe9f2fc7f1a5"
    X = sparse_rows(values)
    assert sample_ids(X) == [*first_two, empty, empty]
    assert sample_ids(X.toarray()) == sample_ids(X)
    many = sparse.vstack([X] * 10, format="csr")  # several blocks
    assert sample_ids(many) == sample_ids(X) * 10


def test_a_wide_sparse_pool_is_not_made_dense_as_a_whole():
    X = sparse.vstack([sparse_rows(np.ones(5))] * 60, format="csr")
    tracemalloc.start()
    try:
        sample_ids(X)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**27 < 8 * np.prod(X.shape) / 3


def test_times_are_not_rounded():
    """As float32, 200 seconds of one hour are 3 numbers."""
    times = [[1_790_000_000 + i] for i in range(200)]
    assert len(set(ids(times))) == 200
    y = np.arange(200) // 50
    pool = check_pool(times)
    assert (KNeighborsClassifier(1).fit(pool, y).predict(pool) == y).all()
    settings = {"classes": [0, 1], "background": False}
    with AnnotationSession(times, GaussianNB(), **settings) as session:
        (question,) = session.ask()
        session.answer(question.id, 1)
        assert len(session.labeled) == 1
        assert session.progress().n_pool == 200


def test_pool_as_list_and_as_array_is_one_pool(tmp_path):
    lists = [[0.1, 3], [0.2, 4], [0.3, 5], [1_790_000_001, 0]]
    settings = {"classes": [0, 1], "store": tmp_path / "s.sqlite", "background": False}
    with AnnotationSession(lists, GaussianNB(), **settings) as session:
        for question in session.ask(4):
            session.answer(question.id, int(question.index == 3))
    for pool in (np.array(lists), sparse.csr_array(lists), pd.DataFrame(lists)):
        with AnnotationSession(pool, GaussianNB(), **settings) as session:
            frame = session.export().sort_values("index")
            assert frame["label"].tolist() == [0, 0, 0, 1]


@pytest.mark.parametrize("kind", ["list", "integers", "sparse", "images"])
def test_file_of_an_earlier_version_opens_with_all_labels(tmp_path, kind):
    """Compare with the ids of an existing file, computed by hand."""
    from hashlib import blake2b

    def name(*parts):
        digest = blake2b(digest_size=16)
        for part in parts:
            digest.update(len(part).to_bytes(8, "little") + part)
        return digest.hexdigest()

    if kind == "list":
        pool = [[0.1, 0.25], [0.3, 0.5]]
        rounded = np.array(pool, dtype=np.float32).astype("<f8")
        names = [name(b"numbers", row.tobytes()) for row in rounded]
    elif kind == "integers":
        pool = np.array([[1_790_000_001], [1_790_000_002], [1_890_000_000]])
        rounded = pool.astype(np.float32).astype("<f8")
        names = [name(b"numbers", row.tobytes()) for row in rounded]
    elif kind == "sparse":
        # scipy before 1.15 gives no single row of a csr_array.
        pool = sparse.csr_matrix([[0.0, 0.1], [0.2, 0.0]])
        names = [
            name(b"sparse", b"2", np.array([j], "<i8").tobytes(), value.tobytes())
            for j, value in [(1, np.float64(0.1)), (0, np.float64(0.2))]
        ]
    else:
        pool = [Image.new("P", (2, 2), i) for i in range(2)]
        for image in pool:
            image.putpalette([7, 7, 7, 9, 9, 9])
        names = [
            name(b"image", b"P", b"(2, 2)", bytes([i] * 4)) for i in range(len(pool))
        ]
    path = tmp_path / "s.sqlite"
    with AnnotationStore(path) as store:
        for i, sample in enumerate(names):
            if sample not in names[:i]:
                with store.transaction():
                    store.append("me", "import", sample, str(i % 2))
    settings = {"classes": [0, 1], "store": path, "background": False}
    with AnnotationSession(pool, GaussianNB(), **settings) as session:
        frame = session.export()
        assert frame["index"].tolist() == [
            i for i, sample in enumerate(names) if sample not in names[:i]
        ]
        assert session.progress().n_pool == len(names)
        n = pool.shape[0] if hasattr(pool, "shape") else len(pool)
        assert session.import_labels(
            [(session.id_of(pool[i]), i % 2, "me") for i in range(n)]
        ) == n - len(frame)


def test_pictures_are_known_by_what_is_seen():
    pixels = np.array([[0, 1], [1, 0]], dtype=np.uint8)

    def of(palette, **settings):
        image = Image.fromarray(pixels, "L").copy()
        image.putpalette(palette)
        image.info.update(settings)
        return image

    red = of([255, 0, 0, 0, 0, 0])
    others = [
        of([0, 255, 0, 0, 0, 0]),
        of([0, 0, 255, 0, 0, 0]),
        of([255, 0, 0, 9, 0, 0]),
    ]
    see_through = of([255, 0, 0, 0, 0, 0], transparency=0)
    turned = red.convert("RGB")
    turned.getexif()[0x0112] = 6
    found = sample_ids([red, *others, see_through, turned])
    assert len(set(found)) == len(found)
    longer = [255, 0, 0, 0, 0, 0, *[5, 5, 5] * 9]
    assert sample_ids([red.convert("RGB")]) == sample_ids([red])
    assert sample_ids([of(longer)]) == sample_ids([red])
    reordered = Image.fromarray(1 - pixels, "L")
    reordered.putpalette([0, 0, 0, 255, 0, 0])
    assert sample_ids([reordered]) == sample_ids([red])


def test_an_unreadable_picture_is_named_by_its_row(tmp_path):
    path = tmp_path / "a.png"
    noise = np.random.RandomState(0).randint(256, size=(32, 32, 3), dtype=np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:700])
    pool = [Image.new("RGB", (4, 4), (i, 0, 0)) for i in range(5)]
    with Image.open(path) as damaged:
        pool[3] = damaged
        with pytest.raises(ValueError, match=r"^X\[3\] cannot be read as an image"):
            AnnotationSession(pool, GaussianNB(), classes=[0, 1], background=False)
    # One image alone has no row.
    good = [pool[0], pool[1]]
    with (
        AnnotationSession(good, GaussianNB(), classes=[0, 1]) as session,
        Image.open(path) as damaged,
        pytest.raises(ValueError, match=r"^an image cannot be read"),
    ):
        session.id_of(damaged)


def test_pictures_as_arrays():
    X = np.random.RandomState(0).uniform(size=(2, 4, 4)).astype(np.float32)
    assert sample_ids(X) == sample_ids(X.astype(np.float64)) == sample_ids(list(X))
    assert sample_ids(X) == sample_ids(X.astype(">f4"))


def test_objects_without_content_are_refused():
    class Thing:
        pass

    for value in (Thing(), [Thing()], {"a": (Thing(),)}, lambda: 0, {Thing()}):
        frame = pd.DataFrame({"a": [value], "b": ["text"]})
        with pytest.raises(TypeError, match="by its content"):
            sample_ids(frame)


def test_long_arrays_in_a_column_are_not_cut():
    cells = [np.zeros(5000), np.zeros(5000)]
    cells[1][2500] = 1
    for held in (cells, [[cell] for cell in cells]):
        frame = pd.DataFrame({"a": held, "b": ["text"] * 2})
        assert len(set(sample_ids(frame))) == 2


NAMES = """
import numpy as np, pandas as pd, sys
from pathlib import Path
from cofm_sklearn.annotation.identity import sample_ids
cells = [{"b", "a", "c"}, frozenset("xyz"), (1, None), b"x", {"k": {"q", "r"}}, "s"]
frame = pd.DataFrame({"a": cells, "b": range(6)})
paths = [Path(b"caf\\xe9.png".decode("utf-8", "surrogateescape")), Path("a")]
print(sample_ids(frame) + sample_ids(paths) + sample_ids(["a\\r\\n", "b"]))
"""


@pytest.mark.slow
def test_every_process_gives_the_same_names():
    found = {
        subprocess.run(
            [sys.executable, "-c", NAMES],
            env={**os.environ, "PYTHONHASHSEED": str(seed)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in (1, 2, 3)
    }
    assert len(found) == 1


def test_paths_that_are_not_utf8():
    odd = Path(os.fsdecode(b"caf\xe9.png"))
    plain = Path("caf\xe9.png")
    assert len({*sample_ids([odd, plain])}) == 2
    frame = pd.DataFrame({"a": [str(odd)], "b": [1]}, dtype=object)
    assert len(sample_ids(frame)) == 1


def test_a_known_name_is_kept_once():
    X = np.array([[1_790_000_001], [1_790_000_002]])
    old, _ = ids_of_file(X.astype(np.float32), set())
    assert old[0] == old[1]
    names, renamed = ids_of_file(X, set(old))
    assert names == [old[0], sample_ids(X)[1]]
    assert renamed == {sample_ids(X)[0]: old[0]}
