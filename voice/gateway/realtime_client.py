"""A customer's Realtime program on a websocket as the conversation's client: frames in, checked; events out."""

import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from typing import Any, NoReturn

from voice.gateway.inbound_limits import TokenBucket
from voice.gateway.realtime_closings import error_event
from voice.gateway.realtime_rules import RequestRefused, Terms, appended, read
from voice.gateway.sockets import PastAsgi, Receive, Send
from voice.sessions import early
from voice.sessions.caller import CallerBrokeProtocol, CallerGone, CallerHungUp
from voice.sessions.programs.client import Appended, ClientEvent, Refusal

# All of these at once, and again within so long.
_BURST_S = 10.0
# A recorded file is sent faster than it was spoken, and history is replayed at once: generous, and still a bound.
_BYTES_MAX = 48 * 1024 * 1024
_AUDIO_FRAMES_MAX = 20_000
_EVENTS_MAX = 1_000
# A program that does not read its errors is broken, and each costs us an answer.
_ERRORS_MAX = 100
# How a program says goodbye; anything else is a connection that broke.
_GOODBYES = {1000, 1001, 1005}


class RealtimeClient:
    """Reads the ASGI `receive` itself: audio never passes through Channels' per-message dispatch.

    `early` are messages received before the session could begin. With `direct`, which a server may have,
    audio needs no task to be woken.
    """

    def __init__(
        self,
        receive: Receive,
        send: Send,
        terms: Terms,
        early: Sequence[Any] = (),
        direct: PastAsgi | None = None,
    ) -> None:
        self._receive, self._send, self._terms = receive, send, terms
        self._direct = direct
        self._early = list(early)
        self._bytes = TokenBucket(_BYTES_MAX / _BURST_S, _BYTES_MAX)
        self._audio_frames = TokenBucket(_AUDIO_FRAMES_MAX / _BURST_S, _AUDIO_FRAMES_MAX)
        self._events = TokenBucket(_EVENTS_MAX / _BURST_S, _EVENTS_MAX)
        self._errors = TokenBucket(_ERRORS_MAX / _BURST_S, _ERRORS_MAX)
        self._waits_since: float | None = None

    @property
    def waits_since(self) -> float | None:
        return self._waits_since

    async def __aiter__(self) -> AsyncIterator[ClientEvent]:
        while (message := await self._next()) is not None:
            frame = _frame_of(message)
            now = time.monotonic()
            _within(self._bytes.take(len(frame), now), "too_much_audio")
            try:
                event = read(frame, self._terms)
            except RequestRefused as problem:
                _within(self._errors.take(1, now), "too_many_errors")
                await self.refuse(problem.refusal)
                continue
            counted = self._audio_frames if isinstance(event, Appended) else self._events
            _within(counted.take(1, now), "too_many_messages")
            yield event
            # Else they would be kept until the next message, which may be long in coming where audio passes by itself.
            del message, frame, event

    async def until_gone(self) -> NoReturn:
        # As they came: they are checked and counted when their turn comes.
        await early.keep(self._early, self._next_before_goodbye, _bytes_in)

    async def _next_before_goodbye(self) -> Any:
        message = await self._receive()
        if message["type"] != "websocket.disconnect":
            return message
        raise CallerHungUp if _is_goodbye(message) else CallerGone

    async def send(self, frame: bytes) -> None:
        self._waits_since = time.monotonic()
        try:
            await self._send({"type": "websocket.send", "text": frame.decode()})
        except (OSError, RuntimeError):
            # What uvicorn raises once the program has gone: the first while it is closing, the second after.
            raise CallerGone from None
        self._waits_since = None

    def send_now(self, frame: bytes) -> bool:
        return self._direct is not None and bool(self._direct["send"](frame, True))

    def listen(self, take: Callable[[Appended], bool] | None) -> None:
        if self._direct is not None:
            self._direct["listen"](take and partial(self._offer, take))

    def _offer(self, take: Callable[[Appended], bool], payload: bytes, is_text: bool) -> bool:
        """Have an append taken; whatever is unusual about a message is left to be read in its turn."""
        # What is no UTF-8 is the server's to refuse.
        if not is_text or not payload.isascii():
            return False
        try:
            event = appended(payload)
        except RequestRefused:
            return False
        if event is None:
            return False
        now = time.monotonic()
        has_bytes, has_frames = self._bytes.take(len(payload), now), self._audio_frames.take(1, now)
        if has_bytes and has_frames and take(event):
            return True
        # It is counted when it is read.
        self._bytes.put_back(len(payload))
        self._audio_frames.put_back(1)
        return False

    async def refuse(self, refusal: Refusal) -> None:
        await self.send(error_event("invalid_request_error", refusal))

    async def _next(self) -> Any:
        """Return the next message, None after a goodbye; raise CallerGone when the connection broke."""
        message = self._early.pop(0) if self._early else await self._receive()
        if message["type"] != "websocket.disconnect":
            return message
        if _is_goodbye(message):
            return None
        raise CallerGone


def _is_goodbye(message: Any) -> bool:
    return message.get("code", 1005) in _GOODBYES


def _bytes_in(message: Any) -> int:
    return len(message.get("text") or message.get("bytes") or "")


def _frame_of(message: Any) -> bytes:
    text = message.get("text")
    if text is None:
        raise CallerBrokeProtocol("binary_frame")
    return str(text).encode(errors="replace")


def _within(is_within: bool, code: str) -> None:
    if not is_within:
        raise CallerBrokeProtocol(code)
