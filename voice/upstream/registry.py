"""The adapters by name: the one way to an upstream."""

from collections.abc import Awaitable, Callable

from voice.upstream import azure_openai, openai
from voice.upstream.base import Endpoint, Upstream
from voice.upstream.errors import UpstreamRefused
from voice.upstream.pipeline import sarvam
from voice.upstream.pipeline import upstream as pipeline

_DIALLERS: dict[str, Callable[[Endpoint, float], Awaitable[Upstream]]] = {
    "openai": openai.dial,
    "azure_openai": azure_openai.dial,
    "pipeline": pipeline.dial,
    "chat": pipeline.dial_text,
    "sarvam": sarvam.dial,
}


async def dial(endpoint: Endpoint, *, timeout_s: float = 10.0) -> Upstream:
    """Connect to a model within timeout_s; raise UpstreamRefused, UpstreamTimeout or UpstreamDropped."""
    dialler = _DIALLERS.get(endpoint.adapter)
    if dialler is None:
        raise UpstreamRefused("upstream_unknown_adapter", retryable=False)
    return await dialler(endpoint, timeout_s)
