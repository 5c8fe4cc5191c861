"""The catalogue: what is on offer, until when, at which prices, and what answers today."""

from datetime import UTC, date, datetime, time
from typing import Any

from django.http import HttpRequest
from ninja import Router

from voice.api.amounts import plain_credits
from voice.api.answers import answers
from voice.api.callers import ApiKey, holder_of
from voice.api.errors import InvalidRequest
from voice.api.schemas import ModelEntry, ModelList
from voice.catalogue.http_models import resolve_http_model
from voice.catalogue.on_offer import ModelNotOffered, Offers, offers_to, reason_for
from voice.catalogue.providers import offered_to
from voice.catalogue.rates import RateMissing, rate_card
from voice.catalogue.seed_data import RATES_VALID_FROM
from voice.models import CatalogueModel
from voice.models.catalogue import ModelKind

router = Router(tags=["Models"])

# OpenAI's list wants a time; ours is when the catalogue was made, so that it never changes.
_CREATED = int(datetime.combine(RATES_VALID_FROM, time(), tzinfo=UTC).timestamp())
_MODALITIES = {
    ModelKind.REALTIME: (["text", "audio"], ["text", "audio"]),
    ModelKind.TRANSCRIPTION: (["audio"], ["text"]),
    ModelKind.CHAT: (["text"], ["text"]),
    ModelKind.SPEECH: (["text"], ["audio"]),
}


@router.get(
    "api/v1/models",
    url_name="public_models",
    operation_id="list_public_models",
    summary="What is on offer",
    auth=None,
    response=answers({200: ModelList}),
)
def list_public(request: HttpRequest) -> ModelList:
    """Every model with its status, shutdown date, successor and prices. Needs no key."""
    return _every_model(offers_to(None))


@router.get(
    "v1/models",
    url_name="models",
    operation_id="list_models",
    summary="List models, as OpenAI does",
    auth=ApiKey(),
    response=answers({200: ModelList}),
)
def list_models(request: HttpRequest) -> ModelList:
    """The models that the key may use: those its organisation has a provider's key for, too."""
    holder = holder_of(request)
    allowed = holder.allowed_models
    listed = _every_model(offers_to(holder.organisation_id))
    listed.data = [entry for entry in listed.data if not allowed or entry.id in allowed]
    return listed


@router.get(
    "v1/models/{model_id}",
    url_name="model",
    operation_id="get_model",
    summary="Read a model",
    auth=ApiKey(),
    response=answers({200: ModelEntry}, 404),
)
def get_model(request: HttpRequest, model_id: str) -> ModelEntry:
    holder = holder_of(request)
    model = None if "\x00" in model_id else CatalogueModel.objects.filter(slug=model_id).first()
    if model is None:
        raise InvalidRequest("There is no such model.", code="model_not_found", status=404)
    return _entry(model, offers_to(holder.organisation_id))


def _every_model(offers: Offers) -> ModelList:
    models = offered_to(CatalogueModel.objects.all(), offers.organisation_id)
    return ModelList(data=[_entry(model, offers) for model in models])


def _entry(model: CatalogueModel, offers: Offers) -> ModelEntry:
    model = offers.of(model)
    takes, gives = _MODALITIES[ModelKind(model.kind)]
    served, reason = _served(model, offers)
    fields: dict[str, Any] = {
        "id": model.slug,
        "created": _CREATED,
        "owned_by": "openai" if model.slug.startswith(("gpt-", "whisper-")) else "parley",
        "name": model.name,
        "kind": model.kind,
        "status": model.status,
        "status_note": model.status_note,
        "expected_back_at": model.expected_back_at,
        "available": served == model.slug,
        "shutdown_date": model.shutdown_on.isoformat() if model.shutdown_on else None,
        "successor": model.successor_slug or None,
        "served_by": served,
        "served_reason": reason,
        "context_tokens": model.context_tokens,
        "max_output_tokens": model.max_output_tokens,
        "input_modalities": [*takes, "image"] if model.sees_images else takes,
        "output_modalities": gives,
        "voices": list(model.voices),
        "prices": _prices(model, offers.today),
    }
    return ModelEntry(**fields)


def _served(model: CatalogueModel, offers: Offers) -> tuple[str | None, str]:
    if model.kind != ModelKind.REALTIME:
        try:
            resolved = resolve_http_model(model.slug, ModelKind(model.kind), offers.today, offers.organisation_id)
        except (ModelNotOffered, RateMissing):
            return None, ""
        return resolved.served.slug, resolved.reason
    why = offers.why_not(model)
    for candidate in offers.on_offer(model):
        return candidate.slug, reason_for(model, candidate, why)
    return None, f"{model.name} {why}."


def _prices(model: CatalogueModel, today: date) -> dict[str, str]:
    try:
        card = rate_card(model.slug, today)
    except RateMissing:
        return {}
    return {str(kind): plain_credits(micro) for kind, micro in card.micro_per_million.items()}
