"""How many calls may run at once: by caller's network, agent and organisation, counted from the sessions themselves."""

from datetime import datetime
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet

from voice.admission.networks import network_of
from voice.admission.refusals import Refusal
from voice.models import Agent, Session, SessionState


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
    if _count_from_network(sessions, client_ip) >= settings.CONCURRENT_CALLS_PER_IP:
        raise Refusal("network_busy")
    _check_room_among(sessions, agent.organisation_id, agent.id)


def check_room_for_client(organisation_id: UUID, agent_id: UUID | None, now: datetime) -> None:
    """As `check_room`, for a customer's own server: it may open many calls from one address, and without an agent."""
    _check_room_among(open_sessions(now), organisation_id, agent_id)


def _check_room_among(sessions: QuerySet[Session], organisation_id: UUID, agent_id: UUID | None) -> None:
    if agent_id and sessions.filter(agent=agent_id).count() >= settings.CONCURRENT_CALLS_PER_AGENT:
        raise Refusal("agent_busy")
    if sessions.filter(organisation=organisation_id).count() >= settings.CONCURRENT_CALLS_PER_ORGANISATION:
        raise Refusal("organisation_busy")


def _count_from_network(sessions: QuerySet[Session], client_ip: str) -> int:
    network = network_of(client_ip)
    if network == client_ip:
        return sessions.filter(client_ip=client_ip).count()
    # A prefix of an IPv6 address cannot be found by its text; open calls are few enough to look at each.
    addresses = sessions.filter(client_ip__contains=":").values_list("client_ip", flat=True)
    return sum(network_of(address) == network for address in addresses if address)
