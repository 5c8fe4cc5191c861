"""What voice/_call.html is given, and what to tell a visitor when no call can start."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings

from accounts.models import Membership
from billing import ledger
from billing.exceptions import LedgerError
from voice.admission.admit import first_hold_micro
from voice.admission.refusals import Refusal
from voice.catalogue.on_offer import ModelNotOffered, resolve_model
from voice.models import Agent, Switches
from voice.status.banner import banner_for
from voice.transcripts.consent import wording_of
from voice.widget_look import chosen_look
from voice.words import with_texts, words_of


@dataclass(frozen=True, slots=True)
class Closed:
    """Why no call can start: paused, suspended, agent_paused, no_credits or no_demo, with what to say about it."""

    code: str
    title: str
    sentence: str


def call_context(agent: Agent, *, is_member: bool, language: str = "") -> dict[str, Any]:
    """Return what voice/_call.html needs; `language` is a tag, by default the agent's."""
    wording = wording_of(agent, language)
    return {
        "words": with_texts(words_of(language or agent.language), chosen_look(agent).texts),
        "language": language or agent.language,
        "agent_public_key": agent.public_key,
        "agent_name": agent.name,
        "captcha_kind": "none" if is_member else settings.CAPTCHA,
        "recaptcha_site_key": settings.RECAPTCHA_PUBLIC_KEY,
        "shows_prices": agent.shows_prices or is_member,
        "banner": banner_for(agent, language),
        # Members who try their own agent are callers too.
        "consent": {"policy": agent.transcript_policy, "text": wording.text, "version": wording.version},
    }


def why_closed(agent: Agent) -> Closed | None:
    """Return what stands in the way of a call, or None. Admission decides again, for each call and more strictly."""
    switches = Switches.objects.filter(pk=1).first()
    if switches is not None and switches.calls_paused:
        return Closed("paused", "Calls are paused", switches.pause_message or "Please come back in a little while.")
    if not agent.organisation.is_active:
        return Closed("suspended", f"{agent.name} is not taking calls", "Its organisation is not active at the moment.")
    if not agent.is_active:
        return Closed("agent_paused", f"{agent.name} is not taking calls", "It was paused by its organisation.")
    if not _has_credits(agent):
        return Closed(
            "no_credits", "The credits are used up", "A call starts again as soon as there are credits in the wallet."
        )
    return None


def model_note(agent: Agent) -> str:
    """Return a sentence when another model than the chosen one answers, or none can; else an empty one."""
    try:
        return resolve_model(agent.model_slug, agent.organisation).reason
    except ModelNotOffered:
        return f"{agent.model_slug} is not on offer, and nothing can stand in for it. Choose another model."


def is_member_of(agent: Agent, membership: Membership | None) -> bool:
    return membership is not None and membership.organisation_id == agent.organisation_id


def _has_credits(agent: Agent) -> bool:
    """Say whether the wallet covers what a call needs to begin: a rest too small for that buys nothing.

    Where no model can be talked to, it is no credits that are missing: the banner says so, and offers to type.
    """
    try:
        needed_micro = first_hold_micro(agent)
    except Refusal:
        needed_micro = 1
    try:
        return ledger.balance_of(agent.organisation_id).available_micro >= needed_micro
    except LedgerError:
        return False
