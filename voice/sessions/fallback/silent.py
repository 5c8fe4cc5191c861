"""An answer whose words came without their sound: captions go on, and the caller hears nothing."""

from collections.abc import Mapping
from typing import Any

from voice.sessions.state import function_calls


def unheard_items(response: Mapping[str, Any]) -> list[str]:
    """Return the ids of what a response of which no sound came says it has spoken; [] where it owed no sound.

    A response that calls a tool is not judged: what it says besides is a filler.
    """
    if response.get("status") != "completed" or function_calls(response):
        return []
    spoken = (item for item in response.get("output") or [] if item.get("type") == "message")
    return [str(item.get("id")) for item in spoken if any(map(_owes_sound, item.get("content") or []))]


def _owes_sound(part: Mapping[str, Any]) -> bool:
    # Of three dots nothing is to be heard.
    words = part.get("transcript") or ""
    return part.get("type") == "output_audio" and any(map(str.isalnum, words))
