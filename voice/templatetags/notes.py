"""The note of a call, for the page that shows the call."""

from dataclasses import dataclass

from django import template

from voice.models import CrmDelivery, Note, NoteReason, NoteState, Session
from voice.notes.crm.base import PROBLEMS
from voice.notes.reading import NoteText, label_of, note_of, text_of

register = template.Library()


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    row: CrmDelivery
    connection_name: str
    problem: str


@dataclass(frozen=True, slots=True)
class NotePage:
    """`text` is None unless the note is ready; `reason` is a sentence on why it is not, or not whole."""

    note: Note
    text: NoteText | None
    label: str
    reason: str
    deliveries: list[DeliveryRow]


@register.simple_tag
def note_page(session: Session) -> NotePage | None:
    note = note_of(session.pk)
    if note is None:
        return None
    deliveries = note.deliveries.select_related("connection").defer("connection__secret")
    reason = NoteReason(note.reason).label if note.reason and note.state != NoteState.READY else ""
    rows = [DeliveryRow(each, each.connection.name, PROBLEMS.get(each.problem, "")) for each in deliveries]
    return NotePage(note, text_of(note), label_of(note), str(reason), rows)
