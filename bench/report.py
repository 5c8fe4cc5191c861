"""The tables: what was measured, beside what was aimed at."""

import time
from collections.abc import Sequence
from statistics import median

from bench.ledger import WRITERS, Ledger, Load
from bench.sessions import HELD_ADDED_MS, Figures, Outcome, Schedule
from bench.voice_to_voice import Turns

# Whose processor time may be at most which share of whose.
_CPU_AIMS = (
    ("uvicorn", 0.6, "litellm"),
    ("uvicorn-realtime", 0.7, "litellm"),
    ("uvicorn", 1.0, "websockets"),
    ("daphne", 1.0, "litellm"),
)
_FIRST_AUDIO_MS = 800
_MEMORY_KB = 150
_MEMORY_SHARE = 0.5
_P99_ADDED_MS = 3.0
_LEDGER = ("open_hold", "capture", "extend_hold", "settle_hold")
# Beyond this the callers' own core was taken from them.
_LATE_MS_MAX = 10.0


def progress_lines(outcome: Outcome) -> list[str]:
    """What one contender came to, for whoever watches."""
    lines = [
        f"  {figures.sessions} sessions, {figures.frame_ms} ms frames: {figures.cpu_ms_per_session_s:.1f} ms of "
        f"processor a session-second, round trip {figures.round_trip_p50_ms:.1f} / {figures.round_trip_p99_ms:.1f} ms"
        for figures in outcome.figures
    ]
    held = [f"  held: {outcome.held}"] if outcome.held else []
    return [*lines, *held, f"  {outcome.remark}"] if outcome.remark else [*lines, *held]


def why_unusable(outcomes: Sequence[Outcome]) -> str:
    """Return why the figures say nothing, or nothing: a load that is late itself measures the machine's other work."""
    late_ms = max((each.send_late_p99_ms for outcome in outcomes for each in outcome.figures), default=0.0)
    if late_ms <= _LATE_MS_MAX:
        return ""
    return (
        f"The machine had other work: frames were sent up to {late_ms:.0f} ms late (p99), so these figures say nothing."
    )


def render(
    machine: Sequence[str],
    schedule: Schedule,
    response_ms: int,
    outcomes: Sequence[Outcome],
    turns: Turns | None,
    books: Ledger | None = None,
    *,
    took_s: float,
) -> str:
    """Return the whole report as Markdown. The first outcome, if there are any, is the direct line."""
    parts = [
        f"# Measured on {time.strftime('%Y-%m-%d at %H:%M')}",
        "\n".join(f"- {line}" for line in machine),
    ]
    if reason := why_unusable(outcomes):
        parts.append(f"**{reason}**")
    if outcomes:
        parts += ["## The call path", _how(schedule, response_ms), _call_table(outcomes, schedule)]
        parts += [_remarks(outcomes), "### Aims", _aims_table(outcomes, schedule)]
    if books is not None:
        parts += [f"## The ledger under {WRITERS} writers", _ledger(books)]
    if turns is not None:
        parts += ["## Voice to voice, embedded models", _voice(turns)]
    parts.append(f"The run took {took_s / 60:.0f} minutes. How it is measured: [README](../README.md).")
    return "\n\n".join(parts) + "\n"


def _how(schedule: Schedule, response_ms: int) -> str:
    return (
        f"One core for the process under test, the other for the load and the mock upstream. {schedule.window_s:.0f} s "
        f"a figure. Every session speaks without a pause and is answered without a pause, in responses of "
        f"{response_ms / 1000:.0f} s, each with its usage; Parley holds, rates and captures every one of them, checks "
        "every frame and follows the browser's playback reports, the relays and LiteLLM are sent the same events. "
        "Added delay is a frame's way from the caller to the mock and back, less the median of the same way with "
        "nothing between."
    )


def _call_table(outcomes: Sequence[Outcome], schedule: Schedule) -> str:
    columns = [(size, sessions) for size in schedule.frame_sizes_ms for sessions in (schedule.few, schedule.many)]
    head = ["", *(f"CPU ms per session-second, {size} ms x {count}" for size, count in columns)]
    head += [f"added p50 / p99 ms, {size} ms x {count}" for size, count in columns]
    head += ["kB a session", f"sessions held at {schedule.ramp_frame_ms} ms"]
    rows = [head, ["---"] * len(head)]
    for outcome in outcomes:
        found = [_at(outcome, *column) for column in columns]
        is_direct = outcome is outcomes[0]
        cells = ["" if is_direct or each is None else f"{each.cpu_ms_per_session_s:.1f}" for each in found]
        cells += ["" if each is None else _added(each, outcomes[0], schedule.many) for each in found]
        memory = "" if outcome.rss_per_session_kb is None else f"{outcome.rss_per_session_kb:.0f}"
        rows.append([outcome.contender.label, *cells, memory, outcome.held])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def _remarks(outcomes: Sequence[Outcome]) -> str:
    direct = [_baseline_line(figures) for figures in outcomes[0].figures]
    lines = [f"{outcome.contender.label}: {outcome.remark}." for outcome in outcomes if outcome.remark]
    busiest = [figures for outcome in outcomes for figures in outcome.figures]
    if busiest:
        load = max(figures.load_share for figures in busiest)
        mock = max(figures.mock_share for figures in busiest)
        late = max(figures.send_late_p99_ms for figures in busiest)
        lines.append(
            f"The load took at most {load:.0%} and the mock at most {mock:.0%} of their core; frames were sent at most "
            f"{late:.1f} ms late (p99)."
        )
    lines.append(f"Held: p99 added at most {HELD_ADDED_MS:.0f} ms and no session lost.")
    return "\n".join(f"- {line}" for line in [*direct, *lines])


