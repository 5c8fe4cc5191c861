"""A ladder without a catalogue: what a call may go on with is what a test puts on it."""

from voice.sessions.call import Call
from voice.sessions.fallback.rungs import Rungs
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError


class FakeLadder:
    """`below` is what answers next, `above` what can be climbed to; `failed` holds the codes it was told."""

    def __init__(self, call: Call, *below: tuple[Call, Upstream], above: tuple[Call, Upstream] | None = None) -> None:
        self.rungs = Rungs(call)
        self.below, self.above = list(below), above
        self.failed: list[str] = []
        self.answers = 0

    async def climb_down(self, call: Call, error: UpstreamError, *_: object, **__: object) -> tuple[Call, Upstream]:
        self.failed.append(error.code)
        if not self.below:
            raise error
        self.rungs.enter(self.below[0][0], error.code)
        return self.below.pop(0)

    async def replace(self, call: Call, *_: object, with_another: bool) -> tuple[Call, Upstream] | None:
        return self.below.pop(0) if self.below else None

    async def climb_up(self, call: Call, *_: object) -> tuple[Call, Upstream] | None:
        return self.above

    def answered(self, call: Call) -> None:
        self.answers += 1

    def note_failure(self, call: Call, error: UpstreamError) -> None:
        self.failed.append(error.code)

    def report_soon(self) -> None:
        pass

    async def report(self) -> None:
        pass
