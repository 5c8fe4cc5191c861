"""A call to test with, and what it is ordered to do."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from voice.models import EndReason
from voice.sessions.call import Call, CollectedField
from voice.sessions.orders.listening import orders_for
from voice.upstream.base import Capabilities, Endpoint

CAPABILITIES = Capabilities(
    audio=True, images=False, reasoning=False, transcribes_input=True, context_tokens=32_000, max_output_tokens=4_096
)


def make_call(**changes) -> Call:
    fields = {
        "session_id": uuid.uuid4(),
        "organisation_id": uuid.uuid4(),
        "client_ip": "198.51.100.7",
        "is_voice": True,
        "agent_name": "Riverside Dental",
        "instructions": "You are the receptionist of Riverside Dental.",
        "greeting": "Riverside Dental, how can I help?",
        "language": "en",
        "task_name": "book_appointment",
        "collects": (CollectedField("name", "full name"), CollectedField("time", "day and time")),
        "shows_prices": True,
        "model_asked": "gpt-realtime-mini",
        "model_served": "gpt-realtime-mini",
        "endpoint": Endpoint("openai", "gpt-realtime-mini", "ws://127.0.0.1:1/", "", CAPABILITIES, voice="marin"),
        "transcription_model": "gpt-4o-mini-transcribe",
        "transcription_slug": "gpt-4o-mini-transcribe",
        "max_output_tokens": 1024,
        "max_duration_s": 600,
        "silence_timeout_s": 20,
    }
    return Call(**fields | changes)


@asynccontextmanager
async def ordered(call: Call, conversation: object = None) -> "AsyncIterator[asyncio.Future[EndReason]]":
    """Have a call hear its orders from the first line of the block on; gives why it is to end, once that is ordered."""
    async with orders_for(call) as orders:
        orders.conversation = conversation
        await orders.are_heard()
        yield orders.ended
