"""CSV files as spreadsheets and other programs write them."""

import codecs
import csv
import re
from io import StringIO
from pathlib import Path

import pandas as pd

__all__ = ["read_csv"]

_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_SEPARATORS = (",", ";", "\t", "|")


def read_csv(path, columns=(), *, encoding=None, separator=None):
    """Read a CSV file, detecting its encoding and separator.

    Parameters
    ----------
    path : str or path-like
        The file.

    columns : iterable of str, default=()
        Columns that the right separator must yield; by default, any two columns.

    encoding : str or None, default=None
        None uses the byte order mark if there is one, else UTF-8.

    separator : str or None, default=None
        None uses the first of comma, semicolon, tab and bar that yields `columns`.

    Returns
    -------
    DataFrame
        All cells are texts. Empty cells are ``""``; "None" and "NA" stay strings.

    Raises
    ------
    FileNotFoundError
        If there is no such file.

    ValueError
        If it cannot be decoded or is not a table; the message says what to do.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from cofm_sklearn.utils.tables import read_csv
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "mails.csv"
    ...     _ = path.write_text("text;label\\ncafé;menu\\n", encoding="utf-16")
    ...     read_csv(path, ["label"]).to_dict("list")
    {'text': ['café'], 'label': ['menu']}
    """
    content = Path(path).read_bytes()
    if encoding is None:
        marks = [name for mark, name in _MARKS.items() if content.startswith(mark)]
        encoding = marks[0] if marks else "utf-8"
    try:
        text = content.decode(encoding)
    except LookupError as error:
        raise ValueError(f"encoding {encoding!r} is not known.") from error
    except UnicodeDecodeError as error:
        raise ValueError(
            f"byte {error.start} is not {encoding}. Name the encoding it was saved in, "
            "for example latin-1 or cp1252, or save it as UTF-8."
        ) from error
    if 4 * text.count("\0") > len(text):
        raise ValueError(
            f"it is not {encoding}, as it has NUL bytes. Name the encoding it was "
            "saved in, for example utf-16, or save it as UTF-8."
        )
    if separator is None:
        separator = _separator_of(text, set(columns))
    table = pd.read_csv(StringIO(text), sep=separator, dtype=str, keep_default_na=False)
    if not isinstance(table.index, pd.RangeIndex):  # the surplus became its names
        raise ValueError(
            f"its rows have more cells than its header, {list(table.columns)}. Put "
            f"cells that contain {separator!r} in quotes."
        )
    return table


def _separator_of(text, columns):
    header = re.split("[\r\n]", text.lstrip("\r\n"), maxsplit=1)[:1]
    for separator in _SEPARATORS:
        try:
            names = next(csv.reader(header, delimiter=separator), [])
        except csv.Error:  # a name as long as a whole file that is no table
            continue
        if len(names) > 1 and columns <= set(names):
            return separator
    return ","
