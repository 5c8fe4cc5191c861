"""Every word a caller reads on the call, one file a language; the page gets the same file that the server reads.

To add a language, copy en.json to its tag (as in pt.json), translate the values, and keep the {placeholders}.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

Words = Mapping[str, Any]

_FOLDER = Path(__file__).parent
DEFAULT_LANGUAGE = "en"


@cache
def languages() -> dict[str, str]:
    """Return the tags that have words, and each language's name for itself."""
    return {path.stem: str(_read(path.stem)["name"]) for path in sorted(_FOLDER.glob("*.json"))}


@cache
def words_of(language: str) -> Words:
    """Return the words in a language: of "hi-IN", those of "hi"; English where there are none. Not to be changed."""
    tag = language.lower()
    for wanted in (tag, tag.partition("-")[0]):
        if wanted in languages():
            return _read(wanted)
    return _read(DEFAULT_LANGUAGE)


def with_texts(words: Words, texts: Mapping[str, str]) -> Words:
    """Return the words with an owner's own in their place: {"buttons.talk": "Ask us"}. Unknown names change nothing."""
    changed = {name: dict(section) if isinstance(section, dict) else section for name, section in words.items()}
    for name, text in texts.items():
        section, _, key = name.partition(".")
        if text and isinstance(changed.get(section), dict) and isinstance(changed[section].get(key), str):
            changed[section][key] = text
    return changed


def _read(language: str) -> dict[str, Any]:
    words: dict[str, Any] = json.loads((_FOLDER / f"{language}.json").read_text(encoding="utf-8"))
    return words
