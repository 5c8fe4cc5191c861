"""A bare relay on picows: every frame is passed on unread, both ways. Nothing is checked, metered or admitted."""

import argparse
import asyncio

import uvloop
from picows import WSFrame, WSListener, WSMsgType, WSTransport, ws_connect, ws_create_server


class Upstream(WSListener):
    def __init__(self, caller: WSTransport) -> None:
        self._caller = caller

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.TEXT:
            self._caller.send(WSMsgType.TEXT, frame.get_payload_as_memoryview())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        self._caller.disconnect()


class Caller(WSListener):
    def __init__(self, upstream_url: str) -> None:
        self._upstream_url = upstream_url
        self._upstream: WSTransport | None = None
        self._dialling: asyncio.Task[None] | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._dialling = asyncio.get_running_loop().create_task(self._dial(transport))

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        # A Realtime client says nothing before the upstream's session.created, so nothing can come too early.
        if frame.msg_type == WSMsgType.TEXT and self._upstream is not None:
            self._upstream.send(WSMsgType.TEXT, frame.get_payload_as_memoryview())
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.disconnect()

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self._upstream is not None:
            self._upstream.disconnect()

    async def _dial(self, transport: WSTransport) -> None:
        self._upstream, _ = await ws_connect(lambda: Upstream(transport), self._upstream_url)


async def serve(port: int, upstream_url: str) -> None:
    server = await ws_create_server(lambda _request: Caller(upstream_url), "127.0.0.1", port, backlog=1024)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvloop.run(serve(arguments.port, arguments.upstream))
