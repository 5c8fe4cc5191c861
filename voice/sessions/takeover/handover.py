"""What lets another process go on with a call: its memory is kept fresh while it lives, and left when it is let go.

Only calls whose caller can come back by themselves have one; without it a call ends with its process.
"""

import asyncio
import time
from collections.abc import Callable
from typing import NoReturn

from voice.sessions.takeover.memory import Before, Memory
from voice.sessions.takeover.snapshots import Snapshots

_LOOK_EVERY_S = 0.25
# Within an answer, words and sound come all the time.
_WHILE_SPEAKING_S = 1.0
# Nothing may have been said for minutes: a copy is written again long before it expires (snapshots.LIVES_S).
_WRITE_AGAIN_S = 15.0


class Handover:
    """One a call. `before` is what came before this process took the call over, None where it began here.

    `messages` tells what the caller was told of late, and may have missed: each with its number in the call.
    """

    def __init__(
        self, snapshots: Snapshots, messages: Callable[[], list[tuple[int, str]]], before: Before | None = None
    ) -> None:
        self._snapshots, self._messages = snapshots, messages
        self.before = before

    async def follow(self, remember: Callable[[], Memory]) -> NoReturn:
        """Keep what the call remembers, again whenever something was said, until cancelled."""
        if not self._snapshots.have_a_place:
            await asyncio.get_running_loop().create_future()
        of_turn: object = None
        kept: object = None
        written_at = 0.0
        while True:
            memory, now = remember(), time.monotonic()
            pause_s = now - written_at
            is_due = memory.turn_stamp != of_turn or (memory.stamp != kept and pause_s > _WHILE_SPEAKING_S)
            if is_due or pause_s > _WRITE_AGAIN_S:
                of_turn, kept, written_at = memory.turn_stamp, memory.stamp, now
                await self._write(memory)
            await asyncio.sleep(_LOOK_EVERY_S)

    async def leave(self, memory: Memory) -> None:
        """Leave behind what the call remembers now; this process lets go of it."""
        await self._write(memory, is_last=True)

    async def _write(self, memory: Memory, *, is_last: bool = False) -> None:
        await self._snapshots.write({"memory": memory.dump(), "messages": self._messages()}, is_last=is_last)

    async def forget(self) -> None:
        """The call is over: nothing of it is to be kept."""
        await self._snapshots.forget()
