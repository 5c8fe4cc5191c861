import base64
import contextlib
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voice import realtime_events as events

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=12,
)


@settings(deadline=None, max_examples=50)
@given(
    st.dictionaries(st.text(), json_values), st.text(min_size=1), st.data(), st.booleans(), st.sampled_from([None, 2])
)
def test_the_type_is_found_at_any_place_in_any_spelling(members, kind, data, ascii_only, indent):
    keys = data.draw(st.permutations([*(members.keys() - {"type"}), "type"]))
    event = {key: kind if key == "type" else members[key] for key in keys}
    frame = json.dumps(event, ensure_ascii=ascii_only, indent=indent).encode("utf-8", "surrogatepass")
    assert events.event_type(frame) == kind


def test_a_type_inside_another_member_is_not_the_frames_type():
    frame = b'{"event_id":"e","item":{"type":"message"},"note":"\\"type\\":\\"x\\"","type":"conversation.item.added"}'
    assert events.event_type(frame) == "conversation.item.added"


def test_a_leading_type_is_read_without_parsing_the_rest():
    assert events.event_type(b'{"type":"response.done","response":' + b"A" * 100) == "response.done"


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        (b"", "not_json"),
        (b"\xff\xfe", "not_json"),
        (b"{", "not_json"),
        (b'{"type":"x"} {}', "not_json"),
        (b'{"type":"x","n":NaN}', "not_json"),
        (b'{"type":"x","n":' + b"9" * 5000 + b"}", "not_json"),
        (b'{"type":"x","text":"\\ud800"}', "not_json"),
        (b'{"type":"x","deep":' + b"[" * 200_000 + b"]" * 200_000 + b"}", "not_json"),
        (b"[1]", "not_an_object"),
        (b'"type"', "not_an_object"),
        (b"{}", "no_type"),
        (b'{"type":7}', "no_type"),
        (b'{"type":""}', "no_type"),
        (b'{"type":"x","audio":"' + b"A" * events.MAX_FRAME_BYTES + b'"}', "too_long"),
    ],
)
def test_what_is_no_event_is_refused_with_its_reason(frame, reason):
    with pytest.raises(events.InvalidEvent) as refused:
        events.parse(frame)
    assert refused.value.reason == reason


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_sniffing_bytes_of_any_kind_gives_a_type_or_invalid_event(frame):
    with contextlib.suppress(events.InvalidEvent):
        assert isinstance(events.event_type(frame), str)


def test_an_emoji_sent_as_a_surrogate_pair_is_text():
    assert events.parse(b'{"type":"x","text":"\\ud83d\\ude00"}')["text"] == "\N{GRINNING FACE}"


@settings(deadline=None)
@given(st.binary(max_size=500).map(lambda half: half + half), st.booleans(), st.data())
def test_audio_is_read_from_a_delta_in_any_spelling(pcm, spaced, data):
    fields = {"item_id": "item_1", "response_id": "resp_1", "delta": base64.b64encode(pcm).decode(), "output_index": 0}
    keys = data.draw(st.permutations(list(fields)))
    frame = json.dumps(
        {"type": "response.output_audio.delta"} | {key: fields[key] for key in keys},
        separators=(", ", ": ") if spaced else (",", ":"),
    ).encode()
    assert events.audio_delta(frame) == events.AudioDelta("item_1", pcm)


def test_audio_written_with_escaped_slashes_is_read_too():
    frame = b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":"\\/\\/8="}'
    assert events.audio_delta(frame).pcm == b"\xff\xff"


@pytest.mark.parametrize("delta", ['"A"', '"AA=="', '"****"', "null", "7"])
def test_a_delta_without_whole_samples_in_base64_is_refused(delta):
    frame = b'{"type":"response.output_audio.delta","response_id":"r","item_id":"i","delta":%b}' % delta.encode()
    with pytest.raises(events.InvalidEvent):
        events.audio_delta(frame)


