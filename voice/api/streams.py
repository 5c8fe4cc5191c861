"""An answer that is sent as it is made, whose source is closed as soon as nobody reads it any more."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from django.http import StreamingHttpResponse


class SourcedStream(StreamingHttpResponse):
    """Closing a source settles what it used, so it must not be left to the garbage collector, as Django's is."""

    def __init__(self, source: AsyncGenerator[bytes, None], **options: Any) -> None:
        super().__init__(source, **options)
        self.source = source
        # Reverse proxies must not collect what is made a piece at a time.
        self["X-Accel-Buffering"] = "no"

    def replace_source(self, source: AsyncGenerator[bytes, None]) -> None:
        self.source = source
        self.streaming_content = source

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async with aclosing(self.source) as source:
            async for piece in source:
                yield piece
