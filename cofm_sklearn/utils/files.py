"""Write a file at once, or not at all."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_path", "whole_file"]


@contextmanager
def whole_file(path):
    """Give a name to write to, which becomes the file when all went well.

    Parameters
    ----------
    path : str or path-like
        The file. What is there stays until the new one is complete and on the disk;
        of a symbolic link, what it points to is replaced.

    Yields
    ------
    pathlib.Path
        A new name in the same folder, with the same ending.

    Raises
    ------
    ValueError
        If there is no such folder, or the path is one.

    Examples
    --------
    >>> import tempfile
    >>> from cofm_sklearn.utils.files import whole_file
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole_file(f"{folder}/a.txt") as part:
    ...         n_written = part.write_text("all of it")
    ...     [path.name for path in Path(folder).iterdir()]
    ['a.txt']
    """
    path = check_path(os.path.realpath(Path(path).expanduser()))
    part = path.with_name(f".{path.stem}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield part
        with open(part, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def check_path(path):
    """Return where a file is to be written.

    Parameters
    ----------
    path : path-like
        The file.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    ValueError
        If it is a folder, or its folder is not there.
    """
    path = Path(path).expanduser()
    if path.is_dir():
        raise ValueError(f"path={str(path)!r} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise ValueError(
            f"path={str(path)!r}: there is no folder {str(path.parent)!r}. Make it "
            "first."
        )
    return path
