"""The network between browsers and web processes."""

import asyncio
import random
from contextlib import asynccontextmanager, suppress

import pytest

from tests.crash.storm.network import Network

ADDRESS = "127.0.1.5"


@asynccontextmanager
async def echoing():
    """Yield a web process's port and the connections it has."""
    writers = []

    async def echo(reader, writer):
        writers.append(writer)
        while data := await reader.read(100):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(echo, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], server
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()


@asynccontextmanager
async def connected(network):
    reader, writer = await asyncio.open_connection("127.0.0.1", network.port, local_addr=(ADDRESS, 0))
    try:
        yield reader, writer
    finally:
        writer.transport.abort()
        with suppress(ConnectionError):
            await writer.wait_closed()


async def says(reader, writer, what):
    writer.write(what)
    async with asyncio.timeout(10):
        return await reader.readexactly(len(what))


async def is_broken(reader):
    try:
        async with asyncio.timeout(10):
            return await reader.read(1) == b""
    except ConnectionError:
        return True


@pytest.fixture
def rng():
    return random.Random(1)


async def test_what_is_said_reaches_a_process_and_comes_back(rng):
    async with echoing() as (port, _), Network([port], rng) as network, connected(network) as line:
        assert await says(*line, b"hello") == b"hello"
        assert network.backend_of(ADDRESS) == 0


async def test_a_cut_breaks_the_connection(rng):
    async with echoing() as (port, _), Network([port], rng) as network, connected(network) as line:
        await says(*line, b"hello")
        network.cut(ADDRESS, is_silent=False)
        assert await is_broken(line[0])


async def test_a_cut_network_lets_nobody_through_until_it_is_restored(rng):
    async with echoing() as (port, _), Network([port], rng) as network:
        network.cut(ADDRESS, is_silent=False)
        async with connected(network) as (reader, _):
            assert await is_broken(reader)
        network.restore(ADDRESS)
        async with connected(network) as line:
            assert await says(*line, b"again") == b"again"


async def test_a_process_that_is_gone_is_passed_over(rng):
    async with echoing() as (gone, server), echoing() as (port, _), Network([gone, port], rng) as network:
        server.close()
        await server.wait_closed()
        for _ in range(4):
            async with connected(network) as line:
                assert await says(*line, b"hello") == b"hello"
                assert network.backend_of(ADDRESS) == 1


async def test_the_end_of_a_process_is_the_end_of_its_connections(rng):
    async with echoing() as (port, _), Network([port], rng) as network, connected(network) as (reader, writer):
        await says(reader, writer, b"hello")
        writer.write_eof()
        assert await is_broken(reader)
