"""Import and export: CSV, Parquet, JSON Lines, Hugging Face datasets."""

import csv
import io
import json
import os
import re
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cofm_sklearn.annotation.identity import are_paths
from cofm_sklearn.annotation.learning import label_of
from cofm_sklearn.encoders.folders import sha256_of_file
from cofm_sklearn.encoders.image_reading import MAX_PIXELS, as_shown, open_picture
from cofm_sklearn.utils import import_optional
from cofm_sklearn.utils.files import whole_file
from cofm_sklearn.utils.tables import read_csv
from cofm_sklearn.utils.texts import is_missing, is_text

__all__ = ["labels_frame", "read_labels", "samples_from_dataset", "write_frame"]

# Start of a formula in a spreadsheet, perhaps already prefixed with marks.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
# End of a time with its offset from UTC.
_OFFSET = r":.*(?:Z|[+-]\d\d(?::?\d\d)?)$"
_FORMATS = {".csv": "csv", ".parquet": "parquet", ".jsonl": "jsonl", ".pq": "parquet"}


def labels_frame(history, rows, X):
    """Return a row per sample and annotator, in the order of the first answers."""
    records = [
        (sample, rows.get(sample), label_of(event.label), name, event.time)
        for sample, answers in history.answers.items()
        for name, event in answers.items()
    ]
    columns = ["id", "index", "label", "annotator", "time"]
    frame = pd.DataFrame(records, columns=columns)
    frame["index"] = frame["index"].astype("Int64")
    frame["time"] = pd.to_datetime(frame["time"], unit="s", utc=True)
    if are_paths(X) or (is_text(X) and getattr(X, "ndim", 1) == 1):
        frame["sample"] = [None if pd.isna(i) else _name(X[i]) for i in frame["index"]]
    return frame


def _name(sample):
    # File names that are not UTF-8 have characters that cannot be written.
    return os.fsdecode(sample).encode("utf-8", "replace").decode("utf-8")


def write_frame(frame, path, format=None, checksum=False):
    """Write a table, and its SHA-256 beside it.

    Raises
    ------
    ValueError
        If the format is unknown.
    """
    format = _format_of(path, format)
    sums = _sums_of(path)
    sums.unlink(missing_ok=True)  # checksum of the replaced file
    with whole_file(path) as part:
        if format == "csv":
            texts = frame.select_dtypes(exclude=["number", "bool", "datetimetz"])
            frame = frame.assign(**{name: texts[name].map(_as_text) for name in texts})
            # Quoted, as readers treat a carriage return as the end of a row.
            frame.to_csv(part, index=False, quoting=csv.QUOTE_NONNUMERIC)
        elif format == "parquet":
            import_optional("pyarrow", needed_by="A Parquet file")
            frame.to_parquet(
                part, engine="pyarrow", index=False, write_page_checksum=True
            )
        else:
            # Ctrl-C in pandas' own writer ends the process.
            with open(part, "w", encoding="utf-8") as file:
                for row in frame.itertuples(index=False):
                    cells = {n: _as_json(v) for n, v in zip(frame.columns, row)}
                    file.write(json.dumps(cells) + "\n")
    if checksum:
        with whole_file(sums) as part:
            # Format of `sha256sum --check`.
            line = f"{sha256_of_file(path)}  {path.name}\n"
            Path(part).write_text(line, encoding="utf-8")


def _sums_of(path):
    return path.with_name(path.name + ".sha256")


def _as_json(cell):
    if pd.isna(cell):
        return None
    if isinstance(cell, pd.Timestamp):
        return cell.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return cell.item() if hasattr(cell, "item") else cell


def _as_text(cell):
    """Escape texts that look like formulas to a spreadsheet; see `_as_written`."""
    is_formula = isinstance(cell, str) and _FORMULA.match(cell)
    return f"'{cell}" if is_formula else cell


def _as_written(cell):
    is_marked = isinstance(cell, str) and cell[:1] == "'" and _FORMULA.match(cell)
    return cell[1:] if is_marked else cell


