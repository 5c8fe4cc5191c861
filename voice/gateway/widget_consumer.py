"""The widget's websocket: a ticket opens it, a conversation fills it, a receipt closes it.

A conversation outlives its websocket: another one goes on with it, by its resume token (resuming.py).
"""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID

import structlog
from channels.consumer import AsyncConsumer
from django.conf import settings
from django.db import OperationalError

from config import stopping
from voice.admission import ip_limits, origins, tickets
from voice.admission.rating_token import rating_token
from voice.admission.refusals import Refusal
from voice.gateway import resuming, widget_protocol
from voice.gateway.close_codes import Closing, closing_for
from voice.gateway.realtime_handshake import Handshake, forget_headers, read_handshake
from voice.gateway.resume_tokens import ResumeToken, new_token, read_token
from voice.gateway.resuming import ResumableCall
from voice.gateway.sockets import Receive, Send, past_asgi
from voice.gateway.widget_caller import WidgetCaller
from voice.gateway.widget_connection import WidgetConnection
from voice.gateway.widget_protocol import SUBPROTOCOL, InvalidMessage, serialise
from voice.metering.executor import in_ledger_thread
from voice.metering.settlement import settle_session
from voice.models import EndReason
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.caller import CallerGone, Played
from voice.sessions.runner import Ended
from voice.sessions.takeover import parked
from voice.sessions.takeover.memory import HandedOver
from voice.sessions.takeover.taking_over import EndedMeanwhile, NotHeldOver
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_START_S = 5.0
_SERVICE_RESTART = 1012
_GOODBYE_S = 5.0
_CLOSE_AFTER_ENDING = {EndReason.PROTOCOL_ERROR, EndReason.CONNECTION_TOO_SLOW, EndReason.INTERNAL_ERROR}


class Refused(Exception):
    """The socket is closed with a stable word before a conversation begins."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class _GoElsewhere(Exception):
    """This process stops: whoever connects again at once finds another one, which goes on where this one was."""


class WidgetConsumer(AsyncConsumer):
    """Takes over `receive` and `send` from Channels: fifty frames a second each way are too many to dispatch."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        if SUBPROTOCOL not in scope.get("subprotocols", []):
            await send({"type": "websocket.close"})
            return
        await send({"type": "websocket.accept", "subprotocol": SUBPROTOCOL})
        try:
            await _serve(scope, receive, send)
        except Refused as refused:
            await _close(send, closing_for(refused.code))
        except _GoElsewhere:
            with contextlib.suppress(OSError, RuntimeError):
                await send({"type": "websocket.close", "code": _SERVICE_RESTART})
        except (CallerGone, OSError):
            pass
        except Exception:
            log.exception("widget socket failed")
            await _close(send, closing_for("internal_error"))


async def _serve(scope: Any, receive: Receive, send: Send) -> None:
    connection = WidgetConnection(receive, send, past_asgi(scope))
    page, host = read_handshake(scope), _header(scope, b"host")
    forget_headers(scope)
    first = await _first_message(receive)
    if stopping.is_stopping():
        raise _GoElsewhere
    if first["type"] == "session.resume":
        token = await _token_of(first, page)
        resumable = resuming.find(token)
        if resumable is None:
            try:
                resumable = await _take_over(token, first, connection)
            except EndedMeanwhile as meanwhile:
                await _say_goodbye(send, token.session_id, meanwhile.ended)
                return
            await _care_for(resumable, connection, send, resumable.taken)
        elif resumable.is_ending:
            await _say_how_it_ended(resumable, send)
        else:
            _take(resumable)
            await _care_for(resumable, connection, send, resumable.taken, first)
    else:
        resumable = await _begin(first, page, host, connection)
        await _care_for(resumable, connection, send, resumable.taken)


async def _first_message(receive: Receive) -> dict[str, Any]:
    """Return the message that begins or resumes a call; raise Refused or CallerGone."""
    try:
        async with asyncio.timeout(_START_S):
            message = await receive()
    except TimeoutError:
        raise Refused("start_timeout") from None
    if message["type"] == "websocket.disconnect":
        raise CallerGone
    try:
        first = widget_protocol.parse(message.get("text") or "")
    except InvalidMessage as error:
        raise Refused(error.code) from None
    if first["type"] not in ("session.start", "session.resume"):
        raise Refused("invalid_message")
    return first


# A new call.


async def _begin(start: Mapping[str, Any], page: Handshake, host: str, connection: WidgetConnection) -> ResumableCall:
    call = await in_ledger_thread(_redeem, start["ticket"], page.origin, host)
    caller = WidgetCaller(
        connection,
        is_voice=call.is_voice,
        captions=call.captions,
        model=call.model_served,
        resume_within_s=settings.RESUME_WITHIN_S,
    )
    token = new_token(call.session_id, page.origin)
    # A browser that has gone already is found out by the call, which has begun and must be settled.
    await connection.put_text(_started(call, token.text))
    return resuming.begin(token, call, caller)


def _redeem(ticket: str, origin: str, host: str) -> Call:
    try:
        session_id: UUID = tickets.redeem(ticket)
        if not origins.may_connect(session_id, origin, host):
            # Its ticket is used up, so nobody can begin it any more.
            settle_session(session_id)
            records.end(session_id, EndReason.PROTOCOL_ERROR)
            raise Refused("origin_not_allowed")
        call = records.begin(session_id)
    except (tickets.TicketInvalid, records.SessionNotOpen):
        raise Refused("invalid_ticket") from None
    parked.end_waiting_calls_of_visitor(session_id)
    return call


# A call that is resumed.


