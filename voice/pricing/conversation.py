"""What a call of a given shape makes a model read and say, answer by answer.

Each answer reads the conversation again: the caller's speech at ten tokens a second, the assistant's own at twenty,
and the words of what it said. So a call's cost grows with the square of its length, until the window is full.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from voice.audio import bytes_of, input_tokens_of, output_tokens_of
from voice.catalogue.rate_card import Kind
from voice.history import RECENT_KEPT_TOKENS, RECENT_TOKENS
from voice.metering.usage import Quantities
from voice.pricing.parameters import History, Question

# What marks a message's beginning, end and speaker; two messages a turn.
_FRAME_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Turn:
    """One exchange, all of them alike: the caller says something, the assistant answers. In tokens."""

    heard: int
    spoken: int
    words_heard: int
    words_spoken: int
    heard_ms: int

    @property
    def voice_tokens(self) -> int:
        """What it adds to a spoken conversation: both speeches, and the words of the assistant's."""
        return self.heard + self.spoken + self.words_spoken + _FRAME_TOKENS

    @property
    def text_tokens(self) -> int:
        """What it adds to a typed conversation."""
        return self.words_heard + self.words_spoken + _FRAME_TOKENS


@dataclass(frozen=True, slots=True)
class Read:
    """What one answer has to read: `kept` earlier turns, and so many per cent of it from the cache."""

    kept: int
    cached_percent: int


def turns_of(question: Question) -> int:
    return question.minutes_per_call * question.turns_per_minute


def turn_of(question: Question) -> Turn:
    turn_ms = 60_000 // question.turns_per_minute
    spoken_ms = turn_ms * question.agent_talk_percent // 100
    heard_ms = turn_ms - spoken_ms
    return Turn(
        heard=input_tokens_of(bytes_of(heard_ms)),
        spoken=output_tokens_of(bytes_of(spoken_ms)),
        words_heard=_tokens_of_speech(heard_ms, question.words_per_minute),
        words_spoken=_tokens_of_speech(spoken_ms, question.words_per_minute),
        heard_ms=heard_ms,
    )


def instructions_tokens(question: Question) -> int:
    return _tokens_of_words(question.instructions_words)


def reads_of(question: Question, turn_tokens: int, window_tokens: int) -> Iterator[Read]:
    """Yield what each answer of the call reads, for turns of that size in a window of that size."""
    most_tokens, kept_tokens = _limits(question, window_tokens)
    kept = 0
    for index in range(turns_of(question)):
        is_cut = (kept + 1) * turn_tokens > most_tokens
        if is_cut:
            kept = max(0, min(kept_tokens, most_tokens - turn_tokens)) // turn_tokens
        # Nothing was read before the first answer, and a cut changes what the cache had remembered.
        yield Read(kept, 0 if index == 0 or is_cut else question.cached_percent)
        kept += 1


def spoken_answer(question: Question, turn: Turn, read: Read) -> Quantities:
    """Count what a spoken answer uses."""
    audio_again = read.kept * (turn.heard + turn.spoken)
    text_again = instructions_tokens(question) + read.kept * (turn.words_spoken + _FRAME_TOKENS)
    audio_cached, text_cached = (tokens * read.cached_percent // 100 for tokens in (audio_again, text_again))
    return {
        Kind.TEXT_IN: text_again - text_cached,
        Kind.TEXT_CACHED_IN: text_cached,
        Kind.TEXT_OUT: turn.words_spoken,
        Kind.AUDIO_IN: audio_again - audio_cached + turn.heard,
        Kind.AUDIO_CACHED_IN: audio_cached,
        Kind.AUDIO_OUT: turn.spoken,
    }


def typed_answer(question: Question, turn: Turn, read: Read) -> Quantities:
    """Count what the same answer uses when both sides type."""
    again = instructions_tokens(question) + read.kept * turn.text_tokens
    cached = again * read.cached_percent // 100
    return {
        Kind.TEXT_IN: again - cached + turn.words_heard,
        Kind.TEXT_CACHED_IN: cached,
        Kind.TEXT_OUT: turn.words_spoken,
    }


def _limits(question: Question, window_tokens: int) -> tuple[int, int]:
    """The most that may be kept beside the instructions, and what is left of it after a cut."""
    window_tokens = max(0, window_tokens - instructions_tokens(question))
    match question.history:
        case History.RECENT:
            return min(RECENT_TOKENS, window_tokens), min(RECENT_KEPT_TOKENS, window_tokens)
        case History.WHOLE:
            return window_tokens, window_tokens


def _tokens_of_speech(ms: int, words_per_minute: int) -> int:
    return _tokens_of_words(ms * words_per_minute // 60_000)


def _tokens_of_words(words: int) -> int:
    # English has about four tokens in three words.
    return -(-words * 4 // 3)
