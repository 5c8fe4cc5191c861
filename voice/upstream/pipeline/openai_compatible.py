"""The parts of a pipeline behind any server that speaks OpenAI's HTTP API: hosted ones, and the embedded models."""

import functools
import io
import json
import ssl
import wave
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx

from voice.audio import SAMPLE_RATE, bytes_of
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout, refusal_of
from voice.upstream.pipeline.parts import (
    ChatDelta,
    ChatModel,
    ChatRequest,
    ChatTokens,
    Finished,
    Parts,
    TextDelta,
    ToolCall,
)

# A caller waits for every one of these answers: what takes longer than this is not worth hearing.
_TIMEOUT = httpx.Timeout(15.0, connect=5.0)
# Speech and chat of one response, a transcription that overlaps them, and one being given up.
_LIMITS = httpx.Limits(max_connections=8, max_keepalive_connections=4)
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}

MAX_ANSWER_BYTES = 1024 * 1024
MAX_LINE_BYTES = 256 * 1024
MAX_TOOL_CALLS = 16
# A clause is a sentence or less.
MAX_SPEECH_BYTES = bytes_of(60_000)


class OpenAICompatibleServer:
    """One server and the connections of one conversation to it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        address = urlsplit(endpoint.base_url)
        headers = {"Authorization": f"Bearer {endpoint.api_key}"} if endpoint.api_key else {}
        self._http = httpx.AsyncClient(
            base_url=endpoint.base_url.rstrip("/"),
            headers=headers,
            timeout=_TIMEOUT,
            limits=_LIMITS,
            verify=_tls() if address.scheme == "https" else False,
            # A proxy named in the environment is for the internet, never for the models on this machine.
            trust_env=address.hostname not in _LOOPBACK,
        )

    def parts(self) -> Parts:
        endpoint, http = self._endpoint, self._http
        return Parts(
            _SpeechToText(http, endpoint.speech_to_text_model),
            _ChatModel(http, endpoint.chat_model or endpoint.model),
            _TextToSpeech(http, endpoint.text_to_speech_model),
        )

    def counting_chat_model(self) -> ChatModel:
        """Return the chat model, asked to say how many tokens it read and wrote."""
        endpoint = self._endpoint
        model = endpoint.chat_model or endpoint.model
        return _ChatModel(self._http, model, counts=True, is_reasoning=endpoint.capabilities.reasoning)

    async def check(self) -> None:
        """Raise UpstreamError when the server is not there or does not know us; also warms a connection."""
        with _failures_named():
            answer = await self._http.get("/models")
        # Not every server lists its models, but every one that minds the key says so here.
        if answer.status_code in (401, 403, 429) or answer.status_code >= 500:
            raise refusal_of(answer.status_code, answer.content)

    async def close(self) -> None:
        await self._http.aclose()


class _SpeechToText:
    def __init__(self, http: httpx.AsyncClient, model: str) -> None:
        self._http, self._model = http, model
        self._unknown_languages: set[str] = set()

    async def transcribe(self, pcm: bytes, *, language: str, prompt: str) -> str:
        """Return the words; a server that refuses to hear in a language is left to hear what it can."""
        if language in self._unknown_languages:
            language = ""
        try:
            return await self._heard(pcm, language=language, prompt=prompt)
        except UpstreamRefused as refused:
            if not language or refused.code != "upstream_refused":
                raise
        # Callers say in which language they speak: that must not count as a failure of the model for everybody else.
        self._unknown_languages.add(language)
        return await self._heard(pcm, language="", prompt=prompt)

    async def _heard(self, pcm: bytes, *, language: str, prompt: str) -> str:
        form = {"model": self._model, "response_format": "json", "language": language, "prompt": prompt}
        async with _streamed(
            self._http,
            "/audio/transcriptions",
            data={name: value for name, value in form.items() if value},
            files={"file": ("speech.wav", _wav(pcm), "audio/wav")},
        ) as answer:
            body = b"".join([piece async for piece in _bounded(answer, MAX_ANSWER_BYTES)])
        text = _json_object(body).get("text")
        if not isinstance(text, str):
            raise _garbage()
        return text.strip()


class _ChatModel:
    def __init__(
        self, http: httpx.AsyncClient, model: str, *, counts: bool = False, is_reasoning: bool = False
    ) -> None:
        self._http, self._model, self._counts, self._is_reasoning = http, model, counts, is_reasoning

    async def answer(self, request: ChatRequest) -> AsyncGenerator[ChatDelta, None]:
        body = {
            "model": self._model,
            "messages": list(request.messages),
            "stream": True,
        }
        if self._is_reasoning:
            # A caller does not wait for thoughts, and these models refuse the older name of the limit.
            body |= {"max_completion_tokens": request.max_tokens, "reasoning_effort": "none"}
        else:
            body |= {"max_tokens": request.max_tokens}
        if self._counts:
            body |= {"stream_options": {"include_usage": True}}
        if request.tools:
            body |= {"tools": list(request.tools), "tool_choice": request.tool_choice}
        calls = _ToolCalls()
        finish_reason, tokens = None, None
        async with _streamed(self._http, "/chat/completions", json=body) as answer:
            async for chunk in _chunks(answer):
                tokens = _tokens_of(chunk) or tokens
                choice = _first_choice(chunk)
                delta = _member(choice, "delta", dict) or {}
                if text := _member(delta, "content", str):
                    yield TextDelta(text)
                calls.take(_member(delta, "tool_calls", list) or [])
                finish_reason = _member(choice, "finish_reason", str) or finish_reason
        if finish_reason is None:
            # The stream ended in the middle of an answer, politely or not.
            raise UpstreamDropped("upstream_dropped", retryable=True)
        for call in calls.complete():
            yield call
        yield Finished(finish_reason == "length", tokens)


class _TextToSpeech:
    def __init__(self, http: httpx.AsyncClient, model: str) -> None:
        self._http, self._model = http, model

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        body = {"model": self._model, "input": text, "voice": voice, "response_format": "pcm", "speed": speed}
        half = b""
        async with _streamed(self._http, "/audio/speech", json=body) as answer:
            async for piece in _bounded(answer, MAX_SPEECH_BYTES):
                pcm = half + piece
                whole = len(pcm) - len(pcm) % 2
                pcm, half = pcm[:whole], pcm[whole:]
                if pcm:
                    yield pcm


class _ToolCalls:
    """Tool calls as they are streamed: an id and a name first, then the arguments in pieces."""

    def __init__(self) -> None:
        self._by_index: dict[int, dict[str, str]] = {}

    def take(self, deltas: list[Any]) -> None:
        for delta in deltas:
            function = _member(delta, "function", dict) or {}
            index = _member(delta, "index", int) or 0
            call = self._by_index.setdefault(index, {"id": "", "name": "", "arguments": ""})
            call["id"] = _member(delta, "id", str) or call["id"]
            call["name"] += _member(function, "name", str) or ""
            call["arguments"] += _member(function, "arguments", str) or ""
        if len(self._by_index) > MAX_TOOL_CALLS:
            raise _garbage()

    def complete(self) -> list[ToolCall]:
        calls = [self._by_index[index] for index in sorted(self._by_index)]
        if not all(call["id"] and call["name"] for call in calls):
            raise _garbage()
        return [ToolCall(call["id"], call["name"], call["arguments"] or "{}") for call in calls]


async def _chunks(answer: httpx.Response) -> AsyncIterator[dict[str, Any]]:
    """Yield every chunk of a streamed completion."""
    async for line in _lines(answer):
        if not line.startswith(b"data:"):
            continue
        data = line[5:].strip()
        if data == b"[DONE]":
            return
        chunk = _json_object(data)
        if "error" in chunk:
            # An error in mid-stream comes after a 200; what it says is the provider's business, not the caller's.
            raise refusal_of(500)
        yield chunk


def _first_choice(chunk: dict[str, Any]) -> dict[str, Any]:
    choices = _member(chunk, "choices", list) or []
    return choices[0] if choices and isinstance(choices[0], dict) else {}


def _tokens_of(chunk: dict[str, Any]) -> ChatTokens | None:
    usage = _member(chunk, "usage", dict)
    if usage is None:
        return None
    read, written = _member(usage, "prompt_tokens", int) or 0, _member(usage, "completion_tokens", int) or 0
    details = _member(usage, "prompt_tokens_details", dict) or {}
    return ChatTokens(read, min(_member(details, "cached_tokens", int) or 0, read), written)


async def _lines(answer: httpx.Response) -> AsyncIterator[bytes]:
    rest = b""
    async for piece in _bounded(answer, MAX_ANSWER_BYTES * 4):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            yield line
        if len(rest) > MAX_LINE_BYTES:
            raise _garbage()
    yield rest


async def _bounded(answer: httpx.Response, max_bytes: int) -> AsyncIterator[bytes]:
    received = 0
    async for piece in answer.aiter_bytes():
        received += len(piece)
        if received > max_bytes:
            raise UpstreamError("upstream_flooded", retryable=False)
        yield piece


@asynccontextmanager
async def _streamed(http: httpx.AsyncClient, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
    """Open a request and hand over its answer unread; leaving, or being cancelled, hangs up."""
    with _failures_named():
        async with http.stream("POST", path, **request) as answer:
            if answer.status_code != httpx.codes.OK:
                body = b"".join([piece async for piece in _bounded(answer, MAX_ANSWER_BYTES)])
                raise refusal_of(answer.status_code, body)
            yield answer


@contextmanager
def _failures_named() -> Iterator[None]:
    try:
        yield
    except httpx.TimeoutException:
        raise UpstreamTimeout("upstream_timeout", retryable=True) from None
    except (httpx.HTTPError, httpx.InvalidURL):
        # Nobody there, or gone in mid-answer: a server that is starting again is back in a moment.
        raise UpstreamDropped("upstream_unreachable", retryable=True) from None


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as wav:
        wav.setnchannels(1)
        wav.setsampwidth(2)
        wav.setframerate(SAMPLE_RATE)
        wav.writeframes(pcm)
    return file.getvalue()


def _json_object(text: bytes) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        raise _garbage() from None
    if not isinstance(value, dict):
        raise _garbage()
    return value


def _member(parent: Any, name: str, kind: type) -> Any:
    """Return a member of a JSON object, None when it is absent or null; anything of another kind is garbage."""
    if not isinstance(parent, dict):
        raise _garbage()
    value = parent.get(name)
    if value is not None and not isinstance(value, kind):
        raise _garbage()
    return value


def _garbage() -> UpstreamError:
    return UpstreamError("upstream_garbage", retryable=False)


@functools.cache
def _tls() -> ssl.SSLContext:
    # Reading the certificates takes tens of milliseconds: once a process, not once a call.
    return ssl.create_default_context()
