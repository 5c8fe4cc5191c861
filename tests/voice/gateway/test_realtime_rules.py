"""What a Realtime client may send: read once, passed on as it came, refused in words that name the member."""

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice.gateway import realtime_rules
from voice.gateway.realtime_rules import RequestRefused, Terms, parse, read, tokens_of_item
from voice.sessions.programs.client import Appended, ResponseWanted, Said, SessionWanted
from voice.sessions.programs.client_session import Bounds, ClientSession

TERMS = Terms(
    model="gpt-realtime-mini",
    served="gpt-realtime-mini",
    models=("gpt-realtime-mini", "gpt-realtime-2.1"),
    voices=("alloy", "marin"),
    transcription_models=("gpt-4o-mini-transcribe", "whisper-1"),
    is_reasoning=False,
    max_output_tokens=4096,
    sees_images=True,
    context_tokens=32_000,
    output_tokens_cap=4096,
)
BLIND = Terms(**{name: getattr(TERMS, name) for name in TERMS.__slots__} | {"sees_images": False, "served": "parley"})
AUDIO = base64.b64encode(bytes(960)).decode()
PICTURE = "data:image/png;base64,iVBORw0KGgo="


def event(kind, **fields):
    return json.dumps({"type": kind, **fields}).encode()


def refused(frame, terms=TERMS):
    with pytest.raises(RequestRefused) as raised:
        read(frame, terms)
    return raised.value.refusal


# Audio.


@pytest.mark.parametrize(
    "frame",
    [
        '{"type":"input_audio_buffer.append","audio":"%s"}',
        '{"type": "input_audio_buffer.append", "audio": "%s"}',
        '{"event_id":"event_1","type":"input_audio_buffer.append","audio":"%s"}',
        '{"type":"input_audio_buffer.append","event_id":"event_1","audio":"%s"}',
        '{"type":"input_audio_buffer.append","audio":"%s","event_id":"event_1"}',
        '{"audio":"%s","type":"input_audio_buffer.append"}',
        ' {\n"type" : "input_audio_buffer.append" ,\t"audio" : "%s" }\n',
    ],
)
def test_audio_is_passed_on_as_it_came_however_it_is_written(frame):
    frame = (frame % AUDIO).encode()
    assert read(frame, TERMS) == Appended(frame, 960)


def test_usual_audio_is_not_parsed(monkeypatch):
    monkeypatch.setattr(realtime_rules, "parse", None)
    frame = event("input_audio_buffer.append", audio=AUDIO)
    assert read(frame, TERMS) == Appended(frame, 960)


@pytest.mark.parametrize(
    "smuggled",
    [
        '{"type":"input_audio_buffer.append","audio":"AAAA","type":"response.create"}',
        '{"type":"input_audio_buffer.append","audio":"AAAA","t\\u0079pe":"response.create"}',
        '{"type":"input_audio_buffer.append","audio":"AAAA","Type":"response.create"}',
        '{"type":"input_audio_buffer.append","audio":"AA\\"AA","type":"response.create"}',
        '{"event_id":"a","event_id":"b","type":"response.cancel"}',
        '{"type":"conversation.item.delete","item_id":"i","TYPE":"response.create"}',
    ],
)
def test_no_event_is_carried_inside_another(smuggled):
    assert refused(smuggled.encode()).code == "invalid_event"


def test_audio_may_be_as_long_as_the_providers_take_it():
    longest = "A" * realtime_rules.APPEND_CHARS_MAX
    assert isinstance(read(event("input_audio_buffer.append", audio=longest), TERMS), Appended)
    assert refused(event("input_audio_buffer.append", audio=longest + "AAAA")).code == "invalid_value"


@pytest.mark.parametrize("audio", [None, 7, ["AAAA"]])
def test_audio_that_is_no_text_is_refused(audio):
    assert refused(event("input_audio_buffer.append", audio=audio)).param == "audio"


# Whatever is no event.


@pytest.mark.parametrize(
    "frame", [b"", b"{", b"null", b"[]", b'"x"', b"{}", b'{"type":7}', b"[" * 5000, b'{"type":"\\ud800"}', b"\xff"]
)
def test_what_is_no_event_is_refused(frame):
    assert refused(frame).code == "invalid_event"


def test_numbers_that_json_does_not_know_are_refused():
    with pytest.raises(RequestRefused):
        parse(b'{"type":"x","value":NaN}')


def test_a_refusal_names_the_event_it_answers():
    assert refused(event("session.update", event_id="mine", session={})).event_id == "mine"


def test_an_endless_event_id_is_not_repeated():
    assert refused(event("session.update", event_id="x" * 10_000, session={})).event_id is None


# Events that pass.


