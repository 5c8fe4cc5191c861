"""Read a chat completion request and write its answer, whole or streamed, exactly as the OpenAI API does."""

import json
import re
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local_models.errors import ApiError, invalid
from local_models.receptionist import compose_json, reply
from local_models.receptionist.messages import Json, Message, Reply, Tool, ToolCall

MODEL_ID = "parley-receptionist"

# A call of an hour has a few hundred turns. Every request replays them all, so they must be bounded.
MESSAGES_MAX = 600
TOOLS_MAX = 128
CHARACTERS_MAX = 400_000
CHARACTERS_PER_TOKEN = 4
SCHEMA_DEPTH_MAX = 32

_ROLES = {"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool"}


@dataclass(frozen=True)
class ChatRequest:
    """A request that was checked. `schema` is set when an answer in JSON is wanted."""

    messages: list[Message]
    tools: list[Tool]
    tool_choice: str
    schema: Json | None
    stream: bool
    include_usage: bool
    max_tokens: int | None
    prompt_tokens: int


@dataclass(frozen=True)
class Completion:
    """A finished answer. The content is None when there is only a function to call."""

    content: str | None
    call: ToolCall | None
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int

    def usage(self) -> Json:
        return {
            "prompt_tokens": self.prompt_tokens,
            "completion_tokens": self.completion_tokens,
            "total_tokens": self.prompt_tokens + self.completion_tokens,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
        }


