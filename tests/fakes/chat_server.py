"""A chat completions server on loopback that answers by a script; every request it got is kept."""

import json
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

USAGE = {"prompt_tokens": 1000, "completion_tokens": 200, "prompt_tokens_details": {"cached_tokens": 0}}


def valid_answer(**changes: Any) -> dict[str, Any]:
    """A note as a good model writes it, for an agent that collects a name."""
    return {
        "summary": "Dana Scully called to book an appointment.",
        "outcome": "task_completed",
        "sentiment": "positive",
        "action_items": [{"text": "Prepare the room.", "turn": 1}],
        "follow_up_date": None,
        "fields": {"name": "Dana Scully"},
        "field_turns": {"name": 1},
        **changes,
    }


@dataclass
class Reply:
    """One answer: a status with a body, sent as it is when it is bytes."""

    body: Any = None
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    drips: bool = False
    hangs_up: bool = False


def answering(content: Any, *, finish_reason: str = "stop", usage: Any = None, **message: Any) -> Reply:
    """The envelope of an answer whose content is `content`, as JSON unless it is text."""
    text = content if isinstance(content, str | None) else json.dumps(content)
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", "content": text, **message}}
    return Reply(
        {
            "id": "chatcmpl-1",
            "model": "gpt-4.1-2025-04-14",
            "choices": [choice],
            "usage": USAGE if usage is None else usage,
        },
        headers={"x-request-id": "req_1"},
    )


def refusing(status: int, code: str = "", **headers: str) -> Reply:
    return Reply(
        {"error": {"message": "no", "code": code}}, status, {k.replace("_", "-"): v for k, v in headers.items()}
    )


class ChatServer:
    """Use as `with ChatServer([...]) as server`; the last reply of the script is given for ever."""

    def __init__(self, script: Iterable[Reply]) -> None:
        self._script = list(script)
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str | None] = []

    def __enter__(self) -> "ChatServer":
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                fake.requests.append(json.loads(body))
                fake.keys.append(self.headers["authorization"])
                fake._answer(self)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}/v1"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def _answer(self, handler: BaseHTTPRequestHandler) -> None:
        reply = self._script.pop(0) if len(self._script) > 1 else self._script[0]
        if reply.hangs_up:
            handler.close_connection = True
            return
        body = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
        handler.send_response(reply.status)
        for name, value in {"content-type": "application/json", **reply.headers}.items():
            handler.send_header(name, value)
        handler.send_header("content-length", str(len(body)))
        handler.end_headers()
        try:
            self._send(handler, body, reply.drips)
        except OSError:
            handler.close_connection = True

    def _send(self, handler: BaseHTTPRequestHandler, body: bytes, drips: bool) -> None:
        if not drips:
            handler.wfile.write(body)
            return
        for byte in body:
            handler.wfile.write(bytes([byte]))
            handler.wfile.flush()
            time.sleep(0.05)
