"""A caller who does what a test says and keeps what it is told."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from functools import partial
from typing import Any, NoReturn

from voice.realtime_events import AudioDelta
from voice.sessions import early
from voice.sessions.caller import CallerEvent, CallerGone, CallerHungUp, HungUp, Listener


class FakeCaller:
    """`told` holds the events it was sent as dicts, `heard` the audio as (item_id, bytes).

    `listener` is offered audio and reports first; `has_room` says whether it can be sent anything without waiting.
    """

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []
        self.heard: list[tuple[str, bytes]] = []
        self.is_away = False
        self.listener: Listener | None = None
        self.has_room = True
        self._doings: asyncio.Queue[CallerEvent | None] = asyncio.Queue()
        self._kept: list[CallerEvent] = []

    def does(self, *events: CallerEvent) -> None:
        for event in events:
            self._doings.put_nowait(event)

    def vanishes(self) -> None:
        self._doings.put_nowait(None)

    async def __aiter__(self) -> AsyncIterator[CallerEvent]:
        while True:
            event = self._kept.pop(0) if self._kept else await self._doings.get()
            if event is None:
                raise CallerGone
            yield event

    async def until_gone(self) -> NoReturn:
        kept: list[CallerEvent] = []
        try:
            await early.keep(kept, partial(_next_before_goodbye, aiter(self)), lambda event: 0)
        finally:
            self._kept[:0] = kept

    async def send(self, frame: bytes, event: Mapping[str, Any] | None = None) -> None:
        self.told.append(json.loads(frame))

    async def send_audio(self, delta: AudioDelta, frame: bytes) -> None:
        self.heard.append((delta.item_id, delta.pcm))

    def listen(self, listener: Listener | None) -> None:
        self.listener = listener

    def send_now(self, frame: bytes, event: Mapping[str, Any]) -> bool:
        if self.has_room:
            self.told.append(json.loads(frame))
        return self.has_room

    def send_audio_now(self, delta: AudioDelta) -> bool:
        if self.has_room:
            self.heard.append((delta.item_id, delta.pcm))
        return self.has_room

    def told_types(self) -> list[str]:
        return [event["type"] for event in self.told]


async def _next_before_goodbye(doings: AsyncIterator[CallerEvent]) -> CallerEvent:
    event = await anext(doings)
    if isinstance(event, HungUp):
        raise CallerHungUp
    return event
