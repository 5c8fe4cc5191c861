"""The widget protocol, version 1 (docs/widget-protocol.md): text to messages and back. Pure, like protocol.js."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

VERSION = 1
SUBPROTOCOL = "parley.widget.v1"
AUDIO_FRAME_BYTES_MAX = 9600
TEXT_LENGTH_MAX = 2000
MESSAGE_BYTES_MAX = 16 * 1024
_COUNT_MAX = 2**53 - 1  # what a browser can count to

# Four a second in every call: the form that JSON.stringify gives a report, with no letter that JSON would escape.
_COUNT = rb"(0|[1-9][0-9]{0,14})"
_REPORT = re.compile(
    rb'\{"type":"playback\.report","item_id":"([ !#-\[\]-~]{0,200})","played_ms":' + _COUNT + rb',"received_bytes":'
    + _COUNT + rb"\}"
)  # fmt: skip


class InvalidMessage(Exception):
    """`code` is a stable word of close_codes.py."""

    def __init__(self, code: str = "invalid_message") -> None:
        super().__init__(code)
        self.code = code


Check = Callable[[Any], bool]


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= TEXT_LENGTH_MAX and bool(value.strip())


def _is_filled(value: Any) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= 4096


def _is_flag(value: Any) -> bool:
    return isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _COUNT_MAX


def _is_count_or_missing(value: Any) -> bool:
    return value is None or _is_count(value)


def _is_version(value: Any) -> bool:
    return type(value) is int and value == VERSION


def _is_item_or_null(value: Any) -> bool:
    return value is None or (isinstance(value, str) and len(value) <= 200)


_CLIENT_MESSAGES: Mapping[str, Mapping[str, Check]] = {
    "session.start": {"version": _is_version, "ticket": _is_filled, "voice": _is_flag},
    "session.resume": {
        "version": _is_version,
        "resume_token": _is_filled,
        "item_id": _is_item_or_null,
        "played_ms": _is_count,
        "received_bytes": _is_count,
        "received_messages": _is_count_or_missing,
    },
    "text.send": {"text": _is_text},
    "playback.report": {"item_id": _is_item_or_null, "played_ms": _is_count, "received_bytes": _is_count},
    "microphone.state": {"muted": _is_flag},
    "mode.choose": {"voice": _is_flag},
    "session.end": {},
}


def parse(text: str) -> dict[str, Any]:
    """Return a browser's message with exactly its known fields; raise InvalidMessage for anything else."""
    if len(text) > MESSAGE_BYTES_MAX // 4 and len(text.encode("utf-8", "replace")) > MESSAGE_BYTES_MAX:
        raise InvalidMessage("message_too_large")
    try:
        message = json.loads(text)
        if "\\u" in text or not text.isascii():
            # Half a surrogate pair is legal JSON but no text, and would break whatever stores or sends it.
            json.dumps(message, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidMessage from None
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise InvalidMessage
    fields = _CLIENT_MESSAGES.get(message["type"])
    if fields is None or any(not check(message.get(name)) for name, check in fields.items()):
        raise InvalidMessage
    return {"type": message["type"], **{name: message.get(name) for name in fields}}


def read_report(payload: bytes) -> tuple[str, int, int] | None:
    """Return item, played_ms and received_bytes of a playback.report as browsers write it; None for anything else."""
    match = _REPORT.fullmatch(payload)
    return match and (match[1].decode(), int(match[2]), int(match[3]))


def check_audio(frame: bytes) -> bytes:
    """Return a microphone frame; raise InvalidMessage when it is empty, too long or cuts a sample in half."""
    if not is_audio(frame):
        raise InvalidMessage("message_too_large")
    return frame


def is_audio(frame: bytes) -> bool:
    return 0 < len(frame) <= AUDIO_FRAME_BYTES_MAX and len(frame) % 2 == 0


# Made once: json.dumps would make one for every message.
_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


def serialise(kind: str, **fields: Any) -> str:
    return _encode({"type": kind, **fields})
