"""How many examples a property is tried with."""

from django.db import connection
from hypothesis import HealthCheck, settings

# SQLite is where properties are searched for counter-examples. On a server of its own each statement takes a trip, and
# what could differ there (locks, constraints, arithmetic) shows in a few.
_SHARE_ELSEWHERE = 4
_LEAST = 5


def examples(count):
    """Return so many, and a share of it on another database than SQLite."""
    return count if connection.vendor == "sqlite" else max(_LEAST, count // _SHARE_ELSEWHERE)


def runs(count, *, steps):
    """The settings of a state machine's runs."""
    return settings(
        max_examples=examples(count), stateful_step_count=steps, deadline=None, suppress_health_check=list(HealthCheck)
    )
