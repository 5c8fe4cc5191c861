"""What is said in a call whose caller agreed, as heard: in memory, until the call ends."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

# An hour of uninterrupted talk of both sides is about a fifth of it; beyond it nothing more is written down.
CHARS_MAX = 500_000


class TimedTurn(Protocol):
    """As much of a turn's times as tells whose words belong to it."""

    @property
    def item_id(self) -> str: ...


@dataclass(frozen=True, slots=True)
class TurnText:
    """The words of the turn at `index` of the call's turns."""

    index: int
    text: str


class Recorder:
    """One a call, fed by the relay; made only for a call whose words may be kept."""

    def __init__(self) -> None:
        self._texts: dict[str, str] = {}
        self._is_final: set[str] = set()
        self._awaited: set[str] = set()
        self._chars = 0

    def dump(self) -> dict[str, Any]:
        """Return all of it in JSON's types, for a process that goes on with the call."""
        return {"texts": dict(self._texts), "final": sorted(self._is_final)}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Recorder":
        """Return what was dumped."""
        recorder = cls()
        for item_id, text in dumped["texts"].items():
            recorder._set(str(item_id), str(text))
        recorder._is_final = set(dumped["final"])
        return recorder

    def agent_delta(self, item_id: str, text: str) -> None:
        if item_id not in self._is_final:
            self._set(item_id, self._texts.get(item_id, "") + text)

    def agent_final(self, item_id: str, text: str) -> None:
        """The upstream says what the whole answer was."""
        if item_id not in self._is_final and text:
            self._set(item_id, text)

    def caller_said(self, item_id: str) -> None:
        """The caller has finished a turn, whose words come when they are written down, or never."""
        if item_id not in self._texts:
            self._awaited.add(item_id)

    def caller_final(self, item_id: str, text: str) -> None:
        self._awaited.discard(item_id)
        self._set(item_id, text)

    def caller_not_understood(self, item_id: str) -> None:
        self._awaited.discard(item_id)

    def give_up_waiting(self) -> None:
        """Whoever wrote down what the caller says is gone."""
        self._awaited.clear()

    @property
    def awaits_words(self) -> bool:
        """Whether something that was said is still being written down."""
        return bool(self._awaited)

    def interrupted(self, item_id: str) -> None:
        """What the model goes on to write of this answer is not spoken any more."""
        self._is_final.add(item_id)

    def heard(self, item_id: str, heard_ms: int, of_ms: int) -> None:
        """Only heard_ms of the of_ms that were sent of this answer were played.

        No upstream says which words those were: OpenAI deletes the transcript of an item that is truncated.
        """
        self._is_final.add(item_id)
        self._set(item_id, heard_text(self._texts.get(item_id, ""), heard_ms, of_ms))

    def turns(self, turns: Sequence[TimedTurn]) -> list[TurnText]:
        """Return the words of the turns that have any, in their order."""
        texts = [(index, self._texts.get(turn.item_id, "").strip()) for index, turn in enumerate(turns)]
        return [TurnText(index, text) for index, text in texts if text]

    def _set(self, item_id: str, text: str) -> None:
        before = len(self._texts.get(item_id, ""))
        kept = text[: max(0, CHARS_MAX - self._chars + before)]
        self._chars += len(kept) - before
        self._texts[item_id] = kept


def heard_text(text: str, heard_ms: int, of_ms: int) -> str:
    """Return the part of a text that was heard, by its share of the audio, cut at a word."""
    if heard_ms >= of_ms:
        return text
    words = text.split()
    return " ".join(words[: len(words) * heard_ms // of_ms])
