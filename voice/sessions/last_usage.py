"""The end of a conversation: its running response is cancelled, and what is still owed of it is waited for."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import structlog

from voice import realtime_events
from voice.realtime_events import InvalidEvent
from voice.sessions.gate import ResponseGate
from voice.sessions.state import ConversationState, Response, reports_usage
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
NOT_TRANSCRIBED = "conversation.item.input_audio_transcription.failed"
# What reading an event raises that is not what it says it is.
NOT_UNDERSTOOD = (InvalidEvent, KeyError, TypeError, ValueError, AttributeError, OverflowError)

Handler = Callable[[dict[str, Any], float], Awaitable[Any]]


def _nothing_owed() -> bool:
    return False


async def stop_response(
    upstream: Upstream,
    state: ConversationState,
    gate: ResponseGate,
    handlers: Mapping[str, Handler],
    *,
    within_s: float,
    owes_words: Callable[[], bool] = _nothing_owed,
) -> None:
    """Cancel the running response and record its usage, or an estimate; the upstream may be dead already.

    Events that `handlers` names are handed on meanwhile, and waited for as long as `owes_words` says that one is due.
    """
    try:
        async with asyncio.timeout(within_s):
            if state.response is Response.RUNNING:
                await upstream.send(realtime_events.response_cancel())
            if state.response is Response.RUNNING or owes_words():
                await _wait_for_the_rest(upstream, state, gate, handlers, owes_words)
    except (UpstreamError, TimeoutError, *NOT_UNDERSTOOD):
        log.info("usage of the last response, or its words, never came")
    gate.record_estimate()


async def _wait_for_the_rest(
    upstream: Upstream,
    state: ConversationState,
    gate: ResponseGate,
    handlers: Mapping[str, Handler],
    owes_words: Callable[[], bool],
) -> None:
    async for frame in upstream:
        kind = realtime_events.event_type(frame)
        if handler := handlers.get(kind):
            await handler(realtime_events.parse(frame), time.monotonic())
        elif kind == "response.created":
            # Asked for a moment before the end: it is to say nothing, and what it used is to be known.
            state.response_created(realtime_events.parse(frame))
            await upstream.send(realtime_events.response_cancel())
        elif kind == "response.done":
            event = realtime_events.parse(frame)
            if not reports_usage(event["response"]):
                gate.record_estimate()
            elif state.response_done(event):
                gate.record_response(event["response"])
        if state.response is not Response.RUNNING and not owes_words():
            return
