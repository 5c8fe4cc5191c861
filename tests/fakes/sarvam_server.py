"""Sarvam's two websockets on loopback: checks address, header and every frame, and answers by a script."""

import asyncio
import base64
import json
import urllib.parse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

Rudeness = Literal["drop", "garbage", "no_data", "stall", "too_long", "flood"]
LANGUAGES = {f"{name}-IN" for name in ("bn", "en", "gu", "hi", "kn", "ml", "mr", "od", "pa", "ta", "te")}
_HEARING = {
    "model": "saaras:v3", "mode": "transcribe", "sample_rate": "16000", "vad_signals": "true", "flush_signal": "true",
    "input_audio_codec": "pcm_s16le",
}  # fmt: skip
_SPEAKING = {"model": "bulbul:v3", "send_completion_event": "true"}
_CONFIG = {
    "speech_sample_rate": 24000,
    "output_audio_codec": "linear16",
    "min_buffer_size": 50,
    "max_chunk_length": 150,
}


@dataclass(frozen=True)
class Heard:
    """What is found in one turn: words sentence by sentence, and the language they are in; no words: silence."""

    sentences: Sequence[str] = ()
    language: str | None = "hi-IN"


@dataclass(frozen=True)
class Fails:
    """Says so in the middle of its work, `code` being Sarvam's name for it."""

    code: str | int


@dataclass(frozen=True)
class Rude:
    how: Rudeness


