"""Embeddings that stay in a Parquet file."""

import pickle
from concurrent.futures import ThreadPoolExecutor

import dask.array as da
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score

from cofm_sklearn.datasets import ParquetEmbeddings
from cofm_sklearn.datasets import parquet as module

Z = np.random.RandomState(0).normal(size=(500, 3)).astype(np.float32)


def write(path, kind):
    if kind == "lists":
        frame = pd.DataFrame({"text": ["a text"] * len(Z), "embedding": list(Z)})
        frame.to_parquet(path, row_group_size=170)
    elif kind == "columns":
        frame = pd.DataFrame(Z, columns=["a", "b", "c"])
        frame.to_parquet(path, row_group_size=170)
    else:
        fixed = pa.FixedSizeListArray.from_arrays(pa.array(Z.ravel()), 3)
        pq.write_table(pa.table({"embedding": fixed}), path, row_group_size=64)
    return path


@pytest.fixture(params=["lists", "columns", "fixed lists"])
def pool(request, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_BATCH", 60)
    return ParquetEmbeddings(write(tmp_path / "pool.parquet", request.param))


def test_any_sequence_of_reads_gives_the_rows(pool):
    rng = np.random.RandomState(1)
    assert pool.shape == Z.shape
    for _ in range(200):
        a, b = np.sort(rng.randint(0, 501, size=2))
        np.testing.assert_array_equal(pool[a:b], Z[a:b])
    for start in range(0, 500, 77):  # as a scan does
        np.testing.assert_array_equal(pool[start : start + 77], Z[start : start + 77])


def test_threads_read_the_same_file(pool):
    starts = np.random.RandomState(0).randint(0, 440, size=400)
    with ThreadPoolExecutor(4) as threads:
        found = list(threads.map(lambda start: pool[start : start + 60], starts))
    for start, rows in zip(starts, found):
        np.testing.assert_array_equal(rows, Z[start : start + 60])


def test_columns_are_those_of_an_array(pool):
    for rows, columns in (
        (3, 1),
        (slice(2, 70), 1),
        (slice(None), slice(0, 2)),
        ([5, 2], slice(1, None)),
        (7, ...),
    ):
        np.testing.assert_array_equal(pool[rows, columns], Z[rows, columns])
    blocks = da.from_array(pool, chunks=(90, 2))
    np.testing.assert_array_equal(blocks.compute(scheduler="threads"), Z)
    for wrong in ((0, 0, 0), (), ([0, 1], [0, 1])):
        with pytest.raises(IndexError, match="Columns must be"):
            pool[wrong]


@pytest.mark.parametrize(
    "index", [pd.Index(np.arange(500)[::-1]), pd.Index(map(str, range(500)), name="id")]
)
def test_the_index_of_a_frame_is_not_a_feature(tmp_path, index):
    path = tmp_path / "pool.parquet"
    pd.DataFrame(Z, columns=["a", "b", "c"], index=index).to_parquet(path)
    assert len(pq.read_schema(path).names) == 4
    np.testing.assert_array_equal(ParquetEmbeddings(path)[:], Z)


@settings(max_examples=30, deadline=None)
@given(rows=st.lists(st.integers(0, 499), min_size=0, max_size=30))
def test_rows_by_position(tmp_path_factory, rows):
    path = tmp_path_factory.getbasetemp() / "positions.parquet"
    if not path.exists():
        write(path, "lists")
    pool = ParquetEmbeddings(path)
    rows = np.array(rows, dtype=int)
    np.testing.assert_array_equal(pool[rows], Z[rows])


def test_searches_of_scikit_learn_take_rows(pool):
    rows = np.array([3, 1, 499])
    np.testing.assert_array_equal(pool[rows, ...], Z[rows])
    np.testing.assert_array_equal(pool[rows, :], Z[rows])
    np.testing.assert_array_equal(pool[rows, 0], Z[rows, 0])
    scores = cross_val_score(LogisticRegression(), pool, np.arange(500) % 2, cv=3)
    assert scores.shape == (3,)


def test_it_is_an_array_to_others(pool):
    np.testing.assert_array_equal(np.asarray(pool), Z)
    np.testing.assert_array_equal(pool[7], Z[7])
    np.testing.assert_array_equal(pool[::50], Z[::50])
    mask = Z[:, 0] > 1
    np.testing.assert_array_equal(pool[mask], Z[mask])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(pool))[3:9], Z[3:9])
    np.testing.assert_array_equal(pool[[]], Z[:0])
    with pytest.raises(IndexError, match="from 0 to 499"):
        pool[[500]]
    for wrong in (mask[:-1], [[0, 1]], [0.5], ["a"]):
        with pytest.raises(IndexError, match="a mask as long as the file"):
            pool[wrong]
    with pytest.raises(TypeError, match="column must be a str"):
        ParquetEmbeddings(pool.path, column=["embedding"])


