"""What any Realtime client may rely on, checked on the events of a whole connection."""

from typing import Any

from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

_official: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)

# Each event with those of which one must come right before it, among the events of the same response.
_BEFORE = {
    "response.output_item.added": {"response.created", "response.output_item.done"},
    "conversation.item.added": {"response.output_item.added"},
    # Out of band, an item is part of no conversation.
    "response.content_part.added": {"conversation.item.added", "response.output_item.added"},
    "response.output_audio_transcript.delta": {
        "response.content_part.added", "response.output_audio.delta", "response.output_audio_transcript.delta"
    },
    "response.output_audio.delta": {"response.output_audio_transcript.delta", "response.output_audio.delta"},
    "response.output_text.delta": {"response.content_part.added", "response.output_text.delta"},
    "response.output_audio.done": {
        "response.content_part.added", "response.output_audio.delta", "response.output_audio_transcript.delta"
    },
    "response.output_audio_transcript.done": {"response.output_audio.done"},
    "response.output_text.done": {"response.content_part.added", "response.output_text.delta"},
    "response.function_call_arguments.delta": {
        "conversation.item.added", "response.output_item.added", "response.function_call_arguments.delta"
    },
    "response.function_call_arguments.done": {"response.function_call_arguments.delta"},
    "response.content_part.done": {"response.output_audio_transcript.done", "response.output_text.done"},
    "conversation.item.done": {"response.content_part.done", "response.function_call_arguments.done"},
    "response.output_item.done": {
        "conversation.item.done", "response.content_part.done", "response.function_call_arguments.done"
    },
    "response.done": {"response.created", "response.output_item.done"},
}  # fmt: skip


def check(events: list[dict[str, Any]]) -> None:
    """Assert the shapes, the order and the sums of everything a server said."""
    assert events[0]["type"] == "session.created"
    assert len({event["event_id"] for event in events}) == len(events)
    for event in events:
        assert type(_official.validate_python(event)).__name__ != "dict", event
        _check_shape(event)
    for response in [event["response"] for event in events if event["type"] == "response.created"]:
        _check_order(_of_response(events, response["id"]))
        _check_words(_of_response(events, response["id"]))


def _check_shape(event: dict[str, Any]) -> None:
    """What strict clients refuse: null audio in a part, a missing transcript, a status_details that is no object."""
    if "part" in event:
        assert event["part"]["type"] in ("audio", "text")
        assert "audio" not in event["part"]
    for part in event.get("item", {}).get("content", []):
        assert part["type"] in ("input_text", "input_audio", "output_text", "output_audio")
        assert part["type"] != "input_audio" or "transcript" in part
    if event["type"] == "response.done":
        _check_done(event["response"])


def _check_done(response: dict[str, Any]) -> None:
    details = response["status_details"]
    assert details is None or details["type"] == response["status"]
    assert (details is None) == (response["status"] == "completed")
    usage = response["usage"]
    assert (usage is None) == (response["status"] == "failed")
    if usage is None:
        return
    read, made = usage["input_token_details"], usage["output_token_details"]
    cached = read["cached_tokens_details"]
    assert usage["input_tokens"] == read["text_tokens"] + read["audio_tokens"] + read["image_tokens"]
    assert usage["output_tokens"] == made["text_tokens"] + made["audio_tokens"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    assert read["cached_tokens"] == sum(cached.values())
    assert all(0 <= cached[kind] <= read[kind] for kind in cached)


def _of_response(events: list[dict[str, Any]], response_id: str) -> list[dict[str, Any]]:
    added = [e for e in events if e["type"] == "response.output_item.added" and e["response_id"] == response_id]
    items = {event["item"]["id"] for event in added}
    return [
        event
        for event in events
        if event.get("response_id") == response_id
        or event.get("response", {}).get("id") == response_id
        or (event["type"] in ("conversation.item.added", "conversation.item.done") and event["item"]["id"] in items)
    ]


def _check_order(events: list[dict[str, Any]]) -> None:
    kinds = [event["type"] for event in events]
    is_out_of_band = events[0]["response"].get("conversation_id", "") is None
    told = kinds.count("conversation.item.added"), kinds.count("conversation.item.done")
    made = kinds.count("response.output_item.added"), kinds.count("response.output_item.done")
    assert told == ((0, 0) if is_out_of_band else made)
    assert kinds[0] == "response.created"
    assert kinds.count("response.created") == 1
    for before, kind in zip(kinds, kinds[1:], strict=False):
        assert before in _BEFORE[kind], f"{kind} after {before}"
    indexes = [event["output_index"] for event in events if event["type"] == "response.output_item.added"]
    assert indexes == list(range(len(indexes)))


def _check_words(events: list[dict[str, Any]]) -> None:
    """The pieces of what was said or called add up to the whole, in every place the whole is told."""
    if events[-1]["type"] != "response.done":
        return
    finished = [event["item"] for event in events if event["type"] == "response.output_item.done"]
    assert events[-1]["response"]["output"] == finished
    for item in finished:
        deltas = [e for e in events if e.get("item_id") == item["id"] and e["type"] in _WORD_DELTAS]
        pieces = "".join(event["delta"] for event in deltas)
        assert pieces == (item["arguments"] if item["type"] == "function_call" else _words_of(item))


_WORD_DELTAS = {
    "response.output_audio_transcript.delta",
    "response.output_text.delta",
    "response.function_call_arguments.delta",
}


def _words_of(item: dict[str, Any]) -> str:
    return "".join(part.get("text") or part.get("transcript") or "" for part in item["content"])
