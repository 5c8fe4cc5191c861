"""The HTTP server: three OpenAI endpoints, a list of models and a health check, with every size bounded."""

import asyncio
import json
import logging
import math
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from python_multipart.exceptions import MultipartParseError
from starlette.applications import Starlette
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from local_models import chat_completions, speech_to_text, text_to_speech, wav
from local_models.errors import ApiError, invalid
from local_models.model_files import ModelFilesError, verify
from local_models.speech_to_text import MoonshineRecogniser, Recogniser
from local_models.text_to_speech import PiperSpeaker, Speaker
from local_models.workers import WorkerPool

logger = logging.getLogger(__name__)

# Two minutes of 48 kHz mono PCM16 are 11.5 MB.
UPLOAD_MAX_BYTES = 12 * 1024 * 1024
CHAT_MAX_BYTES = 1024 * 1024
SPEECH_MAX_BYTES = 64 * 1024

WORKERS = 2
WAITING_MAX = 8

MODEL_IDS = (speech_to_text.MODEL_ID, text_to_speech.MODEL_ID, chat_completions.MODEL_ID)
# Any date will do: the API wants one, and it must not change from start to start.
CREATED = 1_760_000_000
# A page in a browser on this machine can reach loopback under a name of its own (DNS rebinding), but not under these.
HOSTS = {"127.0.0.1", "localhost", "[::1]"}


@dataclass
class Models:
    """The loaded models and whether they may be used yet."""

    recognisers: WorkerPool[Recogniser]
    speakers: WorkerPool[Speaker]
    chats: WorkerPool[None]
    state: str = "loading"
    on_failure: Callable[[str], None] = field(default=lambda message: None)

    def load(self) -> None:
        """Check the files and load everything. Blocks for about two seconds."""
        try:
            self.recognisers.load()
            self.speakers.load()
            self.chats.load()
        except (ModelFilesError, ImportError, OSError, RuntimeError) as error:
            self.state = "failed"
            logger.error("The models could not be loaded: %s", error)
            self.on_failure(str(error))
        else:
            self.state = "ok"

    def require(self) -> None:
        """Raise ApiError 503 until the models are loaded."""
        if self.state != "ok":
            raise ApiError(503, "The models are still loading.", code="model_loading", retry_after_seconds=2)

    def close(self) -> None:
        for pool in (self.recognisers, self.speakers, self.chats):
            pool.close()


def embedded_models(workers: int = WORKERS, waiting_max: int = WAITING_MAX) -> Models:
    """Describe the real models, not loaded yet. Raises ModelFilesError when a file is missing or was changed."""
    verify()
    voice: list[Speaker] = []

    def shared_voice() -> Speaker:
        if not voice:
            voice.append(PiperSpeaker())
        return voice[0]

    return Models(
        recognisers=WorkerPool(MoonshineRecogniser, workers, waiting_max),
        speakers=WorkerPool(shared_voice, workers, waiting_max),
        chats=WorkerPool(lambda: None, workers, waiting_max * 8),
    )


def create_app(models: Models, now: Callable[[], datetime] = datetime.now) -> ASGIApp:
    """Build the ASGI application. The models load in the background once it starts."""

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        loading = asyncio.create_task(asyncio.to_thread(models.load))
        yield
        models.close()
        await loading

    app = Starlette(
        lifespan=lifespan,
        routes=[
            Route("/health", health, methods=["GET"]),
            Route("/v1/models", list_models, methods=["GET"]),
            Route("/v1/models/{model_id}", show_model, methods=["GET"]),
            Route("/v1/audio/transcriptions", transcriptions, methods=["POST"]),
            Route("/v1/audio/speech", speech, methods=["POST"]),
            Route("/v1/chat/completions", chat, methods=["POST"]),
        ],
        exception_handlers={
            ApiError: _api_error,
            ClientDisconnect: _client_left,
            HTTPException: _http_error,
            Exception: _unexpected_error,
        },
    )
    app.state.models = models
    app.state.now = now
    return LoopbackOnly(app)


