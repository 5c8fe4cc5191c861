"""Who spoke when, and how long the caller waited: the times kept of every turn, never its words."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(slots=True)
class TurnTimes:
    """Milliseconds since the call began."""

    speaker: str
    item_id: str
    started_ms: int
    ended_ms: int
    latency_ms: int | None = None
    heard_ms: int | None = None
    interrupted: bool = False


class Turns:
    def __init__(self, began_at: float, before: Iterable[TurnTimes] = ()) -> None:
        """`before`: the turns that were kept of the call when another process held it."""
        self._began_at = began_at
        self._turns: dict[str, TurnTimes] = {turn.item_id: turn for turn in before}
        self._caller_finished_at: float | None = None

    def caller_started(self, item_id: str, now: float) -> None:
        self._open("caller", item_id, now)

    def caller_finished(self, item_id: str, now: float) -> None:
        self._open("caller", item_id, now).ended_ms = self._ms(now)
        self._caller_finished_at = now

    def agent_speaking(self, item_id: str, now: float) -> None:
        """Note that a piece of the assistant's answer went out; the first one tells how long the caller waited."""
        turn = self._turns.get(item_id) or self._agent_begins(item_id, now)
        turn.ended_ms = round((now - self._began_at) * 1000)

    def _agent_begins(self, item_id: str, now: float) -> TurnTimes:
        turn = self._open("agent", item_id, now)
        if self._caller_finished_at is not None:
            turn.latency_ms = max(0, round((now - self._caller_finished_at) * 1000))
            self._caller_finished_at = None
        return turn

    def heard(self, item_id: str, heard_ms: int, *, interrupted: bool) -> None:
        if turn := self._turns.get(item_id):
            turn.heard_ms, turn.interrupted = heard_ms, interrupted

    def all(self) -> list[TurnTimes]:
        return list(self._turns.values())

    def _open(self, speaker: str, item_id: str, now: float) -> TurnTimes:
        return self._turns.setdefault(item_id, TurnTimes(speaker, item_id, self._ms(now), self._ms(now)))

    def _ms(self, now: float) -> int:
        return max(0, round((now - self._began_at) * 1000))
