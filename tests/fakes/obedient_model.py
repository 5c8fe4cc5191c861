"""An upstream that behaves as a GA server does towards one client: it keeps a session and answers what it is asked."""

import asyncio
import copy
import itertools
import json
import time
from typing import Any

from tests.fakes.scripted_upstream import CAPABILITIES, session_created, spoken_answer, usage, with_id
from voice.upstream.base import Capabilities, Endpoint
from voice.upstream.errors import UpstreamDropped
from voice.upstream.inbox import Inbox

USED = usage(text_in=120, audio_in=30, text_out=12, audio_out=40)
SECOND = b"\1\0" * 24_000
_DEFAULTS = {
    "output_modalities": ["audio"],
    "instructions": "",
    "tools": [],
    "tool_choice": "auto",
    "max_output_tokens": "inf",
    "tracing": None,
    "truncation": "auto",
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "transcription": None,
            "noise_reduction": None,
            "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "voice": "alloy", "speed": 1.0},
    },
}


class ObedientModel:
    """`sent` holds what it was sent; `refuses` the types of event it answers with an error, and the error's code.

    `holds_answers`: a response is begun and not finished before `finish` is called.
    """

    def __init__(self, *, capabilities: Capabilities = CAPABILITIES, holds_answers: bool = False) -> None:
        self.capabilities = capabilities
        self.sent: list[dict[str, Any]] = []
        self.raw: list[bytes] = []
        self.refuses: dict[str, str] = {}
        self.closed = False
        self.endpoint: Endpoint | None = None
        self._holds_answers = holds_answers
        self._inbox = Inbox()
        self._serial = itertools.count(1)
        self._rest: list[dict[str, Any]] = []
        self._session: dict[str, Any] = {}

    async def dial(self, endpoint: Endpoint, **_: object) -> "ObedientModel":
        self.endpoint = endpoint
        created = session_created(endpoint.model)
        expires_at = int(time.time()) + 3600
        self._session = created["session"] | copy.deepcopy(_DEFAULTS) | {"expires_at": expires_at}
        self.emit({**created, "session": copy.deepcopy(self._session)})
        return self

    def emit(self, *events: dict[str, Any]) -> None:
        for event in events:
            self._inbox.put(json.dumps(with_id(event)).encode())

    def emit_raw(self, frame: bytes) -> None:
        self._inbox.put(frame)

    def drop(self) -> None:
        self._inbox.finish(UpstreamDropped("upstream_dropped", retryable=True))

    def hears(self, item_id: str, *, speech_ms: int = 1200) -> None:
        """The caller has said something, and the model's turn detection saw it."""
        self.starts_to_hear(item_id)
        self.emit(
            {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": speech_ms, "item_id": item_id},
            {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": None},
        )

    def starts_to_hear(self, item_id: str) -> None:
        self.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item_id})

    def finish(self) -> None:
        """Finish the response that is held back."""
        rest, self._rest = self._rest, []
        self.emit(*rest)

    async def send(self, frame: bytes) -> None:
        if self._inbox.ended:
            raise UpstreamDropped("upstream_gone", retryable=True)
        event = json.loads(frame)
        self.raw.append(frame)
        self.sent.append(event)
        if code := self.refuses.get(event["type"]):
            error = {"type": "invalid_request_error", "code": code, "message": "No.", "param": None}
            self.emit({"type": "error", "error": {**error, "event_id": event.get("event_id")}})
        elif event["type"] == "session.update":
            _merge(self._session, event["session"])
            self.emit({"type": "session.updated", "session": copy.deepcopy(self._session)})
        elif event["type"] == "input_audio_buffer.commit":
            self.emit({"type": "input_audio_buffer.committed", "item_id": "item_manual", "previous_item_id": None})
        elif event["type"] == "conversation.item.create":
            self.emit({"type": "conversation.item.added", "previous_item_id": None, "item": event["item"]})
        elif event["type"] == "response.create":
            self._answer(event.get("response") or {})
        elif event["type"] == "response.cancel" and self._rest:
            done = self._rest[-1]
            self._rest = []
            response = {**done["response"], "status": "cancelled", "output": []}
            self.emit({"type": "response.done", "response": response})

    def __aiter__(self) -> "ObedientModel":
        return self

    async def __anext__(self) -> bytes:
        return await self._inbox.get()

    async def close(self) -> None:
        self.closed = True
        self._inbox.finish(None)

    def sent_of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.sent if event["type"] == kind]

    async def was_sent(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Return the newest event of a kind once there are so many."""
        async with asyncio.timeout(30):
            while len(self.sent_of(kind)) < count:
                await asyncio.sleep(0.005)
        return self.sent_of(kind)[-1]

    def _answer(self, order: dict[str, Any]) -> None:
        number = next(self._serial)
        ids = {"response_id": f"resp_{number}", "item_id": f"item_{number}"}
        events = spoken_answer("Nine to five.", SECOND, **ids, used=USED)
        for event in (events[0], events[-1]):
            event["response"]["metadata"] = order.get("metadata")
        if self._holds_answers:
            self._rest = events[1:]
            events = events[:1]
        self.emit(*events)


def _merge(old: dict[str, Any], new: dict[str, Any]) -> None:
    for name, value in new.items():
        if name == "turn_detection" and isinstance(value, dict):
            old[name] = {"interrupt_response": True, "create_response": True, **value}
        elif isinstance(value, dict) and isinstance(old.get(name), dict):
            _merge(old[name], value)
        else:
            old[name] = value
