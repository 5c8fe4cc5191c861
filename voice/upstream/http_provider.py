"""One HTTP request to a provider of models: opened, bounded, and its failures named."""

import asyncio
import functools
import ssl
import weakref
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import httpx

from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamTimeout

# A long answer of a large model takes a minute or two; nothing may take longer without a byte.
_TIMEOUT = httpx.Timeout(120.0, connect=5.0)
_LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=20)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}
_MAX_ERROR_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Provider:
    """Where a model is served; an empty key sends none. `key_header` is Azure's where it is not Authorization."""

    base_url: str
    api_key: str = field(repr=False)
    key_header: str = "Authorization"

    def headers(self) -> dict[str, str]:
        if not self.api_key:
            return {}
        return {self.key_header: f"Bearer {self.api_key}" if self.key_header == "Authorization" else self.api_key}


class ProviderRefused(UpstreamError):
    """It answered, and said no. `body` is its answer, at most 64 KiB; `retry_after` its own word, "" without one."""

    def __init__(self, status: int, body: bytes, retry_after: str) -> None:
        super().__init__(f"upstream_{status}", retryable=status == 429 or status >= 500)
        self.status, self.body, self.retry_after = status, body, retry_after


@asynccontextmanager
async def posted(provider: Provider, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
    """Send a request and hand over its answer unread; leaving, or being cancelled, hangs up.

    Raises ProviderRefused for every status but 200, UpstreamTimeout, UpstreamDropped.
    """
    with_headers: Mapping[str, Any] = {"headers": provider.headers(), **request}
    with _failures_named():
        async with _client(provider).stream("POST", provider.base_url.rstrip("/") + path, **with_headers) as answer:
            if answer.status_code != httpx.codes.OK:
                body = b"".join([piece async for piece in bounded(answer, _MAX_ERROR_BYTES)])
                raise ProviderRefused(answer.status_code, body, answer.headers.get("retry-after", ""))
            yield answer


async def bounded(answer: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    """Yield an answer's bytes as they come. Raises UpstreamError beyond `max_bytes`, and when they stop coming."""
    received = 0
    # Named here as well: a stream is read long after `posted` has handed it over.
    with _failures_named():
        async for piece in answer.aiter_bytes():
            received += len(piece)
            if received > max_bytes:
                raise UpstreamError("upstream_flooded", retryable=False)
            yield piece


async def lines_of(answer: httpx.Response, *, max_bytes: int, max_line_bytes: int) -> AsyncIterator[bytes]:
    """Yield an answer's lines without their ends. Raises UpstreamError beyond the bounds."""
    rest = b""
    async for piece in bounded(answer, max_bytes):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
        if len(rest) > max_line_bytes:
            raise UpstreamError("upstream_flooded", retryable=False)
    if rest:
        yield rest.rstrip(b"\r")


@contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except httpx.ConnectTimeout:
        raise UpstreamDropped("upstream_unreachable", retryable=True) from None
    except httpx.TimeoutException:
        raise UpstreamTimeout("upstream_timeout", retryable=True) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
        raise UpstreamDropped("upstream_unreachable", retryable=True) from None


# Connections belong to the event loop they were opened on; a server has one for its whole life, a test one of its own.
_clients: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[bool, httpx.AsyncClient]] = (
    weakref.WeakKeyDictionary()
)


def _client(provider: Provider) -> httpx.AsyncClient:
    # A proxy named in the environment is for the internet, never for the models on this machine.
    is_here = urlsplit(provider.base_url).hostname in _LOOPBACK
    clients = _clients.setdefault(asyncio.get_running_loop(), {})
    if is_here not in clients:
        clients[is_here] = httpx.AsyncClient(
            timeout=_TIMEOUT, limits=_LIMITS, verify=False if is_here else _tls(), trust_env=not is_here
        )
    return clients[is_here]


@functools.cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()
