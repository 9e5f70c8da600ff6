"""How damage of a store is noticed, and said."""

import hashlib
import json

__all__ = ["DamagedStoreError", "StoreError", "row_checksum"]


class StoreError(RuntimeError):
    """The file of annotations cannot be used as it is; the message says why."""


class DamagedStoreError(StoreError):
    """The file of annotations is damaged; what could be read was copied.

    Attributes
    ----------
    salvaged : Path or None
        The copy, which can be opened like any other; None if it cannot be written.
        Its note ``"salvaged"`` says what is missing.
    """

    def __init__(self, message, salvaged=None):
        super().__init__(message)
        self.salvaged = salvaged


def row_checksum(*values):
    """Checksum over all columns of a row."""
    text = json.dumps(list(values), ensure_ascii=True, default=repr)
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
