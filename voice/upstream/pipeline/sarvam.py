"""A pipeline that hears and speaks with Sarvam, in eleven languages of India, around an OpenAI-compatible chat model.

Every turn is transcribed on a websocket of its own, so that no late word of one turn can end up in the next. A voice's
websocket is kept for the next clause; Sarvam has no message for "stop", so an interruption closes it.
"""

import asyncio
import binascii
from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from typing import Any
from urllib.parse import urlencode

import numpy as np
import soxr

from voice.audio import SAMPLE_RATE
from voice.realtime_events import InvalidEvent, dump, parse
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout, refusal_of
from voice.upstream.openai import OpenAIUpstream, dial_at
from voice.upstream.pipeline.openai_compatible import MAX_SPEECH_BYTES, OpenAICompatibleServer
from voice.upstream.pipeline.parts import Parts
from voice.upstream.pipeline.upstream import PipelineUpstream

URL = "wss://api.sarvam.ai"
SPEECH_TO_TEXT = "saaras:v3"
TEXT_TO_SPEECH = "bulbul:v3"
VOICE = "shubh"
# What both models know. Odia is "od" here and "or" to the rest of the world.
LANGUAGES = ("bn", "en", "gu", "hi", "kn", "ml", "mr", "od", "pa", "ta", "te")
_FALLBACK_LANGUAGE = "en-IN"

HEARING_RATE = 16_000
# A tenth of a second, as live audio is sent.
_FRAME_BYTES = HEARING_RATE // 10 * 2
_DIAL_WITHIN_S = 5.0
ANSWER_WITHIN_S = 10.0
# No speech was found in the turn when this long nothing is said about it.
NO_WORDS_AFTER_S = 2.5
# Words come sentence by sentence; after one of them, this long nothing more means that it was the last.
LAST_WORDS_AFTER_S = 0.6
# The silence around a turn is not counted as heard.
_NOT_COUNTED_S = 1.0
# Sarvam advises less than this in one message.
_TEXT_CHARS = 450
_PACE = (0.5, 2.0)

_UNAUTHORIZED = ("upstream_unauthorized", False)
_UNAVAILABLE = ("upstream_unavailable", True)
_REFUSED = ("upstream_refused", False)
_CODES = {
    "invalid_api_key_error": _UNAUTHORIZED,
    "authentication_error": _UNAUTHORIZED,
    # Used up for good: only whoever pays can change that, while a rate limit passes by itself.
    "insufficient_quota_error": ("upstream_quota_exhausted", False),
    "rate_limit_exceeded_error": ("upstream_rate_limited", True),
    "not_found_error": ("upstream_model_not_found", False),
    "invalid_request_error": _REFUSED,
    "unprocessable_entity_error": _REFUSED,
    "model_call_error": _UNAVAILABLE,
    "gateway_timeout_error": _UNAVAILABLE,
    "billing_service_unavailable_error": _UNAVAILABLE,
    "internal_server_error": _UNAVAILABLE,
}


async def dial(endpoint: Endpoint, timeout_s: float) -> PipelineUpstream:
    """Open a session once Sarvam and the chat model's server have answered; raise UpstreamError when one does not."""
    chat, sarvam = OpenAICompatibleServer(endpoint), _Sarvam(endpoint)
    voice = _TextToSpeech(sarvam)

    async def disconnect() -> None:
        await asyncio.gather(voice.close(), chat.close())

    try:
        async with asyncio.timeout(timeout_s):
            await voice.warm_up()
            await chat.check()
    except TimeoutError:
        await disconnect()
        raise UpstreamTimeout("upstream_connect_timeout", retryable=True) from None
    except BaseException:
        await disconnect()
        raise
    parts = Parts(_SpeechToText(sarvam), chat.counting_chat_model(), voice, bills_words=True)
    return PipelineUpstream(endpoint, parts, disconnect)


def language_code(language: str) -> str:
    """Return a language as Sarvam writes it, hi-IN for "hi" or "hi-IN"; "" for one it does not know."""
    name = language.lower().replace("_", "-").partition("-")[0]
    name = "od" if name == "or" else name
    return f"{name}-IN" if name in LANGUAGES else ""


