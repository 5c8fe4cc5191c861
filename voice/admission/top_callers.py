"""Who calls most: what to look at first when somebody abuses a public agent."""

from dataclasses import dataclass, field
from datetime import datetime

from voice.admission.networks import network_of
from voice.models import Session, SessionState

# A day of a busy desk; more than that, and a shorter time is the better question.
_MOST_CALLS = 50_000


@dataclass(slots=True)
class Caller:
    """What one network did: `agents` are the names of those it called."""

    network: str
    calls: int = 0
    live: int = 0
    duration_ms: int = 0
    captured_micro: int = 0
    agents: set[str] = field(default_factory=set)


def top_callers(since: datetime, most: int) -> list[Caller]:
    """Return the networks whose calls since then cost most, the dearest first; callers without an address are none."""
    calls = Session.objects.filter(created_at__gte=since).exclude(client_ip=None).order_by("-created_at")
    columns = ("client_ip", "state", "duration_ms", "captured_micro", "agent__name")
    by_network: dict[str, Caller] = {}
    for address, state, duration_ms, captured_micro, agent in calls.values_list(*columns)[:_MOST_CALLS]:
        network = network_of(address)
        caller = by_network.setdefault(network, Caller(network))
        caller.calls += 1
        caller.live += state == SessionState.LIVE
        caller.duration_ms += duration_ms
        caller.captured_micro += captured_micro
        if agent:
            caller.agents.add(agent)
    return sorted(by_network.values(), key=lambda caller: (-caller.captured_micro, -caller.calls))[:most]
