"""One beat for all live calls of an event loop.

A timer of its own in every call would wake the process hundreds of times a second, to do next to nothing each time.
"""

import asyncio
from weakref import WeakKeyDictionary, ref

_BEAT_S = 0.1


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
        self._waiting: list[asyncio.Future[None]] = []

    def next(self) -> "asyncio.Future[None]":
        """Return what is done at the next beat, which is that far away at most.

        A future and no coroutine: every call waits for it nearly all the time, and would keep its frames.
        """
        loop = self._loop()
        assert loop is not None
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
_beats: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[float, Beat]] = WeakKeyDictionary()
