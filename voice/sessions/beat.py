"""One beat for all live calls of an event loop.

A timer of its own in every call would wake the process hundreds of times a second, to do next to nothing each time.
"""

import asyncio
from weakref import WeakKeyDictionary

_BEAT_S = 0.1


def next_beat(every_s: float = _BEAT_S) -> "asyncio.Future[None]":
    """Return what is done at the next beat, of those that come as often, which is that far away at most.

    A future and no coroutine: every call waits for it nearly all the time, and would keep its frames.
    """
    loop = asyncio.get_running_loop()
    of_loop = _beats.setdefault(loop, {})
    if every_s not in of_loop:
        of_loop[every_s] = _Beat(every_s)
    return of_loop[every_s].next(loop)


class _Beat:
    """Beats while there is anybody who waits for it."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._waiting: list[asyncio.Future[None]] = []

    def next(self, loop: asyncio.AbstractEventLoop) -> "asyncio.Future[None]":
        if not self._waiting:
            loop.call_later(self._every_s, self._strike)
        # One each: of those who wait for the same future, none could be cancelled without the others.
        mine = loop.create_future()
        self._waiting.append(mine)
        return mine

    def _strike(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)


# By how often they come, which is one of two.
_beats: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, _Beat]] = WeakKeyDictionary()
