"""What Django's handler keeps of a request that was answered."""

import asyncio
import gc
import weakref

from django.http import HttpResponse

from config.django_asgi import Handler

SCOPE = {"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []}


class Noting(Handler):
    """Answers whatever is asked; `requests` are those there were, as long as somebody has them."""

    def __init__(self):
        super().__init__()
        self.requests = []

    async def get_response_async(self, request):
        self.requests.append(weakref.ref(request))
        return HttpResponse("Yes")


class Client:
    """Asks once, and is told as servers tell it that the request is over: when all was answered."""

    def __init__(self):
        self.messages = [{"type": "http.request"}]
        self.answered = asyncio.Event()
        self.body = b""

    async def receive(self):
        if self.messages:
            return self.messages.pop()
        await self.answered.wait()
        return {"type": "http.disconnect"}

    async def send(self, message):
        self.body += message.get("body", b"")
        if message["type"] == "http.response.body" and not message.get("more_body"):
            self.answered.set()


async def test_a_request_is_forgotten_once_it_was_answered():
    handler, client = Noting(), Client()
    gc.collect()
    gc.disable()
    try:
        await handler(SCOPE, client.receive, client.send)
        (request,) = handler.requests
        assert request() is None
    finally:
        gc.enable()
    assert client.body == b"Yes"
