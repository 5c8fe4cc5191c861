"""The tables: what was measured, beside what was aimed at."""

import time
from collections.abc import Sequence
from statistics import median

from bench import call_report
from bench.ledger import WRITERS, Ledger, Load
from bench.rotation import Outcome
from bench.sessions import Schedule
from bench.voice_to_voice import Turns

_FIRST_AUDIO_MS = 800
_LEDGER = ("open_hold", "capture", "extend_hold", "settle_hold")


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
    if outcomes:
        parts += ["## The call path", *call_report.parts(schedule, response_ms, outcomes)]
    if books is not None:
        parts += [f"## The ledger under {WRITERS} writers", _ledger(books)]
    if turns is not None:
        parts += ["## Voice to voice, embedded models", _voice(turns)]
    parts.append(f"The run took {took_s / 60:.0f} minutes. How it is measured: [README](../README.md).")
    return "\n\n".join(parts) + "\n"


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
