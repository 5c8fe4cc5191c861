import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.metering.usage import Kind, quantities_of_response, quantities_of_transcription, storable_usage

# facts of the provider's own example: 64 of 119 text tokens were cached.
DOCUMENTED = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


def test_cached_tokens_are_part_of_the_total_beside_them():
    assert quantities_of_response(DOCUMENTED) == {
        Kind.TEXT_IN: 55,
        Kind.TEXT_CACHED_IN: 64,
        Kind.AUDIO_IN: 13,
        Kind.TEXT_OUT: 30,
        Kind.AUDIO_OUT: 91,
    }


def test_images_are_counted_apart():
    details = {"image_tokens": 100, "cached_tokens_details": {"image_tokens": 40}}
    counted = quantities_of_response({"input_token_details": details})
    assert counted == {Kind.IMAGE_IN: 60, Kind.IMAGE_CACHED_IN: 40}


def test_a_response_without_usage_used_nothing():
    assert quantities_of_response(None) == {}


def test_without_details_everything_is_the_dearest_kind():
    counted = quantities_of_response({"input_tokens": 100, "output_tokens": 20})
    assert counted == {Kind.AUDIO_IN: 100, Kind.AUDIO_OUT: 20}


def test_without_the_kinds_of_the_cached_tokens_none_is_charged_as_cached():
    counted = quantities_of_response(
        {"input_tokens": 50, "input_token_details": {"text_tokens": 50, "cached_tokens": 40}}
    )
    assert counted == {Kind.TEXT_IN: 50}


def test_what_the_details_leave_out_counts_as_audio():
    usage = {"input_tokens": 70, "input_token_details": {"text_tokens": 30, "audio_tokens": 20}}
    assert quantities_of_response(usage) == {Kind.TEXT_IN: 30, Kind.AUDIO_IN: 40}


def test_more_cached_than_there_was_is_cut_to_what_there_was():
    details = {"text_tokens": 10, "cached_tokens_details": {"text_tokens": 99}}
    assert quantities_of_response({"input_token_details": details}) == {Kind.TEXT_CACHED_IN: 10}


@pytest.mark.parametrize("text_tokens", [60, 50])
def test_reasoning_is_charged_once_as_text_whether_counted_within_or_beside(text_tokens):
    details = {"text_tokens": text_tokens, "audio_tokens": 40, "reasoning_tokens": 10}
    counted = quantities_of_response({"output_tokens": 100, "output_token_details": details})
    assert counted == {Kind.TEXT_OUT: 60, Kind.AUDIO_OUT: 40}


def test_transcription_by_tokens():
    usage = {"type": "tokens", "input_tokens": 37, "output_tokens": 9}
    usage["input_token_details"] = {"text_tokens": 2, "audio_tokens": 35}
    assert quantities_of_transcription(usage) == {Kind.TEXT_IN: 2, Kind.AUDIO_IN: 35, Kind.TEXT_OUT: 9}


def test_transcription_without_details_heard_audio():
    assert quantities_of_transcription({"input_tokens": 37}) == {Kind.AUDIO_IN: 37}


def test_a_started_second_counts_whole():
    assert quantities_of_transcription({"type": "duration", "seconds": 3.2}) == {Kind.SECONDS: 4}


@pytest.mark.parametrize("garbage", [None, True, "12", -5, math.nan, [7], {"n": 1}])
def test_garbage_counts_as_nothing(garbage):
    usage = {"input_tokens": garbage, "output_tokens": garbage, "input_token_details": garbage, "seconds": garbage}
    assert quantities_of_response(usage) == {}
    assert quantities_of_transcription(usage) == {}


def test_an_impossible_number_is_cut_to_a_bound():
    assert quantities_of_response({"output_tokens": math.inf}) == {Kind.AUDIO_OUT: 10_000_000}


counts = st.integers(0, 5000)


@given(text=counts, audio=counts, image=counts, cached=st.tuples(counts, counts, counts), rest=counts)
def test_every_input_token_is_counted_exactly_once(text, audio, image, cached, rest):
    total = text + audio + image + rest
    details = {"text_tokens": text, "audio_tokens": audio, "image_tokens": image}
    details["cached_tokens_details"] = dict(zip(("text_tokens", "audio_tokens", "image_tokens"), cached, strict=True))
    assert sum(quantities_of_response({"input_tokens": total, "input_token_details": details}).values()) == total


def test_what_is_stored_is_json_for_every_database():
    reported = {"a": 1, "b": math.nan, "c\x00": 2, "d": {"e": {"f": {"g": 1}}}, 7: 1, "long": "x" * 100, "n": None}
    assert storable_usage(reported) == {"a": 1, "d": {"e": {}}, "n": None}
    assert storable_usage([1]) == {}
