"""Who sends a request: the holder of a bearer token, if it has one, and how much the token still allows."""

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseBase
from ninja.security import HttpBearer

from accounts.client_ip import client_ip_of
from accounts.exceptions import KeyRefused
from voice.admission.key_holders import Holder, authenticate_bearer
from voice.admission.key_limits import Window, count_request, count_wrong_key
from voice.admission.refusals import Refusal


@dataclass(frozen=True, slots=True)
class Caller:
    """`holder` is None for who has no token: a visitor's browser."""

    client_ip: str
    holder: Holder | None
    window: Window | None


class ApiKey(HttpBearer):
    """The scheme of the OpenAPI document; the token itself was looked at before (edge.py)."""

    openapi_description = "An API key (sk_parley_…), or a client secret (ek_…) where that is said."

    def __call__(self, request: HttpRequest) -> Holder:
        return holder_of(request)

    def authenticate(self, request: HttpRequest, token: str) -> Holder:
        return holder_of(request)


def caller_of(request: HttpRequest) -> Caller:
    """Return who sends the request. Raises Refusal and KeyRefused for a token that is none, or that is used up."""
    client_ip = client_ip_of(request)
    token = _token_of(request)
    if token is None:
        return Caller(client_ip, None, None)
    try:
        holder = authenticate_bearer(token, origin=request.headers.get("Origin", ""))
    except KeyRefused:
        count_wrong_key(client_ip)
        raise
    return Caller(client_ip, holder, count_request(holder))


def holder_of(request: HttpRequest) -> Holder:
    """Return the holder of the request's token. Raises Refusal when there was none."""
    holder = optional_holder_of(request)
    if holder is None:
        raise Refusal("invalid_api_key", message="Send an API key: Authorization: Bearer sk_parley_…")
    return holder


def optional_holder_of(request: HttpRequest) -> Holder | None:
    caller: Caller = request.caller  # type: ignore[attr-defined]
    return caller.holder


def show_window(response: HttpResponseBase, window: Window | None) -> None:
    """Say on an answer what the token allows in this minute, in the words of OpenAI's own headers."""
    if window is None:
        return
    response["X-RateLimit-Limit-Requests"] = str(window.limit)
    response["X-RateLimit-Remaining-Requests"] = str(window.remaining)
    response["X-RateLimit-Reset-Requests"] = f"{window.reset_s}s"


def _token_of(request: HttpRequest) -> str | None:
    """Return the token that was sent: a bearer's, or Azure-style clients' api-key; None without either."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return token.strip()
    return request.headers.get("Api-Key")
