"""The widget's websocket: a ticket opens it, a conversation fills it, a receipt closes it."""

import asyncio
import contextlib
from typing import Any
from uuid import UUID

import structlog
from channels.consumer import AsyncConsumer

from voice.admission import origins, tickets
from voice.admission.rating_token import rating_token
from voice.gateway import widget_protocol
from voice.gateway.close_codes import Closing, closing_for
from voice.gateway.widget_caller import Receive, Send, WidgetCaller
from voice.gateway.widget_protocol import SUBPROTOCOL, InvalidMessage, serialise
from voice.metering.executor import in_ledger_thread
from voice.metering.settlement import settle_session
from voice.models import EndReason
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.caller import CallerGone
from voice.sessions.runner import Ended, run_call
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_START_S = 5.0
_CLOSE_AFTER_ENDING = {EndReason.PROTOCOL_ERROR, EndReason.CONNECTION_TOO_SLOW, EndReason.INTERNAL_ERROR}


class Refused(Exception):
    """The socket is closed with a stable word before a conversation begins."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


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
        except (CallerGone, OSError):
            pass
        except Exception:
            log.exception("widget socket failed")
            await _close(send, closing_for("internal_error"))


async def _serve(scope: Any, receive: Receive, send: Send) -> None:
    call = await _admit(scope, receive)
    caller = WidgetCaller(receive, send, is_voice=call.is_voice, captions=call.captions)
    # A browser that has gone already is found out by the call, which has begun and must be settled.
    with contextlib.suppress(CallerGone):
        await caller.send_text(_started(call))
    try:
        ended = await run_call(call, caller)
    except UpstreamError:
        raise Refused("upstream_unavailable") from None
    await _say_goodbye(send, call, ended)


async def _admit(scope: Any, receive: Receive) -> Call:
    """Read the first message and begin the session its ticket is for; raise Refused or CallerGone."""
    try:
        async with asyncio.timeout(_START_S):
            message = await receive()
    except TimeoutError:
        raise Refused("start_timeout") from None
    if message["type"] == "websocket.disconnect":
        raise CallerGone
    try:
        start = widget_protocol.parse(message.get("text") or "")
    except InvalidMessage as error:
        raise Refused(error.code) from None
    if start["type"] != "session.start":
        raise Refused("invalid_message")
    return await in_ledger_thread(_begin, start["ticket"], _header(scope, b"origin"), _header(scope, b"host"))


def _begin(ticket: str, origin: str, host: str) -> Call:
    try:
        session_id: UUID = tickets.redeem(ticket)
        if not origins.may_connect(session_id, origin, host):
            # Its ticket is used up, so nobody can begin it any more.
            settle_session(session_id)
            records.end(session_id, EndReason.PROTOCOL_ERROR)
            raise Refused("origin_not_allowed")
        return records.begin(session_id)
    except (tickets.TicketInvalid, records.SessionNotOpen):
        raise Refused("invalid_ticket") from None


async def _say_goodbye(send: Send, call: Call, ended: Ended) -> None:
    if ended.reason == EndReason.CALLER_DISCONNECTED:
        return
    if ended.reason in _CLOSE_AFTER_ENDING:
        await _close(send, closing_for(ended.code or str(ended.reason.value)))
        return
    with contextlib.suppress(OSError, RuntimeError):  # the browser may have gone while the call was settled
        await send({"type": "websocket.send", "text": _ended(call, ended)})
        await send({"type": "websocket.close", "code": 1000})


async def _close(send: Send, closing: Closing) -> None:
    try:
        text = serialise("error", code=closing.code, message=closing.message, fatal=True)
        await send({"type": "websocket.send", "text": text})
        await send({"type": "websocket.close", "code": closing.close_code})
    except (OSError, RuntimeError):
        log.debug("the browser was gone before it could be told", code=closing.code)


def _started(call: Call) -> str:
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
    )


def _ended(call: Call, ended: Ended) -> str:
    return serialise(
        "session.ended",
        reason=str(ended.reason.value),
        outcome=str(ended.outcome.value),
        duration_ms=ended.duration_ms,
        receipt=ended.receipt.as_dict(),
        rating_token=rating_token(call.session_id),
    )


def _header(scope: Any, name: bytes) -> str:
    return next((value.decode("latin-1") for key, value in scope["headers"] if key == name), "")