def read_labels(labels, pool, annotator, by_text):
    """Read labels from a table, a Series or a file.

    Parameters
    ----------
    labels : DataFrame, Series, str, path-like, or list of (id, label, annotator)

    pool : PoolNames
        Ids of the samples of the pool.

    annotator : str
        Annotator of labels without one.

    by_text : dict of str to label
        The classes by their texts.

    Returns
    -------
    list of (id, label, annotator)
        The original value instead of an id if there is no such sample in the pool.

    Raises
    ------
    ValueError
        If columns are missing or ambiguous, or a row has no label.

    TypeError
        If `labels` has another type.
    """
    if isinstance(labels, list):
        for said in labels:
            if not isinstance(said, tuple | list) or len(said) != 3:
                raise ValueError(
                    f"labels must have (id, label, annotator), got {said!r}."
                )
        return [(pool.known(sample), *said) for sample, *said in labels]
    if isinstance(labels, pd.Series):
        frame = pd.DataFrame({"position": pool.aligned(labels), "label": labels.array})
    elif isinstance(labels, pd.DataFrame):
        frame = labels
    elif isinstance(labels, str | PathLike):
        frame = _read_frame(Path(labels), pool)
    else:
        raise TypeError(
            "labels must be a DataFrame, a Series, a path, or a list of (id, label, "
            f"annotator), got {type(labels).__name__}."
        )
    samples = pool.find(frame)
    if isinstance(labels, pd.Series):
        found = zip(frame["position"], labels.index, samples)
        samples = [f"index {name!r}" if row < 0 else id for row, name, id in found]
    said = [_class_of(label, by_text) for label in frame["label"].tolist()]
    missing = [
        row
        for row, label in enumerate(said)
        if _is_blank(label) and label not in by_text
    ]
    if missing:
        raise ValueError(
            f"labels has no label in {len(missing)} of {len(said)} rows, first in "
            f"row {missing[0]}. Drop the rows without a label, for example with "
            'labels[labels["label"].notna()], or fill them in. Nothing was imported.'
        )
    names = [annotator] * len(frame)
    if "annotator" in frame:
        names = [
            annotator if _is_blank(name) else name
            for name in frame["annotator"].tolist()
        ]
    return list(zip(samples, said, names))


def _class_of(value, by_text):
    """Return the class that a cell represents, else the cell."""
    value = value.item() if isinstance(value, np.generic) else value
    for text in (str(value), _as_written(str(value))):
        if text in by_text:
            return by_text[text]
    try:
        number = float(value)
    except (TypeError, ValueError):
        return value
    # Spreadsheets and pandas write 1.0 for 1 if a cell in the column is blank.
    return by_text.get(str(int(number)), value) if number.is_integer() else value


def _is_blank(value):
    return is_missing(value) or (isinstance(value, str) and not value)


def _read_frame(path, pool):
    format = _format_of(path, None)
    sums = _sums_of(path)
    if sums.is_file() and path.is_file():
        said = sums.read_text(encoding="utf-8", errors="replace").split()[:1]
        if said != [sha256_of_file(path)]:
            raise ValueError(
                f"{str(path)!r} is not the exported file: {sums.name} has another "
                "checksum. Export it again, or delete that file if you edited the "
                "labels yourself."
            )
    if format == "parquet":
        import_optional("pyarrow", needed_by="A Parquet file")
    try:
        if format == "parquet":
            return pd.read_parquet(
                path, engine="pyarrow", page_checksum_verification=True
            )
        if format == "csv":
            return _restore(read_csv(path, ["label"]), pool)
        frame = pd.read_json(path, lines=True, dtype=False)
        # Without lines there are no column names.
        return frame if len(frame) else pd.DataFrame(columns=["id", "label"])
    except (
        *(OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError),
        *(NotImplementedError, RecursionError),
    ) as error:
        reason = str(error).rstrip(".")
        raise ValueError(
            f"{str(path)!r} cannot be read as {format}: {reason}. Export it again, or "
            "read it in another way and pass the frame."
        ) from error


