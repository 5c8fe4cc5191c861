"""A live call goes on with another upstream: the partial answer is settled, the next model told, and asked to go on.

The caller's speech is kept meanwhile (line.py), nothing is asked for (gate.py), and what was delivered of the answer
plays on in the browser while the next model is dialled.
"""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import pybase64
import structlog

from voice import realtime_events
from voice.audio import bytes_of, input_tokens_of
from voice.history import RECENT, RECENT_TOKENS
from voice.metering.executor import in_ledger_thread
from voice.metering.meter import Meter
from voice.sessions import own_events
from voice.sessions.call import Call
from voice.sessions.fallback.ladder import Ladder
from voice.sessions.fallback.rungs import enter_rungs
from voice.sessions.prompt import go_on_from, instructions_of, session_of
from voice.sessions.state import ITEM_OVERHEAD_TOKENS, Response, tokens_at_most
from voice.sessions.tools import tools_of
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

if TYPE_CHECKING:
    # Of which a Moving is one.
    from voice.sessions.parts import Parts

log = structlog.get_logger(__name__)

# A caller who waits for longer is told that it takes a moment.
_ONE_MOMENT_S = 1.0
# A session is left this long before its provider ends it, in a pause if there is one until shortly before.
_EXPIRY_AHEAD_S, _EXPIRY_LAST_S = 120.0, 10.0
# Somebody who switches a model off, or wants to talk again, waits no longer than this for a pause.
_ORDERED_WITHIN_S = 10.0
# Where there was nothing to move to, it is looked again after this.
_LOOK_AGAIN_S = 15.0
# Less than this is no speech, and refused by those who are to hear it.
_HEARD_BYTES_MIN = bytes_of(100)
_PIECE_BYTES = bytes_of(1000)
# The items that we tell a new upstream, by their ids: nobody else is to be told of them.
GIVEN_ITEM = b'"sofar_'


