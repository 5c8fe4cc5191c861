"""Django's handler of HTTP requests, less what it leaves to the garbage collector."""

from collections.abc import Awaitable, Callable
from typing import Any

from django.core.exceptions import RequestAborted
from django.core.handlers.asgi import ASGIHandler


class Handler(ASGIHandler):
    """Lets go of a request once it was answered.

    Whoever waits for the client to hang up learns of it by an exception, also when all was answered. Its traceback has
    the frame that knows the task that has the exception: a ring, and on it hang request, response, session and all,
    fifty kilobytes for each call that begins.
    """

    async def handle(self, scope: Any, receive: Any, send: Any) -> None:
        receiving = _Receiving(receive)
        try:
            await super().handle(scope, receiving, send)
        finally:
            receiving.let_go()

    async def listen_for_disconnect(self, receive: Any) -> None:
        try:
            await super().listen_for_disconnect(receive)
        except RequestAborted as aborted:
            receive.aborted = aborted
            raise


class _Receiving:
    """A request's `receive`, and how the wait for its end did end."""

    def __init__(self, receive: Callable[[], Awaitable[Any]]) -> None:
        self._receive = receive
        self.aborted: RequestAborted | None = None

    def __call__(self) -> Awaitable[Any]:
        return self._receive()

    def let_go(self) -> None:
        if self.aborted is not None:
            self.aborted.__traceback__ = None
            self.aborted = None