@pytest.mark.parametrize(
    "kind", ["input_audio_buffer.commit", "conversation.item.retrieve", "response.cancel", "something.new"]
)
def test_other_events_are_passed_on_as_they_came(kind):
    frame = b'{ "type" : "%s", "item_id": "caf\xc3\xa9" }' % kind.encode()
    said = read(frame, TERMS)
    assert isinstance(said, Said)
    assert (said.frame, said.kind) == (frame, kind)


@pytest.mark.parametrize("kind", ["response.create_all", "session.start", "transcription_session.update"])
def test_an_unknown_event_that_could_order_answers_is_refused(kind):
    assert refused(event(kind)).param == "type"


def test_an_event_that_is_too_long_is_refused():
    assert refused(event("conversation.item.delete", item_id="x" * 2_000_000)).code == "invalid_value"


# session.update


def session(**fields):
    return event("session.update", session={"type": "realtime", **fields})


def test_a_session_update_is_read():
    wanted = read(session(instructions="Be brief.", model="gpt-realtime-2.1"), TERMS)
    assert isinstance(wanted, SessionWanted)
    assert wanted.session["instructions"] == "Be brief."
    assert wanted.tokens > 0


# What LiveKit's plugin and agents-realtime send, nulls included.
@pytest.mark.parametrize(
    "fields",
    [
        {"max_output_tokens": "inf", "tracing": None, "tool_choice": "auto"},
        {"audio": {"input": {"noise_reduction": None, "turn_detection": None, "transcription": None}}},
        {"audio": {"output": {"voice": "marin", "speed": 1.0}}},
        {"tracing": "auto"},
        {"tools": [], "instructions": None, "prompt": None, "reasoning": None, "audio": None},
        {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "idle_timeout_ms": None}}}},
    ],
)
def test_what_real_clients_send_is_taken(fields):
    assert isinstance(read(session(**fields), TERMS), SessionWanted)


