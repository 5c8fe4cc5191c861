"""Read a note: as the console shows it, and as a CRM is told it."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from uuid import UUID

from django.conf import settings
from django.urls import reverse
from django.utils import timezone

from voice.models import Note, NoteReason, NoteState, NoteWriter, Session

_OUTCOMES = {
    "task_completed": "Done",
    "callback_requested": "Wants to be called back",
    "answered": "Questions answered",
    "given_up": "Given up",
    "no_conversation": "Nothing was said",
}
_SENTIMENTS = {"positive": "Positive", "neutral": "Neutral", "negative": "Negative"}


@dataclass(frozen=True, slots=True)
class Action:
    """`turn` is the index of the turn that it follows from, if that is known."""

    text: str
    turn: int | None


@dataclass(frozen=True, slots=True)
class Field:
    """`is_collected`: taken down by the assistant and confirmed by the caller, not read from the conversation."""

    name: str
    value: str
    turn: int | None
    is_collected: bool

    @property
    def label(self) -> str:
        return self.name.replace("_", " ").replace("-", " ").capitalize()


@dataclass(frozen=True, slots=True)
class NoteText:
    """A ready note's content; every string of it is a stranger's words, to be escaped wherever it is shown."""

    summary: str
    outcome: str
    outcome_label: str
    sentiment: str
    sentiment_label: str
    actions: tuple[Action, ...]
    follow_up_date: date | None
    fields: tuple[Field, ...]

    def value_of(self, *words: str) -> str:
        """Return the first field whose name has one of the words in it, "" without one."""
        return next((f.value for word in words for f in self.fields if word in f.name.lower()), "")


@dataclass(frozen=True, slots=True)
class CalledNote:
    """A ready note with the facts of its call: what a CRM is told."""

    note_id: UUID
    session_id: UUID
    agent_name: str
    called_at: datetime
    duration_ms: int
    text: NoteText
    label: str
    url: str


def note_of(session_id: UUID) -> Note | None:
    """Return the session's note, whatever became of it; None when none was asked for."""
    return Note.objects.filter(session_id=session_id).first()


def text_of(note: Note) -> NoteText | None:
    """Return what a ready note says; None for any other."""
    if note.state != NoteState.READY:
        return None
    content: dict[str, Any] = note.content
    follow_up = content.get("follow_up_date")
    return NoteText(
        summary=content.get("summary") or "",
        outcome=content.get("outcome") or "",
        outcome_label=_OUTCOMES.get(content.get("outcome") or "", ""),
        sentiment=content.get("sentiment") or "",
        sentiment_label=_SENTIMENTS.get(content.get("sentiment") or "", ""),
        actions=tuple(Action(item["text"], item["turn"]) for item in content.get("action_items", [])),
        follow_up_date=date.fromisoformat(follow_up) if follow_up else None,
        fields=tuple(
            Field(item["name"], item["value"], item["turn"], item["collected"]) for item in content.get("fields", [])
        ),
    )


def label_of(note: Note) -> str:
    """Say who wrote the note, and what is not in it."""
    label = {
        "": "",
        NoteWriter.MODEL.value: f"Written by {note.provider_model or note.model_slug}.",
        NoteWriter.EMBEDDED.value: "Written by the embedded model, which is no match for a large one.",
        NoteWriter.FIELDS.value: "What the assistant took down; no model was asked.",
    }[note.written_by]
    if note.turns_left_out:
        turns = "1 turn" if note.turns_left_out == 1 else f"{note.turns_left_out} turns"
        label += f" The call was too long to be read whole: {turns} from its middle were left out or shortened."
    if note.written_by == NoteWriter.FIELDS and note.reason:
        label += f" {NoteReason(note.reason).label}"
    return label


def called_note(note: Note) -> CalledNote | None:
    """Return what a CRM is told of a note; None while there is nothing to tell."""
    text = text_of(note)
    if text is None:
        return None
    session = Session.objects.select_related("agent").get(pk=note.session_id)
    return CalledNote(
        note_id=note.pk,
        session_id=session.pk,
        agent_name=session.agent.name if session.agent else "",
        called_at=timezone.localtime(session.started_at or session.created_at),
        duration_ms=session.duration_ms,
        text=text,
        label=label_of(note),
        url=settings.PUBLIC_URL + reverse("console:call", args=[session.pk]),
    )
