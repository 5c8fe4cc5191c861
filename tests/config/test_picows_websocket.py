"""The websocket protocol under uvicorn, spoken to by a client that is none of ours."""

import asyncio
import contextlib
import socket

import pytest
import uvicorn
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.frames import Frame, Opcode

from config.picows_websocket import PicowsWebSocket

PATIENCE_S = 20
BYTES_MAX = 100_000


class Application:
    """An ASGI application that does what a test tells it to, and notes what it was asked and told."""

    def __init__(self):
        self.scope, self.heard, self.error = None, [], None
        self.is_over = asyncio.Event()

    async def __call__(self, scope, receive, send):
        self.scope, self.receive, self.send = scope, receive, send
        try:
            assert (await receive())["type"] == "websocket.connect"
            await self.serve()
        except BaseException as error:
            self.error = error
            raise
        finally:
            self.is_over.set()

    async def serve(self):
        """Accept and echo until the client goes."""
        await self.send({"type": "websocket.accept", "subprotocol": "b"})
        while True:
            message = await self.receive()
            self.heard.append(message)
            if message["type"] == "websocket.disconnect":
                return
            await self.send({**message, "type": "websocket.send"})

    async def ended(self):
        async with asyncio.timeout(PATIENCE_S):
            await self.is_over.wait()


@contextlib.asynccontextmanager
async def serving(application):
    """Serve an application; yields the server with the `url` it is at."""
    config = uvicorn.Config(
        application, ws=PicowsWebSocket, ws_max_size=BYTES_MAX, lifespan="off", log_config=None, port=0
    )
    server = uvicorn.Server(config)
    listener = socket.create_server(("127.0.0.1", 0))
    server.install_signal_handlers = lambda: None
    task = asyncio.create_task(server._serve([listener]))
    async with asyncio.timeout(PATIENCE_S):
        while not server.started:
            await asyncio.sleep(0.01)
    server.url = f"ws://127.0.0.1:{listener.getsockname()[1]}/a%20path?x=1"
    try:
        yield server
    finally:
        server.should_exit = True
        async with asyncio.timeout(PATIENCE_S):
            await task


def opens(server, **options):
    return connect(server.url, **{"subprotocols": ["a", "b"], "compression": None, **options})


async def closed(client):
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            async for _ in client:
                pass
    return client.close_code


async def test_the_application_is_told_what_the_client_asked_for():
    app = Application()
    async with serving(app) as server, opens(server, additional_headers={"X-Who": "me"}) as client:
        assert client.subprotocol == "b"
        assert (app.scope["type"], app.scope["scheme"], app.scope["http_version"]) == ("websocket", "ws", "1.1")
        assert (app.scope["path"], app.scope["raw_path"], app.scope["query_string"]) == (
            "/a path", b"/a%20path", b"x=1",
        )  # fmt: skip
        assert app.scope["subprotocols"] == ["a", "b"]
        assert (b"x-who", b"me") in app.scope["headers"]
        assert app.scope["client"][0] == "127.0.0.1"


@pytest.mark.parametrize("message", ["hé", "", b"\0\1", bytes(50_000), "x" * 90_000])
async def test_messages_pass_both_ways_as_they_are(message):
    app = Application()
    async with serving(app) as server, opens(server) as client:
        await client.send(message)
        assert await client.recv() == message


async def test_a_message_in_pieces_is_one_message():
    app = Application()
    async with serving(app) as server, opens(server) as client:
        await client.send(["one", "two", "three"])
        assert await client.recv() == "onetwothree"


async def test_nothing_is_compressed():
    app = Application()
    async with serving(app) as server, opens(server, compression="deflate") as client:
        assert client.protocol.extensions == []


async def test_a_ping_is_answered():
    app = Application()
    async with serving(app) as server, opens(server) as client:
        async with asyncio.timeout(PATIENCE_S):
            await (await client.ping())


@pytest.mark.parametrize("code, told", [(1000, 1000), (4321, 4321), (1012, 1005)])
async def test_a_client_that_leaves_is_told_of_by_its_code_unless_that_is_a_servers(code, told):
    app = Application()
    async with serving(app) as server, opens(server) as client:
        await client.close(code)
        await app.ended()
    assert app.heard == [{"type": "websocket.disconnect", "code": told, "reason": ""}]
    assert app.error is None


