"""Which websocket address leads where."""

from typing import Any, cast

from django.urls import path, re_path

from voice.gateway.realtime_consumer import RealtimeConsumer, VoiceSessionsConsumer
from voice.gateway.widget_consumer import WidgetConsumer


async def nowhere(_scope: Any, receive: Any, send: Any) -> None:
    """Turn away a websocket for an address that is none; Channels alone would call it a fault of ours."""
    await receive()  # websocket.connect
    await send({"type": "websocket.close"})


# path() is typed for views only.
_widget = cast(Any, WidgetConsumer.as_asgi())
_realtime = cast(Any, RealtimeConsumer.as_asgi())
_voice_sessions = cast(Any, VoiceSessionsConsumer.as_asgi())

websocket_urlpatterns: list[Any] = [
    path("v1/voice/widget", _widget),
    re_path(r"^v1/voice/sessions/?$", _voice_sessions),
    # Where clients look for it by themselves: OpenAI's address, the bare one, and that of Azure's GA endpoint.
    re_path(r"^(?:v1/|openai/v1/)?realtime/?$", _realtime),
    re_path(r"", cast(Any, nowhere)),
]
