"""Which errors an operation may answer with, for the OpenAPI document."""

from typing import Any

from voice.api.schemas import Error

# Every operation: a body or query that cannot be used, too many requests, a fault of ours, our data out of reach.
_ALWAYS = (400, 401, 405, 429, 500, 503)


def answers(success: dict[int, Any], *errors: int) -> dict[int, Any]:
    """Return the answers of an operation by status: what it gives, and what every operation may refuse with."""
    return {**success, **dict.fromkeys(sorted({*_ALWAYS, *errors}), Error)}


# What a body adds: another media type, too large; an idempotency key that is in use or was for something else.
WITH_BODY = (409, 413, 415)

IDEMPOTENT: dict[str, Any] = {
    "parameters": [
        {
            "name": "Idempotency-Key",
            "in": "header",
            "required": False,
            "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[ -~]+$"},
            "description": "A repeat with the same key and body within a day is given the first one's answer.",
        }
    ]
}


def also(media_type: str) -> dict[str, Any]:
    """Return what the document says of a success that may also be text of this type."""
    return {"responses": {200: {"content": {media_type: {"schema": {"type": "string"}}}}}}


# Visitors' browsers need no token; a customer's code does.
OPTIONAL_KEY: dict[str, Any] = {"security": [{}, {"ApiKey": []}]}
