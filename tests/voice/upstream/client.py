"""A Realtime client for tests: remembers everything it was told, and can wait for one kind of event."""

import asyncio
import json
from typing import Any

from voice.upstream.base import Upstream

_PATIENCE_S = 20.0


class Client:
    def __init__(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.events: list[dict[str, Any]] = []
        self._frames = aiter(upstream)

    async def send(self, *frames: bytes | dict[str, Any]) -> None:
        for frame in frames:
            await self.upstream.send(frame if isinstance(frame, bytes) else json.dumps(frame).encode())

    async def until(self, kind: str) -> dict[str, Any]:
        """Read on to the next event of a kind, and return it."""
        async with asyncio.timeout(_PATIENCE_S):
            while True:
                event: dict[str, Any] = json.loads(await anext(self._frames))
                self.events.append(event)
                if event["type"] == kind:
                    return event

    async def asks(self, *frames: bytes | dict[str, Any], until: str) -> dict[str, Any]:
        await self.send(*frames)
        return await self.until(until)

    async def hang_up(self) -> None:
        """Close, and read what was still on its way."""
        await self.upstream.close()
        async for frame in self.upstream:
            self.events.append(json.loads(frame))

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == kind]

    def kinds(self) -> list[str]:
        return [event["type"] for event in self.events]
