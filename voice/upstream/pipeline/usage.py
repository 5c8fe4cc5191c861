"""Count the tokens of a pipeline's responses, by the rules published for Realtime models.

Audio counts 10 tokens a second when the caller speaks and 20 when the assistant does; an assistant's speech counts its
words as text besides. Text counts one token for every four bytes of UTF-8, rounded up: close to the truth for English,
and for scripts whose letters take three bytes. Each response reads the instructions, the tools and the whole history
again; what stands unchanged at the front of what the response before it read, counts as cached.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voice.upstream.pipeline.parts import ChatTokens

BYTES_PER_TEXT_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Piece:
    """One thing a response reads: what it is, and its tokens. Equal pieces are the same thing, unchanged."""

    key: str
    text_tokens: int = 0
    audio_tokens: int = 0

    @property
    def tokens(self) -> int:
        return self.text_tokens + self.audio_tokens


def text_tokens_of(text: str) -> int:
    return -(-len(text.encode()) // BYTES_PER_TEXT_TOKEN)


def usage_of(
    read: Sequence[Piece], read_before: Sequence[Piece], *, output_text_tokens: int, output_audio_tokens: int
) -> dict[str, Any]:
    """Return the `usage` of a response.done."""
    text, audio = _tokens(read)
    cached_text, cached_audio = _tokens(_same_beginning(read, read_before))
    input_tokens, output_tokens = text + audio, output_text_tokens + output_audio_tokens
    return {
        "total_tokens": input_tokens + output_tokens,
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "input_token_details": {
            "text_tokens": text,
            "audio_tokens": audio,
            "image_tokens": 0,
            "cached_tokens": cached_text + cached_audio,
            "cached_tokens_details": {"text_tokens": cached_text, "audio_tokens": cached_audio, "image_tokens": 0},
        },
        "output_token_details": {"text_tokens": output_text_tokens, "audio_tokens": output_audio_tokens},
    }


def usage_in_words(tokens: ChatTokens, characters: int) -> dict[str, Any]:
    """Return the `usage` of a response whose chat model bills its own tokens, and its voice by the character."""
    nothing = {"audio_tokens": 0, "image_tokens": 0}
    return {
        "total_tokens": tokens.read + tokens.written,
        "input_tokens": tokens.read,
        "output_tokens": tokens.written,
        "input_token_details": {
            "text_tokens": tokens.read,
            **nothing,
            "cached_tokens": tokens.cached,
            "cached_tokens_details": {"text_tokens": tokens.cached, **nothing},
        },
        "output_token_details": {"text_tokens": tokens.written, "audio_tokens": 0, "characters": characters},
    }


def _same_beginning(read: Sequence[Piece], read_before: Sequence[Piece]) -> Sequence[Piece]:
    for length, (now, before) in enumerate(zip(read, read_before, strict=False)):
        if now != before:
            return read[:length]
    return read[: len(read_before)]


def _tokens(pieces: Sequence[Piece]) -> tuple[int, int]:
    return sum(piece.text_tokens for piece in pieces), sum(piece.audio_tokens for piece in pieces)
