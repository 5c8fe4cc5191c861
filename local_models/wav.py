"""Read and write the one audio container spoken here: WAV, 16-bit, mono."""

import io
import struct
import wave

import numpy as np
import numpy.typing as npt
import soxr

from local_models.errors import invalid

Samples = npt.NDArray[np.float32]

SAMPLE_RATES = (8000, 16000, 22050, 24000, 44100, 48000)
PCM16_SCALE = 32768.0
UNKNOWN_LENGTH = 0xFFFFFFFF


def read(data: bytes, rate: int) -> Samples:
    """Decode a WAV file to samples in -1..1 at `rate` Hz. Raises ApiError 400 for anything else than 16-bit mono."""
    try:
        with wave.open(io.BytesIO(data)) as file:
            shape = (file.getsampwidth(), file.getnchannels())
            file_rate = file.getframerate()
            frames = file.readframes(file.getnframes())
    except (wave.Error, EOFError, struct.error, ValueError, ZeroDivisionError) as error:
        raise invalid("The file is not a WAV file with PCM samples.", "file", "invalid_audio") from error
    if shape != (2, 1):
        raise invalid("The WAV file must be 16-bit and mono.", "file", "invalid_audio")
    if file_rate not in SAMPLE_RATES:
        raise invalid(f"The sample rate must be one of {list(SAMPLE_RATES)} Hz.", "file", "invalid_audio")
    whole = len(frames) // 2 * 2
    samples = np.frombuffer(frames[:whole], "<i2").astype(np.float32) / PCM16_SCALE
    if file_rate == rate or not len(samples):
        return samples
    return np.asarray(soxr.resample(samples, file_rate, rate), dtype=np.float32)


def stream_header(rate: int) -> bytes:
    """Return the header of a mono PCM16 file whose length is not known yet."""
    format_chunk = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    return (
        struct.pack("<4sI4s", b"RIFF", UNKNOWN_LENGTH, b"WAVE")
        + format_chunk
        + struct.pack("<4sI", b"data", UNKNOWN_LENGTH)
    )
