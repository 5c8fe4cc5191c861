"""The gate every response passes: its worst case is held before it is asked for, its cost recorded when it is done.

Jobs run one after another on one task, off the audio path, so that a response is asked for only when everything before
it is on the books. A slow database delays the next answer; it never delays audio.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any

import structlog

from voice import realtime_events
from voice.metering.meter import Meter, OutOfCredit
from voice.sessions import own_events
from voice.sessions.state import ConversationState, Response

log = structlog.get_logger(__name__)

# More jobs than this are never open in a call that is served at all: a response at a time, a transcription a turn.
_JOBS_MAX = 256
# Room for what a caller may say before the next response, so that its hold is in place before they have said it.
_NEXT_TURN_TOKENS = 600

Send = Callable[[bytes], Awaitable[None]]
Job = Callable[[], Awaitable[None]]


class ResponseGate:
    """One a call. `tell` reaches the caller, `send` the upstream."""

    def __init__(
        self,
        meter: Meter,
        state: ConversationState,
        *,
        model: str,
        wanted_output_tokens: int,
        tell: Send,
        send: Send,
    ) -> None:
        self._meter, self._state, self._model = meter, state, model
        self._wanted_output_tokens = wanted_output_tokens
        self._tell, self._send = tell, send
        self._jobs: asyncio.Queue[Job] = asyncio.Queue(_JOBS_MAX)
        self._wanted: str | None = None
        self._is_wanted = False
        self._has_warned = False

    def ask(self, instructions: str | None = None) -> None:
        """Ask for a response now, or as soon as the running one is done. Asked twice meanwhile, one is enough."""
        if self._state.response is not Response.NONE:
            self._is_wanted, self._wanted = True, instructions
            return
        self._state.response_asked()
        self._add(partial(self._cover_and_ask, instructions))

    def unask(self) -> None:
        """Forget a response that was wanted after the running one: the caller has gone on speaking."""
        self._is_wanted = False

    def response_is_over(self) -> None:
        """Ask for the response that was wanted meanwhile, if one was."""
        if self._is_wanted:
            self._is_wanted = False
            self.ask(self._wanted)

    def record_response(self, response: Mapping[str, Any]) -> None:
        self._add(partial(self._record_response, response))

    def record_transcription(self, item_id: str, usage: Mapping[str, Any] | None, model: str) -> None:
        self._add(partial(self._record_transcription, item_id, usage, model))

    def record_estimate(self) -> None:
        """Put the running response, whose usage will never come, on the books by what of it was delivered."""
        state = self._state
        if state.response is not Response.RUNNING:
            return
        job = partial(
            self._meter.record_estimate,
            state.response_id,
            context_tokens=state.context_tokens,
            audio_bytes=state.response_audio_bytes,
            text_chars=state.response_text_chars,
        )
        state.response = Response.NONE
        self._add(partial(_drop_result, job))

    async def run(self) -> None:
        """Work until cancelled; raise OutOfCredit when the next response cannot be paid."""
        while True:
            job = await self._jobs.get()
            try:
                await job()
            finally:
                self._jobs.task_done()

    async def finish(self) -> None:
        """Record what is still open. Nothing more is asked for."""
        while not self._jobs.empty():
            job = self._jobs.get_nowait()
            if getattr(job, "func", None) != self._cover_and_ask:
                await job()

    def _add(self, job: Job) -> None:
        self._jobs.put_nowait(job)

    async def _cover_and_ask(self, instructions: str | None) -> None:
        allowance = await self._meter.prepare_response(self._state.context_tokens, self._wanted_output_tokens)
        if allowance.low and not self._has_warned:
            self._has_warned = True
            await self._tell(own_events.notice("low_credit", "The credits for this call are nearly used up."))
        await self._send(
            realtime_events.response_create(max_output_tokens=allowance.max_output_tokens, instructions=instructions)
        )

    async def _record_response(self, response: Mapping[str, Any]) -> None:
        await self._meter.record_response(response, self._model)
        await self._tell(own_events.meter_changed(self._meter.used_micro))
        await self._cover_ahead()

    async def _record_transcription(self, item_id: str, usage: Mapping[str, Any] | None, model: str) -> None:
        await self._meter.record_transcription(item_id, usage or {}, model)
        await self._tell(own_events.meter_changed(self._meter.used_micro))

    async def _cover_ahead(self) -> None:
        # Done while the caller listens and speaks, so that asking finds the hold in place. Failing here means nothing
        # yet: the caller may hang up first, and the real request is refused in its turn.
        try:
            await self._meter.prepare_response(
                self._state.context_tokens + _NEXT_TURN_TOKENS, self._wanted_output_tokens
            )
        except OutOfCredit:
            log.info("next response not covered ahead")


async def _drop_result(job: Callable[[], Awaitable[Any]]) -> None:
    await job()
