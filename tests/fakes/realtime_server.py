"""A Realtime GA server on loopback: it checks address, headers and every frame, and answers by a script or by echo.

`python -m tests.fakes.realtime_server --port 9100` runs the echo for a bench.
"""

import argparse
import asyncio
import json
import urllib.parse
from collections.abc import Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Literal

from openai.types.realtime import RealtimeClientEvent
from pydantic import TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.fakes.scripted_upstream import Script, Step, session_created, with_id

_client_events: TypeAdapter[Any] = TypeAdapter(RealtimeClientEvent)

# Each is what a hostile server does instead of saying session.created.
Hostility = Literal["", "stall", "not_json", "binary", "no_type", "too_long", "flood", "fragments", "not_websocket"]


@dataclass
class RealtimeServer:
    """Use as `async with RealtimeServer([...]) as server`, then dial `server.url`."""

    steps: Sequence[Step] = ()
    model: str = "gpt-realtime-mini"
    api_key: str = "sk-test"
    safety_identifier: str | None = None
    refuse: int = 0
    refusal_code: str | None = None
    hostile: Hostility = ""
    echo_ms: int = 0
    close_code: int = 1000
    port: int = 0
    # Speaks as Azure does: its path, its header. With a token, Entra's instead of the key.
    azure: Literal["", "key", "token"] = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    handshakes: int = 0
    closed_with: list[int | None] = field(default_factory=list)

    async def __aenter__(self) -> "RealtimeServer":
        self._script = Script(self.steps)
        self._stopping = asyncio.Event()
        self._conversations: dict[ServerConnection, asyncio.Task[None] | None] = {}
        if self.hostile == "not_websocket":
            self._server: Any = await asyncio.start_server(_say_nonsense, "127.0.0.1", self.port)
        else:
            self._server = await serve(
                self._serve, "127.0.0.1", self.port, process_request=self._check_handshake, compression=None,
                max_size=None, write_limit=1024 * 1024,
            )  # fmt: skip
        self.port = next(iter(self._server.sockets)).getsockname()[1]
        self.url = f"ws://127.0.0.1:{self.port}{'/openai' if self.azure else ''}/v1/realtime"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        for connection, conversation in list(self._conversations.items()):
            connection.transport.abort()
            if conversation is not None:
                conversation.cancel()
        self._server.close()
        await self._server.wait_closed()

    def assert_complete(self) -> None:
        assert not self.problems, self.problems
        self._script.assert_complete()

    async def _check_handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes += 1
        self.problems += self._handshake_problems(request)
        if self.hostile == "stall":
            await self._stopping.wait()
        status = self.refuse or (HTTPStatus.UNAUTHORIZED if self.problems else 0)
        if not status:
            return None
        body = json.dumps({"error": {"message": "refused", "type": "invalid_request_error", "code": self.refusal_code}})
        return connection.respond(HTTPStatus(status), body)

    def _handshake_problems(self, request: Request) -> list[str]:
        address = urllib.parse.urlsplit(request.path)
        bearer = None if self.azure == "key" else f"Bearer {self.api_key}"
        wanted = {
            "path": (address.path, "/openai/v1/realtime" if self.azure else "/v1/realtime"),
            "query": (urllib.parse.parse_qs(address.query), {"model": [self.model]}),
            "key": (request.headers.get("Authorization"), bearer),
            "Azure's key": (request.headers.get("api-key"), self.api_key if self.azure == "key" else None),
            "caller": (request.headers.get("OpenAI-Safety-Identifier"), self.safety_identifier),
            "beta": (request.headers.get("OpenAI-Beta"), None),
            "subprotocol": (request.headers.get("Sec-WebSocket-Protocol"), None),
        }
        return [f"{name}: {got!r}, not {want!r}" for name, (got, want) in wanted.items() if got != want]

    async def _serve(self, connection: ServerConnection) -> None:
        self._conversations[connection] = asyncio.current_task()
        try:
            await self._converse(connection)
        except ConnectionClosed:
            pass
        finally:
            self.closed_with.append(connection.close_code)
            self._conversations.pop(connection)

    async def _converse(self, connection: ServerConnection) -> None:
        if self.hostile:
            return await _misbehave(connection, self.hostile)
        await _emit(connection, session_created(self.model))
        if self.echo_ms:
            return await _Echo(connection, self.echo_ms).run()
        await self._perform(connection, self._script.opening())
        async for message in connection:
            event = self._checked(message)
            if event is not None:
                await self._perform(connection, self._script.on(event))

    def _checked(self, message: str | bytes) -> dict[str, Any] | None:
        if not isinstance(message, str):
            self.problems.append("a binary frame")
            return None
        try:
            event: dict[str, Any] = json.loads(message)
            _client_events.validate_python(event)
        except (ValueError, ValidationError) as error:
            self.problems.append(f"no client event: {error}")
            return None
        self.received.append(event)
        return event

    async def _perform(self, connection: ServerConnection, steps: Sequence[Step]) -> None:
        for step in steps:
            for event in step.emit:
                await _emit(connection, with_id(event))
            if step.then == "drop":
                connection.transport.abort()
            elif step.then == "close":
                await connection.close(self.close_code)
            elif step.then == "garbage":
                await connection.send("{this is no event")
            elif step.then == "stall":
                await asyncio.sleep(3600)


