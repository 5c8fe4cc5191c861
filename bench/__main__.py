"""`./parley bench`: measure, print, and (in a full run) write bench/results/<date>.md."""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from operator import attrgetter
from pathlib import Path

import uvloop

from bench import call_report, ledger, report, voice_to_voice
from bench.contenders import CONTENDERS, DIRECT, LOAD_CORE
from bench.growth import grow
from bench.machine import describe_machine, why_not_here
from bench.numbers import spread_of
from bench.processes import ROOT, ending, listening, start
from bench.rotation import Outcome, Rotation
from bench.sessions import Gauge, Growth, Schedule
from launcher.machine import free_port

_RESPONSE_MS = 8_000
# Two turns to settle and a turn to measure.
_FULL = Schedule(
    sessions=50, rounds=3, settle_s=16.5, window_s=8.0, frame_sizes_ms=(20, 40),
    growth=Growth(
        few=10, many=50, frame_ms=20, window_s=16.0, ramp=(100, 150, 200, 300), ramp_frame_ms=40, ramp_window_s=5.0
    ),
)  # fmt: skip
_QUICK = Schedule(sessions=20, rounds=1, settle_s=1.0, window_s=3.0, frame_sizes_ms=(20,), growth=None)
_VOICE = "voice"
_LEDGER = "ledger"
# What is no contender for the call path.
_OTHERS = {_VOICE, _LEDGER}
_LEDGER_WINDOW_S, _QUICK_LEDGER_WINDOW_S = 10.0, 3.0


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parley bench", description=__doc__)
    names = [contender.name for contender in CONTENDERS]
    parser.add_argument(
        "--quick", action="store_true", help="two or three minutes: fewer sessions, one round; nothing is written"
    )
    parser.add_argument(
        "--only", action="append", choices=[*names, *sorted(_OTHERS)], help="measure this alone; may be repeated"
    )
    parser.add_argument("--output", type=Path, help="where to write the table (default: bench/results/<date>.md)")
    return parser.parse_args(arguments)


async def measure_sessions(schedule: Schedule, names: Sequence[str], folder: Path) -> list[Outcome]:
    """Return an outcome for the direct line, and one for each contender named."""
    contenders = [DIRECT, *(contender for contender in CONTENDERS if contender.name in names)]
    port = free_port("127.0.0.1")
    command = [sys.executable, "-m", "bench.mock_upstream", "--port", str(port), "--response-ms", str(_RESPONSE_MS)]
    with ending(start(command, core=LOAD_CORE, port=port, log=folder / "mock.log")) as mock:
        await listening(mock, 20.0)
        gauge = Gauge(mock)
        outcomes = await Rotation(gauge, schedule, say).run(contenders, folder)
        if schedule.growth:
            await add_sessions(outcomes, schedule.growth, gauge, folder)
        return outcomes


async def add_sessions(outcomes: Sequence[Outcome], growth: Growth, gauge: Gauge, folder: Path) -> None:
    """Complete the outcomes of whoever could be measured at all; the first one is the direct line's."""
    direct, *others = (outcome for outcome in outcomes if outcome.figures)
    baseline = spread_of(direct.values(growth.ramp_frame_ms, attrgetter("round_trip_p50_ms")).values())
    for outcome in others:
        name = outcome.contender.name
        say(f"adding sessions to {name} ...")
        await grow(outcome, growth, gauge, folder / f"{name}-fresh", baseline.median if baseline else 0.0)
        say(f"  {outcome.rss_per_session_kb or 0:.0f} kB a session; held: {outcome.held}")


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if reason := why_not_here():
        say(f"parley bench: {reason}")
        return 1
    schedule = _QUICK if options.quick else _FULL
    names = options.only or [contender.name for contender in CONTENDERS if contender.is_usual] + [_LEDGER, _VOICE]
    machine, began_s = describe_machine(), time.monotonic()
    outcomes: list[Outcome] = []
    turns: voice_to_voice.Turns | None = None
    books: ledger.Ledger | None = None
    with tempfile.TemporaryDirectory(prefix="parley-bench-") as folder:
        if set(names) - _OTHERS:
            os.sched_setaffinity(0, {LOAD_CORE})
            outcomes = uvloop.run(measure_sessions(schedule, names, Path(folder)))
            os.sched_setaffinity(0, range(os.cpu_count() or 1))
        if _LEDGER in names:
            say("measuring the ledger ...")
            books = ledger.measure(_QUICK_LEDGER_WINDOW_S if options.quick else _LEDGER_WINDOW_S, Path(folder))
        if _VOICE in names:
            say("measuring voice to voice ...")
            turns = voice_to_voice.measure(2 if options.quick else 10, Path(folder))
    text = report.render(machine, schedule, _RESPONSE_MS, outcomes, turns, books, took_s=time.monotonic() - began_s)
    say(text)
    is_partial = options.quick or bool(options.only)
    reason = call_report.why_unusable(outcomes, schedule)
    if reason and not is_partial and not options.output:
        say(f"Not kept. {reason}")
        return 1
    if path := options.output or (None if is_partial else default_path()):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        say(f"written to {path}")
    return 0


def default_path() -> Path:
    return ROOT / "bench" / "results" / f"{time.strftime('%Y-%m-%d')}.md"


def say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
