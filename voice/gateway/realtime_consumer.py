"""The websocket for customers' own Realtime programs: a key opens it, OpenAI's protocol is spoken on it."""

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Mapping
from typing import Any

import structlog
from channels.consumer import AsyncConsumer
from django.db import DatabaseError

from accounts.exceptions import KeyRefused
from voice.admission.key_holders import Holder, authenticate_bearer
from voice.admission.key_limits import count_wrong_key
from voice.admission.refusals import Refusal as AdmissionRefusal
from voice.gateway import realtime_closings as closings
from voice.gateway.realtime_client import RealtimeClient
from voice.gateway.realtime_closings import Closing, closing_for, closing_for_refusal, closing_for_request, last_words
from voice.gateway.realtime_handshake import Handshake, forget_headers, read_handshake
from voice.gateway.realtime_opening import Opened, open_session
from voice.gateway.realtime_rules import MODEL_CHARS_MAX, RequestRefused, parse
from voice.gateway.sockets import PastAsgi, Receive, Send, past_asgi
from voice.gateway.widget_consumer import WidgetConsumer
from voice.gateway.widget_protocol import SUBPROTOCOL as WIDGET_SUBPROTOCOL
from voice.metering.executor import in_ledger_thread
from voice.metering.meter import Meter
from voice.models import EndReason
from voice.realtime_events import InvalidEvent
from voice.sessions.caller import CallerGone
from voice.sessions.programs.client_relay import ClientRelay
from voice.sessions.programs.client_session import ClientSession
from voice.sessions.runner import Ended, Reached, hold_conversation
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

# Programs that write before they read see only the close code of a socket closed at once.
_READ_LAST_WORDS_S = 0.25
# One that connects again by itself, without end, is kept from doing so more often than this.
_NOT_SO_FAST_S = 1.0
# agents-realtime names its model in its first event, not in the address.
_FIRST_EVENT_S = 1.0
_NOBODY_TO_TELL = {EndReason.CALLER_HUNG_UP, EndReason.CALLER_DISCONNECTED}


class Refused(Exception):
    """The socket is closed with these words before a conversation begins."""

    def __init__(self, closing: Closing) -> None:
        super().__init__(closing.code)
        self.closing = closing


