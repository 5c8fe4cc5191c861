"""The live conversation between a caller and a model: its two sides and its clock, put together.

What the caller does goes up (caller_side.py), what the model does comes down (model_side.py), and what is due because
time goes by is clock.py's. What all of them work with is in parts.py.
"""

import time

from voice import realtime_events
from voice.audio import bytes_of
from voice.metering.meter import Meter
from voice.sessions.call import Call
from voice.sessions.caller import Caller
from voice.sessions.caller_side import CallerSide
from voice.sessions.clock import Clock
from voice.sessions.customer_tools import CustomerTools
from voice.sessions.fallback.ladder import Ladder
from voice.sessions.fallback.line import Line
from voice.sessions.fallback.moving import Moving
from voice.sessions.fallback.so_far import SoFar
from voice.sessions.fallback.spoken import Spoken
from voice.sessions.fallback.stalls import SignsOfLife
from voice.sessions.gate import ResponseGate
from voice.sessions.last_usage import stop_response
from voice.sessions.limits import Limits
from voice.sessions.model_side import KeepFields, ModelSide
from voice.sessions.parts import Parts
from voice.sessions.playback import Playback
from voice.sessions.prompt import after_a_break, go_on_from, instructions_of
from voice.sessions.state import ConversationState, tokens_at_most
from voice.sessions.stop import Stop
from voice.sessions.takeover.memory import Before, Memory
from voice.sessions.turns import Turns
from voice.sessions.words import Words
from voice.transcripts.recorder import TurnText
from voice.upstream.base import Upstream
from voice.words import words_of

# How long the usage of a cancelled response, and words still being written down, are waited for at the end of a call.
_LAST_USAGE_S = 2.0


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
        now = time.monotonic()
        self.began_at = now - before.elapsed_s if before else now
        self._before, self._ladder = before, ladder
        memory = before.memory if before else None
        parts = self._parts = self._put_together(call, caller, upstream, meter, memory.so_far if memory else so_far)
        self._line, self._words, self._moving, self._tools = parts.line, parts.words, parts.moving, parts.tools
        self.state, self.gate, self.playback, self.turns = parts.state, parts.gate, parts.playback, parts.turns
        self.state.caller_was_answered = bool(memory and memory.was_answered)
        parts.limits.caller_was_active(now)
        self._caller_side = CallerSide(parts)
        self._model_side = ModelSide(parts, keep_fields, completed_task=memory.completed_task if memory else "")
        self._clock = Clock(parts)

    def _put_together(
        self, call: Call, caller: Caller, upstream: Upstream, meter: Meter, so_far: SoFar | None
    ) -> Parts:
        before = self._before
        line = Line(upstream, is_heard=call.is_voice)
        state, playback, spoken = ConversationState(context_tokens=0), Playback(), Spoken()
        turns = Turns(self.began_at, before.turns if before else ())
        words = Words(are_kept=call.records_words, so_far=so_far, recorded=before.words if before else None)
        gate = ResponseGate(
            meter,
            state,
            model=call.model_served,
            wanted_output_tokens=call.max_output_tokens,
            tell=caller.send,
            send=line.send,
            is_away=lambda: caller.is_away,
            generation=call.generation,
        )
        tools = CustomerTools(call, state, gate, line.send, words.so_far)
        limits = Limits(max_duration_s=call.max_duration_s, silence_timeout_s=call.silence_timeout_s, now=self.began_at)
        parts = Parts(
            caller=caller,
            line=line,
            state=state,
            gate=gate,
            playback=playback,
            turns=turns,
            words=words,
            spoken=spoken,
            tools=tools,
            limits=limits,
            alive=SignsOfLife(time.monotonic()),
            notices=words_of(call.language)["notices"],
        )
        parts.moving = Moving(call, parts, ladder=self._ladder, meter=meter)
        return parts

    @property
    def model_served(self) -> str:
        return self._parts.call.model_served

    @property
    def completed_task(self) -> str:
        """The name of the task that was finished, "" before one was."""
        return self._model_side.completed_task

    async def open(self) -> None:
        """Tell the model who it is, and what was said before it came; let it greet, or go on."""
        call = self._parts.call
        self.state.context_tokens = self._moving.context_tokens(call)
        for frame in self._moving.opening(call):
            await self._line.send(frame)
        if self._before:
            await self._end_cut_off(self._before)
        if self._ladder.rungs.index:
            await self._moving.tell_model()
        if self._before is None or self._before.is_owed:
            if how := self._how_to_go_on():
                self.gate.ask(f"{instructions_of(call)}\n\n{how}", extra_tokens=tokens_at_most(how))
            else:
                self.gate.ask()

    async def _end_cut_off(self, before: Before) -> None:
        """Tell the caller's side that an answer ends where another process left it."""
        if before.cut_off_id:
            is_spoken = bool(before.memory and before.memory.answer_bytes)
            for frame in realtime_events.answer_ended(before.cut_off_id, before.cut_off, is_spoken=is_spoken):
                await self._parts.caller.send(frame)

    def _how_to_go_on(self) -> str:
        """Return what the model is told beside its instructions; "" where the call begins now."""
        before, said = self._before, self._words.so_far
        if before and before.memory is None:
            return after_a_break()
        return go_on_from(before.cut_off if before else "", is_new=not said) if before or said else ""

    # What goes on in the call, side by side.

    async def follow_caller(self) -> Stop:
        """Pass on what the caller does until they hang up; raise CallerGone or CallerBrokeProtocol."""
        return await self._caller_side.follow()

    async def follow_upstream(self) -> None:
        """Pass on what the model does; raise UpstreamError when no model is left."""
        await self._model_side.follow()

    async def follow_clock(self) -> Stop:
        """Do what is due as time goes by, until the call is to end."""
        return await self._clock.follow()

    async def move(self, code: str) -> None:
        """Go on with another model at the next pause; `code` is a stable word that says why."""
        self._moving.want(code)

    # Going on in another process.

    def memory(self) -> Memory:
        """Return what another process would need to go on with the call."""
        words, moving, item_id = self._words, self._moving, self._words.answering
        is_cut = self.playback.is_interrupted(item_id)
        return Memory(
            so_far=words.so_far,
            turns=self.turns.all(),
            words=words.recorded(),
            completed_task=self.completed_task,
            was_answered=self.state.caller_was_answered,
            is_voice=self._parts.call.is_voice,
            is_owed=moving.answer_is_owed or (moving.is_moving and moving.may_answer),
            is_answering=moving.is_answering,
            answer_id="" if is_cut else item_id,
            answer_bytes=bytes_of(self.playback.sent_ms(item_id)),
            sent_bytes=self.playback.sent_bytes + (self._before.received_bytes if self._before else 0),
        )

    async def let_go(self) -> None:
        """Put on the books what this process has used, without waiting for more; another one goes on with the call."""
        await self._tools.stop()
        await self._moving.close()
        self.gate.record_estimate()
        await self.gate.finish()

    # The end.

    async def close(self) -> None:
        """Stop the running response and put everything on the books; the upstream may be dead already."""
        await self._tools.stop()
        await self._moving.close()
        await stop_response(
            self._line,
            self.state,
            self.gate,
            self._model_side.of_words,
            within_s=_LAST_USAGE_S,
            owes_words=lambda: self._words.are_awaited,
        )
        self._note_what_was_heard(time.monotonic())
        await self.gate.finish()

    async def hang_up(self) -> None:
        await self._line.close()

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
