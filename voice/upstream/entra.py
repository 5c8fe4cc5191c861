"""Ask Microsoft Entra for the token an application shows to Azure OpenAI, and keep it while it is good."""

import asyncio
import contextlib
import hashlib
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

import httpx

from voice.upstream.base import EntraApplication
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout, refusal_of
from voice.upstream.http_provider import bounded

LOGIN_URL = "https://login.microsoftonline.com"
_SCOPE = "https://cognitiveservices.azure.com/.default"
# A tenant's id or one of its domains: nothing that could lead to another path.
_TENANT = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,79}")
# What is nearly over might be over when it arrives.
_RENEW_BEFORE_S = 300.0
_MOST_KEPT = 100
_MAX_ANSWER_BYTES = 64 * 1024
# What Entra says when the application's id or secret is wrong, which no second try mends.
_WRONG = {400, 401, 403, 404}


@dataclass(frozen=True, slots=True)
class _Token:
    text: str = field(repr=False)
    good_until: float


_kept: dict[tuple[EntraApplication, str], _Token] = {}


async def token_of(application: EntraApplication, secret: str, timeout_s: float) -> str:
    """Return a token good for five minutes or more; raise UpstreamError."""
    # By the secret's hash: a new secret must show whether it is right at once, and the old one need not stay in memory.
    name = (application, hashlib.sha256(secret.encode()).hexdigest())
    token = _kept.get(name)
    if token is None or token.good_until < time.monotonic() + _RENEW_BEFORE_S:
        if len(_kept) >= _MOST_KEPT:
            _kept.clear()
        token = _kept[name] = await _asked_for(application, secret, timeout_s)
    return token.text


async def _asked_for(application: EntraApplication, secret: str, timeout_s: float) -> _Token:
    if not _TENANT.fullmatch(application.tenant):
        raise UpstreamRefused("upstream_unauthorized", retryable=False)
    form = {
        "grant_type": "client_credentials", "client_id": application.client_id,
        "client_secret": secret, "scope": _SCOPE,
    }  # fmt: skip
    try:
        async with (
            asyncio.timeout(timeout_s),
            httpx.AsyncClient(timeout=timeout_s) as http,
            http.stream("POST", f"{LOGIN_URL}/{application.tenant}/oauth2/v2.0/token", data=form) as answer,
        ):
            body = b"".join([piece async for piece in bounded(answer, _MAX_ANSWER_BYTES)])
    except (TimeoutError, httpx.TimeoutException):
        raise UpstreamTimeout("upstream_connect_timeout", retryable=True) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        raise UpstreamDropped("upstream_unreachable", retryable=True) from None
    if answer.status_code in _WRONG:
        raise UpstreamRefused("upstream_unauthorized", retryable=False)
    if answer.status_code != httpx.codes.OK:
        raise refusal_of(answer.status_code)
    return _read(body)


def _read(body: bytes) -> _Token:
    told: Any = None
    with contextlib.suppress(ValueError, RecursionError):
        told = json.loads(body)
    text, expires_in_s = (told.get("access_token"), told.get("expires_in")) if isinstance(told, dict) else (None, None)
    # A line break in it would become a header of its own.
    if not isinstance(text, str) or not text.isascii() or not text.isprintable() or not isinstance(expires_in_s, int):
        raise UpstreamError("upstream_garbage", retryable=False)
    return _Token(text, time.monotonic() + expires_in_s)
