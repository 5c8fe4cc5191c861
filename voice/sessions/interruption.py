"""Somebody speaks into an answer: what is playing is stopped, then the model is told how much of it was heard."""

from voice import realtime_events
from voice.sessions import own_events
from voice.sessions.parts import Parts
from voice.sessions.playback import Heard


async def interrupt(parts: Parts, now: float) -> None:
    """Stop what is playing, if something is."""
    parts.goodbye_since = None  # somebody who speaks into a goodbye has not finished
    if item_id := parts.playback.interrupt(now):
        parts.words.interrupted(item_id)
        await parts.caller.send(own_events.interrupted(item_id))


async def truncate(parts: Parts, heard: Heard | None) -> None:
    """Cut an answer down to what was heard of it, for everybody who keeps it; None: nothing is known of one yet."""
    if heard is None:
        return
    await truncate(parts, parts.playback.cut_before(heard.item_id))
    parts.turns.heard(heard.item_id, heard.heard_ms, interrupted=True)
    parts.words.heard(heard.item_id, heard.heard_ms, heard.sent_ms)
    if heard.item_id in parts.moving.left_behind:
        await parts.moving.tell_heard(heard.item_id)
    else:
        await parts.line.send(realtime_events.truncate(heard.item_id, heard.heard_ms))
    await parts.caller.send(own_events.truncated(heard.item_id, heard.heard_ms, heard.sent_ms))
