"""A bounded queue of server events, from a connection that must never wait to the one reader of an upstream."""

import asyncio
from collections.abc import Callable

from voice.upstream.errors import UpstreamError

# The reader forwards at once, so a queue of two minutes of speech means that it is stuck or the upstream floods.
# Pausing the socket instead would hide speech_started behind the audio it is meant to interrupt.
MAX_QUEUED_BYTES = 8 * 1024 * 1024
MAX_QUEUED_FRAMES = 20_000

# Is offered a frame, and says whether it took it.
Take = Callable[[bytes], bool]


class Inbox:
    """Frames in order, then one ending: silence after close(), or an UpstreamError. `ended`: nothing more comes in."""

    def __init__(self) -> None:
        # Mostly empty, which a deque takes ten times as much for.
        self._frames: list[bytes] = []
        self._queued_bytes = 0
        self._reader: asyncio.Future[None] | None = None
        self._take: Take | None = None
        self.ended = False
        self._error: UpstreamError | None = None

    def listen(self, take: Take | None) -> None:
        """Offer every frame to `take` first that comes while the reader waits for one.

        So a frame never overtakes another, and one that is taken costs no switch to the reader's task. Nobody has
        looked at it before: `take` must not raise, and leaves garbage.
        """
        self._take = take

    def offer(self, frame: bytes) -> bool:
        """Say whether who listens has taken a frame; else it is to be `put`."""
        take, reader = self._take, self._reader
        return take is not None and reader is not None and not (reader.done() or self.ended) and take(frame)

    def put(self, frame: bytes) -> bool:
        """Queue a frame; return False when it is one too many, which ends the inbox with upstream_flooded."""
        if self.ended:
            return True
        if self._queued_bytes + len(frame) > MAX_QUEUED_BYTES or len(self._frames) >= MAX_QUEUED_FRAMES:
            # Another connection to the same model would not be read any faster.
            self.discard(UpstreamError("upstream_flooded", retryable=False))
            return False
        self._frames.append(frame)
        self._queued_bytes += len(frame)
        self._wake()
        return True

    def finish(self, error: UpstreamError | None) -> None:
        """End after the frames already queued. The first ending counts."""
        if not self.ended:
            self.ended, self._error = True, error
            self._wake()

    def discard(self, error: UpstreamError) -> None:
        """End now: what is queued comes from an upstream that is not to be believed."""
        self._frames.clear()
        self._queued_bytes = 0
        self.finish(error)

    async def get(self) -> bytes:
        """Return the next frame; raise StopAsyncIteration after a clean ending, UpstreamError after any other."""
        while not self._frames:
            if self.ended:
                raise self._error or StopAsyncIteration
            self._reader = asyncio.get_running_loop().create_future()
            await self._reader
        frame = self._frames.pop(0)
        self._queued_bytes -= len(frame)
        return frame

    def _wake(self) -> None:
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)
