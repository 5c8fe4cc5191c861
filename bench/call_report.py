"""The call path's tables: each figure a median over the rounds, each comparison made within a round."""

from collections.abc import Iterator, Sequence
from operator import attrgetter
from statistics import median

from bench.growth import HELD_ADDED_MS
from bench.numbers import differences, ratios, spread_of
from bench.rotation import Outcome
from bench.sessions import Figures, Schedule

# Whose processor time may be at most which share of whose.
_CPU_AIMS = (
    ("uvicorn", 0.6, "litellm"),
    ("uvicorn-realtime", 0.7, "litellm"),
    ("uvicorn", 1.0, "websockets"),
    ("daphne", 1.0, "litellm"),
)
_MEMORY_KB = 150
_MEMORY_SHARE = 0.5
_P99_ADDED_MS = 3.0
# Beyond this the callers' own core was taken from them.
_LATE_MS_MAX = 10.0

_cpu = attrgetter("cpu_ms_per_session_s")
_p50 = attrgetter("round_trip_p50_ms")
_p99 = attrgetter("round_trip_p99_ms")
_late = attrgetter("send_late_p99_ms")


def why_unusable(outcomes: Sequence[Outcome], schedule: Schedule) -> str:
    """Return why the figures say nothing, or nothing: a load that is late itself measures the machine's other work."""
    lateness_ms = [outcome.values(size, _late).values() for outcome in outcomes for size in schedule.frame_sizes_ms]
    late_ms = max((median(each) for each in lateness_ms if each), default=0.0)
    if late_ms <= _LATE_MS_MAX:
        return ""
    return (
        f"The machine had other work: frames were sent {late_ms:.0f} ms late (p99) in half of a contender's rounds, so "
        "these figures say nothing."
    )


def parts(schedule: Schedule, response_ms: int, outcomes: Sequence[Outcome]) -> Iterator[str]:
    """Yield the section's paragraphs. The first outcome is the direct line."""
    if reason := why_unusable(outcomes, schedule):
        yield f"**{reason}**"
    yield _how(schedule, response_ms)
    yield _table(outcomes, schedule)
    yield _remarks(outcomes, schedule)
    yield "### Aims"
    yield _aims(outcomes, schedule)


def _how(schedule: Schedule, response_ms: int) -> str:
    has_settled = schedule.settle_s * 1000 >= 2 * response_ms
    when = "after two turns, which are dearer" if has_settled else "**within their first turn, which is dearer**"
    return (
        "One core for the process under test, the other for the load and the mock upstream. Contenders stand ready and "
        f"take turns, there and back (rounds: {schedule.rounds}): {schedule.sessions} calls begin, are measured for "
        f"{schedule.window_s:.0f} s {when}, and are hung up. A figure is the median of the rounds (the lowest to "
        "the highest); a ratio is taken within each round. Every session speaks without a pause and is answered "
        f"without a pause, in responses of {response_ms / 1000:.0f} s, each with its usage; Parley holds, rates and "
        "captures every one of them, checks every frame and follows the browser's playback reports, the relays and "
        "LiteLLM are sent the same events. Added delay is a frame's way from the caller to the mock and back, less the "
        "round's median of the same way with nothing between."
    )


