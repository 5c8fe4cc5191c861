"""Keeps one answer for a few seconds in this process, so that many who ask at once cost as much as one."""

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")

# Whoever comes while an answer is being made waits this long for it, and then is told the last one or nothing.
_PATIENCE_S = 3.0
# How much older than it should be the last answer may be told for want of a new one.
_STALE_S = 15.0


class NothingYet(Exception):
    """The first answer is being made and takes long: something that is asked for it does not answer."""


class Kept(Generic[T]):
    def __init__(self, make: Callable[[], T], keep_s: float) -> None:
        self._make = make
        self._keep_s = keep_s
        self._lock = threading.Lock()
        self._kept: tuple[float, T] | None = None

    def get(self) -> T:
        """Return what is kept if it is young enough, else a new one. Raises NothingYet and whatever `make` raises."""
        if self._is_young():
            return self._last()
        if not self._lock.acquire(timeout=_PATIENCE_S):
            if self._is_younger_than(self._keep_s + _STALE_S):
                return self._last()
            raise NothingYet
        try:
            if not self._is_young():
                self._kept = (time.monotonic(), self._make())
            return self._last()
        finally:
            self._lock.release()

    def forget(self) -> None:
        self._kept = None

    def _is_young(self) -> bool:
        return self._is_younger_than(self._keep_s)

    def _is_younger_than(self, age_s: float) -> bool:
        return self._kept is not None and time.monotonic() - self._kept[0] < age_s

    def _last(self) -> T:
        assert self._kept is not None
        return self._kept[1]
