"""Talk to Azure OpenAI's Realtime API: OpenAI's events at another address, under a deployment's name, with other keys.

Its generally available path takes no api-version (with one it answers 401), and a deployment where OpenAI has a model.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from voice.upstream import entra
from voice.upstream.base import Endpoint, Upstream
from voice.upstream.openai import dial_at

_PATH = "/openai/v1/realtime"
_SCHEMES = {"https": "wss", "http": "ws"}


async def dial(endpoint: Endpoint, timeout_s: float) -> Upstream:
    """Open the websocket of a deployment; raise UpstreamRefused, UpstreamTimeout or UpstreamDropped."""
    headers = await _headers(endpoint, timeout_s)
    return await dial_at(url_of(endpoint.base_url, endpoint.model), headers, endpoint.capabilities, timeout_s)


def url_of(address: str, deployment: str) -> str:
    """Return where a deployment is dialled; the address may be the resource's, its API's, or the whole path."""
    parts = urlsplit(address)
    kept = [(name, value) for name, value in parse_qsl(parts.query) if name not in ("api-version", "api-key", "model")]
    query = urlencode([*kept, ("model", deployment)])
    scheme = _SCHEMES.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, _path_of(parts.path.rstrip("/")), query, ""))


def api_url_of(address: str) -> str:
    """Return where a resource's deployments are asked over HTTP, up to /v1; the address is any that url_of takes."""
    parts = urlsplit(address)
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme, parts.scheme)
    path = _path_of(parts.path.rstrip("/")).removesuffix("/realtime")
    return urlunsplit((scheme, parts.netloc, path, "", ""))


def _path_of(path: str) -> str:
    # The second is the preview's, as its pages still show it.
    for beginning in (_PATH, "/openai/realtime", "/openai/v1", "/openai", ""):
        if path.endswith(beginning):
            return path.removesuffix(beginning) + _PATH
    raise AssertionError("unreachable")


async def _headers(endpoint: Endpoint, timeout_s: float) -> dict[str, str]:
    # One or the other: with both, Azure refuses. No OpenAI-Safety-Identifier: that is OpenAI's own.
    if endpoint.entra is not None:
        token = await entra.token_of(endpoint.entra, endpoint.api_key, timeout_s)
        return {"Authorization": f"Bearer {token}"}
    return {"api-key": endpoint.api_key} if endpoint.api_key else {}
