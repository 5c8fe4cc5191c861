"""One beat for all live calls of an event loop.

A timer of its own in every call would wake the process hundreds of times a second, to do next to nothing each time.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from weakref import WeakKeyDictionary, ref

_BEAT_S = 0.1
_PASSES_MAX = 4


def beat(every_s: float = _BEAT_S) -> "Beat":
    """Return the running loop's beat that comes as often."""
    loop = asyncio.get_running_loop()
    of_loop = _beats.setdefault(loop, {})
    if every_s not in of_loop:
        of_loop[every_s] = Beat(every_s, loop)
    return of_loop[every_s]


class Beat:
    """Beats while there is anybody who waits for it."""

    def __init__(self, every_s: float, loop: asyncio.AbstractEventLoop) -> None:
        self._every_s = every_s
        # What is kept for as long as the loop must not keep the loop.
        self._loop = ref(loop)
        self._waiting: list[_Waiting] = []

    def next(self, may_wait: Callable[[float], bool] | None = None) -> "asyncio.Future[None]":
        """Return what is done at the next beat, which is that far away at most.

        It passes by whoever says that they may wait, told the monotonic time, but not for the fifth time: to wake them
        costs more than to ask. A future and no coroutine: every call waits for it nearly all the time, and would keep
        its frames.
        """
        loop = self._loop()
        assert loop is not None
        if not self._waiting:
            loop.call_later(self._every_s, self._strike)
        # One each: of those who wait for the same future, none could be cancelled without the others.
        mine = _Waiting(loop.create_future(), may_wait)
        self._waiting.append(mine)
        return mine.awaited

    def _strike(self) -> None:
        now = time.monotonic()
        self._waiting = [each for each in self._waiting if each.waits_on(now)]
        loop = self._loop()
        if self._waiting and loop is not None:
            loop.call_later(self._every_s, self._strike)


@dataclass(slots=True)
class _Waiting:
    """One who waits, and how often the beat may still pass them by."""

    awaited: asyncio.Future[None]
    may_wait: Callable[[float], bool] | None
    passes: int = _PASSES_MAX

    def waits_on(self, now: float) -> bool:
        """Say whether they are passed by; else wake them, if they are still there."""
        if self.awaited.done():
            return False
        try:
            if self.may_wait is not None and self.passes and self.may_wait(now):
                self.passes -= 1
                return True
        except Exception as error:
            # A fault of the one who was asked, and told to them alone: the others' beat goes on.
            self.awaited.set_exception(error)
        else:
            self.awaited.set_result(None)
        return False


# By how often they come, which is one of two.
_beats: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, Beat]] = WeakKeyDictionary()