class _Echo:
    """Speaks the caller's own audio back while a response runs.

    After `response_ms` of it the response ends with its usage, and the audio counts as a committed turn, upon which a
    client that asks for its responses itself asks for the next one.
    """

    def __init__(self, connection: ServerConnection, response_ms: int) -> None:
        self._connection = connection
        self._response_bytes = response_ms * 48
        self._echoed_bytes = 0
        self._serial = 0
        self._prefix = ""

    async def run(self) -> None:
        async for message in self._connection:
            assert isinstance(message, str)
            if message.startswith('{"type":"input_audio_buffer.append","audio":"'):
                await self._echo(message[45:-2])
            else:
                await self._answer(json.loads(message))

    async def _answer(self, event: dict[str, Any]) -> None:
        if event["type"] == "session.update":
            await self._emit(type="session.updated", session={**event["session"], "object": "realtime.session"})
        elif event["type"] == "response.create" and not self._prefix:
            await self._start(event)
        elif event["type"] == "response.cancel" and self._prefix:
            await self._finish("cancelled")

    async def _start(self, event: dict[str, Any]) -> None:
        self._serial += 1
        ids = {"response_id": f"resp_{self._serial}", "item_id": f"item_{self._serial}"}
        place = {"output_index": 0, "content_index": 0}
        self._prefix = json.dumps(
            {"type": "response.output_audio.delta", "event_id": "event_echo", **ids, **place}, separators=(",", ":")
        ).removesuffix("}")
        await self._emit(type="response.created", response=self._response("in_progress", None))
        item = self._item("in_progress")
        await self._emit(type="response.output_item.added", response_id=ids["response_id"], output_index=0, item=item)
        await self._emit(type="conversation.item.added", previous_item_id=None, item=item)
        part = {"type": "audio", "transcript": ""}
        await self._emit(type="response.content_part.added", **ids, **place, part=part)

    async def _echo(self, audio: str) -> None:
        if not self._prefix:
            return
        await self._connection.send(f'{self._prefix},"delta":"{audio}"}}')
        self._echoed_bytes += len(audio) * 3 // 4
        if self._echoed_bytes >= self._response_bytes:
            await self._finish("completed")
            await self._emit(type="input_audio_buffer.committed", item_id=f"user_{self._serial}", previous_item_id=None)

    async def _finish(self, status: str) -> None:
        heard, said = -(-self._echoed_bytes // 4800), -(-self._echoed_bytes // 2400)
        self._prefix, self._echoed_bytes = "", 0
        usage = {
            "total_tokens": heard + said, "input_tokens": heard, "output_tokens": said,
            "input_token_details": {
                "text_tokens": 0, "audio_tokens": heard, "image_tokens": 0, "cached_tokens": 0,
                "cached_tokens_details": {"text_tokens": 0, "audio_tokens": 0, "image_tokens": 0},
            },
            "output_token_details": {"text_tokens": 0, "audio_tokens": said},
        }  # fmt: skip
        await self._emit(type="response.done", response=self._response(status, usage))

    def _response(self, status: str, usage: dict[str, Any] | None) -> dict[str, Any]:
        output = [self._item(status)] if usage else []
        return {
            "object": "realtime.response", "id": f"resp_{self._serial}", "status": status, "status_details": None,
            "output": output, "output_modalities": ["audio"], "usage": usage, "metadata": None,
        }  # fmt: skip

    def _item(self, status: str) -> dict[str, Any]:
        item_id = f"item_{self._serial}"
        return {"id": item_id, "type": "message", "role": "assistant", "status": status, "content": []}

    async def _emit(self, **event: Any) -> None:
        await _emit(self._connection, with_id(event))


async def _emit(connection: ServerConnection, event: dict[str, Any]) -> None:
    await connection.send(json.dumps(event, separators=(",", ":")))


async def _misbehave(connection: ServerConnection, how: Hostility) -> None:
    if how == "not_json":
        await connection.send("<html>Bad gateway</html>")
    elif how == "binary":
        await connection.send(b"\x00\x01")
    elif how == "no_type":
        await connection.send('{"event_id":"event_1"}')
    elif how == "too_long":
        await connection.send('{"type":"x","padding":"' + "A" * 5_000_000 + '"}')
    elif how == "fragments":
        pieces = ["A" * 1_000_000] * 6
        await connection.send(iter(['{"type":"x","padding":"', *pieces, '"}']))
    elif how == "flood":
        frame = '{"type":"response.output_audio.delta","delta":"' + "AAAA" * 3000 + '"}'
        while True:
            await connection.send(frame)
    await connection.wait_closed()


async def _say_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"220 smtp ready\r\n\r\n")
    await writer.drain()
    writer.close()


async def _run(port: int, echo_ms: int, model: str, api_key: str) -> None:
    async with RealtimeServer(port=port, echo_ms=echo_ms, model=model, api_key=api_key) as server:
        print(server.url, flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description="Echo audio as a Realtime server would.")
    arguments.add_argument("--port", type=int, default=9100)
    arguments.add_argument("--echo-ms", type=int, default=10_000, help="length of one response")
    arguments.add_argument("--model", default="gpt-realtime-mini")
    arguments.add_argument("--api-key", default="sk-test")
    asyncio.run(_run(**vars(arguments.parse_args())))
