"""What a tool's result gives the receptionist to say: a sentence of its own, or else its facts."""

import json
import re

from local_models.receptionist import phrases
from local_models.receptionist.messages import Json

SPOKEN_RESULT_MAX_CHARS = 240
_SENTENCES = ("message", "say", "detail", "reason", "error")
_REFERENCES = ("reference", "confirmation_number", "confirmation", "code")
_REFERENCE_CHARS_MAX = 12
_FLAGS = ("ok", "success", "booked", "available", "confirmed")
_FAILED = ("error", "failed", "failure", "unavailable", "conflict", "rejected")
# Whether something worked is said by how the answer begins.
_UNSAID = {"ok": (True,), "success": (True,), "status": ("ok", "success")}


def read_result(text: str) -> tuple[bool, str]:
    """Return whether a tool failed, and what it gave to say."""
    try:
        result = json.loads(text)
    except ValueError:
        return bool(re.match(r"\s*(?:error|failed|failure)\b", text, re.IGNORECASE)), ""
    if not isinstance(result, dict):
        return result is False, ""
    failed = _has_failed(result)
    # The answer of a server of the agent's owner. A `message` beside it is about the request, and no caller's business.
    answer = result.get("answer")
    if answer in (None, "", [], {}):
        return failed, _said_of(result, failed=failed)
    failed = failed or (isinstance(answer, dict) and _has_failed(answer))
    return failed, _answer_said(answer, failed=failed)


def _has_failed(result: Json) -> bool:
    status = str(result.get("status") or "").lower()
    return bool(result.get("error")) or any(result.get(flag) is False for flag in _FLAGS) or status in _FAILED


def _said_of(result: Json, *, failed: bool) -> str:
    said = _sentence(next((result[key] for key in _SENTENCES if isinstance(result.get(key), str)), ""))
    reference = next((str(result[key]) for key in _REFERENCES if _is_reference(result.get(key))), "")
    if failed or not reference or reference in said:
        return said
    return f"{said or 'It is done.'} Your reference is {reference}."


def _is_reference(value: object) -> bool:
    is_short = 0 < len(str(value)) <= _REFERENCE_CHARS_MAX
    return isinstance(value, str | int) and not isinstance(value, bool) and is_short


def _answer_said(answer: object, *, failed: bool) -> str:
    if isinstance(answer, list):
        facts = [_shown(item) for item in answer if _is_fact(item)]
        return _sentence(phrases.join(facts)) if facts else ""
    if not isinstance(answer, dict):
        return _sentence(_shown(answer)) if _is_fact(answer) else ""
    if any(isinstance(answer.get(key), str) for key in _SENTENCES):
        return _said_of(answer, failed=failed)
    facts = [f"{_label(name)}: {_shown(value)}" for name, value in answer.items() if _is_said(name, value)]
    return _sentence(", ".join(facts))


def _is_said(name: str, value: object) -> bool:
    return _is_fact(value) and value not in _UNSAID.get(name, ())


def _is_fact(value: object) -> bool:
    return isinstance(value, str | int | float) and str(value).strip() != ""


def _shown(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _label(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).replace("_", " ").replace("-", " ").strip().capitalize()


def _sentence(text: str) -> str:
    text = " ".join(text.split())[:SPOKEN_RESULT_MAX_CHARS].strip()
    return text if not text or text.endswith((".", "!", "?")) else text + "."
