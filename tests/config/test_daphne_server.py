"""Daphne as it is started, in a process of its own, spoken to by a client that is none of ours."""

import asyncio
import contextlib
import http.client
import json
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 20
BYTES_MAX = 100_000


class Daphne:
    def __init__(self, log, *options):
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            self.port = taken.getsockname()[1]
        self.url, self._log = f"ws://127.0.0.1:{self.port}", log
        limit = ["--websocket-max-message-size", str(BYTES_MAX), "--websocket-max-frame-size", str(BYTES_MAX)]
        where = ["-b", "127.0.0.1", "-p", str(self.port), "--verbosity", "0"]
        command = [sys.executable, "-m", "config.daphne_server", *where, *limit, *options]
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                [*command, "tests.config.echoing:application"], cwd=ROOT, stdout=output, stderr=output
            )
        until = time.monotonic() + PATIENCE_S
        while not self._answers() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.05)

    def _answers(self):
        with contextlib.suppress(OSError):
            return self.get() is not None

    def get(self):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        try:
            connection.request("GET", "/")
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def said(self):
        return self._log.read_text()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE_S)


@contextlib.contextmanager
def started(folder, *options):
    server = Daphne(folder / "daphne.log", *options)
    try:
        yield server
    finally:
        server.process.kill()
        server.process.wait()


@pytest.fixture(scope="module")
def daphne(tmp_path_factory):
    with started(tmp_path_factory.mktemp("daphne")) as server:
        yield server


def raw_request(daphne, *headers):
    """Send an upgrade request as it stands, and return the connection."""
    connection = socket.create_connection(("127.0.0.1", daphne.port), timeout=PATIENCE_S)
    lines = ["GET / HTTP/1.1", "Host: x", "Upgrade: websocket", "Connection: Upgrade", *headers, "", ""]
    connection.sendall("\r\n".join(lines).encode())
    return connection


async def until(is_so):
    async with asyncio.timeout(PATIENCE_S):
        while not await asyncio.to_thread(is_so):
            await asyncio.sleep(0.02)


async def test_frames_come_back(daphne):
    async with connect(daphne.url) as websocket:
        for message in (b"\x00\xff", "Grüße", b"a" * BYTES_MAX):
            await websocket.send(message)
            assert await websocket.recv() == message


async def test_the_application_knows_who_asks_for_what(daphne):
    async with connect(f"{daphne.url}/a%20b?c=d", subprotocols=["first", "second"]) as websocket:
        await websocket.send("scope")
        asked = json.loads(await websocket.recv())
        own_port = websocket.local_address[1]
    assert websocket.subprotocol == "first"
    assert asked == {
        "path": "/a b", "query": "c=d", "root_path": "", "scheme": "ws", "client": ["127.0.0.1", own_port],
    }  # fmt: skip


async def test_an_application_may_refuse(daphne):
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{daphne.url}/closed")
    assert refused.value.response.status_code == 403


async def test_what_is_too_long_is_refused(daphne):
    async with connect(daphne.url) as websocket:
        await websocket.send(b"a" * (BYTES_MAX + 1))
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    assert websocket.close_code == 1009


async def test_the_application_hears_of_a_goodbye(daphne):
    async with connect(daphne.url) as websocket:
        await websocket.close(4321)
    await until(lambda: 4321 in daphne.get())


async def test_the_application_hears_of_a_lost_connection(daphne):
    before = daphne.get().count(1006)
    connection = raw_request(daphne, "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==")
    assert connection.recv(1024).startswith(b"HTTP/1.1 101")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    await until(lambda: daphne.get().count(1006) > before)


def test_a_request_without_a_key_is_refused(daphne):
    with raw_request(daphne, "Sec-WebSocket-Version: 13") as connection:
        assert connection.recv(1024).startswith(b"HTTP/1.1 400")
        assert connection.recv(1024) == b""


async def test_many_that_come_and_go_leave_nothing_open(daphne):
    def open_files():
        return len(list(Path(f"/proc/{daphne.process.pid}/fd").iterdir()))

    if not Path("/proc/self/fd").exists():
        pytest.skip("the kernel does not list a process's open files")
    daphne.get()
    before = open_files()
    for _ in range(3):
        sockets = await asyncio.gather(*(connect(daphne.url) for _ in range(20)))
        await asyncio.gather(*(websocket.close() for websocket in sockets))
    await until(lambda: open_files() <= before + 1)


async def test_a_server_that_stops_says_so_and_waits_for_the_application(tmp_path):
    with started(tmp_path) as daphne:
        async with connect(daphne.url) as websocket:
            await websocket.send("hello")
            await websocket.recv()
            ended = asyncio.create_task(asyncio.to_thread(daphne.stop))
            with pytest.raises(ConnectionClosed):
                await websocket.recv()
        assert websocket.close_code == 1012
        assert await ended == 0
        assert daphne.said().strip() == "settled"


async def test_behind_a_proxy_the_callers_own_address_counts(tmp_path):
    with started(tmp_path, "--proxy-headers") as daphne:
        async with connect(daphne.url, additional_headers={"X-Forwarded-For": "203.0.113.7"}) as websocket:
            await websocket.send("scope")
            assert json.loads(await websocket.recv())["client"][0] == "203.0.113.7"
