"""A provider of realtime models that talks, keeps count of what it has reported, and breaks."""

import asyncio
import base64
import contextlib
import itertools
import json
from collections import defaultdict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from unittest.mock import ANY

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.crash.storm.faults import Fault, Faults, Moment, Plan
from tests.crash.storm.waits import Waits
from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import session_created, usage, with_id

# Speech comes twice as fast as it plays.
_DELTA_MS, _DELTAS, _DELTA_EVERY_S = 200, 6, 0.1
_DELTA = base64.b64encode(b"\2\0" * (24 * _DELTA_MS)).decode()
_APPEND = '{"type":"input_audio_buffer.append","audio":"'
# The beginning of a frame in which the caller speaks (callers.py), as it comes here.
_SPEECH = "AQAB"
# Words that no log may hold; the callers' own are in callers.py.
ANSWER = "Marmalade is kept on the second shelf."
HEARD = "Rhubarb, please."
_tags = itertools.count(1)


@dataclass(slots=True)
class Produced:
    """One response: whether any of it was delivered, and what was told of its usage, which may be nothing."""

    provider: str
    is_begun: bool = False
    usage: dict[str, Any] | None = None


class Accounts:
    """What the providers would write on their bills, by the name they know a call by."""

    def __init__(self) -> None:
        self.responses: dict[str, dict[str, Produced]] = defaultdict(dict)
        self.transcriptions: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)


class Provider(RealtimeServer):
    """`refuse` is the status its handshakes are refused with, if not 0; `is_away`: nobody answers at its address."""

    def __init__(self, name: str, model: str, api_key: str, faults: Faults, waits: Waits, accounts: Accounts) -> None:
        super().__init__(model=model, api_key=api_key, safety_identifier=ANY)
        self.name, self.faults, self.waits, self.accounts = name, faults, waits, accounts
        self.is_away = False
        self._talks: set[_Talk] = set()

    def go_away(self) -> None:
        """As a provider's whole region does: every connection breaks at once, and no other one comes about."""
        self.is_away = True
        for talk in list(self._talks):
            talk.break_off(Fault.DROP)

    async def _check_handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.is_away:
            connection.transport.abort()
        response = await super()._check_handshake(connection, request)
        if response is not None or self.is_away:
            self.waits.refused(request.headers.get("OpenAI-Safety-Identifier", ""))
        return response

    async def _converse(self, connection: ServerConnection) -> None:
        plan = self.faults.next_plan() if self.faults.are_on else None
        talk = _Talk(self, connection, plan)
        self._talks.add(talk)
        try:
            await talk.run()
        finally:
            self._talks.discard(talk)
            talk.end()
            self.waits.given_up(talk.tag)


