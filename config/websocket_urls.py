"""Which websocket address leads where."""

import re
from collections.abc import Awaitable, Callable
from typing import Any

from voice.gateway.realtime_consumer import RealtimeConsumer, voice_sessions
from voice.gateway.widget_consumer import WidgetConsumer

_Application = Callable[[Any, Any, Any], Awaitable[None]]


async def nowhere(_scope: Any, receive: Any, send: Any) -> None:
    """Turn away a websocket for an address that is none."""
    await receive()  # websocket.connect
    await send({"type": "websocket.close"})


_ADDRESSES: list[tuple[re.Pattern[str], _Application]] = [
    (re.compile(r"v1/voice/widget"), WidgetConsumer()),
    (re.compile(r"v1/voice/sessions/?"), voice_sessions),
    # Where clients look for it by themselves: OpenAI's address, the bare one, and that of Azure's GA endpoint.
    (re.compile(r"(?:v1/|openai/v1/)?realtime/?"), RealtimeConsumer()),
]


def websockets(scope: Any, receive: Any, send: Any) -> Awaitable[None]:
    """Have a websocket served by whoever has its address.

    Not by Channels' URLRouter: every call would keep its frames and its copy of the scope for as long as it lasts.
    """
    path = scope["path"].removeprefix(scope.get("root_path", "")).lstrip("/")
    serve = next((serve for address, serve in _ADDRESSES if address.fullmatch(path)), nowhere)
    return serve(scope, receive, send)
