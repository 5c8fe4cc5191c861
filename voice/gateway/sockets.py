"""What a server hands to whoever takes a websocket: ASGI's receive and send, and perhaps a way past them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

Receive = Callable[[], Awaitable[Any]]
Send = Callable[[Any], Awaitable[None]]
# `listen`, `send` and `has_room` of config/picows_websocket.py: what needs no task to be woken.
PastAsgi = Mapping[str, Callable[..., Any]]


def past_asgi(scope: Any) -> PastAsgi | None:
    """Return the server's way past ASGI, None where it has none."""
    return (scope.get("extensions") or {}).get("parley.direct")
