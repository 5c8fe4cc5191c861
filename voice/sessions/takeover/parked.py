"""What the database keeps of a caller's absence, so that every process knows whose call only waits."""

from uuid import UUID

from django.db.models import F
from django.utils import timezone

from voice.models import Session, SessionState
from voice.sessions.orders import control


def note_away(session_id: UUID) -> None:
    Session.objects.filter(pk=session_id, state=SessionState.LIVE).update(away_since=timezone.now())


def note_back(session_id: UUID) -> None:
    Session.objects.filter(pk=session_id).update(away_since=None, resumes=F("resumes") + 1)


def end_waiting_calls_of_visitor(session_id: UUID) -> None:
    """End the calls that wait for the caller of this one to come back to the same agent: they have begun anew."""
    session = Session.objects.get(pk=session_id)
    if not session.visitor_id:
        return
    waiting = Session.objects.filter(
        state=SessionState.LIVE, away_since__isnull=False, visitor_id=session.visitor_id, agent=session.agent_id
    )
    for waiting_id in waiting.exclude(pk=session_id).values_list("pk", flat=True):
        control.end_waiting_call(waiting_id)
