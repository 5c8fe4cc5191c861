"""What lets another process go on with a call: its memory is kept fresh while it lives, and left when it is let go.

Only calls whose caller can come back by themselves have one; without it a call ends with its process.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

from voice.sessions.memory import Before, Memory
from voice.sessions.snapshots import Snapshots

_LOOK_EVERY_S = 1.0
# Nothing may have been said for minutes: a copy is written again long before it expires (snapshots.LIVES_S).
_WRITE_AGAIN_S = 15.0


class Handover:
    """One a call. `before` is what came before this process took the call over, None where it began here."""

    def __init__(self, snapshots: Snapshots, before: Before | None = None) -> None:
        self._snapshots = snapshots
        self.before = before

    async def follow(self, remember: Callable[[], Memory]) -> NoReturn:
        """Keep what the call remembers, again whenever something was said, until cancelled."""
        kept: object = None
        written_at = 0.0
        while True:
            memory, now = remember(), time.monotonic()
            if memory.stamp != kept or now - written_at > _WRITE_AGAIN_S:
                kept, written_at = memory.stamp, now
                await self._snapshots.write(memory.dump())
            await asyncio.sleep(_LOOK_EVERY_S)

    async def leave(self, memory: Memory) -> None:
        """Leave behind what the call remembers now; this process lets go of it."""
        await self._snapshots.write(memory.dump(), is_last=True)

    async def forget(self) -> None:
        """The call is over: nothing of it is to be kept."""
        await self._snapshots.forget()