class _Talk:
    """One connection. Ids are its own: `tag` is in all of them."""

    def __init__(self, provider: Provider, connection: ServerConnection, plan: Plan | None) -> None:
        self._provider, self._connection, self._plan = provider, connection, plan
        assert connection.request is not None
        self._name = connection.request.headers["OpenAI-Safety-Identifier"]
        self.tag = f"{provider.name}{next(_tags)}"
        self._session: dict[str, Any] = {}
        self._answers = self._turns = 0
        self._is_speech, self._is_dead = False, False
        self._answering: asyncio.Task[None] | None = None
        self._waiting: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        await self._connection.send(json.dumps(session_created(self._provider.model)))
        async for message in self._connection:
            if self._is_dead:
                continue
            assert isinstance(message, str)
            if message.startswith(_APPEND):
                await self._listen(message[len(_APPEND) : len(_APPEND) + 4] == _SPEECH)
            else:
                await self._do(json.loads(message))

    def end(self) -> None:
        for task in [self._answering, *self._waiting]:
            if task is not None:
                task.cancel()

    @property
    def _is_answering(self) -> bool:
        return self._answering is not None and not self._answering.done()

    # What it hears and is told.

    async def _listen(self, is_speech: bool) -> None:
        if is_speech == self._is_speech or not self._hears:
            return
        self._is_speech = is_speech
        item_id = f"said_{self.tag}_{self._turns}"
        if is_speech:
            await self._say("input_audio_buffer.speech_started", audio_start_ms=0, item_id=item_id)
            await self._cancel("turn_detected")
            return
        self._turns += 1
        await self._say("input_audio_buffer.speech_stopped", audio_end_ms=0, item_id=item_id)
        await self._say("input_audio_buffer.committed", item_id=item_id, previous_item_id=None)
        if self._session.get("audio", {}).get("input", {}).get("transcription"):
            task = asyncio.create_task(self._unless_closed(self._transcribe, item_id))
            self._waiting.add(task)
            task.add_done_callback(self._waiting.discard)

    @property
    def _hears(self) -> bool:
        return bool(self._session.get("audio", {}).get("input", {}).get("turn_detection"))

    async def _do(self, event: dict[str, Any]) -> None:
        match event["type"]:
            case "session.update":
                _merge(self._session, event["session"])
                await self._say("session.updated", session={**self._session, "object": "realtime.session"})
            case "conversation.item.create":
                await self._say("conversation.item.added", previous_item_id=None, item=event["item"])
            case "response.create":
                if not self._is_answering:
                    self._answering = asyncio.create_task(self._unless_closed(self._answer))
            case "response.cancel":
                await self._cancel("client_cancelled")

    async def _transcribe(self, item_id: str) -> None:
        await asyncio.sleep(self._provider.faults.latency_s())
        if self._is_dead:
            return
        used = {"type": "tokens", "input_tokens": 6, "output_tokens": 4, "total_tokens": 10,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 6}}  # fmt: skip
        kind = "conversation.item.input_audio_transcription.completed"
        await self._say(kind, item_id=item_id, content_index=0, transcript=HEARD, usage=used)
        self._provider.accounts.transcriptions[self._name][item_id] = used

    # What it says.

    async def _answer(self) -> None:
        self._answers += 1
        self._response = None
        moment = self._plan.moment if self._plan and self._plan.answer == self._answers else None
        await asyncio.sleep(self._provider.faults.latency_s())
        if moment is Moment.ASKED:
            return await self._break_as_planned()
        response = _Answer(self, f"{self.tag}_{self._answers}", is_spoken=self._is_spoken)
        self._response = response
        await response.begin()
        for number in range(_DELTAS):
            if moment is Moment.SPEAKING and number == _DELTAS // 2:
                return await self._break_as_planned()
            await response.go_on()
            await asyncio.sleep(_DELTA_EVERY_S)
        await response.finish("completed")
        if moment is Moment.OVER:
            await asyncio.sleep(self._provider.faults.latency_s())
            await self._break_as_planned()

    @property
    def _is_spoken(self) -> bool:
        return self._session.get("output_modalities") != ["text"]

    async def _cancel(self, reason: str) -> None:
        if not self._is_answering:
            return
        assert self._answering is not None
        self._answering.cancel()
        await asyncio.wait([self._answering])
        response, self._response = self._response, None
        if response is not None and not response.is_over:
            await response.finish("cancelled", {"type": "cancelled", "reason": reason})

    _response: "_Answer | None" = None

    # How it breaks.

    async def _break_as_planned(self) -> None:
        assert self._plan is not None
        fault = self._plan.fault
        if fault is Fault.GARBAGE:
            self._note_death(fault)
            await self._connection.send(self._provider.faults.garbage())
        elif fault in (Fault.RATE_LIMITED, Fault.NO_QUOTA):
            code = "rate_limit_exceeded" if fault is Fault.RATE_LIMITED else "insufficient_quota"
            response = self._response
            if response is None or response.is_over:
                response = self._response = _Answer(self, f"{self.tag}_{self._answers}", is_spoken=self._is_spoken)
                await response.begin()
            self._note_death(fault)
            await response.fail(code)
        else:
            self.break_off(fault)

    def break_off(self, fault: Fault) -> None:
        if self._is_dead:
            return
        self._note_death(fault)
        if fault is Fault.DROP:
            self._connection.transport.abort()

    def _note_death(self, fault: Fault) -> None:
        self._is_dead = True
        is_after = self._response is not None and self._response.is_over
        is_owed = self._is_answering and not is_after
        self._provider.waits.upstream_died(self._name, fault.value, self.tag, is_owed=is_owed)

    # What both write.

    async def _say(self, kind: str, **fields: Any) -> None:
        await self._connection.send(json.dumps(with_id({"type": kind, **fields}), separators=(",", ":")))

    async def _unless_closed(self, do: Callable[..., Awaitable[None]], *arguments: str) -> None:
        with contextlib.suppress(ConnectionClosed):
            await do(*arguments)


