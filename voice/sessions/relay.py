"""The live conversation: what the caller does goes up, what the model does comes down."""

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from functools import partial
from typing import Any, ClassVar, Protocol
from uuid import UUID

import structlog

from voice import realtime_events
from voice.audio import bytes_of, ms_of
from voice.metering.meter import Meter
from voice.sessions import own_events
from voice.sessions.call import Call
from voice.sessions.caller import Audio, Caller, CameBack, HungUp, ModeChosen, Muted, Played, Text
from voice.sessions.customer_tools import CustomerTools, answer_in_words
from voice.sessions.failures import failure_of_error, failure_of_response
from voice.sessions.gate import ResponseGate
from voice.sessions.ladder import Ladder
from voice.sessions.last_usage import NOT_TRANSCRIBED, NOT_UNDERSTOOD, TRANSCRIBED, stop_response
from voice.sessions.limits import Limits, Step
from voice.sessions.line import Line
from voice.sessions.memory import Before, Memory
from voice.sessions.moving import GIVEN_ITEM, Moving
from voice.sessions.playback import Heard, Playback
from voice.sessions.prompt import after_a_break, go_on_from, instructions_of, say_exactly
from voice.sessions.so_far import SoFar
from voice.sessions.spoken import Spoken
from voice.sessions.stalls import stalls_after_s
from voice.sessions.state import ConversationState, Response, function_calls, reports_usage
from voice.sessions.tools import run_tool
from voice.sessions.turns import Turns
from voice.sessions.words import Words
from voice.transcripts.recorder import TurnText
from voice.upstream.base import Direct, Upstream
from voice.upstream.errors import UpstreamError
from voice.words import words_of

log = structlog.get_logger(__name__)

_TICK_S = 0.1
# How long a goodbye may still be playing after the assistant asked to hang up.
_GOODBYE_S = 20.0
# How long the usage of a cancelled response, and words still being written down, are waited for at the end of a call.
_LAST_USAGE_S = 2.0
# A session that is said to end sooner than this is told by a clock that cannot be right.
_SHORTEST_SESSION_S = 300.0
# The end of speech is noticed later than it was; a difference beyond this is a clock that cannot be right.
_NOTICED_LATE_S_MAX = 2.0


class Stop(Enum):
    """Why the conversation itself came to an end."""

    CALLER_HUNG_UP = "caller_hung_up"
    AGENT_HUNG_UP = "agent_hung_up"
    SILENCE = "silence"
    MAX_DURATION = "max_duration"
    TOO_SLOW = "connection_too_slow"


class KeepFields(Protocol):
    async def __call__(self, session_id: UUID, call_id: str, task_name: str, fields: Mapping[str, str]) -> None:
        """Write down what a task collected; a repeat changes nothing."""


