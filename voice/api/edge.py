"""What stands before and behind every operation: its token, its body, its idempotency key; and every answer's shape.

Without Django's CSRF token, because the pages that call may be cached, embedded, or no Django pages at all. What takes
its place: a body must be application/json (json_body.py); starting a call needs an Origin that is ours or on the
agent's list, or an API key; a member's rights only count from our own pages, and session cookies are SameSite=Lax; a
rating needs a token that only its caller was given.
"""

from collections.abc import Awaitable, Callable
from functools import wraps
from inspect import iscoroutinefunction
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.urls import URLPattern
from django.views.decorators.csrf import csrf_exempt

from voice.admission.key_limits import TooManyRequests, Window
from voice.api import idempotency
from voice.api.callers import caller_of, show_window
from voice.api.errors import InvalidRequest, answer_for, error_answer
from voice.api.json_body import MAX_BODY_BYTES, read_json_object
from voice.metering.executor import in_ledger_thread

View = Callable[..., HttpResponseBase]
AsyncView = Callable[..., Awaitable[HttpResponseBase]]

# How long a body of JSON may be, by the name of the operation that takes one.
_MAX_BYTES = {
    "sessions": MAX_BODY_BYTES,
    "rating": MAX_BODY_BYTES,
    "client_secrets": MAX_BODY_BYTES,
    "chat_completions": 1024 * 1024,
    "speech": MAX_BODY_BYTES,
}


def at_the_edge(pattern: URLPattern) -> URLPattern:
    """Return the address with everything that all of them share around its view."""
    view, name = pattern.callback, str(pattern.name)
    around: Any = _around_async(view, name) if iscoroutinefunction(view) else _around(view, name)
    pattern.callback = csrf_exempt(wraps(view)(around))
    return pattern


def _around(view: View, name: str) -> View:
    def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            kept = _enter(request, name)
            if isinstance(kept, HttpResponseBase):
                return _leave(request, kept)
            try:
                response = view(request, *args, **kwargs)
            except BaseException:
                idempotency.give_up(kept)
                raise
            return _leave(request, idempotency.keep(kept, response))
        except Exception as error:  # the edge: no traceback reaches a client, and errors.py logs it
            return _leave(request, answer_for(error), error)

    return answered


def _around_async(view: AsyncView, name: str) -> AsyncView:
    async def answered(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            # Not in Django's own thread of the request: these answers may be long, and hold none (config/asgi.py).
            kept = await in_ledger_thread(_enter, request, name)
            if isinstance(kept, HttpResponseBase):
                return _leave(request, kept)
            try:
                response = await view(request, *args, **kwargs)
            except BaseException:
                await in_ledger_thread(idempotency.give_up, kept)
                raise
            return _leave(request, await in_ledger_thread(idempotency.keep, kept, response))
        except Exception as error:  # the edge, as above
            return _leave(request, answer_for(error), error)

    return answered


def _enter(request: HttpRequest, name: str) -> idempotency.Claim | HttpResponse | None:
    """Read what is needed before the operation runs; return an answer that was given before, if this is a repeat."""
    caller = caller_of(request)
    request.caller = caller  # type: ignore[attr-defined]
    body = b""
    if request.method == "POST" and name in _MAX_BYTES:
        body, values = read_json_object(request, _MAX_BYTES[name])
        request._body = body
        request.json_values = values  # type: ignore[attr-defined]
    key = request.headers.get("Idempotency-Key")
    if key is None or request.method not in ("POST", "DELETE"):
        return None
    return idempotency.claim(request, key, caller, body)


def _leave(request: HttpRequest, response: HttpResponseBase, error: Exception | None = None) -> HttpResponseBase:
    if response.status_code == 405:
        # Ninja keeps them in a set; sorted, so that one address always answers the same.
        allowed = ", ".join(sorted(word.strip() for word in response.get("Allow", "").split(",")))
        response = error_answer(405, "method_not_allowed", f"Use {allowed}.")
        response["Allow"] = allowed
    if not response.has_header("Cache-Control"):
        response["Cache-Control"] = "no-store"
    # Django's own middleware says so for most addresses; those that stream have none (config/streaming_asgi.py).
    response["X-Content-Type-Options"] = "nosniff"
    show_window(response, _window_of(request, error))
    return response


def _window_of(request: HttpRequest, error: Exception | None) -> Window | None:
    if isinstance(error, TooManyRequests):
        return error.window
    caller = getattr(request, "caller", None)
    return caller.window if caller else None


@csrf_exempt
def not_found(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
    return error_answer(404, "not_found", "There is nothing at this address.")


def require_text(value: str, name: str) -> None:
    """Raises InvalidRequest for text of a form that no database keeps (a query's or a form's; bodies are checked)."""
    if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise InvalidRequest(f"{name}: contains characters that are not text.", param=name)
