"""Which websocket address leads where."""

from typing import Any

from django.urls import path

from voice.gateway.widget_consumer import WidgetConsumer

websocket_urlpatterns: list[Any] = [
    path("v1/voice/widget", WidgetConsumer.as_asgi()),
]
