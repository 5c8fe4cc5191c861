"""May a customer's own code open this call? `admit`'s order of checks, with a key's limits for the caller's."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import structlog
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from accounts.api_keys import check_usable
from accounts.exceptions import KeyRefused
from accounts.models import Organisation
from voice.admission.concurrency import check_room_for_client
from voice.admission.key_holders import Holder
from voice.admission.key_limits import check_budgets, locked
from voice.admission.opening import (
    HOLD_OUTLIVES_S,
    Served,
    first_hold_micro,
    open_hold,
    refuse_blocked,
    refuse_inactive,
    refuse_paused,
    served_for,
    served_or_written_to,
    words_of,
)
from voice.admission.refusals import Refusal
from voice.models import Agent, Session, Source, Switches, TranscriptPolicy
from voice.transcripts.consent import Consent, consent_of

log = structlog.get_logger(__name__)

# An hour is the longest session of the providers, too.
MAX_DURATION_S = 3600
DEFAULT_PROMPT = "You are a friendly and helpful voice assistant."
# Held before the first response; what a client then asks for beyond it is held when it asks.
_FIRST_OUTPUT_TOKENS = 1024


@dataclass(frozen=True, slots=True)
class Asked:
    """What a client wants of a call, already checked; what is empty is the agent's, or the installation's own.

    `agent`: an agent's public key or id. `consent` is what the caller answered to the wording `consent_version`, which
    the client showed them, about keeping their words; only an agent keeps any.
    """

    agent: str = ""
    consent: bool | None = None
    consent_version: str = ""
    language: str = ""
    system_prompt: str = ""
    voice: str = ""
    turn_detection: str = ""
    max_duration_s: int | None = None
    webhook_url: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


def admit_client(
    holder: Holder,
    *,
    model: str = "",
    is_voice: bool = True,
    client_ip: str = "",
    source: Source = Source.REALTIME,
    asked: Asked = Asked(),
) -> Session:
    """Open a session with a hold on the holder's wallet and return it, admitted and without a ticket.

    Where no model can be talked to, a call of the widget's protocol is admitted as a typed one.
    `model` "": the one a client secret is for, else the agent's, else the installation's default. Raises Refusal;
    after any other exception nothing was opened. A session that never begins is released by the sweep.
    """
    holder.require("realtime")
    if client_ip:
        refuse_blocked(client_ip)
    refuse_paused(Switches.objects.filter(id=1).first())
    agent = _find_agent(asked.agent, holder.organisation_id)
    if agent is not None:
        refuse_inactive(agent.organisation, agent)
    slug = _model_of(model, holder, agent)
    holder.require_model(slug)
    # A program on the Realtime socket speaks to the model itself: one that is only written to is none to it.
    find = served_for if source == Source.REALTIME else served_or_written_to
    try:
        served = find(slug, holder.organisation_id, is_voice=is_voice)
    except Refusal as refusal:
        raise _of_a_model(refusal, slug) from None
    is_voice = is_voice and served.can_be_talked_to
    call = _Call(holder, agent, served, is_voice, client_ip, source, asked)
    session = _take_place(call, timezone.now())
    log.info("call admitted", session_id=str(session.id), source=str(session.source), model=session.model_served)
    return session


@dataclass(frozen=True, slots=True)
class _Call:
    holder: Holder
    agent: Agent | None
    served: Served
    is_voice: bool
    client_ip: str
    source: Source
    asked: Asked

    @property
    def max_duration_s(self) -> int:
        own_s = self.asked.max_duration_s or (self.agent.max_duration_s if self.agent else MAX_DURATION_S)
        return min(own_s, self.holder.max_duration_s or MAX_DURATION_S, MAX_DURATION_S)

    @property
    def hold_micro(self) -> int:
        words = [self.asked.system_prompt, str(self.holder.session.get("instructions", ""))]
        if self.agent is None:
            return first_hold_micro(self.served, words, max_output_tokens=_FIRST_OUTPUT_TOKENS)
        most = self.agent.max_output_tokens
        return first_hold_micro(self.served, [*words, *words_of(self.agent)], max_output_tokens=most)


@transaction.atomic
def _take_place(call: _Call, now: datetime) -> Session:
    """Check what others change at the same time, and take the place in the same transaction, as `admit` does."""
    switches, _ = Switches.objects.select_for_update().get_or_create(id=1)
    refuse_paused(switches)
    key, secret = locked(call.holder.api_key_id, call.holder.client_secret_id)
    try:
        check_usable(key)
    except KeyRefused as error:
        raise Refusal(error.code) from None
    check_room_for_client(call.holder, call.agent.id if call.agent else None, now)
    hold_micro = call.hold_micro
    is_capped = check_budgets(key, secret, hold_micro, now)
    session = _session_of(call, key.organisation, now)
    session.spend_cap_micro = hold_micro if is_capped else None
    hold_expires_at = session.ticket_expires_at + timedelta(seconds=call.max_duration_s + HOLD_OUTLIVES_S)
    session.hold_id = open_hold(session, hold_micro, hold_expires_at).id
    session.save(force_insert=True)
    return session


def _session_of(call: _Call, organisation: Organisation, now: datetime) -> Session:
    asked, agent, model = call.asked, call.agent, call.served.model
    consent = consent_of(agent, asked.consent, asked.consent_version, now) if agent else Consent(TranscriptPolicy.NEVER)
    return Session(
        id=uuid4(),
        organisation=organisation,
        agent=agent,
        is_voice=call.is_voice,
        language=asked.language or (agent.language if agent else "en"),
        model_asked=model.asked.slug,
        model_served=model.served.slug,
        model_reason=model.reason,
        client_ip=call.client_ip or None,
        # A key is its organisation's: what it spends is no public caller's, and counts against no agent's ceiling.
        is_member=True,
        source=call.source,
        api_key_id=call.holder.api_key_id,
        client_secret_id=call.holder.client_secret_id,
        metadata=dict(asked.metadata),
        webhook_url=asked.webhook_url,
        system_prompt=asked.system_prompt or ("" if agent else DEFAULT_PROMPT),
        voice=asked.voice,
        turn_detection=asked.turn_detection,
        transcript_policy=consent.policy,
        consent=consent.answer,
        consent_version=consent.version,
        consent_at=consent.at,
        max_duration_s=call.max_duration_s,
        created_at=now,
        ticket_expires_at=now + timedelta(seconds=settings.TICKET_LIFETIME_S),
    )


def _find_agent(name: str, organisation_id: UUID) -> Agent | None:
    if not name:
        return None
    agents = Agent.objects.select_related("organisation").filter(organisation=organisation_id)
    number = _uuid_of(name)
    agent = (agents.filter(id=number) if number else agents.filter(public_key=name)).first()
    if agent is None:
        raise Refusal("agent_not_found")
    return agent


def _uuid_of(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def _model_of(asked: str, holder: Holder, agent: Agent | None) -> str:
    if asked:
        return asked
    if holder.client_secret_id:
        return holder.allowed_models[0]
    return agent.model_slug if agent else settings.DEFAULT_REALTIME_MODEL


def _of_a_model(refusal: Refusal, slug: str) -> Refusal:
    # The widget's words blame the agent's settings; here the client named the model itself.
    if refusal.code != "model_unknown":
        return refusal
    return Refusal("model_not_found", message=f"There is no realtime model {slug[:80]!a}.")
