"""One call from its redeemed ticket to its receipt. Read it from top to bottom: this is the order things happen in."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
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
from voice.sessions.caller import Caller, CallerBrokeProtocol, CallerGone, CallerHungUp, ServerStopping, Waiting
from voice.sessions.fallback.ladder import Ladder
from voice.sessions.fallback.rungs import enter_rungs
from voice.sessions.gate import ResponseGate
from voice.sessions.orders import alive
from voice.sessions.orders.listening import Orders, orders_for
from voice.sessions.prompt import instructions_of
from voice.sessions.relay import Relay
from voice.sessions.state import ConversationState, tokens_at_most
from voice.sessions.stop import Stop
from voice.sessions.takeover.handover import Handover
from voice.sessions.takeover.memory import Before, HandedOver, Memory
from voice.sessions.turns import Turns, TurnTimes
from voice.sessions.words import Words
from voice.transcripts import store
from voice.transcripts.recorder import TurnText
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_CLOSING_S_MAX = 10.0
_CANCEL_AGAIN_S = 1.0


class _Ordered(Exception):
    """Somebody outside has decided, before there is a model, that the call must end."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__(reason)
        self.reason = reason


# What ends a call before there is a model and is nobody's failure.
_NOT_WANTED = (CallerHungUp, CallerGone, CallerBrokeProtocol, _Ordered)


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


@dataclass(frozen=True, slots=True)
class _Kept:
    """What is written down of a call at its end, beside how it ended."""

    elapsed_s: float = 0.0
    task_completed: str = ""
    was_answered: bool = False
    turns: Sequence[TurnTimes] = ()
    words: Sequence[TurnText] = ()


Opens = Callable[[Reached, Meter], Conversation]


async def run_call(call: Call, caller: Caller, handover: Handover | None = None) -> Ended:
    """Hold a caller's conversation with an assistant of ours, as `hold_conversation` does."""

    def opens(reached: Reached, meter: Meter) -> Relay:
        before = handover.before if handover else None
        return Relay(reached.call, caller, reached.upstream, meter, _keep_fields, ladder=reached.ladder, before=before)

    return await hold_conversation(call, caller, opens, may_change_model=True, handover=handover)


async def hold_conversation(
    call: Call, waiting: Waiting, opens: Opens, *, may_change_model: bool = False, handover: Handover | None = None
) -> Ended:
    """Hold the conversation of a session that has begun, or that this process has taken over; settle it in the end.

    `waiting` is its caller, who may leave before it `opens`, or be ordered to: then nothing is asked of a model.
    `may_change_model`: whatever stands in for the call's model will do, down to one that is only written to.
    `handover`: another process may go on with it. Raises HandedOver, with nothing settled, when one does or is to.
    Raises UpstreamError when no model could be reached for a call that begins: nothing is charged for it.
    """
    structlog.contextvars.bind_contextvars(session_id=str(call.session_id), organisation_id=str(call.organisation_id))
    before = handover.before if handover else None
    ladder = Ladder(call, is_climbed=may_change_model, before=before)
    async with orders_for(call) as orders:
        with alive.watched(call, orders.ended):
            return await _hold(call, waiting, opens, ladder, orders, handover)


async def _hold(
    call: Call, waiting: Waiting, opens: Opens, ladder: Ladder, orders: Orders, handover: Handover | None
) -> Ended:
    try:
        meter = await Meter.open(call.session_id)
        reached = await _reach(call, waiting, orders, ladder, meter, handover.before if handover else None)
    except BaseException as error:
        return await _end_unreached(call, ladder, error, handover)
    relay = opens(reached, meter)
    reason, code = EndReason.SHUTTING_DOWN, ""  # what it is when this task is cancelled from outside
    try:
        reason, code = await _converse(relay, orders, handover)
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


async def _reach(
    call: Call, waiting: Waiting, orders: Orders, ladder: Ladder, meter: Meter, before: Before | None
) -> Reached:
    """Dial the call's model, or what stands in for it; by the meter, nothing was used of it yet.

    Raises how the caller left, if they did meanwhile, or _Ordered or HandedOver.
    """
    served, upstream = await _while_wanted(waiting, orders, ladder.start(call, partial(_refuse_unpayable, meter)))
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


async def _while_wanted(
    waiting: Waiting, orders: Orders, dialling: Coroutine[Any, Any, tuple[Call, Upstream]]
) -> tuple[Call, Upstream]:
    """Return what is reached while the caller waits for it, and may; after that nothing is dialled any more."""
    dials = asyncio.ensure_future(dialling)
    try:
        reached: tuple[Call, Upstream] = await _first_of(waiting.until_gone(), _until_ordered(orders), dials)
    except BaseException:
        if dials.done() and not dials.cancelled() and dials.exception() is None:
            # It was reached in the same moment.
            await dials.result()[1].close()
        raise
    return reached