async def test_a_client_whose_connection_breaks_is_told_of():
    app = Application()
    async with serving(app) as server, opens(server) as client:
        client.transport.abort()
        await app.ended()
    assert app.heard == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


@pytest.mark.parametrize(
    "frames, code",
    [
        ([Frame(Opcode.BINARY, bytes(BYTES_MAX + 1))], 1009),
        ([Frame(Opcode.BINARY, bytes(60_000), fin=False), Frame(Opcode.CONT, bytes(60_000))], 1009),
        ([Frame(Opcode.TEXT, b"\xff")], 1007),
        ([Frame(Opcode.CONT, b"x")], 1002),
        ([Frame(Opcode.TEXT, b"x", fin=False), Frame(Opcode.TEXT, b"x")], 1002),
        ([b"\xc2\x81\0\0\0\0x"], 1002),
    ],
    ids=["too long", "too long in pieces", "no text", "piece of nothing", "message in a message", "extension"],
)
async def test_what_breaks_the_protocol_ends_the_connection(frames, code):
    app = Application()
    async with serving(app) as server, opens(server) as client:
        for frame in frames:
            client.transport.write(frame if isinstance(frame, bytes) else frame.serialize(mask=True))
        assert await closed(client) == code
        await app.ended()
    assert app.heard == [{"type": "websocket.disconnect", "code": code, "reason": ""}]


async def test_a_frame_without_a_mask_ends_the_connection():
    app = Application()
    async with serving(app) as server, opens(server) as client:
        client.transport.write(Frame(Opcode.TEXT, b"x").serialize(mask=False))
        assert await closed(client) == 1002


async def test_the_application_says_goodbye_with_a_code_and_a_reason():
    app = Application()

    async def serve():
        await app.send({"type": "websocket.accept"})
        await app.send({"type": "websocket.close", "code": 4001, "reason": "é" * 100})
        assert (await app.receive())["type"] == "websocket.disconnect"
        with pytest.raises(OSError):
            await app.send({"type": "websocket.send", "text": "too late"})

    app.serve = serve
    async with serving(app) as server, opens(server, subprotocols=None) as client:
        assert await closed(client) == 4001
        assert client.close_reason == "é" * 61
    assert app.error is None


async def test_an_application_that_does_not_accept_is_a_refusal():
    app = Application()

    async def serve():
        await app.send({"type": "websocket.close"})

    app.serve = serve
    async with serving(app) as server:
        with pytest.raises(InvalidStatus) as refused:
            await opens(server).__aenter__()
    assert refused.value.response.status_code == 403


async def test_an_application_may_refuse_in_its_own_words():
    app = Application()

    async def serve():
        headers = [(b"content-type", b"application/json")]
        await app.send({"type": "websocket.http.response.start", "status": 429, "headers": headers})
        await app.send({"type": "websocket.http.response.body", "body": b'{"a"', "more_body": True})
        await app.send({"type": "websocket.http.response.body", "body": b":1}"})

    app.serve = serve
    async with serving(app) as server:
        with pytest.raises(InvalidStatus) as refused:
            await opens(server).__aenter__()
    response = refused.value.response
    assert (response.status_code, response.headers["content-type"], response.body) == (
        429, "application/json", b'{"a":1}',
    )  # fmt: skip


@pytest.mark.parametrize("accepts, told", [(False, 500), (True, 1011)])
async def test_an_application_that_fails_ends_the_connection(accepts, told, caplog):
    app = Application()

    async def serve():
        if accepts:
            await app.send({"type": "websocket.accept"})
        raise RuntimeError("a fault")

    app.serve = serve
    async with serving(app) as server:
        if accepts:
            async with opens(server, subprotocols=None) as client:
                assert await closed(client) == told
        else:
            with pytest.raises(InvalidStatus) as refused:
                await opens(server).__aenter__()
            assert refused.value.response.status_code == told
    assert "a fault" in caplog.text


async def test_a_server_that_stops_says_so_to_both_sides():
    app = Application()
    async with serving(app) as server, opens(server) as client:
        await client.send("x")
        await client.recv()
        server.should_exit = True
        assert await closed(client) == 1012
        await app.ended()
    assert app.heard[-1] == {"type": "websocket.disconnect", "code": 1012, "reason": ""}


