"""How many calls may run at once: by caller's network, agent and organisation, counted from the sessions themselves."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Count, Q, QuerySet

from voice.admission.key_holders import Holder
from voice.admission.networks import network_of
from voice.admission.refusals import Refusal
from voice.models import Agent, Session, SessionState


@dataclass(frozen=True, slots=True)
class _Lines:
    """How many calls of some callers may run at once, and the refusal when all lines are in use."""

    refusal: str
    callers: Q
    most: int


def open_sessions(now: datetime) -> QuerySet[Session]:
    """Live ones, and those whose ticket may still be used."""
    admitted = Q(state=SessionState.ADMITTED, ticket_expires_at__gt=now)
    return Session.objects.filter(Q(state=SessionState.LIVE) | admitted)


def check_room(agent: Agent, client_ip: str, now: datetime, visitor_id: str = "") -> None:
    """Raises Refusal when there is no room for one more. Exact only while the row of Switches is locked.

    A call that waits for this very visitor to come back takes no room: it ends when the new one begins.
    """
    sessions = open_sessions(now)
    if visitor_id:
        sessions = sessions.exclude(visitor_id=visitor_id, agent=agent, away_since__isnull=False)
    lines = [
        _Lines("network_busy", _from_network(sessions, client_ip), settings.CONCURRENT_CALLS_PER_IP),
        _Lines("agent_busy", Q(agent=agent.id), settings.CONCURRENT_CALLS_PER_AGENT),
        _Lines("organisation_busy", Q(organisation=agent.organisation_id), settings.CONCURRENT_CALLS_PER_ORGANISATION),
    ]
    _refuse_busy(sessions, lines)


def check_room_for_client(holder: Holder, agent_id: UUID | None, now: datetime) -> None:
    """As `check_room`, for a customer's own server, which may open many calls from one address, and without an agent.

    Its key has a limit of its own, those of its client secrets among them.
    """
    lines = []
    if agent_id is not None:
        lines.append(_Lines("agent_busy", Q(agent=agent_id), settings.CONCURRENT_CALLS_PER_AGENT))
    ours = Q(organisation=holder.organisation_id)
    lines.append(_Lines("organisation_busy", ours, settings.CONCURRENT_CALLS_PER_ORGANISATION))
    if holder.concurrent_calls is not None:
        lines.append(_Lines("api_key_busy", Q(api_key=holder.api_key_id), holder.concurrent_calls))
    _refuse_busy(open_sessions(now).filter(ours), lines)


def _refuse_busy(sessions: QuerySet[Session], lines: Sequence[_Lines]) -> None:
    # Open calls are few, and one look at them counts for all limits.
    in_use = sessions.aggregate(**{line.refusal: Count("pk", filter=line.callers) for line in lines})
    for line in lines:
        if in_use[line.refusal] >= line.most:
            raise Refusal(line.refusal)


def _from_network(sessions: QuerySet[Session], client_ip: str) -> Q:
    network = network_of(client_ip)
    if network == client_ip:
        return Q(client_ip=client_ip)
    # A prefix of an IPv6 address cannot be found by its text; open calls are few enough to look at each.
    addresses = sessions.filter(client_ip__contains=":").values_list("client_ip", flat=True)
    return Q(client_ip__in={address for address in addresses if address and network_of(address) == network})
