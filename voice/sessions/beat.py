"""One beat for all live calls of an event loop.

A timer of its own in every call would wake the process hundreds of times a second, to do next to nothing each time.
"""

import asyncio
from weakref import WeakKeyDictionary

_BEAT_S = 0.1


async def next_beat() -> None:
    """Return at the next beat, which is a tenth of a second away at most."""
    loop = asyncio.get_running_loop()
    await _beats.setdefault(loop, _Beat()).next(loop)


class _Beat:
    """Beats while there is anybody who waits for it."""

    def __init__(self) -> None:
        self._waiting: list[asyncio.Future[None]] = []

    async def next(self, loop: asyncio.AbstractEventLoop) -> None:
        if not self._waiting:
            loop.call_later(_BEAT_S, self._strike)
        # One each: of those who wait for the same future, none could be cancelled without the others.
        mine = loop.create_future()
        self._waiting.append(mine)
        await mine

    def _strike(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            if not each.done():
                each.set_result(None)


_beats: WeakKeyDictionary[asyncio.AbstractEventLoop, _Beat] = WeakKeyDictionary()
