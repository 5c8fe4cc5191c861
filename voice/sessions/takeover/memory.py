"""What a call takes along when another process goes on with it: the words so far, its turns, where its answer was."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from voice.audio import BYTES_PER_MS, ms_of
from voice.sessions.fallback.so_far import SoFar
from voice.sessions.turns import TurnTimes


@dataclass(slots=True)
class Memory:
    """Of a call as its process last knew it. `words` are the recorder's, where the caller agreed to their being kept.

    `answer_id` is the answer that was said last and `answer_bytes` its speech, of the `sent_bytes` that were sent in
    the whole call. `is_answering`: it was not finished; `is_owed`: the caller was waiting for one, or in the middle.
    """

    so_far: SoFar = field(default_factory=SoFar)
    turns: list[TurnTimes] = field(default_factory=list)
    words: Mapping[str, Any] | None = None
    completed_task: str = ""
    was_answered: bool = False
    is_voice: bool = True
    is_owed: bool = False
    is_answering: bool = False
    answer_id: str = ""
    answer_bytes: int = 0
    sent_bytes: int = 0

    @property
    def turn_stamp(self) -> object:
        """Something that is another whenever somebody else's turn begins, or one is over."""
        return (len(self.turns), self.completed_task, self.is_voice, self.is_owed, self.is_answering)

    @property
    def stamp(self) -> object:
        """Something that is another whenever there is more to remember."""
        return (self.turn_stamp, self.so_far.chars, self.sent_bytes)

    def dump(self) -> dict[str, Any]:
        """Return all of it in JSON's types."""
        slots = {name: getattr(self, name) for name in self.__slots__}
        return {**slots, "so_far": self.so_far.dump(), "turns": [asdict(turn) for turn in self.turns]}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "Memory":
        """Return what was dumped."""
        turns = [TurnTimes(**turn) for turn in dumped["turns"]]
        return cls(**{**dumped, "so_far": SoFar.load(dumped["so_far"]), "turns": turns})

    def cut_to(self, received_bytes: int) -> str:
        """End the last answer where the caller's browser has it; return its words when it was cut off there, else "".

        `received_bytes` counts all audio that has come in the call: what has come is played.
        """
        if not self.answer_id:
            return ""
        missing_bytes = min(self.answer_bytes, max(0, self.sent_bytes - received_bytes))
        is_cut = missing_bytes > _HARDLY_MISSED_BYTES
        if not (is_cut or self.is_answering):
            return ""
        self.is_owed = True
        # What this knows of may be a second old.
        more_bytes = max(0, received_bytes - self.sent_bytes)
        heard_ms, of_ms = ms_of(self.answer_bytes - missing_bytes + more_bytes), ms_of(self.answer_bytes)
        said = self.so_far.cut_off(self.answer_id, max(heard_ms, of_ms) or None)
        if is_cut:
            self.so_far.heard(self.answer_id, heard_ms, of_ms)
            said = self.so_far.text_of(self.answer_id)
        for turn in self.turns:
            if turn.item_id == self.answer_id:
                turn.heard_ms, turn.interrupted = heard_ms, True
        return said


# The end of a last word.
_HARDLY_MISSED_BYTES = 200 * BYTES_PER_MS


@dataclass(frozen=True, slots=True)
class Before:
    """What came before a process took a call over: how long it has run, and what is known of it.

    `memory` is None when nothing that was said is known; `cut_off` are the words of an answer that was broken off, and
    `cut_off_id` its item. `turns` and `words` (the recorder's) are what is kept of the call.
    `rung` is the first rung that is free, `away_s` how long nobody may have held the call, `received_bytes` and
    `received_messages` what the caller's browser has had of it.
    """

    elapsed_s: float
    rung: int
    away_s: float
    memory: Memory | None = None
    turns: Sequence[TurnTimes] = ()
    words: Mapping[str, Any] | None = None
    cut_off: str = ""
    cut_off_id: str = ""
    received_bytes: int = 0
    received_messages: int = 0
    used_micro: int = 0

    @property
    def is_owed(self) -> bool:
        """Whether something is to be said as soon as there is somebody to say it."""
        return self.memory is None or self.memory.is_owed


class HandedOver(Exception):
    """The call goes on without this process, which lets go of it and settles nothing.

    `is_taken`: another process has it already; else one may take it, because this one stops.
    """

    def __init__(self, *, is_taken: bool) -> None:
        super().__init__(is_taken)
        self.is_taken = is_taken
