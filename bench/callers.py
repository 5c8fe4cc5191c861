"""Callers that cost little: they send audio at real time, and time every frame that comes back.

Each frame carries its number in its first samples, so that a frame is recognised behind any server, in binary or in
base64. A WidgetCaller does what the browser does, playback reports included; a RealtimeCaller what an API client does.
"""

import asyncio
import binascii
import itertools
import json
import os
import time
from array import array

from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect

BYTES_PER_MS = 48
REPORT_EVERY_MS = 250
# What a browser has buffered ahead of the ear.
_BUFFERED_MS = 60
# Twelve bytes are sixteen letters of base64, so the number can be exchanged without touching the rest.
_HEAD_BYTES, _HEAD_LETTERS = 12, 16
_NUMBERS_KEPT = 4096
_CONNECT_WITHIN_S = 20.0

_DELTA = b"response.output_audio.delta"


class Samples:
    """What all callers of a run have seen since `clear`; times in microseconds."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        self.round_trip_us = array("q")
        self.send_late_us = array("q")
        self.sent = 0


class BenchCaller(WSListener):
    """One session: `start` returns when the conversation runs, `speak` begins the audio."""

    def __init__(self, frame_ms: int, samples: Samples) -> None:
        self._frame_ms = frame_ms
        self._samples = samples
        self._numbers = itertools.count(1)
        self._sent_at_us = [0] * _NUMBERS_KEPT
        self._tail = os.urandom(frame_ms * BYTES_PER_MS - _HEAD_BYTES)
        self._transport: WSTransport | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._due_s = 0.0
        self.frames_heard = 0
        self.ended = ""
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    async def start(self, url: str, headers: dict[str, str]) -> None:
        """Connect and begin a conversation; raises OSError, TimeoutError or ConnectionError."""
        async with asyncio.timeout(_CONNECT_WITHIN_S):
            await ws_connect(lambda: self, url, extra_headers=headers, websocket_handshake_timeout=_CONNECT_WITHIN_S)
            await self._ready

    def speak(self) -> None:
        loop = asyncio.get_running_loop()
        # Callers that all speak on the same beat would measure a queue that no real callers make.
        self._due_s = loop.time() + int.from_bytes(os.urandom(2)) / 65536 * self._frame_ms / 1000
        self._beat = loop.call_at(self._due_s, self._speak_on)

    def hang_up(self) -> None:
        if self._beat is not None:
            self._beat.cancel()
        if self._transport is not None:
            self._say_goodbye(self._transport)

    def drop(self) -> None:
        """Leave without a word."""
        if self._beat is not None:
            self._beat.cancel()
        if self._transport is not None:
            self._transport.disconnect(graceful=False)

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        self._open(transport)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self.ended = self.ended or "disconnected"
        if self._beat is not None:
            self._beat.cancel()
        if not self._ready.done():
            self._ready.set_exception(ConnectionError(self.ended))

    def _speak_on(self) -> None:
        loop = asyncio.get_running_loop()
        self._samples.send_late_us.append(round((loop.time() - self._due_s) * 1e6))
        number = next(self._numbers)
        self._sent_at_us[number % _NUMBERS_KEPT] = time.perf_counter_ns() // 1000
        self._send_frame(number.to_bytes(_HEAD_BYTES, "little"))
        self._samples.sent += 1
        # Not from now: what is late must not make the microphone slower than real time.
        self._due_s += self._frame_ms / 1000
        self._beat = loop.call_at(self._due_s, self._speak_on)

    def _heard(self, head: bytes) -> None:
        number = int.from_bytes(head, "little")
        self._samples.round_trip_us.append(time.perf_counter_ns() // 1000 - self._sent_at_us[number % _NUMBERS_KEPT])
        self.frames_heard += 1

    def _is_ready(self) -> None:
        if not self._ready.done():
            self._ready.set_result(None)

    def _open(self, transport: WSTransport) -> None:
        raise NotImplementedError

    def _send_frame(self, head: bytes) -> None:
        raise NotImplementedError

    def _say_goodbye(self, transport: WSTransport) -> None:
        raise NotImplementedError


class WidgetCaller(BenchCaller):
    """Binary frames both ways, and what the page tells the server of its playback."""

    def __init__(self, frame_ms: int, samples: Samples, ticket: str) -> None:
        super().__init__(frame_ms, samples)
        self._ticket = ticket
        self._item_id = ""
        self._item_bytes = self._received_bytes = 0
        self._since_report_ms = 0

    def _open(self, transport: WSTransport) -> None:
        self._tell({"type": "session.start", "version": 1, "ticket": self._ticket, "voice": True})

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            audio = frame.get_payload_as_memoryview()
            self._item_bytes += len(audio)
            self._received_bytes += len(audio)
            self._heard(bytes(audio[:_HEAD_BYTES]))
        elif frame.msg_type == WSMsgType.TEXT:
            self._on_message(json.loads(frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def _on_message(self, message: dict[str, object]) -> None:
        match message["type"]:
            case "session.started":
                self._is_ready()
            case "audio.begin":
                self._item_id, self._item_bytes = str(message["item_id"]), 0
            case "error":
                self.ended = str(message["code"])
            case "session.ended":
                self.ended = str(message["reason"])

    def _send_frame(self, head: bytes) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.BINARY, head + self._tail)
        self._since_report_ms += self._frame_ms
        if self._item_id and self._since_report_ms >= REPORT_EVERY_MS:
            self._since_report_ms -= REPORT_EVERY_MS
            self._report()

    def _report(self) -> None:
        played_ms = max(0, self._item_bytes // BYTES_PER_MS - _BUFFERED_MS)
        self._tell(
            {
                "type": "playback.report",
                "item_id": self._item_id,
                "played_ms": played_ms,
                "received_bytes": self._received_bytes,
            }
        )

    def _say_goodbye(self, transport: WSTransport) -> None:
        self._tell({"type": "session.end"})

    def _tell(self, message: dict[str, object]) -> None:
        assert self._transport is not None
        self._transport.send(WSMsgType.TEXT, json.dumps(message, separators=(",", ":")).encode())


class RealtimeCaller(BenchCaller):
    """JSON with base64 both ways, as the Realtime API has it; asks for each response itself, as Parley does."""

    _PREFIX, _SUFFIX = b'{"type":"input_audio_buffer.append","audio":"', b'"}'

    def __init__(self, frame_ms: int, samples: Samples) -> None:
        super().__init__(frame_ms, samples)
        self._tail = binascii.b2a_base64(self._tail, newline=False) + self._SUFFIX

    def _open(self, transport: WSTransport) -> None:
        """The server speaks first."""

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._on_event(transport, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def _on_event(self, transport: WSTransport, event: bytes) -> None:
        if _DELTA in event[:120]:
            start = event.index(b'"', event.rindex(b'"delta":') + 8) + 1
            self._heard(binascii.a2b_base64(event[start : start + _HEAD_LETTERS]))
            return
        match json.loads(event)["type"]:
            case "session.created":
                transport.send(WSMsgType.TEXT, b'{"type":"session.update","session":{"type":"realtime"}}')
                transport.send(WSMsgType.TEXT, b'{"type":"response.create"}')
                self._is_ready()
            case "input_audio_buffer.committed":
                transport.send(WSMsgType.TEXT, b'{"type":"response.create"}')

    def _send_frame(self, head: bytes) -> None:
        assert self._transport is not None
        audio = binascii.b2a_base64(head, newline=False)
        self._transport.send(WSMsgType.TEXT, b"".join((self._PREFIX, audio, self._tail)))

    def _say_goodbye(self, transport: WSTransport) -> None:
        transport.send_close()
        transport.disconnect()
