"""Settle what nobody will settle any more: tickets never used, and calls whose process died."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q

from billing import ledger
from billing.exceptions import LedgerError
from voice.metering.settlement import close_hold
from voice.models import EndReason, Outcome, Session, SessionState
from voice.transcripts import store
from voice.webhooks import session_events

log = structlog.get_logger(__name__)

# A live call's process writes seen_at every few seconds; a minute without is no hiccup. And a call whose caller may
# still come back to another process is not dead.
UNSEEN_S = max(60, settings.RESUME_WITHIN_S + 30)
# One sweep's work is bounded; the next takes the rest.
_MOST_A_SWEEP = 500


def settle_dead_sessions(now: datetime) -> int:
    """Close dead sessions and expired holds; return how many sessions. Each in its own transaction, exactly once.

    One that fails is logged and left for the next sweep, so that a broken row cannot keep the others open.
    """
    due = Session.objects.filter(_unused(now) | _unseen(now)).order_by("created_at").values_list("id", flat=True)
    closed = sum(_close_or_log(session_id, now) for session_id in list(due[:_MOST_A_SWEEP]))
    ledger.expire_holds(now)
    return closed


def _unused(now: datetime) -> Q:
    return Q(state=SessionState.ADMITTED, ticket_expires_at__lte=now)


def _unseen(now: datetime) -> Q:
    limit = now - timedelta(seconds=UNSEEN_S)
    return Q(state=SessionState.LIVE) & (Q(seen_at__lt=limit) | Q(seen_at=None, ticket_expires_at__lt=limit))


def _close_or_log(session_id: UUID, now: datetime) -> bool:
    try:
        return _close(session_id, now)
    except (DatabaseError, LedgerError) as error:
        log.error("session not settled", session_id=str(session_id), error=type(error).__name__)
        return False


@transaction.atomic
def _close(session_id: UUID, now: datetime) -> bool:
    # Looked at again under the lock: it may have been seen, redeemed or settled since the sweep's first look.
    session = (
        Session.objects.select_for_update(no_key=True, of=("self",))
        .select_related("agent")
        .filter(_unused(now) | _unseen(now), id=session_id)
        .first()
    )
    if session is None:
        return False
    close_hold(session)
    if session.state == SessionState.ADMITTED:
        session.end_reason = EndReason.TICKET_UNUSED
        session.ended_at = now
    else:
        # One that was let go on purpose says what for.
        session.end_reason = session.hang_up_reason or EndReason.PROCESS_DIED
        session.outcome = Outcome.CUT
        session.ended_at = session.seen_at or now
        began_at = session.started_at or session.ended_at
        session.duration_ms = max(0, round((session.ended_at - began_at) / timedelta(milliseconds=1)))
    session.state = SessionState.ENDED
    session.save(update_fields=["state", "end_reason", "outcome", "ended_at", "duration_ms"])
    # What was said died with the process; what a task had collected by then is there, and promised.
    store.announce_end(session.id)
    session_events.emit_ended(session)
    return True
