"""Read a provider's usage report into counted quantities; whatever it leaves out, nothing is undercharged.

The report comes from outside: every field may be missing, null, negative or of a wrong type. What a total counts
beyond its details is taken to be audio, the dearest kind.
"""

import math
from collections.abc import Mapping
from typing import Any

from voice.catalogue.rate_card import Kind

__all__ = ["Kind", "quantities_of_response", "quantities_of_transcription", "storable_usage"]

# Ten times the largest context there is, in tokens or seconds: above it, a report is garbage, and sums stay small.
_MOST = 10_000_000
_MOST_FIELDS = 40

Quantities = dict[Kind, int]


def quantities_of_response(usage: Mapping[str, Any] | None) -> Quantities:
    """Count a `response.done`'s usage; empty when it reports none (a response that failed)."""
    usage = _mapping(usage)
    return _without_zeros(_input_of(usage) | _output_of(usage))


def quantities_of_transcription(usage: Mapping[str, Any] | None) -> Quantities:
    """Count the usage of a transcription, which is told in tokens or in seconds; a started second counts whole."""
    usage = _mapping(usage)
    if seconds := _count(usage.get("seconds")):
        return {Kind.SECONDS: seconds}
    details = _mapping(usage.get("input_token_details"))
    text, audio = _count(details.get("text_tokens")), _count(details.get("audio_tokens"))
    audio += _beyond(usage.get("input_tokens"), text + audio)
    return _without_zeros({Kind.TEXT_IN: text, Kind.AUDIO_IN: audio, Kind.TEXT_OUT: _count(usage.get("output_tokens"))})


def _input_of(usage: Mapping[str, Any]) -> Quantities:
    details = _mapping(usage.get("input_token_details"))
    # Cached tokens are part of the totals beside them. Without the details nobody knows of which kind they were, and
    # charging them all at a cached rate could undercharge: they then count as not cached.
    cached = _mapping(details.get("cached_tokens_details"))
    text, audio, image = (_count(details.get(f"{name}_tokens")) for name in ("text", "audio", "image"))
    cached_text = min(_count(cached.get("text_tokens")), text)
    cached_audio = min(_count(cached.get("audio_tokens")), audio)
    cached_image = min(_count(cached.get("image_tokens")), image)
    return {
        Kind.TEXT_IN: text - cached_text,
        Kind.TEXT_CACHED_IN: cached_text,
        Kind.AUDIO_IN: audio - cached_audio + _beyond(usage.get("input_tokens"), text + audio + image),
        Kind.AUDIO_CACHED_IN: cached_audio,
        Kind.IMAGE_IN: image - cached_image,
        Kind.IMAGE_CACHED_IN: cached_image,
    }


def _output_of(usage: Mapping[str, Any]) -> Quantities:
    details = _mapping(usage.get("output_token_details"))
    text, audio = _count(details.get("text_tokens")), _count(details.get("audio_tokens"))
    rest = _beyond(usage.get("output_tokens"), text + audio)
    # Reasoning is text. Whether a provider counts it within text_tokens or beside it, it is charged once.
    reasoning = min(rest, _count(details.get("reasoning_tokens")))
    # A voice of another provider than the words' bills what it was given to say.
    characters = _count(details.get("characters"))
    return {Kind.TEXT_OUT: text + reasoning, Kind.AUDIO_OUT: audio + rest - reasoning, Kind.CHARACTERS: characters}


def _beyond(total: Any, counted: int) -> int:
    return max(0, _count(total) - counted)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return math.ceil(min(value, _MOST))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _without_zeros(quantities: Quantities) -> Quantities:
    return {kind: quantity for kind, quantity in quantities.items() if quantity}


def storable_usage(usage: Any) -> dict[str, Any]:
    """Return a report's numbers and short words, as deep as reports go, in a form every database takes as JSON."""
    return _storable(usage, depth=3) if isinstance(usage, Mapping) else {}


def _storable(report: Mapping[str, Any], depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for name, value in list(report.items())[:_MOST_FIELDS]:
        if not isinstance(name, str) or not _is_short_word(name):
            continue
        if isinstance(value, Mapping) and depth > 1:
            kept[name] = _storable(value, depth - 1)
        elif value is None or _is_short_word(value) or (isinstance(value, int | float) and abs(value) < 10**15):
            kept[name] = value
    return kept


def _is_short_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 60 and (value.isprintable() or not value)
