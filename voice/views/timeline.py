"""A conversation as the console draws it: who spoke when, how long the caller waited, and what it cost by then."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from voice.models import Session, Turn, UsageRecord
from voice.transcripts.reading import TranscriptView, heard_until_ms

# The drawing is this wide, whatever the length of the call.
WIDTH = 1000
_NARROWEST = 4


@dataclass(slots=True)
class Row:
    """One turn; `cost_micro` is what was measured from its beginning to the next one's. `x`, `width`: of its bar."""

    turn: Turn
    text: str
    ended_ms: int
    x: int
    width: int
    cost_micro: int = field(default=0)

    @property
    def length_ms(self) -> int:
        return self.ended_ms - self.turn.started_ms


def timeline_of(session: Session, transcript: TranscriptView | None, records: Sequence[UsageRecord]) -> list[Row]:
    """Return the turns in order, with their words where they are kept."""
    texts = {turn.index: turn.text for turn in transcript.turns} if transcript else {}
    turns = list(session.turns.all())
    length_ms = max([session.duration_ms, 1, *(heard_until_ms(turn) for turn in turns)])
    rows = [_row(turn, texts.get(turn.index, ""), length_ms) for turn in turns]
    _add_costs(session, rows, records)
    return rows


def _row(turn: Turn, text: str, length_ms: int) -> Row:
    ended_ms = heard_until_ms(turn)
    width = max(_NARROWEST, (ended_ms - turn.started_ms) * WIDTH // length_ms)
    x = min(turn.started_ms * WIDTH // length_ms, WIDTH - _NARROWEST)
    return Row(turn, text, ended_ms, x, min(width, WIDTH - x))


def _add_costs(session: Session, rows: list[Row], records: Sequence[UsageRecord]) -> None:
    """Share out what was measured: a transcription to its turn, a response to the last turn that had begun by then."""
    if not rows or session.started_at is None:
        return
    by_item = {row.turn.item_id: row for row in rows}
    for record in records:
        at_ms = (record.created_at - session.started_at) // timedelta(milliseconds=1)
        begun = [row for row in rows if row.turn.started_ms <= at_ms]
        row = by_item.get(record.upstream_id) or (begun[-1] if begun else rows[0])
        row.cost_micro += record.captured_micro