async def _token_of(resume: Mapping[str, Any], page: Handshake) -> ResumeToken:
    token = read_token(resume["resume_token"])
    if token is None:
        await in_ledger_thread(_count_wrong_resume, page.client_ip)
        raise Refused("resume_too_late")
    if not token.is_of(page.origin):
        raise Refused("origin_not_allowed")
    return token


def _take(resumable: ResumableCall) -> None:
    """Take a call of this process out of the care of the connection before; raise Refused."""
    if resumable.is_too_late:
        raise Refused("resume_too_late")
    resumable.take()


async def _take_over(token: ResumeToken, resume: Mapping[str, Any], connection: WidgetConnection) -> ResumableCall:
    """Go on with a call of another process; raise Refused or EndedMeanwhile."""
    try:
        resumable = await resuming.take_over(token, connection, resume)
    except NotHeldOver:
        raise Refused("resume_too_late") from None
    log.info("call taken over", session_id=str(token.session_id), generation=resumable.call.generation)
    await _note(parked.note_back, token.session_id)
    return resumable


def _count_wrong_resume(client_ip: str) -> None:
    try:
        ip_limits.count_wrong_resume(client_ip)
    except Refusal:
        raise Refused("too_many_resumes") from None


async def _go_on(resumable: ResumableCall, connection: WidgetConnection, resume: Mapping[str, Any]) -> None:
    at = Played(resume["item_id"], resume["played_ms"], resume["received_bytes"])
    session_id = resumable.call.session_id
    resumed = serialise("session.resumed", session_id=str(session_id), **resumable.caller.now)
    if await resumable.caller.resume(connection, resumed, resume["received_messages"], at):
        log.info("call resumed", session_id=str(session_id), resumes=resumable.resumes)
        await _note(parked.note_back, session_id)


# Either.


async def _care_for(
    resumable: ResumableCall,
    connection: WidgetConnection,
    send: Send,
    taken: asyncio.Future[None],
    resume: Mapping[str, Any] | None = None,
) -> None:
    """Stay with a call until it is over or another connection has taken it, and say so.

    A server that stops cancels what its connections run: the call that one of them cares for ends with it, settled.
    """
    conversation = resumable.conversation
    try:
        if resume is not None:
            await _go_on(resumable, connection, resume)
        await _first_of(conversation, taken, resumable.caller.lost)
        if not conversation.done() and not taken.done():
            await _note(parked.note_away, resumable.call.session_id)
            await _first_of(conversation, taken)
    except asyncio.CancelledError:
        if not taken.done():
            conversation.cancel()
            await asyncio.wait({conversation})
        raise
    if taken.done():
        raise Refused("resumed_elsewhere")
    ended = _result_of(conversation)
    if not connection.is_deaf:
        await _say_goodbye(send, resumable.call.session_id, ended)


async def _say_how_it_ended(resumable: ResumableCall, send: Send) -> None:
    """Tell a browser that came back for a call that is over, or is being settled because nobody came in time."""
    await _first_of(resumable.conversation)
    await _say_goodbye(send, resumable.call.session_id, _result_of(resumable.conversation))


def _result_of(conversation: asyncio.Task[Ended]) -> Ended:
    try:
        return conversation.result()
    except UpstreamError:
        raise Refused("upstream_unavailable") from None
    except HandedOver as handed_over:
        if handed_over.is_taken:
            raise Refused("resumed_elsewhere") from None
        raise _GoElsewhere from None


async def _first_of(*what: asyncio.Future[Any]) -> None:
    """Return once one of these is done, without a look at how; cancelling this cancels none of them."""
    await asyncio.wait(what, return_when=asyncio.FIRST_COMPLETED)


async def _note(write: Callable[[UUID], None], session_id: UUID) -> None:
    """Write down what only other processes need to know: a database that is away does not end a call."""
    try:
        await in_ledger_thread(write, session_id)
    except OperationalError:
        log.warning("a caller's absence not written down", session_id=str(session_id))


async def _say_goodbye(send: Send, session_id: UUID, ended: Ended) -> None:
    if ended.reason in _CLOSE_AFTER_ENDING:
        await _close(send, closing_for(ended.code or str(ended.reason.value)))
        return
    with contextlib.suppress(OSError, RuntimeError):  # the browser may have gone while the call was settled
        await send({"type": "websocket.send", "text": _ended(session_id, ended)})
        await send({"type": "websocket.close", "code": 1000})


async def _close(send: Send, closing: Closing) -> None:
    try:
        text = serialise("error", code=closing.code, message=closing.message, fatal=True)
        # Whose network is gone takes nothing more.
        async with asyncio.timeout(_GOODBYE_S):
            await send({"type": "websocket.send", "text": text})
            await send({"type": "websocket.close", "code": closing.close_code})
    except (OSError, RuntimeError):
        log.debug("the browser was gone before it could be told", code=closing.code)


def _started(call: Call, resume_token: str) -> str:
    return serialise(
        "session.started",
        version=widget_protocol.VERSION,
        session_id=str(call.session_id),
        agent_name=call.agent_name,
        model_asked=call.model_asked,
        model_served=call.model_served,
        voice=call.is_voice,
        max_duration_ms=call.max_duration_s * 1000,
        shows_prices=call.shows_prices,
        resume_token=resume_token,
        resume_within_ms=settings.RESUME_WITHIN_S * 1000,
    )


def _ended(session_id: UUID, ended: Ended) -> str:
    return serialise(
        "session.ended",
        reason=str(ended.reason.value),
        outcome=str(ended.outcome.value),
        duration_ms=ended.duration_ms,
        receipt=ended.receipt.as_dict(),
        rating_token=rating_token(session_id),
    )


def _header(scope: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
