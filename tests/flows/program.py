"""A customer's own program on the Realtime socket: it sends what a test says and keeps what it is sent."""

import base64
import json
from typing import Any
from urllib.parse import urlencode

from channels.testing import WebsocketCommunicator

from config.asgi import application
from tests.flows.browser import PATIENCE_S, Closed

MODEL = "gpt-realtime-mini"


class Program:
    """`told` holds the events it was sent, `close_code` how the connection ended."""

    def __init__(
        self,
        key: str = "",
        *,
        path: str = "/v1/realtime",
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        subprotocols: tuple[str, ...] = (),
    ) -> None:
        sent = {"host": "testserver", **({"authorization": f"Bearer {key}"} if key else {}), **(headers or {})}
        raw_headers = [(name.encode(), value.encode()) for name, value in sent.items()]
        query = {"model": MODEL} if query is None else query
        address = f"{path}?{urlencode(query)}" if query else path
        self.socket = WebsocketCommunicator(application, address, raw_headers, list(subprotocols))
        self.told: list[dict[str, Any]] = []
        self.close_code: int | None = None

    async def opens(self) -> tuple[bool, str | int | None]:
        """Return whether the server accepted, and the subprotocol it chose."""
        return await self.socket.connect(PATIENCE_S)

    async def begins(self) -> dict[str, Any]:
        """Open the socket; return the session that session.created tells of."""
        accepted, _ = await self.opens()
        assert accepted
        created = await self.until("session.created")
        assert self.told == [created]
        return dict(created["session"])

    async def says(self, kind: str, **fields: Any) -> None:
        await self.sends_text(json.dumps({"type": kind, **fields}))

    async def sends_text(self, text: str) -> None:
        await self.socket.send_input({"type": "websocket.receive", "text": text})

    async def sends_audio(self, pcm: bytes) -> None:
        await self.says("input_audio_buffer.append", audio=base64.b64encode(pcm).decode())

    async def leaves(self, code: int = 1000) -> None:
        """Close the connection; return when the server is done with it."""
        await self.socket.send_input({"type": "websocket.disconnect", "code": code})
        await self.socket.wait(PATIENCE_S)

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Return the next event of a kind with these fields; raise Closed when there will be none."""
        while True:
            event = await self._next()
            if event["type"] == kind and fields.items() <= event.items():
                return event

    async def until_closed(self) -> int | None:
        """Return the close code, once the server is done with the socket."""
        try:
            while True:
                await self._next()
        except Closed:
            await self.socket.wait(PATIENCE_S)
        return self.close_code

    def told_types(self) -> list[str]:
        return [event["type"] for event in self.told]

    def told_of(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.told if event["type"] == kind]

    async def _next(self) -> dict[str, Any]:
        output = await self.socket.receive_output(PATIENCE_S)
        if output["type"] == "websocket.close":
            self.close_code = output.get("code", 1000)
            raise Closed(self.close_code)
        event: dict[str, Any] = json.loads(output["text"])
        self.told.append(event)
        return event
