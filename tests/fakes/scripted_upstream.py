"""An Upstream that follows a script: what it expects to be sent, and what it answers."""

import base64
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from voice.realtime_events import decode_audio, event_type
from voice.upstream.base import Capabilities
from voice.upstream.errors import UpstreamDropped, UpstreamError
from voice.upstream.inbox import Inbox

CAPABILITIES = Capabilities(
    audio=True, images=False, reasoning=False, transcribes_input=True, context_tokens=32_000, max_output_tokens=4_096
)
_serial = itertools.count(1)


@dataclass(frozen=True)
class Step:
    """Wait for one client event (None: go on at once), answer with events, then perhaps misbehave.

    `fields` are members the event must have, nested mappings compared member by member. `then` happens after `emit`:
    drop (the connection is lost), close (the other side hangs up politely), stall (nothing is answered any more),
    garbage (a frame that is no event).
    """

    expect: str | None
    emit: Sequence[Mapping[str, Any]] = ()
    fields: Mapping[str, Any] = field(default_factory=dict)
    then: Literal["", "drop", "close", "stall", "garbage"] = ""


class Script:
    """The steps still to come. Audio may be appended at any time unless the next step waits for exactly that."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.left = list(steps)
        self.problems: list[str] = []

    def opening(self) -> list[Step]:
        """Return the steps that wait for nothing."""
        count = next((n for n, step in enumerate(self.left) if step.expect is not None), len(self.left))
        steps, self.left = self.left[:count], self.left[count:]
        return steps

    def on(self, event: Mapping[str, Any]) -> list[Step]:
        """Return the steps an event sets off; note a problem when it is not the one expected."""
        kind = event["type"]
        expected = self.left[0].expect if self.left else None
        if kind == "input_audio_buffer.append" and expected != kind:
            return []
        if kind != expected:
            self.problems.append(f"unexpected {kind}, the script waits for {expected}")
            return []
        step = self.left.pop(0)
        if not _contains(event, step.fields):
            self.problems.append(f"{kind} was {event}, the script wants {dict(step.fields)}")
        return [step, *self.opening()]

    def assert_complete(self) -> None:
        assert not self.problems, self.problems
        assert not self.left, f"steps not reached: {self.left}"


def session_created(model: str = "gpt-realtime-mini") -> dict[str, Any]:
    session = {"type": "realtime", "object": "realtime.session", "id": "sess_scripted", "model": model}
    return with_id({"type": "session.created", "session": session})


def with_id(event: Mapping[str, Any]) -> dict[str, Any]:
    """Return an event with an event_id, as every event of a real server has one."""
    return {"type": event["type"], "event_id": f"event_{next(_serial)}", **event}


def usage(
    text_in: int = 0, audio_in: int = 0, text_out: int = 0, audio_out: int = 0, cached_text: int = 0
) -> dict[str, Any]:
    """Return the usage of a response."""
    return {
        "total_tokens": text_in + audio_in + text_out + audio_out,
        "input_tokens": text_in + audio_in,
        "output_tokens": text_out + audio_out,
        "input_token_details": {
            "text_tokens": text_in, "audio_tokens": audio_in, "image_tokens": 0, "cached_tokens": cached_text,
            "cached_tokens_details": {"text_tokens": cached_text, "audio_tokens": 0, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": text_out, "audio_tokens": audio_out},
    }  # fmt: skip


def spoken_answer(
    words: str,
    pcm: bytes,
    *,
    response_id: str = "resp_1",
    item_id: str = "item_1",
    used: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Return what a Realtime server says while it speaks an answer, in its order, response.created to response.done."""
    item = {"id": item_id, "object": "realtime.item", "type": "message", "role": "assistant"}
    begun = item | {"status": "in_progress", "content": []}
    said = item | {"status": "completed", "content": [{"type": "output_audio", "transcript": words}]}
    response = {
        "object": "realtime.response",
        "id": response_id,
        "status_details": None,
        "output_modalities": ["audio"],
    }
    created = response | {"status": "in_progress", "output": [], "usage": None, "metadata": None}
    done = response | {"status": "completed", "output": [said], "metadata": None}
    of = {"response_id": response_id, "output_index": 0}
    place = of | {"item_id": item_id, "content_index": 0}
    return [
        {"type": "response.created", "response": created},
        {"type": "response.output_item.added", **of, "item": begun},
        {"type": "conversation.item.added", "previous_item_id": None, "item": begun},
        {"type": "response.content_part.added", **place, "part": {"type": "audio", "transcript": ""}},
        {"type": "response.output_audio_transcript.delta", **place, "delta": words},
        {"type": "response.output_audio.delta", **place, "delta": base64.b64encode(pcm).decode()},
        {"type": "response.output_audio.done", **place},
        {"type": "response.output_audio_transcript.done", **place, "transcript": words},
        {"type": "response.content_part.done", **place, "part": {"type": "audio", "transcript": words}},
        {"type": "conversation.item.done", "previous_item_id": None, "item": said},
        {"type": "response.output_item.done", **of, "item": said},
        {"type": "response.done", "response": done | {"usage": used or usage(text_out=1, audio_out=1)}},
    ]