class PlacedStream(StreamingResponse):
    """A stream that holds a worker's place until it ends, however it ends.

    Releasing the place in the stream's own generator would miss a client that left before the first byte.
    """

    def __init__(self, place: ExitStack, content: AsyncIterator[bytes], **options: Any) -> None:
        super().__init__(content, **options)
        self._place = place
        self._content = content

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        except ClientDisconnect:
            logger.debug("The listener left before the end of the speech")
        finally:
            self._place.close()
            await self._content.aclose()  # type: ignore[attr-defined]


class LoopbackOnly:
    """Refuses requests that were addressed to another name than this machine's own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and _host_name(Headers(scope=scope).get("host", "")) not in HOSTS:
            error = ApiError(421, "This server answers on loopback only.", code="misdirected_request")
            await error.response()(scope, receive, send)
            return
        await self._app(scope, receive, send)


async def health(request: Request) -> Response:
    state = _models(request).state
    body = {"status": state, "models": list(MODEL_IDS) if state == "ok" else []}
    return JSONResponse(body, status_code=200 if state == "ok" else 503)


async def list_models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_model(model_id) for model_id in MODEL_IDS]})


async def show_model(request: Request) -> Response:
    model_id = request.path_params["model_id"]
    if model_id not in MODEL_IDS:
        raise ApiError(404, "The model does not exist here.", param="model", code="model_not_found")
    return JSONResponse(_model(model_id))


async def transcriptions(request: Request) -> Response:
    """Multipart in; text, `{"text", "usage"}` or the verbose object out."""
    models = _models(request)
    models.require()
    with models.recognisers.admit():
        form = await _form(request)
        try:
            answer_format = _transcription_options(form)
            data = await _file(form)
        finally:
            await form.close()
        samples = await asyncio.to_thread(wav.read, data, speech_to_text.RATE)
        seconds = len(samples) / speech_to_text.RATE
        if seconds > speech_to_text.DURATION_MAX_SECONDS:
            raise invalid(f"At most {speech_to_text.DURATION_MAX_SECONDS} seconds of audio are read.", "file")
        segments = await models.recognisers.run(lambda recogniser: speech_to_text.transcribe(recogniser, samples))
    return _transcription(answer_format, segments, seconds)


async def speech(request: Request) -> Response:
    """JSON in; audio out as it is made."""
    models = _models(request)
    models.require()
    text, answer_format, speed = _speech_options(await _json(request, SPEECH_MAX_BYTES))
    with ExitStack() as entered:
        entered.enter_context(models.speakers.admit())
        place = entered.pop_all()

    async def body() -> AsyncIterator[bytes]:
        if answer_format == "wav":
            yield wav.stream_header(text_to_speech.RATE)
        async for chunk in text_to_speech.stream(models.speakers, text, speed):
            yield chunk

    media_type = "audio/wav" if answer_format == "wav" else "audio/pcm"
    return PlacedStream(place, body(), media_type=media_type, headers={"X-Voice": "joe"})


async def chat(request: Request) -> Response:
    """JSON in; one JSON object or server-sent events out."""
    models = _models(request)
    models.require()
    asked = chat_completions.parse(await _json(request, CHAT_MAX_BYTES))
    now = request.app.state.now()
    with models.chats.admit():
        completion = await models.chats.run(lambda _: chat_completions.complete(asked, now))
    if not asked.stream:
        return JSONResponse(chat_completions.as_object(completion))
    events = chat_completions.as_events(completion, asked.include_usage)
    return StreamingResponse(events, media_type="text/event-stream", headers={"Cache-Control": "no-cache"})


def _models(request: Request) -> Models:
    models: Models = request.app.state.models
    return models


def _model(model_id: str) -> dict[str, Any]:
    return {"id": model_id, "object": "model", "created": CREATED, "owned_by": "parley"}


async def _read(request: Request, max_bytes: int) -> bytes:
    too_large = ApiError(413, f"The body is larger than {max_bytes} bytes.", code="body_too_large")
    declared = request.headers.get("content-length", "0")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > max_bytes:
            raise too_large
    return bytes(body)


async def _json(request: Request, max_bytes: int) -> Any:
    body = await _read(request, max_bytes)
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        raise invalid("The body is not valid JSON.", code="invalid_json") from error


async def _form(request: Request) -> FormData:
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        raise invalid("The body must be multipart/form-data.")
    body = await _read(request, UPLOAD_MAX_BYTES)

    async def stream() -> AsyncIterator[bytes]:
        yield body

    try:
        return await MultiPartParser(request.headers, stream(), max_files=1, max_fields=20).parse()  # type: ignore[arg-type]
    except (MultiPartException, MultipartParseError, KeyError, ValueError) as error:
        raise invalid("The multipart body cannot be read.") from error


async def _file(form: FormData) -> bytes:
    file = form.get("file")
    if not isinstance(file, UploadFile):
        raise invalid("You must provide a file.", "file")
    return await file.read()


def _transcription_options(form: FormData) -> str:
    chat_completions.check_model({"model": form.get("model")}, speech_to_text.MODEL_ID)
    language = str(form.get("language") or "en").lower()
    if language.split("-")[0] not in ("en", "english"):
        raise invalid("Only English is understood here.", "language", "unsupported_language")
    if str(form.get("stream") or "false").lower() == "true":
        raise invalid("Transcriptions are not streamed here.", "stream", "unsupported_value")
    answer_format = str(form.get("response_format") or "json")
    if answer_format not in ("json", "text", "verbose_json"):
        raise invalid("'response_format' must be json, text or verbose_json.", "response_format", "unsupported_value")
    return answer_format


def _transcription(answer_format: str, segments: list[speech_to_text.Segment], seconds: float) -> Response:
    text = " ".join(segment.text for segment in segments)
    if answer_format == "text":
        return PlainTextResponse(text + "\n")
    usage = {"type": "duration", "seconds": math.ceil(seconds)}
    if answer_format == "json":
        return JSONResponse({"text": text, "usage": usage})
    described = [_segment(index, segment) for index, segment in enumerate(segments)]
    head = {"task": "transcribe", "language": "english", "duration": round(seconds, 3)}
    return JSONResponse({**head, "text": text, "segments": described, "usage": usage})


def _segment(index: int, segment: speech_to_text.Segment) -> dict[str, Any]:
    return {
        "id": index,
        "seek": 0,
        "start": round(segment.start_seconds, 3),
        "end": round(segment.end_seconds, 3),
        "text": segment.text,
        "tokens": [],
        "temperature": 0.0,
        # The recogniser reports no probabilities; these are the values that mean "nothing known against it".
        "avg_logprob": 0.0,
        "compression_ratio": 1.0,
        "no_speech_prob": 0.0,
    }


def _speech_options(body: Any) -> tuple[str, str, float]:
    if not isinstance(body, dict):
        raise invalid("The body must be a JSON object.")
    chat_completions.check_model(body, text_to_speech.MODEL_ID)
    text = body.get("input")
    if not isinstance(text, str) or not text.strip():
        raise invalid("'input' must be text that is not empty.", "input")
    if len(text) > text_to_speech.INPUT_MAX_CHARS:
        raise invalid(
            f"'input' is longer than {text_to_speech.INPUT_MAX_CHARS} characters.", "input", "string_above_max_length"
        )
    answer_format = body.get("response_format") or "wav"
    if answer_format not in ("wav", "pcm"):
        raise invalid("'response_format' must be wav or pcm.", "response_format", "unsupported_value")
    if body.get("stream_format") not in (None, "audio"):
        raise invalid("Only the 'audio' stream format is served.", "stream_format", "unsupported_value")
    speed = body.get("speed", 1.0)
    if isinstance(speed, bool) or not isinstance(speed, int | float) or not 0.25 <= speed <= 4.0:
        raise invalid("'speed' must be between 0.25 and 4.", "speed")
    return text, answer_format, float(speed)


def _host_name(host: str) -> str:
    return host.rsplit(":", 1)[0] if not host.endswith("]") else host


async def _api_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ApiError)
    return error.response()


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == 405:
        return ApiError(405, "This address does not take that method.", code="method_not_allowed").response()
    return ApiError(error.status_code, "There is nothing at this address.", code="not_found").response()


async def _client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=499)


async def _unexpected_error(request: Request, error: Exception) -> Response:
    return ApiError(500, "Something went wrong here.", code="internal_error").response()
