"""Read what a client asks for: the session it wants and the responses it orders, checked field by field."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from voice.audio import SAMPLE_RATE
from voice.upstream.base import Capabilities

MAX_INSTRUCTIONS_BYTES = 128 * 1024
MAX_TOOLS_BYTES = 128 * 1024
MAX_TOOLS = 128
MAX_NAME_CHARS = 256
MAX_INPUT_ITEMS = 200
_FUNCTION_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
PCM = {"type": "audio/pcm", "rate": SAMPLE_RATE}
_FORMATS: dict[str, dict[str, Any]] = {
    "audio/pcm": PCM,
    "audio/pcmu": {"type": "audio/pcmu"},
    "audio/pcma": {"type": "audio/pcma"},
}

_SERVER_VAD = {
    "type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 500,
    "create_response": True, "interrupt_response": True, "idle_timeout_ms": None,
}  # fmt: skip
_SEMANTIC_VAD = {"type": "semantic_vad", "eagerness": "auto", "create_response": True, "interrupt_response": True}

Reader = Callable[[Any, str], Any]


class InvalidRequest(Exception):
    """A client event that cannot be done; becomes one `error` event and changes nothing."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(code)
        self.code, self.message, self.param = code, message, param


@dataclass(frozen=True, slots=True)
class Order:
    """A response.create: the session as this response is to see it, and what is the response's own.

    `input` is the items it reads instead of the conversation, None for the conversation itself; out of band, what it
    says does not become part of the conversation.
    """

    session: dict[str, Any]
    metadata: dict[str, str] | None = None
    is_out_of_band: bool = False
    input: Sequence[Any] | None = None


def new_session(session_id: str, model: str, voice: str, expires_at: int) -> dict[str, Any]:
    """Return the effective session of a connection that has asked for nothing yet."""
    return {
        "type": "realtime", "object": "realtime.session", "id": session_id, "model": model, "expires_at": expires_at,
        "output_modalities": ["audio"], "instructions": "", "tools": [], "tool_choice": "auto",
        "max_output_tokens": "inf", "tracing": None, "truncation": "auto", "prompt": None, "include": None,
        "audio": {
            "input": {"format": PCM, "transcription": None, "noise_reduction": None, "turn_detection": _SERVER_VAD},
            "output": {"format": PCM, "voice": voice or "alloy", "speed": 1.0},
        },
    }  # fmt: skip


def updated_session(session: Mapping[str, Any], update: Any) -> dict[str, Any]:
    """Return the session with an update merged in: only the fields present change. Raise InvalidRequest."""
    if update is None:
        raise _missing("session")
    if not isinstance(update, dict):
        raise _invalid("session")
    if update.get("type") is None:
        raise _missing("session.type")
    if update["type"] != "realtime":
        raise InvalidRequest("invalid_value", "session.type must be 'realtime'.", "session.type")
    return _merged(session, update, _SESSION, "session")


def chooses_silence(update: Mapping[str, Any], before: bool) -> bool:
    """Say whether a client has chosen how much silence ends a turn, with this valid update or before it."""
    turn_detection = ((update.get("audio") or {}).get("input") or {}).get("turn_detection", update)
    if turn_detection is update:
        return before
    return turn_detection is not None and turn_detection.get("silence_duration_ms") is not None


def ordered_response(session: Mapping[str, Any], order: Any) -> Order:
    """Read the `response` of a response.create. Raise InvalidRequest."""
    if order is None:
        order = {}
    if not isinstance(order, dict):
        raise InvalidRequest("invalid_value", "response must be an object.", "response")
    own = {name: order.get(name) for name in ("metadata", "conversation", "input")}
    changes = {name: value for name, value in order.items() if name not in own}
    seen = _merged(session, changes, _RESPONSE, "response")
    _check_tool_choice(seen)
    return Order(
        seen,
        _metadata(own["metadata"], "response.metadata"),
        _one_of(None, "auto", "none")(own["conversation"], "response.conversation") == "none",
        _input(own["input"], "response.input"),
    )


def most_output_tokens(session: Mapping[str, Any], capabilities: Capabilities) -> int:
    asked = session["max_output_tokens"]
    return capabilities.max_output_tokens if asked == "inf" else min(int(asked), capabilities.max_output_tokens)


