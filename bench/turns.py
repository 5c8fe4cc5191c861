"""One turn, taken apart: what passed between the caller's last sound and the assistant's first."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Turn:
    """Milliseconds. The parts add up to the whole.

    `turn_end_ms`: until the server said that the caller had finished. `answer_ms`: from then until the first audio came
    (words, answer, voice; the hold is taken in it too). `audible_ms`: from then until it could be heard.
    """

    whole_ms: float
    turn_end_ms: float
    answer_ms: float
    audible_ms: float


def turn_of(said_at_ms: float, messages: Sequence[Mapping[str, Any]], onsets: Sequence[float]) -> Turn | None:
    """Read a turn from a page's notes; None when no answer began after the end of speech."""
    onset = next((at for at in onsets if at > said_at_ms), None)
    thinking = next((note["at"] for note in messages if note["what"] == "thinking" and note["at"] > said_at_ms), None)
    if onset is None or thinking is None or any(at < said_at_ms for at in onsets):
        return None
    audio = next((note["at"] for note in messages if note["what"] == "audio" and note["at"] >= thinking), None)
    if audio is None or audio > onset:
        return None
    return Turn(onset - said_at_ms, thinking - said_at_ms, audio - thinking, onset - audio)
