"""Delete what was said of conversations, wherever it is kept; their times, money and stars stay."""

from collections.abc import Sequence
from uuid import UUID

from django.db import connection, transaction

from accounts.models import User
from voice.models import CollectedFields, Session, Transcript, TranscriptAudit, TranscriptTurn
from voice.transcripts import audit
from voice.transcripts.holders import holders

# Nobody waits for readers: what they hold back is written over at the next occasion.
_CHECKPOINT_WAIT_MS = 100

Counts = dict[str, int]


def delete_words(session_ids: Sequence[UUID]) -> Counts:
    """Remove transcripts, collected fields, comments, and what the registered holders have, in one transaction.

    Returns how many rows of what had words, without the zeros.
    """
    with transaction.atomic():
        # Locked in one order, so that two deletions, or one and the end of a call, wait for one another.
        list(Session.objects.select_for_update().filter(pk__in=session_ids).order_by("pk").values_list("pk"))
        counts = {holder.name: holder.delete(session_ids) for holder in holders()}
        turns = TranscriptTurn.objects.filter(transcript__session__in=session_ids)
        counts["turns"] = turns.delete()[0]
        counts["transcripts"] = Transcript.objects.filter(session__in=session_ids).delete()[0]
        counts["collected_fields"] = CollectedFields.objects.filter(session__in=session_ids).delete()[0]
        commented = Session.objects.filter(pk__in=session_ids).exclude(comment="")
        counts["comments"] = commented.update(comment="")
        transaction.on_commit(wipe_journal, robust=True)
    return {name: count for name, count in counts.items() if count}


def delete_conversation(session: Session, actor: User) -> Counts:
    """Delete one conversation's words because somebody asked for it, and write down that they did."""
    with transaction.atomic():
        counts = delete_words([session.pk])
        audit.write(session, TranscriptAudit.Action.DELETED, actor, counts=counts)
    return counts


def wipe_journal() -> None:
    """Move what is committed out of SQLite's journal, where deleted words would stay until it is written over.

    The database itself overwrites what is deleted (PRAGMA secure_delete). PostgreSQL does both by its own vacuum.
    """
    if connection.vendor != "sqlite" or connection.in_atomic_block:
        return
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA busy_timeout")
        usual_ms = int(cursor.fetchone()[0])
        cursor.execute(f"PRAGMA busy_timeout = {_CHECKPOINT_WAIT_MS}")
        try:
            cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            cursor.execute(f"PRAGMA busy_timeout = {usual_ms}")
