"""The live conversation of a customer's own Realtime program: as if it spoke to the model itself, but held and metered.

Towards the model `create_response` is off, and a response.create passes the gate, whoever wants it: the program that
sent one, or a caller's turn that the program's settings say is to be answered. Everything else goes through as it came.
"""

import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar
from uuid import uuid4

import structlog

from voice import realtime_events
from voice.audio import input_tokens_of
from voice.metering.meter import Meter
from voice.sessions.beat import beat
from voice.sessions.call import Call
from voice.sessions.fallback.failures import failure_of_response
from voice.sessions.fallback.ladder import Ladder
from voice.sessions.gate import Order, ResponseGate
from voice.sessions.last_usage import NOT_UNDERSTOOD, TRANSCRIBED, stop_response
from voice.sessions.programs.client import Appended, Client, ClientEvent, Refusal, ResponseWanted, Said, SessionWanted
from voice.sessions.programs.client_session import Change, ClientSession
from voice.sessions.state import ConversationState, Response, reports_usage, tokens_at_most
from voice.sessions.stop import Stop
from voice.sessions.turns import Turns
from voice.transcripts.recorder import TurnText
from voice.upstream.base import Direct, Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_TICK_S = 0.5
# A model that thinks may say nothing for a while; one that says nothing for this long has failed.
_STALL_S = 60.0
# A program that sends nothing and waits for nothing has been forgotten by whoever started it.
IDLE_S = 600.0
_TOO_SLOW_S = 15.0
_LAST_USAGE_S = 2.0
# Out-of-band responses that wait for the running one; providers let them run side by side, but not for nothing.
_WAITING_MAX = 16
# Instructions a model may have of its own where a client gives none.
_OWN_WORDS_TOKENS = 400
# A client may have its speech written down by a dearer model than the usual one, whose minute is set aside anyway: as
# much again as a minute of the dearest costs.
_DEARER_TRANSCRIPTION_TOKENS = 2000
# G.711 has 8 bytes a millisecond where PCM has 48.
_PCM_BYTES_A_G711_BYTE = 6

_ITEM_ID = re.compile(rb'"item_id"\s*:\s*"([^"\\]{1,128})"')
_DELTA = re.compile(rb'"delta"\s*:\s*"')
# Said by the provider about the account of whoever runs this server.
_NOT_FOR_CLIENTS = {"rate_limits.updated", "parley.meter_changed", "parley.working"}

