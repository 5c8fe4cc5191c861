"""POST chat/completions: text from a chat model, whole or streamed, held before and charged after."""

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import httpx
import structlog
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from ninja import Router
from pydantic import Field

from accounts.client_ip import client_ip_of
from voice.admission.admit_request import Need, admit_request, model_for
from voice.admission.key_holders import Holder
from voice.api.answers import IDEMPOTENT, WITH_BODY, also, answers
from voice.api.callers import ApiKey, holder_of
from voice.api.errors import InvalidRequest, error_body
from voice.api.outcomes import asking, settle
from voice.api.providers import failure_of, is_openais_own, provider_of, show_model
from voice.api.schemas import Given
from voice.api.stand_ins import answered
from voice.api.streams import SourcedStream
from voice.catalogue.http_models import HttpModel
from voice.catalogue.rate_card import affordable_output_tokens, worst_case_micro
from voice.metering.http_usage import context_tokens_of, estimated_chat, quantities_of_chat
from voice.models import ApiRequest
from voice.models.catalogue import ModelKind
from voice.upstream.errors import UpstreamError
from voice.upstream.http_provider import bounded, lines_of, posted

log = structlog.get_logger(__name__)

router = Router(tags=["Text and speech"])

_MAX_ANSWER_BYTES = 4 * 1024 * 1024
_MAX_LINE_BYTES = 256 * 1024
# An answer shorter than this is not worth asking for.
_SHORTEST_ANSWER_TOKENS = 64
_ROLES = ("system", "developer", "user", "assistant", "tool")

Temperature = Annotated[float, Field(ge=0, le=2, strict=False)]
Penalty = Annotated[float, Field(ge=-2, le=2, strict=False)]
Share = Annotated[float, Field(ge=0, le=1, strict=False)]
Tokens = Annotated[int, Field(ge=1, le=1_000_000)]


class StreamOptions(Given):
    include_usage: bool = False


class ChatWanted(Given):
    """OpenAI's request, as far as it concerns text. `n` is 1; what costs extra (search, priority) is not offered."""

    model: str = Field(min_length=1, max_length=80)
    messages: list[dict[str, Any]] = Field(min_length=1, max_length=2000)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_completion_tokens: Tokens | None = None
    max_tokens: Tokens | None = Field(None, description="The old name of max_completion_tokens.")
    temperature: Temperature | None = None
    top_p: Share | None = None
    presence_penalty: Penalty | None = None
    frequency_penalty: Penalty | None = None
    stop: str | list[str] | None = None
    seed: int | None = None
    n: Literal[1] | None = None
    tools: list[dict[str, Any]] | None = Field(None, max_length=128)
    tool_choice: str | dict[str, Any] | None = None
    parallel_tool_calls: bool | None = None
    response_format: dict[str, Any] | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high", "xhigh"] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    logit_bias: dict[str, int] | None = None
    metadata: dict[str, str] | None = None
    user: str | None = Field(None, max_length=512)
    store: bool | None = None
    service_tier: Literal["auto", "default"] | None = None


