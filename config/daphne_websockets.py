"""Daphne's websockets on picows: Daphne accepts a connection, reads what it asks for, and hands over its socket.

Daphne's own websocket protocol, autobahn's, spends several times as much on a frame as Parley does on what is in it.
Where there is no plain socket to hand over (TLS in this process) or a proxy's headers count, it stays.
"""

import asyncio
import socket
from typing import Any, cast

from daphne.cli import CommandLineInterface
from daphne.server import Server
from django.conf import settings
from twisted.internet.defer import Deferred
from twisted.internet.protocol import Protocol
from uvicorn.config import Config
from uvicorn.server import ServerState

from config import stopping
from config.picows_websocket import PicowsWebSocket

# How long calls have to come to their end once their time is up; as uvicorn is told, too.
_GOODBYE_WITHIN_S = 5.0


class PicowsServer(Server):  # type: ignore[misc]
    """Daphne, but for what a connection becomes that asks for a websocket."""

    def __init__(self, application: Any, **options: Any) -> None:
        super().__init__(application, ready_callable=self._take_over_websockets, **options)
        # A connection that was lost still cares for its call, until the caller is back or stays away.
        self.application_close_timeout += settings.RESUME_WITHIN_S

    def _take_over_websockets(self) -> None:
        from twisted.internet import reactor

        # Once it runs, for then it has set its own handlers.
        cast(Any, reactor).callLater(0, stopping.heed_signals)
        is_plain = all(str(endpoint).startswith(("tcp:", "unix:", "fd:")) for endpoint in self.endpoints)
        if is_plain and not self.proxy_forwarded_address_header:
            self.ws_factory = Sockets(self)


class CommandLine(CommandLineInterface):  # type: ignore[misc]
    server_class = PicowsServer


class Sockets:
    """What Daphne takes for its factory of websockets: keeps those that are open, and says goodbye to them."""

    def __init__(self, server: Server) -> None:
        self.config = Config(
            server.application,
            interface="asgi3",
            log_config=None,
            root_path=server.root_path,
            ws_max_size=server.websocket_max_message_size,
            ws_ping_interval=server.ping_interval,
            ws_ping_timeout=server.ping_timeout,
        )
        self.config.loaded_app = server.application
        self.state = ServerState()
        self.is_stopping = False
        from twisted.internet import reactor

        cast(Any, reactor).addSystemEventTrigger("before", "shutdown", self.stop)

    def buildProtocol(self, address: object) -> "Handover":
        return Handover(self)

    def stop(self) -> "Deferred[None]":
        """Tell every call that the server stops; fires when they have ended, or had time to."""
        self.is_stopping = True
        if not stopping.is_stopping():
            stopping.begin()
        for connection in list(self.state.connections):
            cast(Any, connection).shutdown()
        return Deferred.fromFuture(asyncio.ensure_future(self._ended()))

    async def _ended(self) -> None:
        if self.state.tasks:
            _, late = await asyncio.wait(self.state.tasks, timeout=stopping.left_s() + _GOODBYE_WITHIN_S)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)


class Handover(Protocol):
    """Stands for a connection towards Daphne for the moment between its request and its new owner."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    def set_main_factory(self, factory: object) -> None:
        """Daphne tells its websockets where they come from; this one does not stay."""

    def dataReceived(self, data: bytes) -> None:
        transport = cast(Any, self.transport)
        transport.stopReading()
        transport.stopWriting()
        # Or Daphne would have it read again in a moment.
        transport.connected, transport.protocol = False, None
        handing_over = asyncio.ensure_future(self._hand_over(transport.socket.dup(), data))
        # The other handle to the same connection; uvloop takes none that it has watched for somebody else.
        transport.socket.close()
        self._sockets.state.tasks.add(handing_over)
        handing_over.add_done_callback(self._sockets.state.tasks.discard)

    async def _hand_over(self, plain: socket.socket, request: bytes) -> None:
        websocket = DaphneWebSocket(self._sockets, request)
        try:
            await asyncio.get_running_loop().connect_accepted_socket(lambda: websocket, plain)
        except OSError:
            # The caller has gone in this very moment.
            plain.close()


class DaphneWebSocket(PicowsWebSocket):
    """A connection whose request Daphne has read."""

    def __init__(self, sockets: Sockets, request: bytes) -> None:
        super().__init__(sockets.config, sockets.state, {})
        self._sockets, self._asked = sockets, request

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.data_received(self._asked)
        self._asked = b""
        if self._sockets.is_stopping:
            self.shutdown()
