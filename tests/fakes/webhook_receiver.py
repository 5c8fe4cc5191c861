"""A customer's HTTP server on loopback: it answers by a script, and can be down, slow, refusing and rude in turn."""

import contextlib
import gzip
import json
import socketserver
import ssl
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any


@dataclass(frozen=True)
class Answer:
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"


class Act(Enum):
    """What it does instead of answering."""

    DROP = "drop"  # hangs up after it has read the request
    SILENCE = "silence"  # reads the request, then says nothing
    GARBAGE = "garbage"  # says what is no HTTP
    DRIP = "drip"  # sends its body a byte at a time, for ever
    HUGE = "huge"  # sends a body without end, as fast as it is read
    BOMB = "bomb"  # sends 20 kB of gzip that are 20 MB


@dataclass(frozen=True)
class Received:
    method: str
    path: str
    headers: Mapping[str, str]  # lower-case names
    body: bytes
    answered: Answer | Act

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script = Sequence[Answer | Act]


class WebhookReceiver:
    """Use as `with WebhookReceiver([Act.DROP, Answer(429, {"Retry-After": "2"})]) as receiver`, then post to `.url`.

    The script is used up, one entry a request; after it every request gets what `respond` says, or a 200. It runs in
    threads of its own, so synchronous and asynchronous code can use it alike. `go_down` refuses connections on the same
    port until `come_up`.
    """

    def __init__(
        self,
        script: Script = (),
        respond: Callable[[Received], Answer] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._script, self._respond, self._tls = list(script), respond, tls
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._server: socketserver.ThreadingTCPServer | None = None
        self._port = 0
        self.received: list[Received] = []

    def __enter__(self) -> "WebhookReceiver":
        self.come_up()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_down()

    @property
    def url(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}/hook"

    @property
    def port(self) -> int:
        return self._port

    @property
    def accepted(self) -> list[Received]:
        """What it took, as its sender was told."""
        return [one for one in self.received if isinstance(one.answered, Answer) and 200 <= one.answered.status < 300]

    def come_up(self) -> None:
        self._released.clear()
        self._server = _Server(("127.0.0.1", self._port), self._handler())
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def go_down(self) -> None:
        self._released.set()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
        self._server = None

    def _handler(self) -> type[socketserver.StreamRequestHandler]:
        receiver = self

        class Handler(socketserver.StreamRequestHandler):
            def setup(self) -> None:
                if receiver._tls:
                    self.request = receiver._tls.wrap_socket(self.request, server_side=True)
                super().setup()

            def handle(self) -> None:
                request = _read(self.rfile)
                if request is None:
                    return
                answer = receiver._take(*request)
                # A client that has had enough hangs up, and is right to.
                with contextlib.suppress(OSError):
                    receiver._give(answer, self.wfile)

            def finish(self) -> None:
                with contextlib.suppress(OSError):
                    super().finish()
                if receiver._tls:
                    self.request.close()

        return Handler

    def _take(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer | Act:
        with self._lock:
            one = Received(method, path, headers, body, Answer())
            scripted = self._script.pop(0) if self._script else None
            answer = scripted or (self._respond(one) if self._respond else Answer())
            self.received.append(Received(method, path, headers, body, answer))
        return answer

    def _give(self, answer: Answer | Act, out: Any) -> None:
        match answer:
            case Answer():
                out.write(
                    _head(answer.status, {**answer.headers, "Content-Length": str(len(answer.body))}) + answer.body
                )
            case Act.SILENCE:
                self._released.wait()
            case Act.GARBAGE:
                out.write(b"SSH-2.0-not what you think\r\n\r\n")
            case Act.DRIP:
                out.write(_head(200, {"Content-Length": "1000000"}))
                while not self._released.wait(0.02):
                    out.write(b"x")
            case Act.HUGE:
                out.write(_head(200, {}))
                while not self._released.is_set():
                    out.write(b"x" * 65_536)
            case Act.BOMB:
                # Its head first: who waits for that only does not wait until the rest is made.
                out.write(_head(200, {"Content-Encoding": "gzip"}))
                out.write(gzip.compress(b"x" * 20_000_000))
            case Act.DROP:
                pass


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that breaks off in the handshake is no news."""


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    return "\r\n".join([*lines, "", ""]).encode()


def _read(stream: Any) -> tuple[str, str, dict[str, str], bytes] | None:
    first = stream.readline().decode("latin-1").split()
    if len(first) != 3:
        return None
    headers = {}
    while line := stream.readline().decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip()
    return first[0], first[1], headers, stream.read(int(headers.get("content-length", 0)))
