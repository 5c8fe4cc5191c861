"""The rules that lead to the state of the whole, and to the colour of a day."""

import pytest

from voice.status.states import DayState, Facts, State, day_state, overall

WELL = dict.fromkeys(["web", "database", "cache", "channels", "worker", "queue", "payments"], State.OPERATIONAL)
OK, UPKEEP, BAD, OUT = State.OPERATIONAL, State.MAINTENANCE, State.DEGRADED, State.OUTAGE


def facts(**changes):
    return Facts(**{"parts": WELL, "models": (OK, OK), **changes})


def parts(**states):
    return {**WELL, **states}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, OK),
        ({"models": ()}, OK),
        # Without these no call can start, whatever else is planned.
        ({"parts": parts(web=OUT)}, OUT),
        ({"parts": parts(database=OUT)}, OUT),
        ({"parts": parts(cache=OUT), "is_paused": True}, OUT),
        # What an operator has decided.
        ({"is_paused": True}, UPKEEP),
        ({"is_paused": True, "parts": parts(worker=OUT)}, UPKEEP),
        ({"has_voice": False, "is_planned": True}, UPKEEP),
        ({"has_voice": False, "has_text": False, "is_planned": True}, UPKEEP),
        # No conversation can be had, or only a typed one.
        ({"has_voice": False, "has_text": False}, OUT),
        ({"has_voice": False}, BAD),
        # Callers are served, and somebody misses something.
        ({"has_incident": True}, BAD),
        ({"parts": parts(worker=OUT)}, BAD),
        ({"parts": parts(worker=State.STARTING)}, OK),
        ({"parts": parts(queue=BAD)}, BAD),
        ({"parts": parts(channels=OUT)}, BAD),
        ({"parts": parts(payments=BAD)}, BAD),
        ({"models": (OK, OUT)}, BAD),
        ({"models": (UPKEEP, OUT)}, BAD),
        ({"models": (OK, UPKEEP)}, UPKEEP),
        ({"models": (OK, UPKEEP), "has_incident": True}, BAD),
        ({"has_text": False}, OK),
    ],
)
def test_the_state_of_the_whole(changes, expected):
    assert overall(facts(**changes)) == expected


@pytest.mark.parametrize(
    ("figures", "expected"),
    [
        ({"checks": 0, "failed": 0}, DayState.UNKNOWN),
        ({"checks": 2880, "failed": 0}, DayState.OPERATIONAL),
        ({"checks": 2880, "failed": 28}, DayState.OPERATIONAL),
        ({"checks": 2880, "failed": 29}, DayState.DEGRADED),
        ({"checks": 1, "failed": 1}, DayState.OUTAGE),
        ({"checks": 10, "failed": 5}, DayState.OUTAGE),
        ({"checks": 10, "failed": 4}, DayState.DEGRADED),
        ({"checks": 0, "failed": 0, "down_s": 599}, DayState.UNKNOWN),
        ({"checks": 100, "failed": 0, "down_s": 600}, DayState.DEGRADED),
        ({"checks": 0, "failed": 0, "down_s": 43_200}, DayState.OUTAGE),
        ({"checks": 100, "failed": 0, "maintenance_s": 600}, DayState.MAINTENANCE),
        ({"checks": 100, "failed": 2, "maintenance_s": 86_400}, DayState.DEGRADED),
        ({"checks": 0, "failed": 0, "maintenance_s": 86_400}, DayState.MAINTENANCE),
    ],
)
def test_the_state_of_a_day(figures, expected):
    assert day_state(**figures) == expected
