"""The network between browsers and web processes: it hands each connection to a process that lives, and can be cut."""

import asyncio
import contextlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

_CONNECT_S = 2.0
_LINGER_S = 0.2
# Of a caller who comes back, so often the balancer picks the process they were with.
_STAYS = 0.5


@dataclass(eq=False, slots=True)
class _Link:
    """One caller's connection. `is_cut`: their side is gone, which the server may not know yet."""

    address: str
    backend: int
    browser: asyncio.StreamWriter
    server: asyncio.StreamWriter
    is_cut: bool = False


class Network:
    """Use as `async with Network(ports, rng) as network`; a caller's network is known by the address they dial from."""

    def __init__(self, ports: Sequence[int], rng: random.Random) -> None:
        self._ports, self._rng = list(ports), rng
        self._links: set[_Link] = set()
        self._cut: set[str] = set()
        self._last: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        # Processes that get no new connections, as one does that says it is draining.
        self.avoided: set[int] = set()

    async def __aenter__(self) -> "Network":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for link in list(self._links):
            link.browser.transport.abort()
            link.server.transport.abort()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def backend_of(self, address: str) -> int | None:
        """Return which process a caller is connected to now."""
        return next((link.backend for link in self._links if link.address == address and not link.is_cut), None)

    def cut(self, address: str, *, is_silent: bool) -> None:
        """Break a caller's network; `is_silent`: the server is not told, and believes that it still reaches them."""
        self._cut.add(address)
        for link in [link for link in self._links if link.address == address]:
            link.is_cut = True
            link.browser.transport.abort()
            if not is_silent:
                link.server.transport.abort()

    def restore(self, address: str) -> None:
        self._cut.discard(address)
        for link in [link for link in self._links if link.address == address and link.is_cut]:
            link.server.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._carry(reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            writer.transport.abort()
            self._tasks.discard(task)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        address = writer.get_extra_info("peername")[0]
        if address in self._cut:
            return
        found = await self._reach_one(address)
        if found is None:
            return
        backend, from_server, to_server = found
        link = _Link(address, backend, writer, to_server)
        self._last[address] = backend
        self._links.add(link)
        try:
            up = asyncio.create_task(_pump(reader, to_server, link))
            await _pump(from_server, writer, link)
            # What was written last is on its way.
            await asyncio.wait([up], timeout=_LINGER_S)
            up.cancel()
            await asyncio.gather(up, return_exceptions=True)
        finally:
            self._links.discard(link)
            to_server.transport.abort()

    async def _reach_one(self, address: str) -> tuple[int, asyncio.StreamReader, asyncio.StreamWriter] | None:
        for backend in self._order(address):
            try:
                async with asyncio.timeout(_CONNECT_S):
                    return backend, *await asyncio.open_connection("127.0.0.1", self._ports[backend])
            except (OSError, TimeoutError):
                continue
        return None

    def _order(self, address: str) -> list[int]:
        order = [backend for backend in range(len(self._ports)) if backend not in self.avoided]
        self._rng.shuffle(order)
        last = self._last.get(address)
        if last in order and self._rng.random() < _STAYS:
            order.sort(key=lambda backend: backend != last)
        return order


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, link: _Link) -> None:
    """Carry bytes until one side ends, then end the other; to or from a browser that is gone they are lost."""
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            if not link.is_cut:
                writer.write(data)
                await writer.drain()
    if not link.is_cut:
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
