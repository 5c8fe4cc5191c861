"""How long callers waited: from the moment something broke until they heard, read or were told the next thing."""

import time
from collections import defaultdict
from dataclasses import dataclass, field

from tests.crash.storm.faults import Fault

AT_ONCE_TWICE = "several in a row"
# A model that has stalled is found out by waiting; what the caller waits after that is told apart.
STALL, STALL_NOTICED = Fault.STALL.value, "stall, once noticed"


@dataclass(slots=True)
class Wait:
    """One call's wait for a model that goes on. `tags` are the connections whose sound and words do not count."""

    cause: str
    since: float
    tags: set[str]
    noticed_at: float | None = None


@dataclass
class Waits:
    """Times are seconds of the monotonic clock; a call is known by the name its provider knows it by.

    `done` holds the finished waits by cause, `noticed` how long it took until the server had given a dead connection
    up, `lost` what never came because the call had ended and `why_lost` how it had; `unclear` counts waits in which the
    caller's own network was gone, or they spoke again.
    """

    done: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    noticed: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    lost: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    why_lost: dict[tuple[str, str], int] = field(default_factory=lambda: defaultdict(int))
    unclear: int = 0
    deaths: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    _open: dict[str, Wait] = field(default_factory=dict)
    _died: dict[str, tuple[str, str, float]] = field(default_factory=dict)

    def upstream_died(self, name: str, cause: str, tag: str, *, is_owed: bool) -> None:
        """A model's connection broke; `is_owed`: the caller was waiting for words from it, or hearing them."""
        now = time.monotonic()
        self.deaths[cause] += 1
        self._died[tag] = (name, cause, now)
        wait = self._open.get(name)
        if wait is not None:
            wait.tags.add(tag)
            wait.cause = AT_ONCE_TWICE
        elif is_owed:
            self._open[name] = Wait(cause, now, {tag})

    def given_up(self, tag: str) -> None:
        """The server has closed a connection that was dead already."""
        if tag in self._died:
            (name, cause, since), now = self._died.pop(tag), time.monotonic()
            self.noticed[cause].append(now - since)
            if (wait := self._open.get(name)) is not None and tag in wait.tags:
                wait.noticed_at = now

    def refused(self, name: str) -> None:
        """A model refused a call that was looking for one. What took a stall so long is the stall."""
        if (wait := self._open.get(name)) is not None and wait.cause not in (AT_ONCE_TWICE, STALL):
            wait.cause = "handshake refused"

    def heard(self, name: str, item_id: str) -> None:
        """The caller heard a sound or read a word of an item."""
        wait = self._open.get(name)
        if wait is not None and not any(f"_{tag}_" in item_id for tag in wait.tags):
            del self._open[name]
            now = time.monotonic()
            self.done[wait.cause].append(now - wait.since)
            if wait.cause == STALL and wait.noticed_at is not None:
                self.done[STALL_NOTICED].append(now - wait.noticed_at)

    def unclear_now(self, name: str) -> None:
        """The caller's own network broke, or they changed the subject: this wait says nothing about models."""
        if self._open.pop(name, None) is not None:
            self.unclear += 1

    def is_waiting(self, name: str) -> bool:
        return name in self._open

    def call_over(self, name: str, ended_by: str) -> None:
        if (wait := self._open.pop(name, None)) is not None:
            self.never(wait.cause, ended_by)

    def measured(self, cause: str, since: float) -> None:
        """Something else that a caller waited for is there."""
        self.done[cause].append(time.monotonic() - since)

    def never(self, cause: str, ended_by: str) -> None:
        self.lost[cause] += 1
        self.why_lost[cause, ended_by] += 1
