"""A loopback HTTP server with the three models of a pipeline, answering by a script."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Act(Enum):
    """What a model does in the middle of an answer instead of going on."""

    HOLD = "hold"  # waits until `release` is set
    DROP = "drop"  # hangs up
    GARBAGE = "garbage"  # says what is no JSON
    ERROR = "error"  # reports a failure after a 200
    CUT_OFF = "cut_off"  # ends for want of tokens


@dataclass(frozen=True)
class Call:
    """A function call, streamed in two pieces as real servers do."""

    name: str
    arguments: str
    call_id: str = "call_1"


@dataclass(frozen=True)
class Refuse:
    status: int


@dataclass
class OpenAICompatibleServer:
    """Use as `async with OpenAICompatibleServer(...) as server`, then dial `server.url`.

    `transcripts` and `answers` are used up in order, one a request. Speech is `ms_per_char` of a steady wave for each
    character; a `speech` script entry replaces the wave of one request.
    """

    transcripts: Sequence[str | Refuse | Act] = ()
    answers: Sequence[Sequence[str | Call | Act] | Refuse] = ()
    speech: Sequence[bytes | Refuse | Act | None] = ()
    ms_per_char: int = 10
    api_key: str = ""
    models_status: int = 200
    # Told at the end of an answer to who asks for it.
    chat_usage: Any = None
    requests: list[tuple[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    hang_ups: int = 0

    async def __aenter__(self) -> "OpenAICompatibleServer":
        self.release = asyncio.Event()
        self.held = asyncio.Event()
        self._transcripts, self._answers, self._speech = iter(self.transcripts), iter(self.answers), iter(self.speech)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/v1"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def bodies(self, path: str) -> list[Any]:
        return [body for where, body in self.requests if where == path]

    def assert_complete(self) -> None:
        assert not self.problems, self.problems
        left = [list(self._transcripts), list(self._answers), list(self._speech)]
        assert left == [[], [], []], f"not asked for: {left}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while await self._serve_one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError):
            self.hang_ups += 1
        except asyncio.CancelledError:
            # Ours: the client hung up, or the test is over. Nobody awaits this task who would want to know.
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _serve_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
        except asyncio.IncompleteReadError:
            return False
        path = head.split(" ")[1].removeprefix("/v1")
        headers = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self._check_key(headers)
        self.requests.append((path, json.loads(body) if body.startswith(b"{") else body))
        watch = asyncio.create_task(self._watch_for_hang_up(reader, asyncio.current_task()))
        try:
            return await self._answer(path, writer)
        finally:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)

    async def _watch_for_hang_up(self, reader: asyncio.StreamReader, serving: "asyncio.Task[Any] | None") -> None:
        while not reader.at_eof():
            await asyncio.sleep(0.005)
        self.hang_ups += 1
        if serving is not None:
            serving.cancel()

    def _check_key(self, headers: dict[str, str]) -> None:
        wanted = f"bearer {self.api_key}" if self.api_key else None
        if headers.get("authorization") != wanted:
            self.problems.append(f"key: {headers.get('authorization')}")

    async def _answer(self, path: str, writer: asyncio.StreamWriter) -> bool:
        if path == "/models":
            return await _whole(writer, self.models_status, {"object": "list", "data": []})
        if path == "/audio/transcriptions":
            return await self._transcribe(writer, next(self._transcripts, None))
        if path == "/chat/completions":
            return await self._chat(writer, next(self._answers, None))
        if path == "/audio/speech":
            return await self._speak(writer, next(self._speech, None))
        self.problems.append(f"unexpected {path}")
        return await _whole(writer, 404, {})

    async def _transcribe(self, writer: asyncio.StreamWriter, transcript: str | Refuse | Act | None) -> bool:
        if transcript is None:
            self.problems.append("one transcription too many")
            transcript = Refuse(500)
        if isinstance(transcript, Refuse):
            return await _whole(writer, transcript.status, {"error": {"message": "refused"}})
        if transcript is Act.HOLD:
            await self._hold()
        if isinstance(transcript, Act):
            return await _whole(writer, 200, [])
        return await _whole(writer, 200, {"text": transcript})

    async def _chat(self, writer: asyncio.StreamWriter, answer: Sequence[str | Call | Act] | Refuse | None) -> bool:
        if answer is None:
            self.problems.append("one answer too many")
            answer = Refuse(500)
        if isinstance(answer, Refuse):
            return await _whole(writer, answer.status, {"error": {"message": "refused"}})
        await _begin(writer, "text/event-stream")
        finish_reason = "stop"
        for index, piece in enumerate(answer):
            if piece is Act.DROP:
                writer.transport.abort()
                return False
            if piece is Act.HOLD:
                await self._hold()
            elif piece is Act.GARBAGE:
                await _chunk(writer, b"data: {not json\n\n")
            elif piece is Act.ERROR:
                await _chunk(writer, b'data: {"error": {"message": "overloaded"}}\n\n')
            elif piece is Act.CUT_OFF:
                finish_reason = "length"
            elif isinstance(piece, Call):
                finish_reason = "tool_calls"
                await _call(writer, index, piece)
            else:
                await _delta(writer, {"content": piece})
        await _delta(writer, {}, finish_reason)
        if self.bodies("/chat/completions")[-1].get("stream_options") == {"include_usage": True}:
            chunk = {"object": "chat.completion.chunk", "choices": [], "usage": self.chat_usage}
            await _chunk(writer, b"data: " + json.dumps(chunk).encode() + b"\n\n")
        await _chunk(writer, b"data: [DONE]\n\n")
        return await _end(writer)

    async def _speak(self, writer: asyncio.StreamWriter, scripted: bytes | Refuse | Act | None) -> bool:
        if isinstance(scripted, Refuse):
            return await _whole(writer, scripted.status, {"error": {"message": "refused"}})
        await _begin(writer, "audio/pcm")
        text = self.bodies("/audio/speech")[-1]["input"]
        pcm = scripted if isinstance(scripted, bytes) else bytes([1, 2]) * (24 * self.ms_per_char * len(text))
        middle = len(pcm) // 2 | 1  # Cuts a sample in half, as a network does.
        await _chunk(writer, pcm[:middle])
        if scripted is Act.DROP:
            writer.transport.abort()
            return False
        if scripted is Act.HOLD:
            await self._hold()
        await _chunk(writer, pcm[middle:])
        return await _end(writer)

    async def _hold(self) -> None:
        self.held.set()
        await self.release.wait()


async def _call(writer: asyncio.StreamWriter, index: int, call: Call) -> None:
    function = {"name": call.name, "arguments": ""}
    await _delta(
        writer, {"tool_calls": [{"index": index, "id": call.call_id, "type": "function", "function": function}]}
    )
    half = len(call.arguments) // 2
    for arguments in (call.arguments[:half], call.arguments[half:]):
        await _delta(writer, {"tool_calls": [{"index": index, "function": {"arguments": arguments}}]})


async def _delta(writer: asyncio.StreamWriter, delta: dict[str, Any], finish_reason: str | None = None) -> None:
    chunk = {
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }
    await _chunk(writer, b"data: " + json.dumps(chunk).encode() + b"\n\n")


async def _begin(writer: asyncio.StreamWriter, content_type: str) -> None:
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n"
    writer.write(head.encode())
    await writer.drain()


async def _chunk(writer: asyncio.StreamWriter, data: bytes) -> None:
    if data:
        writer.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        await writer.drain()


async def _end(writer: asyncio.StreamWriter) -> bool:
    writer.write(b"0\r\n\r\n")
    await writer.drain()
    return True


async def _whole(writer: asyncio.StreamWriter, status: int, body: Any) -> bool:
    payload = json.dumps(body).encode()
    writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(payload)}\r\n\r\n".encode() + payload)
    await writer.drain()
    return True
