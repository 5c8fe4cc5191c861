"""The mock speaks the GA protocol well enough that its usage can be charged."""

from bench.mock_upstream import audio_of, usage_of
from voice.metering.usage import Kind, quantities_of_response
from voice.realtime_events import append_audio, decode_audio, dump


def test_audio_is_found_in_our_own_frames():
    assert decode_audio(audio_of(append_audio(b"\x01\x02" * 480))) == b"\x01\x02" * 480


def test_audio_is_found_whoever_wrote_the_json():
    assert audio_of(b'{"type": "input_audio_buffer.append", "audio": "AAAA", "event_id": "event_1"}') == b"AAAA"
    assert audio_of(dump({"event_id": "e", "type": "input_audio_buffer.append", "audio": "AQID"})) == b"AQID"


def test_usage_counts_ten_tokens_a_second_heard_and_twenty_said():
    quantities = quantities_of_response(usage_of(heard_ms=5_000, said_ms=5_000, remembered_tokens=150))
    assert quantities[Kind.AUDIO_IN] == 50
    assert quantities[Kind.AUDIO_CACHED_IN] == 150
    assert quantities[Kind.AUDIO_OUT] == 100


def test_usage_adds_up():
    usage = usage_of(heard_ms=4_990, said_ms=4_990, remembered_tokens=0)
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    details = usage["input_token_details"]
    assert usage["input_tokens"] == details["text_tokens"] + details["audio_tokens"]