async def _until_ordered(orders: Orders) -> NoReturn:
    # Shielded: the conversation listens to the same orders.
    raise _Ordered(await asyncio.shield(orders.ended))


async def _end_unreached(call: Call, ladder: Ladder, error: BaseException, handover: Handover | None) -> Ended:
    """End a call that no model was reached for, because of `error`, which is raised where nobody is told a receipt."""
    before = handover.before if handover else None
    if handover and isinstance(error, ServerStopping | HandedOver):
        is_taken = isinstance(error, HandedOver)
        await asyncio.shield(_let_go_unreached(call, handover, is_taken=is_taken))
        raise HandedOver(is_taken=is_taken) from None
    reason, code = _why_not_reached(error)
    ended = await asyncio.shield(_settle(call, ladder, reason, _kept_before(call, before), code))
    if isinstance(error, _NOT_WANTED):
        await ladder.report()
    elif before is None or not isinstance(error, UpstreamError):
        raise error
    # Else what another process held of it was paid for.
    if handover:
        await handover.forget()
    return ended


async def _let_go_unreached(call: Call, handover: Handover, *, is_taken: bool) -> None:
    if handover.before is None:
        # Or else whoever comes next would have to believe that it has forgotten what was said.
        await handover.leave(Memory(is_voice=call.is_voice, is_owed=True))
    if not is_taken:
        kept = _kept_before(call, handover.before)
        await in_ledger_thread(records.let_go, call, kept.turns, kept.words)
    log.info("call let go", is_taken=is_taken)


def _kept_before(call: Call, before: Before | None) -> _Kept:
    if before is None:
        return _Kept()
    memory, words = before.memory, Words(are_kept=call.records_words, recorded=before.words)
    return _Kept(
        elapsed_s=before.elapsed_s,
        task_completed=memory.completed_task if memory else "",
        was_answered=bool(memory and memory.was_answered),
        turns=before.turns,
        words=words.of(before.turns),
    )


def _why_not_reached(error: BaseException) -> tuple[EndReason, str]:
    match error:
        case _Ordered():
            return error.reason, ""
        case CallerHungUp():
            return EndReason.CALLER_HUNG_UP, ""
        case CallerBrokeProtocol():
            return EndReason.PROTOCOL_ERROR, error.code
        case ServerStopping() | asyncio.CancelledError():
            return EndReason.SHUTTING_DOWN, ""
        case CallerGone():
            return EndReason.CALLER_DISCONNECTED, ""
        case UpstreamError():
            return EndReason.UPSTREAM_FAILED, ""
    return EndReason.INTERNAL_ERROR, ""


async def _converse(relay: Conversation, orders: Orders, handover: Handover | None) -> tuple[EndReason, str]:
    """Run everything that goes on in a live call until the first part of it comes to an end; say why it did.

    Raises HandedOver when the call does not end with it.
    """
    orders.conversation = relay
    try:
        await orders.are_heard()
        if not orders.are_to_end:
            await relay.open()
        result = await _first_of(
            _follow_caller(relay),
            relay.follow_upstream(),
            relay.follow_clock(),
            relay.gate.run(),
            orders.ended,
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


async def _follow_caller(relay: Conversation) -> Stop:
    """Do as `follow_caller` does; whoever has left is asked nothing for, not in the very same moment either."""
    try:
        stop = await relay.follow_caller()
    except ServerStopping:
        raise  # the call may go on elsewhere, and owes what it owed
    except (CallerGone, CallerBrokeProtocol):
        relay.gate.hold()
        raise
    relay.gate.hold()
    return stop


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
    return await _settle(reached.call, reached.ladder, reason, _kept_of(relay), code)


def _kept_of(relay: Conversation) -> _Kept:
    return _Kept(
        elapsed_s=time.monotonic() - relay.began_at,
        task_completed=relay.completed_task,
        was_answered=relay.state.caller_was_answered,
        turns=relay.turns.all(),
        words=relay.words(),
    )


async def _settle(call: Call, ladder: Ladder, reason: EndReason, kept: _Kept, code: str = "") -> Ended:
    """Settle and end a call, unless another process has it: then raise HandedOver."""
    if not await in_ledger_thread(records.claim_end, call):
        raise HandedOver(is_taken=True)
    receipt = await in_ledger_thread(settle_session, call.session_id)
    duration_ms = round(kept.elapsed_s * 1000)
    outcome = await in_ledger_thread(
        records.end,
        call.session_id,
        reason,
        duration_ms=duration_ms,
        task_completed=kept.task_completed,
        was_answered=kept.was_answered,
        turns=kept.turns,
        words=kept.words,
        rungs=ladder.rungs.rows(kept.turns),
    )
    return Ended(reason, outcome, duration_ms, receipt, code)