def count_tokens(text: str) -> int:
    """Count a token for every four characters begun: a fixed rule that anybody can check."""
    return -(-len(text) // CHARACTERS_PER_TOKEN)


def parse(body: object) -> ChatRequest:
    """Check a request's JSON. Raises ApiError 400 or 404 naming the parameter at fault."""
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    check_model(body, MODEL_ID)
    if body.get("n") not in (None, 1):
        raise invalid("Only one choice (n = 1) is given.", "n")
    messages = _messages(body.get("messages"))
    tools = _tools(body.get("tools"))
    stream_options = body.get("stream_options")
    counted = json.dumps([body.get("messages"), body.get("tools") or []], ensure_ascii=False, separators=(",", ":"))
    if len(counted) > CHARACTERS_MAX:
        raise invalid("The conversation is too long.", "messages", "context_length_exceeded")
    return ChatRequest(
        messages=messages,
        tools=tools,
        tool_choice=_tool_choice(body.get("tool_choice"), tools),
        schema=_schema(body.get("response_format")),
        stream=_flag(body, "stream"),
        include_usage=isinstance(stream_options, dict) and stream_options.get("include_usage") is True,
        max_tokens=_max_tokens(body),
        prompt_tokens=count_tokens(counted),
    )


def complete(request: ChatRequest, now: datetime) -> Completion:
    """Answer a request. `now` is the business's local time, unless the instructions give another date."""
    answer = _answer(request, now)
    text, cut = _shortened(answer.text, request.max_tokens)
    call = None if cut else answer.call
    written = text + (call.name + json.dumps(call.arguments, ensure_ascii=False) if call else "")
    return Completion(
        content=text if text or not call else None,
        call=call,
        finish_reason="length" if cut else "tool_calls" if call else "stop",
        prompt_tokens=request.prompt_tokens,
        completion_tokens=count_tokens(written),
    )


def as_object(completion: Completion) -> Json:
    """Return the answer as one JSON object."""
    message: Json = {"role": "assistant", "content": completion.content, "refusal": None, "annotations": []}
    if completion.call:
        message["tool_calls"] = [_call_object(completion.call)]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": completion.finish_reason}
    return {**_envelope("chat.completion"), "choices": [choice], "usage": completion.usage()}


def as_events(completion: Completion, include_usage: bool) -> Iterator[str]:
    """Yield the answer as server-sent events, word by word, ending with [DONE]."""
    envelope = _envelope("chat.completion.chunk")
    usage: Json = {"usage": None} if include_usage else {}
    for delta in _deltas(completion):
        yield _event({**envelope, "choices": [_chunk_choice(delta, None)], **usage})
    yield _event({**envelope, "choices": [_chunk_choice({}, completion.finish_reason)], **usage})
    if include_usage:
        yield _event({**envelope, "choices": [], "usage": completion.usage()})
    yield "data: [DONE]\n\n"


def check_model(body: Json, model_id: str) -> None:
    """Raise ApiError unless the body asks for this model."""
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid("You must provide a model.", "model")
    if model != model_id:
        message = f"The model '{model[:80]}' does not exist here; this endpoint serves '{model_id}'."
        raise ApiError(404, message, param="model", code="model_not_found")


def _answer(request: ChatRequest, now: datetime) -> Reply:
    if request.schema is not None:
        return Reply(compose_json(request.messages, request.schema, now))
    return reply(request.messages, request.tools, request.tool_choice, now)


def _shortened(text: str, max_tokens: int | None) -> tuple[str, bool]:
    if max_tokens is None or count_tokens(text) <= max_tokens:
        return text, False
    return text[: max_tokens * CHARACTERS_PER_TOKEN], True


def _messages(value: object) -> list[Message]:
    if not isinstance(value, list) or not value:
        raise invalid("'messages' must be a list that is not empty.", "messages")
    if len(value) > MESSAGES_MAX:
        raise invalid(f"At most {MESSAGES_MAX} messages are read.", "messages", "context_length_exceeded")
    return [_message(item, f"messages[{index}]") for index, item in enumerate(value)]


def _message(item: object, where: str) -> Message:
    if not isinstance(item, dict) or item.get("role") not in _ROLES:
        raise invalid("Each message needs a role: system, developer, user, assistant or tool.", f"{where}.role")
    calls = tuple(_past_call(call, f"{where}.tool_calls") for call in _list(item.get("tool_calls"), where))
    role = _ROLES[item["role"]]
    return Message(role, _content(item.get("content"), where), calls)  # type: ignore[arg-type]


def _content(value: object, where: str) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    parts = _list(value, f"{where}.content")
    return " ".join(part["text"] for part in parts if isinstance(part, dict) and isinstance(part.get("text"), str))


def _past_call(value: object, where: str) -> ToolCall:
    function = value.get("function") if isinstance(value, dict) else None
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise invalid("A tool call needs a function with a name.", where)
    try:
        arguments = json.loads(function.get("arguments") or "{}")
    except (TypeError, ValueError):
        arguments = {}
    return ToolCall(function["name"], arguments if isinstance(arguments, dict) else {})


def _tools(value: object) -> list[Tool]:
    items = _list(value, "tools")
    if len(items) > TOOLS_MAX:
        raise invalid(f"At most {TOOLS_MAX} tools are read.", "tools")
    return [_tool(item, f"tools[{index}]") for index, item in enumerate(items)]


def _tool(item: object, where: str) -> Tool:
    function = item.get("function") if isinstance(item, dict) and item.get("type") == "function" else None
    if not isinstance(function, dict):
        raise invalid("Each tool must be of type 'function' with a 'function' object.", where)
    name = function.get("name")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", name):
        raise invalid("A function's name is 1 to 64 letters, digits, '_' or '-'.", f"{where}.function.name")
    parameters = function.get("parameters") or {}
    _check_schema(parameters, f"{where}.function.parameters")
    description = function.get("description")
    return Tool(name, description if isinstance(description, str) else "", parameters)


def _tool_choice(value: object, tools: list[Tool]) -> str:
    """Return "auto", "none", "required" or the name of the one function that must be called, as "=name"."""
    if value is None:
        return "auto" if tools else "none"
    if value in ("auto", "none", "required"):
        if value == "required" and not tools:
            raise invalid("'tool_choice' is required but there are no tools.", "tool_choice")
        return str(value)
    function = value.get("function") if isinstance(value, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not any(tool.name == name for tool in tools):
        raise invalid("'tool_choice' must be none, auto, required or a function that is on offer.", "tool_choice")
    return f"={name}"


def _schema(value: object) -> Json | None:
    if value is None or value == {"type": "text"}:
        return None
    if isinstance(value, dict) and value.get("type") == "json_object":
        return {}
    described = value.get("json_schema") if isinstance(value, dict) and value.get("type") == "json_schema" else None
    if not isinstance(described, dict):
        raise invalid("'response_format' must be text, json_object or json_schema.", "response_format")
    schema = described.get("schema")
    _check_schema(schema, "response_format.json_schema.schema")
    assert isinstance(schema, dict)
    return schema


def _check_schema(schema: object, where: str) -> None:
    if not isinstance(schema, dict):
        raise invalid("A JSON Schema object is expected.", where)
    if _depth(schema) > SCHEMA_DEPTH_MAX:
        raise invalid("The schema is nested too deeply.", where)


def _depth(value: object) -> int:
    """Measure nesting without recursing, since the depth is what is in doubt."""
    depth = 0
    level = [value]
    while level and depth <= SCHEMA_DEPTH_MAX:
        depth += 1
        inner = [item.values() if isinstance(item, dict) else item for item in level if isinstance(item, dict | list)]
        level = [child for children in inner for child in children]
    return depth


def _flag(body: Json, name: str) -> bool:
    value = body.get(name)
    if value not in (None, True, False):
        raise invalid(f"'{name}' must be true or false.", name)
    return bool(value)


def _max_tokens(body: Json) -> int | None:
    for name in ("max_completion_tokens", "max_tokens"):
        value = body.get(name)
        if value is None:
            continue
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise invalid(f"'{name}' must be a whole number of at least 1.", name)
        return value
    return None


def _list(value: object, where: str) -> list[Any]:
    if value is None:
        return []
    if not isinstance(value, list):
        raise invalid("A list is expected.", where)
    return value


def _envelope(kind: str) -> Json:
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": MODEL_ID,
        "service_tier": "default",
        "system_fingerprint": None,
    }


def _call_object(call: ToolCall) -> Json:
    arguments = json.dumps(call.arguments, ensure_ascii=False)
    return {
        "id": f"call_{uuid.uuid4().hex[:24]}",
        "type": "function",
        "function": {"name": call.name, "arguments": arguments},
    }


def _deltas(completion: Completion) -> Iterator[Json]:
    yield {"role": "assistant", "content": "" if completion.content is not None else None, "refusal": None}
    for word in re.findall(r"\s*\S+|\s+", completion.content or ""):
        yield {"content": word}
    if completion.call:
        call = _call_object(completion.call)
        function = call["function"]
        yield {"tool_calls": [{"index": 0, **call, "function": {"name": function["name"], "arguments": ""}}]}
        yield {"tool_calls": [{"index": 0, "function": {"arguments": function["arguments"]}}]}


def _chunk_choice(delta: Json, finish_reason: str | None) -> Json:
    return {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}


def _event(payload: Json) -> str:
    return f"data: {json.dumps(payload, ensure_ascii=False, separators=(',', ':'))}\n\n"
