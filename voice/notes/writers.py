"""Which model writes a note today, where it is asked, and what that finds of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

from django.conf import settings

from voice.catalogue import breaker
from voice.catalogue.on_offer import writers_of
from voice.catalogue.providers import keys_of, provider_of
from voice.catalogue.seed_data import EMBEDDED_CHAT
from voice.models import CatalogueModel, NoteReason, NoteWriter, ProviderAdapter
from voice.notes.chat import Endpoint

# Far more than a note takes; a model that thinks first needs room for that.
_TOKENS_OUT_MAX = 1_500
_TOKENS_THOUGHT_MAX = 6_000
# Their address is that of an OpenAI-compatible API, where text is asked for.
_SPEAKS_CHAT = {ProviderAdapter.PIPELINE, ProviderAdapter.SARVAM}
# Why a model did not answer, as calls name it.
_CODES = {
    NoteReason.UNREACHABLE: "upstream_unreachable",
    NoteReason.PROVIDER_FAILED: "upstream_unavailable",
    NoteReason.BUSY: "upstream_rate_limited",
    NoteReason.KEY_REFUSED: "upstream_unauthorized",
    NoteReason.NO_MODEL: "upstream_model_not_found",
}


@dataclass(frozen=True, slots=True)
class Writer:
    model: CatalogueModel
    endpoint: Endpoint
    kind: NoteWriter

    @property
    def is_asked_as_in_calls(self) -> bool:
        """Whether what notes find of the model holds for calls: it is asked at the same place with the same key."""
        if self.kind == NoteWriter.EMBEDDED:
            return False
        own = Endpoint(settings.OPENAI_API_URL.rstrip("/"), settings.OPENAI_API_KEY)
        return self.model.provider_id is not None or self.endpoint == own

    @property
    def tokens_out_max(self) -> int:
        return _TOKENS_OUT_MAX + (_TOKENS_THOUGHT_MAX if self.model.is_reasoning else 0)

    def options(self) -> dict[str, Any]:
        """Return the request's fields that depend on the model. No temperature: not every successor takes one."""
        thinking = {"reasoning_effort": "low"} if self.model.is_reasoning else {}
        return {"max_completion_tokens": self.tokens_out_max, "store": False, **thinking}


def tell_breaker(writer: Writer, organisation_id: UUID, refused: NoteReason | None) -> None:
    """Have a model's breaker told that it answered (None), or why not, where that says something of the model."""
    if not writer.is_asked_as_in_calls:
        return
    if refused is None:
        breaker.answered(writer.model.slug)
    elif refused in _CODES:
        breaker.failed(writer.model.slug, _CODES[refused], organisation_id)


def writers(today: date, organisation_id: UUID) -> Iterator[Writer]:
    """Yield who can write, best first: the model of NOTES_MODEL or what stands in for it; the embedded one for want of
    a key."""
    has_key = bool(settings.NOTES_API_KEY)
    for model in writers_of(settings.NOTES_MODEL, today, organisation_id):
        endpoint = _endpoint_of(model, organisation_id)
        if endpoint is not None:
            has_key = True
            yield Writer(model, endpoint, NoteWriter.MODEL)
    if not has_key:
        for model in writers_of(EMBEDDED_CHAT, today):
            yield Writer(model, Endpoint(settings.LOCAL_MODELS_URL, ""), NoteWriter.EMBEDDED)


def _endpoint_of(model: CatalogueModel, organisation_id: UUID) -> Endpoint | None:
    """Return where a model is asked for text; None where nobody can, or the embedded one is to be its last resort."""
    if model.slug == EMBEDDED_CHAT:
        return None
    provider = provider_of(model)
    if provider is None:
        return Endpoint(settings.NOTES_API_URL, settings.NOTES_API_KEY) if settings.NOTES_API_KEY else None
    if provider.adapter not in _SPEAKS_CHAT and provider.base_url:
        # An address of Realtime: text is asked for at another, which we are not told.
        return None
    if provider.adapter == ProviderAdapter.AZURE_OPENAI:
        return None
    url = provider.base_url or settings.OPENAI_API_URL
    return Endpoint(url.rstrip("/"), keys_of(provider, organisation_id).api_key)
