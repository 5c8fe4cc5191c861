"""Tickets: a signed permission to open the one socket of one session, once and soon."""

import sqlite3
from uuid import UUID

import structlog
from django.conf import settings
from django.core import signing
from django.core.cache import cache
from django.utils import timezone
from redis.exceptions import RedisError

from voice.admission import networks
from voice.models import Session, SessionState, Switches

log = structlog.get_logger(__name__)

_SALT = "voice.admission.tickets"
_LONGEST = 300
# The rows are wide: to read them whole costs more than all the rest.
_LOOKED_AT = Session.objects.select_related("agent", "organisation", "api_key").only(
    *("state", "ticket_expires_at", "client_ip", "system_prompt"),
    *("agent__is_active", "organisation__suspended_at", "api_key__revoked_at"),
)


class TicketInvalid(Exception):
    """`code`: invalid (forged or garbage), expired, used, or revoked (what allowed the call has changed since)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def issue(session_id: UUID) -> str:
    return signing.dumps(session_id.hex, salt=_SALT)


def redeem(ticket: str) -> UUID:
    """Use a ticket up and return its session's id. Raises TicketInvalid.

    The session stays admitted: whoever begins it marks it live under a lock, which is what makes a ticket single-use
    even if the cache forgets, or is away. The cache refuses the second of two that come at once before any work is
    done.
    """
    session_id = _session_id_of(ticket)
    session = _LOOKED_AT.filter(id=session_id).first()
    if session is None:
        raise TicketInvalid("invalid")
    if session.state != SessionState.ADMITTED:
        raise TicketInvalid("used")
    if session.ticket_expires_at <= timezone.now():
        raise TicketInvalid("expired")
    if not _is_still_allowed(session):
        raise TicketInvalid("revoked")
    if not _is_first(session_id):
        raise TicketInvalid("used")
    return session_id


def _is_first(session_id: UUID) -> bool:
    try:
        return bool(cache.add(f"ticket:{session_id.hex}", 1, settings.TICKET_LIFETIME_S + 60))
    except (sqlite3.Error, RedisError, OSError) as error:
        # A Redis that restarts in the moment between a ticket and its call: the session's lock decides alone.
        log.warning("a ticket is used without the cache", error=type(error).__name__)
        return True


def _session_id_of(ticket: str) -> UUID:
    if not ticket or len(ticket) > _LONGEST:
        raise TicketInvalid("invalid")
    try:
        return UUID(hex=signing.loads(ticket, salt=_SALT, max_age=settings.TICKET_LIFETIME_S))
    except signing.SignatureExpired:
        raise TicketInvalid("expired") from None
    except signing.BadSignature:
        raise TicketInvalid("invalid") from None


def _is_still_allowed(session: Session) -> bool:
    """Ask again what the operator may have decided in the minute since: pause, suspension, a blocked network."""
    if not session.organisation.is_active:
        return False
    # A call of a customer's own code may have no agent, but never one that is switched off.
    if session.agent is None and not session.system_prompt or session.agent and not session.agent.is_active:
        return False
    if session.api_key and session.api_key.revoked_at:
        return False
    if Switches.objects.filter(calls_paused=True).exists():
        return False
    return session.client_ip is None or not networks.is_blocked(session.client_ip)