# What is ours to decide, or says nothing to a provider of ours.
_NOT_PASSED_ON = {
    "model", "stream", "stream_options", "max_completion_tokens", "max_tokens", "n", "metadata", "user", "store",
    "service_tier",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Job:
    """A request that has been admitted: what is asked of whom, and what it is billed by."""

    request: ApiRequest
    model: HttpModel
    body: Mapping[str, Any]
    body_bytes: int
    shows_usage: bool


@router.post(
    "v1/chat/completions",
    url_name="chat_completions",
    operation_id="create_chat_completion",
    summary="Complete a chat",
    auth=ApiKey(),
    response=answers({200: dict[str, Any]}, 402, 403, 404, 502, *WITH_BODY),
    openapi_extra={**IDEMPOTENT, **also("text/event-stream")},
)
async def chat_completions(request: HttpRequest, wanted: ChatWanted) -> HttpResponseBase:
    """Text from `gpt-4.1` and others; a realtime model is voice-only. Without a provider's key our own model answers.

    The answer is as long as the credits allow. Streamed, `stream: true`, it comes as server-sent events.
    """
    admit = partial(_admit, holder_of(request), wanted, client_ip_of(request))
    ask = _streamed if wanted.stream else _whole
    job, response = await answered(admit, ask)
    show_model(response, job.model)
    return response


def _admit(holder: Holder, wanted: ChatWanted, client_ip: str, failed: HttpModel | None) -> _Job:
    """Hold the worst case of a request and return what is to be asked. Raises Refusal, InvalidRequest."""
    holder.require("chat")
    model = model_for(holder, wanted.model, ModelKind.CHAT, failed)
    _check_messages(wanted, model)
    body = {name: value for name, value in wanted.model_dump(exclude_unset=True).items() if name not in _NOT_PASSED_ON}
    body_bytes = len(json.dumps(body, ensure_ascii=False).encode())
    context_tokens = min(context_tokens_of(body_bytes, len(wanted.messages)), model.served.context_tokens)
    most_tokens = min(
        wanted.max_completion_tokens or wanted.max_tokens or model.served.max_output_tokens,
        model.served.max_output_tokens,
    )
    need = Need(
        most_micro=worst_case_micro(model.card, context_tokens=context_tokens, max_output_tokens=most_tokens),
        least_micro=worst_case_micro(
            model.card,
            context_tokens=context_tokens,
            max_output_tokens=min(most_tokens, _SHORTEST_ANSWER_TOKENS),
        ),
    )
    request = admit_request(holder, model, ApiRequest.Kind.CHAT, need, client_ip=client_ip)
    affordable = affordable_output_tokens(model.card, context_tokens=context_tokens, budget_micro=request.held_micro)
    body |= {"model": model.provider_model, _limit_of(model): max(1, min(most_tokens, affordable))}
    if is_openais_own(model):
        body["store"] = False
    if wanted.stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    shows_usage = wanted.stream_options is not None and wanted.stream_options.include_usage
    return _Job(request, model, body, body_bytes, shows_usage)


def _limit_of(model: HttpModel) -> str:
    # Servers of others than OpenAI know it by its old name, except for models that think.
    is_new = model.is_embedded or is_openais_own(model) or model.served.is_reasoning
    return "max_completion_tokens" if is_new else "max_tokens"


def _check_messages(wanted: ChatWanted, model: HttpModel) -> None:
    for index, message in enumerate(wanted.messages):
        where = f"messages.{index}"
        if message.get("role") not in _ROLES:
            raise InvalidRequest(f"{where}.role: choose one of: {', '.join(_ROLES)}.", param=f"{where}.role")
        content = message.get("content")
        for part in content if isinstance(content, list) else []:
            kind = part.get("type") if isinstance(part, dict) else None
            if kind == "image_url" and not model.served.sees_images:
                raise InvalidRequest(
                    f"{where}.content: {model.served.slug} cannot see images.",
                    code="images_not_supported",
                    param=f"{where}.content",
                )
            if kind not in ("text", "refusal", "image_url"):
                raise InvalidRequest(f"{where}.content: parts are text only.", param=f"{where}.content")


async def _whole(job: _Job) -> HttpResponseBase:
    async with asking(job.request, job.model):
        async with posted(await provider_of(job.model), "/chat/completions", json=dict(job.body)) as answer:
            body = b"".join([piece async for piece in bounded(answer, _MAX_ANSWER_BYTES)])
        completion = _object(body)
    usage = completion.get("usage")
    quantities = quantities_of_chat(usage)
    is_estimated = not quantities
    if is_estimated:
        quantities = estimated_chat(body_bytes=job.body_bytes, answer_chars=len(body))
    await settle(job.request, job.model, quantities, reported=usage, is_estimated=is_estimated)
    return HttpResponse(body, content_type="application/json")


async def _streamed(job: _Job) -> HttpResponseBase:
    """Open the stream before anything is answered, so that a refusal still has a status of its own."""
    stack = AsyncExitStack()
    async with asking(job.request, job.model):
        answer = await stack.enter_async_context(
            posted(await provider_of(job.model), "/chat/completions", json=dict(job.body))
        )
    response = SourcedStream(_events(job, answer, stack), content_type="text/event-stream; charset=utf-8")
    response["Cache-Control"] = "no-cache"
    return response


async def _events(job: _Job, answer: httpx.Response, stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    """Pass the provider's events on as they come, and settle what they used however the stream ends."""
    tally = _Tally()
    is_whole, failure = False, None
    try:
        async for line in lines_of(answer, max_bytes=_MAX_ANSWER_BYTES, max_line_bytes=_MAX_LINE_BYTES):
            if tally.read(line) or job.shows_usage:
                yield line + b"\n"
        is_whole = True
    except UpstreamError as error:
        failure, told = error, failure_of(error)
        yield b"data: " + json.dumps(error_body(told.status, told.code, told.message)).encode() + b"\n\n"
    finally:
        # Also when the client has left: what was delivered is paid, and the provider is told to stop.
        await _settle_stream(job, tally, is_whole=is_whole, failure=failure)
        await stack.aclose()


async def _settle_stream(job: _Job, tally: "_Tally", *, is_whole: bool, failure: UpstreamError | None) -> None:
    quantities = quantities_of_chat(tally.usage)
    is_estimated = not quantities
    if is_estimated:
        quantities = estimated_chat(body_bytes=job.body_bytes, answer_chars=tally.chars)
    await settle(
        job.request,
        job.model,
        quantities,
        reported=tally.usage,
        is_estimated=is_estimated,
        is_whole=is_whole,
        failure=failure,
    )


class _Tally:
    """What a stream has brought so far: its usage, when it came, and otherwise how much text."""

    def __init__(self) -> None:
        self.usage: dict[str, Any] | None = None
        self.chars = 0
        self._skips_blank = False

    def read(self, line: bytes) -> bool:
        """Return whether a client that did not ask for usage is to see this line."""
        if not line and self._skips_blank:
            self._skips_blank = False
            return False
        if not line.startswith(b"data:") or line[5:].strip() == b"[DONE]":
            return True
        chunk = _object(line[5:])
        choices = chunk.get("choices")
        self.chars += sum(_chars_of(choice) for choice in choices if isinstance(choice, dict)) if choices else 0
        if isinstance(chunk.get("usage"), dict):
            self.usage = chunk["usage"]
            self._skips_blank = not choices
            return bool(choices)
        return True


def _chars_of(choice: Mapping[str, Any]) -> int:
    delta = choice.get("delta")
    if not isinstance(delta, dict):
        return 0
    content, calls = delta.get("content"), delta.get("tool_calls")
    said = len(content) if isinstance(content, str) else 0
    return said + (len(json.dumps(calls, ensure_ascii=False)) if calls else 0)


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise UpstreamError("upstream_garbage", retryable=False)
    return value
