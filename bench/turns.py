"""One turn, taken apart: what passed between the caller's last sound and the assistant's first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Turn:
    """Milliseconds. The parts add up to the whole.

    `turn_end_ms`: until the server said that the caller had finished. `words_ms`: from then until it knew their words.
    `answer_ms`: from then until the first audio came (the hold, the answer, its voice). `audible_ms`: from then until
    it could be heard.
    """

    whole_ms: float
    turn_end_ms: float
    words_ms: float
    answer_ms: float
    audible_ms: float


def turn_of(said_at_ms: float, messages: Sequence[Mapping[str, Any]], onsets: Sequence[float]) -> Turn | None:
    """Read a turn from a page's notes; None when no answer began after the end of speech."""
    if not onsets or any(at < said_at_ms for at in onsets):
        return None
    thinking = _first("thinking", messages, said_at_ms)
    audio = _first("audio", messages, thinking or said_at_ms)
    if thinking is None or audio is None or audio > onsets[0]:
        return None
    # A caption that comes with or after the answer held nothing up.
    words = _first("caller", messages, thinking)
    words = thinking if words is None or words > audio else words
    return Turn(onsets[0] - said_at_ms, thinking - said_at_ms, words - thinking, audio - words, onsets[0] - audio)


def _first(what: str, messages: Sequence[Mapping[str, Any]], since_ms: float) -> float | None:
    return next((float(note["at"]) for note in messages if note["what"] == what and note["at"] >= since_ms), None)