def _table(outcomes: Sequence[Outcome], schedule: Schedule) -> str:
    sizes_ms, direct = schedule.frame_sizes_ms, outcomes[0]
    head = ["", *(f"CPU ms per session-second, {size} ms frames" for size in sizes_ms)]
    head += [f"added p50 / p99 ms, {size} ms frames" for size in sizes_ms]
    head += ["kB a session", f"sessions held at {schedule.growth.ramp_frame_ms} ms"] if schedule.growth else []
    rows = [head, ["---"] * len(head)]
    for outcome in outcomes:
        cells = ["" if outcome is direct else _cpu_shown(outcome, size) for size in sizes_ms]
        cells += [_added(outcome, direct, size) for size in sizes_ms]
        memory = "" if outcome.rss_per_session_kb is None else f"{outcome.rss_per_session_kb:.0f}"
        cells += [memory, outcome.held] if schedule.growth else []
        rows.append([outcome.contender.label, *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _cpu_shown(outcome: Outcome, frame_ms: int) -> str:
    spread = spread_of(outcome.values(frame_ms, _cpu).values())
    return spread.shown(1) if spread else ""


def _added(outcome: Outcome, direct: Outcome, frame_ms: int) -> str:
    """Show what the median round added to the direct way, in the middle and at worst."""
    base = direct.values(frame_ms, _p50)
    spreads = [spread_of(differences(outcome.values(frame_ms, value), base)) for value in (_p50, _p99)]
    return " / ".join(f"{spread.median:.1f}" for spread in spreads if spread)


def _remarks(outcomes: Sequence[Outcome], schedule: Schedule) -> str:
    lines = [_baseline_line(outcomes[0], size) for size in schedule.frame_sizes_ms if outcomes[0].values(size, _p50)]
    lines += [f"{outcome.contender.label}: {outcome.remark}." for outcome in outcomes if outcome.remark]
    windows = [figures for outcome in outcomes for figures in outcome.figures.values()]
    if windows:
        lines.append(_load_line(windows))
    if lost := sum(figures.lost for figures in windows):
        lines.append(f"**{lost} sessions were lost while they were measured.**")
    if schedule.growth:
        lines.append(f"Held: p99 added at most {HELD_ADDED_MS:.0f} ms and no session lost.")
    return "\n".join(f"- {line}" for line in lines)


def _baseline_line(direct: Outcome, frame_ms: int) -> str:
    p50, p99 = (median(direct.values(frame_ms, value).values()) for value in (_p50, _p99))
    return f"With nothing between, {frame_ms} ms frames: round trip {p50:.2f} ms (p50), {p99:.2f} ms (p99)."


def _load_line(windows: Sequence[Figures]) -> str:
    load, mock, others = (
        max(map(attrgetter(name), windows)) for name in ("load_share", "mock_share", "standing_by_share")
    )
    return (
        f"The load took at most {load:.0%} and the mock at most {mock:.0%} of their core; frames were sent at most "
        f"{max(map(_late, windows)):.1f} ms late (p99). The contenders that stood by took at most {others:.1%} of "
        "theirs, all together."
    )


def _aims(outcomes: Sequence[Outcome], schedule: Schedule) -> str:
    by_name = {outcome.contender.name: outcome for outcome in outcomes}
    rows = ["| aim | measured | |", "|---|---|---|"]
    for size in schedule.frame_sizes_ms:
        rows += _cpu_aims(by_name, size)
    for name in ("uvicorn", "daphne"):
        rows += _delay_and_memory_aims(name, by_name, schedule)
    rows += _memory_share(by_name, "uvicorn-realtime", "litellm")
    return "\n".join(rows)


def _cpu_aims(by_name: dict[str, Outcome], frame_ms: int) -> Iterator[str]:
    found = {name: outcome.values(frame_ms, _cpu) for name, outcome in by_name.items()}
    for name, limit, other in _CPU_AIMS:
        if share := spread_of(ratios(found.get(name, {}), found.get(other, {}))):
            text = f"CPU, {frame_ms} ms frames: {name} at most {limit:g} of {other}"
            yield _aim(text, share.shown(2), share.median <= limit)


def _delay_and_memory_aims(name: str, by_name: dict[str, Outcome], schedule: Schedule) -> Iterator[str]:
    if (outcome := by_name.get(name)) is None:
        return
    for size in schedule.frame_sizes_ms:
        if added := spread_of(differences(outcome.values(size, _p99), by_name["direct"].values(size, _p50))):
            text = f"p99 added under {_P99_ADDED_MS:g} ms, {size} ms x {schedule.sessions}, {name}"
            yield _aim(text, f"{added.shown(1)} ms", added.median < _P99_ADDED_MS)
    if (memory := outcome.rss_per_session_kb) is not None:
        yield _aim(f"under {_MEMORY_KB} kB a session, {name}", f"{memory:.0f} kB", memory < _MEMORY_KB)


def _memory_share(by_name: dict[str, Outcome], name: str, other: str) -> Iterator[str]:
    ours, theirs = (by_name[each].rss_per_session_kb if each in by_name else None for each in (name, other))
    if ours is not None and theirs and theirs > 0:
        text = f"memory a session: {name} at most {_MEMORY_SHARE:g} of {other}"
        yield _aim(text, f"{ours / theirs:.2f}", ours / theirs <= _MEMORY_SHARE)


def _aim(text: str, measured: str, is_met: bool) -> str:
    return f"| {text} | {measured} | {'met' if is_met else 'MISSED'} |"
