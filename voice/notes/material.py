"""What a note is made of, as plain values: whoever knows where it is kept hands it in."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field

# A line break in a turn is no more than a pause; every other control character is nothing a person said.
_PAUSES = {"\n": " ", "\r": " ", "\t": " ", "\u2028": " ", "\u2029": " "}


@dataclass(frozen=True, slots=True)
class Said:
    """One turn: its index in the session, "caller" or "agent", and its text as heard."""

    turn: int
    speaker: str
    text: str


@dataclass(frozen=True, slots=True)
class Material:
    """`turns` is empty where nothing was kept; `collected` is what finished tasks took down, name to text."""

    turns: tuple[Said, ...] = ()
    collected: Mapping[str, str] = field(default_factory=dict)


def plain_text(text: str) -> str:
    """Return the text without what a reader could not see: control, direction and tag characters, half characters."""
    spaced = "".join(_PAUSES.get(character, character) for character in unicodedata.normalize("NFC", text))
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in ("Cc", "Cf", "Cs", "Co", "Cn")).split())
