"""The table of how long callers waited, as text for a terminal and for a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from tests.crash.storm.faults import Fault
from tests.crash.storm.waits import AT_ONCE_TWICE, STALL_NOTICED, Waits

AIM_S = 2.0
# The issue of "from upstream death to next audio": what is noticed at once is measured whole; a stall is noticed late.
_AIMED = (Fault.DROP.value, Fault.GARBAGE.value, Fault.RATE_LIMITED.value, Fault.NO_QUOTA.value, "handshake refused")
CUT, CUT_TOLD = "network back, page not told", "network back, page told"
KILLED, STOPPED = "web process killed -9", "web process SIGTERMed"
ORDER = (
    Fault.DROP.value, "handshake refused", Fault.RATE_LIMITED.value, Fault.NO_QUOTA.value, Fault.GARBAGE.value,
    Fault.STALL.value, STALL_NOTICED, AT_ONCE_TWICE, CUT_TOLD, CUT, KILLED, STOPPED,
)  # fmt: skip
HEADINGS = ("cause", "until", "n", "p50 s", "p95 s", "max s", "noticed p95 s", "never", "aim")


def rows_of(waits: Waits) -> list[dict[str, Any]]:
    """Return a row for each cause that occurred."""
    causes = [*ORDER, *sorted(set(waits.done) - set(ORDER))]
    return [_row(cause, waits) for cause in causes if waits.done.get(cause) or waits.lost.get(cause)]


def _row(cause: str, waits: Waits) -> dict[str, Any]:
    values = sorted(waits.done.get(cause, ()))
    p95_s = percentile(values, 95)
    return {
        "cause": cause,
        "until": "the call goes on" if cause in (CUT, CUT_TOLD, KILLED, STOPPED) else "next sound or word",
        "n": len(values),
        "p50 s": _seconds(percentile(values, 50)),
        "p95 s": _seconds(p95_s),
        "max s": _seconds(values[-1] if values else None),
        "noticed p95 s": _seconds(percentile(sorted(waits.noticed.get(cause, ())), 95)),
        "never": waits.lost.get(cause, 0),
        "aim": aim_of(cause, p95_s),
    }


def aim_of(cause: str, p95_s: float | None) -> str:
    if p95_s is None or cause not in (*_AIMED, STALL_NOTICED):
        return ""
    return "met" if p95_s < AIM_S else "MISSED"


def percentile(values: Sequence[float], percent: int) -> float | None:
    """Return the smallest of sorted values that so many per cent do not exceed; None of nothing."""
    return values[max(0, -(-len(values) * percent // 100) - 1)] if values else None


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"


def as_text(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    cells = [list(HEADINGS), *([str(row[heading]) for heading in HEADINGS] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells]


def as_markdown(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    lines = [list(HEADINGS), ["---"] * len(HEADINGS), *([str(row[heading]) for heading in HEADINGS] for row in rows)]
    return [f"| {' | '.join(line)} |" for line in lines]
