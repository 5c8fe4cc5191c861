"""Turn a caller's speech into text with Moonshine, and drop what it invents when nobody spoke."""

import re
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from local_models.model_files import MOONSHINE_FILES, locate
from local_models.wav import Samples

MODEL_ID = "moonshine-tiny-en"
RATE = 16_000

# A minute and a bit is far beyond one turn of a conversation; more would only hold a worker.
DURATION_MAX_SECONDS = 120
# Beyond about 15 s the model slows down and loses text, so longer audio is cut at its quietest moment after 10 s.
CUT_FROM_SECONDS = 10
CUT_AT_SECONDS = 15

CLIP_MIN_MS = 300
VOICED_MIN_MS = 140
FRAME_MS = 20
QUIET_RMS = 0.004
# Steady noise varies by some 20 % from frame to frame; speech, even at 5 dB above noise, by much more.
ABOVE_FLOOR = 1.6

INVENTED = {
    "",
    "you",
    "thank you for watching",
    "thanks for watching",
    "music",
    "applause",
    "laughter",
    "silence",
    "blank audio",
}
REPEATS_MAX = 3

_DIGIT_WORDS = {
    word: str(value)
    for value, word in enumerate(("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"))
} | {"oh": "0"}
_DIGIT_RUN = re.compile(rf"\b(?:(?:\d+|{'|'.join(_DIGIT_WORDS)})\b[\s,.\-–]*){{3,}}(?<![\s,.\-–])", re.IGNORECASE)
_LETTER_RUN = re.compile(r"\b[A-Za-z](?:(?:-|\.\s|,\s|\s)[A-Za-z]\b){2,}")
# The recogniser sometimes stops in the middle of a closing "p.m.".
_CUT_MERIDIEM = re.compile(r"(\d) ([ap])[.?!]?$")
_LOOP = re.compile(rf"(\b[^.!?]{{1,60}}[.!?])(?:\s+\1){{{REPEATS_MAX},}}")
# "Five. Five. Five. Five." is a number.
# "9 a M.." and "nine P.M." are one thing said.
_MERIDIEM = re.compile(r"(?<![\w'.])([ap])(?:\.\s?|\s)m\b\.*", re.IGNORECASE)
_ONLY_DIGITS = re.compile(rf"(?:\d+|{'|'.join(_DIGIT_WORDS)}|[\s,.!?-])+", re.IGNORECASE)
_BRACKETED = re.compile(r"\[[^\]]*\]|\([^)]*\)|[♪♫]+")


@dataclass(frozen=True)
class Segment:
    """A stretch of audio and what was heard in it. Times in seconds from the start of the file."""

    start_seconds: float
    end_seconds: float
    text: str


class Recogniser(Protocol):
    """One handle of the recogniser. Not to be shared between threads: that corrupts memory."""

    def recognise(self, samples: Samples) -> str: ...


class MoonshineRecogniser:
    """Moonshine tiny, without its own voice detection: we are given cut-out speech, and it adds stray words."""

    def __init__(self) -> None:
        from moonshine_voice import ModelArch, Transcriber

        folder = locate(MOONSHINE_FILES[0]).parent
        self._transcriber = Transcriber(str(folder), ModelArch.TINY, options={"vad_threshold": "0.0"})
        self.recognise(np.zeros(RATE, np.float32))

    def recognise(self, samples: Samples) -> str:
        transcript = self._transcriber.transcribe_without_streaming(samples.tolist(), RATE)
        return " ".join(line.text.strip() for line in transcript.lines)


def transcribe(recogniser: Recogniser, samples: Samples) -> list[Segment]:
    """Return what was said in 16 kHz samples, piece by piece. Silence, clicks and steady noise give no segment."""
    segments = []
    for start, end in cut(samples):
        piece = samples[start:end]
        if not has_speech(piece):
            continue
        text = tidy(recogniser.recognise(piece))
        if text:
            segments.append(Segment(start / RATE, end / RATE, text))
    return segments


def cut(samples: Samples) -> list[tuple[int, int]]:
    """Split long audio into pieces the model copes with, each cut at a quiet moment."""
    pieces = []
    start = 0
    while len(samples) - start > CUT_AT_SECONDS * RATE:
        end = start + _quietest(samples[start + CUT_FROM_SECONDS * RATE : start + CUT_AT_SECONDS * RATE])
        end += CUT_FROM_SECONDS * RATE
        pieces.append((start, end))
        start = end
    pieces.append((start, len(samples)))
    return pieces


def has_speech(samples: Samples) -> bool:
    """Say whether the loudness rises and falls as speech does, for long enough to be a word."""
    if len(samples) < CLIP_MIN_MS * RATE // 1000:
        return False
    loudness = _frame_loudness(samples)
    threshold = max(QUIET_RMS, float(np.percentile(loudness, 5)) * ABOVE_FLOOR)
    return int((loudness > threshold).sum()) * FRAME_MS >= VOICED_MIN_MS


def tidy(text: str) -> str:
    """Remove inventions, and write digits and spelled letters one way: 415-555-0134, N-G-U-Y-E-N."""
    text = " ".join(_BRACKETED.sub(" ", text).split())
    if re.sub(r"[^a-z ]", "", text.lower()).strip() in INVENTED and not re.search(r"\d", text):
        return ""
    text = _CUT_MERIDIEM.sub(r"\1 \2.m.", _without_loops(text))
    text = _MERIDIEM.sub(lambda match: f"{match[1].lower()}.m.", text)
    text = _LETTER_RUN.sub(_join_letters, text)
    return _DIGIT_RUN.sub(_join_digits, text)


def _frame_loudness(samples: Samples) -> Samples:
    frame = RATE * FRAME_MS // 1000
    frames = samples[: len(samples) // frame * frame].reshape(-1, frame)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)), dtype=np.float32)


def _quietest(samples: Samples) -> int:
    frame = RATE * FRAME_MS // 1000
    return int(np.argmin(_frame_loudness(samples))) * frame


def _join_letters(match: re.Match[str]) -> str:
    letters: list[str] = re.findall(r"[A-Za-z]", match.group())
    return "-".join(letter.upper() for letter in letters)


def _join_digits(match: re.Match[str]) -> str:
    """Write a long run of spoken digits as a telephone number; leave short ones ("five five") as they were heard."""
    words: list[str] = re.findall(r"\d+|[A-Za-z]+", match.group())
    digits = "".join(_DIGIT_WORDS.get(word.lower(), word) for word in words)
    if len(digits) == 10:
        return f"{digits[:3]}-{digits[3:6]}-{digits[6:]}"
    return digits if len(digits) >= 7 else match.group()


def _without_loops(text: str) -> str:
    """Keep a sentence the model got stuck on only once ("I see. I see. I see. I see.")."""
    return _LOOP.sub(lambda match: match.group() if _ONLY_DIGITS.fullmatch(match.group(1)) else match.group(1), text)
