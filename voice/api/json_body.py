"""Read a request's JSON object: bounded, of the right type, with the expected fields and no others."""

import json
from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest

from voice.api.errors import InvalidRequest

MAX_BODY_BYTES = 64 * 1024


def read_json_object(request: HttpRequest, fields: Mapping[str, type]) -> dict[str, Any]:
    """Return the body's fields, each checked to be of its type; missing ones are left out. Raises InvalidRequest."""
    if request.content_type != "application/json":
        raise InvalidRequest("Send application/json.", code="unsupported_media_type", status=415)
    body = request.read(MAX_BODY_BYTES + 1)
    if len(body) > MAX_BODY_BYTES:
        raise InvalidRequest("The request is too large.", code="request_too_large", status=413)
    try:
        values = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise InvalidRequest("The body is not JSON.") from None
    if not isinstance(values, dict):
        raise InvalidRequest("The body is not a JSON object.")
    for name, value in values.items():
        _check(name, value, fields)
    return values


def text_field(values: Mapping[str, Any], name: str, *, most: int, least: int = 0) -> str:
    """Return a text of `least` to `most` characters ("" when it is missing and may be). Raises InvalidRequest."""
    text: str = values.get(name, "")
    if not least <= len(text) <= most:
        raise InvalidRequest(f"{name} must have {least} to {most} characters.")
    # Halves of surrogate pairs are no text, and NUL is none that every database keeps.
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise InvalidRequest(f"{name} contains characters that are not text.")
    return text


def _check(name: str, value: Any, fields: Mapping[str, type]) -> None:
    if name not in fields:
        raise InvalidRequest(f"There is no field {name[:40]!a}.")
    # type, not isinstance: JSON's true is not a number.
    if type(value) is not fields[name]:
        raise InvalidRequest(f"{name} has the wrong type.")
