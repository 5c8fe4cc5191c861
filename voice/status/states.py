"""The states that parts, days and the whole can be in, and the rules that lead to them. Free of the database."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum


class State(StrEnum):
    """`STARTING`: a part that may still be on its way up with everything else; it is no trouble yet."""

    STARTING = "starting"
    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    DEGRADED = "degraded"
    OUTAGE = "outage"


class DayState(StrEnum):
    """`UNKNOWN`: nobody looked."""

    UNKNOWN = "unknown"
    OPERATIONAL = "operational"
    MAINTENANCE = "maintenance"
    DEGRADED = "degraded"
    OUTAGE = "outage"


# Without one of these no call can start.
VITAL_PARTS = frozenset({"web", "database", "cache"})
# Shorter than this is a hiccup, which a day's colour need not tell; the figures below it do.
_HICCUP_S = 600
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Facts:
    """What the state of the whole follows from.

    `parts` and `models` are those that this installation has. `is_planned`: all that is missing of voices is missing
    because an operator said so. `has_incident`: one is going on that everybody may read of.
    """

    parts: Mapping[str, State]
    models: Collection[State] = ()
    has_voice: bool = True
    has_text: bool = True
    is_planned: bool = False
    is_paused: bool = False
    has_incident: bool = False


def overall(facts: Facts) -> State:
    """Return the state of the whole; the first rule that fits decides."""
    if any(facts.parts.get(name) == State.OUTAGE for name in VITAL_PARTS):
        return State.OUTAGE
    if facts.is_paused or (not facts.has_voice and facts.is_planned):
        return State.MAINTENANCE
    if not facts.has_voice and not facts.has_text:
        return State.OUTAGE
    if not facts.has_voice or facts.has_incident:
        return State.DEGRADED
    if {*facts.parts.values(), *facts.models} & {State.DEGRADED, State.OUTAGE}:
        return State.DEGRADED
    if State.MAINTENANCE in facts.models:
        return State.MAINTENANCE
    return State.OPERATIONAL


def day_state(*, checks: int, failed: int, down_s: int = 0, maintenance_s: int = 0) -> DayState:
    """Return a day's state: half of it bad is an outage; a hundredth, or ten minutes, is a trouble."""
    if (failed and failed * 2 >= checks) or down_s * 2 >= _DAY_S:
        return DayState.OUTAGE
    if (failed and failed * 100 >= checks) or down_s >= _HICCUP_S:
        return DayState.DEGRADED
    if maintenance_s >= _HICCUP_S:
        return DayState.MAINTENANCE
    return DayState.OPERATIONAL if checks else DayState.UNKNOWN
