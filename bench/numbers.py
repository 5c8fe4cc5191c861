"""Arithmetic on what was measured: percentiles, comparisons within rounds, the kernel's own figures for a process."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value that `share` (0..1) of the values do not exceed; 0 when there are none."""
    if not values:
        return 0.0
    ordered = sorted(values)
    return float(ordered[min(len(ordered) - 1, int(len(ordered) * share))])


@dataclass(frozen=True)
class Spread:
    """What several rounds came to: the median, the lowest and the highest."""

    median: float
    lowest: float
    highest: float

    def shown(self, digits: int) -> str:
        text = f"{self.median:.{digits}f}"
        return text if self.lowest == self.highest else f"{text} ({self.lowest:.{digits}f}–{self.highest:.{digits}f})"


def spread_of(values: Iterable[float]) -> Spread | None:
    """Return None when there are no values."""
    found = list(values)
    return Spread(median(found), min(found), max(found)) if found else None


def ratios(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return ours over theirs within each round that has both; a round in which theirs is nothing has no ratio."""
    return [ours[number] / theirs[number] for number in ours if theirs.get(number)]


def differences(ours: Mapping[int, float], theirs: Mapping[int, float]) -> list[float]:
    """Return ours less theirs within each round that has both."""
    return [ours[number] - theirs[number] for number in ours if number in theirs]


@dataclass(frozen=True)
class Stat:
    """One line of /proc/PID/stat: whose child a process is, and the clock ticks it has used, all threads together."""

    parent: int
    ticks: int


def parse_stat(text: str) -> Stat:
    """Read a line of /proc/PID/stat; the name in it may hold spaces and brackets."""
    fields = text[text.rindex(")") + 2 :].split()
    return Stat(parent=int(fields[1]), ticks=int(fields[11]) + int(fields[12]))


def parse_rss_kb(status: str) -> int:
    """Read the resident memory from /proc/PID/status; a process that is ending has none."""
    return next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:")), 0)


def family_of(root: int, parents: Mapping[int, int]) -> set[int]:
    """Return a process and all that descend from it, given each process's parent."""
    family = {root}
    while grown := {pid for pid, parent in parents.items() if parent in family} - family:
        family |= grown
    return family
