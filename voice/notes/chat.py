"""Ask a chat completions endpoint once: one bounded request, and what came of it as one of few things."""

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any

import httpx

from voice.models import NoteReason
from voice.notes.schema import BadAnswer

_CONNECT_S = 5.0
_BYTES_MAX = 512 * 1024
# A provider that names a longer time is asked again then all the same.
_RETRY_AFTER_MAX_S = 3600
_ID_CHARS = 120


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`url` ends before /chat/completions; an empty key sends none."""

    url: str
    key: str
    timeout_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Completion:
    """`choice` is the answer as it came; `usage` the provider's report, {} when it made none."""

    choice: Mapping[str, Any]
    usage: Mapping[str, Any]
    model: str
    request_id: str


class NotAnswered(Exception):
    """The provider gave no answer. `retry_after_s` is its own word on when to ask again, if it gave one."""

    def __init__(self, reason: NoteReason, retry_after_s: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.retry_after_s = retry_after_s


class ModelGone(NotAnswered):
    """The provider does not know the model (any more): another one may do."""


class NeverAnswered(NotAnswered):
    """The same request will not be answered another time either."""


def complete(endpoint: Endpoint, body: Mapping[str, Any]) -> Completion:
    """POST the body. Raises NotAnswered."""
    headers = {"Content-Type": "application/json"} | (
        {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    )
    try:
        status, answer_headers, answer = _post(endpoint, headers, json.dumps(body, ensure_ascii=False).encode())
    except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError):
        raise NotAnswered(NoteReason.UNREACHABLE) from None
    if status != 200:
        raise _refusal(status, answer_headers, answer)
    return _completion(answer_headers, answer)


def content_of(completion: Completion) -> str:
    """Return the answer's text. Raises BadAnswer when it is none, or not whole."""
    message = completion.choice.get("message")
    if not isinstance(message, dict):
        raise BadAnswer(NoteReason.NOT_JSON)
    if message.get("tool_calls") or message.get("function_call"):
        raise BadAnswer(NoteReason.CALLED_TOOL)
    if message.get("refusal") or completion.choice.get("finish_reason") == "content_filter":
        raise BadAnswer(NoteReason.REFUSED)
    if completion.choice.get("finish_reason") == "length":
        raise BadAnswer(NoteReason.CUT_SHORT)
    content = message.get("content")
    if not isinstance(content, str):
        raise BadAnswer(NoteReason.NOT_JSON)
    return content


def _post(endpoint: Endpoint, headers: dict[str, str], body: bytes) -> tuple[int, httpx.Headers, bytes]:
    """Bounded in size and in time as a whole: a timeout of httpx's only bounds each wait for another byte."""
    deadline = time.monotonic() + endpoint.timeout_s
    timeout = httpx.Timeout(endpoint.timeout_s, connect=_CONNECT_S)
    received = bytearray()
    with (
        httpx.Client(timeout=timeout, trust_env=False) as client,
        client.stream("POST", f"{endpoint.url}/chat/completions", headers=headers, content=body) as response,
    ):
        for chunk in response.iter_bytes():
            received += chunk
            if len(received) > _BYTES_MAX:
                raise NotAnswered(NoteReason.PROVIDER_FAILED)
            if time.monotonic() > deadline:
                raise NotAnswered(NoteReason.UNREACHABLE)
        return response.status_code, response.headers, bytes(received)


def _completion(headers: httpx.Headers, body: bytes) -> Completion:
    answer = _json(body)
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise NotAnswered(NoteReason.PROVIDER_FAILED)
    usage = answer.get("usage")
    return Completion(
        choice=choices[0],
        usage=usage if isinstance(usage, dict) else {},
        model=_word(answer.get("model")),
        request_id=_word(headers.get("x-request-id") or answer.get("id")),
    )


def _refusal(status: int, headers: httpx.Headers, body: bytes) -> NotAnswered:
    described = _json(body).get("error")
    error = described if isinstance(described, dict) else {}
    if status == 429:
        return NotAnswered(NoteReason.BUSY, _retry_after_s(headers))
    if status >= 500 or status in (408, 409):
        return NotAnswered(NoteReason.PROVIDER_FAILED, _retry_after_s(headers))
    if status in (401, 403):
        # The operator can put the key right while the note waits.
        return NotAnswered(NoteReason.KEY_REFUSED)
    if status == 404 or error.get("code") == "model_not_found":
        return ModelGone(NoteReason.NO_MODEL)
    return NeverAnswered(NoteReason.REQUEST_REFUSED)


def _retry_after_s(headers: httpx.Headers) -> int | None:
    """Read Retry-After: seconds or a date."""
    text = headers.get("retry-after", "").strip()
    try:
        seconds = int(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except (TypeError, ValueError):
            return None
        seconds = round((at.replace(tzinfo=at.tzinfo or UTC) - datetime.now(UTC)).total_seconds())
    return min(max(seconds, 0), _RETRY_AFTER_MAX_S)


def _json(body: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _word(text: Any) -> str:
    return text[:_ID_CHARS] if isinstance(text, str) and text.isprintable() else ""
