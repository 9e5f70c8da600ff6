"""Labels in and out as tables: CSV, Parquet, JSON Lines, Hugging Face datasets."""

import csv
import io
import json
import re
from numbers import Real
from os import PathLike
from pathlib import Path
from typing import Any

import pandas as pd

from cofm_sklearn.annotation.learning import label_of
from cofm_sklearn.encoders.pictures import MAX_PIXELS, open_picture
from cofm_sklearn.utils.files import whole_file
from cofm_sklearn.utils.texts import is_text

__all__ = ["labels_frame", "read_labels", "samples_from_dataset", "write_frame"]

_TEXTS = {"id": str, "label": str, "annotator": str}
# What makes a spreadsheet compute; with marks in front, it was such a text before.
_FORMULA = re.compile(r"'*[=+\-@\t\r]")
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
    if is_text(X) and getattr(X, "ndim", 1) == 1:
        frame["sample"] = [None if pd.isna(i) else str(X[i]) for i in frame["index"]]
    return frame


def write_frame(frame, path, format=None):
    """Write a table.

    Raises
    ------
    ValueError
        If the format is unknown.
    """
    format = _format_of(path, format)
    with whole_file(path) as part:
        if format == "csv":
            texts = frame.select_dtypes(exclude=["number", "bool", "datetimetz"])
            frame = frame.assign(**{name: texts[name].map(_as_text) for name in texts})
            # Quoted, as readers take a carriage return for the end of a row.
            frame.to_csv(part, index=False, quoting=csv.QUOTE_NONNUMERIC)
        elif format == "parquet":
            frame.to_parquet(part, index=False)
        else:
            # Ctrl-C in pandas' own writer ends the process.
            with open(part, "w", encoding="utf-8") as file:
                for row in frame.itertuples(index=False):
                    cells = {n: _as_json(v) for n, v in zip(frame.columns, row)}
                    file.write(json.dumps(cells) + "\n")


def _as_json(cell):
    if pd.isna(cell):
        return None
    if isinstance(cell, pd.Timestamp):
        return cell.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return cell.item() if hasattr(cell, "item") else cell


def _as_text(cell):
    """Keep a spreadsheet from taking a text for a formula; `_as_written` undoes it."""
    is_formula = isinstance(cell, str) and _FORMULA.match(cell)
    return f"'{cell}" if is_formula else cell


def _as_written(cell):
    is_marked = isinstance(cell, str) and cell[:1] == "'" and _FORMULA.match(cell)
    return cell[1:] if is_marked else cell


def read_labels(labels, ids, annotator, classes):
    """Read labels from a table or a file.

    Returns
    -------
    list of (id, label, annotator)

    Raises
    ------
    ValueError
        If columns are missing, or an index is not in the pool.
    """
    if isinstance(labels, list):
        for said in labels:
            if not isinstance(said, tuple | list) or len(said) != 3:
                raise ValueError(
                    f"labels must hold (id, label, annotator), got {said!r}."
                )
        return labels
    if isinstance(labels, pd.DataFrame):
        frame = labels
    elif isinstance(labels, str | PathLike):
        frame = _read_frame(Path(labels), classes)
    else:
        raise TypeError(
            "labels must be a DataFrame, a path, or a list of (id, label, annotator), "
            f"got {type(labels).__name__}."
        )
    if "label" not in frame or not {"id", "index"} & set(frame.columns):
        raise ValueError(
            "labels must have the columns 'label' and 'id' (or 'index'), got "
            f"{list(frame.columns)}."
        )
    if "id" in frame:
        samples = frame["id"].tolist()
    else:
        samples = []
        for i in frame["index"]:
            if not isinstance(i, Real) or float(i) not in range(len(ids)):
                raise ValueError(
                    f"index {i!r} is not in the pool of {len(ids)} samples."
                )
            samples.append(ids[int(float(i))])
    names = [annotator] * len(frame)
    if "annotator" in frame:
        names = frame["annotator"].tolist()
    return list(zip(samples, frame["label"].tolist(), names))


def _read_frame(path, classes):
    format = _format_of(path, None)
    try:
        if format == "parquet":
            return pd.read_parquet(path)
        if format != "csv" and not path.stat().st_size:
            return pd.DataFrame(columns=["id", "label"])  # as no label is exported
        if format != "csv":
            return pd.read_json(path, lines=True, dtype={**_TEXTS, "label": False})
        frame = pd.read_csv(path, keep_default_na=False, dtype=_TEXTS)
    except (
        *(OSError, ValueError, TypeError, KeyError, OverflowError, MemoryError),
        *(NotImplementedError, RecursionError),
    ) as error:
        raise ValueError(
            f"{str(path)!r} cannot be read as {format} ({error}). Export it again."
        ) from error
    # A label "NA" is a label, and digits may be a name; only the classes tell which
    # texts are numbers.
    for name in _TEXTS.keys() & set(frame.columns):
        frame[name] = frame[name].map(_as_written)
    by_text = {str(label): label for label in classes}
    if "label" in frame:
        frame["label"] = [by_text.get(text, text) for text in frame["label"]]
    return frame


def samples_from_dataset(dataset, column):
    """Take a column of a Hugging Face dataset as a pool.

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
        If it is no dataset, or several splits.

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
    # Decoded here, as the library opens whatever PIL opens, other programs included.
    undecoded = dataset.cast_column(column, type(feature)(decode=False))
    return [
        _decoded(value, f"dataset[{i}]") for i, value in enumerate(undecoded[column])
    ]


def _decoded(value, where):
    if value is None:
        raise ValueError(f"{where} has no image. Leave it out.")
    held = value["bytes"]
    file = Path(value["path"]) if held is None else io.BytesIO(held)
    image = open_picture(file, where, MAX_PIXELS)
    try:
        image.load()
    except (OSError, SyntaxError) as error:
        raise ValueError(
            f"{where} cannot be read as an image ({error}). Leave it out."
        ) from error
    return image


def _format_of(path, format):
    format = _FORMATS.get(path.suffix.lower()) if format is None else format
    if format not in set(_FORMATS.values()):
        raise ValueError(
            f"format must be one of {sorted(set(_FORMATS.values()))}, or the file must "
            f"end in one of {sorted(_FORMATS)}; got {str(path)!r}, {format!r}."
        )
    return format
