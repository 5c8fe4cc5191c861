"""Ask a customer's tool, in a call or by hand: one guarded request, and an answer a model can speak about."""

import asyncio
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import structlog

from voice import outgoing
from voice.tools.schema import BadArguments, read_arguments
from voice.tools.spec import ToolSpec

log = structlog.get_logger(__name__)

MOST_ANSWER_BYTES = 32_768
# Every character of an answer is read, and paid for, by every later response of the call.
MOST_ANSWER_CHARS = 4_000


@dataclass(frozen=True, slots=True)
class Answered:
    """What became of one call of a tool. `output` is JSON text for the model; `problem` is "" or a stable code.

    `status` is None when nothing was asked or nothing was answered.
    """

    output: str
    problem: str = ""
    status: int | None = None
    duration_ms: int = 0


async def call_tool(tool: ToolSpec, arguments: str, *, call_id: str, session_id: str) -> Answered:
    """Check what the model wrote, ask the customer's server, and return what to tell the model. Raises nothing.

    `call_id` is sent as the Idempotency-Key: the same call of the same conversation, the same key.
    """
    began_at = time.monotonic()
    try:
        # On a thread, because how long a schema takes to check is up to whoever wrote it.
        request = await asyncio.to_thread(_request, tool, arguments, call_id, session_id)
        answered = _read(await outgoing.request_async("POST", tool.url, **request), began_at)
    except (BadArguments, outgoing.Refused) as problem:
        answered = _failed(problem, began_at)
    # Which tool, and how it went: neither what was asked nor what was answered.
    log.info(
        "tool_called",
        tool_id=tool.id,
        status=answered.status,
        problem=answered.problem,
        duration_ms=answered.duration_ms,
    )
    return answered


def try_tool(tool: ToolSpec, arguments: str, *, call_id: str) -> Answered:
    """Do `call_tool` by hand, where no call is going on."""
    began_at = time.monotonic()
    try:
        return _read(outgoing.request("POST", tool.url, **_request(tool, arguments, call_id, "")), began_at)
    except (BadArguments, outgoing.Refused) as problem:
        return _failed(problem, began_at)


def refusal(sentence: str, problem: str = "refused") -> Answered:
    """Return an answer that was not asked for: the model is told why."""
    return Answered(_told({"status": "error", "message": sentence}), problem)


def _request(tool: ToolSpec, arguments: str, call_id: str, session_id: str) -> dict[str, Any]:
    checked = read_arguments(tool.parameters, arguments)
    body = {"tool": tool.name, "arguments": checked, "call_id": call_id, "session_id": session_id or None}
    headers = {"Content-Type": "application/json", "Accept": "application/json", "Idempotency-Key": call_id}
    if tool.secret_header and tool.secret:
        headers[tool.secret_header] = tool.secret
    return {
        "headers": headers,
        "body": json.dumps(body).encode(),
        "timeout_s": tool.timeout_ms / 1000,
        "max_bytes": MOST_ANSWER_BYTES,
    }


def _read(reply: outgoing.Reply, began_at: float) -> Answered:
    answer, is_cut = _answer_of(reply.body)
    if 200 <= reply.status < 300:
        told, problem = {"status": "ok", "answer": answer}, ""
    else:
        message = f"The tool answered with an error (HTTP {reply.status})."
        told, problem = {"status": "error", "message": message, "answer": answer}, "http_error"
    if is_cut:
        told["cut"] = f"Only the first {MOST_ANSWER_CHARS:,} characters."
    return Answered(_told(told), problem, reply.status, _ms_since(began_at))


def _answer_of(body: bytes) -> tuple[Any, bool]:
    """Return what was answered, as JSON where it is that and short enough, else as text, and whether it was cut."""
    text = body.decode("utf-8", "replace").strip()
    if len(text) > MOST_ANSWER_CHARS:
        return text[:MOST_ANSWER_CHARS], True
    try:
        return json.loads(text), False
    except (ValueError, RecursionError):
        return text, False


_SENTENCES = {
    "timed_out": "The tool did not answer in time. Tell the caller, and offer something else.",
    "too_large": "The tool's answer was too long to use.",
}


def _failed(problem: BadArguments | outgoing.Refused, began_at: float) -> Answered:
    if isinstance(problem, BadArguments):
        code, sentence = "bad_arguments", problem.sentence
    else:
        code = problem.code
        sentence = _SENTENCES.get(code, "The tool cannot be reached now. Tell the caller, and offer something else.")
    return Answered(refusal(sentence).output, code, None, _ms_since(began_at))


def _told(what: Mapping[str, Any]) -> str:
    # Halves of surrogate pairs are no text, and would end the call on their way to the model.
    return json.dumps(what, ensure_ascii=False).encode("utf-8", "replace").decode("utf-8")


def _ms_since(began_at: float) -> int:
    return round((time.monotonic() - began_at) * 1000)
