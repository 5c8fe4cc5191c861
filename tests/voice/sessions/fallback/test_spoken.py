"""What a caller said last is kept as audio, and no more of it than another model needs."""

import pytest

from voice.audio import bytes_of
from voice.sessions.fallback.spoken import Spoken


def hears(spoken, frame_bytes, count):
    spoken.frames.extend(bytes([index % 256]) * frame_bytes for index in range(count))


@pytest.mark.parametrize("frame_ms", [20, 40, 100, 200])
def test_half_a_second_is_kept_while_nobody_speaks(frame_ms):
    spoken = Spoken()
    hears(spoken, bytes_of(frame_ms), 200)
    spoken.is_answered()
    hears(spoken, bytes_of(frame_ms), 200)
    assert bytes_of(500) - bytes_of(frame_ms) < sum(map(len, spoken.frames)) <= bytes_of(500)


def test_a_turn_begins_before_its_speech_was_noticed():
    spoken = Spoken()
    hears(spoken, bytes_of(40), 100)
    spoken.begins(is_answering=False)
    hears(spoken, bytes_of(40), 5)
    assert spoken.pcm() == b"".join(spoken.frames)
    assert len(spoken.frames) == 12 + 5


def test_a_turn_that_was_answered_is_not_said_again():
    spoken = Spoken()
    spoken.begins(is_answering=False)
    hears(spoken, bytes_of(40), 5)
    spoken.is_answered()
    assert spoken.pcm() == b""


def test_no_more_than_the_last_quarter_of_a_minute_is_said_again():
    spoken = Spoken()
    hears(spoken, bytes_of(40), 1)
    spoken.begins(is_answering=False)
    hears(spoken, bytes_of(40), 1000)
    assert len(spoken.pcm()) == bytes_of(15_000)


@pytest.mark.parametrize("last_bytes", [2, 9600])
def test_frames_of_strange_lengths_do_not_make_it_keep_more(last_bytes):
    spoken = Spoken()
    hears(spoken, last_bytes, 1)
    spoken.is_answered()
    assert spoken.frames.maxlen <= 25
    spoken.begins(is_answering=False)
    assert spoken.frames.maxlen <= 750
