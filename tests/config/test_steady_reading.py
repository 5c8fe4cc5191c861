import asyncio

from picows import WSListener, WSMsgType, ws_connect, ws_create_server

from config.steady_reading import read_steadily

PATIENCE_S = 20
BUFFER_BYTES = 4096


class Greeting(WSListener):
    """A server's side that sends messages, all in one go, to whoever says something."""

    def __init__(self, messages):
        self.messages = messages

    def on_ws_frame(self, transport, frame):
        for message in self.messages:
            transport.send(WSMsgType.BINARY, message)


class Reader(WSListener):
    def __init__(self, expected):
        self.heard, self.expected, self.has_all = [], expected, asyncio.Event()

    def on_ws_connected(self, transport):
        read_steadily(transport)

    def on_ws_frame(self, transport, frame):
        self.heard.append(frame.get_payload_as_bytes())
        if len(self.heard) == self.expected:
            self.has_all.set()


async def read_all(messages):
    """Return what came of the messages, and how much room the connection has for the next ones."""
    server = await ws_create_server(lambda _: Greeting(messages), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with asyncio.timeout(PATIENCE_S), server:
        transport, reader = await ws_connect(
            lambda: Reader(len(messages)), f"ws://127.0.0.1:{port}", read_buffer_init_size=BUFFER_BYTES
        )
        transport.send(WSMsgType.BINARY, b"go on")
        await reader.has_all.wait()
        room_bytes = len(transport.underlying_transport.get_protocol().get_buffer(-1))
        transport.disconnect()
        await transport.wait_disconnected()
    return reader.heard, room_bytes


async def test_many_frames_at_once_leave_the_buffer_as_it_was():
    messages = [bytes([number]) * 1300 for number in range(200)]
    heard, room_bytes = await read_all(messages)
    assert heard == messages
    assert room_bytes < BUFFER_BYTES


async def test_a_frame_that_is_larger_than_the_buffer_is_read_all_the_same():
    messages = [b"s", b"l" * 300_000, b"t" * 1300]
    heard, room_bytes = await read_all(messages)
    assert heard == messages
    assert room_bytes > BUFFER_BYTES
