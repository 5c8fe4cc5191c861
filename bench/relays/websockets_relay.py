"""A bare relay on websockets: every frame is passed on unread, both ways. Nothing is checked, metered or admitted."""

import argparse
import asyncio
import contextlib

import uvloop
from websockets.asyncio.client import connect
from websockets.asyncio.connection import Connection
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


async def pump(source: Connection, sink: Connection) -> None:
    # decode=False: the text is passed on as the bytes it came in, without a decode and an encode.
    while True:
        await sink.send(await source.recv(decode=False), text=True)


async def relay(caller: ServerConnection, upstream_url: str) -> None:
    async with connect(upstream_url, compression=None) as upstream:
        pumps = [asyncio.create_task(pump(caller, upstream)), asyncio.create_task(pump(upstream, caller))]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for task in pumps:
            task.cancel()
            with contextlib.suppress(ConnectionClosed, asyncio.CancelledError):
                await task


async def run(port: int, upstream_url: str) -> None:
    async with serve(lambda caller: relay(caller, upstream_url), "127.0.0.1", port, compression=None, backlog=1024):
        await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", required=True)
    arguments = parser.parse_args()
    uvloop.run(run(arguments.port, arguments.upstream))
