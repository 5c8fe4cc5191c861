"""Which address serves a model, and dialling it."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import replace

import structlog
from django.conf import settings

from voice.catalogue.embedded import EMBEDDED_VOICE, NAME_THERE
from voice.catalogue.providers import keys_of, provider_of
from voice.catalogue.seed_data import EMBEDDED_CHAT
from voice.models import Agent, CatalogueModel, Provider, ProviderAdapter, Session
from voice.models.catalogue import ModelKind
from voice.upstream import registry
from voice.upstream.base import Capabilities, Endpoint, EntraApplication, Upstream
from voice.upstream.errors import UpstreamError

log = structlog.get_logger(__name__)

_TRIES = 2
_DIAL_TIMEOUT_S = 8.0

# Where a provider is that has no address of its own; Azure's has always one.
_BUILT_IN_ADDRESS: dict[str, Callable[[], str]] = {
    ProviderAdapter.OPENAI: lambda: settings.OPENAI_REALTIME_URL,
    ProviderAdapter.AZURE_OPENAI: lambda: "",
    ProviderAdapter.PIPELINE: lambda: settings.OPENAI_API_URL,
    ProviderAdapter.SARVAM: lambda: settings.OPENAI_API_URL,
}


def endpoint_of(model: CatalogueModel, agent: Agent, session: Session) -> Endpoint:
    """Return where and how to dial the model that serves a session."""
    capabilities = Capabilities(
        audio=True,
        images=model.sees_images,
        reasoning=model.is_reasoning,
        transcribes_input=True,
        context_tokens=model.context_tokens,
        max_output_tokens=model.max_output_tokens,
    )
    provider = provider_of(model)
    if model.kind == ModelKind.CHAT:
        return _text_endpoint(model, provider, session, replace(capabilities, audio=False))
    if provider is not None:
        return _endpoint_at(provider, model, agent, session, capabilities)
    if model.adapter == "pipeline":
        return Endpoint(
            adapter="pipeline",
            model=model.provider_model,
            base_url=settings.LOCAL_MODELS_URL,
            api_key="",
            capabilities=capabilities,
            chat_model=NAME_THERE[ModelKind.CHAT],
            speech_to_text_model=NAME_THERE[ModelKind.TRANSCRIPTION],
            text_to_speech_model=NAME_THERE[ModelKind.SPEECH],
            voice=EMBEDDED_VOICE,
            costs_nothing=True,
        )
    return Endpoint(
        adapter=model.adapter,
        model=model.provider_model,
        base_url=settings.OPENAI_REALTIME_URL,
        api_key=settings.OPENAI_API_KEY,
        capabilities=capabilities,
        safety_identifier=_safety_identifier(session),
        voice=_voice_of(model, session.voice or agent.voice),
    )


def _text_endpoint(
    model: CatalogueModel, provider: Provider | None, session: Session, capabilities: Capabilities
) -> Endpoint:
    """Where a model is asked that is only written to: the last rung of a call."""
    base_url, api_key, name = settings.OPENAI_API_URL, settings.OPENAI_API_KEY, model.provider_model
    if provider is not None:
        base_url, api_key = provider.base_url or base_url, keys_of(provider, session.organisation_id).api_key
    elif model.slug == EMBEDDED_CHAT:
        base_url, api_key, name = settings.LOCAL_MODELS_URL, "", NAME_THERE[ModelKind.CHAT]
    return Endpoint(
        adapter="chat", model=name, base_url=base_url, api_key=api_key, capabilities=capabilities, chat_model=name
    )


def _endpoint_at(
    provider: Provider, model: CatalogueModel, agent: Agent, session: Session, capabilities: Capabilities
) -> Endpoint:
    keys = keys_of(provider, session.organisation_id)
    is_entra = provider.adapter == ProviderAdapter.AZURE_OPENAI and provider.entra_tenant
    return Endpoint(
        adapter=provider.adapter,
        model=model.provider_model,
        base_url=provider.base_url or _BUILT_IN_ADDRESS[provider.adapter](),
        api_key=keys.api_key,
        capabilities=capabilities,
        safety_identifier=_safety_identifier(session),
        chat_model=provider.chat_model or model.provider_model,
        speech_to_text_model=provider.speech_to_text_model,
        text_to_speech_model=provider.text_to_speech_model,
        voice=_voice_of(model, session.voice or agent.voice),
        entra=EntraApplication(provider.entra_tenant, provider.entra_client_id) if is_entra else None,
        speech_url=provider.speech_url,
        speech_api_key=keys.speech_api_key,
        language=session.language,
    )


async def connect(endpoint: Endpoint, *, within_s: float = _DIAL_TIMEOUT_S, tries: int = _TRIES) -> Upstream:
    """Dial, and dial again where that may help and time is left; raise UpstreamError when nothing answers."""
    give_up_at = time.monotonic() + within_s
    for attempt in range(1, tries + 1):
        try:
            return await registry.dial(endpoint, timeout_s=give_up_at - time.monotonic())
        except UpstreamError as error:
            log.warning("upstream not reached", code=error.code, attempt=attempt)
            if not error.retryable or attempt == tries or time.monotonic() >= give_up_at:
                raise
    raise AssertionError("unreachable")


def _voice_of(model: CatalogueModel, wanted: str) -> str:
    # An unknown voice makes the provider refuse the whole session.
    return wanted if wanted in model.voices or not model.voices else str(model.voices[0])


def _safety_identifier(session: Session) -> str:
    # Lets the provider act against one abuser instead of our whole account, without telling it who that is.
    visitor = session.visitor_id or str(session.id)
    return hashlib.sha256(f"{settings.SECRET_KEY}:{visitor}".encode()).hexdigest()
