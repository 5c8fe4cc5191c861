"""Speak text with Piper, clause by clause, so that the first sound comes early and work stops when nobody listens."""

import json
import os
import re
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from local_models.model_files import PIPER_FILES, locate
from local_models.workers import WorkerPool

MODEL_ID = "piper-joe"
RATE = 24_000
VOICE_RATE = 22_050
INPUT_MAX_CHARS = 4096

# A short first clause is heard sooner; longer ones after it sound more natural and keep ahead of the listener.
FIRST_CLAUSE_MIN_CHARS = 10
CLAUSE_MIN_CHARS = 50
CLAUSE_MAX_CHARS = 220

AUDIBLE = 300
# Kept in front of the first audible sample, so that a soft consonant is not cut off.
LEAD_MS = 8

Pcm16 = npt.NDArray[np.int16]

_ABBREVIATION = re.compile(r"(?:\b(?:mr|mrs|ms|dr|st|no|vs|etc)|\b[a-z](?:\.[a-z])*)\.$", re.IGNORECASE)
_BREAK = re.compile(r"(?<=[.!?…])[\"')\]]*\s+|(?<=[,;:])\s+|\s+(?=[–—]\s)|\n+")
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+")
_PHONE = re.compile(r"(?<![\w-])\+?\d(?:[\d]|[ .-](?=\d)|[()](?=[\d ])){6,}(?![\w-])")
_LONG_NUMBER = re.compile(r"(?<![\d,.$€£₹])\d{5,}(?![\d,.])|(?<![\d,.$€£₹])\d{5,}(?=[.,](?:\s|$))")
_SPELLED = re.compile(r"\b[A-Z](?:-[A-Z])+\b")
_MERIDIEM = re.compile(r"(?<=\d)\s*([ap])\.?m\b\.?", re.IGNORECASE)
_MARKUP = re.compile(r"[*_`#<>|\[\]{}]+")


class Speaker(Protocol):
    """A voice: one clause of text to PCM16 samples at VOICE_RATE."""

    def speak(self, clause: str, speed: float) -> Pcm16: ...


class PiperSpeaker:
    """The voice "joe". Safe to use from several threads, so every worker may share it."""

    def __init__(self) -> None:
        from piper import PiperVoice
        from piper.config import PiperConfig

        model, config = (locate(file) for file in PIPER_FILES)
        settings = PiperConfig.from_dict(json.loads(config.read_text(encoding="utf-8")))
        self._voice = PiperVoice(session=_session(model), config=settings)
        self.speak("Hello.", 1.0)

    def speak(self, clause: str, speed: float) -> Pcm16:
        from piper import SynthesisConfig

        settings = SynthesisConfig(length_scale=1.0 / speed)
        parts = [chunk.audio_int16_array for chunk in self._voice.synthesize(clause, settings)]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def _session(model: Path) -> Any:
    """Load the voice so that it leaves the machine to others while it has nothing to do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Threads that wait by spinning take the processor from the call itself, and an arena never gives memory back.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    options.intra_op_num_threads = min(2, os.cpu_count() or 1)
    onnxruntime.disable_telemetry_events()
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


async def stream(pool: WorkerPool[Speaker], text: str, speed: float) -> AsyncIterator[bytes]:
    """Yield 24 kHz mono PCM16, one clause at a time. Closing the iterator stops the work at the end of the clause."""
    resampler = soxr.ResampleStream(VOICE_RATE, RATE, 1, dtype="int16")
    started = False
    for clause in split(sayable(text)):
        spoken = await pool.run(partial(_speak, clause, speed))
        samples = spoken if started else without_lead(spoken)
        started = started or len(samples) > 0
        if chunk := resampler.resample_chunk(samples).tobytes():
            yield chunk
    if started:
        yield resampler.resample_chunk(np.zeros(0, np.int16), last=True).tobytes()


def _speak(clause: str, speed: float, speaker: Speaker) -> Pcm16:
    return speaker.speak(clause, speed)


def without_lead(samples: Pcm16) -> Pcm16:
    """Drop the silence the voice puts in front: about 50 ms that a caller would wait for nothing."""
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > AUDIBLE)
    if not len(loud):
        return samples[:0]
    return samples[max(0, int(loud[0]) - LEAD_MS * VOICE_RATE // 1000) :]


def split(text: str) -> list[str]:
    """Cut text into clauses at punctuation: sentences always, at commas once a clause is long enough."""
    clauses: list[str] = []
    current = ""
    for piece in _pieces(text):
        current = f"{current} {piece}".strip()
        if _ends_clause(current, first=not clauses):
            clauses.append(current)
            current = ""
    return [*clauses, current] if current else clauses


def sayable(text: str) -> str:
    """Write out what the voice would read wrongly: numbers to be read digit by digit, addresses, marks."""
    text = _EMAIL.sub(
        lambda match: match.group().replace("@", " at ").replace(".", " dot ").replace("_", " underscore "), text
    )
    text = _PHONE.sub(_say_phone, text)
    text = _LONG_NUMBER.sub(lambda match: " ".join(match.group()), text)
    text = _SPELLED.sub(lambda match: ", ".join(match.group().split("-")), text)
    text = _MERIDIEM.sub(lambda match: f" {match.group(1).lower()}.m.", text)
    return _MARKUP.sub(" ", text)


def _pieces(text: str) -> list[str]:
    pieces = [piece.strip() for piece in _BREAK.split(text) if piece and re.search(r"\w", piece)]
    return [part for piece in pieces for part in _bounded(piece)]


def _bounded(piece: str) -> list[str]:
    """Cut a piece without punctuation between words, so that no single step takes long."""
    parts = []
    while len(piece) > CLAUSE_MAX_CHARS:
        at = piece.rfind(" ", 0, CLAUSE_MAX_CHARS)
        at = at if at > 0 else CLAUSE_MAX_CHARS
        parts.append(piece[:at])
        piece = piece[at:].strip()
    return [*parts, piece]


def _ends_clause(current: str, *, first: bool) -> bool:
    if _ABBREVIATION.search(current):
        return False
    if current[-1] in ".!?…":
        return True
    return len(current) >= (FIRST_CLAUSE_MIN_CHARS if first else CLAUSE_MIN_CHARS)


def _say_phone(match: re.Match[str]) -> str:
    digits = re.sub(r"\D", "", match.group())
    if len(digits) < 7:
        return match.group()
    country = digits[: len(digits) - 10] if len(digits) > 10 else ""
    rest = digits[len(country) :]
    groups = [rest[:3], rest[3:6], rest[6:]] if len(rest) == 10 else [rest[i : i + 3] for i in range(0, len(rest), 3)]
    if country:
        groups.insert(0, country)
    return ("plus " if match.group().startswith("+") else "") + ", ".join(" ".join(group) for group in groups)
