from voice.metering.estimate import estimated_quantities
from voice.metering.usage import Kind

LAST = {Kind.TEXT_IN: 100, Kind.TEXT_CACHED_IN: 200, Kind.AUDIO_IN: 50, Kind.AUDIO_OUT: 90, Kind.TEXT_OUT: 30}


def estimate(last=LAST, context_tokens=500, audio_bytes=48_000, text_chars=90):
    return estimated_quantities(last, context_tokens=context_tokens, audio_bytes=audio_bytes, text_chars=text_chars)


def test_a_second_of_speech_is_twenty_tokens_beside_its_words():
    counted = estimate()
    assert (counted[Kind.AUDIO_OUT], counted[Kind.TEXT_OUT]) == (20, 30)


def test_what_the_response_before_had_read_was_cached_and_the_rest_is_new_speech():
    counted = estimate()
    assert (counted[Kind.TEXT_CACHED_IN], counted[Kind.AUDIO_CACHED_IN], counted[Kind.AUDIO_IN]) == (300, 50, 150)


def test_before_the_first_response_there_is_only_text_to_read():
    assert estimate(last={})[Kind.TEXT_IN] == 500


def test_a_context_that_shrank_is_not_negative():
    assert Kind.AUDIO_IN not in estimate(context_tokens=10)


def test_nothing_delivered_costs_nothing():
    assert estimate(audio_bytes=0, text_chars=0) == {}
