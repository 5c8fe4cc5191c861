"""The tools a model is offered, and those every assistant has: finish its task, take a number, hang up."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voice.sessions.call import Call, CollectedField
from voice.sessions.state import FunctionCall

END_CALL = "end_call"
REQUEST_CALLBACK = "request_callback"
# A customer's tool of the same name would hide one of them.
BUILT_IN = frozenset({END_CALL, REQUEST_CALLBACK})

_CALLBACK_FIELDS = (
    CollectedField("name", "the caller's name"),
    CollectedField("phone", "the phone number to call back"),
)
# What a caller's browser is shown of a field; a longer value is no name, address or time.
_FIELD_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What the model is told, and what the call has come to."""

    output: str
    completed: str = ""
    fields: Mapping[str, str] | None = None
    ends_call: bool = False


def tools_of(call: Call) -> list[dict[str, Any]]:
    """Return the GA tool definitions of a call."""
    tools = [
        _function(REQUEST_CALLBACK, "The caller wants a person: take a number to call back.", _CALLBACK_FIELDS),
        _function(END_CALL, "Hang up. Use it after you have said goodbye.", ()),
    ]
    if call.task_name and call.collects:
        description = "Call this once the caller has confirmed every detail that you read back."
        tools.insert(0, _function(call.task_name, description, call.collects))
    return tools + [tool.definition for tool in call.tools]


def run_tool(call: Call, asked: FunctionCall) -> ToolResult:
    """Answer a tool call. What the model made up is refused with a sentence it can act on."""
    if asked.name == END_CALL:
        return ToolResult(output='{"status":"ok"}', ends_call=True)
    wanted = _fields_of(call, asked.name)
    if wanted is None:
        return _refusal("There is no such tool.")
    fields = _read_fields(asked.arguments)
    if fields is None:
        return _refusal("The arguments are not a JSON object.")
    missing = [field.name for field in wanted if not fields.get(field.name)]
    if missing:
        return _refusal(f"Still missing: {', '.join(missing)}. Ask the caller.")
    kept = {field.name: fields[field.name] for field in wanted}
    return ToolResult(output='{"status":"ok"}', completed=asked.name, fields=kept)


def _fields_of(call: Call, tool: str) -> tuple[CollectedField, ...] | None:
    if tool == REQUEST_CALLBACK:
        return _CALLBACK_FIELDS
    return call.collects if tool and tool == call.task_name else None


def _read_fields(arguments: str) -> dict[str, str] | None:
    try:
        fields = json.loads(arguments)
    except (ValueError, RecursionError):
        return None
    if not isinstance(fields, dict):
        return None
    return {str(name): str(value).strip()[:_FIELD_CHARS_MAX] for name, value in fields.items() if value is not None}


def _refusal(sentence: str) -> ToolResult:
    return ToolResult(output=json.dumps({"status": "error", "message": sentence}))


def _function(name: str, description: str, fields: tuple[CollectedField, ...]) -> dict[str, Any]:
    return {
        "type": "function",
        "name": name,
        "description": description,
        "parameters": {
            "type": "object",
            "properties": {field.name: {"type": "string", "description": field.description} for field in fields},
            "required": [field.name for field in fields],
            "additionalProperties": False,
        },
    }
