"""The call's line to a model: what is behind it may be replaced while others go on sending."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable

from voice.realtime_events import append_audio
from voice.upstream.base import Capabilities, Direct, Upstream
from voice.upstream.errors import UpstreamError

# What the caller says while nobody hears it is kept for the next model: ten seconds of speech, in base64.
_KEPT_BYTES_MAX = 640_000
_APPEND_START = append_audio(b"")[:-2]


class Line:
    """An Upstream for everyone who sends; none of them learns that it broke, and only the reader has it replaced.

    Read from `upstream` itself, which is what is behind the line now, and send the caller's audio to `ears`: that costs
    nothing a frame. Should that raise, break the line off and send again.
    """

    def __init__(self, upstream: Upstream, *, is_heard: bool = True) -> None:
        self.upstream: Upstream = upstream
        self._is_heard = is_heard
        self.ears: Upstream = upstream if is_heard else _Nobody(upstream.capabilities)
        # The same, where it takes frames without waiting.
        self.direct_ears = _direct(self.ears)
        self.capabilities = upstream.capabilities
        # Why there is nobody at the other end, while that is so.
        self.broken: UpstreamError | None = None
        self._hanging_up: set[asyncio.Task[None]] = set()

    async def send(self, frame: bytes) -> None:
        """Pass on a frame; on a broken line the caller's audio is kept for the next model, and all else is dropped."""
        try:
            await self.upstream.send(frame)
        except UpstreamError as error:
            self.break_off(error)
            await self.upstream.send(frame)

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self.upstream.__aiter__()

    def break_off(self, error: UpstreamError) -> None:
        """Hang up, without waiting for it, for this reason; the first one counts."""
        if self.broken is None:
            self.broken = error
            if isinstance(self.upstream, Direct):
                # What it says from now on is no part of the call.
                self.upstream.listen(None)
            self._hang_up(self.upstream)
            self._put(_Gap(self.capabilities))

    async def join(self, upstream: Upstream, opening: Iterable[bytes], *, hears: bool = True) -> None:
        """Put another upstream behind the line: it is sent `opening`, then what was said meanwhile, if it `hears`.

        Raises UpstreamError when it cannot be told so much; it is then hung up, and the line as broken as before.
        """
        gap = self.upstream
        if isinstance(gap, _Gap):
            gap.keeps_all = True
        try:
            for frame in opening:
                await upstream.send(frame)
            if isinstance(gap, _Gap):
                await gap.pour_into(upstream, hears=hears)
        except BaseException:
            # Also when the call ends meanwhile: nobody else knows of it yet.
            self._hang_up(upstream)
            if isinstance(gap, _Gap):
                gap.keeps_all = False
            raise
        if not isinstance(gap, _Gap):
            self._hang_up(gap)
        self.capabilities, self.broken = upstream.capabilities, None
        self._put(upstream)

    def hear(self, is_heard: bool) -> None:
        """Say whether the caller's audio goes up; in a conversation that is typed it does not."""
        self._is_heard = is_heard
        self._put(self.upstream)

    async def close(self) -> None:
        await asyncio.gather(self.upstream.close(), *self._hanging_up)

    def _put(self, upstream: Upstream) -> None:
        self.upstream = upstream
        self.ears = upstream if self._is_heard else _Nobody(self.capabilities)
        self.direct_ears = _direct(self.ears)

    def _hang_up(self, upstream: Upstream) -> None:
        task = asyncio.create_task(upstream.close())
        self._hanging_up.add(task)
        task.add_done_callback(self._hanging_up.discard)


def _direct(upstream: Upstream) -> Direct | None:
    return upstream if isinstance(upstream, Direct) else None


class _Nobody:
    """An Upstream that hears nothing and says nothing."""

    def __init__(self, capabilities: Capabilities) -> None:
        self.capabilities = capabilities

    async def send(self, frame: bytes) -> None:
        pass

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        raise StopAsyncIteration

    async def close(self) -> None:
        pass


class _Gap(_Nobody):
    """Nobody at the other end, but the last seconds of the caller's audio are kept for whoever comes.

    `keeps_all`: somebody has come and is being told what was said so far, so what is sent from now on is for them.
    """

    def __init__(self, capabilities: Capabilities) -> None:
        super().__init__(capabilities)
        self.keeps_all = False
        self._frames: deque[bytes] = deque()
        self._kept_bytes = 0

    async def send(self, frame: bytes) -> None:
        if not (self.keeps_all or frame.startswith(_APPEND_START)):
            return
        self._frames.append(frame)
        self._kept_bytes += len(frame)
        while self._kept_bytes > _KEPT_BYTES_MAX:
            self._kept_bytes -= len(self._frames.popleft())

    async def pour_into(self, upstream: Upstream, *, hears: bool) -> None:
        """Send what was kept, and what comes meanwhile; what could not be sent stays.

        Speech is of no use to a model that is only written to, and looking for turns in it would take seconds.
        """
        while self._frames:
            frame = self._frames.popleft()
            try:
                if hears or not frame.startswith(_APPEND_START):
                    await upstream.send(frame)
            except UpstreamError:
                self._frames.appendleft(frame)
                raise
            self._kept_bytes -= len(frame)
