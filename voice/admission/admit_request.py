"""May this HTTP request be served, and how much of it? Its worst case is held before any provider is asked."""

from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID, uuid4

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.api_keys import check_usable
from accounts.exceptions import KeyRefused
from billing import ledger
from billing.exceptions import InsufficientCredits
from voice.admission.key_holders import Holder
from voice.admission.key_limits import locked
from voice.admission.opening import refuse_blocked, refuse_paused
from voice.admission.refusals import Refusal
from voice.catalogue.ceilings import remaining_of_key_micro
from voice.catalogue.http_models import HttpModel, http_models_of, resolve_http_model
from voice.catalogue.on_offer import ModelNotOffered
from voice.catalogue.rate_card import RateMissing
from voice.models import ApiRequest, Switches
from voice.models.catalogue import ModelKind

log = structlog.get_logger(__name__)

# Longer than any request may take; a process that dies leaves its hold to the sweep of expired ones.
_HOLD_S = 900


@dataclass(frozen=True, slots=True)
class Need:
    """What a request would take at most, in micro-credits, and the least with which it is still worth asking.

    The hold is what the wallet and the key's budget allow between the two, so that an answer without a bound of its own
    does not need a wallet for the longest one there is.
    """

    most_micro: int
    least_micro: int


def model_for(holder: Holder, slug: str, kind: ModelKind, failed: HttpModel | None = None) -> HttpModel:
    """Return what serves a request for `slug`, and does so now that one has `failed`. Raises Refusal."""
    holder.require_model(slug)
    try:
        return resolve_http_model(slug, kind, organisation_id=holder.organisation_id, failed=failed)
    except ModelNotOffered as error:
        raise _refusal_of(error, kind, holder.organisation_id) from None
    except RateMissing as error:
        log.error("request refused for want of a rate", model=error.model_slug, kind=error.kind)
        raise Refusal("model_not_priced") from None


def admit_request(holder: Holder, model: HttpModel, kind: ApiRequest.Kind, need: Need, *, client_ip: str) -> ApiRequest:
    """Hold what a request may cost and return its row; `held_micro` is what was held. Raises Refusal."""
    if client_ip:
        refuse_blocked(client_ip)
    with transaction.atomic():
        refuse_paused(Switches.objects.filter(id=1).first())
        key, _ = locked(holder.api_key_id, None)
        try:
            check_usable(key)
        except KeyRefused as error:
            raise Refusal(error.code) from None
        now = timezone.now()
        budget_micro = remaining_of_key_micro(key, now)
        if budget_micro is not None and budget_micro < need.least_micro:
            raise Refusal("api_key_budget_reached")
        request = ApiRequest(
            id=uuid4(),
            organisation_id=holder.organisation_id,
            api_key=key,
            kind=kind,
            model_asked=model.asked.slug,
            model_served=model.served.slug,
            created_at=now,
        )
        available_micro = ledger.balance_of(holder.organisation_id).available_micro
        limits = [need.most_micro, max(need.least_micro, available_micro)]
        if budget_micro is not None:
            limits.append(budget_micro)
        request.held_micro = max(1, min(limits))
        try:
            hold = ledger.open_hold(
                holder.organisation_id,
                request.held_micro,
                key=request.reference,
                reference=request.reference,
                expires_at=now + timedelta(seconds=_HOLD_S),
            )
        except InsufficientCredits:
            raise Refusal("out_of_credit", message="There are not enough credits for this request.") from None
        request.hold_id = hold.id
        request.save(force_insert=True)
    return request


def _refusal_of(error: ModelNotOffered, kind: ModelKind, organisation_id: UUID) -> Refusal:
    if error.code == "model_unavailable":
        return Refusal("model_unavailable")
    name = f"{error.slug[:80]!a}"
    if error.code == "model_is_voice_only":
        return Refusal(
            "model_is_voice_only",
            message=f"{name} is voice-only: talk to it over /v1/realtime, or start a call with /v1/voice/sessions.",
        )
    allowed = ", ".join(http_models_of(kind, organisation_id))
    return Refusal("model_not_found", message=f"There is no model {name} for this. Choose one of: {allowed}.")
