"""A browser on a websocket as the conversation's caller: frames in, events and audio out."""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any

from voice.gateway import widget_protocol
from voice.gateway.inbound_limits import InboundLimits
from voice.gateway.widget_protocol import InvalidMessage
from voice.gateway.widget_translation import WidgetTranslation
from voice.realtime_events import AudioDelta
from voice.sessions.caller import (
    Audio,
    CallerBrokeProtocol,
    CallerEvent,
    CallerGone,
    HungUp,
    ModeChosen,
    Muted,
    Played,
    ServerStopping,
    Text,
)

# What uvicorn closes its websockets with when it is stopped.
_SERVICE_RESTART = 1012

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]


class WidgetCaller:
    """Reads the ASGI `receive` itself: audio never passes through Channels' per-message dispatch."""

    def __init__(self, receive: Receive, send: Send, *, is_voice: bool, captions: bool = True) -> None:
        self._receive, self._send, self._is_voice = receive, send, is_voice
        self._limits = InboundLimits()
        self._translation = WidgetTranslation(captions=captions)

    def __aiter__(self) -> AsyncIterator[CallerEvent]:
        return self

    async def __anext__(self) -> CallerEvent:
        message = await self._receive()
        try:
            # Most of what comes is audio.
            if audio := message.get("bytes"):
                return self._audio(audio)
            return self._event_of(message)
        except InvalidMessage as error:
            raise CallerBrokeProtocol(error.code) from None

    @property
    def is_away(self) -> bool:
        return False

    async def send(self, frame: bytes) -> None:
        for message in self._translation.messages(frame):
            await self.send_text(message)

    async def send_audio(self, delta: AudioDelta, frame: bytes) -> None:
        if delta.item_id != self._translation.sending:
            for message in self._translation.before_audio(delta):
                await self.send_text(message)
        await self._put({"type": "websocket.send", "bytes": delta.pcm})

    async def send_text(self, text: str) -> None:
        await self._put({"type": "websocket.send", "text": text})

    async def _put(self, message: dict[str, Any]) -> None:
        try:
            await self._send(message)
        except (OSError, RuntimeError):
            # What uvicorn raises once the browser has gone: the first while it is closing, the second after.
            raise CallerGone from None

    def _event_of(self, message: Mapping[str, Any]) -> CallerEvent:
        if message["type"] == "websocket.disconnect":
            raise ServerStopping if message.get("code") == _SERVICE_RESTART else CallerGone
        if message.get("bytes") is not None:
            return self._audio(b"")
        return self._event(message.get("text") or "")

    def _audio(self, frame: bytes) -> Audio:
        widget_protocol.check_audio(frame)
        self._within_limits(audio_bytes=len(frame))
        if not self._is_voice:
            raise InvalidMessage
        return Audio(frame)

    def _event(self, text: str) -> CallerEvent:
        self._within_limits(messages=1)
        message = widget_protocol.parse(text)
        match message["type"]:
            case "text.send":
                return Text(message["text"].strip())
            case "playback.report":
                return Played(message["item_id"], message["played_ms"], message["received_bytes"])
            case "microphone.state":
                return Muted(message["muted"])
            case "mode.choose":
                # Somebody who wants to talk after all may do so.
                self._is_voice = self._is_voice or message["voice"]
                return ModeChosen(message["voice"])
            case "session.end":
                return HungUp()
        raise InvalidMessage  # a second session.start

    def _within_limits(self, *, audio_bytes: int = 0, messages: int = 0) -> None:
        if code := self._limits.excess(audio_bytes=audio_bytes, messages=messages, now=time.monotonic()):
            raise InvalidMessage(code)
