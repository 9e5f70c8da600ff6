"""Write files atomically."""

import os
import secrets
from contextlib import contextmanager
from pathlib import Path

__all__ = ["check_path", "whole_file"]


@contextmanager
def whole_file(path):
    """Yield a temporary path that replaces the file if all goes well.

    Parameters
    ----------
    path : str or path-like
        The file. The old one stays until the new one is complete and on disk. For a
        symbolic link, the link's target is replaced.

    Yields
    ------
    pathlib.Path
        A temporary path in the same folder, with the same suffix.

    Raises
    ------
    ValueError
        If the folder does not exist, or the path is a folder.

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
    """Check that a file can be written at a path.

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
        If it is a folder, or its folder does not exist.
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
