"""The few events that GA has no word for, sent to the caller's edge among GA events as `parley.*`."""

from collections.abc import Mapping

from voice.realtime_events import dump


def meter_changed(used_micro: int) -> bytes:
    return dump({"type": "parley.meter_changed", "used_micro": used_micro})


def notice(code: str, message: str) -> bytes:
    return dump({"type": "parley.notice", "code": code, "message": message})


def interrupted(item_id: str) -> bytes:
    """What is buffered of this item must not be played."""
    return dump({"type": "parley.interrupted", "item_id": item_id})


def truncated(item_id: str, heard_ms: int, sent_ms: int) -> bytes:
    """Only heard_ms of the sent_ms of this item were heard."""
    return dump({"type": "parley.truncated", "item_id": item_id, "heard_ms": heard_ms, "sent_ms": sent_ms})


def working() -> bytes:
    return dump({"type": "parley.working"})


def paused() -> bytes:
    """The assistant has fallen silent in the middle of what it says: more of it may come, or another model's."""
    return dump({"type": "parley.paused"})


def task_completed(name: str, fields: Mapping[str, str]) -> bytes:
    return dump({"type": "parley.task_completed", "name": name, "fields": dict(fields)})


def model_changed(model_served: str, reason: str, *, voice: bool) -> bytes:
    """From now on this model answers, aloud or (`voice` False) in writing; `reason` is a sentence, or ""."""
    return dump({"type": "parley.model_changed", "model_served": model_served, "reason": reason, "voice": voice})
