"""Which keys a provider is asked with: an organisation's own before the provider's, and none that cannot be read."""

from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db.models import Q, QuerySet

from config.encryption import NotDecryptable
from voice.catalogue.embedded import EMBEDDED_SLUGS
from voice.models import CatalogueModel, Provider, ProviderAdapter, ProviderKey

__all__ = ["Keys", "is_set_up", "keys_of", "missing_key", "offered_to", "provider_of"]

log = structlog.get_logger(__name__)

_SECRETS = ("api_key", "speech_api_key")


@dataclass(frozen=True, slots=True)
class Keys:
    """Empty where there is none."""

    api_key: str = field(default="", repr=False)
    speech_api_key: str = field(default="", repr=False)


def provider_of(model: CatalogueModel) -> Provider | None:
    """Return where a model is served, without its keys; None: a built-in provider of the settings."""
    if model.provider_id is None:
        return None
    return Provider.objects.defer(*_SECRETS).get(pk=model.provider_id)


def keys_of(provider: Provider, organisation_id: UUID | None) -> Keys:
    """Return what a provider is asked with for an organisation (None: for nobody in particular)."""
    own = Keys()
    if organisation_id is not None:
        own = _readable(ProviderKey.objects.filter(provider=provider, organisation_id=organisation_id))
    ours = _readable(Provider.objects.filter(pk=provider.pk))
    api_key = own.api_key or ours.api_key
    if not api_key and not provider.base_url and provider.adapter != ProviderAdapter.AZURE_OPENAI:
        # Without an address of its own it is OpenAI as the settings know it.
        api_key = settings.OPENAI_API_KEY
    return Keys(api_key, own.speech_api_key or ours.speech_api_key)


def is_set_up(model: CatalogueModel) -> bool:
    """Say whether one of the built-in providers serves a model here; those with a row of their own have keys there."""
    is_ours = model.adapter == "pipeline" or model.slug in EMBEDDED_SLUGS
    return model.provider_id is not None or is_ours or bool(settings.OPENAI_API_KEY)


def missing_key(model: CatalogueModel, organisation_id: UUID | None) -> str:
    """Return why a model cannot be asked for want of a key, as the end of a sentence; "" when it can."""
    provider = provider_of(model)
    if provider is None:
        is_missing = model.adapter == "openai" and not settings.OPENAI_API_KEY
        return "needs an OpenAI key, and this server has none" if is_missing else ""
    if provider.adapter == ProviderAdapter.AZURE_OPENAI and not provider.base_url:
        return f"needs the address of {provider.name}, and this server has none"
    if not provider.needs_key:
        return ""
    keys = keys_of(provider, organisation_id)
    needed = [keys.api_key, keys.speech_api_key] if provider.adapter == ProviderAdapter.SARVAM else [keys.api_key]
    return "" if all(needed) else f"needs a key for {provider.name}, and this server has none"


def offered_to(models: QuerySet[CatalogueModel], organisation_id: UUID | None) -> QuerySet[CatalogueModel]:
    """Leave out the models of providers that nobody has set up; those of the settings stay, for what stands in."""
    has_key = Q(provider__needs_key=False) | ~Q(provider__api_key="") | ~Q(provider__speech_api_key="")
    if organisation_id is not None:
        own = ProviderKey.objects.filter(organisation_id=organisation_id)
        has_key |= Q(provider__in=own.values("provider"))
    return models.filter(Q(provider=None) | has_key)


def _readable(rows: "QuerySet[Any]") -> Keys:
    try:
        found = rows.values_list(*_SECRETS).first()
    except NotDecryptable:
        # As if it had none: the fallbacks serve, and the operator types it again.
        log.error("a provider's key cannot be read", table=rows.model._meta.db_table)
        return Keys()
    return Keys(*found) if found else Keys()