async def test_a_request_that_is_no_proper_handshake_is_refused():
    app = Application()
    async with serving(app) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(server.url.split(":")[2].split("/")[0]))
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
        async with asyncio.timeout(PATIENCE_S):
            assert (await reader.read()).startswith(b"HTTP/1.1 400")
        writer.close()
        await app.ended()
    assert app.heard == [{"type": "websocket.disconnect", "code": 1006, "reason": ""}]


async def test_a_client_that_sends_faster_than_is_read_is_read_later_and_loses_nothing():
    app, go = Application(), asyncio.Event()
    echo = app.serve

    async def serve():
        await app.send({"type": "websocket.accept"})
        await go.wait()
        app.send = lambda message: asyncio.sleep(0)
        await echo()

    app.serve = serve
    async with serving(app) as server, opens(server, subprotocols=None) as client:
        sending = asyncio.create_task(_sends(client, 2000))
        while not any(connection._is_paused for connection in server.server_state.connections):
            await asyncio.sleep(0.01)
        unread = max(len(connection._messages) for connection in server.server_state.connections)
        assert unread < 2000
        go.set()
        await sending
        await client.close()
        await app.ended()
    assert [message["bytes"][:4] for message in app.heard[:-1]] == [n.to_bytes(4) for n in range(2000)]


async def _sends(client, count):
    for number in range(count):
        await client.send(number.to_bytes(4) + bytes(5000))


async def test_an_application_that_sends_faster_than_the_client_reads_waits():
    app = Application()
    sent = []

    async def serve():
        await app.send({"type": "websocket.accept"})
        for _ in range(2000):
            await app.send({"type": "websocket.send", "bytes": bytes(50_000)})
            sent.append(None)
        await app.receive()

    app.serve = serve
    async with serving(app) as server, opens(server, subprotocols=None, max_size=None) as client:
        client.transport.pause_reading()
        before = -1
        while before != len(sent):
            before = len(sent)
            await asyncio.sleep(0.3)
        assert len(sent) < 2000
        client.transport.resume_reading()
        for _ in range(2000):
            await client.recv()
    assert len(sent) == 2000


async def test_connections_that_ended_are_forgotten():
    app = Application()
    async with serving(app) as server:
        async with opens(server) as client:
            await client.send("x")
            await client.recv()
            assert len(server.server_state.connections) == 1
        await app.ended()
        async with asyncio.timeout(PATIENCE_S):
            while server.server_state.connections or server.server_state.tasks:
                await asyncio.sleep(0.01)


class Taking(Application):
    """Takes what begins with T past ASGI, and answers it there; hears the rest, each once it `may_go_on`."""

    def __init__(self):
        super().__init__()
        self.taken = []
        self.may_go_on = asyncio.Event()
        self.may_go_on.set()

    def take(self, data, is_text):
        if not data.startswith(b"T"):
            return False
        self.taken.append((data, is_text))
        return self.direct["send"](data, is_text)

    async def serve(self):
        self.direct = self.scope["extensions"]["parley.direct"]
        self.direct["listen"](self.take)
        await self.send({"type": "websocket.accept"})
        while (message := await self.receive())["type"] != "websocket.disconnect":
            self.heard.append(message.get("text"))
            await self.send({"type": "websocket.send", "text": "heard"})
            await self.may_go_on.wait()


async def test_a_message_may_be_taken_and_answered_past_asgi():
    app = Taking()
    async with serving(app) as server, opens(server, subprotocols=None) as client:
        # Heard, and the next waited for.
        await client.send("x")
        assert await client.recv() == "heard"
        for message in ("Té", b"T\0"):
            await client.send(message)
            assert await client.recv() == message
        assert app.direct["has_room"]()
    assert (app.taken, app.heard) == ([("Té".encode(), True), (b"T\0", False)], ["x"])


async def test_no_message_overtakes_one_that_was_not_taken():
    app = Taking()
    app.may_go_on.clear()
    async with serving(app) as server, opens(server, subprotocols=None) as client:
        for message in ("1", "T2", "3"):
            await client.send(message)
        await client.recv()
        await (await client.ping())
        assert app.taken == []
        app.may_go_on.set()
        assert [await client.recv(), await client.recv()] == ["heard", "heard"]
    assert app.heard == ["1", "T2", "3"]


async def test_nothing_is_sent_past_asgi_to_a_client_that_has_gone():
    app = Taking()
    async with serving(app) as server, opens(server, subprotocols=None):
        pass
    await app.ended()
    assert not app.direct["has_room"]()
    assert not app.direct["send"](b"x", True)
