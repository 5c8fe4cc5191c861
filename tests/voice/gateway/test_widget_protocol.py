"""The browser's messages: the same files are read by tests/js."""

import json
from pathlib import Path

import pytest

from voice.gateway import widget_protocol
from voice.gateway.widget_protocol import InvalidMessage, parse, read_report

FIXTURES = Path(__file__).parents[2] / "fixtures" / "widget_messages" / "client"


def fixtures():
    return [pytest.param(json.loads(path.read_text()), id=path.stem) for path in sorted(FIXTURES.glob("*.json"))]


@pytest.mark.parametrize("fixture", fixtures())
def test_a_message_is_understood_exactly_when_it_is_valid(fixture):
    message = fixture["message"]
    text = message if fixture.get("raw") else json.dumps(message)
    if fixture["valid"]:
        assert widget_protocol.parse(text)["type"] == message["type"]
    else:
        with pytest.raises(InvalidMessage):
            widget_protocol.parse(text)


def test_fields_the_protocol_does_not_know_are_dropped():
    assert widget_protocol.parse('{"type":"session.end","extra":1}') == {"type": "session.end"}


@pytest.mark.parametrize("text", ["[" * 10_000, '{"type":"text.send","text":"\\ud800"}', '{"type":null}', "1e999"])
def test_hostile_json_is_an_invalid_message(text):
    with pytest.raises(InvalidMessage) as refusal:
        widget_protocol.parse(text)
    assert refusal.value.code == "invalid_message"


def test_a_message_over_16_kib_is_too_large():
    with pytest.raises(InvalidMessage) as refusal:
        widget_protocol.parse('{"type":"text.send","text":"' + "é" * 9000 + '"}')
    assert refusal.value.code == "message_too_large"


@pytest.mark.parametrize("size", [2, 1920, 9600])
def test_microphone_frames_of_even_length_are_taken(size):
    assert widget_protocol.check_audio(bytes(size)) == bytes(size)


@pytest.mark.parametrize("size", [0, 1, 1921, 9602])
def test_microphone_frames_that_are_empty_odd_or_too_long_are_refused(size):
    with pytest.raises(InvalidMessage) as refusal:
        widget_protocol.check_audio(bytes(size))
    assert refusal.value.code == "message_too_large"


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"playback.report","item_id":"item_1 #","played_ms":120,"received_bytes":5760}',
        '{"type":"playback.report","item_id":"","played_ms":0,"received_bytes":999999999999999}',
    ],
)
def test_a_report_is_read_from_its_bytes_as_from_its_json(text):
    message = parse(text)
    assert read_report(text.encode()) == (message["item_id"], message["played_ms"], message["received_bytes"])


@pytest.mark.parametrize(
    "text",
    [
        '{"type":"playback.report","item_id":null,"played_ms":0,"received_bytes":0}',
        '{"type":"playback.report","item_id":"a\\u0062","played_ms":0,"received_bytes":0}',
        '{"type":"playback.report","item_id":"é","played_ms":0,"received_bytes":0}',
        '{"type":"playback.report","item_id":"a","played_ms":01,"received_bytes":0}',
        '{"type":"playback.report","item_id":"a","played_ms":-1,"received_bytes":0}',
        '{"type":"playback.report","item_id":"a","played_ms":1.0,"received_bytes":0}',
        '{"type":"playback.report","item_id":"a","played_ms":9999999999999999,"received_bytes":0}',
        '{"type":"playback.report","item_id":"' + "a" * 201 + '","played_ms":1,"received_bytes":0}',
        '{"type":"playback.report","item_id":"a","played_ms":1,"received_bytes":0} ',
        '{"type":"session.end"}',
    ],
)
def test_a_report_in_any_other_form_is_left_to_the_json_reader(text):
    assert read_report(text.encode()) is None
