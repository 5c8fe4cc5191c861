"""Where what is said goes: to the recorder where the caller agreed, and to what another model would go on from."""

from collections.abc import Mapping, Sequence
from typing import Any

from voice.sessions.fallback.so_far import SoFar
from voice.transcripts.recorder import Recorder, TimedTurn, TurnText


class Words:
    """One a call, fed by the relay. `answering` is the item in which the running response speaks, "" before it does."""

    def __init__(
        self, *, are_kept: bool, so_far: SoFar | None = None, recorded: Mapping[str, Any] | None = None
    ) -> None:
        """`recorded` is what another process recorded of the call, if it goes on with one."""
        self.so_far = so_far or SoFar()
        # Without consent there is nothing that could keep a word.
        self._recorder = (Recorder.load(recorded) if recorded else Recorder()) if are_kept else None
        self.answering = ""

    def recorded(self) -> dict[str, Any] | None:
        """Return what is recorded, in JSON's types; None where the caller did not agree to it."""
        return self._recorder.dump() if self._recorder else None

    @property
    def are_awaited(self) -> bool:
        """Whether something that is to be kept is still being written down."""
        return self._recorder is not None and self._recorder.awaits_words

    def caller_said(self, item_id: str, *, is_written_down: bool) -> None:
        self.so_far.caller_said(item_id)
        if self._recorder and is_written_down:
            self._recorder.caller_said(item_id)

    def caller_final(self, item_id: str, text: str) -> None:
        self.so_far.caller_final(item_id, text)
        if self._recorder:
            self._recorder.caller_final(item_id, text)

    def caller_not_understood(self, item_id: str) -> None:
        if self._recorder:
            self._recorder.caller_not_understood(item_id)

    def agent_delta(self, item_id: str, text: str) -> None:
        self.answering = item_id
        self.so_far.agent_delta(item_id, text)
        if self._recorder:
            self._recorder.agent_delta(item_id, text)

    def agent_final(self, item_id: str, text: str, spoken_ms: int) -> None:
        self.so_far.agent_final(item_id, text, spoken_ms)
        if self._recorder:
            self._recorder.agent_final(item_id, text)

    def interrupted(self, item_id: str) -> None:
        self.so_far.interrupted(item_id)
        if self._recorder:
            self._recorder.interrupted(item_id)

    def heard(self, item_id: str, heard_ms: int, of_ms: int) -> None:
        self.so_far.heard(item_id, heard_ms, of_ms)
        if self._recorder:
            self._recorder.heard(item_id, heard_ms, of_ms)

    def cut_off(self, spoken_ms: int | None) -> str:
        """The running response ends where it is; return its words, as far as they were said."""
        text = self.so_far.cut_off(self.answering, spoken_ms)
        if self._recorder:
            self._recorder.agent_final(self.answering, text)
        return text

    def are_lost(self) -> None:
        """Nothing more comes of what was being written down: whoever did it is gone."""
        if self._recorder:
            self._recorder.give_up_waiting()

    def of(self, turns: Sequence[TimedTurn]) -> list[TurnText]:
        """Return what was said, as heard, turn by turn; nothing where the caller did not agree to its being kept."""
        return self._recorder.turns(turns) if self._recorder else []