class ScriptedUpstream:
    """Answers by the script; `sent` holds what it was sent as dicts, `appended` the audio, `closed` whether it was."""

    def __init__(
        self,
        steps: Sequence[Step] = (),
        *,
        capabilities: Capabilities = CAPABILITIES,
        refuse: UpstreamError | None = None,
        greet: bool = True,
    ) -> None:
        self.capabilities = capabilities
        self.sent: list[dict[str, Any]] = []
        self.appended = bytearray()
        self.closed = False
        self._refuse = refuse
        self._script = Script(steps)
        self._inbox = Inbox()
        self._stalled = False
        if greet:
            self.emit(session_created())
        self._perform(self._script.opening())

    async def dial(self, *_: object, **__: object) -> "ScriptedUpstream":
        """Stand in for registry.dial; raises the error given as `refuse`."""
        if self._refuse is not None:
            raise self._refuse
        return self

    def emit(self, *events: Mapping[str, Any]) -> None:
        """Say something unasked, as a server that detects speech does."""
        for event in events:
            self.emit_raw(json.dumps(with_id(event)).encode())

    def emit_raw(self, frame: bytes) -> None:
        self._inbox.put(frame)

    def drop(self) -> None:
        self._inbox.finish(UpstreamDropped("upstream_dropped", retryable=True))

    async def send(self, frame: bytes) -> None:
        if self._inbox.ended:
            raise UpstreamDropped("upstream_gone", retryable=True)
        event = json.loads(frame)
        assert event_type(frame) == event["type"]
        if event["type"] == "input_audio_buffer.append":
            self.appended += decode_audio(event["audio"])
        self.sent.append(event)
        if not self._stalled:
            self._perform(self._script.on(event))
        assert not self._script.problems, self._script.problems

    def __aiter__(self) -> "ScriptedUpstream":
        return self

    async def __anext__(self) -> bytes:
        return await self._inbox.get()

    async def close(self) -> None:
        self.closed = True
        self._inbox.finish(None)

    def sent_types(self) -> list[str]:
        """The types sent, in order, without the audio."""
        return [event["type"] for event in self.sent if event["type"] != "input_audio_buffer.append"]

    def assert_complete(self) -> None:
        self._script.assert_complete()

    def _perform(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.emit(*step.emit)
            if step.then == "drop":
                self.drop()
            elif step.then == "close":
                self._inbox.finish(UpstreamDropped("upstream_closed", retryable=True, close_code=1000))
            elif step.then == "garbage":
                self._inbox.discard(UpstreamError("upstream_garbage", retryable=False))
            elif step.then == "stall":
                self._stalled = True


def _contains(event: Mapping[str, Any], fields: Mapping[str, Any]) -> bool:
    return all(
        name in event
        and (_contains(event[name], wanted) if isinstance(wanted, Mapping) and wanted else event[name] == wanted)
        for name, wanted in fields.items()
    )