@pytest.mark.parametrize(
    "fields, param",
    [
        ({"type": None}, "session.type"),
        ({"type": "transcription"}, "session.type"),
        ({"model": "gpt-99"}, "session.model"),
        ({"model": ["gpt-realtime-mini"]}, "session.model"),
        ({"max_output_tokens": 4097}, "session.max_output_tokens"),
        ({"max_output_tokens": 0}, "session.max_output_tokens"),
        ({"max_output_tokens": True}, "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "session.max_output_tokens"),
        ({"audio": {"output": {"voice": "fable"}}}, "session.audio.output.voice"),
        ({"audio": {"output": {"voice": {"id": "voice_1"}}}}, "session.audio.output.voice"),
        ({"audio": {"input": {"transcription": {"model": "guess"}}}}, "session.audio.input.transcription.model"),
        ({"audio": {"input": {"transcription": "whisper-1"}}}, "session.audio.input.transcription"),
        ({"audio": {"input": {"turn_detection": "none"}}}, "session.audio.input.turn_detection"),
        ({"audio": []}, "session.audio"),
        ({"tools": [{"type": "mcp", "server_url": "https://x"}]}, "session.tools[0].type"),
        ({"tools": "all"}, "session.tools"),
        ({"prompt": {"id": "pmpt_1"}}, "session.prompt"),
        ({"reasoning": {"effort": "low"}}, "session.reasoning"),
        ({"instructions": 7}, "session.instructions"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(fields, param):
    assert refused(session(**fields)).param == param


def test_a_refusal_lists_what_is_allowed():
    assert "'alloy', 'marin'" in refused(session(audio={"output": {"voice": "fable"}})).message


@pytest.mark.parametrize("name", ["create_response", "interrupt_response"])
def test_a_flag_that_is_no_flag_is_refused(name):
    fields = {"audio": {"input": {"turn_detection": {"type": "server_vad", name: "no"}}}}
    assert refused(session(**fields)).param == f"session.audio.input.turn_detection.{name}"


def test_a_model_that_would_answer_silence_by_itself_is_refused():
    turn_detection = {"type": "server_vad", "idle_timeout_ms": 5000}
    assert refused(session(audio={"input": {"turn_detection": turn_detection}})).param.endswith("idle_timeout_ms")


@pytest.mark.parametrize(
    "name, instead",
    [("modalities", "session.output_modalities"), ("voice", "session.audio.output.voice"), ("temperature", "nothing")],
)
def test_the_shape_of_the_beta_is_told_apart(name, instead):
    refusal = refused(session(**{name: "x"}))
    assert (refusal.code, refusal.param) == ("unknown_parameter", f"session.{name}")
    assert "beta" in refusal.message
    assert instead in refusal.message


def test_instructions_that_no_context_holds_are_refused():
    assert refused(session(instructions="word " * 30_000)).code == "context_length_exceeded"


# response.create


def test_a_bare_response_is_read():
    assert read(event("response.create", event_id="mine"), TERMS) == ResponseWanted({}, "mine")


def test_a_response_is_read_with_its_length_and_what_it_reads():
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * 100}]}
    wanted = read(event("response.create", response={"max_output_tokens": 50, "input": [item]}), TERMS)
    assert wanted.output_tokens == 50
    assert wanted.tokens >= 50


def test_a_response_without_end_is_as_long_as_the_model_can():
    assert read(event("response.create", response={"max_output_tokens": "inf"}), TERMS).output_tokens == 4096


def test_a_response_out_of_band_is_told_apart():
    assert read(event("response.create", response={"conversation": "none"}), TERMS).is_out_of_band


@pytest.mark.parametrize(
    "fields, param",
    [
        ({"max_output_tokens": 5000}, "response.max_output_tokens"),
        ({"conversation": "all"}, "response.conversation"),
        ({"input": "hello"}, "response.input"),
        ({"tools": [{"type": "mcp"}]}, "response.tools[0].type"),
        ({"audio": {"output": {"voice": "nova"}}}, "response.audio.output.voice"),
        ({"modalities": ["text"]}, "response.modalities"),
        ({"prompt": {"id": "p"}}, "response.prompt"),
    ],
)
def test_a_response_that_cannot_be_had_is_refused_by_name(fields, param):
    assert refused(event("response.create", response=fields)).param == param


# Items.


def picture(**fields):
    part = {"type": "input_image", "image_url": PICTURE, **fields}
    return event("conversation.item.create", item={"type": "message", "role": "user", "content": [part]})


def test_a_picture_is_passed_to_a_model_that_sees():
    assert read(picture(), TERMS).tokens > 1000


def test_a_model_that_cannot_see_says_so():
    refusal = refused(picture(), BLIND)
    assert (refusal.code, refusal.param) == ("invalid_value", "item.content[0].type")
    assert refusal.message == "Invalid value: 'input_image'. The model 'parley' does not support image input."


@pytest.mark.parametrize("url", ["https://example.com/cat.png", "file:///etc/passwd", "", None, "data:text/html,x"])
def test_a_picture_is_sent_and_not_fetched(url):
    assert refused(picture(image_url=url)).param == "item.content[0].image_url"


def test_pictures_that_a_response_brings_along_are_looked_at_too():
    part = {"type": "input_image", "image_url": PICTURE}
    item = {"type": "message", "role": "user", "content": [part]}
    assert (
        refused(event("response.create", response={"input": [item]}), BLIND).param
        == "response.input[0].content[0].type"
    )


@pytest.mark.parametrize(
    "item, at_least",
    [
        ({"type": "message", "content": [{"type": "input_text", "text": "x" * 400}]}, 100),
        ({"type": "message", "content": [{"type": "input_audio", "audio": "A" * 64_000}]}, 10),
        ({"type": "function_call_output", "call_id": "c", "output": "x" * 400}, 100),
        ({"type": "function_call", "call_id": "c", "name": "f", "arguments": "x" * 400}, 100),
        ({"type": "message", "content": [None, 7]}, 1),
    ],
)
def test_an_item_is_counted_from_above(item, at_least):
    assert tokens_of_item(item, "item", TERMS) >= at_least


def test_an_item_that_is_none_is_refused():
    assert refused(event("conversation.item.create", item="hello")).param == "item"


# Anything.

_scalars = st.none() | st.booleans() | st.integers(-5, 5000) | st.floats(allow_nan=False) | st.text(max_size=8)
_NAMES = """
    type event_id session response item audio input output voice turn_detection transcription model tools instructions
    max_output_tokens content text image_url conversation prompt reasoning id create_response
"""
_names = st.sampled_from(_NAMES.split())
_anything = st.recursive(
    _scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=5), max_leaves=12
)
_kinds = st.sampled_from(
    ["session.update", "response.create", "conversation.item.create", "input_audio_buffer.append", "response.cancel"]
)


@given(_kinds, st.dictionaries(_names, _anything, max_size=5))
def test_whatever_is_sent_is_read_or_refused(kind, fields):
    frame = json.dumps({**fields, "type": kind}).encode()
    try:
        read(frame, TERMS)
    except RequestRefused as problem:
        assert problem.refusal.code and problem.refusal.message


@given(st.binary(max_size=60))
def test_whatever_bytes_come_are_read_or_refused(frame):
    with contextlib.suppress(RequestRefused):
        read(frame, TERMS)


@given(_anything)
def test_a_session_that_is_taken_can_be_shown(wanted):
    session = {"type": "realtime", "audio": {"input": wanted}}
    try:
        taken = read(json.dumps({"type": "session.update", "session": session}).encode(), TERMS)
    except RequestRefused:
        return
    view = ClientSession(Bounds("m", 32_000, 4096, 2**33, False, True))
    change = view.change(taken.session)
    view.accepted(change, dict(change.upstream))
    turn_detection = (change.upstream["audio"]["input"] or {}).get("turn_detection")
    assert turn_detection is None or turn_detection["create_response"] is False
    view.shown(dict(change.upstream))
