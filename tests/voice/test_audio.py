from hypothesis import given, settings
from hypothesis import strategies as st

from voice import audio


def test_a_second_of_audio_is_forty_eight_thousand_bytes():
    assert audio.bytes_of(1000) == 48_000
    assert audio.ms_of(48_000) == 1000


def test_a_second_counts_ten_tokens_in_and_twenty_out():
    assert audio.input_tokens_of(48_000) == 10
    assert audio.output_tokens_of(48_000) == 20


def test_a_started_token_counts_whole():
    assert [audio.input_tokens_of(n) for n in (0, 1, 4800, 4801)] == [0, 1, 1, 2]
    assert [audio.output_tokens_of(n) for n in (0, 1, 2400, 2401)] == [0, 1, 1, 2]


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_milliseconds_survive_the_way_to_bytes_and_back(ms):
    assert audio.ms_of(audio.bytes_of(ms)) == ms
