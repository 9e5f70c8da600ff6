"""Locks that a forked child does not find locked by a thread that it does not have."""

import os
import weakref
from typing import Any

__all__ = ["renew_after_fork", "take_before_fork"]

_TAKEN: weakref.WeakSet = weakref.WeakSet()
_RENEWED: weakref.WeakSet = weakref.WeakSet()
_HELD: list = []
_PATIENCE_S = 30


def take_before_fork(lock: Any) -> Any:
    """Let a fork wait for what is done under this lock; for what takes a moment.

    Parameters
    ----------
    lock : RLock

    Returns
    -------
    RLock
        The same.
    """
    _TAKEN.add(lock)
    return lock


def renew_after_fork(lock: Any) -> Any:
    """Unlock this lock in a child; for what may take long, and can begin again.

    Parameters
    ----------
    lock : Lock or RLock

    Returns
    -------
    Lock or RLock
        The same.
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