def _restore(frame, pool):
    """Give the cells of a CSV file, which are all texts, the values of the pool."""
    is_table = pool.table is not None
    # Without all columns, one of the same name is not the pool's: our own "id", say.
    is_whole = is_table and set(pool.table) <= set(frame)
    for name in frame:
        if is_whole and name in pool.table:
            frame[name] = _values_of(frame[name], pool.table[name])
        elif name in ("index", "position"):
            frame[name] = pd.to_numeric(frame[name], errors="coerce")
        elif not is_table and name not in ("id", "label"):
            frame[name] = [_text_of(cell, pool) for cell in frame[name]]
    return frame


def _text_of(cell, pool):
    """Remove the mark of an escaped text, unless the pool has the text as it is."""
    written = _as_written(cell)
    return cell if written == cell or pool.id_of_text(cell) in pool.rows else written


def _values_of(texts, column):
    """Return the values of a column of the pool that texts in a file stand for."""
    if column.dtype.kind in "iuf":
        numbers = pd.to_numeric(texts, errors="coerce")
        return numbers.astype(column.dtype) if column.dtype.kind == "f" else numbers
    if column.dtype.kind == "M" and column.dt.tz is not None:
        # Without its offset, a time could be taken for that of another row.
        texts = texts.where(texts.str.contains(_OFFSET))
        # pandas 2 writes fractions of a second only where there are some.
        times = pd.to_datetime(texts, format="ISO8601", utc=True, errors="coerce")
        return times.dt.tz_convert(column.dt.tz)
    if column.dtype.kind == "M":
        return pd.to_datetime(texts, errors="coerce")
    # An empty cell is a missing value, unless the column has the empty text.
    values = sorted(column.tolist(), key=is_missing, reverse=True)
    by_text = {"" if is_missing(value) else str(value): value for value in values}
    return [by_text.get(t, by_text.get(_as_written(t), t)) for t in texts]


def samples_from_dataset(dataset, column):
    """Read a column of a Hugging Face dataset as a pool.

    Parameters
    ----------
    dataset : datasets.Dataset
        One split.

    column : str
        Texts, images, or vectors.

    Returns
    -------
    list
        The samples; images are decoded.

    Raises
    ------
    TypeError
        If it is not a dataset, or has several splits.

    ValueError
        If there is no such column.

    Examples
    --------
    >>> from cofm_sklearn.annotation import samples_from_dataset
    >>> samples_from_dataset(["no dataset"], "text")
    Traceback (most recent call last):
        ...
    TypeError: dataset must be one split of a Hugging Face dataset, got list.
    """
    if not hasattr(dataset, "column_names") or isinstance(dataset, dict):
        splits = (
            f" with the splits {list(dataset)}" if isinstance(dataset, dict) else ""
        )
        raise TypeError(
            "dataset must be one split of a Hugging Face dataset, got "
            f"{type(dataset).__name__}{splits}."
        )
    if column not in dataset.column_names:
        raise ValueError(
            f"dataset has no column {column!r}; it has {dataset.column_names}."
        )
    feature: Any = (getattr(dataset, "features", None) or {}).get(column)
    if type(feature).__name__ != "Image":
        return list(dataset[column])
    # Decoded here, as the library opens every PIL format, even with external programs.
    undecoded = dataset.cast_column(column, type(feature)(decode=False))
    return [
        _decoded(value, f"dataset[{i}]") for i, value in enumerate(undecoded[column])
    ]


def _decoded(value, where):
    if value is None:
        raise ValueError(f"{where} has no image. Leave it out.")
    held = value["bytes"]
    file = Path(value["path"]) if held is None else io.BytesIO(held)
    return as_shown(open_picture(file, where, MAX_PIXELS), where)


def _format_of(path, format):
    format = _FORMATS.get(path.suffix.lower()) if format is None else format
    if format not in set(_FORMATS.values()):
        raise ValueError(
            f"format must be one of {sorted(set(_FORMATS.values()))}, or the file must "
            f"end in one of {sorted(_FORMATS)}; got {str(path)!r}, {format!r}."
        )
    return format
