"""Delete what was said once its time is over, a bounded batch at a time, night and day."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from uuid import UUID

from django.db import transaction
from django.db.models import Q

from accounts.models import Organisation
from voice.models import CollectedFields, Session, SessionState, Transcript, TranscriptAudit
from voice.models.transcript import KEPT_DAYS_DEFAULT
from voice.transcripts.deletion import delete_words

BATCH = 200
# One run's work is bounded, to end well within a task's time; the next, an hour later, takes the rest.
MOST_BATCHES = 100


def delete_expired(now: datetime, *, batch: int = BATCH, most_batches: int = MOST_BATCHES) -> int:
    """Delete the words of conversations past their organisation's days, or past what their caller was told.

    Returns how many conversations. Each batch is its own transaction, with one row in the audit.
    """
    deleted, left = 0, most_batches
    for organisation_id, kept_days in _organisations():
        while left and (session_ids := _due(organisation_id, now - timedelta(days=kept_days), now, batch)):
            _delete(organisation_id, session_ids)
            deleted, left = deleted + len(session_ids), left - 1
        if not left:
            break
    return deleted


def _organisations() -> Iterator[tuple[UUID, int]]:
    rows = Organisation.objects.order_by("pk").values_list("pk", "transcript_settings__kept_days")
    for organisation_id, kept_days in rows.iterator():
        yield organisation_id, kept_days or KEPT_DAYS_DEFAULT


def _due(organisation_id: UUID, limit: datetime, now: datetime, batch: int) -> list[UUID]:
    """Return conversations that have words past their time, by whichever of their words is oldest."""
    of = Q(organisation_id=organisation_id)
    transcripts = Transcript.objects.filter(of, Q(created_at__lte=limit) | Q(deletes_at__lte=now))
    collected = CollectedFields.objects.filter(of, completed_at__lte=limit, session__state=SessionState.ENDED)
    commented = Session.objects.filter(of, ~Q(comment=""), created_at__lte=limit, state=SessionState.ENDED)
    session_ids: set[UUID] = set()
    for rows, column in ((transcripts, "session_id"), (collected, "session_id"), (commented, "pk")):
        session_ids.update(rows.order_by().values_list(column, flat=True)[:batch])
    return sorted(session_ids)[:batch]


@transaction.atomic
def _delete(organisation_id: UUID, session_ids: list[UUID]) -> None:
    counts = delete_words(session_ids)
    TranscriptAudit.objects.create(
        action=TranscriptAudit.Action.EXPIRED,
        organisation_id=organisation_id,
        counts={"conversations": len(session_ids), **counts},
    )
