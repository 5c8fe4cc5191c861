"""What has been said in a call, in words, so that another model can go on from there.

It is fed whether or not the caller agreed to their words being kept: it lives in memory and ends with the call.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voice.transcripts.recorder import heard_text

# Together about half an hour of talk of both sides. What is older is dropped: another model can go on without it.
ITEMS_MAX = 400
CHARS_MAX = 40_000
# Text runs ahead of the speech it belongs to. Until an answer of this call was spoken whole, ordinary speed is assumed.
_CHARS_A_SECOND = 15
# English has about four characters a token, other languages fewer: a bound for what a new upstream is given to read.
_CHARS_A_TOKEN = 3

_NOT_WRITTEN_DOWN = "(Something was said here that was not written down.)"
_CONTENT_OF_ROLE = {"user": "input_text", "assistant": "output_text", "system": "input_text"}


@dataclass(slots=True)
class _Said:
    """`is_final`: what comes of it later is not said any more."""

    role: str
    text: str = ""
    is_final: bool = False


class SoFar:
    def __init__(self) -> None:
        self._said: dict[str, _Said] = {}
        self._chars = 0
        self._notes = 0
        self._spoken_chars = self._spoken_ms = 0

    def __bool__(self) -> bool:
        return bool(self._said)

    @property
    def chars(self) -> int:
        return self._chars

    def caller_said(self, item_id: str) -> None:
        """The caller has finished a turn, whose words come when they are written down, or never."""
        self._of(item_id, "user")

    def caller_final(self, item_id: str, text: str) -> None:
        self._set(self._of(item_id, "user"), text.strip())

    def agent_delta(self, item_id: str, text: str) -> None:
        said = self._of(item_id, "assistant")
        if not said.is_final:
            self._set(said, said.text + text)

    def agent_final(self, item_id: str, text: str, spoken_ms: int = 0) -> None:
        """The upstream says what the whole answer was, of which `spoken_ms` of speech were sent."""
        said = self._of(item_id, "assistant")
        if said.is_final:
            return
        self._set(said, text or said.text)
        said.is_final = True
        if spoken_ms:
            self._spoken_chars, self._spoken_ms = self._spoken_chars + len(said.text), self._spoken_ms + spoken_ms

    def interrupted(self, item_id: str) -> None:
        """What the model goes on to write of this answer is not spoken any more."""
        self._of(item_id, "assistant").is_final = True

    def heard(self, item_id: str, heard_ms: int, of_ms: int) -> None:
        """Only heard_ms of the of_ms that were sent of this answer were played."""
        said = self._of(item_id, "assistant")
        said.is_final = True
        self._set(said, heard_text(said.text, heard_ms, of_ms))

    def cut_off(self, item_id: str, spoken_ms: int | None) -> str:
        """An answer ends where it is, with `spoken_ms` of speech sent (None: it was written). Return its words."""
        said = self._of(item_id, "assistant")
        if not said.is_final and spoken_ms is not None:
            self._set(said, _whole_words(said.text, self._chars_in(spoken_ms)))
        said.is_final = True
        return said.text

    def text_of(self, item_id: str) -> str:
        return self._said[item_id].text if item_id in self._said else ""

    def is_final(self, item_id: str) -> bool:
        return item_id in self._said and self._said[item_id].is_final

    def words_are_missing(self) -> bool:
        """Say whether the last thing said is a turn of the caller's that was not written down."""
        last = next(reversed(self._said.values()), None)
        return last is not None and last.role == "user" and not last.text

    def note(self, text: str) -> None:
        """Something the model is to know that nobody said: what a tool answered."""
        self._notes += 1
        self._set(self._of(f"note_{self._notes}", "system"), text)

    def items(self, tokens_max: int | None = None) -> dict[str, dict[str, Any]]:
        """Return GA conversation items by the ids of what they tell of, oldest first.

        With `tokens_max` the latest that are about so many tokens.
        """
        items: list[tuple[str, dict[str, Any]]] = []
        chars_left = CHARS_MAX if tokens_max is None else tokens_max * _CHARS_A_TOKEN
        for item_id, said in reversed(self._said.items()):
            text = said.text.strip() or (_NOT_WRITTEN_DOWN if said.role == "user" else "")
            if len(text) > chars_left:
                break
            if text:
                chars_left -= len(text)
                content = [{"type": _CONTENT_OF_ROLE[said.role], "text": text}]
                items.append((item_id, {"type": "message", "role": said.role, "content": content}))
        return dict(reversed(items))

    def dump(self) -> dict[str, Any]:
        """Return all of it in JSON's types."""
        return {"said": [[item_id, said.role, said.text, said.is_final] for item_id, said in self._said.items()]}

    @classmethod
    def load(cls, dumped: Mapping[str, Any]) -> "SoFar":
        """Return what was dumped."""
        so_far = cls()
        for item_id, role, text, is_final in dumped["said"]:
            said = so_far._of(str(item_id), str(role))
            so_far._set(said, str(text))
            said.is_final = bool(is_final)
            so_far._notes += said.role == "system"
        return so_far

    def _of(self, item_id: str, role: str) -> _Said:
        said = self._said.get(item_id)
        if said is None:
            said = self._said[item_id] = _Said(role)
            if len(self._said) > ITEMS_MAX:
                self._drop_oldest()
        return said

    def _set(self, said: _Said, text: str) -> None:
        text = text[:CHARS_MAX]
        self._chars += len(text) - len(said.text)
        said.text = text
        while self._chars > CHARS_MAX:
            self._drop_oldest()

    def _drop_oldest(self) -> None:
        oldest = self._said.pop(next(iter(self._said)))
        self._chars -= len(oldest.text)

    def _chars_in(self, spoken_ms: int) -> int:
        if self._spoken_ms:
            return spoken_ms * self._spoken_chars // self._spoken_ms
        return spoken_ms * _CHARS_A_SECOND // 1000


def _whole_words(text: str, chars: int) -> str:
    """Return the beginning of a text, to the end of the word that so many characters reach into."""
    if chars >= len(text):
        return text
    return text[:chars] + text[chars:].partition(" ")[0] if chars > 0 else ""
