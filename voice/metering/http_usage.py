"""Read what one HTTP request used, from the provider's report or from what was delivered, as counted quantities."""

import math
from collections.abc import Mapping
from typing import Any

from voice.audio import output_tokens_of
from voice.metering.usage import Kind, Quantities, quantities_of_transcription

# No tokenizer in use makes more than one token of two bytes, on average over a text; English makes one of four.
_BYTES_PER_TOKEN_MAX = 2
# Chat formats put a few tokens around each message.
_TOKENS_AROUND = 8
_CHARS_PER_TOKEN = 3
_BYTES_PER_TOKEN = 4
_MOST = 10_000_000
# A caller's audio: ten tokens a second, and at most some three words.
_AUDIO_TOKENS_A_SECOND = 10
_WORD_TOKENS_A_SECOND = 7
_LONGEST_AUDIO_S = 1500
# Speech is some fifteen characters a second; at a quarter of the speed, less than four.
_CHARACTERS_A_SECOND_MIN = 3
_SPEECH_TOKENS_A_SECOND = 21


def quantities_of_chat(usage: Mapping[str, Any] | None) -> Quantities:
    """Count a completion's usage; empty when there is no report. Reasoning is part of the completion."""
    report = usage if isinstance(usage, Mapping) else {}
    details = report.get("prompt_tokens_details")
    read = _count(report.get("prompt_tokens"))
    cached = min(read, _count(details.get("cached_tokens"))) if isinstance(details, Mapping) else 0
    return _without_zeros(
        {
            Kind.TEXT_IN: read - cached,
            Kind.TEXT_CACHED_IN: cached,
            Kind.TEXT_OUT: _count(report.get("completion_tokens")),
        }
    )


def quantities_of_speech(usage: Mapping[str, Any] | None) -> Quantities:
    """Count the usage that ends a stream of speech events: what was read is text, what was made is audio."""
    report = usage if isinstance(usage, Mapping) else {}
    return _without_zeros(
        {Kind.TEXT_IN: _count(report.get("input_tokens")), Kind.AUDIO_OUT: _count(report.get("output_tokens"))}
    )


def billable_transcription(usage: Mapping[str, Any] | None, *, has_seconds_rate: bool) -> Quantities:
    """Count a transcription's usage; seconds become tokens by the published rule where there is no rate for them."""
    quantities = quantities_of_transcription(usage)
    seconds = quantities.get(Kind.SECONDS, 0)
    if not seconds or has_seconds_rate:
        return quantities
    return transcribed_seconds(seconds)


def transcribed_seconds(seconds: int) -> Quantities:
    return {Kind.AUDIO_IN: seconds * _AUDIO_TOKENS_A_SECOND, Kind.TEXT_OUT: seconds * _WORD_TOKENS_A_SECOND}


def context_tokens_of(body_bytes: int, n_messages: int) -> int:
    """Return an upper bound of what a model reads of a request whose messages and tools are so many bytes of JSON."""
    return body_bytes // _BYTES_PER_TOKEN_MAX + n_messages * _TOKENS_AROUND


def estimated_chat(*, body_bytes: int, answer_chars: int) -> Quantities:
    """Return what a stream that was given up must have used; nothing when nothing was delivered."""
    if not answer_chars:
        return {}
    return {Kind.TEXT_IN: -(-body_bytes // _BYTES_PER_TOKEN), Kind.TEXT_OUT: -(-answer_chars // _CHARS_PER_TOKEN)}


def estimated_speech(*, text: str, pcm_bytes: int) -> Quantities:
    """Return what so much 24 kHz speech must have used, when nobody reported it."""
    if not pcm_bytes:
        return {}
    return {Kind.TEXT_IN: -(-len(text.encode()) // _BYTES_PER_TOKEN), Kind.AUDIO_OUT: output_tokens_of(pcm_bytes)}


def most_speech(text: str) -> Quantities:
    """Return the most that reading `text` aloud can use."""
    seconds = math.ceil(len(text) / _CHARACTERS_A_SECOND_MIN) + 2
    return {Kind.TEXT_IN: len(text.encode()), Kind.AUDIO_OUT: seconds * _SPEECH_TOKENS_A_SECOND}


def most_audio_seconds(file_bytes: int) -> int:
    """Return how long a file of speech can be at most: recordings have at least eight kilobits a second."""
    return min(_LONGEST_AUDIO_S, file_bytes // 1000 + 1)


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | float) or not value > 0:
        return 0
    return math.ceil(min(value, _MOST))


def _without_zeros(quantities: Quantities) -> Quantities:
    return {kind: quantity for kind, quantity in quantities.items() if quantity}
