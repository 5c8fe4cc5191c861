"""Live sessions at real time, and what a window over them shows: processor, memory and delay."""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass

from bench.callers import BenchCaller, Samples
from bench.contenders import Running
from bench.numbers import percentile
from bench.processes import Started, cpu_ms_of

_START_WITHIN_S = 30.0
_HANG_UP_WITHIN_S = 15.0
_STARTING_AT_ONCE = 4


@dataclass(frozen=True)
class Growth:
    """Sessions are added: from few to many for what they take of memory, then by the ramp until they are not held."""

    few: int
    many: int
    frame_ms: int
    window_s: float
    ramp: tuple[int, ...]
    ramp_frame_ms: int
    ramp_window_s: float


@dataclass(frozen=True)
class Schedule:
    """How long a run takes. A contender's turn in a round: its calls are begun, settle, and are measured."""

    sessions: int
    rounds: int
    settle_s: float
    window_s: float
    frame_sizes_ms: tuple[int, ...]
    growth: Growth | None


@dataclass(frozen=True)
class Figures:
    """One window. Round trips are from client to mock and back, in milliseconds; baseline not yet taken off.

    Shares are of a core: of the load's own, and of the server's what the contenders took that stood by.
    """

    sessions: int
    frame_ms: int
    cpu_ms_per_session_s: float
    round_trip_p50_ms: float
    round_trip_p99_ms: float
    lost: int
    load_share: float
    mock_share: float
    standing_by_share: float
    send_late_p99_ms: float


class Calls:
    """The live sessions of one contender."""

    def __init__(self, running: Running, frame_ms: int, samples: Samples) -> None:
        self.running = running
        self.frame_ms = frame_ms
        self._samples = samples
        self._callers: list[BenchCaller] = []

    @property
    def count(self) -> int:
        return len(self._callers)

    async def grow_to(self, sessions: int) -> None:
        """Start sessions until there are so many, a few at a time, and let them speak."""
        try:
            async with asyncio.timeout(_START_WITHIN_S):
                while (missing := sessions - self.count) > 0:
                    starting = [self._start() for _ in range(min(missing, _STARTING_AT_ONCE))]
                    self._callers += await asyncio.gather(*starting)
        except TimeoutError:
            raise TimeoutError(f"{sessions} sessions did not start within {_START_WITHIN_S:.0f} s") from None

    async def _start(self) -> BenchCaller:
        caller = await self.running.call(self.frame_ms, self._samples)
        caller.speak()
        return caller

    def lost(self) -> int:
        return sum(bool(caller.ended) for caller in self._callers)

    def why_lost(self) -> str:
        return ", ".join(sorted({caller.ended for caller in self._callers if caller.ended}))

    async def end(self) -> None:
        """Hang up everywhere; whoever is not let go in time drops the line."""
        for caller in self._callers:
            if not caller.ended:
                caller.hang_up()
        until = time.monotonic() + _HANG_UP_WITHIN_S
        while time.monotonic() < until and not all(caller.ended for caller in self._callers):
            await asyncio.sleep(0.1)
        for caller in self._callers:
            caller.drop()
        self._callers = []


class Gauge:
    """Measures windows, from this process, of calls that reach the one mock."""

    def __init__(self, mock: Started) -> None:
        self.mock = mock
        self._samples = Samples()

    def calls(self, running: Running, frame_ms: int) -> Calls:
        return Calls(running, frame_ms, self._samples)

    async def measure(self, calls: Calls, window_s: float, standing_by: Sequence[Started] = ()) -> Figures:
        process, samples = calls.running.process, self._samples
        watched = [self.mock, *standing_by, *([process] if process else [])]
        cpu_ms = cpu_ms_of(watched)
        began_s, load_s = time.monotonic(), time.process_time()
        samples.clear()
        await asyncio.sleep(window_s)
        round_trips, late = list(samples.round_trip_us), list(samples.send_late_us)
        took_s, load_s = time.monotonic() - began_s, time.process_time() - load_s
        shares = [(now - before) / 1000 / took_s for before, now in zip(cpu_ms, cpu_ms_of(watched), strict=True)]
        return Figures(
            sessions=calls.count,
            frame_ms=calls.frame_ms,
            cpu_ms_per_session_s=shares[-1] * 1000 / calls.count if process else 0.0,
            round_trip_p50_ms=percentile(round_trips, 0.5) / 1000,
            round_trip_p99_ms=percentile(round_trips, 0.99) / 1000,
            lost=calls.lost(),
            load_share=load_s / took_s,
            mock_share=shares[0],
            standing_by_share=sum(shares[1 : 1 + len(standing_by)]),
            send_late_p99_ms=percentile(late, 0.99) / 1000,
        )
