"""What the parts of a session have in common."""

from typing import TYPE_CHECKING, Any

__all__ = ["SessionPart"]


class SessionPart:
    """Methods of a session that stand in a file of their own, by theme."""

    if TYPE_CHECKING:  # what they use is the session's
        _texts: Any

        def __getattr__(self, name: str) -> Any: ...
