"""Where notes meet the rest of voice: after which calls, from what is kept of them, and who is told."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from django.dispatch import receiver

from outbox import messages as outbox
from voice import after_call
from voice.models import Note, NoteState
from voice.notes import deliver, summarise
from voice.notes.material import Material, Said
from voice.notes.signals import note_ready
from voice.transcripts.holders import Holder, register
from voice.transcripts.reading import collected_fields_of, transcript_of
from voice.webhooks.events import emit


def material_of(session_id: UUID) -> Material:
    """Return what is kept of a conversation now: it may be less than when its note was asked for."""
    transcript = transcript_of(session_id)
    turns = tuple(Said(turn.index, turn.speaker, turn.text) for turn in transcript.turns) if transcript else ()
    collected: dict[str, str] = {}
    for task in collected_fields_of(session_id):
        collected |= task.fields
    return Material(turns, collected)


def write_note(payload: Mapping[str, Any]) -> None:
    summarise.write_note(UUID(payload["note_id"]), material_of)


def give_up_note(payload: Mapping[str, Any]) -> None:
    summarise.give_up(UUID(payload["note_id"]), material_of)


def deliver_note(payload: Mapping[str, Any]) -> None:
    deliver.deliver_note(UUID(payload["delivery_id"]))


def give_up_delivery(payload: Mapping[str, Any]) -> None:
    deliver.give_up(UUID(payload["delivery_id"]))


@receiver(note_ready)
def tell_webhooks(sender: Any, note_id: UUID, **_: Any) -> None:
    """Send note.ready: ids and what came of the call, never a word of it; receivers ask for the note."""
    note = Note.objects.select_related("session").get(pk=note_id)
    data = {
        "note_id": str(note.pk),
        "session_id": str(note.session_id),
        "agent_id": str(note.session.agent_id) if note.session.agent_id else None,
        "outcome": note.content["outcome"],
        "sentiment": note.content["sentiment"],
        "written_by": note.written_by,
        "charged_micro": note.charged_micro,
    }
    emit(note.organisation_id, "note.ready", data, key=f"note.ready:{note.pk}", extra_url=note.session.webhook_url)


def delete_notes(session_ids: Sequence[UUID]) -> int:
    """Empty notes of their words with the rest of what was said; one that is being written is not finished."""
    return Note.objects.forget(session_ids)


def export_note(session_id: UUID) -> dict[str, Any] | None:
    note = Note.objects.filter(session_id=session_id, state=NoteState.READY).first()
    return note.content if note else None


register(Holder("note", delete_notes, export_note))
after_call.then(summarise.request_note)
outbox.register(summarise.WRITE_NOTE, write_note, keep_trying=summarise.KEEP_TRYING, given_up=give_up_note)
outbox.register(deliver.DELIVER_NOTE, deliver_note, keep_trying=deliver.KEEP_TRYING, given_up=give_up_delivery)
