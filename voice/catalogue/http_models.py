"""Which model serves one HTTP request for text, a transcription or speech, where, and what it is billed by."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from uuid import UUID

from voice.catalogue.embedded import EMBEDDED_SLUGS, NAME_THERE, SLUG_OF_KIND
from voice.catalogue.on_offer import ModelNotOffered, Offers, offers_to, reason_for
from voice.catalogue.providers import Keys, is_set_up, keys_of, offered_to, provider_of
from voice.catalogue.rate_card import RateCard
from voice.catalogue.rates import rate_card
from voice.models import CatalogueModel, Provider, ProviderAdapter
from voice.models.catalogue import ModelKind

# Streams of a live call only: the provider serves them over a websocket of their own.
_STREAM_ONLY = {"gpt-live-transcribe", "gpt-realtime-whisper"}
_NO_KEY = "needs an OpenAI key, and this server has none"


@dataclass(frozen=True, slots=True)
class HttpModel:
    """`reason` is a sentence when `served` is not what was asked for. `provider_model` is the name to ask for.

    `provider` is where it is asked, with `keys`; None: OpenAI by the settings, or the embedded models.
    """

    asked: CatalogueModel
    served: CatalogueModel
    reason: str
    card: RateCard
    is_embedded: bool
    provider_model: str
    provider: Provider | None = None
    keys: Keys = field(default_factory=Keys, repr=False)


def resolve_http_model(
    slug: str,
    kind: ModelKind,
    today: date | None = None,
    organisation_id: UUID | None = None,
    *,
    failed: HttpModel | None = None,
) -> HttpModel:
    """Return what serves a request that asks for `slug`, its prices and keys with it.

    With an organisation, its own keys and overrides count beside the operator's. `failed` has been asked just now: what
    stands in for it by the catalogue's lists.
    Raises ModelNotOffered (model_unknown, model_is_voice_only, model_of_another_kind, model_unavailable), RateMissing.
    """
    offers = offers_to(organisation_id, today)
    asked = CatalogueModel.objects.filter(slug=slug).first()
    if asked is not None and asked.kind != kind and asked.kind == ModelKind.REALTIME:
        raise ModelNotOffered("model_is_voice_only", slug)
    if asked is None or not _has_http(asked):
        raise ModelNotOffered("model_unknown", slug)
    if asked.kind != kind:
        raise ModelNotOffered("model_of_another_kind", slug)
    for model in _candidates(asked, offers, failed):
        if not _why_not(model, offers):
            return _at_its_place(asked, model, offers)
    raise ModelNotOffered("model_unavailable", slug)


def http_models_of(kind: ModelKind, organisation_id: UUID | None = None) -> list[str]:
    """Return the names that a request of this kind may ask for."""
    models = offered_to(CatalogueModel.objects.filter(kind=kind), organisation_id)
    return [model.slug for model in models if _has_http(model)]


def answers_over_http(provider: Provider, kind: ModelKind) -> bool:
    """Say whether a provider is asked for text, transcriptions or speech over HTTP, and not only in calls."""
    match provider.adapter:
        case ProviderAdapter.OPENAI:
            # An address is that of Realtime: text is asked for at another, which we are not told.
            return not provider.base_url
        case ProviderAdapter.SARVAM:
            # Between its own speech and voice an OpenAI-compatible chat model answers.
            return kind == ModelKind.CHAT
    return True


def _has_http(model: CatalogueModel) -> bool:
    provider = provider_of(model)
    return model.slug not in _STREAM_ONLY and (provider is None or answers_over_http(provider, ModelKind(model.kind)))


def _candidates(asked: CatalogueModel, offers: Offers, failed: HttpModel | None) -> Iterator[CatalogueModel]:
    ladder = (model for model in offers.ladder_of(asked) if _has_http(model))
    yield from (model for model in ladder if failed is None or model.pk != failed.served.pk)
    if failed is not None or asked.pk in offers.down_ids:
        # That is over soon: a program that asks again is better off than with a much smaller model for a while.
        return
    # Whatever the operator's lists say, what needs no key is the last resort.
    embedded = CatalogueModel.objects.filter(slug=SLUG_OF_KIND[ModelKind(asked.kind)]).first()
    if embedded is not None:
        yield offers.of(embedded)


def _why_not(model: CatalogueModel, offers: Offers) -> str:
    if reason := offers.why_not(model):
        return reason
    return "" if is_set_up(model) else _NO_KEY


def _at_its_place(asked: CatalogueModel, served: CatalogueModel, offers: Offers) -> HttpModel:
    is_embedded = served.slug in EMBEDDED_SLUGS
    provider = provider_of(served)
    return HttpModel(
        asked=offers.of(asked),
        served=served,
        # One that nothing was known of has failed a moment ago.
        reason=reason_for(asked, served, _why_not(asked, offers) or "did not answer"),
        card=rate_card(served.slug, offers.today),
        is_embedded=is_embedded,
        provider_model=NAME_THERE[ModelKind(asked.kind)] if is_embedded else served.provider_model,
        provider=provider,
        keys=keys_of(provider, offers.organisation_id) if provider else Keys(),
    )
