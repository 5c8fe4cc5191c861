"""The server's half of a call in the test's hands: it lets everybody in, says what it is told, and is lost at will.

The page, its words and its CAPTCHA are the running product's; no call of the product's is begun.
"""

import json
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, WebSocketRoute

from tests.browser.waiting import wait_until

SERVICE_RESTART = 1012
ADMITTED = {
    "id": "6f1c7f0e-3d0b-4a55-9a3e-2f6f5f0f7f11",
    "ticket": "a-ticket-of-the-test",
    "websocket_url": "/v1/voice/widget",
    "model_asked": "gpt-realtime-mini",
    "model_served": "gpt-realtime-mini",
    "model_reason": "",
    "expires_at": "2100-01-01T00:00:00Z",
}
GREETING = "Hello, this is the desk. How can I help?"


class Desk:
    """Answers every socket that the page opens, unless it is away."""

    def __init__(self, page: Page, **started: Any) -> None:
        self.page = page
        self.sockets: list[WebSocketRoute] = []
        self.heard: list[dict[str, Any]] = []
        self.audio_bytes = 0
        self.is_away = False
        self.answer_to_resume: dict[str, Any] | None = None
        self.started = {
            "type": "session.started",
            "version": 1,
            "session_id": ADMITTED["id"],
            "agent_name": "Rosewood Dental",
            "model_asked": "gpt-realtime-mini",
            "model_served": "gpt-realtime-mini",
            "voice": True,
            "max_duration_ms": 600_000,
            "shows_prices": True,
            "resume_token": "a-token-of-the-test",
            "resume_within_ms": 30_000,
        } | started
        page.route("**/v1/voice/sessions", lambda route: route.fulfill(status=201, json=ADMITTED))
        page.route_web_socket("**/v1/voice/widget", self._opened)

    def say(self, kind: str, **fields: Any) -> None:
        self.sockets[-1].send(json.dumps({"type": kind, **fields}))

    def caption(self, speaker: str, item_id: str, text: str) -> None:
        self.say("caption.final", speaker=speaker, item_id=item_id, text=text, interrupted=False)

    def lose(self) -> None:
        """End the socket as a server does that is stopped, and answer no other one until `is_away` is over."""
        self.is_away = True
        self.sockets[-1].close(code=SERVICE_RESTART)

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.heard if message["type"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Return the last message of a kind once there are `count` of them."""
        self.wait_until(lambda: len(self.all(kind)) >= count)
        return self.all(kind)[-1]

    def wait_until(self, condition: Callable[[], Any]) -> None:
        """Wait for what the page does on its socket: that is only heard of while the page is talked to."""
        wait_until(lambda: self.page.evaluate("null") or condition())

    def _opened(self, socket: WebSocketRoute) -> None:
        self.sockets.append(socket)
        if self.is_away:
            socket.close(code=SERVICE_RESTART)
        else:
            socket.on_message(lambda data: self._hear(socket, data))

    def _hear(self, socket: WebSocketRoute, data: str | bytes) -> None:
        if isinstance(data, bytes):
            self.audio_bytes += len(data)
            return
        message = json.loads(data)
        self.heard.append(message)
        if message["type"] == "session.start":
            self._greet(socket, message["voice"])
        elif message["type"] == "session.resume" and self.answer_to_resume:
            socket.send(json.dumps(self.answer_to_resume))
        elif message["type"] == "session.end":
            self.end("caller_hung_up")

    def _greet(self, socket: WebSocketRoute, voice: bool) -> None:
        socket.send(json.dumps(self.started | {"voice": voice and self.started["voice"]}))
        self.say("caption.final", speaker="agent", item_id="greeting", text=GREETING, interrupted=False)
        self.say("state.changed", state="listening")

    def resumed(self, **fields: Any) -> None:
        """Let the next socket resume the call."""
        self.is_away = False
        self.answer_to_resume = {
            "type": "session.resumed",
            "session_id": self.started["session_id"],
            "elapsed_ms": 65_000,
            "used_micro": 2_400_000,
            "voice": True,
            "model_served": "gpt-realtime-mini",
            "state": "listening",
        } | fields

    def end(self, reason: str) -> None:
        self.say("session.ended", **ended(reason))


def ended(reason: str) -> dict[str, Any]:
    line = {"label": "Speech heard", "quantity": 1200, "unit": "tokens", "amount_micro": 2_400_000}
    return {
        "reason": reason,
        "outcome": "given_up",
        "duration_ms": 65_000,
        "receipt": {"lines": [line], "total_micro": 2_400_000, "uncollected_micro": 0},
        "rating_token": "rt",
    }
