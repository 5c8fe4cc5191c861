"""Filters for what happened in a call, and how long it took."""

from django import template

from voice.catalogue.left_because import left_because
from voice.models import Turn

register = template.Library()


@register.filter
def clock(ms: int) -> str:
    """`4:05`, or `1:02:07` from an hour on; a started second does not count."""
    minutes, seconds = divmod(ms // 1000, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@register.filter
def seconds(ms: int) -> str:
    """`3.2 s`."""
    return f"{ms // 1000}.{ms % 1000 // 100} s"


register.filter("left_because", left_because)


@register.filter
def turn_length(turn: Turn) -> str:
    return seconds(max(0, turn.ended_ms - turn.started_ms))
