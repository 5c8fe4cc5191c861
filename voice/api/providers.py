"""What the endpoints for text and speech share: where a model is asked, and what its failures are to the client."""

import json
from typing import Any

import structlog
from django.conf import settings
from django.http import HttpResponseBase

from voice.api.errors import InvalidRequest
from voice.catalogue.http_models import HttpModel
from voice.models import ProviderAdapter
from voice.upstream import azure_openai, entra
from voice.upstream.base import EntraApplication
from voice.upstream.errors import UpstreamError, UpstreamTimeout
from voice.upstream.http_provider import Provider, ProviderRefused

log = structlog.get_logger(__name__)

_LONGEST_MESSAGE = 500
_ENTRA_TIMEOUT_S = 8.0
# The statuses with which a provider says that the request itself is wrong.
_CLIENTS_FAULT = {400, 404, 413, 415, 422}
_NO_ANSWER = "The model did not answer. Nothing was charged; please try again."


async def provider_of(model: HttpModel) -> Provider:
    """Return where a request for a model goes, and with which key. Raises UpstreamError where Entra gives no token."""
    if model.is_embedded:
        return Provider(settings.LOCAL_MODELS_URL, "")
    row = model.provider
    if row is None:
        return Provider(settings.OPENAI_API_URL, settings.OPENAI_API_KEY)
    if row.adapter != ProviderAdapter.AZURE_OPENAI:
        return Provider(row.base_url or settings.OPENAI_API_URL, model.keys.api_key)
    address = azure_openai.api_url_of(row.base_url)
    if row.entra_tenant:
        application = EntraApplication(row.entra_tenant, row.entra_client_id)
        return Provider(address, await entra.token_of(application, model.keys.api_key, _ENTRA_TIMEOUT_S))
    return Provider(address, model.keys.api_key, key_header="api-key")


def is_openais_own(model: HttpModel) -> bool:
    """Say whether a request may have everything OpenAI's have: at OpenAI and Azure; others know the common part."""
    if model.provider is None:
        return not model.is_embedded
    return model.provider.adapter == ProviderAdapter.AZURE_OPENAI or not model.provider.base_url


def failure_of(error: UpstreamError) -> InvalidRequest:
    """Return what a client is told when the provider failed it; what is wrong with its own request in its words."""
    if isinstance(error, ProviderRefused) and error.status in _CLIENTS_FAULT:
        return _in_its_words(error)
    log.warning("provider failed", code=error.code)
    if isinstance(error, ProviderRefused) and error.status == 429:
        return InvalidRequest("The model's provider is busy. Please wait a moment.", code="upstream_busy", status=503)
    code = "upstream_timeout" if isinstance(error, UpstreamTimeout) else "upstream_unavailable"
    return InvalidRequest(_NO_ANSWER, code=code, status=502)


def show_model(response: HttpResponseBase, model: HttpModel) -> None:
    """Say on an answer which model gave it."""
    response["X-Model-Served"] = model.served.slug
    if model.reason:
        # A header is ASCII; a model's name need not be.
        response["X-Model-Reason"] = model.reason.encode("ascii", "replace").decode().replace("\n", " ")


def _in_its_words(error: ProviderRefused) -> InvalidRequest:
    told = error_object(error.body)
    message = told.get("message")
    param = told.get("param")
    code = told.get("code")
    return InvalidRequest(
        message[:_LONGEST_MESSAGE] if isinstance(message, str) and message else "The model refused the request.",
        code=code[:80] if isinstance(code, str) and code else "invalid_request",
        param=param[:80] if isinstance(param, str) else None,
    )


def error_object(body: bytes) -> dict[str, Any]:
    """Return what a provider's refusal says of its error; {} when it says nothing that can be read."""
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    told = value.get("error") if isinstance(value, dict) else None
    return told if isinstance(told, dict) else {}
