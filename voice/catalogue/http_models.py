"""Which model serves one HTTP request for text, a transcription or speech, and what it is billed by."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from django.conf import settings
from django.utils import timezone

from voice.catalogue.on_offer import ModelNotOffered, ladder_of, reason_for, why_not
from voice.catalogue.rate_card import RateCard
from voice.catalogue.rates import rate_card
from voice.catalogue.seed_data import EMBEDDED_CHAT, EMBEDDED_SPEECH, EMBEDDED_TRANSCRIBE
from voice.models import CatalogueModel
from voice.models.catalogue import ModelKind

# The embedded models by kind: their rows, and their names on the server they run in (local_models/).
EMBEDDED = {
    ModelKind.CHAT: (EMBEDDED_CHAT, "parley-receptionist"),
    ModelKind.TRANSCRIPTION: (EMBEDDED_TRANSCRIBE, "moonshine-tiny-en"),
    ModelKind.SPEECH: (EMBEDDED_SPEECH, "piper-joe"),
}
_EMBEDDED_SLUGS = {slug for slug, _ in EMBEDDED.values()}
# Streams of a live call only: the provider serves them over a websocket of their own, as all the other providers do.
_STREAM_ONLY = {"gpt-live-transcribe", "gpt-realtime-whisper"}
_NO_KEY = "needs an OpenAI key, and this server has none"


@dataclass(frozen=True, slots=True)
class HttpModel:
    """`reason` is a sentence when `served` is not what was asked for. `provider_model` is the name to ask for."""

    asked: CatalogueModel
    served: CatalogueModel
    reason: str
    card: RateCard
    is_embedded: bool
    provider_model: str


def resolve_http_model(slug: str, kind: ModelKind, today: date | None = None) -> HttpModel:
    """Return what serves a request that asks for `slug`, its prices with it.

    Raises ModelNotOffered (model_unknown, model_is_voice_only, model_of_another_kind, model_unavailable), RateMissing.
    """
    today = today or timezone.localdate()
    asked = CatalogueModel.objects.filter(slug=slug).first()
    if asked is None or slug in _STREAM_ONLY or asked.provider_id is not None:
        raise ModelNotOffered("model_unknown", slug)
    if asked.kind != kind:
        is_realtime = asked.kind == ModelKind.REALTIME
        raise ModelNotOffered("model_is_voice_only" if is_realtime else "model_of_another_kind", slug)
    for model in _candidates(asked, today):
        if not _why_not(model, today):
            is_embedded = model.slug in _EMBEDDED_SLUGS
            name = EMBEDDED[kind][1] if is_embedded else model.provider_model
            reason = reason_for(asked, model, _why_not(asked, today))
            return HttpModel(asked, model, reason, rate_card(model.slug, today), is_embedded, name)
    raise ModelNotOffered("model_unavailable", slug)


def http_models_of(kind: ModelKind) -> list[str]:
    """Return the names that a request of this kind may ask for."""
    models = CatalogueModel.objects.filter(kind=kind, provider=None).exclude(slug__in=_STREAM_ONLY)
    return list(models.values_list("slug", flat=True))


def _candidates(asked: CatalogueModel, today: date) -> Iterator[CatalogueModel]:
    ladder = ladder_of(asked, today)
    yield from (model for model in ladder if model.slug not in _STREAM_ONLY and model.provider_id is None)
    # Whatever the operator's lists say, what needs no key is the last resort.
    embedded = CatalogueModel.objects.filter(slug=EMBEDDED[ModelKind(asked.kind)][0]).first()
    if embedded is not None:
        yield embedded


def _why_not(model: CatalogueModel, today: date) -> str:
    if reason := why_not(model, today):
        return reason
    return "" if model.slug in _EMBEDDED_SLUGS or settings.OPENAI_API_KEY else _NO_KEY
