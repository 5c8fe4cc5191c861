"""An ASGI application for a process of its own: echoes on websockets, and tells what it was asked and what it heard."""

import asyncio
import json

_goodbyes = []


async def application(scope, receive, send):
    await receive()
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": json.dumps(_goodbyes).encode()})
        return
    if scope["path"] == "/closed":
        await send({"type": "websocket.close"})
        return
    await send({"type": "websocket.accept", "subprotocol": (scope["subprotocols"] or [None])[0]})
    while (message := await receive())["type"] != "websocket.disconnect":
        if message.get("text") == "scope":
            asked = {name: scope.get(name) for name in ("path", "root_path", "client", "scheme")}
            message = {"text": json.dumps(asked | {"query": scope["query_string"].decode()})}
        await send({**message, "type": "websocket.send"})
    _goodbyes.append(message["code"])
    if message["code"] == 1012:
        # As a call that is being settled.
        await asyncio.sleep(0.2)
        print("settled", flush=True)