class Moving:
    """One a call, among its other `parts`. `call` is the call as the model that holds it now serves it."""

    def __init__(self, call: Call, parts: "Parts", *, ladder: Ladder, meter: Meter) -> None:
        self.call = call
        self._parts, self._ladder, self._meter = parts, ladder, meter
        self._line, self._gate, self._state, self._tools = parts.line, parts.gate, parts.state, parts.tools
        self._words, self._spoken, self._turns, self._playback = parts.words, parts.spoken, parts.turns, parts.playback
        self._tell, self._notices = parts.caller.send, parts.notices
        # What the next model is to hear again: a turn that is not over, or one that was not written down.
        self._unfinished = self._unwritten = b""
        self.is_moving = False
        self._has_answered = False
        # Items of upstreams that are gone: the one that is there knows nothing of them.
        self.left_behind: set[str] = set()
        # What the one that is there was told of the call, by the ids of what it tells of: under which ids.
        self._given: dict[str, str] = {}
        self._waits_since: float | None = None
        self._expires_at: float | None = None
        self._wanted, self._wanted_by, self._not_before = "", 0.0, 0.0
        self._replacement: asyncio.Task[tuple[Call, Upstream] | None] | None = None

    # What the caller is owed.

    @property
    def may_answer(self) -> bool:
        """Whether the model has the floor: the caller does not speak, and nobody is leaving."""
        return not self._state.caller_is_speaking and self._parts.goodbye_since is None

    @property
    def is_answering(self) -> bool:
        """Whether an answer is being given; one whose words are told to their end is not, though its usage is due."""
        item_id = self._words.answering
        is_whole = bool(item_id) and self._words.so_far.is_final(item_id)
        return self._state.response is Response.RUNNING and not is_whole

    @property
    def answer_is_owed(self) -> bool:
        """Whether the caller waits for an answer, or is in the middle of one."""
        is_asked = self._state.response is Response.ASKED or self._gate.wants_response
        return (self.is_answering or is_asked) and self.may_answer

    @property
    def is_expecting(self) -> bool:
        """Whether the clock is to look after a caller who waits, or after a move that is wanted."""
        return self.is_moving or bool(self._wanted) or self._waits_since is not None

    # The line broke.

    async def move(self, error: UpstreamError) -> None:
        """Have another upstream go on where the one that failed was.

        Raises the last error when there is none, OutOfCredit when there are some and none of them can be paid.
        """
        self.is_moving = True
        go_on = await self._leave(time.monotonic())
        call, was_live = self.call, True
        while True:
            call, upstream = self._take_replacement(error) or await self._climb_down(call, error, was_live=was_live)
            reached_at = time.monotonic()
            try:
                await self._line.join(upstream, self.opening(call), hears=call.is_voice)
                break
            except UpstreamError as unreached:
                error, was_live = unreached, False
        log.info("a model is told of the call", seeded_ms=round((time.monotonic() - reached_at) * 1000))
        await self._arrive(call, go_on)

    async def _climb_down(self, call: Call, error: UpstreamError, *, was_live: bool) -> tuple[Call, Upstream]:
        try:
            return await self._ladder.climb_down(call, error, self._refuse_unpayable, was_live=was_live)
        finally:
            self._ladder.report_soon()

    async def _refuse_unpayable(self, call: Call) -> None:
        await self._meter.refuse_unpayable(
            call.model_served,
            is_voice=call.is_voice,
            context_tokens=self.context_tokens(call),
            wanted_output_tokens=call.max_output_tokens,
        )

    async def _leave(self, now: float) -> str:
        """Settle what the upstream that is gone was doing; return how the next is to go on, "" when nothing is owed."""
        state, item_id = self._state, self._words.answering
        is_owed, is_cut = self.answer_is_owed, self.is_answering and bool(item_id)
        self._waits_since = now if is_owed else None
        self._unfinished = self._spoken.pcm() if state.caller_is_speaking else b""
        is_unwritten = is_owed and not self._unfinished and self._words.so_far.words_are_missing()
        self._unwritten = self._spoken.pcm() if is_unwritten else b""
        self._ladder.rungs.left(now)
        self._gate.record_estimate()
        self._gate.hold()
        state.response = Response.NONE
        self._words.are_lost()
        said = await self._end_answer(item_id) if is_cut else ""
        if is_owed:
            await self._tell(own_events.working())
        return go_on_from(said, is_new=not self._words.so_far) if is_owed else ""

    async def _end_answer(self, item_id: str) -> str:
        """End an answer where its upstream left it, for the caller too; return its words."""
        sent_ms = self._playback.sent_ms(item_id)
        said = self._words.cut_off(sent_ms or None)
        for frame in realtime_events.answer_ended(item_id, said, is_spoken=bool(sent_ms)):
            await self._tell(frame)
        return said

    # The next one.

    def opening(self, call: Call) -> list[bytes]:
        """Return what a new upstream is told before anything else: who it is, and what was said so far."""
        items = self._words.so_far.items(_tokens_given(call))
        if call.is_voice and len(self._unwritten) >= _HEARD_BYTES_MIN:
            items[next(reversed(items))] = _said_aloud(self._unwritten)
        self._given = {item_id: f"sofar_{index}" for index, item_id in enumerate(items)}
        frames = [_item_created({"id": self._given[item_id], **item}) for item_id, item in items.items()]
        unfinished = self._unfinished if call.is_voice else b""
        pieces = [unfinished[start : start + _PIECE_BYTES] for start in range(0, len(unfinished), _PIECE_BYTES)]
        heard_again = [realtime_events.append_audio(piece) for piece in pieces]
        return [realtime_events.session_update(session_of(call)), *frames, *heard_again]

    async def tell_heard(self, item_id: str) -> None:
        """Tell the upstream how much was heard of an answer of one before it, which it was told of as delivered."""
        if item_id not in self._given:
            return
        given_ids = list(self._given.values())
        given_id = self._given[item_id]
        place = given_ids.index(given_id)
        await self._line.send(realtime_events.dump({"type": "conversation.item.delete", "item_id": given_id}))
        item = self._words.so_far.items().get(item_id)
        if item is None:
            del self._given[item_id]
            return
        self._given[item_id] = f"{given_id}_heard"
        previous_id = given_ids[place - 1] if place else "root"
        await self._line.send(_item_created({"id": self._given[item_id], **item}, previous_id))

    def context_tokens(self, call: Call) -> int:
        """Return how much a new upstream reads at most once it was told all that."""
        prompt = instructions_of(call) + str(tools_of(call))
        said = sum(map(tokens_at_most_of_item, self._words.so_far.items(_tokens_given(call)).values()))
        # Twice: what is heard may be read as words, too.
        return tokens_at_most(prompt) + said + 2 * input_tokens_of(len(self._unwritten) + len(self._unfinished))

    async def _arrive(self, call: Call, go_on: str) -> None:
        before, self.call = self.call, call
        self.left_behind.update(turn.item_id for turn in self._turns.all())
        self._words.answering = ""
        self._unfinished = self._unwritten = b""
        self._expires_at, self._wanted, self._has_answered = None, "", False
        self._state.moved(self.context_tokens(call))
        self._tools.moved(is_voice=call.is_voice)
        self._line.hear(call.is_voice)
        self._change_prices(call, is_another=True)
        self._ladder.rungs.ready(owes_words=bool(go_on))
        rows = self._ladder.rungs.rows(self._turns.all())
        self._gate.record(partial(in_ledger_thread, enter_rungs, call.session_id, rows, call.model_reason))
        self._ladder.report_soon()
        log.info("another upstream holds the call", model=call.model_served, reason=rows[-1].reason)
        if (call.model_served, call.is_voice) != (before.model_served, before.is_voice):
            await self.tell_model()
        if go_on:
            instructions = f"{instructions_of(call)}\n\n{go_on}"
            self._gate.ask(instructions, extra_tokens=tokens_at_most(go_on))
        self.is_moving = False
        self._gate.go_on()

    def _change_prices(self, call: Call, *, is_another: bool) -> None:
        change = partial(self._meter.change_model, call.model_served, is_voice=call.is_voice)
        if is_another:
            self._gate.change_model(call.model_served, call.max_output_tokens, change)
        else:
            self._gate.change_prices(change)

    async def tell_model(self) -> None:
        """Tell the caller which model holds the call, and whether it is talked to."""
        call = self.call
        await self._tell(own_events.model_changed(call.model_served, call.model_reason, voice=call.is_voice))

    # What is wanted: by the operator, by the caller, or because a session's time is up.

    def want(self, code: str) -> None:
        """Go on with another upstream at the next pause, or soon without one."""
        if not self._wanted:
            now = time.monotonic()
            self._wanted, self._wanted_by, self._not_before = code, now + _ORDERED_WITHIN_S, now

    def expires(self, at: float) -> None:
        """The upstream has said when it ends the session, on the monotonic clock."""
        self._expires_at = at

    def answered(self) -> None:
        """The upstream has given an answer; the first one says that it holds the call."""
        if not self._has_answered:
            self._has_answered = True
            self._ladder.answered(self.call)
            self._ladder.report_soon()

    async def choose_mode(self, *, is_voice: bool) -> None:
        """Let the caller talk, or type and read; a model that is only written to is left for one that speaks."""
        call = self.call
        if self.is_moving or is_voice == call.is_voice:
            await self.tell_model()
            return
        if is_voice and call.rung_kind == "text":
            self.want("voice_wanted")
            return
        self.call = call = replace(call, is_voice=is_voice)
        self._tools.is_voice = is_voice
        self._line.hear(is_voice)
        if is_voice:
            self._change_prices(call, is_another=False)
            await self._line.send(realtime_events.session_update(session_of(call)))
        else:
            session = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}
            await self._line.send(realtime_events.session_update(session))
            await self._line.send(realtime_events.clear_input_audio())
            self._state.caller_is_speaking = False
        await self.tell_model()

    # What the clock does.

    async def follow(self, now: float, *, is_quiet: bool) -> None:
        """Tell a caller who waits that it takes a moment; find the next upstream before the one that is there goes."""
        await self._tell_one_moment(now)
        if self.is_moving:
            return
        if self._expires_at is not None and now > self._expires_at - _EXPIRY_AHEAD_S and not self._wanted:
            self._wanted, self._wanted_by = "session_expiring", self._expires_at - _EXPIRY_LAST_S
            self._not_before = now
        if not self._wanted:
            return
        if self._replacement is None:
            if now >= self._not_before:
                self._replacement = asyncio.create_task(self._find_replacement(self._wanted))
        elif self._replacement.done() and (is_quiet or now >= self._wanted_by):
            await self._replace(now)

    async def _tell_one_moment(self, now: float) -> None:
        if self._waits_since is None:
            return
        state = self._state
        if state.response is Response.RUNNING and (state.response_audio_bytes or state.response_text_chars):
            self._waits_since = None
        elif now - self._waits_since > _ONE_MOMENT_S:
            self._waits_since = None
            await self._tell(own_events.notice("one_moment", self._notices["one_moment"]))

    async def _find_replacement(self, code: str) -> tuple[Call, Upstream] | None:
        if code == "voice_wanted":
            return await self._ladder.climb_up(self.call, self._refuse_unpayable)
        with_another = code != "session_expiring"
        return await self._ladder.replace(self.call, self._refuse_unpayable, with_another=with_another)

    async def _replace(self, now: float) -> None:
        assert self._replacement is not None
        if self._replacement.result() is not None:
            self._line.break_off(UpstreamError(self._wanted, retryable=True))
            return
        self._replacement = None
        self._ladder.report_soon()
        if self._wanted == "voice_wanted":
            await self._tell(own_events.notice("voice_unavailable", self._notices["voice_unavailable"]))
        if self._wanted == "session_expiring":
            self._not_before = now + _LOOK_AGAIN_S
        else:
            self._wanted = ""

    def _take_replacement(self, error: UpstreamError) -> tuple[Call, Upstream] | None:
        """Return what was found before the line broke for this reason, if it was."""
        found, self._replacement = self._replacement, None
        if found is None or not found.done():
            if found is not None:
                found.cancel()
            return None
        replacement = found.result()
        if replacement is not None:
            if error.code != self._wanted:
                # It failed before it was left.
                self._ladder.note_failure(self.call, error)
            self._ladder.rungs.enter(replacement[0], error.code)
        return replacement

    async def close(self) -> None:
        """Let go of an upstream that was found and is not needed any more; see that the breakers were told."""
        await self._ladder.report()
        if self._replacement is None:
            return
        self._replacement.cancel()
        (found,) = await asyncio.gather(self._replacement, return_exceptions=True)
        if isinstance(found, tuple):
            await found[1].close()


def _item_created(item: Mapping[str, Any], previous_id: str = "") -> bytes:
    place = {"previous_item_id": previous_id} if previous_id else {}
    return realtime_events.dump({"type": "conversation.item.create", **place, "item": item})


def _said_aloud(pcm: bytes) -> dict[str, Any]:
    audio = pybase64.b64encode(pcm).decode()
    return {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": audio}]}


def tokens_at_most_of_item(item: Mapping[str, Any]) -> int:
    """Bound from above what an item of text adds to the context."""
    return sum(tokens_at_most(part["text"]) for part in item["content"]) + ITEM_OVERHEAD_TOKENS


def _tokens_given(call: Call) -> int:
    # Half of what the model can read at most: it goes on from there.
    most = call.endpoint.capabilities.context_tokens // 2
    return min(RECENT_TOKENS, most) if call.history == RECENT else most
