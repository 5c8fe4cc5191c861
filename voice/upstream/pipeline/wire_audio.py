"""The audio formats a client may choose, to and from the 24 kHz PCM16 that is spoken inside: PCM itself, and G.711."""

from functools import cache
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import soxr

from voice.audio import SAMPLE_RATE

_TELEPHONE_RATE = 8000
_MU_LAW_BIAS = 132

Pcm16 = npt.NDArray[np.int16]
Codes = npt.NDArray[np.uint8]


class Converter(Protocol):
    """Turns a stream from one form into the other, piece by piece."""

    def convert(self, audio: bytes) -> bytes: ...

    def finish(self) -> bytes:
        """Return what was held back."""


def decoder_of(audio_format: dict[str, Any]) -> Converter:
    """Return what turns a client's audio into PCM."""
    return _Unchanged() if audio_format["type"] == "audio/pcm" else _FromG711(audio_format["type"])


def encoder_of(audio_format: dict[str, Any]) -> Converter:
    """Return what turns PCM into a client's audio."""
    return _Unchanged() if audio_format["type"] == "audio/pcm" else _ToG711(audio_format["type"])


class _Unchanged(Converter):
    def convert(self, audio: bytes) -> bytes:
        return audio

    def finish(self) -> bytes:
        return b""


class _FromG711(Converter):
    def __init__(self, kind: str) -> None:
        self._values = _values_of(kind)
        self._resampler = soxr.ResampleStream(_TELEPHONE_RATE, SAMPLE_RATE, 1, dtype="int16")

    def convert(self, audio: bytes) -> bytes:
        samples = self._values[np.frombuffer(audio, np.uint8)]
        return bytes(self._resampler.resample_chunk(samples).tobytes())

    def finish(self) -> bytes:
        return bytes(self._resampler.resample_chunk(np.zeros(0, np.int16), last=True).tobytes())


class _ToG711(Converter):
    def __init__(self, kind: str) -> None:
        self._codes = _codes_of(kind)
        self._resampler = soxr.ResampleStream(SAMPLE_RATE, _TELEPHONE_RATE, 1, dtype="int16")

    def convert(self, audio: bytes) -> bytes:
        return self._encoded(self._resampler.resample_chunk(np.frombuffer(audio, np.int16)))

    def finish(self) -> bytes:
        return self._encoded(self._resampler.resample_chunk(np.zeros(0, np.int16), last=True))

    def _encoded(self, samples: Pcm16) -> bytes:
        return self._codes[samples.view(np.uint16)].tobytes()


@cache
def _values_of(kind: str) -> Pcm16:
    """Return the sample that each of the 256 codes stands for (ITU-T G.711)."""
    codes = np.arange(256, dtype=np.int32)
    if kind == "audio/pcmu":
        codes = ~codes & 0xFF
        exponent, mantissa = codes >> 4 & 7, codes & 15
        size = ((mantissa << 3) + _MU_LAW_BIAS << exponent) - _MU_LAW_BIAS
        return np.where(codes & 0x80, -size, size).astype(np.int16)
    codes ^= 0x55
    exponent, mantissa = codes >> 4 & 7, codes & 15
    size = np.where(exponent == 0, (mantissa << 4) + 8, (mantissa << 4) + 264 << np.maximum(exponent - 1, 0))
    return np.where(codes & 0x80, size, -size).astype(np.int16)


@cache
def _codes_of(kind: str) -> Codes:
    """Return the nearest code for each of the 65 536 samples, indexed by the sample's bits."""
    values = _values_of(kind).astype(np.int32)
    order = np.argsort(values, kind="stable")
    between = (values[order][1:] + values[order][:-1]) / 2
    samples = np.arange(65_536, dtype=np.uint16).view(np.int16)
    return order[np.searchsorted(between, samples)].astype(np.uint8)
