"""A caller without a page: FakeCaller, and a way to wait for what it is told."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from tests.fakes.caller import FakeCaller
from tests.flows.browser import PATIENCE_S
from voice.realtime_events import AudioDelta
from voice.sessions.caller import CallerBrokeProtocol, CallerEvent


class Listener(FakeCaller):
    def __init__(self) -> None:
        super().__init__()
        self._changed = asyncio.Event()

    def breaks_protocol(self, code: str) -> None:
        self._doings.put_nowait(CallerBrokeProtocol(code))

    async def send(self, frame: bytes, event: Mapping[str, Any] | None = None) -> None:
        await super().send(frame, event)
        self._changed.set()

    async def send_audio(self, delta: AudioDelta, frame: bytes) -> None:
        await super().send_audio(delta, frame)
        self._changed.set()

    async def until_told(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the first event of a kind with these fields, once it has come."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                self._changed.clear()
                for event in self.told:
                    if event["type"] == kind and fields.items() <= event.items():
                        return event
                await self._changed.wait()

    async def until_heard(self) -> None:
        """Return once a piece of speech has come."""
        async with asyncio.timeout(PATIENCE_S):
            while not self.heard:
                self._changed.clear()
                await self._changed.wait()

    async def __aiter__(self) -> AsyncIterator[CallerEvent]:
        async for event in super().__aiter__():
            if isinstance(event, CallerBrokeProtocol):
                raise event
            yield event
