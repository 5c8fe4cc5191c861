"""The door of the endpoints whose answers may take long: Django's views without its middleware, and without a thread.

Django gives every request a thread for its middleware and keeps it until the answer is sent, which for a stream is
minutes. What these endpoints need (a token, bounds, headers) is at their own edge, voice/api/edge.py.
"""

import tempfile
from typing import IO, Any

from django.conf import settings
from django.core.exceptions import RequestAborted
from django.core.handlers.exception import convert_exception_to_response

from config.django_asgi import Handler

PATHS = frozenset({"/v1/chat/completions", "/v1/audio/transcriptions", "/v1/audio/speech"})
# The largest file that may be written down, and the form around it.
MAX_BODY_BYTES = 26 * 1024 * 1024
_TOO_LARGE = (
    b'{"error": {"code": "request_too_large", "message": "The request is too large.",'
    b' "type": "invalid_request_error", "param": null}}'
)


class _TooLarge(Exception):
    pass


class StreamingHandler(Handler):
    def load_middleware(self, is_async: bool = False) -> None:
        self._view_middleware: list[Any] = []
        self._template_response_middleware: list[Any] = []
        self._exception_middleware: list[Any] = []
        self._middleware_chain = convert_exception_to_response(self._get_response_async)  # type: ignore[attr-defined]

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        # Not in a ThreadSensitiveContext: that is what would keep a thread.
        try:
            await self.handle(scope, receive, send)
        except _TooLarge:
            headers = [(b"content-type", b"application/json"), (b"cache-control", b"no-store")]
            await send({"type": "http.response.start", "status": 413, "headers": headers})
            await send({"type": "http.response.body", "body": _TOO_LARGE})

    async def read_body(self, receive: Any) -> IO[bytes]:
        """As Django's, but never more than MAX_BODY_BYTES, whatever the client says of its length."""
        # Closed by `handle`, which it is returned to.
        body = tempfile.SpooledTemporaryFile(max_size=settings.FILE_UPLOAD_MAX_MEMORY_SIZE, mode="w+b")  # noqa: SIM115
        received = 0
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                body.close()
                raise RequestAborted
            piece = message.get("body", b"")
            received += len(piece)
            if received > MAX_BODY_BYTES:
                body.close()
                raise _TooLarge
            body.write(piece)
            if not message.get("more_body", False):
                body.seek(0)
                return body
