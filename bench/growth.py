"""What one session more takes of memory, and how many are held: sessions are added to a process that is fresh."""

import asyncio
from pathlib import Path

from bench.contenders import Running
from bench.processes import NotStarted
from bench.rotation import FAILURES, Outcome, why_stopped
from bench.sessions import Calls, Gauge, Growth

# A call whose audio comes this much late is no conversation any more.
HELD_ADDED_MS = 100.0
_SETTLE_S = 1.5
# Longer than a response: what a turn needs for the first time is not the memory of the sessions added later.
_WARM_UP_S = 10.0


async def grow(outcome: Outcome, growth: Growth, gauge: Gauge, folder: Path, baseline_ms: float) -> None:
    """Start the outcome's contender afresh and complete the outcome; `baseline_ms` is the direct round trip."""
    folder.mkdir()
    try:
        async with outcome.contender.open(gauge.mock, folder) as running:
            try:
                outcome.rss_per_session_kb = await _memory(running, growth, gauge)
                outcome.held = await _ramp(running, growth, gauge, baseline_ms)
            except FAILURES as problem:
                outcome.note(f"while sessions were added, {why_stopped(problem, running)}")
    except NotStarted as problem:
        outcome.note(f"no sessions were added: {problem}")


async def _memory(running: Running, growth: Growth, gauge: Gauge) -> float:
    """Return the kilobytes that each session takes beyond the first few."""
    warm_up = gauge.calls(running, growth.frame_ms)
    try:
        await warm_up.grow_to(growth.few)
        await asyncio.sleep(_WARM_UP_S)
    finally:
        await warm_up.end()
    calls = gauge.calls(running, growth.frame_ms)
    try:
        few_kb = await _rss_kb(calls, growth.few, growth.window_s)
        many_kb = await _rss_kb(calls, growth.many, growth.window_s)
    finally:
        await calls.end()
    return (many_kb - few_kb) / (growth.many - growth.few)


async def _rss_kb(calls: Calls, sessions: int, window_s: float) -> int:
    """Return the process's memory once so many sessions have talked for a while."""
    await calls.grow_to(sessions)
    await asyncio.sleep(window_s)
    process = calls.running.process
    return process.rss_kb() if process else 0


async def _ramp(running: Running, growth: Growth, gauge: Gauge, baseline_ms: float) -> str:
    """Add sessions until they are not held; return how many were, and what ended the ramp."""
    calls, held = gauge.calls(running, growth.ramp_frame_ms), growth.many
    try:
        for sessions in growth.ramp:
            if problem := await _why_not_held(calls, sessions, gauge, growth.ramp_window_s, baseline_ms):
                return f"{held}{problem}"
            held = sessions
        return f"{held} or more (no further tried)"
    finally:
        await calls.end()


async def _why_not_held(calls: Calls, sessions: int, gauge: Gauge, window_s: float, baseline_ms: float) -> str:
    """Grow to so many sessions; return why that is too many, or nothing."""
    try:
        await calls.grow_to(sessions)
    except FAILURES as problem:
        return f" (then: {problem})"
    await asyncio.sleep(_SETTLE_S)
    figures = await gauge.measure(calls, window_s)
    added_ms = figures.round_trip_p99_ms - baseline_ms
    if figures.lost:
        return f" (at {sessions}, {figures.lost} were lost: {calls.why_lost()})"
    if figures.send_late_p99_ms > HELD_ADDED_MS / 2:
        return f" or more (at {sessions} the load itself was late)"
    return f" (at {sessions}, p99 {added_ms:.0f} ms)" if added_ms > HELD_ADDED_MS else ""
