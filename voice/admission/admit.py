"""May this call start? Read `admit` from top to bottom: it is the order in which that is decided."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

import structlog
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils import timezone

from accounts.models import Membership, User
from voice.admission import ip_limits, origins, tickets
from voice.admission.captcha_memory import PersonCheck
from voice.admission.concurrency import check_room
from voice.admission.opening import (
    HOLD_OUTLIVES_S,
    Served,
    open_hold,
    refuse_blocked,
    refuse_inactive,
    refuse_paused,
    served_for,
    served_or_written_to,
    words_of,
)
from voice.admission.opening import first_hold_micro as hold_for
from voice.admission.refusals import Refusal
from voice.catalogue.ceilings import remaining_today_micro, start_of_day
from voice.models import Agent, Session, Switches
from voice.transcripts.consent import Consent, consent_of, words_may_be_kept

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class CallRequest:
    """Who wants to call whom, from where. `scheme` and `host` are how this request reached us."""

    agent_key: str
    user: User | AnonymousUser
    client_ip: str
    origin: str
    scheme: str
    host: str
    person: PersonCheck
    visitor_id: str = ""
    is_voice: bool = True
    language: str = ""
    # What the caller answered to which wording about keeping their words; None: they did not say.
    consent: bool | None = None
    consent_version: str = ""


@dataclass(frozen=True, slots=True)
class Admission:
    """A session that holds credits and waits for its ticket."""

    session: Session
    ticket: str


@dataclass(frozen=True, slots=True)
class _Terms:
    """What is agreed before a place is taken."""

    is_member: bool
    served: Served
    consent: Consent
    is_written_down: bool


def admit(call: CallRequest) -> Admission:
    """Open a session with a hold on its wallet and return it with its ticket.

    Raises Refusal. Any other exception (the ledger, the database or the cache cannot be reached) means that nothing
    was opened. A process that dies before the ticket is sent leaves an unused session, which the sweep releases.
    """
    ip_limits.count_attempt(call.client_ip)
    refuse_blocked(call.client_ip)
    refuse_paused(Switches.objects.filter(id=1).first())
    agent = _find_agent(call.agent_key)
    is_ours = origins.is_ours(call.origin, scheme=call.scheme, host=call.host)
    # A page of somebody else's cannot use a member's rights, even where it may show the agent.
    is_member = is_ours and _is_member(call.user, agent)
    _refuse_hidden(agent, is_member)
    refuse_inactive(agent.organisation, agent)
    consent = consent_of(agent, call.consent, call.consent_version, timezone.now())
    # Speech is written down, and billed, only where somebody reads it: a person, or the model that takes a call over.
    is_written_down = agent.captions or words_may_be_kept(consent) or agent.writes_down_for_fallback
    is_voice = call.is_voice and is_written_down
    served = served_or_written_to(agent.model_slug, agent.organisation_id, is_voice=is_voice)
    if not is_ours and not origins.is_listed(call.origin, agent):
        raise Refusal("origin_not_allowed")
    if not is_member:
        call.person.require()
    ip_limits.count_start(call.client_ip, agent.id)
    session = _take_place(call, agent, _Terms(is_member, served, consent, is_written_down), timezone.now())
    log.info("call admitted", session_id=str(session.id), agent_id=str(agent.id), model=session.model_served)
    return Admission(session, tickets.issue(session.id))


def first_hold_micro(agent: Agent, *, is_voice: bool = True) -> int:
    """Return what a wallet must have for a call to begin. Raises Refusal when no model or no price can be had."""
    return _first_hold_micro(agent, served_for(agent.model_slug, agent.organisation_id, is_voice=is_voice))


@transaction.atomic
def _take_place(call: CallRequest, agent: Agent, terms: _Terms, now: datetime) -> Session:
    """Check what others change at the same time, and take the place in the same transaction, so that limits are exact.

    The row of Switches is the queue: one admission at a time, so a few milliseconds each.
    """
    switches, _ = Switches.objects.select_for_update().get_or_create(id=1)
    refuse_paused(switches)
    # Locked against the meters of its live calls, which claim more of the day's ceiling as they go.
    agent = Agent.objects.select_for_update(no_key=True, of=("self",)).select_related("organisation").get(id=agent.id)
    refuse_inactive(agent.organisation, agent)
    check_room(agent, call.client_ip, now, call.visitor_id)
    hold_micro = _first_hold_micro(agent, terms.served)
    if not terms.is_member:
        _refuse_over_ceiling(agent, hold_micro, now)
    expires_at = now + timedelta(seconds=settings.TICKET_LIFETIME_S)
    session = Session(
        id=uuid4(),
        organisation=agent.organisation,
        agent=agent,
        is_voice=call.is_voice and terms.served.can_be_talked_to,
        language=call.language or agent.language,
        model_asked=terms.served.model.asked.slug,
        model_served=terms.served.model.served.slug,
        model_reason=terms.served.model.reason,
        visitor_id=call.visitor_id,
        client_ip=call.client_ip,
        is_member=terms.is_member,
        transcript_policy=terms.consent.policy,
        consent=terms.consent.answer,
        consent_version=terms.consent.version,
        consent_at=terms.consent.at,
        transcribes_input=terms.is_written_down,
        spend_cap_micro=None if terms.is_member else hold_micro,
        created_at=now,
        ticket_expires_at=expires_at,
    )
    hold_expires_at = expires_at + timedelta(seconds=agent.max_duration_s + HOLD_OUTLIVES_S)
    session.hold_id = open_hold(session, hold_micro, hold_expires_at).id
    session.save(force_insert=True)
    return session


def _find_agent(key: str) -> Agent:
    agent = Agent.objects.select_related("organisation").filter(public_key=key).first()
    if agent is None:
        raise Refusal("agent_not_found")
    return agent


def _is_member(user: User | AnonymousUser, agent: Agent) -> bool:
    return user.is_authenticated and Membership.objects.filter(user=user, organisation=agent.organisation_id).exists()


def _refuse_hidden(agent: Agent, is_member: bool) -> None:
    # The answer of an agent that does not exist: a stranger learns nothing of a private one.
    if not agent.is_public and not is_member:
        raise Refusal("agent_not_found")


def _first_hold_micro(agent: Agent, served: Served) -> int:
    return hold_for(served, words_of(agent), max_output_tokens=agent.max_output_tokens)


def _refuse_over_ceiling(agent: Agent, hold_micro: int, now: datetime) -> None:
    if remaining_today_micro(agent, now) < hold_micro:
        until_midnight = start_of_day(now) + timedelta(days=1) - now
        raise Refusal("daily_ceiling_reached", retry_after_s=max(1, int(until_midnight.total_seconds())))
