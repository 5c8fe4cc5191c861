"""One call from its redeemed ticket to its receipt. Read it from top to bottom: this is the order things happen in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn, Protocol
from uuid import UUID

import structlog

from config import stopping
from voice.metering.executor import in_ledger_thread
from voice.metering.meter import Meter, OutOfCredit, Receipt
from voice.metering.settlement import settle_session
from voice.models import EndReason, Outcome
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.caller import Caller, CallerBrokeProtocol, CallerGone, ServerStopping
from voice.sessions.fallback.ladder import Ladder
from voice.sessions.fallback.rungs import enter_rungs
from voice.sessions.gate import ResponseGate
from voice.sessions.orders import alive
from voice.sessions.orders.listening import orders_for
from voice.sessions.prompt import instructions_of
from voice.sessions.relay import Relay
from voice.sessions.state import ConversationState, tokens_at_most
from voice.sessions.stop import Stop
from voice.sessions.takeover.handover import Handover
from voice.sessions.takeover.memory import Before, HandedOver
from voice.sessions.turns import Turns
from voice.transcripts import store
from voice.transcripts.recorder import TurnText
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_CLOSING_S_MAX = 10.0
_CANCEL_AGAIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Ended:
    """How a call ended. `code` is the protocol's word when the caller's side broke it, else empty."""

    reason: EndReason
    outcome: Outcome
    duration_ms: int
    receipt: Receipt
    code: str = ""


class Conversation(Protocol):
    """What goes on between a caller and a model, whichever door the caller came in by."""

    began_at: float
    state: ConversationState
    turns: Turns
    gate: ResponseGate

    @property
    def completed_task(self) -> str: ...

    async def open(self) -> None: ...
    async def follow_caller(self) -> Stop: ...
    async def follow_upstream(self) -> Stop | None: ...
    async def follow_clock(self) -> Stop: ...
    async def close(self) -> None: ...
    async def hang_up(self) -> None: ...
    def words(self) -> Sequence[TurnText]: ...


@dataclass(frozen=True, slots=True)
class Reached:
    """A call with the model that answered, which need not be the first one, and the connection to it."""

    call: Call
    upstream: Upstream
    ladder: Ladder


Opens = Callable[[Reached, Meter], Conversation]


async def run_call(call: Call, caller: Caller, handover: Handover | None = None) -> Ended:
    """Hold a caller's conversation with an assistant of ours, as `hold_conversation` does."""

    def opens(reached: Reached, meter: Meter) -> Relay:
        before = handover.before if handover else None
        return Relay(reached.call, caller, reached.upstream, meter, _keep_fields, ladder=reached.ladder, before=before)

    return await hold_conversation(call, opens, may_change_model=True, handover=handover)


async def hold_conversation(
    call: Call, opens: Opens, *, may_change_model: bool = False, handover: Handover | None = None
) -> Ended:
    """Hold the conversation of a session that has begun, or that this process has taken over; settle it in the end.

    `may_change_model`: whatever stands in for the call's model will do, down to one that is only written to.
    `handover`: another process may go on with it. Raises HandedOver, with nothing settled, when one does or is to.
    Raises UpstreamError when no model could be reached for a call that begins: nothing is charged for it.
    """
    structlog.contextvars.bind_contextvars(session_id=str(call.session_id), organisation_id=str(call.organisation_id))
    before = handover.before if handover else None
    ladder = Ladder(call, is_climbed=may_change_model, before=before)
    try:
        meter = await Meter.open(call.session_id)
        reached = await _reach(call, ladder, meter, before)
    except BaseException as error:
        ended = await asyncio.shield(_settle(call, ladder, _why_not_begun(error), before=before))
        if handover is None or before is None or not isinstance(error, UpstreamError):
            raise
        # What another process held of it was paid for: its caller is told how it ended, and what it cost.
        await handover.forget()
        return ended
    relay = opens(reached, meter)
    reason, code = EndReason.SHUTTING_DOWN, ""  # what it is when this task is cancelled from outside
    try:
        reason, code = await _converse(call, relay, handover)
    except HandedOver as handed_over:
        await asyncio.shield(_let_go(call, relay, handover, is_taken=handed_over.is_taken))
        raise
    except BaseException:
        await asyncio.shield(_close(reached, relay, reason, code))
        raise
    ended = await asyncio.shield(_close(reached, relay, reason, code))
    if handover:
        await handover.forget()
    return ended


async def _reach(call: Call, ladder: Ladder, meter: Meter, before: Before | None) -> Reached:
    """Dial the call's model, or what stands in for it; by the meter, nothing was used of it yet."""
    served, upstream = await ladder.start(call, partial(_refuse_unpayable, meter))
    if served is call and before is None:
        return Reached(call, upstream, ladder)
    try:
        ladder.rungs.ready(owes_words=before is None or before.is_owed)
        await in_ledger_thread(enter_rungs, call.session_id, ladder.rungs.rows(), served.model_reason)
        await meter.change_model(served.model_served, is_voice=served.is_voice)
    except BaseException:
        await upstream.close()
        raise
    return Reached(served, upstream, ladder)


async def _refuse_unpayable(meter: Meter, call: Call) -> None:
    await meter.refuse_unpayable(
        call.model_served,
        is_voice=call.is_voice,
        context_tokens=tokens_at_most(instructions_of(call)),
        wanted_output_tokens=call.max_output_tokens,
    )


async def _keep_fields(session_id: UUID, call_id: str, task_name: str, fields: Mapping[str, str]) -> None:
    await in_ledger_thread(store.save_fields, session_id, call_id, task_name, fields)


