"""uvicorn's websockets on picows: `uvicorn --ws config.picows_websocket:PicowsWebSocket`.

Frames are read and written by compiled code, straight from and to the socket, and a frame from a browser becomes one
ASGI message without a task or a timer of its own. uvicorn's own protocols spend several times as much on a frame, and a
call has a hundred a second. No compression: what flows is audio.

An application that can take a message at once, without waiting for anything, may go without ASGI for it: see `_listen`,
`_send_now` and `_has_room`, which it finds in the scope's extensions as `parley.direct`.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import unquote

from picows import (
    WSAutoPingStrategy,
    WSCloseCode,
    WSFrame,
    WSListener,
    WSMsgType,
    WSProtocolError,
    WSTransport,
    WSUpgradeRequest,
    WSUpgradeResponse,
    WSUpgradeResponseWithListener,
)
from picows.picows import WSProtocol  # type: ignore[attr-defined]
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.utils import ClientDisconnected, get_local_addr, get_remote_addr, is_ssl
from uvicorn.server import ServerState

from config import stopping
from config.steady_reading import read_steadily

log = logging.getLogger("uvicorn.error")
# picows logs what callers do wrong as errors, and handshakes, secrets included, at its lowest level. An adapter, for it
# would make a logger for every connection out of a logger.
_picows_log = logging.LoggerAdapter(logging.getLogger("picows.asgi"))
_picows_log.logger.setLevel(logging.CRITICAL)

# As much as a frame of speech takes; a larger frame makes it grow for good.
_READ_BUFFER_BYTES = 4096
# Before the application has accepted, nothing is expected; a client that speaks all the same is heard a little.
_EARLY_BYTES_MAX = 64 * 1024
# An application that does not read stops the socket being read, until it has caught up.
_UNREAD_MAX, _UNREAD_LOW = 64, 8
# How long a client may take to answer our goodbye.
_CLOSE_WITHIN_S = 10.0
# Codes that only servers have a reason to send: from a client they could pass for our own.
_SERVERS_CODES = {1012, 1013}

# To look a member of this enumeration up takes as long as to copy a frame's payload.
_TEXT, _BINARY = WSMsgType.TEXT, WSMsgType.BINARY
_DATA = (_TEXT, _BINARY)

# Is offered the payload of each message and whether it is text, perhaps of a wrong encoding; says whether it took it.
Take = Callable[[bytes, bool], bool]


class PicowsWebSocket(WSListener, asyncio.Protocol):
    """One connection, made by uvicorn with the request that asked for it; then picows talks to the socket."""

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], _loop: Any = None) -> None:
        self._config, self._server_state, self._app_state = config, server_state, app_state
        self._loop = _loop or asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._socket: WSTransport | None = None
        # The same, while it takes at once what it is given.
        self._clear: WSTransport | None = None
        self._request = b""
        self._early = b""
        self._status: int | None = None
        self._messages: list[dict[str, Any]] = []
        self._reader: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._is_paused = False
        self._take: Take | None = None
        self._pieces: list[bytes] = []
        self._pieces_type = WSMsgType.CONTINUATION
        # Whether the application has been told, or has told us, that it is over; then, whether the socket is gone.
        self._is_over = False
        self._is_gone = False
        self._close_timer: asyncio.TimerHandle | None = None

    # Before the application accepts: uvicorn's side.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._server_state.connections.add(cast(Any, self))
        # uvicorn's reader of the request, which reads no more, and its parser know each other: three kilobytes, the key
        # among them, that would wait for the garbage collector.
        asked_by = self._transport.get_protocol()
        if isinstance(asked_by, HttpToolsProtocol):
            del asked_by.parser

    def data_received(self, data: bytes) -> None:
        if self._request:
            self._early += data
            if len(self._early) > _EARLY_BYTES_MAX:
                self._raw.abort()
            return
        self._request = data
        self._put({"type": "websocket.connect"})
        task = self._loop.create_task(self._run(self._scope()))
        task.add_done_callback(self._server_state.tasks.discard)
        self._server_state.tasks.add(task)

    def connection_lost(self, error: Exception | None) -> None:
        self._gone(1006)

    def shutdown(self) -> None:
        """Say goodbye because the server stops: now, or when calls have had the time they are given (stopping.py).

        A call that can go on elsewhere ends by itself, sooner.
        """
        if self._socket is not None and not self._is_over and (left_s := stopping.left_s()):
            self._loop.call_later(left_s, self._restart)
        else:
            self._restart()

    def _restart(self) -> None:
        if self._is_gone:
            return
        if self._is_over:
            self._raw.close()
        elif self._socket is not None:
            self._over(1012)
            self._say_goodbye(1012, "")
            self._raw.close()
        else:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE)

    @property
    def _raw(self) -> asyncio.Transport:
        assert self._transport is not None
        return self._transport

    def _scope(self) -> dict[str, Any]:
        request_line, *lines = self._request.split(b"\r\n\r\n", 1)[0].split(b"\r\n")
        raw_path, _, query = request_line.split(b" ")[1].partition(b"?")
        headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in lines)]
        asked = (value.decode("latin-1") for name, value in headers if name == b"sec-websocket-protocol")
        root_path = self._config.root_path
        return {
            "type": "websocket",
            "asgi": {"version": self._config.asgi_version, "spec_version": "2.4"},
            "http_version": "1.1",
            "scheme": "wss" if is_ssl(self._raw) else "ws",
            "server": get_local_addr(self._raw),
            "client": get_remote_addr(self._raw),
            "root_path": root_path,
            "path": root_path + unquote(raw_path.decode("ascii")),
            "raw_path": root_path.encode("ascii") + raw_path,
            "query_string": query,
            "headers": headers,
            "subprotocols": [token.strip() for value in asked for token in value.split(",")],
            "state": self._app_state.copy(),
            "extensions": {
                "websocket.http.response": {},
                "parley.direct": {"listen": self._listen, "send": self._send_now, "has_room": self._has_room},
            },
        }

    # The application's side.

    async def _run(self, scope: dict[str, Any]) -> None:
        try:
            await self._config.loaded_app(cast(Any, scope), cast(Any, self._receive), cast(Any, self._send))
        except ClientDisconnected:
            pass
        except BaseException as error:
            if not isinstance(error, asyncio.CancelledError):
                log.exception("Exception in ASGI application\n")
            self._finish(1011)
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._finish(1000)

    def _finish(self, code: int) -> None:
        """Leave nothing open that the application left open."""
        if self._is_gone or self._close_timer is not None:
            return
        if self._socket is not None:
            self._say_goodbye(code, "")
            self._raw.close()
        elif self._status is None:
            self._refuse(HTTPStatus.INTERNAL_SERVER_ERROR)

    async def _receive(self) -> dict[str, Any]:
        while not self._messages:
            self._reader = self._loop.create_future()
            await self._reader
        message = self._messages.pop(0)
        if self._is_paused and len(self._messages) <= _UNREAD_LOW and not self._is_gone:
            self._is_paused = False
            self._raw.resume_reading()
        return message

    def _listen(self, take: Take | None) -> None:
        """Offer every message of one piece to `take` first that comes while the application waits: it must not raise.

        So an application that is busy, or has messages left to receive, gets the next in their order.
        """
        self._take = take

    def _send_now(self, data: bytes, is_text: bool) -> bool:
        """Send a message of UTF-8 or of bytes; False where that has to wait, or nobody is there any more."""
        clear = self._clear
        if clear is None:
            return False
        clear.send(_TEXT if is_text else _BINARY, data)
        return True

    def _has_room(self) -> bool:
        """Say whether `_send_now` would send."""
        return self._clear is not None

    async def _send(self, message: dict[str, Any]) -> None:
        if self._writable is not None:
            # Shared by all who wait, one of whom may be cancelled.
            await asyncio.shield(self._writable)
        kind = message["type"]
        if kind == "websocket.send" and self._socket is not None and not self._is_over:
            data = message.get("bytes")
            if data is None:
                self._socket.send(_TEXT, message["text"].encode())
            else:
                self._socket.send(_BINARY, data)
        elif self._is_over or self._is_gone:
            raise ClientDisconnected
        elif kind == "websocket.close" and self._socket is not None:
            self._over(message.get("code", 1000))
            self._say_goodbye(message.get("code", 1000), message.get("reason") or "")
            self._close_timer = self._loop.call_later(_CLOSE_WITHIN_S, self._raw.close)
        elif self._socket is None:
            self._answer(message)
        else:
            raise RuntimeError(f"'{kind}' after 'websocket.accept'")

    def _answer(self, message: dict[str, Any]) -> None:
        """Answer the request for a websocket as the application says."""
        match message["type"]:
            case "websocket.accept" if self._status is None:
                self._accept(message.get("subprotocol"), message.get("headers", ()))
            case "websocket.close" if self._status is None:
                self._refuse(HTTPStatus.FORBIDDEN)
            case "websocket.http.response.start" if self._status is None:
                self._status, self._headers, self._body = message["status"], list(message.get("headers", ())), b""
            case "websocket.http.response.body" if self._status is not None:
                self._body += message.get("body", b"")
                if not message.get("more_body", False):
                    self._refuse(HTTPStatus(self._status), self._headers, self._body)
            case kind:
                raise RuntimeError(f"'{kind}' is no answer to 'websocket.connect'")

    def _accept(self, subprotocol: str | None, headers: Iterable[tuple[bytes, bytes]]) -> None:
        answers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
        answers += [("Sec-WebSocket-Protocol", subprotocol)] if subprotocol else []

        def answer(_: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(answers), self)

        interval_s, timeout_s = self._config.ws_ping_interval, self._config.ws_ping_timeout
        protocol = WSProtocol(
            None,
            None,
            False,
            answer,
            _picows_log,
            True,
            None,
            bool(interval_s),
            interval_s or 0,
            min(timeout_s or 0, interval_s or 0),
            WSAutoPingStrategy.PING_WHEN_IDLE,
            True,
            self._config.ws_max_size,
            None,
            _READ_BUFFER_BYTES,
        )
        self._status = HTTPStatus.SWITCHING_PROTOCOLS
        self._raw.set_protocol(protocol)
        protocol.connection_made(self._raw)
        _feed(protocol, self._request + self._early)
        self._request = self._early = b""
        if self._socket is None:
            # picows has refused what it was asked (no key, an old version), hangs up, and will not come back to us.
            self._gone(1006)

    def _refuse(self, status: HTTPStatus, headers: Iterable[tuple[bytes, bytes]] = (), body: bytes = b"") -> None:
        lines = [b"HTTP/1.1 %d %s" % (status.value, status.phrase.encode())]
        lines += [name + b": " + value for name, value in headers]
        lines += [b"content-length: %d" % len(body), b"connection: close", b"", body]
        self._status = status
        self._over(1006)
        self._raw.write(b"\r\n".join(lines))
        self._raw.close()

    def _say_goodbye(self, code: int, reason: str) -> None:
        if self._socket is not None:
            # A reason has 123 bytes, and picows wants them whole characters.
            self._socket.send_close(cast(WSCloseCode, code), reason.encode()[:123].decode(errors="ignore").encode())

    # The socket's side: picows.

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._socket = self._clear = transport
        read_steadily(transport)
        # The scope has what they said, and picows would keep them, keys included, as long as the connection.
        transport.request.headers.clear()

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        kind = frame.msg_type
        if self._is_over or transport.is_close_frame_sent:
            # Past a goodbye of ours, or of picows, which delivers what it objected to, only the client's matters.
            if kind == WSMsgType.CLOSE:
                self._raw.close()
        elif frame.rsv1 or frame.rsv2 or frame.rsv3:
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "an extension that was not agreed on")
        elif kind in _DATA and frame.fin and not self._pieces:
            data, is_text = frame.get_payload_as_bytes(), kind == _TEXT
            take, reader = self._take, self._reader
            if take is None or reader is None or reader.done() or not take(data, is_text):
                self._on_message(data, is_text)
        elif kind == WSMsgType.CLOSE:
            self._on_close(frame.get_payload_as_bytes())
        elif kind in _DATA or kind == WSMsgType.CONTINUATION:
            self._on_piece(kind, frame)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        sent = transport.close_handshake.sent if transport.close_handshake else None
        # What picows itself objected to it has told the client, and tells us only now.
        self._gone(cast(int, sent.code) if sent else 1006)

    def pause_writing(self) -> None:
        self._clear = None
        if self._writable is None:
            self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._clear = None if self._is_over else self._socket
        if self._writable is not None:
            self._writable.set_result(None)
            self._writable = None

    def _on_piece(self, kind: WSMsgType, frame: WSFrame) -> None:
        if (kind == WSMsgType.CONTINUATION) != bool(self._pieces):
            raise WSProtocolError(WSCloseCode.PROTOCOL_ERROR, "a message within a message")
        if not self._pieces:
            self._pieces_type = kind
        self._pieces.append(frame.get_payload_as_bytes())
        if len(self._pieces) > 1 and sum(map(len, self._pieces)) > self._config.ws_max_size:
            raise WSProtocolError(WSCloseCode.MESSAGE_TOO_BIG, "too long")
        if not frame.fin:
            return
        data = b"".join(self._pieces)
        self._pieces.clear()
        self._on_message(data, self._pieces_type == _TEXT)

    def _on_message(self, data: bytes, is_text: bool) -> None:
        if not is_text:
            self._put({"type": "websocket.receive", "bytes": data})
            return
        try:
            self._put({"type": "websocket.receive", "text": data.decode()})
        except UnicodeDecodeError:
            raise WSProtocolError(WSCloseCode.INVALID_TEXT, "no text") from None

    def _on_close(self, payload: bytes) -> None:
        code = int.from_bytes(payload[:2]) or 1005
        self._over(1005 if code in _SERVERS_CODES else code, payload[2:].decode(errors="replace"))
        self._say_goodbye(1000 if code == 1005 else code, "")
        self._raw.close()

    def _put(self, message: dict[str, Any]) -> None:
        self._messages.append(message)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
        if len(self._messages) >= _UNREAD_MAX and not self._is_paused and not self._is_over:
            self._is_paused = True
            self._raw.pause_reading()

    def _over(self, code: int, reason: str = "") -> None:
        if self._is_over:
            return
        self._is_over, self._clear = True, None
        self._put({"type": "websocket.disconnect", "code": code, "reason": reason})
        if self._is_paused and not self._is_gone:
            # Their goodbye is still to be read.
            self._is_paused = False
            self._raw.resume_reading()

    def _gone(self, code: int) -> None:
        self._is_gone = True
        self._over(code)
        self._server_state.connections.discard(cast(Any, self))
        if self._close_timer is not None:
            self._close_timer.cancel()
        self.resume_writing()
        # picows and this object know each other, and so may the application: let go, so that none of them waits for the
        # garbage collector.
        self._socket = self._take = None


def _feed(protocol: Any, data: bytes) -> None:
    """Hand bytes to a protocol that reads into buffers of its own."""
    while data:
        buffer = protocol.get_buffer(len(data))
        size = min(len(buffer), len(data))
        buffer[:size] = data[:size]
        protocol.buffer_updated(size)
        data = data[size:]