def member(event: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    """Return a member of a client event; without a default it is required."""
    value = event.get(name)
    if value is None:
        if default is None:
            raise _missing(name)
        return default
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InvalidRequest("invalid_value", f"'{name}' has the wrong type.", name)
    return value


def _merged(old: Mapping[str, Any], changes: Any, readers: Mapping[str, Any], path: str) -> dict[str, Any]:
    if not isinstance(changes, dict):
        raise _invalid(path)
    merged = dict(old)
    for name, value in changes.items():
        reader = readers.get(name)
        where = f"{path}.{name}"
        if reader is None:
            raise InvalidRequest("unknown_parameter", f"Unknown parameter: '{where}'.", where)
        if isinstance(reader, Mapping):
            merged[name] = _merged(old[name], {} if value is None else value, reader, where)
        elif value is not None or reader in _NULLABLE:
            # A null means "leave it" for everything that cannot be switched off: strict clients fill in nulls.
            merged[name] = old[name] if reader is _fixed else reader(value, where)
    return merged


def _fixed(value: Any, where: str) -> None:
    """Accept a field that clients repeat to us and nobody can change."""


def _only_null(value: Any, where: str) -> None:
    if value is not None:
        raise InvalidRequest("unknown_parameter", f"'{where}' is not supported by this model.", where)


def _ignored(value: Any, where: str) -> Any:
    """Accept what asks us to tell more than we know (traces, probabilities), and would change nothing here."""
    return None


def _noise_reduction(value: Any, where: str) -> dict[str, Any] | None:
    """Accept it: what reaches us is understood with noise or without."""
    if value is None:
        return None
    return _merged({}, value, _NOISE_REDUCTION_FIELDS, where)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value.encode()) > MAX_INSTRUCTIONS_BYTES:
        raise _invalid(where)
    return value


def _name(value: Any, where: str) -> str:
    if isinstance(value, dict):
        value = value.get("id")
    if not isinstance(value, str) or not 0 < len(value) <= MAX_NAME_CHARS:
        raise _invalid(where)
    return value


def _function_name(value: Any, where: str) -> str:
    if not isinstance(value, str) or not _FUNCTION_NAME.fullmatch(value):
        message = f"'{where}' must be 1 to 64 letters, digits, underscores or dashes."
        raise InvalidRequest("invalid_value", message, where)
    return value


def _modalities(value: Any, where: str) -> list[str]:
    if value not in (["audio"], ["text"]):
        raise InvalidRequest("invalid_value", f"'{where}' must be ['audio'] or ['text'].", where)
    return list(value)


def _format(value: Any, where: str) -> dict[str, Any]:
    kind = value.get("type") if isinstance(value, dict) else None
    if not isinstance(kind, str) or kind not in _FORMATS:
        raise InvalidRequest("invalid_value", f"'{where}.type' must be one of {sorted(_FORMATS)}.", f"{where}.type")
    chosen = _FORMATS[kind]
    if value.get("rate") not in (None, chosen.get("rate", 8000)):
        raise InvalidRequest("invalid_value", f"'{where}.rate' must be {chosen.get('rate', 8000)}.", f"{where}.rate")
    return chosen


def _number(low: float, high: float, kind: type) -> Reader:
    def read(value: Any, where: str) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            raise InvalidRequest("invalid_value", f"'{where}' must be between {low} and {high}.", where)
        return kind(value)

    return read


def _max_output_tokens(value: Any, where: str) -> int | str:
    if value == "inf":
        return "inf"
    return int(_number(1, 128_000, int)(value, where))


def _transcription(value: Any, where: str) -> dict[str, Any] | None:
    # Members we do not act on are left out of the session in force.
    asked = None if value is None else _merged({}, value, _TRANSCRIPTION_FIELDS, where)
    return asked and {name: member for name, member in asked.items() if member is not None}


