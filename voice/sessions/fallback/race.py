"""Models are dialled side by side: who is slow to answer is not waited for where another one answers first."""

import asyncio
import time
from dataclasses import dataclass, field
from types import TracebackType

from voice.sessions.call import Call
from voice.sessions.connect import connect
from voice.upstream.base import Upstream
from voice.upstream.errors import UpstreamError

# Of all races: dials that lost and are being hung up, so that nobody has to wait for that.
_letting_go: set[asyncio.Task[None]] = set()


@dataclass(eq=False, slots=True)
class Dial:
    """One model that is being reached: `call` is the call as it would hold it. `began_at` is on the monotonic clock."""

    call: Call
    task: asyncio.Task[Upstream]
    began_at: float = field(default_factory=time.monotonic)


class Race:
    """Use as `async with Race() as race`; dials that are not finished at its end are given up."""

    def __init__(self) -> None:
        self.running: list[Dial] = []

    async def __aenter__(self) -> "Race":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for dial in self.running:
            task = asyncio.create_task(_let_go(dial.task))
            _letting_go.add(task)
            task.add_done_callback(_letting_go.discard)
        self.running = []

    def start(self, call: Call, *, within_s: float, tries: int) -> None:
        """Dial one more, for so long at most."""
        task = asyncio.create_task(connect(call.endpoint, within_s=within_s, tries=tries))
        self.running.append(Dial(call, task))

    async def finished(self, within_s: float | None) -> Dial | None:
        """Return the first that has answered or failed; None when none did within this time (None: however long)."""
        if not self.running:
            return None
        await asyncio.wait([dial.task for dial in self.running], timeout=within_s, return_when=asyncio.FIRST_COMPLETED)
        done = [dial for dial in self.running if dial.task.done()]
        if not done:
            return None
        # Of several at once one that has answered.
        first = next((dial for dial in done if dial.task.exception() is None), done[0])
        self.running.remove(first)
        return first


async def _let_go(dialling: asyncio.Task[Upstream]) -> None:
    dialling.cancel()
    await asyncio.wait([dialling])
    if dialling.cancelled():
        return
    if dialling.exception() is None:
        await dialling.result().close()
    elif not isinstance(dialling.exception(), UpstreamError):
        dialling.result()
