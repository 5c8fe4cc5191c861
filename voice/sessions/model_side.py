"""What the model does, passed on to the caller, and what follows from it: turns, words, usage, tools, a next model."""

import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, ClassVar, Protocol
from uuid import UUID

import structlog

from voice import realtime_events
from voice.audio import ms_of
from voice.sessions import own_events
from voice.sessions.customer_tools import answer_in_words
from voice.sessions.fallback.failures import failure_of_error, failure_of_response
from voice.sessions.fallback.moving import GIVEN_ITEM
from voice.sessions.fallback.silent import unheard_items
from voice.sessions.interruption import interrupt
from voice.sessions.last_usage import NOT_TRANSCRIBED, NOT_UNDERSTOOD, TRANSCRIBED
from voice.sessions.parts import Parts
from voice.sessions.state import FunctionCall, Response, function_calls, reports_usage
from voice.sessions.tools import ToolResult, run_tool
from voice.upstream.base import Direct
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

# A session that is said to end sooner than this is told by a clock that cannot be right.
_SHORTEST_SESSION_S = 300.0
# The end of speech is noticed later than it was; a difference beyond this is a clock that cannot be right.
_NOTICED_LATE_S_MAX = 2.0

# How nearly all words of speech begin.
_WORDS_START = b'{"type":"response.output_audio_transcript.delta",'

Handler = Callable[[Mapping[str, Any], float], Awaitable[None]]


class KeepFields(Protocol):
    async def __call__(self, session_id: UUID, call_id: str, task_name: str, fields: Mapping[str, str]) -> None:
        """Write down what a task collected; a repeat changes nothing."""


