"""Base class of the parts of a session."""

from typing import TYPE_CHECKING, Any

__all__ = ["SessionPart"]


class SessionPart:
    """Base class of mixins that group a session's methods by topic."""

    if TYPE_CHECKING:  # the mixins use the session's attributes
        _texts: Any

        def __getattr__(self, name: str) -> Any: ...
