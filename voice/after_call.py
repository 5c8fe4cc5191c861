"""What follows a conversation of which something was kept, off the live path: its webhook, and what joins in."""

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from outbox import messages as outbox
from voice.models import EventType, Session, Transcript
from voice.transcripts.store import CONVERSATION_ENDED
from voice.webhooks.events import emit

# Only the database is needed: what talks to the world is a message of its own.
_KEEP_TRYING = timedelta(days=1)


Step = Callable[[UUID], None]
_steps: list[Step] = []


def then(step: Step) -> Step:
    """Have `step(session_id)` done after every such conversation; it writes rows and messages, and may be repeated."""
    _steps.append(step)
    return step


def follow_up(payload: Mapping[str, Any]) -> None:
    """Tell of the transcript and do every step: all of it, or none and again later; a repeat changes nothing."""
    session = Session.objects.filter(pk=UUID(payload["session_id"])).first()
    if session is None:
        return
    with transaction.atomic():
        transcript = Transcript.objects.filter(session=session).first()
        if transcript is not None:
            _tell_of(session, transcript)
        for step in _steps:
            step(session.pk)


def _tell_of(session: Session, transcript: Transcript) -> None:
    data = {
        "session_id": str(session.pk),
        "agent_id": str(session.agent_id) if session.agent_id else None,
        "turns": transcript.turns.count(),
        "redacted": transcript.redacted_at is not None,
        "deletes_at": transcript.deletes_at.isoformat(),
        "metadata": session.metadata,
    }
    key = f"transcript:{session.pk}"
    emit(session.organisation_id, EventType.TRANSCRIPT_READY, data, key=key, extra_url=session.webhook_url)


outbox.register(CONVERSATION_ENDED, follow_up, keep_trying=_KEEP_TRYING)
