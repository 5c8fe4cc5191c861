"""POST audio/speech: text read aloud, streamed as it is made, held before and charged after."""

import base64
import binascii
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

import httpx
from django.http import HttpRequest
from ninja import Router
from pydantic import Field

from accounts.client_ip import client_ip_of
from voice.admission.admit_request import Need, admit_request, model_for
from voice.admission.key_holders import Holder
from voice.api.answers import IDEMPOTENT, WITH_BODY, answers
from voice.api.callers import ApiKey, holder_of
from voice.api.errors import InvalidRequest
from voice.api.outcomes import asking, settle
from voice.api.providers import is_openais_own, provider_of, show_model
from voice.api.schemas import Given
from voice.api.stand_ins import answered
from voice.api.streams import SourcedStream
from voice.catalogue.embedded import EMBEDDED_VOICE
from voice.catalogue.http_models import HttpModel
from voice.metering.http_usage import estimated_speech, most_speech, quantities_of_speech
from voice.metering.rating import rate
from voice.models import ApiRequest
from voice.models.catalogue import ModelKind
from voice.upstream.errors import UpstreamError
from voice.upstream.http_provider import bounded, lines_of, posted

router = Router(tags=["Text and speech"])

_MEDIA_TYPES = {
    "mp3": "audio/mpeg", "opus": "audio/ogg", "aac": "audio/aac", "flac": "audio/flac", "wav": "audio/wav",
    "pcm": "audio/pcm",
}  # fmt: skip
_EMBEDDED_FORMATS = ("wav", "pcm")
_WAV_HEADER_BYTES = 44
# Four thousand characters at a quarter of the speed are some twenty minutes.
_MAX_BYTES = 96 * 1024 * 1024
_MAX_LINE_BYTES = 4 * 1024 * 1024


class SpeechWanted(Given):
    """OpenAI's request. Without a format: mp3, or wav where our own model speaks."""

    model: str = Field(min_length=1, max_length=80)
    input: str = Field(min_length=1, max_length=4096)
    voice: str = Field("alloy", min_length=1, max_length=40)
    response_format: Literal["mp3", "opus", "aac", "flac", "wav", "pcm"] | None = None
    speed: Annotated[float, Field(ge=0.25, le=4, strict=False)] = 1.0
    instructions: str = Field("", max_length=4096)
    stream_format: Literal["audio"] | None = None


@dataclass(frozen=True, slots=True)
class _Job:
    request: ApiRequest
    model: HttpModel
    body: Mapping[str, Any]
    text: str
    format: str


@router.post(
    "v1/audio/speech",
    url_name="speech",
    operation_id="create_speech",
    summary="Read text aloud",
    auth=ApiKey(),
    response=answers({200: None}, 402, 403, 404, 502, *WITH_BODY),
    openapi_extra={
        **IDEMPOTENT,
        "responses": {200: {"content": {name: {} for name in sorted(_MEDIA_TYPES.values())}}},
    },
)
async def speech(request: HttpRequest, wanted: SpeechWanted) -> SourcedStream:
    """`gpt-4o-mini-tts` as it speaks. Without a provider's key our own voice does, as wav or pcm (24 kHz, mono)."""
    admit = partial(_admit, holder_of(request), wanted, client_ip_of(request))
    job, response = await answered(admit, _spoken)
    show_model(response, job.model)
    return response


async def _spoken(job: _Job) -> SourcedStream:
    stack = AsyncExitStack()
    async with asking(job.request, job.model):
        provider = await provider_of(job.model)
        answer = await stack.enter_async_context(posted(provider, "/audio/speech", json=dict(job.body)))
    return SourcedStream(_audio(job, answer, stack), content_type=_MEDIA_TYPES[job.format])


