"""Contenders all stand ready and are measured in turn, round after round.

A virtual machine's speed may swing by half within minutes. Whoever is compared is therefore measured within the same
few minutes, and what counts is the comparison within each round.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.admission import NotAdmitted
from bench.contenders import Contender, Running, books_of
from bench.processes import NotStarted, Started, last_line
from bench.sessions import Figures, Gauge, Schedule

Each = TypeVar("Each")
Say = Callable[[str], None]

# What a contender may fail with once it runs: its row says so, and the others are measured.
FAILURES = (NotAdmitted, OSError, TimeoutError)


@dataclass
class Outcome:
    """All that was measured of one contender, its figures by the number of their round, or why it could not be."""

    contender: Contender
    figures: dict[int, Figures] = field(default_factory=dict)
    rss_per_session_kb: float | None = None
    held: str = ""
    remark: str = ""

    def note(self, remark: str) -> None:
        self.remark = "; ".join(filter(None, (self.remark, remark)))

    def values(self, frame_ms: int, value_of: Callable[[Figures], float]) -> dict[int, float]:
        """Return one value for each round of this frame size."""
        return {number: value_of(each) for number, each in self.figures.items() if each.frame_ms == frame_ms}


def in_turn(everyone: Sequence[Each], round_number: int) -> list[Each]:
    """Return the order of a round: there and back, so that nobody is always first and neighbours stay neighbours."""
    return list(everyone if round_number % 2 == 0 else reversed(everyone))


def why_stopped(problem: Exception, running: Running) -> str:
    said = f"; it said: {last_line(running.process.log)}" if running.process else ""
    return f"stopped: {type(problem).__name__} {problem}{said}"


class Rotation:
    """One run of rounds; `say` is told how it goes."""

    def __init__(self, gauge: Gauge, schedule: Schedule, say: Say) -> None:
        self._gauge, self._schedule, self._say = gauge, schedule, say
        self._standing: list[tuple[Outcome, Running]] = []

    async def run(self, contenders: Sequence[Contender], folder: Path) -> list[Outcome]:
        """Measure all of them; what goes wrong with one is in its outcome's remark."""
        outcomes = [Outcome(contender) for contender in contenders]
        sizes_ms = [size for size in self._schedule.frame_sizes_ms for _ in range(self._schedule.rounds)]
        async with AsyncExitStack() as stack:
            for outcome in outcomes:
                await self._start(outcome, folder, stack)
            for number, frame_ms in enumerate(sizes_ms):
                self._say(f"round {number + 1} of {len(sizes_ms)}, {frame_ms} ms frames")
                for outcome, running in in_turn(self._standing, number):
                    await self._take_turn(outcome, running, number, frame_ms)
            for outcome, running in self._standing:
                outcome.remark = outcome.remark or books_of(running)
        return outcomes

    async def _start(self, outcome: Outcome, folder: Path, stack: AsyncExitStack) -> None:
        name = outcome.contender.name
        self._say(f"starting {name} ...")
        own_folder = folder / name
        own_folder.mkdir()
        try:
            running = await stack.enter_async_context(outcome.contender.open(self._gauge.mock, own_folder))
        except NotStarted as problem:
            outcome.remark = f"not measured: {problem}"
        else:
            self._standing.append((outcome, running))

    async def _take_turn(self, outcome: Outcome, running: Running, number: int, frame_ms: int) -> None:
        if outcome.remark:
            return
        calls = self._gauge.calls(running, frame_ms)
        try:
            await calls.grow_to(self._schedule.sessions)
            await asyncio.sleep(self._schedule.settle_s)
            figures = await self._gauge.measure(calls, self._schedule.window_s, self._others_than(running))
        except FAILURES as problem:
            outcome.remark = why_stopped(problem, running)
        else:
            outcome.figures[number] = figures
        finally:
            await calls.end()
        self._say(f"  {outcome.contender.name}: {outcome.remark or _line(outcome.figures[number])}")

    def _others_than(self, running: Running) -> list[Started]:
        return [other.process for _, other in self._standing if other.process and other is not running]


def _line(figures: Figures) -> str:
    return (
        f"{figures.cpu_ms_per_session_s:.1f} ms of processor a session-second, round trip "
        f"{figures.round_trip_p50_ms:.1f} / {figures.round_trip_p99_ms:.1f} ms"
    )
