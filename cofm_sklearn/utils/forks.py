"""Locks that stay usable in a forked child process."""

import os
import weakref
from typing import Any

__all__ = ["renew_after_fork", "take_before_fork"]

_TAKEN: weakref.WeakSet = weakref.WeakSet()
_RENEWED: weakref.WeakSet = weakref.WeakSet()
_HELD: list = []
_PATIENCE_S = 30


def take_before_fork(lock: Any) -> Any:
    """Make forks wait for this lock; for locks that are held briefly.

    Parameters
    ----------
    lock : RLock

    Returns
    -------
    RLock
        The same lock.
    """
    _TAKEN.add(lock)
    return lock


def renew_after_fork(lock: Any) -> Any:
    """Release this lock in the child; for long work that can be restarted.

    Parameters
    ----------
    lock : Lock or RLock

    Returns
    -------
    Lock or RLock
        The same lock.
    """
    _RENEWED.add(lock)
    return lock


def _before():
    for lock in list(_TAKEN):
        if lock.acquire(timeout=_PATIENCE_S):
            _HELD.append(lock)


def _after():
    while _HELD:
        _HELD.pop().release()


def _in_child():
    _after()
    for lock in list(_RENEWED):
        lock._at_fork_reinit()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before, after_in_parent=_after, after_in_child=_in_child
    )
