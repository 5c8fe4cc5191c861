"""Recorded callers who draw breath in the middle of what they have to say, understood by the embedded model."""

import numpy as np
import pytest
import soxr

from local_models.speech_to_text import RATE, MoonshineRecogniser, transcribe
from tests.voice.upstream.pipeline.conftest import recorded
from voice.upstream.pipeline.endings import Ending, ending_of
from voice.upstream.pipeline.turn_detection import Kind, Silence, Thresholds, TurnDetector, _make_detector

SERVER_VAD = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500, "prefix_padding_ms": 300}
BY_WORDS = Thresholds.of(SERVER_VAD, silence_is_chosen=False)
BY_SILENCE = Thresholds.of(SERVER_VAD, silence_is_chosen=True)
BREATH_MS = 800
FRAME = 480
BYTES_PER_MS = 48


@pytest.fixture(scope="module")
def recogniser():
    return MoonshineRecogniser()


def words_of(recogniser, pcm):
    samples = soxr.resample(np.frombuffer(pcm, np.int16).astype(np.float32) / 32768, 24_000, RATE)
    return " ".join(segment.text for segment in transcribe(recogniser, samples))


def turns_of(pcm, thresholds, recogniser):
    """Return how often a turn ends, and how long after the last sound the last of them does."""
    detector = TurnDetector(_make_detector(), thresholds)
    started_ms, ends_ms = 0, []
    for at in range(0, len(pcm), 1920):
        for signal in detector.feed(pcm[at : at + 1920]):
            if signal.kind is Kind.STARTED:
                started_ms = signal.at_ms
            elif signal.kind is Kind.PAUSED:
                words = words_of(recogniser, pcm[started_ms * BYTES_PER_MS : signal.at_ms * BYTES_PER_MS])
                detector.judge(ending_of(words) if thresholds is BY_WORDS else Ending.UNSURE)
            elif signal.kind is Kind.STOPPED:
                ends_ms.append(signal.at_ms)
    loud = np.flatnonzero(np.abs(np.frombuffer(pcm, np.int16).astype(int)) > 300)
    return len(ends_ms), ends_ms[-1] - int(loud[-1]) // 24


def with_breaths(pcm):
    """Stretch every silence inside a sentence until a listener by silence alone would speak into it."""
    frames = np.frombuffer(pcm, np.int16)
    frames = frames[: len(frames) // FRAME * FRAME].reshape(-1, FRAME)
    loud = np.flatnonzero(np.abs(frames.astype(int)).max(axis=1) > 300)
    pieces, begin = [], 0
    for last, first in zip(loud, loud[1:], strict=False):
        if first - last >= 6:
            missing = max(0, BREATH_MS // 20 - (first - last))
            pieces += [frames[begin:first].tobytes(), bytes(2 * FRAME * int(missing))]
            begin = first
    return b"".join([*pieces, frames[begin:].tobytes()])


@pytest.mark.parametrize("name", ["u11", "u12", "u16"])
def test_a_breath_in_a_number_a_spelling_or_an_address_ends_no_turn(recogniser, name):
    pcm = with_breaths(recorded(f"kokoro_af_heart_{name}")) + bytes(48_000)
    assert turns_of(pcm, BY_SILENCE, recogniser)[0] > 1
    assert turns_of(pcm, BY_WORDS, recogniser)[0] == 1


@pytest.mark.parametrize("name", ["u01", "u02", "u03", "u25", "u31"])
def test_who_has_plainly_finished_is_not_kept_waiting(recogniser, name):
    pcm = recorded(f"kokoro_af_heart_{name}")
    (by_words, sooner_ms), (by_silence, later_ms) = (turns_of(pcm, how, recogniser) for how in (BY_WORDS, BY_SILENCE))
    assert by_words == by_silence == 1
    assert later_ms - sooner_ms >= BY_WORDS.silence.unsure_ms - BY_WORDS.silence.done_ms - 32


def test_a_length_of_silence_that_was_chosen_is_kept():
    assert BY_SILENCE.silence == Silence.plain(500)
