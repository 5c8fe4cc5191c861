"""Which models held a call, one after the other: when, why, and how long the caller waited for each."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from voice.models import Rung, RungKind, Session
from voice.sessions.call import Call
from voice.sessions.takeover.memory import Before
from voice.sessions.turns import TurnTimes

# Why a rung begins that is another process.
TAKEN_OVER = "taken_over"
_REASON_CHARS_MAX = 80


@dataclass(slots=True)
class RungTimes:
    """One model's time with a call, in seconds of the monotonic clock.

    `waits_since` is when the caller was last with a model that lived; `ready_at` when this one could be talked to, None
    for one that never could. `owes_words`: the caller was waiting for an answer, so their wait ends with its first
    sound or word.
    """

    model_slug: str
    kind: RungKind
    reason: str
    at: float
    waits_since: float
    ready_at: float | None = None
    owes_words: bool = False


@dataclass(frozen=True, slots=True)
class RungRow:
    index: int
    model_slug: str
    kind: str
    reason: str
    at_ms: int
    waited_ms: int | None


class Rungs:
    """One a call. The first rung begins when this is made, after those of the process that held the call `before`."""

    def __init__(self, call: Call, before: Before | None = None) -> None:
        now = time.monotonic()
        self._first = before.rung if before else 0
        self.began_at = now - before.elapsed_s if before else now
        waits_since, reason = (now - before.away_s, TAKEN_OVER) if before else (now, "")
        self._rungs = [RungTimes(call.model_served, call.rung_kind, reason, now, waits_since)]
        self._alive_until = now

    @property
    def index(self) -> int:
        return len(self._rungs) - 1

    def left(self, now: float) -> None:
        """The model that held the call is gone."""
        self._alive_until = now

    def enter(self, call: Call, reason: str, *, at: float | None = None) -> None:
        """Another model is to hold the call, or was to since `at`; `reason` is what ended the one before."""
        at, reason = time.monotonic() if at is None else at, reason[:_REASON_CHARS_MAX]
        self._rungs.append(RungTimes(call.model_served, call.rung_kind, reason, at, self._alive_until))

    def ready(self, *, owes_words: bool) -> None:
        """The latest model holds the call now."""
        self._rungs[-1].ready_at, self._rungs[-1].owes_words = time.monotonic(), owes_words

    def rows(self, turns: Sequence[TurnTimes] = ()) -> list[RungRow]:
        """Return what is kept of each, given the turns of the call so far."""
        return [
            RungRow(
                self._first + index,
                rung.model_slug,
                str(rung.kind.value),
                rung.reason,
                self._ms(rung.at),
                self._waited_ms(index, turns),
            )
            for index, rung in enumerate(self._rungs)
        ]

    def _waited_ms(self, index: int, turns: Sequence[TurnTimes]) -> int | None:
        rung = self._rungs[index]
        if self._first + index == 0 or rung.ready_at is None:
            return None
        if not rung.owes_words:
            return round((rung.ready_at - rung.waits_since) * 1000)
        ready_ms = self._ms(rung.ready_at)
        ends_ms = self._ms(self._rungs[index + 1].waits_since) if index < self.index else None
        for turn in turns:
            if (
                turn.speaker == "agent"
                and turn.started_ms >= ready_ms
                and (ends_ms is None or turn.started_ms <= ends_ms)
            ):
                return turn.started_ms - round((rung.waits_since - self.began_at) * 1000)
        return None

    def _ms(self, at: float) -> int:
        return max(0, round((at - self.began_at) * 1000))


def enter_rungs(session_id: UUID, rows: Sequence[RungRow], model_reason: str) -> None:
    """Write down which model holds a call from now on, the last of `rows`, and which did not; repeats change nothing.

    All of them at once: a process that dies later has nobody who would write the first ones down at the end.
    """
    save_rungs(session_id, rows)
    Session.objects.filter(pk=session_id).update(model_served=rows[-1].model_slug, model_reason=model_reason)


def save_rungs(session_id: UUID, rows: Sequence[RungRow]) -> None:
    """Write down the rungs of a call, over what is there of them."""
    Rung.objects.bulk_create(
        [
            Rung(
                session_id=session_id,
                index=row.index,
                model_slug=row.model_slug,
                kind=row.kind,
                reason=row.reason,
                at_ms=row.at_ms,
                waited_ms=row.waited_ms,
            )
            for row in rows
        ],
        update_conflicts=True,
        unique_fields=["session", "index"],
        update_fields=["model_slug", "kind", "reason", "at_ms", "waited_ms"],
    )
