"""The end of a conversation: its running response is cancelled, and what that has used is put on the books."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

import structlog

from voice import realtime_events
from voice.realtime_events import InvalidEvent
from voice.sessions.gate import ResponseGate
from voice.sessions.state import ConversationState, Response
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

TRANSCRIBED = "conversation.item.input_audio_transcription.completed"
# What reading an event raises that is not what it says it is.
NOT_UNDERSTOOD = (InvalidEvent, KeyError, TypeError, ValueError, AttributeError, OverflowError)

OnTranscribed = Callable[[dict[str, Any], float], Awaitable[Any]]


async def stop_response(
    upstream: Upstream, state: ConversationState, gate: ResponseGate, on_transcribed: OnTranscribed, *, within_s: float
) -> None:
    """Cancel the running response and record its usage, or an estimate; the upstream may be dead already."""
    try:
        async with asyncio.timeout(within_s):
            if state.response is Response.RUNNING:
                await upstream.send(realtime_events.response_cancel())
                await _wait_for_last_usage(upstream, state, gate, on_transcribed)
    except (UpstreamError, TimeoutError, *NOT_UNDERSTOOD):
        log.info("usage of the last response never came")
    gate.record_estimate()


async def _wait_for_last_usage(
    upstream: Upstream, state: ConversationState, gate: ResponseGate, on_transcribed: OnTranscribed
) -> None:
    async for frame in upstream:
        kind = realtime_events.event_type(frame)
        if kind == TRANSCRIBED:
            await on_transcribed(realtime_events.parse(frame), time.monotonic())
        elif kind == "response.done":
            event = realtime_events.parse(frame)
            if state.response_done(event):
                gate.record_response(event["response"])
                return