class _Socket:
    """One websocket of Sarvam's: JSON objects both ways. `config` is what it was last told about the voice."""

    def __init__(self, connection: OpenAIUpstream) -> None:
        self.config: Mapping[str, Any] | None = None
        self._connection = connection

    async def say(self, message: Mapping[str, Any]) -> None:
        await self._connection.send(dump(message))

    async def hear(self, within_s: float | None = None) -> tuple[str, Mapping[str, Any]]:
        """Return the next message's type and data; raise UpstreamError, for what it says is an error too."""
        try:
            async with asyncio.timeout(within_s or ANSWER_WITHIN_S):
                message = parse(await anext(self._connection))
        except TimeoutError:
            raise UpstreamTimeout("upstream_timeout", retryable=True) from None
        except StopAsyncIteration:
            raise UpstreamDropped("upstream_gone", retryable=True) from None
        except InvalidEvent:
            raise _garbage() from None
        data = message.get("data")
        if not isinstance(data, Mapping):
            raise _garbage()
        if message["type"] == "error":
            raise _error_of(data)
        return message["type"], data

    async def close(self) -> None:
        await self._connection.close()


class _Sarvam:
    """Where Sarvam is, and the language of the call: the one asked for, or the one that was heard."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._address = (endpoint.speech_url or URL).rstrip("/")
        self.hearing_model = endpoint.speech_to_text_model or SPEECH_TO_TEXT
        self.speaking_model = endpoint.text_to_speech_model or TEXT_TO_SPEECH
        self.language = language_code(endpoint.language)

    async def open(self, path: str, query: Mapping[str, str]) -> _Socket:
        headers = {"api-subscription-key": self._endpoint.speech_api_key} if self._endpoint.speech_api_key else {}
        url = f"{self._address}{path}?{urlencode(query)}"
        return _Socket(await dial_at(url, headers, self._endpoint.capabilities, _DIAL_WITHIN_S))


class _SpeechToText:
    def __init__(self, sarvam: _Sarvam) -> None:
        self._sarvam = sarvam

    async def transcribe(self, pcm: bytes, *, language: str, prompt: str) -> str:
        asked = language_code(language) or self._sarvam.language
        speech = await asyncio.to_thread(_for_hearing, pcm)
        # Their spelling: a hyphen in this one name.
        query = {
            "language-code": asked or "unknown", "model": self._sarvam.hearing_model, "mode": "transcribe",
            "sample_rate": str(HEARING_RATE), "vad_signals": "true", "flush_signal": "true",
            "input_audio_codec": "pcm_s16le",
        }  # fmt: skip
        socket = await self._sarvam.open("/speech-to-text/ws", query)
        try:
            await _send_speech(socket, speech)
            words, heard = await _words_of(socket, len(speech) / (2 * HEARING_RATE))
        finally:
            await socket.close()
        self._sarvam.language = asked or language_code(heard) or self._sarvam.language
        return words


class _TextToSpeech:
    def __init__(self, sarvam: _Sarvam) -> None:
        self._sarvam = sarvam
        self._spare: _Socket | None = None

    async def warm_up(self) -> None:
        """Open the websocket of the first clause; raise UpstreamError when Sarvam does not take the key."""
        self._spare = await self._open()

    async def close(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            await spare.close()

    async def speak(self, text: str, *, voice: str, speed: float) -> AsyncGenerator[bytes, None]:
        # "language_code" in Sarvam's newest client, "target_language_code" in its guides and everyone else's.
        config = {
            "target_language_code": self._sarvam.language or _FALLBACK_LANGUAGE, "speaker": voice or VOICE,
            "pace": min(max(speed, _PACE[0]), _PACE[1]), "speech_sample_rate": SAMPLE_RATE,
            "output_audio_codec": "linear16", "min_buffer_size": 50, "max_chunk_length": 150,
        }  # fmt: skip
        socket = await self._asked(config, text)
        is_over = False
        try:
            async with aclosing(_speech_from(socket)) as speech:
                async for pcm in speech:
                    yield pcm
            is_over = True
        finally:
            if is_over and self._spare is None:
                self._spare = socket
            else:
                await socket.close()

    async def _asked(self, config: Mapping[str, Any], text: str) -> _Socket:
        """Return a websocket that has been told what to say."""
        spare, self._spare = self._spare, None
        if spare is not None:
            try:
                await _ask(spare, config, text)
                return spare
            except UpstreamError:
                # Closed for having been idle; a new one is not.
                await spare.close()
        socket = await self._open()
        try:
            await _ask(socket, config, text)
        except BaseException:
            await socket.close()
            raise
        return socket

    async def _open(self) -> _Socket:
        query = {"model": self._sarvam.speaking_model, "send_completion_event": "true"}
        return await self._sarvam.open("/text-to-speech/ws", query)


async def _send_speech(socket: _Socket, speech: bytes) -> None:
    for start in range(0, len(speech), _FRAME_BYTES):
        audio = binascii.b2a_base64(speech[start : start + _FRAME_BYTES], newline=False).decode()
        # "audio/wav" also for bare samples: the codec in the address is what counts.
        await socket.say({"audio": {"data": audio, "sample_rate": HEARING_RATE, "encoding": "audio/wav"}})
        # Long turns must not hold up other calls.
        await asyncio.sleep(0)
    await socket.say({"type": "flush"})


async def _words_of(socket: _Socket, sent_s: float) -> tuple[str, str]:
    """Return what was said and in which language ("" when that was not found out)."""
    words: list[str] = []
    language, heard_s, awaits_words = "", 0.0, False
    while heard_s < sent_s - _NOT_COUNTED_S or not words:
        patience_s = ANSWER_WITHIN_S if awaits_words else LAST_WORDS_AFTER_S if words else NO_WORDS_AFTER_S
        try:
            kind, data = await socket.hear(patience_s)
        except UpstreamTimeout:
            if awaits_words:
                raise
            break
        if kind == "events":
            awaits_words = awaits_words or data.get("signal_type") == "START_SPEECH"
        elif kind == "data":
            awaits_words = False
            words.append(_text(data, "transcript"))
            language = _text(data, "language_code") or language
            heard_s += _seconds(data)
    return " ".join(filter(None, (text.strip() for text in words))), language


async def _ask(socket: _Socket, config: Mapping[str, Any], text: str) -> None:
    if socket.config != config:
        await socket.say({"type": "config", "data": config})
        socket.config = config
    for start in range(0, len(text), _TEXT_CHARS):
        await socket.say({"type": "text", "data": {"text": text[start : start + _TEXT_CHARS]}})
    await socket.say({"type": "flush"})


async def _speech_from(socket: _Socket) -> AsyncGenerator[bytes, None]:
    """Yield what is spoken until all of it was, in whole samples."""
    received, half = 0, b""
    while True:
        kind, data = await socket.hear()
        if kind == "event" and data.get("event_type") == "final":
            return
        if kind != "audio":
            continue
        try:
            pcm = half + binascii.a2b_base64(_text(data, "audio"), strict_mode=True)
        except ValueError:
            raise _garbage() from None
        received += len(pcm)
        if received > MAX_SPEECH_BYTES:
            raise UpstreamError("upstream_flooded", retryable=False)
        whole = len(pcm) - len(pcm) % 2
        pcm, half = pcm[:whole], pcm[whole:]
        if pcm:
            yield pcm


def _for_hearing(pcm: bytes) -> bytes:
    """Return 24 kHz PCM16 at the 16 kHz that the model hears."""
    samples = np.frombuffer(pcm, np.int16)
    return bytes(soxr.resample(samples, SAMPLE_RATE, HEARING_RATE).tobytes())


def _text(data: Mapping[str, Any], name: str) -> str:
    """Return a text of a message, "" when it is absent or null."""
    value = data.get(name)
    if value is not None and not isinstance(value, str):
        raise _garbage()
    return value or ""


def _seconds(data: Mapping[str, Any]) -> float:
    metrics = data.get("metrics")
    seconds = metrics.get("audio_duration") if isinstance(metrics, Mapping) else None
    return float(seconds) if isinstance(seconds, int | float) and seconds > 0 else 0.0


def _error_of(data: Mapping[str, Any]) -> UpstreamRefused:
    code = data.get("code")
    if isinstance(code, int):
        return refusal_of(code)
    name, retryable = _CODES.get(str(code), _REFUSED)
    return UpstreamRefused(name, retryable=retryable)


def _garbage() -> UpstreamError:
    return UpstreamError("upstream_garbage", retryable=False)
