"""A page on the widget's socket: it sends what a test says, hears what it is sent, and reports what it has played."""

import asyncio
import contextlib
import json
from typing import Any

from channels.testing import WebsocketCommunicator

from config.asgi import application
from voice.gateway.widget_protocol import SUBPROTOCOL

# Long enough for a loaded machine: what a test waits for has happened, or the test fails.
PATIENCE_S = 30
ORIGIN = "http://testserver"
FRAME = b"\1\0" * 960


class Closed(Exception):
    """The server closed the socket while something else was awaited."""


class Browser:
    """`told` holds the messages it was sent, `heard` the bytes of audio by item, `close_code` how it ended."""

    def __init__(self, *, origin: str = ORIGIN, subprotocols: tuple[str, ...] = (SUBPROTOCOL,)) -> None:
        headers = [(b"host", b"testserver"), (b"origin", origin.encode())]
        self._socket = WebsocketCommunicator(application, "/v1/voice/widget", headers, list(subprotocols))
        self._item_id = ""
        self.told: list[dict[str, Any]] = []
        self.heard: dict[str, int] = {}
        self.close_code: int | None = None
        self.plays = True
        self.resume_token = ""
        self._received_messages = 0

    async def opens(self) -> tuple[bool, str | int | None]:
        """Return whether the server accepted, and the subprotocol it chose."""
        return await self._socket.connect(PATIENCE_S)

    async def calls(self, ticket: str, *, voice: bool = True) -> dict[str, Any]:
        """Open the socket with a ticket; return session.started."""
        assert await self.opens() == (True, SUBPROTOCOL)
        await self.says("session.start", version=1, ticket=ticket, voice=voice)
        return await self.until("session.started")

    async def resumes(self, before: "Browser", **changes: Any) -> dict[str, Any]:
        """Open the socket and go on with the call of another, whose network broke; return session.resumed."""
        self.told, self.heard, self._item_id = [*before.told], dict(before.heard), before._item_id
        self.resume_token, self._received_messages = before.resume_token, before._received_messages
        assert await self.opens() == (True, SUBPROTOCOL)
        await self.says("session.resume", **(before.whereabouts() | changes))
        return await self.until("session.resumed")

    def whereabouts(self) -> dict[str, Any]:
        """Return what a page says of itself that comes back."""
        return {
            "version": 1,
            "resume_token": self.resume_token,
            "item_id": self._item_id or None,
            "played_ms": 0,
            "received_bytes": sum(self.heard.values()),
            "received_messages": self._received_messages,
        }

    async def says(self, kind: str, **fields: Any) -> None:
        await self.sends_text(json.dumps({"type": kind, **fields}))

    async def sends_text(self, text: str) -> None:
        await self._socket.send_input({"type": "websocket.receive", "text": text})

    async def sends_audio(self, pcm: bytes = FRAME) -> None:
        await self._socket.send_input({"type": "websocket.receive", "bytes": pcm})

    async def vanishes(self, code: int = 1006) -> None:
        """The connection is lost; return when the server is done with it."""
        await self.drops(code)
        await self.is_let_go()

    async def drops(self, code: int = 1006) -> None:
        """The connection is lost."""
        await self._socket.send_input({"type": "websocket.disconnect", "code": code})

    async def is_let_go(self) -> None:
        """Return when the server is done with the connection."""
        await self._socket.wait(PATIENCE_S)

    async def is_cancelled(self) -> None:
        """The server stops, and what this connection runs with it."""
        self._socket.future.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._socket.future

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next message of a kind with these fields; raise Closed when there will be none."""
        while True:
            message = await self._next()
            if message["type"] == kind and fields.items() <= message.items():
                return message

    async def until_closed(self) -> int | None:
        """Return the close code, once the server is done with the socket."""
        try:
            while True:
                await self._next()
        except Closed:
            await self._socket.wait(PATIENCE_S)
        return self.close_code

    async def hears_everything(self) -> None:
        """Be told of everything the server has sent so far."""
        while not self._socket.output_queue.empty():
            await self._next()

    def told_of(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.told if message["type"] == kind]

    async def _next(self) -> dict[str, Any]:
        output = await self._socket.receive_output(PATIENCE_S)
        if output["type"] == "websocket.close":
            self.close_code = output.get("code", 1000)
            raise Closed(self.close_code)
        if audio := output.get("bytes"):
            self.heard[self._item_id] = self.heard.get(self._item_id, 0) + len(audio)
            return {"type": "audio"}
        message = json.loads(output["text"])
        self.told.append(message)
        self.resume_token = message.get("resume_token", self.resume_token)
        self._received_messages += message["type"] not in ("session.started", "session.resumed", "error")
        await self._react(message)
        return message

    async def _react(self, message: dict[str, Any]) -> None:
        if message["type"] == "audio.begin":
            self._item_id = message["item_id"]
        elif message["type"] == "audio.end" and self.plays:
            await self.has_played(message["item_id"], self.heard[message["item_id"]] // 48)

    async def has_played(self, item_id: str, played_ms: int) -> None:
        received = sum(self.heard.values())
        await self.says("playback.report", item_id=item_id, played_ms=played_ms, received_bytes=received)
