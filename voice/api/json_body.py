"""Read a request's JSON object: bounded, of the right type, and text that every database keeps."""

import json
from typing import Any

from django.http import HttpRequest

from voice.api.errors import InvalidRequest

MAX_BODY_BYTES = 64 * 1024
_DEEPEST = 32


def read_json_object(request: HttpRequest, max_bytes: int = MAX_BODY_BYTES) -> tuple[bytes, dict[str, Any]]:
    """Return the body and the object it is. Raises InvalidRequest.

    A body must be application/json, which a page of another origin cannot send without a preflight that we never
    answer: that stands in the place of Django's CSRF token.
    """
    if request.content_type != "application/json":
        raise InvalidRequest("Send application/json.", code="unsupported_media_type", status=415)
    body = request.read(max_bytes + 1)
    if len(body) > max_bytes:
        raise InvalidRequest("The request is too large.", code="request_too_large", status=413)
    try:
        values = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(values, dict):
        raise InvalidRequest("The body is not a JSON object.")
    _check(values, "", _DEEPEST)
    return body, values


def _check(value: Any, where: str, depth: int) -> None:
    """Refuse what no field of ours can hold: halves of surrogate pairs, NUL, and nesting without end."""
    if depth == 0:
        raise InvalidRequest("The body is nested too deeply.")
    match value:
        case str():
            if "\x00" in value or any("\ud800" <= character <= "\udfff" for character in value):
                raise InvalidRequest(f"{where or 'The body'} contains characters that are not text.", param=where)
        case dict():
            for name, member in value.items():
                _check(name, where, depth)
                _check(member, where or name[:40], depth - 1)
        case list():
            for member in value:
                _check(member, where, depth - 1)


def _no_number(word: str) -> float:
    # NaN and Infinity are no JSON, whatever Python's reader says.
    raise ValueError(word)