@dataclass
class SarvamServer:
    """Use as `async with SarvamServer(...) as server`, then dial `server.url`.

    `turns` are used up in order, one a transcription; `clauses` likewise, one a clause: None speaks it, `ms_per_char`
    of a steady wave for each character.
    """

    turns: Sequence[Heard | Fails | Rude] = ()
    clauses: Sequence[Fails | Rude | None] = ()
    api_key: str = "sk-sarvam"
    refuse: int = 0
    ms_per_char: int = 10
    # Hangs up on a voice that has spoken, as it does on one that was idle for a minute.
    hangs_up_when_idle: bool = False
    problems: list[str] = field(default_factory=list)
    languages: list[str] = field(default_factory=list)
    heard_bytes: list[int] = field(default_factory=list)
    configs: list[dict[str, Any]] = field(default_factory=list)
    said: list[str] = field(default_factory=list)
    voices_opened: int = 0
    voices_closed: int = 0

    async def __aenter__(self) -> "SarvamServer":
        self._turns, self._clauses = iter(self.turns), iter(self.clauses)
        self.speaking = asyncio.Event()
        self._serving: set[asyncio.Task[Any]] = set()
        self._server = await serve(self._serve, "127.0.0.1", 0, process_request=self._check, compression=None)
        self.url = f"ws://127.0.0.1:{next(iter(self._server.sockets)).getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in list(self._serving):
            task.cancel()
        self._server.close()
        await self._server.wait_closed()

    async def _check(self, connection: ServerConnection, request: Request) -> Response | None:
        if request.headers.get("api-subscription-key") != self.api_key:
            self.problems.append(f"key: {request.headers.get('api-subscription-key')!r}")
        if request.headers.get("Authorization") is not None:
            self.problems.append("another key than Sarvam's")
        if self.refuse:
            body = {"error": {"request_id": "r", "message": "refused", "code": "refused"}}
            return connection.respond(HTTPStatus(self.refuse), json.dumps(body))
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        task = asyncio.current_task()
        assert task is not None and connection.request is not None
        self._serving.add(task)
        address = urllib.parse.urlsplit(connection.request.path)
        query = {name: values[0] for name, values in urllib.parse.parse_qs(address.query).items()}
        try:
            if address.path == "/speech-to-text/ws":
                await self._hear(connection, query)
            elif address.path == "/text-to-speech/ws":
                await self._speak(connection, query)
            else:
                self.problems.append(f"path: {address.path}")
        except ConnectionClosed:
            pass
        finally:
            self._serving.discard(task)

    async def _hear(self, connection: ServerConnection, query: dict[str, str]) -> None:
        self.languages.append(query.pop("language-code", ""))
        if query != _HEARING or self.languages[-1] not in LANGUAGES | {"unknown"}:
            self.problems.append(f"query: {query}, {self.languages[-1]}")
        heard = 0
        async for text in connection:
            message = json.loads(text)
            if message == {"type": "flush"}:
                break
            audio = message.get("audio", {})
            if set(message) != {"audio"} or audio.get("sample_rate") != 16000 or audio.get("encoding") != "audio/wav":
                self.problems.append(f"no audio: {message}")
            heard += len(base64.b64decode(audio["data"], validate=True))
        self.heard_bytes.append(heard)
        turn = next(self._turns, None)
        if turn is None:
            self.problems.append("one turn too many")
        elif isinstance(turn, Heard):
            await self._tell(connection, turn, heard / 32_000)
        else:
            await _fail(connection, turn)
        await connection.wait_closed()

    async def _tell(self, connection: ServerConnection, turn: Heard, seconds: float) -> None:
        for sentence in turn.sentences:
            await _send(connection, "events", {"signal_type": "START_SPEECH", "occured_at": 1.0})
            await _send(connection, "events", {"signal_type": "END_SPEECH", "occured_at": 2.0})
            found = {
                "request_id": "r", "transcript": sentence, "language_code": turn.language,
                "language_probability": None, "timestamps": None, "diarized_transcript": None,
                "metrics": {"audio_duration": seconds / len(turn.sentences), "processing_latency": 0.1},
            }  # fmt: skip
            await _send(connection, "data", found)

    async def _speak(self, connection: ServerConnection, query: dict[str, str]) -> None:
        self.voices_opened += 1
        if query != _SPEAKING:
            self.problems.append(f"query: {query}")
        try:
            text = ""
            async for frame in connection:
                message = json.loads(frame)
                if message["type"] == "flush":
                    await self._say(connection, text)
                    text = ""
                else:
                    text += self._taken(message)
        finally:
            self.voices_closed += 1

    def _taken(self, message: Mapping[str, Any]) -> str:
        data = message["data"]
        if message["type"] == "text":
            if not 0 < len(data["text"]) < 500 or not self.configs:
                self.problems.append(f"text: {message}")
            return str(data["text"])
        self.configs.append(data)
        names = {"target_language_code", "speaker", "pace", *_CONFIG}
        is_known = data["target_language_code"] in LANGUAGES and 0.5 <= data["pace"] <= 2.0
        if message["type"] != "config" or set(data) != names or not is_known or _CONFIG.items() - data.items():
            self.problems.append(f"config: {message}")
        return ""

    async def _say(self, connection: ServerConnection, text: str) -> None:
        self.said.append(text)
        clause = next(self._clauses, None)
        pcm = bytes([1, 2]) * (24 * self.ms_per_char * len(text))
        middle = len(pcm) // 2 | 1  # Cuts a sample in half, as a stream may.
        if not isinstance(clause, Fails):
            await _audio(connection, pcm[:middle])
            self.speaking.set()
        if clause is not None:
            return await _fail(connection, clause)
        await _audio(connection, pcm[middle:])
        await _send(connection, "event", {"event_type": "final", "timestamp": "t"})
        if self.hangs_up_when_idle:
            await connection.close(1008)


async def _fail(connection: ServerConnection, how: Fails | Rude) -> None:
    if isinstance(how, Fails):
        told = {"message": "no", "error": "no", "code": how.code, "details": {}}
        return await _send(connection, "error", told)
    if how.how == "drop":
        connection.transport.abort()
    elif how.how == "garbage":
        await connection.send("<html>Bad gateway</html>")
    elif how.how == "no_data":
        await connection.send('{"type":"data","data":[1]}')
    elif how.how == "too_long":
        await connection.send('{"type":"data","data":{"transcript":"' + "A" * 5_000_000 + '"}}')
    elif how.how == "flood":
        for _ in range(20):
            await _audio(connection, bytes(500_000))
    await connection.wait_closed()


async def _audio(connection: ServerConnection, pcm: bytes) -> None:
    audio = {"content_type": "audio/pcm", "audio": base64.b64encode(pcm).decode(), "request_id": "r"}
    await _send(connection, "audio", audio)


async def _send(connection: ServerConnection, kind: str, data: Mapping[str, Any]) -> None:
    await connection.send(json.dumps({"type": kind, "data": data}))