def _truncation(value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        return _one_of("auto", "disabled")(value, where)
    asked = _merged({"token_limits": {}}, value, _RETENTION_FIELDS, where)
    if not {"type", "retention_ratio"} <= asked.keys():
        raise InvalidRequest("missing_required_parameter", f"'{where}' needs a type and a retention_ratio.", where)
    return {name: member for name, member in asked.items() if member}


def _turn_detection(value: Any, where: str) -> dict[str, Any] | None:
    if value is None:
        return None
    kind = value.get("type") if isinstance(value, dict) else None
    if kind == "server_vad":
        return _merged(_SERVER_VAD, value, _SERVER_VAD_FIELDS, where)
    if kind == "semantic_vad":
        return _merged(_SEMANTIC_VAD, value, _SEMANTIC_VAD_FIELDS, where)
    raise InvalidRequest("invalid_value", f"'{where}.type' must be server_vad or semantic_vad.", f"{where}.type")


def _one_of(*allowed: Any) -> Reader:
    def read(value: Any, where: str) -> Any:
        # 1 == True in Python, and not in JSON.
        if not any(value == choice and type(value) is type(choice) for choice in allowed):
            raise InvalidRequest("invalid_value", f"'{where}' must be one of {list(allowed)}.", where)
        return value

    return read


def _tools(value: Any, where: str) -> list[dict[str, Any]]:
    if not isinstance(value, list) or len(value) > MAX_TOOLS or len(json.dumps(value)) > MAX_TOOLS_BYTES:
        raise _invalid(where)
    return [_tool(tool, f"{where}[{index}]") for index, tool in enumerate(value)]


def _tool(tool: Any, where: str) -> dict[str, Any]:
    if not isinstance(tool, dict) or tool.get("type") != "function":
        raise InvalidRequest("invalid_value", f"'{where}.type' must be 'function'.", f"{where}.type")
    parameters = tool.get("parameters")
    return {
        "type": "function",
        "name": _function_name(tool.get("name"), f"{where}.name"),
        "description": _text(tool.get("description") or "", f"{where}.description"),
        "parameters": parameters if isinstance(parameters, dict) else {"type": "object", "properties": {}},
    }


def _tool_choice(value: Any, where: str) -> Any:
    if isinstance(value, dict) and value.get("type") == "function":
        return {"type": "function", "name": _name(value.get("name"), f"{where}.name")}
    return _one_of("auto", "none", "required")(value, where)


def _check_tool_choice(session: Mapping[str, Any]) -> None:
    choice = session["tool_choice"]
    if isinstance(choice, dict) and not any(tool["name"] == choice["name"] for tool in session["tools"]):
        message = f"Tool choice '{choice['name']}' not found in 'tools' parameter."
        raise InvalidRequest("invalid_value", message, "response.tool_choice")


def _input(value: Any, where: str) -> Sequence[Any] | None:
    if value is not None and (not isinstance(value, list) or len(value) > MAX_INPUT_ITEMS):
        raise InvalidRequest("invalid_value", f"'{where}' must be a list of {MAX_INPUT_ITEMS} items at most.", where)
    return value


def _metadata(value: Any, where: str) -> dict[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or len(value) > 16:
        raise _invalid(where)
    if not all(isinstance(text, str) and len(key) <= 64 and len(text) <= 512 for key, text in value.items()):
        raise _invalid(where)
    return dict(value)


def _missing(where: str) -> InvalidRequest:
    return InvalidRequest("missing_required_parameter", f"Missing required parameter: '{where}'.", where)


def _invalid(where: str) -> InvalidRequest:
    return InvalidRequest("invalid_value", f"Invalid value: '{where}'.", where)


_flag = _one_of(True, False)
_SERVER_VAD_FIELDS = {
    "type": _name, "threshold": _number(0, 1, float), "prefix_padding_ms": _number(0, 2000, int),
    "silence_duration_ms": _number(200, 5000, int), "create_response": _flag, "interrupt_response": _flag,
    "idle_timeout_ms": _only_null,
}  # fmt: skip
_SEMANTIC_VAD_FIELDS = {
    "type": _name, "eagerness": _one_of("low", "medium", "high", "auto"),
    "create_response": _flag, "interrupt_response": _flag,
}  # fmt: skip
_NOISE_REDUCTION_FIELDS = {"type": _one_of("near_field", "far_field"), "strength": _number(0, 1, float)}
_TRANSCRIPTION_FIELDS = {
    "model": _name, "language": _name, "prompt": _text, "languages": _ignored, "keywords": _ignored, "delay": _ignored,
}  # fmt: skip
_RETENTION_FIELDS = {
    "type": _one_of("retention_ratio"), "retention_ratio": _number(0, 1, float),
    "token_limits": {"post_instructions": _number(0, 10_000_000, int)},
}  # fmt: skip
_OUTPUT = {"format": _format, "voice": _name, "speed": _number(0.25, 1.5, float)}
_RESPONSE: dict[str, Any] = {
    "instructions": _text, "output_modalities": _modalities, "tools": _tools, "tool_choice": _tool_choice,
    "max_output_tokens": _max_output_tokens, "audio": {"output": _OUTPUT},
    "prompt": _only_null, "reasoning": _only_null, "parallel_tool_calls": _flag,
}  # fmt: skip
_SESSION: dict[str, Any] = {
    **_RESPONSE,
    "type": _name, "object": _fixed, "id": _fixed, "model": _fixed, "expires_at": _fixed,
    "audio": {
        "input": {
            "format": _format, "noise_reduction": _noise_reduction, "transcription": _transcription,
            "turn_detection": _turn_detection,
        },
        "output": _OUTPUT,
    },
    "tracing": _ignored, "include": _ignored, "truncation": _truncation,
}  # fmt: skip
_NULLABLE = {_only_null, _ignored, _noise_reduction, _transcription, _turn_detection}
