"""The gate every response passes: its worst case is held before it is asked for, its cost recorded when it is done.

Jobs run on one task, off the audio path: what was used is recorded, all that waits at once, and then a response is
asked for, so that everything before it is on the books. A slow database delays the next answer; it never delays audio.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import structlog
from django.db import OperationalError

from voice import realtime_events
from voice.metering.meter import Allowance, Meter, OutOfCredit
from voice.sessions import own_events
from voice.sessions.jobs import Jobs
from voice.sessions.state import ConversationState, Response

log = structlog.get_logger(__name__)

# More jobs than this are never open in a call that is served at all: a response at a time, a transcription a turn.
_JOBS_MAX = 256
# A database that restarts is back within seconds; one that is not ends the call.
_RETRY_PAUSES_S = (0.2, 1.0, 3.0)
# A saved card is charged within seconds; nobody waits on the line in silence for much longer.
# Well below the time after which a silent upstream counts as stalled (sessions/fallback/stalls.py).
_REFILL_WAIT_S = 10.0
_REFILL_LOOK_EVERY_S = 0.5
# Room for what a caller may say before the next response, so that its hold is in place before they have said it.
_NEXT_TURN_TOKENS = 600

Send = Callable[[bytes], Awaitable[None]]
T = TypeVar("T")


@dataclass(slots=True, eq=False)
class Order:
    """A response to be covered and asked for.

    `frame` makes the request, given how many tokens it may have; `output_tokens` is how many are wanted (None: the
    call's usual number), `extra_tokens` what it reads beside the conversation. `is_over` is set once it was asked for,
    or no longer will be.
    """

    frame: Callable[[int], bytes]
    output_tokens: int | None = None
    extra_tokens: int = 0
    is_withdrawn: bool = False
    is_over: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True, slots=True)
class _Cover:
    """What is heard and written down is to be covered, though no response was asked for.

    `extra_tokens` are set aside besides what the call's usual transcription needs.
    """

    extra_tokens: int = 0


@dataclass(frozen=True, slots=True)
class _Record:
    """Something that was used and belongs on the books; doing it twice changes nothing.

    `ends_turn`: it was a response, so the next one is to be covered while the caller listens.
    """

    do: Callable[[], Awaitable[Any]]
    ends_turn: bool = False


@dataclass(frozen=True, slots=True)
class _Change:
    """From here on another model's prices hold; everything before it is on the books by then."""

    do: Callable[[], Awaitable[Any]]


_Job = Order | _Cover | _Record | _Change


class ResponseGate:
    """One a call. `tell` reaches the caller, `send` the upstream; nothing is asked for while the caller `is_away`."""

    def __init__(
        self,
        meter: Meter,
        state: ConversationState,
        *,
        model: str,
        wanted_output_tokens: int,
        tell: Send,
        send: Send,
        is_away: Callable[[], bool] = bool,
        generation: int = 0,
    ) -> None:
        self._is_away = is_away
        self._meter, self._state, self._model = meter, state, model
        self._wanted_output_tokens = wanted_output_tokens
        self._tell, self._send = tell, send
        self._jobs = Jobs[_Job](_JOBS_MAX)
        self._doing: list[_Job] = []
        self._wanted: Order | None = None
        self._unsent: Order | None = None
        self._has_warned = False
        self._is_held = False
        self._rung = 0
        self._generation = generation

    @property
    def is_asking(self) -> bool:
        """Whether a response waits to be paid for: the model has not been asked for it yet."""
        return self._unsent is not None

    @property
    def wants_response(self) -> bool:
        """Whether a response is to be asked for once the running one is over."""
        return self._wanted is not None

    def ask(self, instructions: str | None = None, *, extra_tokens: int = 0) -> None:
        """Ask for a response now, or as soon as the running one is done. Asked twice meanwhile, one is enough.

        `extra_tokens` are what the instructions say beyond those of the session.
        """
        self.place(Order(partial(_request, instructions), extra_tokens=extra_tokens))

    def place(self, order: Order) -> None:
        """Ask for what was ordered, when `ask` would."""
        if self._is_held or self._state.response is not Response.NONE or self._is_away():
            self._wanted = order
            return
        self._state.response_asked()
        self._unsent = order
        self._jobs.put(order)

    def withdraw(self, order: Order) -> bool:
        """Take back a response that is not asked for yet; False for one that is, which can only be cancelled."""
        if self._unsent is not order:
            return False
        order.is_withdrawn, self._unsent = True, None
        self._state.response_refused()
        return True

    def unask(self) -> None:
        """Forget a response that was wanted after the running one: the caller has gone on speaking."""
        self._wanted = None

    def hold(self) -> None:
        """Ask for nothing until `go_on`: there is no model. What was not asked for yet is taken back."""
        self._is_held = True
        if self._unsent is not None:
            self.withdraw(self._unsent)
        self._wanted = None

    def change_model(self, model: str, wanted_output_tokens: int, change_prices: Callable[[], Awaitable[Any]]) -> None:
        """Ask another model from now on, by its own prices."""
        self._model, self._wanted_output_tokens = model, wanted_output_tokens
        self._rung += 1
        self.change_prices(change_prices)

    def change_prices(self, change: Callable[[], Awaitable[Any]]) -> None:
        """Go on by other prices, once all that was used before is on the books."""
        self._jobs.put(_Change(change))

    def go_on(self) -> None:
        """There is a model to ask again: ask for what was wanted meanwhile."""
        self._is_held = False
        self.response_is_over()

    def response_is_over(self) -> None:
        """Ask for the response that was wanted meanwhile, if one was; also when the caller has come back."""
        if self._is_held:
            return
        if wanted := self._wanted:
            self._wanted = None
            self.place(wanted)

    def cover_listening(self, extra_tokens: int = 0) -> None:
        """See to it that writing down the next turn is paid for, where none is answered."""
        self._jobs.put(_Cover(extra_tokens))

    def record_response(self, response: Mapping[str, Any]) -> None:
        counted = {**response, "id": self._id_of(response.get("id"))}
        self._jobs.put(_Record(partial(self._meter.record_response, counted, self._model), ends_turn=True))

    def record_transcription(self, item_id: str, usage: Mapping[str, Any] | None, model: str) -> None:
        item_id = self._id_of(item_id)
        self._jobs.put(_Record(partial(self._meter.record_transcription, item_id, usage, model)))

    def record(self, do: Callable[[], Awaitable[Any]]) -> None:
        """Write down something else that must not be lost; doing it twice changes nothing."""
        self._jobs.put(_Record(do))

    def record_estimate(self) -> None:
        """Put the running response, whose usage will never come, on the books by what of it was delivered."""
        state = self._state
        if state.response is not Response.RUNNING:
            return
        delivered = {
            "context_tokens": state.context_tokens,
            "audio_bytes": state.response_audio_bytes,
            "text_chars": state.response_text_chars,
        }
        state.response = Response.NONE
        response_id = self._id_of(state.response_id)
        self._jobs.put(_Record(partial(self._meter.record_estimate, response_id, **delivered)))

    async def run(self) -> None:
        """Work until cancelled; raise OutOfCredit when the next response cannot be paid."""
        while True:
            self._doing = await self._jobs.take()
            records = [job for job in self._doing if isinstance(job, _Record)]
            if records:
                await self._record(records)
            self._doing = [job for job in self._doing if not isinstance(job, _Record)]
            for job in self._doing:
                match job:
                    case Order():
                        await self._cover_and_ask(job)
                    case _Change(do):
                        await _insist(do)
                    case _Cover(extra_tokens):
                        await self._allowance(partial(int, extra_tokens), output_tokens=0)
            if not self._doing and any(record.ends_turn for record in records):
                await self._cover_ahead()
            self._doing = []

    async def finish(self) -> None:
        """Record what is still open, the jobs that were cut short first. Nothing more is asked for.

        Raises what the first failed record did, once the others are on the books.
        """
        jobs = [*self._doing, *self._jobs.take_now()]
        outcomes = await _outcomes_of([job for job in jobs if isinstance(job, _Record)])
        if failures := [failure for failure in outcomes if isinstance(failure, Exception)]:
            raise failures[0]

    def _id_of(self, upstream_id: Any) -> Any:
        # Two upstreams may use the same ids, and each is counted once for all of a call, over all its processes.
        if not isinstance(upstream_id, str) or not upstream_id:
            return upstream_id
        if self._generation:
            return f"{self._generation}.{self._rung}/{upstream_id}"
        return f"{self._rung}/{upstream_id}" if self._rung else upstream_id

    async def _record(self, records: list[_Record]) -> None:
        # Together, so that the meter can put them on the books in one transaction.
        outcomes = await _outcomes_of(records)
        await self._tell(own_events.meter_changed(self._meter.used_micro))
        if failures := [failure for failure in outcomes if isinstance(failure, BaseException)]:
            raise failures[0]

    async def _cover_and_ask(self, order: Order) -> None:
        if not order.is_withdrawn:
            wanted_tokens = self._wanted_output_tokens if order.output_tokens is None else order.output_tokens
            allowance = await self._allowance(lambda: self._state.context_tokens + order.extra_tokens, wanted_tokens)
            if allowance.low and not self._has_warned:
                self._has_warned = True
                await self._tell(own_events.notice("low_credit", "The credits for this call are nearly used up."))
        if not order.is_withdrawn and self._is_away():
            self._put_off(order)
            return
        if not order.is_withdrawn:  # still
            self._unsent = None
            await self._send(order.frame(allowance.max_output_tokens))
        order.is_over.set()

    def _put_off(self, order: Order) -> None:
        """Ask when the caller is back, who went while it was paid for."""
        self._unsent = None
        self._state.response_refused()
        self._wanted = self._wanted or order

    async def _allowance(self, read_tokens: Callable[[], int], output_tokens: int) -> Allowance:
        """Cover the next response; where the wallet is being refilled just now, give that a moment first."""
        give_up_at: float | None = None
        while True:
            try:
                return await _insist(partial(self._meter.prepare_response, read_tokens(), output_tokens))
            except OutOfCredit as refused:
                if not refused.may_be_refilled or (give_up_at and time.monotonic() > give_up_at):
                    raise
            if give_up_at is None:
                give_up_at = time.monotonic() + _REFILL_WAIT_S
                await self._tell(own_events.working())
            await asyncio.sleep(_REFILL_LOOK_EVERY_S)

    async def _cover_ahead(self) -> None:
        # Done while the caller listens and speaks, so that asking finds the hold in place. Failing here means nothing
        # yet: the caller may hang up first, and the real request is refused in its turn.
        context_tokens = self._state.context_tokens + _NEXT_TURN_TOKENS
        try:
            await self._meter.prepare_response(context_tokens, self._wanted_output_tokens)
        except (OutOfCredit, OperationalError):
            log.info("next response not covered ahead")


def _request(instructions: str | None, max_output_tokens: int) -> bytes:
    return realtime_events.response_create(max_output_tokens=max_output_tokens, instructions=instructions)


async def _insist(do: Callable[[], Awaitable[T]]) -> T:
    """Do something with the ledger although it may be away for a moment: done twice, it changes nothing."""
    for pause_s in _RETRY_PAUSES_S:
        try:
            return await do()
        except OperationalError:
            log.warning("ledger out of reach, trying again", pause_s=pause_s)
            await asyncio.sleep(pause_s)
    return await do()


async def _outcomes_of(records: list[_Record]) -> list[Any]:
    # One that cannot be recorded (no rate, say) must not take the others with it.
    return await asyncio.gather(*(_insist(record.do) for record in records), return_exceptions=True)
