"""One bounded HTTPS request to a stranger's server: it cannot reach inside, take long, or answer without end."""

import asyncio
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from ssl import SSLContext

import httpx

from voice.outgoing.addresses import Address, resolve
from voice.outgoing.errors import Refused
from voice.outgoing.urls import check_addresses, literal_address, parse, port_of

# A dead address of several must leave time for the next one.
_CONNECT_S = 3.0
_ADDRESSES_TRIED_MAX = 3

_REDIRECTS = {301, 302, 303, 307, 308}
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]*[\x21-\x7e])?|")
_HEADER_CHARS_MAX = 4000
# Ours to write: with them a customer could end one request and begin another.
_OUR_HEADERS = {
    "accept-encoding", "connection", "content-length", "expect", "host", "keep-alive", "proxy-authorization",
    "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
}  # fmt: skip
# The only ones that follow a redirect to another server: any other may be a secret of the first.
_HARMLESS_HEADERS = {"accept", "content-type", "user-agent"}


@dataclass(frozen=True, slots=True)
class Reply:
    """`headers` have lower-case names; `body` is decoded and never longer than was allowed."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    timeout_s: float = 10.0,
    max_bytes: int = 65_536,
    redirects_max: int = 0,
    reads_body: bool = True,
) -> Reply:
    """Do `request_async` where no event loop runs: in a task, or a view's thread."""
    return asyncio.run(
        request_async(
            method,
            url,
            headers=headers,
            body=body,
            timeout_s=timeout_s,
            max_bytes=max_bytes,
            redirects_max=redirects_max,
            reads_body=reads_body,
        )
    )


async def request_async(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    timeout_s: float = 10.0,
    max_bytes: int = 65_536,
    redirects_max: int = 0,
    reads_body: bool = True,
) -> Reply:
    """Make one request and return its answer, whatever the status; raise Refused.

    `timeout_s` bounds everything together: resolving, connecting, sending, reading. An answer longer than `max_bytes`,
    as sent or once decoded, is refused as too_large; with `reads_body` false only status and headers are waited for.
    Redirects are followed `redirects_max` times, each checked anew; with none allowed, the redirect is the answer.
    """
    for name, value in headers.items():
        check_header(name, value)
    try:
        async with asyncio.timeout(timeout_s):
            return await _follow(method, url, dict(headers), body, max_bytes if reads_body else None, redirects_max)
    except (TimeoutError, httpx.TimeoutException):
        raise Refused("timed_out") from None
    except (httpx.HTTPError, OSError):
        raise Refused("unreachable") from None


async def _follow(
    method: str, text: str, headers: dict[str, str], body: bytes, max_bytes: int | None, redirects_max: int
) -> Reply:
    url = parse(text)
    for _ in range(redirects_max + 1):
        reply = await _send(method, url, headers, body, max_bytes)
        if not redirects_max or reply.status not in _REDIRECTS or "location" not in reply.headers:
            return reply
        target = _target(url, reply.headers["location"])
        if _origin(target) != _origin(url):
            headers = {name: value for name, value in headers.items() if name.lower() in _HARMLESS_HEADERS}
        if reply.status == 303 or (reply.status in (301, 302) and method == "POST"):
            method, body = "GET", b""
        url = target
    raise Refused("too_many_redirects")


def _target(url: httpx.URL, location: str) -> httpx.URL:
    try:
        return parse(str(url.join(location)))
    except (httpx.InvalidURL, ValueError):
        raise Refused("bad_url") from None


def _origin(url: httpx.URL) -> tuple[str, bytes, int]:
    return url.scheme, url.raw_host, port_of(url)


async def _send(method: str, url: httpx.URL, headers: dict[str, str], body: bytes, max_bytes: int | None) -> Reply:
    literal = literal_address(url)
    addresses = [literal] if literal else await resolve(url.raw_host.decode("ascii"), port_of(url))
    check_addresses(url, addresses)
    tried = addresses[:_ADDRESSES_TRIED_MAX]
    for address in tried:
        try:
            return await _send_to(address, method, url, headers, body, max_bytes)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            # Nothing was sent yet, so the next address cannot make it happen twice.
            if address is tried[-1]:
                raise
    raise AssertionError("check_addresses lets no empty list through")


async def _send_to(
    address: Address, method: str, url: httpx.URL, headers: dict[str, str], body: bytes, max_bytes: int | None
) -> Reply:
    """Dial the very address that was checked: asking the name again could give another answer."""
    host = url.raw_host.decode("ascii")
    request = httpx.Request(
        method,
        url.copy_with(host=str(address)),
        headers={"User-Agent": "Parley", **headers, "Host": url.netloc.decode("ascii"), "Accept-Encoding": "identity"},
        content=body,
        extensions={"sni_hostname": host.strip("[]"), "timeout": {"connect": _CONNECT_S}},
    )
    async with httpx.AsyncHTTPTransport(verify=await asyncio.to_thread(_tls), trust_env=False) as transport:
        response = await transport.handle_async_request(request)
        try:
            return Reply(response.status_code, dict(response.headers), await _read(response, max_bytes))
        finally:
            await response.aclose()


async def _read(response: httpx.Response, max_bytes: int | None) -> bytes:
    if max_bytes is None:
        return b""
    raw = bytearray()
    async for chunk in response.aiter_raw():
        raw += chunk
        if len(raw) > max_bytes:
            raise Refused("too_large")
    return _decode(bytes(raw), response.headers.get("content-encoding", ""), max_bytes)


def _decode(raw: bytes, encoding: str, max_bytes: int) -> bytes:
    """Undo gzip and deflate, which some servers send unasked, never beyond `max_bytes`."""
    if encoding.strip().lower() not in ("gzip", "x-gzip", "deflate"):
        return raw
    try:
        decoded = zlib.decompressobj(wbits=47).decompress(raw, max_bytes + 1)
    except zlib.error:
        raise Refused("unreachable") from None
    if len(decoded) > max_bytes:
        raise Refused("too_large")
    return decoded


def check_header(name: str, value: str) -> None:
    """Refuse what must not be sent as a header of a customer's, for a form and before each request. Raises Refused."""
    if not _HEADER_NAME.fullmatch(name) or name.lower() in _OUR_HEADERS:
        raise Refused("bad_header")
    if len(value) > _HEADER_CHARS_MAX or not _HEADER_VALUE.fullmatch(value):
        raise Refused("bad_header")


@lru_cache(maxsize=1)
def _tls() -> SSLContext:
    # Reading the list of certificate authorities takes tens of milliseconds: once a process, and beside live calls.
    return httpx.create_ssl_context()