def test_bad_files_are_named(tmp_path):
    path = tmp_path / "bad.parquet"
    with pytest.raises(ValueError, match=r"bad\.parquet"):
        ParquetEmbeddings(path)
    path.write_bytes(b"no Parquet at all")
    with pytest.raises(ValueError, match="cannot be read as Parquet"):
        ParquetEmbeddings(path)
    pd.DataFrame({"text": ["a"], "n": [1.0]}).to_parquet(path)
    with pytest.raises(ValueError, match=r"'text'.*column="):
        ParquetEmbeddings(path)
    with pytest.raises(ValueError, match="'vector' is not in"):
        ParquetEmbeddings(path, column="vector")
    table = pa.table({"e": pa.array([[1.0, 2.0], [None, 1.0]])})
    pq.write_table(table, path)
    with pytest.raises(ValueError, match="missing values"):
        ParquetEmbeddings(path)[:]
    pd.DataFrame({"e": [[1.0, 2.0], [1.0]]}).to_parquet(path)
    with pytest.raises(ValueError, match="different lengths"):
        ParquetEmbeddings(path)[:]
    pd.DataFrame({"e": [[1.0, 2.0], None]}).to_parquet(path)
    with pytest.raises(ValueError, match="missing values"):
        ParquetEmbeddings(path)[:]


@pytest.mark.parametrize("other", [[7.0], [7.0, 8.0, 9.0], []])
def test_lists_that_differ_between_batches_are_an_error(tmp_path, monkeypatch, other):
    """Each batch for itself has one width, so nothing in it is wrong."""
    monkeypatch.setattr(module, "_BATCH", 8)
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"e": [[1.0, 2.0]] * 8 + [other] * 8}), path)
    pool = ParquetEmbeddings(path)
    assert pool.shape == (16, 2)
    for rows in (9, [9], [9, 1], slice(8, 10), slice(None)):
        with pytest.raises(ValueError, match=r"pool\.parquet.*different lengths.*'e'"):
            pool[rows]
        np.testing.assert_array_equal(pool[:8], [[1, 2]] * 8)


DECIMALS = pa.list_(pa.decimal128(3, 1))
TENSOR = pa.fixed_shape_tensor(pa.float32(), [2])


@pytest.mark.parametrize(
    "kind", [pa.large_list(pa.float64()), pa.list_(pa.int8()), DECIMALS, TENSOR]
)
@pytest.mark.parametrize("column", [None, "e"])
def test_any_list_of_numbers_is_read(tmp_path, kind, column):
    path = tmp_path / "pool.parquet"
    storage = pa.array([[1, 2], [3, 4], [5, 6]], getattr(kind, "storage_type", kind))
    if kind is TENSOR:
        storage = pa.ExtensionArray.from_storage(kind, storage)
    tags = pa.array([["a"], [], ["b", "c"]])
    pq.write_table(pa.table({"tags": tags, "e": storage}), path)
    pool = ParquetEmbeddings(path, column)
    assert pool.shape == (3, 2)
    np.testing.assert_array_equal(pool[1:], [[3, 4], [5, 6]])


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        (["[0.1, 0.2]"] * 3, "string"),
        ([{"v": [1.0, 2.0]}] * 3, "struct<v"),
        ([["a", "b"]] * 3, "list<.*string"),
        ([[[1.0], [2.0]]] * 3, "list<.*list<.*double"),
        ([True] * 3, "bool"),
    ],
)
def test_a_column_of_no_numbers_is_named_with_its_type(tmp_path, values, kind):
    path = tmp_path / "pool.parquet"
    pq.write_table(pa.table({"e": values, "f": [1.0] * 3}), path)
    with pytest.raises(
        ValueError, match=rf"column='e' of .*pool\.parquet has the type {kind}.*number"
    ):
        ParquetEmbeddings(path, column="e")
    with pytest.raises(ValueError, match=rf"pool\.parquet .* 'e' of type {kind}"):
        ParquetEmbeddings(path)
