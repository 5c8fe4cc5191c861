"""A process takes over a call that another one held: the other is dead, is being stopped, or has lost the caller to us.

A session's generation says whose it is. It is raised under the row's lock, so of several that want a call one gets it,
and the sweep closes no call that was taken; whoever held it before finds the number raised and lets go.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from voice.metering.receipt import receipt_of
from voice.models import EndReason, Outcome, Rung, RungKind, Session, SessionState, Turn
from voice.sessions import records
from voice.sessions.call import Call
from voice.sessions.runner import Ended
from voice.sessions.turns import TurnTimes
from voice.transcripts import store

# A live call is looked at this often (alive.py), and the clocks of two machines are not quite the same.
_SEEN_LATE_S = 7
_AWAY_LATE_S = 2
# Who comes back for a call that is over learns for so long how it ended, and what it cost.
_TOLD_WITHIN = timedelta(minutes=10)
# As many as a call is resumed on one process.
_TIMES_MAX = 100


class NotHeldOver(Exception):
    """Nobody may go on with this call any more: it is not known, or it is too late."""


class EndedMeanwhile(Exception):
    """The call ended a moment ago, in this way."""

    def __init__(self, ended: Ended) -> None:
        super().__init__(ended.reason)
        self.ended = ended


@dataclass(frozen=True, slots=True)
class Taken:
    """A call as it is taken over. `rung` is the first that is free.

    `may_be_held`: its process has not let go of it. `turns` and `words` are what one that did has written down.
    """

    call: Call
    elapsed_s: float
    away_s: float
    rung: int
    used_micro: int
    may_be_held: bool
    turns: Sequence[TurnTimes]
    words: Mapping[str, Any]


def take_over(session_id: UUID) -> Taken:
    """Make a live call this process's, if its caller may still come back to it. Raise NotHeldOver or EndedMeanwhile."""
    now = timezone.now()
    with transaction.atomic():
        session = Session.objects.select_for_update().filter(pk=session_id).first()
        if session is None:
            raise NotHeldOver
        if session.state == SessionState.ENDED:
            raise _ended(session, now)
        if not _may_be_taken(session, now):
            raise NotHeldOver
        left_at = session.away_since or session.seen_at or now
        is_let_go = bool(session.hang_up_reason)
        session.generation += 1
        session.seen_at, session.hang_up_reason = now, ""
        session.save(update_fields=["generation", "seen_at", "hang_up_reason"])
        try:
            call = records.call_of(session)
        except records.SessionNotOpen:
            raise NotHeldOver from None
        return Taken(
            call=call,
            elapsed_s=_seconds_since(session.started_at, now),
            away_s=_seconds_since(left_at, now),
            rung=_next_rung(session, call),
            used_micro=session.captured_micro,
            may_be_held=not is_let_go,
            **_written_down(session),
        )


def _may_be_taken(session: Session, now: datetime) -> bool:
    if session.state != SessionState.LIVE or session.hang_up_wanted or not records.can_be_held(session):
        return False
    if not settings.RESUME_WITHIN_S or session.generation >= _TIMES_MAX or session.seen_at is None:
        return False
    return _is_within(session.seen_at, now, _SEEN_LATE_S) and (
        session.away_since is None or _is_within(session.away_since, now, _AWAY_LATE_S)
    )


def _ended(session: Session, now: datetime) -> Exception:
    if session.ended_at is None or now - session.ended_at > _TOLD_WITHIN:
        return NotHeldOver()
    reason, outcome = EndReason(session.end_reason), Outcome(session.outcome or Outcome.CUT)
    return EndedMeanwhile(Ended(reason, outcome, session.duration_ms, receipt_of(session)))


def _next_rung(session: Session, call: Call) -> int:
    last = Rung.objects.filter(session=session).aggregate(last=Max("index"))["last"]
    if last is None:
        # The process that would have written the first one down, at the end, has let go.
        Rung.objects.create(
            session=session, index=0, model_slug=call.model_served, kind=RungKind(call.rung_kind), at_ms=0
        )
        return 1
    return int(last) + 1


def _written_down(session: Session) -> dict[str, Any]:
    rows, words = list(Turn.objects.filter(session=session)), store.words_of(session.pk)
    turns = [TurnTimes(**{field.name: getattr(row, field.name) for field in fields(TurnTimes)}) for row in rows]
    texts = {row.item_id: words[row.index] for row in rows if row.index in words}
    return {"turns": turns, "words": {"texts": texts, "final": list(texts)}}


def _is_within(then: datetime, now: datetime, late_s: int) -> bool:
    return now - then <= timedelta(seconds=settings.RESUME_WITHIN_S + late_s)


def _seconds_since(then: datetime | None, now: datetime) -> float:
    return max(0.0, (now - then).total_seconds()) if then else 0.0
