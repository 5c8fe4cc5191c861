"""One websocket of a browser: frames in, what the caller did out, and back."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

from voice.gateway import widget_protocol
from voice.gateway.inbound_limits import InboundLimits
from voice.gateway.sockets import PastAsgi, Receive, Send
from voice.gateway.widget_protocol import InvalidMessage
from voice.sessions.caller import Audio, CallerEvent, HungUp, ModeChosen, Muted, Played, Text

# Given up before the browser said so; never on the wire.
_DROPPED = 1006

T = TypeVar("T")


def _send_nothing(data: bytes, is_text: bool) -> bool:
    return False


class ConnectionLost(Exception):
    """The websocket is over; `code` is its close code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class WidgetConnection:
    """Reads the ASGI `receive` itself: audio never passes through Channels' per-message dispatch.

    `heard_at` is when the browser last sent anything, on the monotonic clock. With `direct`, which a server may have,
    audio, reports and captions need no task to be woken.
    """

    def __init__(self, receive: Receive, send: Send, direct: PastAsgi | None = None) -> None:
        self._receive, self._send = receive, send
        self._listen = direct["listen"] if direct else None
        # Sends a message if that needs no waiting, and says whether it was sent; told whether it is text.
        self.send_now: Callable[[bytes, bool], bool] = direct["send"] if direct else _send_nothing
        self._has_room = direct["has_room"] if direct else bool
        self._take_audio: Callable[[bytes], bool] | None = None
        self._take_report: Callable[[Played], bool] | None = None
        self._limits = InboundLimits()
        self._waiting: set[asyncio.Task[Any]] = set()
        self._is_dropped = False
        self._is_deaf = False
        self.takes_audio = False
        self.heard_at = time.monotonic()

    @property
    def is_deaf(self) -> bool:
        """Whether sending is of no use any more; what the browser said before may still be there to be read."""
        return self._is_deaf or self._is_dropped

    @property
    def is_listening(self) -> bool:
        return self._take_audio is not None

    async def next(self) -> CallerEvent:
        """Return what the caller did next; raise ConnectionLost, or InvalidMessage for what the protocol forbids."""
        if self._is_dropped:
            raise ConnectionLost(_DROPPED)
        message = await self._unless_dropped(self._receive())
        self.heard_at = time.monotonic()
        # Most of what comes is audio.
        if audio := message.get("bytes"):
            return self._audio(audio)
        return self._event_of(message)

    def listen(self, take_audio: Callable[[bytes], bool], take_report: Callable[[Played], bool]) -> None:
        """Offer audio and reports that come while `next` waits for them to these first, which must not raise."""
        self._take_audio, self._take_report = take_audio, take_report
        if self._listen is not None:
            self._listen(self._offer)

    def listen_no_more(self) -> None:
        self._take_audio = self._take_report = None
        if self._listen is not None:
            self._listen(None)

    @property
    def has_room(self) -> bool:
        """Whether what is put now needs no waiting."""
        return bool(self._has_room()) and not self.is_deaf

    async def put_text(self, text: str) -> None:
        if not self.send_now(text.encode(), True):
            await self._put({"type": "websocket.send", "text": text})

    async def put_audio(self, pcm: bytes) -> None:
        if not self.send_now(pcm, False):
            await self._put({"type": "websocket.send", "bytes": pcm})

    def drop(self) -> None:
        """Give the connection up: whoever waits to read from it or to write to it waits no longer."""
        if self._is_dropped:
            return
        self._is_dropped = True
        self.send_now = _send_nothing
        while self._waiting:
            self._waiting.pop().cancel()

    async def _put(self, message: dict[str, Any]) -> None:
        """Send, unless nobody is there: then reading will tell so."""
        if self.is_deaf:
            return
        try:
            await self._unless_dropped(self._send(message))
        except (OSError, RuntimeError, ConnectionLost):
            # The first two are what uvicorn raises once the browser has gone: one while it is closing, one after.
            self._deafen()

    def _deafen(self) -> None:
        self._is_deaf, self.send_now = True, _send_nothing

    async def _unless_dropped(self, doing: Awaitable[T]) -> T:
        """As asyncio.timeout would, for a fraction of what that costs at every frame."""
        task = asyncio.current_task()
        assert task is not None
        cancels_before = task.cancelling()
        self._waiting.add(task)
        try:
            return await doing
        except asyncio.CancelledError:
            # Somebody else may want the task to end, too.
            if self._is_dropped and task not in self._waiting and task.uncancel() <= cancels_before:
                raise ConnectionLost(_DROPPED) from None
            raise
        finally:
            self._waiting.discard(task)

    def _offer(self, payload: bytes, is_text: bool) -> bool:
        """Have audio or a report taken; whatever is unusual about a message is left to be read in its turn."""
        if self._is_dropped:
            return False
        self.heard_at = now = time.monotonic()
        if is_text:
            return self._offer_report(payload, now)
        if self._take_audio is None or not self.takes_audio or not widget_protocol.is_audio(payload):
            return False
        bucket = self._limits.audio
        if bucket.take(len(payload), now) and self._take_audio(payload):
            return True
        # It is counted when it is read.
        bucket.put_back(len(payload))
        return False

    def _offer_report(self, payload: bytes, now: float) -> bool:
        report = widget_protocol.read_report(payload)
        if report is None or self._take_report is None:
            return False
        bucket = self._limits.messages
        if bucket.take(1, now) and self._take_report(Played(*report)):
            return True
        bucket.put_back(1)
        return False

    def _event_of(self, message: Mapping[str, Any]) -> CallerEvent:
        if message["type"] == "websocket.disconnect":
            self._deafen()
            raise ConnectionLost(message.get("code") or 1005)
        if message.get("bytes") is not None:
            return self._audio(b"")
        return self._event(message.get("text") or "")

    def _audio(self, frame: bytes) -> Audio:
        widget_protocol.check_audio(frame)
        self._within_limits(audio_bytes=len(frame))
        if not self.takes_audio:
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
                return ModeChosen(message["voice"])
            case "session.end":
                return HungUp()
        raise InvalidMessage  # a second session.start or session.resume

    def _within_limits(self, *, audio_bytes: int = 0, messages: int = 0) -> None:
        if code := self._limits.excess(audio_bytes=audio_bytes, messages=messages, now=self.heard_at):
            raise InvalidMessage(code)