def _baseline_line(figures: Figures) -> str:
    return (
        f"With nothing between, {figures.sessions} sessions of {figures.frame_ms} ms frames: round trip "
        f"{figures.round_trip_p50_ms:.2f} ms (p50), {figures.round_trip_p99_ms:.2f} ms (p99)."
    )


def _aims_table(outcomes: Sequence[Outcome], schedule: Schedule) -> str:
    by_name = {outcome.contender.name: outcome for outcome in outcomes}
    rows = ["| aim | measured | |", "|---|---|---|"]
    for size in schedule.frame_sizes_ms:
        rows += _cpu_aims(by_name, size, schedule.many)
    for name in ("uvicorn", "daphne"):
        rows += _aims_of(name, by_name, schedule)
    rows += _memory_share(by_name, "uvicorn-realtime", "litellm")
    return "\n".join(rows)


def _cpu_aims(by_name: dict[str, Outcome], frame_ms: int, many: int) -> list[str]:
    found = {name: _at(outcome, frame_ms, many) for name, outcome in by_name.items()}
    rows = []
    for name, limit, other in _CPU_AIMS:
        ours, theirs = found.get(name), found.get(other)
        if ours and theirs and theirs.cpu_ms_per_session_s:
            share = ours.cpu_ms_per_session_s / theirs.cpu_ms_per_session_s
            text = f"CPU, {frame_ms} ms frames: {name} at most {limit:g} of {other}"
            rows.append(_aim(text, f"{share:.2f}", share <= limit))
    return rows


def _memory_share(by_name: dict[str, Outcome], name: str, other: str) -> list[str]:
    ours, theirs = (by_name[each].rss_per_session_kb if each in by_name else None for each in (name, other))
    if ours is None or not theirs or theirs <= 0:
        return []
    text = f"memory a session: {name} at most {_MEMORY_SHARE:g} of {other}"
    return [_aim(text, f"{ours / theirs:.2f}", ours / theirs <= _MEMORY_SHARE)]


def _aims_of(name: str, by_name: dict[str, Outcome], schedule: Schedule) -> list[str]:
    outcome, rows = by_name.get(name), []
    if outcome is None:
        return []
    for size in schedule.frame_sizes_ms:
        if (figures := _at(outcome, size, schedule.many)) and (base := _at(by_name["direct"], size, schedule.many)):
            added = figures.round_trip_p99_ms - base.round_trip_p50_ms
            text = f"p99 added under {_P99_ADDED_MS:g} ms, {size} ms x {schedule.many}, {name}"
            rows.append(_aim(text, f"{added:.1f} ms", added < _P99_ADDED_MS))
    if (memory := outcome.rss_per_session_kb) is not None:
        rows.append(_aim(f"under {_MEMORY_KB} kB a session, {name}", f"{memory:.0f} kB", memory < _MEMORY_KB))
    return rows


def _ledger(books: Ledger) -> str:
    head = ["database", "wallets", "operations a second", "p50 ms", "p99 ms", *(f"{name} p99 ms" for name in _LEDGER)]
    rows = [head, ["---"] * len(head), *(_ledger_row(load) for load in books.loads)]
    table = "\n".join(f"| {' | '.join(row)} |" for row in rows) if books.loads else ""
    failed = [
        f"{load.database}, {load.wallets} wallets: {load.failed} calls could not get the database in time."
        for load in books.loads
        if load.failed
    ]
    return "\n\n".join(filter(None, [table, "\n".join(f"- {line}" for line in [*failed, *books.remarks])]))


def _ledger_row(load: Load) -> list[str]:
    figures = [f"{load.p50_ms:.1f}", f"{load.p99_ms:.1f}", *(f"{load.p99_ms_of(name):.1f}" for name in _LEDGER)]
    return [load.database, str(load.wallets), f"{load.operations_per_s:.0f}", *figures]


def _voice(turns: Turns) -> str:
    if not turns.turns:
        return turns.remark or "Nothing was measured."
    rows = ["| end of speech to ... | median ms | min | max |", "|---|---|---|---|"]
    parts = (
        ("**first sound of the answer heard**", [turn.whole_ms for turn in turns.turns]),
        ("of this: until the turn is known to be over", [turn.turn_end_ms for turn in turns.turns]),
        ("then: until their words are known", [turn.words_ms for turn in turns.turns]),
        ("then: until the first audio of the answer arrives", [turn.answer_ms for turn in turns.turns]),
        ("then: until it is audible", [turn.audible_ms for turn in turns.turns]),
    )
    rows += [f"| {name} | {median(values):.0f} | {min(values):.0f} | {max(values):.0f} |" for name, values in parts]
    typical = median(turn.whole_ms for turn in turns.turns)
    verdict = "met" if typical <= _FIRST_AUDIO_MS else "MISSED"
    aim = f"{len(turns.turns)} turns in Chromium. Aim: at most {_FIRST_AUDIO_MS} ms (median): {verdict}."
    return "\n\n".join(filter(None, ["\n".join(rows), aim, turns.remark]))


def _added(figures: Figures, direct: Outcome, many: int) -> str:
    base = _at(direct, figures.frame_ms, many)
    if base is None:
        return ""
    p50, p99 = (value - base.round_trip_p50_ms for value in (figures.round_trip_p50_ms, figures.round_trip_p99_ms))
    return f"{p50:.1f} / {p99:.1f}"


def _at(outcome: Outcome, frame_ms: int, sessions: int) -> Figures | None:
    wanted = (frame_ms, sessions)
    return next((each for each in outcome.figures if (each.frame_ms, each.sessions) == wanted), None)


def _aim(text: str, measured: str, is_met: bool) -> str:
    return f"| {text} | {measured} | {'met' if is_met else 'MISSED'} |"
