"""Which websocket address leads where."""

from typing import Any, cast

from django.urls import path

from voice.gateway.widget_consumer import WidgetConsumer

websocket_urlpatterns: list[Any] = [
    path("v1/voice/widget", cast(Any, WidgetConsumer.as_asgi())),  # path() is typed for views only
]
