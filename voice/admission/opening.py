"""What every way into a call shares: who is kept out, which model answers at which prices, and the first hold."""

import json
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import structlog

from accounts.models import Organisation
from billing import ledger
from billing.exceptions import InsufficientCredits
from config import stopping
from voice.admission import networks
from voice.admission.refusals import Refusal
from voice.catalogue.on_offer import (
    ModelNotOffered,
    Resolved,
    offers_now,
    offers_to,
    reason_for,
    text_after,
)
from voice.catalogue.rates import Prices, RateMissing, prices_now, text_prices_of
from voice.models import Agent, CatalogueModel, Session, Switches
from voice.models.catalogue import ModelKind

log = structlog.get_logger(__name__)

# A hold outlives the longest call by this much; the sweep settles a dead call long before.
HOLD_OUTLIVES_S = 900

# Beside the agent's own words the model reads our manners and tools (sessions/prompt.py, tools.py): about 1.5 kB.
_OWN_WORDS_BYTES = 2000
# No tokenizer in use makes more than one token of two bytes, on average over a text.
_BYTES_PER_TOKEN = 2

_DEMO_USED_UP = "The demo has used up its credits for now. Sign up to talk with credits of your own."


@dataclass(frozen=True, slots=True)
class Served:
    """The model that answers, and what it is billed by."""

    model: Resolved
    prices: Prices

    @property
    def can_be_talked_to(self) -> bool:
        return self.model.served.kind == ModelKind.REALTIME


def refuse_blocked(client_ip: str) -> None:
    if networks.is_blocked(client_ip):
        raise Refusal("network_blocked")


def refuse_paused(switches: Switches | None) -> None:
    if stopping.is_stopping():
        raise Refusal("restarting")
    if switches and switches.calls_paused:
        raise Refusal("calls_paused", message=switches.pause_message)


def refuse_inactive(organisation: Organisation, agent: Agent | None) -> None:
    if not organisation.is_active:
        raise Refusal("organisation_suspended")
    if agent is not None and not agent.is_active:
        raise Refusal("agent_paused")


def served_for(slug: str, organisation_id: UUID, *, is_voice: bool) -> Served:
    """Return what answers a call that asks for `slug`. Raises Refusal when nothing does, or nothing has a price."""
    offers = offers_now(organisation_id)
    try:
        model = offers.resolve(slug)
        return Served(model, prices_now(model.served, offers.today, organisation_id if is_voice else None))
    except ModelNotOffered as error:
        raise Refusal(error.code) from None
    except RateMissing as error:
        log.error("call refused for want of a rate", model=error.model_slug, kind=error.kind)
        raise Refusal("model_not_priced") from None


def served_or_written_to(slug: str, organisation_id: UUID, *, is_voice: bool) -> Served:
    """As `served_for`, but where no model can be talked to one that is written to answers, if there is one."""
    try:
        return served_for(slug, organisation_id, is_voice=is_voice)
    except Refusal as refusal:
        if refusal.code != "model_unavailable":
            raise
        if written := _written_to(slug, organisation_id):
            return written
        raise


def _written_to(slug: str, organisation_id: UUID) -> Served | None:
    offers = offers_to(organisation_id)
    model = text_after(slug, organisation_id, (), offers.today)
    if model is None:
        return None
    asked = CatalogueModel.objects.get(slug=slug)
    try:
        prices = text_prices_of(model, offers.today)
    except RateMissing as error:
        log.error("call refused for want of a rate", model=error.model_slug, kind=error.kind)
        return None
    return Served(Resolved(asked, model, reason_for(asked, model, offers.why_not(asked))), prices)


def words_of(agent: Agent) -> list[str]:
    """Return what the model reads of an agent before its first response."""
    return [agent.instructions, agent.greeting, json.dumps(agent.collects, ensure_ascii=False)]


def first_hold_micro(served: Served, words: list[str], *, max_output_tokens: int) -> int:
    """Return the worst case of the first response, which reads `words` beside our own."""
    read_bytes = _OWN_WORDS_BYTES + sum(len(text.encode()) for text in words)
    worst_micro = served.prices.worst_case_micro(
        context_tokens=read_bytes // _BYTES_PER_TOKEN,
        max_output_tokens=min(max_output_tokens, served.model.served.max_output_tokens),
    )
    return max(1, worst_micro)


def open_hold(session: Session, amount_micro: int, expires_at: datetime) -> ledger.HoldState:
    """Set aside what the first response of a session may cost. Raises Refusal when the wallet does not have it."""
    try:
        return ledger.open_hold(
            session.organisation_id,
            amount_micro,
            key=session.reference,
            reference=session.reference,
            expires_at=expires_at,
        )
    except InsufficientCredits:
        message = _DEMO_USED_UP if session.organisation.is_house else ""
        raise Refusal("out_of_credit", message=message) from None
