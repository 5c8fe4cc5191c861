"""What a Realtime server says besides a spoken answer: that it hears somebody, and that it wants a tool."""

import json
from typing import Any

from tests.fakes.scripted_upstream import Step, spoken_answer, usage

# Two seconds: long enough to be interrupted.
SPEECH = b"\1\0" * 48_000
GREETING_USAGE = usage(text_in=700, text_out=12, audio_out=40)
CAPTION_USAGE = {
    "type": "tokens",
    "total_tokens": 48,
    "input_tokens": 40,
    "output_tokens": 8,
    "input_token_details": {"text_tokens": 0, "audio_tokens": 40},
}

SESSION_STEP = Step("session.update", emit=[{"type": "session.updated", "session": {"type": "realtime"}}])


def greeting(**changes: Any) -> list[Step]:
    """Return the steps of the beginning of every call; `changes` are of the step in which it is greeted."""
    answer = spoken_answer("Hello, how can I help?", SPEECH, used=GREETING_USAGE)
    return [SESSION_STEP, Step("response.create", **{"emit": answer, **changes})]


def caller_says(words: str, item_id: str, *, speech_ms: int = 1200) -> list[dict[str, Any]]:
    """Return what a server says that has heard a turn: it began, it is over, it is part of the conversation."""
    item = {"id": item_id, "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    return [
        {"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, "item_id": item_id},
        {"type": "input_audio_buffer.speech_stopped", "audio_end_ms": speech_ms, "item_id": item_id},
        {"type": "input_audio_buffer.committed", "item_id": item_id, "previous_item_id": None},
        {"type": "conversation.item.added", "previous_item_id": None, "item": item},
        {
            "type": "conversation.item.input_audio_transcription.completed",
            "item_id": item_id,
            "content_index": 0,
            "transcript": words,
            "usage": CAPTION_USAGE,
        },
    ]


def wants_tool(
    name: str, arguments: dict[str, str], *, response_id: str, call_id: str, used: dict[str, Any]
) -> list[dict[str, Any]]:
    """Return a response that says nothing and calls a tool."""
    item = {
        "id": f"item_of_{call_id}",
        "type": "function_call",
        "status": "completed",
        "name": name,
        "call_id": call_id,
        "arguments": json.dumps(arguments),
    }
    response = {"object": "realtime.response", "id": response_id, "output_modalities": ["audio"]}
    return [
        {"type": "response.created", "response": response | {"status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "response_id": response_id, "output_index": 0, "item": item},
        {"type": "response.output_item.done", "response_id": response_id, "output_index": 0, "item": item},
        {"type": "response.done", "response": response | {"status": "completed", "output": [item], "usage": used}},
    ]


def cancelled(response_id: str, used: dict[str, Any]) -> dict[str, Any]:
    """Return the end of a response that was cancelled while it was spoken."""
    response = {"object": "realtime.response", "id": response_id, "status": "cancelled", "output": []}
    return {"type": "response.done", "response": response | {"usage": used}}


def begun(words: str = "Hello", pcm: bytes = SPEECH, **ids: str) -> list[dict[str, Any]]:
    """Return a spoken answer that is never finished."""
    return spoken_answer(words, pcm, **ids)[:6]
