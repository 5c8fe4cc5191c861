"""Read what was kept of a conversation."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from voice.models import CollectedFields, Transcript, Turn


@dataclass(frozen=True, slots=True)
class TurnView:
    """One speaker's contribution as heard. Milliseconds since the call began; `speaker` is caller or agent."""

    index: int
    speaker: str
    text: str
    started_ms: int
    ended_ms: int
    # From the end of the caller's speech to the first audio of the answer.
    latency_ms: int | None
    interrupted: bool


@dataclass(frozen=True, slots=True)
class TranscriptView:
    session_id: UUID
    agent_name: str
    started_at: datetime
    is_redacted: bool
    turns: tuple[TurnView, ...]


@dataclass(frozen=True, slots=True)
class Collected:
    """What one finished task collected."""

    task_name: str
    fields: Mapping[str, str]
    completed_at: datetime


def transcript_of(session_id: UUID) -> TranscriptView | None:
    """Return a conversation's words with their times, in order; None where none are kept."""
    transcript = Transcript.objects.select_related("session__agent").filter(session_id=session_id).first()
    if transcript is None:
        return None
    session = transcript.session
    texts = dict(transcript.turns.values_list("index", "text"))
    turns = Turn.objects.filter(session_id=session_id, index__in=texts).order_by("index")
    return TranscriptView(
        session_id=session_id,
        agent_name=session.agent.name if session.agent else "",
        started_at=session.started_at or session.created_at,
        is_redacted=transcript.redacted_at is not None,
        turns=tuple(_view_of(turn, texts[turn.index]) for turn in turns),
    )


def collected_fields_of(session_id: UUID) -> list[Collected]:
    """Return what the conversation's tasks collected, in the order they were finished."""
    rows = CollectedFields.objects.filter(session_id=session_id)
    return [Collected(row.task_name, row.fields, row.completed_at) for row in rows]


def _view_of(turn: Turn, text: str) -> TurnView:
    return TurnView(
        turn.index, turn.speaker, text, turn.started_ms, heard_until_ms(turn), turn.latency_ms, turn.interrupted
    )


def heard_until_ms(turn: Turn) -> int:
    """Return when a turn was over for the caller: an answer is sent faster than it is played."""
    if turn.heard_ms:
        return turn.started_ms + turn.heard_ms
    return max(turn.started_ms, turn.ended_ms)
