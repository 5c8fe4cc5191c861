import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.voice.upstream.pipeline.conftest import UTTERANCES, recorded
from voice.upstream.pipeline import turn_detection
from voice.upstream.pipeline.endings import Ending
from voice.upstream.pipeline.turn_detection import Kind, Silence, Thresholds, TurnDetector

TURN = [Kind.STARTED, Kind.STOPPED]


def signals_of(detector, pcm, frame_bytes=1920, thresholds=None):
    turns = TurnDetector(detector, thresholds or Thresholds())
    return [signal for at in range(0, len(pcm), frame_bytes) for signal in turns.feed(pcm[at : at + frame_bytes])]


def scripted(*stretches):
    """A detector that hears a probability for a number of milliseconds each."""
    windows = iter([p for p, ms in stretches for _ in range(ms // 32)])
    return lambda samples: next(windows, 0.0)


def kinds_of(*stretches, thresholds=None):
    pcm = bytes(48 * sum(ms for _, ms in stretches) + 4800)
    return [signal.kind for signal in signals_of(scripted(*stretches), pcm, thresholds=thresholds)]


@pytest.mark.parametrize("make", [turn_detection._light_detector, turn_detection._portable_detector])
@pytest.mark.parametrize("name", [path.stem for path in sorted(UTTERANCES.glob("*.wav"))])
def test_a_recorded_sentence_starts_once_and_stops_once(make, name):
    pcm = recorded(name)
    signals = signals_of(make(), pcm)
    assert [signal.kind for signal in signals if signal.kind in TURN] == TURN
    start, stop = (signal.at_ms for signal in signals if signal.kind in TURN)
    # The sentence lies between a second of silence on either side.
    assert 600 < start < 1500
    assert start + 500 < stop < len(pcm) // 48


def test_silence_and_noise_are_no_speech():
    noise = (np.random.default_rng(7).normal(0, 300, 24_000 * 3)).astype(np.int16).tobytes()
    assert signals_of(turn_detection._make_detector(), bytes(48_000) + noise) == []


def test_a_detector_used_before_hears_as_a_new_one():
    pool, pcm = turn_detection.DetectorPool(), recorded("kokoro_af_heart_u01")
    detector = turn_detection._make_detector()
    signals_of(detector, pcm[: len(pcm) // 2])
    pool.give_back(detector)
    again = [signal.kind for signal in signals_of(pool._spare.pop(), pcm)]
    assert [kind for kind in again if kind in TURN] == TURN


def test_the_start_lies_before_what_was_heard_by_the_padding():
    detector = scripted((0.0, 640), (0.9, 320), (0.0, 640))
    started, *_ = signals_of(detector, bytes(48 * 2000))
    assert started.at_ms == 640 - 300


def test_the_padding_reaches_back_to_the_beginning_at_most():
    started, *_ = signals_of(scripted((0.9, 320), (0.0, 640)), bytes(48 * 2000))
    assert started.at_ms == 0


def test_a_click_is_no_speech():
    assert kinds_of((0.0, 320), (0.9, 32), (0.0, 960)) == []


def test_a_pause_is_told_early_and_taken_back_when_the_caller_goes_on():
    kinds = kinds_of((0.9, 320), (0.0, 320), (0.9, 320), (0.0, 960))
    assert kinds == [Kind.STARTED, Kind.PAUSED, Kind.RESUMED, Kind.PAUSED, Kind.STOPPED]


def test_a_voice_that_fades_is_still_a_voice():
    assert kinds_of((0.9, 320), (0.4, 960), (0.1, 960)) == [Kind.STARTED, Kind.PAUSED, Kind.STOPPED]


def test_nobody_speaks_for_ever():
    kinds = kinds_of((0.9, 61_000), (0.0, 960))
    assert kinds[:2] == TURN


def test_thresholds_come_from_the_session():
    server_vad = {"type": "server_vad", "threshold": 0.7, "silence_duration_ms": 800, "prefix_padding_ms": 100}
    assert Thresholds.of(server_vad, silence_is_chosen=True) == Thresholds(0.7, Silence.plain(800), 100)
    assert kinds_of((0.6, 320), (0.0, 960), thresholds=Thresholds(0.7)) == []


def test_a_length_of_silence_nobody_chose_depends_on_the_words():
    server_vad = {"type": "server_vad", "threshold": 0.5, "silence_duration_ms": 500, "prefix_padding_ms": 300}
    silence = Thresholds.of(server_vad, silence_is_chosen=False).silence
    assert silence.done_ms < silence.unsure_ms == 500 < silence.open_ms


def test_the_less_eager_a_turn_detection_is_the_longer_it_waits():
    waits = [
        Thresholds.of({"type": "semantic_vad", "eagerness": eagerness}, silence_is_chosen=False).silence
        for eagerness in ("high", "medium", "low")
    ]
    assert all(wait.done_ms <= wait.unsure_ms < wait.open_ms for wait in waits)
    assert [wait.unsure_ms for wait in waits] == sorted(wait.unsure_ms for wait in waits)
    assert [wait.open_ms for wait in waits] == sorted(wait.open_ms for wait in waits)


def silence_until_the_end(judged_at_ms, ending, silence):
    """Return how long it is silent before a turn ends whose words are judged so late into the silence."""
    turns = TurnDetector(scripted((0.9, 320), (0.0, 3200)), Thresholds(silence=silence))
    for now_ms in range(0, 3520, 20):
        if now_ms - 320 == judged_at_ms:
            turns.judge(ending)
        for signal in turns.feed(bytes(48 * 20)):
            if signal.kind is Kind.STOPPED:
                return signal.at_ms - 320
    return None


@pytest.mark.parametrize(("ending", "silence_ms"), [(Ending.DONE, 320), (Ending.UNSURE, 480), (Ending.OPEN, 896)])
def test_words_say_how_much_silence_ends_a_turn(ending, silence_ms):
    assert silence_until_the_end(240, ending, Silence(320, 480, 896)) == silence_ms


def test_words_that_come_late_are_waited_for_but_not_for_ever():
    assert 500 < silence_until_the_end(600, Ending.DONE, Silence(320, 480, 896)) < 700
    assert silence_until_the_end(5000, Ending.DONE, Silence(320, 480, 896)) == 896


def test_each_pause_is_judged_by_itself():
    turns = TurnDetector(
        scripted((0.9, 320), (0.0, 320), (0.9, 320), (0.0, 3200)), Thresholds(silence=Silence(320, 480, 896))
    )
    turns.feed(bytes(48 * 600))
    turns.judge(Ending.DONE)
    *_, stopped = turns.feed(bytes(48 * 3000))
    assert stopped.at_ms - 960 == 896


@settings(deadline=None, max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from([0.0, 0.2, 0.4, 0.6, 0.95]), st.integers(1, 40).map(lambda n: 32 * n)), max_size=12
    )
)
def test_starts_and_stops_alternate_and_time_runs_forwards(stretches):
    pcm = bytes(48 * sum(ms for _, ms in stretches) + 48_000)
    signals = signals_of(scripted(*stretches), pcm)
    turns = [signal.kind for signal in signals if signal.kind in TURN]
    assert turns == (TURN * len(turns))[: len(turns)]
    heard = [signal.at_ms for signal in signals if signal.kind is not Kind.STARTED]
    assert heard == sorted(heard)


@settings(deadline=None, max_examples=30)
@given(st.integers(200, 5000).map(lambda n: n * 2))
def test_the_size_of_the_frames_does_not_matter(frame_bytes):
    stretches = ((0.0, 640), (0.9, 640), (0.0, 960))
    pcm = bytes(48 * 2400)
    assert signals_of(scripted(*stretches), pcm, frame_bytes) == signals_of(scripted(*stretches), pcm, 960)