class ModelSide:
    """`completed_task` is the name of the task that the model has finished, "" before it has."""

    def __init__(self, parts: Parts, keep_fields: KeepFields, *, completed_task: str = "") -> None:
        self._parts, self._keep_fields = parts, keep_fields
        self.completed_task = completed_task
        # What a piece of speech passes, within reach.
        self._caller, self._state, self._turns = parts.caller, parts.state, parts.turns
        self._playback, self._alive = parts.playback, parts.alive
        self._speech = realtime_events.SpeechReader()

    @property
    def of_words(self) -> dict[str, Handler]:
        """What is done about words that are still being written down when the call is over."""
        return {TRANSCRIBED: self._on_transcribed, NOT_TRANSCRIBED: self._on_not_transcribed}

    async def follow(self) -> None:
        """Pass on what the model says, and what another says when its connection breaks.

        Raises UpstreamError when nobody is left who could go on with the call.
        """
        line = self._parts.line
        while True:
            try:
                upstream = line.upstream
                if isinstance(upstream, Direct):
                    upstream.listen(self._take_now)
                try:
                    async for frame in upstream:
                        await self._pass_on(frame)
                finally:
                    if isinstance(upstream, Direct):
                        upstream.listen(None)
                raise UpstreamError("upstream_closed", retryable=True)
            except UpstreamError as error:
                line.break_off(error)
            assert line.broken is not None
            self._alive.has_opened = False
            await self._parts.moving.move(line.broken)
            self._parts.spoken.sent_bytes = 0
            self._alive.seen_at = time.monotonic()

    async def _pass_on(self, frame: bytes) -> None:
        now = self._alive.seen_at = time.monotonic()
        try:
            kind = realtime_events.event_type(frame)
            if kind == realtime_events.AUDIO_DELTA:
                await self._on_audio(frame, now)
                return
            event = None
            if handler := self._HANDLERS.get(kind):
                event = realtime_events.parse(frame)
                await handler(self, event, now)
            if GIVEN_ITEM in frame and kind.startswith("conversation.item."):
                # What we tell a new upstream of the conversation, the caller knows.
                return
            await self._caller.send(frame, event)
        except NOT_UNDERSTOOD as error:
            # The words of the exception may be the caller's: only its kind is kept.
            log.warning("upstream event not understood", error=type(error).__name__)
            raise UpstreamError("upstream_garbage", retryable=True) from None

    # Speech.

    def _take_now(self, frame: bytes) -> bool:
        """Pass on speech and its words where nobody has to wait for it, and leave the rest to `follow`."""
        delta = self._speech.read(frame)
        if delta is None:
            return frame.startswith(_WORDS_START) and self._take_words(frame)
        item_id, pcm = delta
        if self._playback.is_interrupted(item_id) or not self._caller.send_audio_now(delta):
            return False
        size = len(pcm)
        self._alive.seen_at = now = time.monotonic()
        self._state.response_audio_bytes += size
        self._turns.agent_speaking(item_id, now)
        self._playback.sent(item_id, size, now)
        return True

    def _take_words(self, frame: bytes) -> bool:
        try:
            event = realtime_events.parse(frame)
        except realtime_events.InvalidEvent:
            return False
        item_id, text = event.get("item_id"), event.get("delta")
        if not isinstance(item_id, str) or not isinstance(text, str) or not self._caller.send_now(frame, event):
            return False
        self._alive.seen_at = time.monotonic()
        self._note_words(item_id, text)
        return True

    def _note_words(self, item_id: str, text: str) -> None:
        self._state.response_text_chars += len(text)
        self._parts.words.agent_delta(item_id, text)

    async def _on_audio(self, frame: bytes, now: float) -> None:
        delta = realtime_events.audio_delta(frame)
        self._state.response_audio_bytes += len(delta.pcm)
        if self._playback.is_interrupted(delta.item_id):
            return
        self._turns.agent_speaking(delta.item_id, now)
        self._playback.sent(delta.item_id, len(delta.pcm), now)
        await self._caller.send_audio(delta, frame)

    # What it hears of the caller.

    async def _on_speech_started(self, event: Mapping[str, Any], now: float) -> None:
        parts = self._parts
        parts.state.speech_started(event)
        parts.spoken.begins(is_answering=parts.state.response is Response.RUNNING)
        parts.limits.caller_was_active(now)
        parts.gate.unask()
        parts.turns.caller_started(str(event.get("item_id")), now)
        await interrupt(parts, now)

    async def _on_speech_stopped(self, event: Mapping[str, Any], now: float) -> None:
        self._state.speech_stopped(event)
        heard_ms = ms_of(self._parts.spoken.sent_bytes)
        noticed_late_s = (heard_ms - int(event.get("audio_end_ms") or 0)) / 1000
        finished_at = now - min(max(noticed_late_s, 0.0), _NOTICED_LATE_S_MAX)
        self._turns.caller_finished(str(event.get("item_id")), finished_at)

    async def _on_committed(self, event: Mapping[str, Any], now: float) -> None:
        parts = self._parts
        parts.limits.caller_was_active(now)
        parts.words.caller_said(str(event.get("item_id")), is_written_down=bool(parts.call.transcription_model))
        parts.state.caller_finished_turn()
        parts.gate.ask()

    async def _on_transcribed(self, event: Mapping[str, Any], now: float) -> None:
        parts, item_id = self._parts, str(event["item_id"])
        parts.gate.record_transcription(item_id, event.get("usage"), parts.call.transcription_slug)
        parts.words.caller_final(item_id, str(event.get("transcript") or ""))

    async def _on_not_transcribed(self, event: Mapping[str, Any], now: float) -> None:
        self._parts.words.caller_not_understood(str(event.get("item_id")))

    # What it answers.

    async def _on_response_created(self, event: Mapping[str, Any], now: float) -> None:
        self._state.response_created(event)
        self._parts.words.answering = ""

    async def _on_text_delta(self, event: Mapping[str, Any], now: float) -> None:
        text, item_id = str(event.get("delta") or ""), str(event.get("item_id"))
        if event["type"] == "response.output_text.delta":
            self._turns.agent_speaking(item_id, now)
        self._note_words(item_id, text)

    async def _on_text_final(self, event: Mapping[str, Any], now: float) -> None:
        item_id, text = str(event.get("item_id")), event.get("transcript") or event.get("text") or ""
        self._parts.words.agent_final(item_id, str(text), self._playback.sent_ms(item_id))

    async def _on_response_done(self, event: Mapping[str, Any], now: float) -> None:
        parts, response = self._parts, event["response"]
        if failure := failure_of_response(response):
            self._on_failed(event)
            raise failure
        self._refuse_silence(event)
        if not reports_usage(response):
            # A response that failed reports nothing, though some of it may have been spoken.
            parts.gate.record_estimate()
        if not parts.state.response_done(event):
            return
        if reports_usage(response):
            parts.gate.record_response(response)
        if response.get("status") == "completed":
            parts.moving.answered()
            if not parts.state.caller_is_speaking:
                parts.spoken.is_answered()
        await self._run_tools(response, now)
        parts.gate.response_is_over()

    def _refuse_silence(self, event: Mapping[str, Any]) -> None:
        """Leave a model of whose answer the words came and no sound; the caller is owed it still."""
        parts, response, state = self._parts, event["response"], self._state
        is_running = state.response is Response.RUNNING and str(response["id"]) == state.response_id
        if not is_running or state.response_audio_bytes or not parts.moving.call.is_voice:
            return
        unheard = unheard_items(response)
        if not unheard:
            return
        for item_id in unheard:
            parts.words.heard(item_id, 0, 1)
        if not reports_usage(response):
            parts.gate.record_estimate()
        # It says that it is completed, and has answered nothing.
        state.response_done({"response": {**response, "status": "failed"}})
        if reports_usage(response):
            parts.gate.record_response(response)
        state.response_asked()
        raise UpstreamError("upstream_silent", retryable=True)

    def _on_failed(self, event: Mapping[str, Any]) -> None:
        """An answer failed with its upstream: the next one owes it. Without usage it is settled when that is left."""
        if reports_usage(event["response"]) and self._state.response_done(event):
            self._parts.gate.record_response(event["response"])
        if self._state.response is Response.NONE:
            self._state.response_asked()

    # What it says of itself.

    async def _on_session_created(self, event: Mapping[str, Any], now: float) -> None:
        self._alive.has_opened = True
        left_s = float(event["session"].get("expires_at") or 0) - time.time()
        if left_s > _SHORTEST_SESSION_S:
            self._parts.moving.expires(now + left_s)

    async def _on_error(self, event: Mapping[str, Any], now: float) -> None:
        error = event["error"]
        log.info("upstream error", code=str(error.get("code"))[:80])
        if failure := failure_of_error(error):
            raise failure
        if self._state.response is Response.ASKED:
            self._state.response_refused()
            self._parts.gate.response_is_over()

    # What it asks for.

    async def _run_tools(self, response: Mapping[str, Any], now: float) -> None:
        parts, wants_answer = self._parts, False
        for asked in function_calls(response):
            if parts.tools.has(asked.name):
                parts.tools.start(asked, now)
                continue
            result = run_tool(parts.call, asked)
            await self._answer(asked, result)
            if result.ends_call:
                parts.goodbye_since = now
            else:
                wants_answer = True
        if wants_answer or parts.tools.is_running:
            await self._caller.send(own_events.working())
        # Answered once all of them are known.
        if wants_answer and not parts.tools.is_running:
            parts.gate.ask()

    async def _answer(self, asked: FunctionCall, result: ToolResult) -> None:
        """Give the model what one of our own tools has to say, and keep what that finished."""
        parts = self._parts
        await parts.line.send(realtime_events.function_output(asked.call_id, result.output))
        parts.words.so_far.note(answer_in_words(asked.name, result.output))
        parts.state.text_added(result.output)
        if result.completed:
            self.completed_task, fields = result.completed, result.fields or {}
            kept = (parts.call.session_id, asked.call_id, result.completed, fields)
            parts.gate.record(partial(self._keep_fields, *kept))
            await self._caller.send(own_events.task_completed(result.completed, fields))

    # What is done about which event; for all calls, since a table of its own would be a part of every call's memory.
    _HANDLERS: ClassVar[Mapping[str, Callable[["ModelSide", Mapping[str, Any], float], Awaitable[None]]]] = {
        "error": _on_error,
        "session.created": _on_session_created,
        "input_audio_buffer.speech_started": _on_speech_started,
        "input_audio_buffer.speech_stopped": _on_speech_stopped,
        "input_audio_buffer.committed": _on_committed,
        TRANSCRIBED: _on_transcribed,
        NOT_TRANSCRIBED: _on_not_transcribed,
        "response.created": _on_response_created,
        "response.output_audio_transcript.delta": _on_text_delta,
        "response.output_text.delta": _on_text_delta,
        "response.output_audio_transcript.done": _on_text_final,
        "response.output_text.done": _on_text_final,
        "response.done": _on_response_done,
    }