class _Answer:
    """One response in the making."""

    def __init__(self, talk: _Talk, number: str, *, is_spoken: bool) -> None:
        self._talk, self._is_spoken = talk, is_spoken
        self.is_over = False
        self._deltas = 0
        self._id, self._item_id = f"resp_{number}", f"item_{number}"
        self._place = {
            "response_id": self._id, "item_id": self._item_id, "output_index": 0, "content_index": 0,
        }  # fmt: skip
        accounts, self._name = talk._provider.accounts, talk._name
        self._produced = accounts.responses[self._name][self._id] = Produced(talk._provider.name)

    async def begin(self) -> None:
        item = self._item("in_progress")
        await self._talk._say("response.created", response=self._response("in_progress", None, None))
        await self._talk._say("response.output_item.added", response_id=self._id, output_index=0, item=item)
        await self._talk._say("conversation.item.added", previous_item_id=None, item=item)

    async def go_on(self) -> None:
        words = ANSWER.split()
        word = (words[self._deltas] if self._deltas < len(words) else "") + " "
        self._deltas += 1
        self._produced.is_begun = True
        if not self._is_spoken:
            await self._talk._say("response.output_text.delta", **self._place, delta=word)
            return
        await self._talk._say("response.output_audio_transcript.delta", **self._place, delta=word)
        await self._talk._say("response.output_audio.delta", **self._place, delta=_DELTA)

    async def finish(self, status: str, details: dict[str, Any] | None = None) -> None:
        self.is_over = True
        if self._is_spoken:
            await self._talk._say("response.output_audio.done", **self._place)
            await self._talk._say("response.output_audio_transcript.done", **self._place, transcript=ANSWER)
        else:
            await self._talk._say("response.output_text.done", **self._place, text=ANSWER)
        spoken = {"audio_out": self._deltas * 4} if self._is_spoken else {}
        used = usage(text_in=300, audio_in=20, text_out=self._deltas, **spoken)
        await self._talk._say("response.done", response=self._response(status, used, details))
        # Only what has left this server can be held against whoever was to receive it.
        self._produced.usage = used

    async def fail(self, code: str) -> None:
        self.is_over = True
        details = {"type": "failed", "error": {"type": code, "code": code, "message": code}}
        await self._talk._say("response.done", response=self._response("failed", None, details))

    def _item(self, status: str) -> dict[str, Any]:
        return {"id": self._item_id, "type": "message", "role": "assistant", "status": status, "content": []}

    def _response(self, status: str, used: dict[str, Any] | None, details: dict[str, Any] | None) -> dict[str, Any]:
        return {
            "object": "realtime.response", "id": self._id, "status": status, "status_details": details,
            "output": [self._item(status)] if used else [], "usage": used, "metadata": None,
            "output_modalities": ["audio" if self._is_spoken else "text"],
        }  # fmt: skip


def _merge(session: dict[str, Any], changes: dict[str, Any]) -> None:
    for name, value in changes.items():
        if isinstance(value, dict) and isinstance(session.get(name), dict):
            _merge(session[name], value)
        else:
            session[name] = value
