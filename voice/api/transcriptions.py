"""POST audio/transcriptions: a recording written down, held before and charged after."""

import json
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import File, Form, Router
from ninja.files import UploadedFile
from pydantic import BaseModel, ConfigDict, Field

from accounts.client_ip import client_ip_of
from voice.admission.admit_request import Need, admit_request, model_for
from voice.admission.key_holders import Holder
from voice.api.answers import IDEMPOTENT, WITH_BODY, also, answers
from voice.api.callers import ApiKey, holder_of
from voice.api.edge import require_text
from voice.api.errors import InvalidRequest
from voice.api.outcomes import asking, settle
from voice.api.providers import provider_of, show_model
from voice.api.stand_ins import answered
from voice.catalogue.http_models import HttpModel
from voice.catalogue.rate_card import Kind
from voice.metering.executor import in_ledger_thread
from voice.metering.http_usage import billable_transcription, most_audio_seconds, transcribed_seconds
from voice.metering.rating import rate
from voice.metering.usage import Quantities
from voice.models import ApiRequest
from voice.models.catalogue import ModelKind
from voice.upstream.errors import UpstreamError
from voice.upstream.http_provider import bounded, posted

router = Router(tags=["Text and speech"])

MAX_FILE_BYTES = 25 * 1024 * 1024
_MAX_ANSWER_BYTES = 4 * 1024 * 1024


class TranscriptionWanted(BaseModel):
    """The fields of OpenAI's form beside `file`."""

    model_config = ConfigDict(extra="forbid")

    model: str = Field(min_length=1, max_length=80)
    language: Annotated[str, Field(max_length=10, pattern=r"^([A-Za-z]{2,3}(-[A-Za-z0-9]{2,6})?)?$")] = ""
    prompt: str = Field("", max_length=2000)
    response_format: Literal["json", "text"] = "json"
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    stream: Literal["false"] = "false"


@dataclass(frozen=True, slots=True)
class _Job:
    request: ApiRequest
    model: HttpModel
    most_seconds: int


@router.post(
    "v1/audio/transcriptions",
    url_name="transcriptions",
    operation_id="create_transcription",
    summary="Write speech down",
    auth=ApiKey(),
    response=answers({200: dict[str, Any]}, 402, 403, 404, 502, *WITH_BODY),
    openapi_extra={**IDEMPOTENT, **also("text/plain")},
)
async def transcriptions(
    request: HttpRequest, file: File[UploadedFile], wanted: Form[TranscriptionWanted]
) -> HttpResponse:
    """`gpt-4o-transcribe` and others; at most 25 MiB. Without a provider's key our own model writes WAV files down."""
    _check(file, wanted)
    admit = partial(_admit, holder_of(request), wanted, file.size or 0, client_ip_of(request))
    job, (body, told) = await answered(admit, partial(_written_down, file, wanted))
    usage = told.get("usage")
    quantities = _billable(usage, job)
    is_estimated = not quantities
    if is_estimated:
        quantities = transcribed_seconds(job.most_seconds)
    await settle(job.request, job.model, quantities, reported=usage, is_estimated=is_estimated)
    if wanted.response_format == "text":
        response = HttpResponse(str(told.get("text", "")) + "\n", content_type="text/plain; charset=utf-8")
    else:
        response = HttpResponse(body, content_type="application/json")
    show_model(response, job.model)
    return response


def _check(file: UploadedFile, wanted: TranscriptionWanted) -> None:
    if not file.size:
        raise InvalidRequest("file: is empty.", param="file")
    if file.size > MAX_FILE_BYTES:
        raise InvalidRequest(
            f"file: at most {MAX_FILE_BYTES} bytes.", code="request_too_large", status=413, param="file"
        )
    require_text(wanted.prompt, "prompt")
    require_text(wanted.model, "model")


def _admit(
    holder: Holder, wanted: TranscriptionWanted, file_bytes: int, client_ip: str, failed: HttpModel | None
) -> _Job:
    holder.require("audio")
    model = model_for(holder, wanted.model, ModelKind.TRANSCRIPTION, failed)
    seconds = most_audio_seconds(file_bytes)
    by_tokens = transcribed_seconds(seconds)
    has_both = {Kind.AUDIO_IN, Kind.TEXT_OUT} <= set(model.card.micro_per_million)
    by_time: Quantities = {Kind.SECONDS: seconds} if Kind.SECONDS in model.card.micro_per_million else {}
    most_micro = max(rate(by_tokens, model.card).total_micro if has_both else 0, rate(by_time, model.card).total_micro)
    # A recording is seldom as long as it could be: a wallet that covers a tenth of that may try.
    need = Need(most_micro=most_micro, least_micro=most_micro // 10)
    request = admit_request(holder, model, ApiRequest.Kind.TRANSCRIPTION, need, client_ip=client_ip)
    return _Job(request, model, seconds)


async def _written_down(file: UploadedFile, wanted: TranscriptionWanted, job: _Job) -> tuple[bytes, dict[str, Any]]:
    async with asking(job.request, job.model):
        body = await _ask(job, file, wanted)
        return body, _object(body)


async def _ask(job: _Job, file: UploadedFile, wanted: TranscriptionWanted) -> bytes:
    # Always as JSON, which comes with its usage; text is made of it here.
    form = {"model": job.model.provider_model, "response_format": "json", "prompt": wanted.prompt}
    # The provider knows languages by ISO 639-1.
    form["language"] = wanted.language.partition("-")[0].lower()
    if wanted.temperature is not None:
        form["temperature"] = str(wanted.temperature)
    # From its beginning: another model may have been given it before.
    await in_ledger_thread(file.seek, 0)
    content = await in_ledger_thread(file.read)
    async with posted(
        await provider_of(job.model),
        "/audio/transcriptions",
        data={name: value for name, value in form.items() if value},
        files={"file": (_name_of(file), content, "application/octet-stream")},
    ) as answer:
        return b"".join([piece async for piece in bounded(answer, _MAX_ANSWER_BYTES)])


def _billable(usage: Any, job: _Job) -> Quantities:
    return billable_transcription(usage, has_seconds_rate=Kind.SECONDS in job.model.card.micro_per_million)


def _name_of(file: UploadedFile) -> str:
    """Return a name whose ending tells the provider what the file is, and nothing of its owner."""
    ending = str(file.name or "").rpartition(".")[2].lower()
    return f"audio.{ending}" if ending.isalnum() and ending.isascii() and len(ending) <= 5 else "audio.wav"


def _object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("text"), str):
        raise UpstreamError("upstream_garbage", retryable=False)
    return value
