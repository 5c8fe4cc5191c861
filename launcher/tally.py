"""Counts what a test run did, from what the runners wrote: JUnit XML of pytest, TAP of Node's runner."""

import re
import xml.etree.ElementTree as ElementTree
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

TAP_COUNT = re.compile(r"^# (pass|fail|cancelled|skipped|todo) (\d+)$", re.MULTILINE)
TAP_SKIP = re.compile(r"^\s*ok \d+ .*# (?:SKIP|TODO)\b ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Tally:
    """How many passed, failed and were skipped; `reasons` says why, with how many each."""

    passed: int = 0
    failed: int = 0
    skipped: int = 0
    reasons: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: "Tally") -> "Tally":
        return Tally(
            self.passed + other.passed,
            self.failed + other.failed,
            self.skipped + other.skipped,
            self.reasons + other.reasons,
        )

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def skipped(reason: str) -> Tally:
    return Tally(skipped=1, reasons=Counter({reason: 1}))


def tally_of_check(return_code: int) -> Tally:
    """A check has no tests in it: it is one thing that holds or does not."""
    return Tally(passed=1) if return_code == 0 else Tally(failed=1)


def tally_of_pytest(report: Path, return_code: int) -> Tally:
    """A run that ended badly counts as failed even where no single test did (a crash, an import error, no test)."""
    try:
        cases = list(ElementTree.parse(report).iter("testcase"))
    except (OSError, ElementTree.ParseError):
        return Tally(failed=1)
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    skips = [skip for case in cases if (skip := case.find("skipped")) is not None]
    reasons = Counter(skip.get("message", "no reason given") for skip in skips)
    passed = max(0, len(cases) - failed - len(skips))
    return _with_exit_code(Tally(passed, failed, len(skips), reasons), return_code)


def tally_of_node(tap: str, return_code: int) -> Tally:
    counts = {name: int(count) for name, count in TAP_COUNT.findall(tap)}
    failed = counts.get("fail", 0) + counts.get("cancelled", 0)
    skips = counts.get("skipped", 0) + counts.get("todo", 0)
    reasons = Counter(reason or "no reason given" for reason in TAP_SKIP.findall(tap))
    if not counts:
        return Tally(failed=1)
    return _with_exit_code(Tally(counts.get("pass", 0), failed, skips, reasons), return_code)


def _with_exit_code(tally: Tally, return_code: int) -> Tally:
    return tally + Tally(failed=1) if return_code != 0 and tally.failed == 0 else tally
