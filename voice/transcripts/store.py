"""Write down what may be kept: a consented call's words when it ends, a task's fields when it is done."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from django.db import transaction
from django.utils import timezone

from accounts.models import User
from outbox import messages as outbox
from voice.models import CollectedFields, Session, Transcript, TranscriptAudit, TranscriptTurn
from voice.transcripts import audit
from voice.transcripts.consent import kept_days_promised, records_words
from voice.transcripts.deletion import wipe_journal
from voice.transcripts.recorder import TurnText
from voice.transcripts.redaction import redacted
from voice.transcripts.rules import rules_of

CONVERSATION_ENDED = "conversation_ended"
_LONGEST_NAME = 40
_LONGEST_CALL_ID = 120


def save(session: Session, turn_texts: Sequence[TurnText]) -> Transcript | None:
    """Keep a call's words in the caller's transaction, over what is kept of them; None when there are none, or may be.

    Asked again of the row: a caller who was forgotten during the call is not remembered by its end.
    """
    if not turn_texts or not records_words(session):
        return None
    rules, now = rules_of(session.organisation_id), timezone.now()
    kept_days = min(rules.kept_days, kept_days_promised(session) or rules.kept_days)
    transcript, _ = Transcript.objects.update_or_create(
        session=session,
        defaults={
            "organisation_id": session.organisation_id,
            "created_at": now,
            "deletes_at": now + timedelta(days=kept_days),
            "redacted_at": now if rules.redacts else None,
        },
    )
    texts = [(turn.index, _storable(turn.text)) for turn in turn_texts]
    TranscriptTurn.objects.bulk_create(
        [
            TranscriptTurn(transcript=transcript, index=index, text=redacted(text) if rules.redacts else text)
            for index, text in texts
        ],
        update_conflicts=True,
        unique_fields=["transcript", "index"],
        update_fields=["text"],
    )
    return transcript


def words_of(session_id: UUID) -> dict[int, str]:
    """Return the words that are kept of a call that goes on, by the index of their turn."""
    kept = TranscriptTurn.objects.filter(transcript__session_id=session_id)
    return dict(kept.values_list("index", "text"))


def save_fields(session_id: UUID, call_id: str, task_name: str, fields: Mapping[str, str]) -> None:
    """Keep what a finished task collected, with or without consent to a transcript: the caller gave it to be passed on.

    A repeat of the same tool call changes nothing.
    """
    organisation_id = Session.objects.values_list("organisation_id", flat=True).get(pk=session_id)
    CollectedFields.objects.get_or_create(
        session_id=session_id,
        call_id=_storable(call_id)[:_LONGEST_CALL_ID],
        defaults={
            "organisation_id": organisation_id,
            "task_name": task_name[:_LONGEST_NAME],
            "fields": {name: _storable(value) for name, value in fields.items()},
        },
    )


def redact(session: Session, actor: User) -> bool:
    """Blot out card numbers, phone numbers and mail addresses for good; False where nothing is kept."""
    with transaction.atomic():
        transcript = Transcript.objects.select_for_update().filter(session=session).first()
        if transcript is None:
            return False
        turns = list(transcript.turns.all())
        for turn in turns:
            turn.text = redacted(turn.text)
        TranscriptTurn.objects.bulk_update(turns, ["text"])
        transcript.redacted_at = timezone.now()
        transcript.save(update_fields=["redacted_at"])
        audit.write(session, TranscriptAudit.Action.REDACTED, actor)
        transaction.on_commit(wipe_journal, robust=True)
    return True


def announce_end(session_id: UUID) -> None:
    """Let what follows a conversation begin, if anything of it was kept; in the transaction that ends the session."""
    is_kept = (
        Transcript.objects.filter(session_id=session_id).exists()
        or CollectedFields.objects.filter(session_id=session_id).exists()
    )
    if is_kept:
        outbox.put(CONVERSATION_ENDED, f"{CONVERSATION_ENDED}:{session_id}", {"session_id": str(session_id)})


def _storable(text: str) -> str:
    # Halves of surrogate pairs are no text, and PostgreSQL keeps no NUL.
    return text.replace("\x00", "").encode("utf-8", "replace").decode("utf-8")
