"""What one contender does under a number of sessions at real time: processor, memory, delay, and how many it holds."""

import asyncio
import time
from dataclasses import dataclass, field
from pathlib import Path

from bench.admission import NotAdmitted
from bench.callers import BenchCaller, Samples
from bench.contenders import Contender, Running, books_of
from bench.numbers import percentile
from bench.processes import NotStarted, Started, last_line

# A call whose audio comes this much late is no conversation any more.
HELD_ADDED_MS = 100.0
_SETTLE_S = 1.5
# Longer than a response: what a turn needs for the first time is not the memory of the sessions added later.
_WARM_UP_S = 10.0
_START_WITHIN_S = 30.0
_HANG_UP_WITHIN_S = 15.0
_STARTING_AT_ONCE = 4


@dataclass(frozen=True)
class Schedule:
    """How long a run takes: sessions of the first and of the second measurement, and the ramp after them."""

    few: int
    many: int
    ramp: tuple[int, ...]
    window_s: float
    ramp_window_s: float
    frame_sizes_ms: tuple[int, ...]
    ramp_frame_ms: int


@dataclass(frozen=True)
class Figures:
    """One measurement. Round trips are from client to mock and back, in milliseconds; baseline not yet taken off."""

    sessions: int
    frame_ms: int
    cpu_ms_per_session_s: float
    round_trip_p50_ms: float
    round_trip_p99_ms: float
    rss_kb: int
    frames_per_session_s: float
    lost: int
    load_share: float
    mock_share: float
    send_late_p99_ms: float


@dataclass
class Outcome:
    """All that was measured of one contender, or why it could not be."""

    contender: Contender
    figures: list[Figures] = field(default_factory=list)
    rss_per_session_kb: float | None = None
    held: str = ""
    remark: str = ""


class Bench:
    """Runs contenders one after the other against the same mock, from this process."""

    def __init__(self, mock: Started, schedule: Schedule, folder: Path) -> None:
        self._mock, self._schedule, self._folder = mock, schedule, folder
        self._samples = Samples()
        self._direct: list[Figures] = []

    async def run(self, contender: Contender) -> Outcome:
        """Measure one contender; what goes wrong with it is in its outcome's remark."""
        outcome = Outcome(contender)
        folder = self._folder / contender.name
        folder.mkdir()
        try:
            async with contender.open(self._mock, folder) as running:
                try:
                    await self._measure_all(running, outcome)
                except (NotAdmitted, OSError, TimeoutError) as problem:
                    said = f"; it said: {last_line(running.process.log)}" if running.process else ""
                    outcome.remark = f"stopped: {type(problem).__name__} {problem}{said}"
                else:
                    outcome.remark = books_of(running)
        except NotStarted as problem:
            outcome.remark = f"not measured: {problem}"
        return outcome

    async def _measure_all(self, running: Running, outcome: Outcome) -> None:
        await self._warm_up(running)
        for frame_ms in self._schedule.frame_sizes_ms:
            calls = Calls(running, frame_ms, self._samples)
            try:
                await calls.grow_to(self._schedule.few)
                few = await self._measure(running, calls, self._schedule.window_s)
                await calls.grow_to(self._schedule.many)
                many = await self._measure(running, calls, self._schedule.window_s)
                outcome.figures += [few, many]
                if outcome.rss_per_session_kb is None and running.process:
                    outcome.rss_per_session_kb = (many.rss_kb - few.rss_kb) / (many.sessions - few.sessions)
                if frame_ms == self._schedule.ramp_frame_ms and self._schedule.ramp and running.process:
                    outcome.held = await self._ramp(running, calls, many)
            finally:
                await calls.end()

    async def _warm_up(self, running: Running) -> None:
        calls = Calls(running, self._schedule.frame_sizes_ms[0], self._samples)
        try:
            await calls.grow_to(self._schedule.few)
            await asyncio.sleep(_WARM_UP_S)
        finally:
            await calls.end()

    async def _ramp(self, running: Running, calls: "Calls", last: Figures) -> str:
        """Add sessions until they are not held; return how many were, and what ended the ramp."""
        baseline_ms = self.baseline_ms(last.frame_ms)
        for sessions in self._schedule.ramp:
            try:
                await calls.grow_to(sessions)
            except (NotAdmitted, OSError, TimeoutError) as problem:
                return f"{last.sessions} (then: {problem})"
            figures = await self._measure(running, calls, self._schedule.ramp_window_s)
            added_ms = figures.round_trip_p99_ms - baseline_ms
            if figures.lost:
                return f"{last.sessions} (at {sessions}, {figures.lost} were lost: {calls.why_lost()})"
            if figures.send_late_p99_ms > HELD_ADDED_MS / 2:
                return f"{last.sessions} or more (at {sessions} the load itself was late)"
            if added_ms > HELD_ADDED_MS:
                return f"{last.sessions} (at {sessions}, p99 {added_ms:.0f} ms)"
            last = figures
        return f"{last.sessions} or more (no further tried)"

    async def _measure(self, running: Running, calls: "Calls", window_s: float) -> Figures:
        await asyncio.sleep(_SETTLE_S)
        samples, process = self._samples, running.process
        samples.clear()
        began_s, load_s = time.monotonic(), time.process_time()
        mock_ms, cpu_ms = self._mock.cpu_ms(), process.cpu_ms() if process else 0.0
        await asyncio.sleep(window_s)
        took_s = time.monotonic() - began_s
        cpu_ms = (process.cpu_ms() if process else 0.0) - cpu_ms
        load_share = (time.process_time() - load_s) / took_s
        mock_share = (self._mock.cpu_ms() - mock_ms) / 1000 / took_s
        round_trips, late = list(samples.round_trip_us), list(samples.send_late_us)
        return Figures(
            sessions=calls.count,
            frame_ms=calls.frame_ms,
            cpu_ms_per_session_s=cpu_ms / calls.count / took_s,
            round_trip_p50_ms=percentile(round_trips, 0.5) / 1000,
            round_trip_p99_ms=percentile(round_trips, 0.99) / 1000,
            rss_kb=process.rss_kb() if process else 0,
            frames_per_session_s=len(round_trips) / calls.count / took_s,
            lost=calls.lost(),
            load_share=load_share,
            mock_share=mock_share,
            send_late_p99_ms=percentile(late, 0.99) / 1000,
        )

    def take_as_baseline(self, outcome: Outcome) -> None:
        self._direct = outcome.figures

    def baseline_ms(self, frame_ms: int) -> float:
        """Return the median round trip with nothing between, at the larger number of sessions."""
        return [figures for figures in self._direct if figures.frame_ms == frame_ms][-1].round_trip_p50_ms


class Calls:
    """The live sessions of one measurement."""

    def __init__(self, running: Running, frame_ms: int, samples: Samples) -> None:
        self.frame_ms = frame_ms
        self._running, self._samples = running, samples
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
        caller = await self._running.call(self.frame_ms, self._samples)
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
