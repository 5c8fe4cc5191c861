"""The ASGI application: HTTP by Django, websockets by Channels; the same one under Daphne and uvicorn."""

import os
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup(set_prefix=False)  # first: it loads the apps that the imports below need

from channels.routing import ProtocolTypeRouter  # noqa: E402

from config import stopping, web_process  # noqa: E402
from config.django_asgi import Handler  # noqa: E402
from config.streaming_asgi import PATHS, StreamingHandler  # noqa: E402
from config.websocket_urls import websockets  # noqa: E402

usual, streaming = Handler(), StreamingHandler()


async def http(scope: Any, receive: Any, send: Any) -> None:
    await (streaming if scope["path"] in PATHS else usual)(scope, receive, send)


async def lifespan(scope: Any, receive: Any, send: Any) -> None:
    # Daphne has no such thing, and hears of it in config/daphne_websockets.py.
    while (await receive())["type"] == "lifespan.startup":
        stopping.heed_signals()
        await send({"type": "lifespan.startup.complete"})
    await send({"type": "lifespan.shutdown.complete"})


application = ProtocolTypeRouter(
    {"http": http, "websocket": websockets, "lifespan": lifespan},
)
web_process.prepare()