def delta_frame(item_id, pcm, keys, event_id):
    fields = {
        "event_id": event_id,
        "response_id": "r1",
        "item_id": item_id,
        "output_index": 0,
        "delta": base64.b64encode(pcm).decode(),
    }
    return events.dump({"type": "response.output_audio.delta"} | {key: fields[key] for key in keys})


@settings(deadline=None)
@given(st.data())
def test_pieces_of_speech_are_read_alike_whatever_came_before_them(data):
    reader = events.SpeechReader()
    for _ in range(data.draw(st.integers(1, 5))):
        keys = data.draw(st.permutations(["event_id", "response_id", "item_id", "output_index", "delta"]))
        item_id, event_id = data.draw(st.sampled_from(["i1", "i2", 'a"b'])), data.draw(st.text(max_size=8))
        frame = delta_frame(item_id, data.draw(st.sampled_from([b"", b"ab", b"abcd"])), keys, event_id)
        assert reader.read(frame) == events.audio_delta(frame)


@pytest.mark.parametrize(
    "frame",
    [
        b'{"type":"response.done","response":{}}',
        b'{"type": "response.output_audio.delta","item_id":"i","delta":""}',
        b'{"type":"response.output_audio.delta","item_id":"i","delta":"**"}',
        b'{"type":"response.output_audio.delta","item_id":"i","delta":""',
        b'{"type":"response.output_audio.delta","item_id":7,"delta":""}',
    ],
)
def test_what_is_no_speech_or_written_unusually_is_left_to_be_read_with_care(frame):
    reader = events.SpeechReader()
    reader.read(b'{"type":"response.output_audio.delta","item_id":"i","delta":""}')
    assert reader.read(frame) is None


def test_an_append_carries_its_audio_in_base64():
    event = events.parse(events.append_audio(b"\x01\x02\x03\x04"))
    assert event == {"type": "input_audio_buffer.append", "audio": "AQIDBA=="}


def test_a_session_update_always_names_the_session_type():
    assert events.parse(events.session_update({"instructions": "Hi."})) == {
        "type": "session.update",
        "session": {"type": "realtime", "instructions": "Hi."},
    }


def test_a_response_is_asked_for_with_only_what_was_given():
    assert events.parse(events.response_create()) == {"type": "response.create"}
    assert events.parse(events.response_create(max_output_tokens=64, event_id="e1", metadata={"why": "greeting"})) == {
        "type": "response.create",
        "event_id": "e1",
        "response": {"max_output_tokens": 64, "metadata": {"why": "greeting"}},
    }


def test_typed_text_becomes_a_user_item_and_a_reminder_a_system_item():
    user, system = events.parse(events.user_text("Hello", "item_7")), events.parse(events.system_text("Be brief."))
    assert user["item"] == {
        "id": "item_7", "type": "message", "role": "user", "content": [{"type": "input_text", "text": "Hello"}]
    }  # fmt: skip
    assert system["item"]["role"] == "system"
    assert "id" not in system["item"]


def test_the_small_client_events_have_their_published_shapes():
    assert events.parse(events.response_cancel()) == {"type": "response.cancel"}
    assert events.parse(events.response_cancel("resp_1")) == {"type": "response.cancel", "response_id": "resp_1"}
    assert events.parse(events.clear_input_audio()) == {"type": "input_audio_buffer.clear"}
    assert events.parse(events.truncate("item_1", 1200)) == {
        "type": "conversation.item.truncate", "item_id": "item_1", "content_index": 0, "audio_end_ms": 1200
    }  # fmt: skip
    assert events.parse(events.function_output("call_1", '{"ok":true}'))["item"] == {
        "type": "function_call_output", "call_id": "call_1", "output": '{"ok":true}'
    }  # fmt: skip


@pytest.mark.parametrize(
    "frame",
    [
        events.append_audio(b"\0\0"),
        events.truncate("i", 1),
        events.user_text("x"),
        events.response_create(event_id="e"),
    ],
)
def test_every_built_frame_has_its_type_in_front(frame):
    assert frame.startswith(b'{"type":"')
