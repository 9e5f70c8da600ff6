"""Texts, labels, class descriptions and splits of the comparison."""

import json
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from cofm_sklearn.datasets import load_api_docs
from cofm_sklearn.utils.tables import read_csv

__all__ = ["Corpus", "InputError", "load_corpus", "split_corpus"]

_HELD_OUT = 0.3


class InputError(ValueError):
    """A mistake in the user's files or options, with a one-line message."""


@dataclass
class Corpus:
    """Labelled texts.

    Attributes
    ----------
    title : str
        Name of the data in the report.

    texts : ndarray of shape (n_samples,) of str
        The texts; each occurs once.

    labels : ndarray of shape (n_samples,) of str
        Their true labels.

    descriptions : dict of str to str or list of str
        What the prior knows about each class.

    notes : list of str
        Remarks on how the data were read.
    """

    title: str
    texts: np.ndarray
    labels: np.ndarray
    descriptions: dict
    notes: list = field(default_factory=list)


def load_corpus(
    data=None,
    text_column="text",
    label_column="label",
    classes=None,
    encoding=None,
    separator=None,
):
    """Load the texts of the comparison.

    Parameters
    ----------
    data : Path or None, default=None
        CSV or Parquet file; None loads `load_api_docs`.

    text_column, label_column : str
        Columns of the file.

    classes : Path or None, default=None
        Class descriptions, see `read_descriptions`; None uses the label names.

    encoding, separator : str or None, default=None
        Format of a CSV file; None detects it.

    Returns
    -------
    Corpus

    Raises
    ------
    InputError
        If a file or column is missing, a cell is empty, or a class has no
        description or fewer than two texts.
    """
    if data is None:
        docs = load_api_docs()
        corpus = Corpus(
            "API docs", docs.data, docs.target.astype(object), docs.class_descriptions
        )
    else:
        corpus = _read_corpus(data, text_column, label_column, encoding, separator)
    labels, counts = np.unique(corpus.labels, return_counts=True)
    if len(labels) < 2:
        raise InputError(f"all texts have the label {labels[0]!r}; give two classes.")
    if (counts < 2).any():
        alone = labels[counts < 2][0]
        raise InputError(
            f"class {alone!r} has only one text, but one to query and one to test "
            "on are needed; add texts, or remove or merge the class."
        )
    if classes is not None:
        described = read_descriptions(classes, encoding)
        if missing := [label for label in labels if label not in described]:
            raise InputError(f"{classes} has no description of class {missing[0]!r}.")
        if unused := sorted(set(described) - set(labels)):
            corpus.notes.append(f"Descriptions without texts: {unused}.")
        corpus.descriptions = {label: described[label] for label in labels}
    elif not corpus.descriptions:
        corpus.notes.append(
            "No --classes given: the label names are used as descriptions."
        )
        corpus.descriptions = {label: label.replace("_", " ") for label in labels}
    return corpus


def read_descriptions(path, encoding=None):
    """Read class descriptions.

    Parameters
    ----------
    path : Path
        JSON with an object label -> description or list of descriptions, or CSV with
        the columns label and description, or these as its first two; a class with
        several descriptions has several rows.

    encoding : str or None, default=None
        Encoding of a CSV file; None detects it.

    Returns
    -------
    dict of str to str or list of str

    Raises
    ------
    InputError
        If the file is missing or has neither format.
    """
    if path.suffix.lower() == ".csv":
        table = _read_table(path, (), encoding)
        if table.shape[1] < 2:
            raise InputError(f"{path} needs two columns, label and description.")
        names = ["label", "description"]
        if not set(names) <= set(table.columns):
            names = table.columns[:2].tolist()
        texts = table.groupby(names[0], sort=False)[names[1]].agg(list)
        described = {k: said if len(said) > 1 else said[0] for k, said in texts.items()}
    else:
        try:
            described = json.loads(path.read_bytes())
        except FileNotFoundError:
            raise InputError(f"no such file: {path}") from None
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{path} cannot be read as JSON: {error}") from error
        if not isinstance(described, dict):
            raise InputError(f"{path} must be a JSON object: label -> description.")
    for label, given in described.items():
        texts = given if isinstance(given, list) and given else [given]
        if not all(isinstance(text, str) and text.strip() for text in texts):
            raise InputError(
                f"{path}: the description of class {label!r} must be a text or a list "
                f"of texts, and not empty; got {given!r}."
            )
    return described


def split_corpus(labels, seed):
    """Split class by class into a pool and a held-out part.

    Every class has at least one text in each part.

    Parameters
    ----------
    labels : ndarray of shape (n_samples,)
        Labels; each occurs at least twice.

    seed : int
        Seed of the split.

    Returns
    -------
    pool, held_out : ndarray of dtype int64
        Sorted positions; each position is in one part.
    """
    shuffled = np.random.RandomState(seed).permutation(len(labels))
    held_out = []
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        n_held_out = max(1, round(_HELD_OUT * len(members)))
        held_out.extend(members[:n_held_out])
    return np.setdiff1d(shuffled, held_out), np.sort(held_out)


def _read_corpus(path, text_column, label_column, encoding, separator):
    table = _read_table(path, (text_column, label_column), encoding, separator)
    for column, option in ((text_column, "text"), (label_column, "label")):
        if column not in table.columns:
            raise InputError(
                f"{path} has no column {column!r}; it has {list(table.columns)}. "
                f"Give the right one with --{option}-column, or the character between "
                "the columns with --separator."
            )
    if not len(table):
        raise InputError(f"{path} has no rows.")
    table = table[[text_column, label_column]]
    empty = table.isna() | table.map(lambda v: isinstance(v, str) and not v.strip())
    if empty.to_numpy().any():
        row, column = np.argwhere(empty.to_numpy())[0]
        raise InputError(
            f"{path} has an empty {table.columns[column]!r} in data row {row + 1} "
            f"({empty.any(axis=1).sum()} such rows); fill or remove them."
        )
    texts, labels = table.astype(str).to_numpy(dtype=object).T
    # A text in both parts of the split would leak its label.
    _, first = np.unique(texts, return_index=True)
    kept = np.sort(first)
    notes = []
    if len(kept) < len(texts):
        notes.append(f"{len(texts) - len(kept)} repeated texts are dropped.")
    return Corpus(path.name, texts[kept], labels[kept], {}, notes)


def _read_table(path, columns, encoding=None, separator=None):
    try:
        if path.suffix.lower() in (".parquet", ".pq"):
            return pd.read_parquet(path)
        return read_csv(path, columns, encoding=encoding, separator=separator)
    except FileNotFoundError:
        raise InputError(f"no such file: {path}") from None
    except (OSError, ValueError, ImportError) as error:
        first_line = str(error).strip().partition("\n")[0]
        raise InputError(f"{path} cannot be read: {first_line}") from error