class RealtimeConsumer(AsyncConsumer):
    """Takes over `receive` and `send` from Channels: fifty frames a second each way are too many to dispatch."""

    async def __call__(self, scope: Any, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        handshake = read_handshake(scope)
        forget_headers(scope)
        try:
            holder = None if handshake.is_beta else await _authenticate(handshake)
        except KeyRefused as refused:
            if refused.code != "organisation_suspended":
                await _refuse_handshake(scope, send, refused.code)
                return
            # Only an error event tells LiveKit's plugin to give up, so the socket is opened to say it.
            holder = None
        except AdmissionRefusal as refusal:
            await _refuse_handshake(scope, send, refusal.code)
            return
        except DatabaseError:
            log.exception("keys cannot be looked up")
            await _refuse_handshake(scope, send, "unavailable")
            return
        await send({"type": "websocket.accept", "subprotocol": handshake.subprotocol})
        await _serve(handshake, holder, receive, send, past_asgi(scope))


def voice_sessions(scope: Any, receive: Receive, send: Send) -> Awaitable[None]:
    """One address for both: with the widget's subprotocol a ticket opens it, otherwise a key does."""
    is_widget = WIDGET_SUBPROTOCOL in (scope.get("subprotocols") or [])
    consumer: Any = WidgetConsumer() if is_widget else RealtimeConsumer()
    serving: Awaitable[None] = consumer(scope, receive, send)
    return serving


async def _authenticate(handshake: Handshake) -> Holder:
    return await in_ledger_thread(_holder_of, handshake.key, handshake.origin, handshake.client_ip)


def _holder_of(key: str, origin: str, client_ip: str) -> Holder:
    try:
        return authenticate_bearer(key, origin=origin)
    except KeyRefused as refused:
        if refused.code == "invalid_api_key":
            count_wrong_key(client_ip)
        raise


async def _serve(
    handshake: Handshake, holder: Holder | None, receive: Receive, send: Send, direct: PastAsgi | None
) -> None:
    try:
        if handshake.is_beta:
            raise Refused(closings.BETA)
        if holder is None:
            raise Refused(closing_for_refusal("organisation_suspended", 403, ""))
        model, early = await _model_and_early_messages(handshake.query, receive)
        opened = await _open(holder, handshake, model)
        ended = await _converse(opened, RealtimeClient(receive, send, opened.terms, early, direct))
        if ended.reason not in _NOBODY_TO_TELL:
            reason, longest_s = str(ended.reason.value), opened.call.max_duration_s
            raise Refused(closing_for(reason, ended.code, max_duration_s=longest_s))
        await _close(send, 1000)
    except Refused as refused:
        await _say_and_close(send, refused.closing)
    except (CallerGone, OSError):
        pass
    except Exception:
        log.exception("realtime socket failed")
        await _say_and_close(send, closings.INTERNAL)


async def _model_and_early_messages(query: Mapping[str, str], receive: Receive) -> tuple[str, list[Any]]:
    """Return the model asked for, "" for none, and what had to be read to know; raise CallerGone."""
    named = query.get("model") or query.get("llm_model") or query.get("deployment")
    if named or query.get("agent"):
        return (named or "")[:MODEL_CHARS_MAX], []
    try:
        async with asyncio.timeout(_FIRST_EVENT_S):
            message = await receive()
    except TimeoutError:
        return "", []
    if message["type"] == "websocket.disconnect":
        raise CallerGone
    return _model_in(message.get("text") or ""), [message]


def _model_in(text: str) -> str:
    try:
        session = parse(text.encode(errors="replace")).get("session")
    except RequestRefused:
        return ""
    model = session.get("model") if isinstance(session, dict) else None
    return model[:MODEL_CHARS_MAX] if isinstance(model, str) else ""


async def _open(holder: Holder, handshake: Handshake, model: str) -> Opened:
    try:
        return await in_ledger_thread(open_session, holder, handshake.query, model, handshake.client_ip)
    except AdmissionRefusal as refusal:
        raise Refused(closing_for_refusal(refusal.code, refusal.status, refusal.message)) from None
    except RequestRefused as problem:
        raise Refused(closing_for_request(problem.refusal)) from None


async def _converse(opened: Opened, client: RealtimeClient) -> Ended:
    def opens(reached: Reached, meter: Meter) -> ClientRelay:
        session = ClientSession(opened.bounds)
        held = reached.call
        return ClientRelay(session, opened.wanted, held, client, reached.upstream, meter, ladder=reached.ladder)

    try:
        return await hold_conversation(opened.call, client, opens)
    except UpstreamError:
        raise Refused(closings.NO_UPSTREAM) from None


async def _say_and_close(send: Send, closing: Closing) -> None:
    with contextlib.suppress(OSError, RuntimeError, InvalidEvent):  # the program may be gone
        await send({"type": "websocket.send", "text": last_words(closing).decode()})
        await asyncio.sleep(_READ_LAST_WORDS_S if closing.is_final else _NOT_SO_FAST_S)
        await _close(send, closing.close_code)


async def _close(send: Send, close_code: int) -> None:
    with contextlib.suppress(OSError, RuntimeError):
        await send({"type": "websocket.close", "code": close_code})


async def _refuse_handshake(scope: Mapping[str, Any], send: Send, code: str) -> None:
    """Answer the handshake itself: in HTTP's words, or with a bare 403 where the server (Daphne with TLS) cannot."""
    refusal = AdmissionRefusal(code)
    if "websocket.http.response" not in (scope.get("extensions") or {}):
        await send({"type": "websocket.close"})
        return
    error = {"type": "invalid_request_error", "code": code, "message": refusal.message, "param": None}
    headers = [(b"content-type", b"application/json")]
    start = {"type": "websocket.http.response.start", "status": refusal.status, "headers": headers}
    await send(start)
    await send({"type": "websocket.http.response.body", "body": json.dumps({"error": error}).encode()})