def _admit(holder: Holder, wanted: SpeechWanted, client_ip: str, failed: HttpModel | None) -> _Job:
    holder.require("audio")
    model = model_for(holder, wanted.model, ModelKind.SPEECH, failed)
    voices = model.asked.voices
    if voices and wanted.voice not in voices:
        raise InvalidRequest(f"voice: choose one of: {', '.join(voices)}.", param="voice")
    body = _body_of(wanted, model)
    most_micro = rate(most_speech(wanted.input), model.card).total_micro
    # Ordinary speech takes a fifth of the slowest there could be.
    need = Need(most_micro=most_micro, least_micro=most_micro // 5)
    request = admit_request(holder, model, ApiRequest.Kind.SPEECH, need, client_ip=client_ip)
    return _Job(request, model, body, wanted.input, str(body["response_format"]))


def _body_of(wanted: SpeechWanted, model: HttpModel) -> dict[str, Any]:
    body: dict[str, Any] = {"model": model.provider_model, "input": wanted.input, "speed": wanted.speed}
    if model.is_embedded:
        if wanted.response_format not in (None, *_EMBEDDED_FORMATS):
            raise InvalidRequest(
                f"response_format: {model.served.slug} speaks {' or '.join(_EMBEDDED_FORMATS)}.",
                code="unsupported_value",
                param="response_format",
            )
        return {**body, "voice": EMBEDDED_VOICE, "response_format": wanted.response_format or "wav"}
    body |= {"voice": wanted.voice, "response_format": wanted.response_format or "mp3"}
    if is_openais_own(model):
        # As events, because only those end with what was used.
        body["stream_format"] = "sse"
    return {**body, "instructions": wanted.instructions} if wanted.instructions else body


async def _audio(job: _Job, answer: httpx.Response, stack: AsyncExitStack) -> AsyncGenerator[bytes, None]:
    """Pass the audio on as it comes, and settle what was made however the stream ends."""
    sent_bytes = 0
    usage: dict[str, Any] = {}
    comes_as_events = is_openais_own(job.model) and _is_event_stream(answer)
    pieces = _from_events(answer, usage) if comes_as_events else bounded(answer, _MAX_BYTES)
    is_whole, failure = False, None
    try:
        async for piece in pieces:
            sent_bytes += len(piece)
            yield piece
        is_whole = True
    except UpstreamError as error:
        # A stream that breaks off ends short: there is no place for words in it, and the client sees that.
        failure = error
        raise
    finally:
        await _settle(job, usage, sent_bytes, is_whole=is_whole, failure=failure)
        await stack.aclose()


def _is_event_stream(answer: httpx.Response) -> bool:
    # An older deployment does not know of events, and sends the audio as it is.
    return str(answer.headers.get("content-type", "")).startswith("text/event-stream")


async def _from_events(answer: httpx.Response, usage: dict[str, Any]) -> AsyncIterator[bytes]:
    """Yield the audio of a stream of speech events; its last one fills `usage`."""
    async for line in lines_of(answer, max_bytes=_MAX_BYTES * 2, max_line_bytes=_MAX_LINE_BYTES):
        if not line.startswith(b"data:"):
            continue
        event = _event(line[5:])
        if event.get("type") == "speech.audio.delta":
            yield _decoded(event.get("audio"))
        elif event.get("type") == "speech.audio.done" and isinstance(event.get("usage"), dict):
            usage.update(event["usage"])


async def _settle(
    job: _Job, usage: Mapping[str, Any], sent_bytes: int, *, is_whole: bool, failure: UpstreamError | None
) -> None:
    quantities = quantities_of_speech(usage)
    is_estimated = not quantities
    if is_estimated:
        quantities = estimated_speech(text=job.text, pcm_bytes=_pcm_bytes(job, sent_bytes))
    # What our own model made is counted, by the published rule, and not estimated.
    is_estimated = is_estimated and not job.model.is_embedded
    await settle(
        job.request,
        job.model,
        quantities,
        reported=usage,
        is_estimated=is_estimated,
        is_whole=is_whole,
        failure=failure,
    )


def _pcm_bytes(job: _Job, sent_bytes: int) -> int:
    """Return how much 24 kHz PCM16 so many bytes of an answer stand for; of what is compressed, at eight to one."""
    if job.format == "pcm":
        return sent_bytes
    if job.format == "wav":
        return max(0, sent_bytes - _WAV_HEADER_BYTES)
    return sent_bytes * 8


def _decoded(audio: Any) -> bytes:
    try:
        return base64.b64decode(audio, validate=True) if isinstance(audio, str) else b""
    except binascii.Error:
        raise UpstreamError("upstream_garbage", retryable=False) from None


def _event(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