def _why_not_begun(error: BaseException) -> EndReason:
    if isinstance(error, UpstreamError):
        return EndReason.UPSTREAM_FAILED
    return EndReason.SHUTTING_DOWN if isinstance(error, asyncio.CancelledError) else EndReason.INTERNAL_ERROR


async def _converse(call: Call, relay: Conversation, handover: Handover | None) -> tuple[EndReason, str]:
    """Run everything that goes on in a live call until the first part of it comes to an end; say why it did.

    Raises HandedOver when the call does not end with it.
    """
    try:
        async with orders_for(call, relay) as ended:
            await relay.open()
            with alive.watched(call, ended):
                result = await _first_of(
                    relay.follow_caller(),
                    relay.follow_upstream(),
                    relay.follow_clock(),
                    relay.gate.run(),
                    ended,
                    _until_stopped(handover),
                    *([handover.follow(relay.memory)] if handover and isinstance(relay, Relay) else []),
                )
    except HandedOver:
        raise
    except OutOfCredit:
        return EndReason.OUT_OF_CREDIT, ""
    except UpstreamError as error:
        log.warning("upstream failed", code=error.code)
        return EndReason.UPSTREAM_FAILED, error.code
    except ServerStopping:
        if handover:
            raise HandedOver(is_taken=False) from None
        return EndReason.SHUTTING_DOWN, ""
    except CallerGone:
        return EndReason.CALLER_DISCONNECTED, ""
    except CallerBrokeProtocol as error:
        return EndReason.PROTOCOL_ERROR, error.code
    except Exception:
        # The one place where a fault of ours is caught: the call is settled and the caller told, and we read of it.
        log.exception("call failed")
        return EndReason.INTERNAL_ERROR, ""
    return EndReason(result.value) if isinstance(result, Stop) else result, ""


async def _until_stopped(handover: Handover | None) -> NoReturn:
    """Raise ServerStopping when this process stops: at once where the call can go on elsewhere, else in time."""
    await (stopping.begun() if handover else stopping.out_of_time())
    raise ServerStopping


async def _let_go(call: Call, relay: Conversation, handover: Handover | None, *, is_taken: bool) -> None:
    """Leave the call to another process, with all it needs; what was used here is on the books by then."""
    if handover and isinstance(relay, Relay):
        await handover.leave(relay.memory())
        try:
            async with asyncio.timeout(_CLOSING_S_MAX):
                await relay.let_go()
        except Exception:
            log.exception("last usage not recorded")
    await relay.hang_up()
    if not is_taken:
        await in_ledger_thread(records.let_go, call, relay.turns.all(), relay.words())
    log.info("call let go", is_taken=is_taken)


async def _first_of(*parts: Awaitable[Any]) -> Any:
    """Return the result of the first part to end, or raise its exception; the others are cancelled.

    Of parts that end together the first named counts: when a caller leaves, what fails is failing because of it.
    """
    tasks = [asyncio.ensure_future(part) for part in parts]
    # As asyncio.wait does, without a kilobyte that every call would keep for as long as it lasts.
    one_is_done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    tell = partial(_tell, one_is_done)
    for task in tasks:
        task.add_done_callback(tell)
    try:
        await one_is_done
        return next(task for task in tasks if task.done()).result()
    finally:
        for task in tasks:
            task.cancel()
        insisting = asyncio.create_task(_cancel_again_and_again(tasks))
        try:
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            insisting.cancel()


def _tell(one_is_done: "asyncio.Future[None]", _: object) -> None:
    if not one_is_done.done():
        one_is_done.set_result(None)


async def _cancel_again_and_again(tasks: Sequence[asyncio.Future[Any]]) -> NoReturn:
    """Cancel what has not heard of it: before Python 3.12 `asyncio.wait_for`, which libraries use, may swallow that."""
    while True:
        await asyncio.sleep(_CANCEL_AGAIN_S)
        for task in tasks:
            task.cancel()


async def _close(reached: Reached, relay: Conversation, reason: EndReason, code: str) -> Ended:
    try:
        async with asyncio.timeout(_CLOSING_S_MAX):
            await relay.close()
    except Exception:
        log.exception("last usage not recorded")
    await relay.hang_up()
    if reason is EndReason.UPSTREAM_FAILED:
        await reached.ladder.lost(reached.call, code)
    return await _settle(reached.call, reached.ladder, reason, relay, code)


async def _settle(
    call: Call,
    ladder: Ladder,
    reason: EndReason,
    relay: Conversation | None = None,
    code: str = "",
    before: Before | None = None,
) -> Ended:
    """Settle and end a call, unless another process has it: then raise HandedOver."""
    if not await in_ledger_thread(records.claim_end, call):
        raise HandedOver(is_taken=True)
    receipt = await in_ledger_thread(settle_session, call.session_id)
    elapsed_s = time.monotonic() - relay.began_at if relay else before.elapsed_s if before else 0.0
    duration_ms = round(elapsed_s * 1000)
    outcome = await in_ledger_thread(
        records.end,
        call.session_id,
        reason,
        duration_ms=duration_ms,
        task_completed=relay.completed_task if relay else "",
        was_answered=bool(relay and relay.state.caller_was_answered),
        turns=relay.turns.all() if relay else before.turns if before else (),
        words=relay.words() if relay else (),
        rungs=ladder.rungs.rows(relay.turns.all() if relay else ()),
    )
    return Ended(reason, outcome, duration_ms, receipt, code)
