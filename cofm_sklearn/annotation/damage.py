"""Errors of the store, and checksums that detect damage."""

import hashlib
import json

__all__ = ["DamagedStoreError", "StoreError", "row_checksum"]


class StoreError(RuntimeError):
    """The annotation file cannot be used; the message says why."""


class DamagedStoreError(StoreError):
    """The annotation file is damaged; the readable part was copied.

    Attributes
    ----------
    salvaged : Path or None
        The copy, which can be opened like any other file; None if it cannot be written.
        Its note ``"salvaged"`` lists what is missing.
    """

    def __init__(self, message, salvaged=None):
        super().__init__(message)
        self.salvaged = salvaged


def row_checksum(*values):
    """Return the checksum over all columns of a row."""
    text = json.dumps(list(values), ensure_ascii=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
