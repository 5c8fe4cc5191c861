"""Callers who talk without a pause on real websockets, faster than real time, until the line goes dead."""

import asyncio
import json
import time
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from voice.gateway.widget_protocol import SUBPROTOCOL

FRAME = b"\1\0" * 960
# Forty milliseconds of sound each: half again as fast as a microphone, and within what the server takes.
FRAME_EVERY_S = 0.027


class TalkativeCaller:
    """`told_micro` is what the server last said the call has cost, `is_hearing` whether an answer was being spoken."""

    def __init__(self, session_id: str, ticket: str) -> None:
        self.session_id = session_id
        self._ticket = ticket
        self._received_bytes = 0
        self._item_id: str | None = None
        self.is_started = False
        self.is_hearing = False
        self.told_micro = 0
        self.told: list[dict[str, Any]] = []

    async def call(self, url: str, origin: str) -> None:
        """Talk until the connection ends, however it does."""
        try:
            async with connect(
                url, origin=origin, subprotocols=[SUBPROTOCOL], compression=None, max_size=None, close_timeout=1
            ) as socket:
                await self._converse(socket)
        except (ConnectionClosed, InvalidHandshake, OSError, EOFError):
            return

    async def _converse(self, socket: ClientConnection) -> None:
        await socket.send(json.dumps({"type": "session.start", "version": 1, "ticket": self._ticket, "voice": True}))
        speaking = asyncio.create_task(self._speak(socket))
        try:
            async for message in socket:
                self._hear(message)
        finally:
            speaking.cancel()
            await asyncio.gather(speaking, return_exceptions=True)

    async def _speak(self, socket: ClientConnection) -> None:
        next_s = time.monotonic()
        for number in range(10**6):
            if not self.is_started:
                await asyncio.sleep(FRAME_EVERY_S)
                continue
            await socket.send(FRAME)
            if number % 4 == 0:
                report = {"item_id": self._item_id, "played_ms": 0, "received_bytes": self._received_bytes}
                await socket.send(json.dumps({"type": "playback.report", **report}))
            # Not faster afterwards for having been slow: a burst would be more than a microphone makes.
            next_s = max(next_s + FRAME_EVERY_S, time.monotonic())
            await asyncio.sleep(next_s - time.monotonic())

    def _hear(self, message: str | bytes) -> None:
        if isinstance(message, bytes):
            self._received_bytes += len(message)
            self.is_hearing = True
            return
        event = json.loads(message)
        self.told.append(event)
        match event["type"]:
            case "session.started":
                self.is_started = True
            case "audio.begin":
                self._item_id = event["item_id"]
            case "meter.changed":
                self.told_micro, self.is_hearing = event["used_micro"], False