# An event as the client is to see it, None where it is not.
_Seen = Awaitable[dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class _Request:
    """An event that we wrote in the client's place: its own event_id, and what to do about the answer."""

    client_event_id: str | None = None
    change: Change | None = None
    is_opening: bool = False
    is_out_of_band: bool = False
    is_ours: bool = False


class ClientRelay:
    def __init__(
        self,
        session: ClientSession,
        wanted: Mapping[str, Any],
        call: Call,
        client: Client,
        upstream: Upstream,
        meter: Meter,
        *,
        ladder: Ladder,
    ) -> None:
        """`ladder` only hears how the model does: the program's call ends with it."""
        self._session, self._wanted, self._call = session, wanted, call
        self._client, self._upstream, self._ladder = client, upstream, ladder
        self._has_answered = False
        self.began_at = now = time.monotonic()
        words = f"{wanted.get('instructions') or ''}{wanted.get('tools') or ''}"
        self.state = ConversationState(
            context_tokens=tokens_at_most(words) + _OWN_WORDS_TOKENS,
            context_tokens_max=call.endpoint.capabilities.context_tokens,
        )
        self.turns = Turns(now)
        self.completed_task = ""
        self.gate = ResponseGate(
            meter,
            self.state,
            model=call.model_served,
            wanted_output_tokens=call.max_output_tokens,
            tell=self._tell,
            send=upstream.send,
        )
        self._created: dict[str, Any] | None = None
        self._requests: dict[str, _Request] = {}
        self._updates: list[str] = []
        # The response that was asked for last; its answer is the next response.created.
        self._asked: tuple[str, _Request] | None = None
        self._running = _Request()
        self._answer_order: Order | None = None
        self._waiting: list[ResponseWanted] = []
        self._is_cancelled_early = False
        # Turns that the model cut itself, of which some are to be answered; the client answers those it commits.
        self._heard_items: set[str] = set()
        self._uncommitted_bytes = 0
        self._client_active_at = self._upstream_alive_at = now
        self._has_expired = False

    async def open(self) -> None:
        """Take over who answers; the client sees no session before that is done."""
        change = self._session.opening(self._wanted)
        await self._update_session(change, _Request(change=change, is_opening=True))

    # What the client does.

    async def follow_caller(self) -> Stop:
        """Do what the client asks for until it leaves; raise CallerGone or CallerBrokeProtocol."""
        if isinstance(self._upstream, Direct):
            self._client.listen(partial(self._append_now, self._upstream))
        try:
            async for event in self._client:
                self._client_active_at = time.monotonic()
                await self._do(event)
                # Else it would be kept until the next one, which may be long in coming where audio passes by itself.
                del event
            return Stop.CALLER_HUNG_UP
        finally:
            # Nothing is passed on while the session is being closed.
            self._client.listen(None)

    def _append_now(self, upstream: Direct, audio: Appended) -> bool:
        if not upstream.send_now(audio.frame):
            return False
        self._client_active_at = time.monotonic()
        self._uncommitted_bytes += audio.n_bytes
        return True

    async def _do(self, event: ClientEvent) -> None:
        match event:
            case Appended(frame, n_bytes):
                self._uncommitted_bytes += n_bytes
                await self._upstream.send(frame)
            case Said():
                await self._pass_up(event)
            case SessionWanted(session, event_id, tokens):
                change = self._session.change(session)
                self.state.tokens_added(tokens)
                await self._update_session(change, _Request(event_id, change))
            case ResponseWanted():
                await self._respond(event)

    async def _pass_up(self, said: Said) -> None:
        if said.kind == "response.cancel" and self.state.response is Response.ASKED:
            # The client may have read that its turn is answered before the model has: it is, and then cancelled.
            self._is_cancelled_early = True
            return
        if said.kind == "conversation.item.truncate":
            self._note_what_was_heard(said.event)
        self.state.tokens_added(said.tokens)
        await self._upstream.send(said.frame)

    def _note_what_was_heard(self, event: Mapping[str, Any]) -> None:
        heard_ms = event.get("audio_end_ms")
        if isinstance(heard_ms, int) and 0 <= heard_ms <= 24 * 3600 * 1000:
            self.turns.heard(str(event.get("item_id")), heard_ms, interrupted=True)

    async def _update_session(self, change: Change, request: _Request) -> None:
        own_id = self._remember(request)
        self._updates.append(own_id)
        event = {"type": "session.update", "event_id": own_id, "session": {"type": "realtime", **change.upstream}}
        await self._upstream.send(realtime_events.dump(event))

    async def _respond(self, wanted: ResponseWanted) -> None:
        if self.state.response is Response.NONE:
            order = self._order(wanted)
            self.gate.place(order)
            # What the client says after it is not to be read by this response: it waits until that is asked for.
            await order.is_over.wait()
        elif not (wanted.is_out_of_band or self._running.is_out_of_band):
            message = "Conversation already has an active response in progress."
            refusal = Refusal("conversation_already_has_active_response", message, event_id=wanted.event_id)
            await self._client.refuse(refusal)
        elif len(self._waiting) >= _WAITING_MAX:
            message = f"At most {_WAITING_MAX} responses may wait for the running one."
            await self._client.refuse(Refusal("rate_limit_exceeded", message, event_id=wanted.event_id))
        else:
            self._waiting.append(wanted)

    def _order(self, wanted: ResponseWanted) -> Order:
        request = _Request(wanted.event_id, is_out_of_band=wanted.is_out_of_band)
        most = wanted.output_tokens
        return Order(
            partial(self._request, request, wanted.response),
            output_tokens=self._usual_output_tokens() if most is None else most,
            extra_tokens=min(wanted.tokens, self.state.context_tokens_max),
        )

    def _answer(self) -> None:
        """Answer a turn, as the model would by itself."""
        if self.state.response is not Response.NONE and not self._session.interrupts_response:
            return
        ours = partial(self._request, _Request(is_ours=True), {})
        self._answer_order = Order(ours, output_tokens=self._usual_output_tokens())
        self.gate.place(self._answer_order)

    def _usual_output_tokens(self) -> int:
        usual, most = self._session.max_output_tokens, self._call.max_output_tokens
        return min(usual, most) if isinstance(usual, int) else most

    def _request(self, request: _Request, response: Mapping[str, Any], max_output_tokens: int) -> bytes:
        own_id = self._remember(request)
        self._asked = own_id, request
        response = {name: value for name, value in response.items() if name != "prompt"}
        response["max_output_tokens"] = max_output_tokens
        return realtime_events.dump({"type": "response.create", "event_id": own_id, "response": response})

    def _remember(self, request: _Request) -> str:
        own_id = f"parley_{uuid4().hex}"
        self._requests[own_id] = request
        return own_id

    # What the model does.

    async def follow_upstream(self) -> Stop:
        """Pass on what the model says until its connection ends; raise UpstreamError when it breaks."""
        if isinstance(self._upstream, Direct):
            self._upstream.listen(self._pass_audio_on_now)
        try:
            async for frame in self._upstream:
                await self._pass_on(frame)
                del frame  # as above
        except UpstreamError:
            if not self._has_expired:
                raise
        finally:
            if isinstance(self._upstream, Direct):
                self._upstream.listen(None)
        if self._has_expired:
            return Stop.MAX_DURATION
        raise UpstreamError("upstream_closed", retryable=True)

    async def _pass_on(self, frame: bytes) -> None:
        now = self._upstream_alive_at = time.monotonic()
        try:
            kind = realtime_events.event_type(frame)
            if kind == realtime_events.AUDIO_DELTA:
                self._spoke(*_speech_in(frame), now)
            elif kind in _NOT_FOR_CLIENTS:
                return
            elif handler := self._HANDLERS.get(kind):
                event = realtime_events.parse(frame)
                seen = await handler(self, event, now)
                if seen is None:
                    return
                frame = frame if seen is event else realtime_events.dump(seen)
        except NOT_UNDERSTOOD as error:
            # The words of the exception may be the caller's: only its kind is kept.
            log.warning("upstream event not understood", error=type(error).__name__)
            raise UpstreamError("upstream_garbage", retryable=True) from None
        await self._client.send(frame)

    def _pass_audio_on_now(self, frame: bytes) -> bool:
        if not realtime_events.is_audio_delta(frame):
            return False
        try:
            speech = _speech_in(frame)
        except NOT_UNDERSTOOD:
            return False
        if not self._client.send_now(frame):
            return False
        self._upstream_alive_at = now = time.monotonic()
        self._spoke(*speech, now)
        return True

    def _spoke(self, item_id: str, n_bytes: int, now: float) -> None:
        self.state.response_audio_bytes += n_bytes * (1 if self._session.speaks_pcm else _PCM_BYTES_A_G711_BYTE)
        self.turns.agent_speaking(item_id, now)

    async def _on_session_created(self, event: dict[str, Any], now: float) -> None:
        # Told to the client with what is in force once our first change is accepted.
        self._created = event

    async def _on_session_updated(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        request = self._requests.pop(self._updates.pop(0)) if self._updates else _Request()
        if request.change:
            self._session.accepted(request.change, event["session"])
        seen = {**event, "session": self._session.shown(event["session"])}
        if request.is_opening and self._created:
            created, self._created = self._created, None
            return {**created, "session": seen["session"]}
        return seen

    async def _on_error(self, event: dict[str, Any], now: float) -> dict[str, Any] | None:
        error = event["error"]
        log.info("upstream error", code=str(error.get("code"))[:80])
        if error.get("code") == "session_expired":
            # The edge says it, in the same words, before it closes.
            self._has_expired = True
            return None
        own_id = error.get("event_id")
        request = self._requests.pop(own_id, None) if isinstance(own_id, str) else None
        if request is None:
            return event
        if request.is_opening:
            # Nothing would be held: a session that we could not set up is not begun.
            raise UpstreamError("upstream_refused", retryable=False)
        if request.change:
            self._updates.remove(own_id)
        elif self._asked and self._asked[0] == own_id:
            self._asked = None
            self.state.response_refused()
            self._next_response()
        # One that we asked for on a turn's account is no mistake of the client's.
        return None if request.is_ours else {**event, "error": {**error, "event_id": request.client_event_id}}

    async def _on_speech_started(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        self.state.speech_started(event)
        self.turns.caller_started(str(event.get("item_id")), now)
        if self._session.interrupts_response:
            self.gate.unask()
            self._take_back_answer()
        return event

    def _take_back_answer(self) -> None:
        if self.state.response is not Response.ASKED:
            return
        if self._answer_order is None or not self.gate.withdraw(self._answer_order):
            # The model does not know of it yet and cannot interrupt it.
            self._is_cancelled_early = True

    async def _on_speech_stopped(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        self.state.speech_stopped(event)
        item_id = str(event.get("item_id"))
        self.turns.caller_finished(item_id, now)
        self._heard_items.add(item_id)
        return event

    async def _on_committed(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        item_id = str(event.get("item_id"))
        uncommitted_bytes, self._uncommitted_bytes = self._uncommitted_bytes, 0
        self.state.caller_finished_turn()
        if item_id in self._heard_items:
            self._heard_items.discard(item_id)
            if self._session.creates_response:
                self._answer()
        else:
            pcm_bytes = uncommitted_bytes * (1 if self._session.hears_pcm else _PCM_BYTES_A_G711_BYTE)
            # Twice: its transcript is read beside it.
            self.state.tokens_added(2 * input_tokens_of(pcm_bytes))
            self.turns.caller_started(item_id, now)
            self.turns.caller_finished(item_id, now)
        return event

    async def _on_cleared(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        self._uncommitted_bytes = 0
        return event

    async def _on_transcribed(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        slug = self._session.transcription_slug or self._call.transcription_slug
        self.gate.record_transcription(str(event["item_id"]), event.get("usage"), slug)
        self.gate.cover_listening(0 if slug == self._call.transcription_slug else _DEARER_TRANSCRIPTION_TOKENS)
        return event

    async def _on_response_created(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        self.state.response_created(event)
        own_id, self._running = self._asked or ("", _Request())
        self._requests.pop(own_id, None)
        self._asked = None
        if self._is_cancelled_early:
            self._is_cancelled_early = False
            await self._upstream.send(realtime_events.response_cancel(self.state.response_id))
        return event

    async def _on_text_delta(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        self.state.response_text_chars += len(str(event.get("delta") or ""))
        self.turns.agent_speaking(str(event.get("item_id")), now)
        return event

    async def _on_response_done(self, event: dict[str, Any], now: float) -> dict[str, Any]:
        response = event["response"]
        if not reports_usage(response):
            # A response that failed reports nothing, though some of it may have been spoken.
            self.gate.record_estimate()
        context_tokens = self.state.context_tokens
        if not self.state.response_done(event):
            return event
        if reports_usage(response):
            self.gate.record_response(response)
        self._tell_breaker(response)
        if self._running.is_out_of_band:
            # What it read and said is no part of the conversation.
            self.state.context_tokens = context_tokens
        self._running = _Request()
        self._next_response()
        return event

    def _tell_breaker(self, response: Mapping[str, Any]) -> None:
        """Note that the model answers, once, or that it cannot, which its program is told and may try again."""
        if failure := failure_of_response(response):
            self._ladder.note_failure(self._call, failure)
        elif response.get("status") == "completed" and not self._has_answered:
            self._has_answered = True
            self._ladder.answered(self._call)
        else:
            return
        self.gate.record(self._ladder.report)

    def _next_response(self) -> None:
        self.gate.response_is_over()
        if self.state.response is Response.NONE and self._waiting:
            self.gate.place(self._order(self._waiting.pop(0)))

    # What the clock does.

    async def follow_clock(self) -> Stop:
        every_tick = beat(_TICK_S)
        while True:
            await every_tick.next()
            if stop := self._tick(time.monotonic()):
                return stop

    def _tick(self, now: float) -> Stop | None:
        if now >= self.began_at + self._call.max_duration_s:
            return Stop.MAX_DURATION
        waits_since = self._client.waits_since
        if waits_since is not None and now - waits_since > _TOO_SLOW_S:
            return Stop.TOO_SLOW
        if self.state.response is not Response.NONE:
            self._client_active_at = now
            if now - self._upstream_alive_at > _STALL_S:
                raise UpstreamError("upstream_stalled", retryable=True)
        elif now - self._client_active_at > IDLE_S:
            return Stop.SILENCE
        else:
            # Nothing is owed, so nothing can be late.
            self._upstream_alive_at = now
        return None

    def words(self) -> Sequence[TurnText]:
        """Nothing: nobody was asked whether what they say may be kept."""
        return ()

    async def _tell(self, frame: bytes) -> None:
        """Tell the client what we have to say ourselves, as an event that strict programs know to ignore."""
        event = realtime_events.parse(frame)
        if event["type"] not in _NOT_FOR_CLIENTS:
            await self._client.send(realtime_events.dump({"event_id": f"event_{uuid4().hex}", **event}))

    # The end.

    async def close(self) -> None:
        """Stop the running response and put everything on the books; the upstream may be dead already."""
        handlers = {TRANSCRIBED: self._on_transcribed}
        await stop_response(self._upstream, self.state, self.gate, handlers, within_s=_LAST_USAGE_S)
        await self.gate.finish()

    async def hang_up(self) -> None:
        await self._upstream.close()

    # What is done about which event; for all calls, since a table of its own would be a part of every call's memory.
    _HANDLERS: ClassVar[Mapping[str, Callable[["ClientRelay", dict[str, Any], float], _Seen]]] = {
        "error": _on_error,
        "session.created": _on_session_created,
        "session.updated": _on_session_updated,
        "input_audio_buffer.speech_started": _on_speech_started,
        "input_audio_buffer.speech_stopped": _on_speech_stopped,
        "input_audio_buffer.committed": _on_committed,
        "input_audio_buffer.cleared": _on_cleared,
        TRANSCRIBED: _on_transcribed,
        "response.created": _on_response_created,
        "response.output_audio_transcript.delta": _on_text_delta,
        "response.output_text.delta": _on_text_delta,
        "response.function_call_arguments.delta": _on_text_delta,
        "response.done": _on_response_done,
    }


def _speech_in(frame: bytes) -> tuple[str, int]:
    """Return the item of a response.output_audio.delta and how many bytes of audio are in it, which nobody decodes."""
    if (start := _DELTA.search(frame)) is None or (item := _ITEM_ID.search(frame)) is None:
        raise realtime_events.InvalidEvent("bad_audio")
    return item[1].decode(), (frame.find(b'"', start.end()) - start.end()) * 3 // 4