class Relay:
    def __init__(
        self,
        call: Call,
        caller: Caller,
        upstream: Upstream,
        meter: Meter,
        keep_fields: KeepFields,
        *,
        ladder: Ladder,
        so_far: SoFar | None = None,
        before: Before | None = None,
    ) -> None:
        """`so_far` is what was said before `upstream` came to the call, if it goes on with one.

        `before` is what another process knew of the call, if this one has taken it over.
        """
        memory = before.memory if before else None
        self._caller = caller
        self._line = Line(upstream, is_heard=call.is_voice)
        self._notices = words_of(call.language)["notices"]
        self._keep_fields = keep_fields
        now = time.monotonic()
        self._before = before
        self.began_at = now - before.elapsed_s if before else now
        self.state = ConversationState(context_tokens=0)
        self.playback = Playback()
        self.turns = Turns(self.began_at, before.turns if before else ())
        self.completed_task = memory.completed_task if memory else ""
        if memory:
            so_far, self.state.caller_was_answered = memory.so_far, memory.was_answered
        self._spoken = Spoken()
        recorded = before.words if before else None
        self._words = Words(are_kept=call.records_words, so_far=so_far, recorded=recorded)
        self.gate = ResponseGate(
            meter,
            self.state,
            model=call.model_served,
            wanted_output_tokens=call.max_output_tokens,
            tell=caller.send,
            send=self._line.send,
            is_away=lambda: caller.is_away,
            generation=call.generation,
        )
        self._tools = CustomerTools(call, self.state, self.gate, self._line.send, self._words.so_far)
        self._ladder = ladder
        self._moving = Moving(
            call,
            line=self._line,
            ladder=self._ladder,
            gate=self.gate,
            state=self.state,
            words=self._words,
            spoken=self._spoken,
            turns=self.turns,
            playback=self.playback,
            tools=self._tools,
            meter=meter,
            tell=caller.send,
            notices=self._notices,
            is_leaving=lambda: self._goodbye_since is not None,
        )
        silence_timeout_s, began_at = call.silence_timeout_s, self.began_at
        self._limits = Limits(max_duration_s=call.max_duration_s, silence_timeout_s=silence_timeout_s, now=began_at)
        self._limits.caller_was_active(now)
        self._appended_bytes = 0
        self._upstream_alive_at = now
        self._has_opened = False
        self._goodbye_since: float | None = None

    @property
    def _call(self) -> Call:
        return self._moving.call

    @property
    def model_served(self) -> str:
        return self._call.model_served

    async def open(self) -> None:
        """Tell the model who it is, and what was said before it came; let it greet, or go on."""
        self.state.context_tokens = self._moving.context_tokens(self._call)
        for frame in self._moving.opening(self._call):
            await self._line.send(frame)
        if self._before:
            await self._end_cut_off(self._before)
        if self._ladder.rungs.index:
            await self._moving.tell_model()
        if self._before is None or self._before.is_owed:
            how = self._how_to_go_on()
            self.gate.ask(f"{instructions_of(self._call)}\n\n{how}" if how else None)

    async def _end_cut_off(self, before: Before) -> None:
        """Tell the caller's side that an answer ends where another process left it."""
        if before.cut_off_id:
            place = {"item_id": before.cut_off_id, "output_index": 0, "content_index": 0}
            kind = "output_audio" if before.memory and before.memory.answer_bytes else "output_text"
            if kind == "output_audio":
                await self._caller.send(realtime_events.dump({"type": "response.output_audio.done", **place}))
            name, field = ("transcript", "output_audio_transcript") if kind == "output_audio" else ("text", kind)
            final = {"type": f"response.{field}.done", **place, name: before.cut_off}
            await self._caller.send(realtime_events.dump(final))

    def _how_to_go_on(self) -> str:
        """Return what the model is told beside its instructions; "" where the call begins now."""
        before, said = self._before, self._words.so_far
        if before and before.memory is None:
            return after_a_break()
        return go_on_from(before.cut_off if before else "", is_new=not said) if before or said else ""

    def memory(self) -> Memory:
        """Return what another process would need to go on with the call."""
        state, words, item_id = self.state, self._words, self._words.answering
        is_running = state.response is Response.RUNNING
        is_whole = is_running and bool(item_id) and words.so_far.is_final(item_id)
        is_owed = (state.response is not Response.NONE and not is_whole) or self.gate.wants_response
        is_owed = (is_owed or self._moving.is_moving) and not state.caller_is_speaking and self._goodbye_since is None
        is_cut = self.playback.is_interrupted(item_id)
        return Memory(
            so_far=words.so_far,
            turns=self.turns.all(),
            words=words.recorded(),
            completed_task=self.completed_task,
            was_answered=state.caller_was_answered,
            is_voice=self._call.is_voice,
            is_owed=is_owed,
            is_answering=is_running and not is_whole,
            answer_id="" if is_cut else item_id,
            answer_bytes=bytes_of(self.playback.sent_ms(item_id)),
            sent_bytes=self.playback.sent_bytes + (self._before.received_bytes if self._before else 0),
        )

    async def move(self, code: str) -> None:
        """Go on with another model at the next pause; `code` is a stable word that says why."""
        self._moving.want(code)

    # What the caller does.

    async def follow_caller(self) -> Stop:
        """Pass on what the caller says until they hang up; raise CallerGone or CallerBrokeProtocol."""
        self._caller.listen(self._take_from_caller)
        try:
            return await self._do_as_the_caller_does()
        finally:
            # Nothing is passed on while the call is being closed, and a caller that is kept must not keep the call.
            self._caller.listen(None)

    async def _do_as_the_caller_does(self) -> Stop:
        async for event in self._caller:
            match event:
                case Audio():
                    pcm = event.pcm
                    self._appended_bytes += len(pcm)
                    self._spoken.frames.append(pcm)
                    frame = realtime_events.append_audio(pcm)
                    try:
                        await self._line.ears.send(frame)
                    except UpstreamError as error:
                        self._line.break_off(error)
                        await self._line.ears.send(frame)
                case Played(item_id, played_ms, received_bytes):
                    heard = self.playback.reported(item_id, played_ms, received_bytes, time.monotonic())
                    await self._truncate(heard)
                case Text(text):
                    await self._on_typed(text)
                case ModeChosen(is_voice):
                    self._limits.caller_was_active(time.monotonic())
                    await self._moving.choose_mode(is_voice=is_voice)
                case Muted():
                    self._limits.caller_was_active(time.monotonic())
                case CameBack(away_s):
                    self._on_back(away_s)
                case HungUp():
                    return Stop.CALLER_HUNG_UP
        return Stop.CALLER_HUNG_UP

    def _take_from_caller(self, event: Audio | Played) -> bool:
        """Do what nobody has to wait for, and leave the rest to follow_caller."""
        if isinstance(event, Played):
            if self.playback.awaits_report:
                return False
            self.playback.reported(event.item_id, event.played_ms, event.received_bytes, time.monotonic())
            return True
        ears = self._line.direct_ears
        if ears is None or not ears.send_now(realtime_events.append_audio(event.pcm)):
            return False
        self._appended_bytes += len(event.pcm)
        self._spoken.frames.append(event.pcm)
        return True

    def _on_back(self, away_s: float) -> None:
        now = time.monotonic()
        self.playback.came_back(now, away_s)
        self._limits.caller_was_active(now)
        self.gate.response_is_over()

    async def _on_typed(self, text: str) -> None:
        now = time.monotonic()
        self._limits.caller_was_active(now)
        await self._interrupt(now)
        if self.state.response is Response.RUNNING:
            await self._line.send(realtime_events.response_cancel())
        item_id = f"typed_{uuid.uuid4().hex[:16]}"
        self.turns.caller_started(item_id, now)
        self.turns.caller_finished(item_id, now)
        self._words.caller_final(item_id, text)
        self.state.text_added(text)
        self.state.caller_finished_turn()
        await self._line.send(realtime_events.user_text(text, item_id))
        self.gate.ask()

    # What the model does.

    async def follow_upstream(self) -> None:
        """Pass on what the model says, and what another says when its connection breaks.

        Raises UpstreamError when nobody is left who could go on with the call.
        """
        while True:
            try:
                upstream = self._line.upstream
                if isinstance(upstream, Direct):
                    upstream.listen(self._take_speech)
                try:
                    async for frame in upstream:
                        await self._pass_on(frame)
                finally:
                    if isinstance(upstream, Direct):
                        upstream.listen(None)
                raise UpstreamError("upstream_closed", retryable=True)
            except UpstreamError as error:
                self._line.break_off(error)
            assert self._line.broken is not None
            self._has_opened = False
            await self._moving.move(self._line.broken)
            self._appended_bytes = 0
            self._upstream_alive_at = time.monotonic()

    async def _pass_on(self, frame: bytes) -> None:
        now = self._upstream_alive_at = time.monotonic()
        try:
            kind = realtime_events.event_type(frame)
            if kind == realtime_events.AUDIO_DELTA:
                await self._on_audio(frame, now)
                return
            if handler := self._HANDLERS.get(kind):
                await handler(self, realtime_events.parse(frame), now)
            if GIVEN_ITEM in frame and kind.startswith("conversation.item."):
                # What we tell a new upstream of the conversation, the caller knows.
                return
            await self._caller.send(frame)
        except NOT_UNDERSTOOD as error:
            # The words of the exception may be the caller's: only its kind is kept.
            log.warning("upstream event not understood", error=type(error).__name__)
            raise UpstreamError("upstream_garbage", retryable=True) from None

    def _take_speech(self, frame: bytes) -> bool:
        """Pass on speech that nobody has to wait for, and leave the rest to follow_upstream."""
        if not realtime_events.is_audio_delta(frame):
            return False
        try:
            delta = realtime_events.audio_delta(frame)
        except NOT_UNDERSTOOD:
            return False
        if self.playback.is_interrupted(delta.item_id) or not self._caller.send_audio_now(delta):
            return False
        self._upstream_alive_at = now = time.monotonic()
        self.state.response_audio_bytes += len(delta.pcm)
        self._spoke(delta, now)
        return True

    async def _on_audio(self, frame: bytes, now: float) -> None:
        delta = realtime_events.audio_delta(frame)
        self.state.response_audio_bytes += len(delta.pcm)
        if self.playback.is_interrupted(delta.item_id):
            return
        self._spoke(delta, now)
        await self._caller.send_audio(delta, frame)

    def _spoke(self, delta: realtime_events.AudioDelta, now: float) -> None:
        self.turns.agent_speaking(delta.item_id, now)
        self.playback.sent(delta.item_id, len(delta.pcm), now)

    async def _on_speech_started(self, event: Mapping[str, Any], now: float) -> None:
        self.state.speech_started(event)
        self._spoken.begins(is_answering=self.state.response is Response.RUNNING)
        self._limits.caller_was_active(now)
        self.gate.unask()
        self.turns.caller_started(str(event.get("item_id")), now)
        await self._interrupt(now)

    async def _on_speech_stopped(self, event: Mapping[str, Any], now: float) -> None:
        self.state.speech_stopped(event)
        noticed_late_s = (ms_of(self._appended_bytes) - int(event.get("audio_end_ms") or 0)) / 1000
        self.turns.caller_finished(str(event.get("item_id")), now - min(max(noticed_late_s, 0.0), _NOTICED_LATE_S_MAX))

    async def _on_committed(self, event: Mapping[str, Any], now: float) -> None:
        self._limits.caller_was_active(now)
        self._words.caller_said(str(event.get("item_id")), is_written_down=bool(self._call.transcription_model))
        self.state.caller_finished_turn()
        self.gate.ask()

    async def _on_transcribed(self, event: Mapping[str, Any], now: float) -> None:
        self.gate.record_transcription(str(event["item_id"]), event.get("usage"), self._call.transcription_slug)
        self._words.caller_final(str(event["item_id"]), str(event.get("transcript") or ""))

    async def _on_not_transcribed(self, event: Mapping[str, Any], now: float) -> None:
        self._words.caller_not_understood(str(event.get("item_id")))

    async def _on_response_created(self, event: Mapping[str, Any], now: float) -> None:
        self.state.response_created(event)
        self._words.answering = ""

    async def _on_text_delta(self, event: Mapping[str, Any], now: float) -> None:
        self.state.response_text_chars += len(str(event.get("delta") or ""))
        item_id = str(event.get("item_id"))
        if event["type"] == "response.output_text.delta":
            self.turns.agent_speaking(item_id, now)
        self._words.agent_delta(item_id, str(event.get("delta") or ""))

    async def _on_text_final(self, event: Mapping[str, Any], now: float) -> None:
        item_id, text = str(event.get("item_id")), event.get("transcript") or event.get("text") or ""
        self._words.agent_final(item_id, str(text), self.playback.sent_ms(item_id))

    async def _on_response_done(self, event: Mapping[str, Any], now: float) -> None:
        response = event["response"]
        if failure := failure_of_response(response):
            self._on_failed(event)
            raise failure
        if not reports_usage(response):
            # A response that failed reports nothing, though some of it may have been spoken.
            self.gate.record_estimate()
        if not self.state.response_done(event):
            return
        if reports_usage(response):
            self.gate.record_response(response)
        if response.get("status") == "completed":
            self._moving.answered()
            if not self.state.caller_is_speaking:
                self._spoken.is_answered()
        await self._run_tools(response, now)
        self.gate.response_is_over()

    def _on_failed(self, event: Mapping[str, Any]) -> None:
        """An answer failed with its upstream: the next one owes it. Without usage it is settled when that is left."""
        if reports_usage(event["response"]) and self.state.response_done(event):
            self.gate.record_response(event["response"])
        if self.state.response is Response.NONE:
            self.state.response_asked()

    async def _on_session_created(self, event: Mapping[str, Any], now: float) -> None:
        self._has_opened = True
        left_s = float(event["session"].get("expires_at") or 0) - time.time()
        if left_s > _SHORTEST_SESSION_S:
            self._moving.expires(now + left_s)

    async def _on_error(self, event: Mapping[str, Any], now: float) -> None:
        error = event["error"]
        log.info("upstream error", code=str(error.get("code"))[:80])
        if failure := failure_of_error(error):
            raise failure
        if self.state.response is Response.ASKED:
            self.state.response_refused()
            self.gate.response_is_over()

    async def _run_tools(self, response: Mapping[str, Any], now: float) -> None:
        wants_answer = False
        for asked in function_calls(response):
            if self._tools.has(asked.name):
                self._tools.start(asked, now)
                continue
            result = run_tool(self._call, asked)
            await self._line.send(realtime_events.function_output(asked.call_id, result.output))
            self._words.so_far.note(answer_in_words(asked.name, result.output))
            self.state.text_added(result.output)
            if result.completed:
                self.completed_task, fields = result.completed, result.fields or {}
                kept = (self._call.session_id, asked.call_id, result.completed, fields)
                self.gate.record(partial(self._keep_fields, *kept))
                await self._caller.send(own_events.task_completed(result.completed, fields))
            if result.ends_call:
                self._goodbye_since = now
            else:
                wants_answer = True
        if wants_answer or self._tools.is_running:
            await self._caller.send(own_events.working())
        # Answered once all of them are known.
        if wants_answer and not self._tools.is_running:
            self.gate.ask()

    # Interruption: stop what is playing, then tell the model what was heard of it.

    async def _interrupt(self, now: float) -> None:
        self._goodbye_since = None  # somebody who speaks into a goodbye has not finished
        if item_id := self.playback.interrupt(now):
            self._words.interrupted(item_id)
            await self._caller.send(own_events.interrupted(item_id))

    async def _truncate(self, heard: Heard | None) -> None:
        if heard is None:
            return
        await self._truncate(self.playback.cut_before(heard.item_id))
        self.turns.heard(heard.item_id, heard.heard_ms, interrupted=True)
        self._words.heard(heard.item_id, heard.heard_ms, heard.sent_ms)
        if heard.item_id in self._moving.left_behind:
            await self._moving.tell_heard(heard.item_id)
        else:
            await self._line.send(realtime_events.truncate(heard.item_id, heard.heard_ms))
        await self._caller.send(own_events.truncated(heard.item_id, heard.heard_ms, heard.sent_ms))

    # What the clock does.

    async def follow_clock(self) -> Stop:
        while True:
            await asyncio.sleep(_TICK_S)
            if stop := await self._tick(time.monotonic()):
                return stop

    async def _tick(self, now: float) -> Stop | None:
        await self._truncate(self.playback.overdue(now))
        is_away = self._caller.is_away
        if self.playback.is_too_slow(now, is_away=is_away):
            return Stop.TOO_SLOW
        response, is_playing = self.state.response, self.playback.playing(now) is not None
        if response is Response.NONE or self.gate.is_asking or self._moving.is_moving:
            # Nothing is owed by the upstream, so nothing can be late: its time begins when it is asked.
            self._upstream_alive_at = now
        elif now - self._upstream_alive_at > stalls_after_s(self._call, self.state, has_opened=self._has_opened):
            self._line.break_off(UpstreamError("upstream_stalled", retryable=True))
        await self._tools.follow(now, is_playing=is_playing, is_leaving=self._goodbye_since is not None)
        if self._goodbye_since is not None and response is Response.NONE and not self._tools.is_running:
            if not is_playing or now - self._goodbye_since > _GOODBYE_S:
                return Stop.AGENT_HUNG_UP
            return None
        is_busy = is_playing or self.state.caller_is_speaking or response is not Response.NONE or self._tools.is_running
        await self._moving.follow(now, is_quiet=not is_busy)
        is_busy = is_busy or self._moving.is_moving
        # Nobody who is away can break a silence.
        return await self._keep_limits(self._limits.due(now, is_busy=is_busy or is_away))

    async def _keep_limits(self, step: Step | None) -> Stop | None:
        match step:
            case Step.ASK_STILL_THERE:
                await self._caller.send(own_events.notice("still_there", self._notices["still_there"]))
                self.gate.ask(say_exactly(self._notices["still_there"]))
            case Step.LAST_MINUTE:
                await self._caller.send(own_events.notice("last_minute", self._notices["last_minute"]))
            case Step.SILENCE:
                return Stop.SILENCE
            case Step.MAX_DURATION:
                return Stop.MAX_DURATION
            case None:
                pass
        return None

    # The end.

    async def close(self) -> None:
        """Stop the running response and put everything on the books; the upstream may be dead already."""
        await self._tools.stop()
        await self._moving.close()
        await stop_response(
            self._line,
            self.state,
            self.gate,
            {TRANSCRIBED: self._on_transcribed, NOT_TRANSCRIBED: self._on_not_transcribed},
            within_s=_LAST_USAGE_S,
            owes_words=self._owes_words,
        )
        self._note_what_was_heard(time.monotonic())
        await self.gate.finish()

    async def let_go(self) -> None:
        """Put on the books what this process has used, without waiting for more; another one goes on with the call."""
        await self._tools.stop()
        await self._moving.close()
        self.gate.record_estimate()
        await self.gate.finish()

    async def hang_up(self) -> None:
        await self._line.close()

    def _owes_words(self) -> bool:
        return self._words.are_awaited

    def _note_what_was_heard(self, now: float) -> None:
        playing = self.playback.playing(now)
        for turn in self.turns.all():
            if turn.speaker == "agent" and turn.heard_ms is None:
                heard_ms = self.playback.heard_ms(turn.item_id)
                # One that was interrupted a moment ago may not have been reported on.
                is_cut = turn.item_id == playing or self.playback.is_interrupted(turn.item_id)
                self.turns.heard(turn.item_id, heard_ms, interrupted=is_cut)
                if is_cut:
                    self._words.heard(turn.item_id, heard_ms, self.playback.sent_ms(turn.item_id))

    def words(self) -> list[TurnText]:
        """Return what was said, as heard, turn by turn; nothing where the caller did not agree to its being kept."""
        return self._words.of(self.turns.all())

    # What is done about which event; for all calls, since a table of its own would be a part of every call's memory.
    _HANDLERS: ClassVar[Mapping[str, Callable[["Relay", Mapping[str, Any], float], Awaitable[None]]]] = {
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
