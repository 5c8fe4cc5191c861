"""A provider's HTTP endpoints on loopback, answering by a script; every request it got is kept."""

import json
import re
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHAT_USAGE = {
    "prompt_tokens": 100,
    "completion_tokens": 20,
    "total_tokens": 120,
    "prompt_tokens_details": {"cached_tokens": 40},
}


@dataclass
class Answer:
    """One answer. `pieces` are sent one by one; `holds` keeps the connection open until the client hangs up."""

    pieces: Iterable[bytes] = ()
    status: int = 200
    content_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict)
    holds: bool = False
    drops: bool = False


def completion(text: str = "Hello.", usage: Any = CHAT_USAGE) -> Answer:
    message = {"role": "assistant", "content": text}
    choice = {"index": 0, "finish_reason": "stop", "message": message}
    body = {"id": "chatcmpl-1", "object": "chat.completion", "model": "gpt-4.1-2025-04-14", "choices": [choice]}
    return Answer([json.dumps({**body, "usage": usage}).encode()])


def streamed(*texts: str, usage: Any = CHAT_USAGE, **options: Any) -> Answer:
    """Chat chunks, then the chunk with the usage and [DONE], unless `usage` is None."""
    chunks: list[dict[str, Any]] = [
        {"id": "c", "choices": [{"index": 0, "delta": {"content": text}}], "usage": None} for text in texts
    ]
    pieces = [b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks]
    if usage is not None:
        pieces += [b"data: " + json.dumps({"id": "c", "choices": [], "usage": usage}).encode() + b"\n\n"]
        pieces += [b"data: [DONE]\n\n"]
    return Answer(pieces, content_type="text/event-stream", **options)


def refusal(status: int, message: str = "no", **error: Any) -> Answer:
    return Answer([json.dumps({"error": {"message": message, **error}}).encode()], status=status)


class ProviderServer:
    """Use as `with ProviderServer(...) as server`; `server.url` ends in /v1. Answers are used up in order."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.hung_up = threading.Event()

    def __enter__(self) -> "ProviderServer":
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def json_of(self, index: int = 0) -> Any:
        return json.loads(self.requests[index][2])

    def form_of(self, index: int = 0) -> dict[str, bytes]:
        """The parts of a multipart request by name."""
        _, headers, body = self.requests[index]
        boundary = headers["content-type"].partition("boundary=")[2].encode()
        parts = {}
        for part in body.split(b"--" + boundary)[1:-1]:
            head, _, content = part.strip(b"\r\n").partition(b"\r\n\r\n")
            name = re.search(rb'name="([^"]*)"', head)
            assert name is not None
            parts[name[1].decode()] = content
        return parts


def _handler_of(server: ProviderServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or self._chunks()
            headers = {name.lower(): value for name, value in self.headers.items()}
            server.requests.append((self.path.removeprefix("/v1"), headers, body))
            answer = server.answers.pop(0)
            self.close_connection = True
            if answer.drops:
                return
            self.send_response(answer.status)
            for name, value in {"Content-Type": answer.content_type, **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            try:
                for piece in answer.pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()
                if answer.holds:
                    self.connection.settimeout(10)
                    self.connection.recv(1)
            except OSError:
                pass
            server.hung_up.set()

        def _chunks(self) -> bytes:
            if self.headers.get("Transfer-Encoding") != "chunked":
                return b""
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            return body

        def log_message(self, format: str, *args: Any) -> None:
            pass

    return Handler
