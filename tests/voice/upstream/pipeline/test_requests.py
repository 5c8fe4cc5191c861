import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fakes.scripted_upstream import CAPABILITIES
from voice.upstream.pipeline import requests
from voice.upstream.pipeline.requests import (
    InvalidRequest,
    chooses_silence,
    most_output_tokens,
    ordered_response,
    updated_session,
)

NEW = requests.new_session("sess_1", "receptionist", "joe", 1_800_000_000)
TOOL = {"type": "function", "name": "book", "description": "Books.", "parameters": {"type": "object", "properties": {}}}


def updated(**changes):
    return updated_session(NEW, {"type": "realtime"} | changes)


def test_only_what_is_present_changes():
    once = updated(instructions="Be kind.", tools=[TOOL])
    twice = updated_session(once, {"type": "realtime", "audio": {"output": {"speed": 1.2}}})
    assert twice == once | {"audio": NEW["audio"] | {"output": NEW["audio"]["output"] | {"speed": 1.2}}}


def test_empty_values_clear():
    full = updated(instructions="Be kind.", tools=[TOOL], audio={"input": {"transcription": {"model": "stt"}}})
    assert full["audio"]["input"]["transcription"] == {"model": "stt"}
    off = {"transcription": None, "turn_detection": None, "noise_reduction": None}
    cleared = updated_session(full, {"type": "realtime", "instructions": "", "tools": [], "audio": {"input": off}})
    assert (cleared["instructions"], cleared["tools"]) == ("", [])
    assert cleared["audio"]["input"] == NEW["audio"]["input"] | off


def test_an_update_changes_nothing_that_was_there_before():
    before = json.dumps(NEW)
    updated(audio={"input": {"turn_detection": {"type": "semantic_vad"}}}, instructions="x")
    assert json.dumps(NEW) == before


def test_turn_detection_is_completed_with_the_published_defaults():
    session = updated(audio={"input": {"turn_detection": {"type": "server_vad", "silence_duration_ms": 800}}})
    assert session["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.5,
        "prefix_padding_ms": 300,
        "silence_duration_ms": 800,
        "create_response": True,
        "interrupt_response": True,
        "idle_timeout_ms": None,
    }


# As livekit's and OpenAI's own agents send it when they connect.
LIVEKIT = {
    "type": "realtime",
    "model": "gpt-realtime",
    "output_modalities": ["audio"],
    "audio": {
        "input": {
            "format": {"type": "audio/pcm", "rate": 24000},
            "noise_reduction": None,
            "transcription": {"model": "gpt-4o-mini-transcribe"},
            "turn_detection": {
                "type": "semantic_vad",
                "create_response": True,
                "eagerness": "medium",
                "interrupt_response": True,
            },
        },
        "output": {"format": {"type": "audio/pcm", "rate": 24000}, "speed": 1.0, "voice": "marin"},
    },
    "max_output_tokens": "inf",
    "tool_choice": "auto",
    "tracing": None,
}
AGENTS = {"type": "realtime", "tracing": "auto"}


@pytest.mark.parametrize("update", [LIVEKIT, AGENTS])
def test_what_known_clients_send_is_taken(update):
    session = updated_session(NEW, update)
    assert session["model"] == "receptionist"
    assert session["tracing"] is None


@pytest.mark.parametrize(
    ("changes", "param"),
    [
        ({"type": "transcription"}, "session.type"),
        ({"temperature": 0.8}, "session.temperature"),
        ({"output_modalities": ["audio", "text"]}, "session.output_modalities"),
        ({"max_output_tokens": 0}, "session.max_output_tokens"),
        ({"max_output_tokens": True}, "session.max_output_tokens"),
        ({"max_output_tokens": "many"}, "session.max_output_tokens"),
        ({"instructions": "x" * 200_000}, "session.instructions"),
        ({"instructions": 7}, "session.instructions"),
        ({"tools": [{"type": "mcp", "server_url": "http://x.test"}]}, "session.tools[0].type"),
        ({"tools": [TOOL] * 200}, "session.tools"),
        ({"tools": [{"type": "function"}]}, "session.tools[0].name"),
        ({"tools": [TOOL, TOOL | {"name": "no spaces"}]}, "session.tools[1].name"),
        ({"tool_choice": "sometimes"}, "session.tool_choice"),
        ({"reasoning": {"effort": "high"}}, "session.reasoning"),
        ({"prompt": {"id": "p"}}, "session.prompt"),
        ({"audio": 7}, "session.audio"),
        ({"audio": {"input": {"format": {"type": "audio/opus"}}}}, "session.audio.input.format.type"),
        ({"audio": {"output": {"format": {"type": "audio/pcm", "rate": 8000}}}}, "session.audio.output.format.rate"),
        ({"audio": {"input": {"noise_reduction": {"type": "magic"}}}}, "session.audio.input.noise_reduction.type"),
        ({"audio": {"input": {"transcription": {"voice": "x"}}}}, "session.audio.input.transcription.voice"),
        (
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "eagerness": "very"}}}},
            "session.audio.input.turn_detection.eagerness",
        ),
        ({"truncation": "sometimes"}, "session.truncation"),
        ({"truncation": {"type": "retention_ratio"}}, "session.truncation"),
        ({"truncation": {"type": "retention_ratio", "retention_ratio": 2}}, "session.truncation.retention_ratio"),
        ({"audio": {"output": {"speed": 9}}}, "session.audio.output.speed"),
        ({"audio": {"output": {"voice": ""}}}, "session.audio.output.voice"),
        ({"audio": {"input": {"turn_detection": {"type": "telepathy"}}}}, "session.audio.input.turn_detection.type"),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "threshold": 2}}}},
            "session.audio.input.turn_detection.threshold",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": 1}}}},
            "session.audio.input.turn_detection.create_response",
        ),
        (
            {"audio": {"input": {"turn_detection": {"type": "server_vad", "idle_timeout_ms": 5000}}}},
            "session.audio.input.turn_detection.idle_timeout_ms",
        ),
    ],
)
def test_what_cannot_be_is_refused_by_name(changes, param):
    with pytest.raises(InvalidRequest) as refused:
        updated(**changes)
    assert refused.value.param == param


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
sessions = st.fixed_dictionaries(
    {"type": st.just("realtime")},
    optional={name: json_values for name in requests._SESSION if name not in ("type", "audio")}
    | {
        "audio": st.fixed_dictionaries(
            {},
            optional={
                "input": st.dictionaries(st.sampled_from(sorted(requests._SESSION["audio"]["input"])), json_values),
                "output": st.dictionaries(st.sampled_from(sorted(requests._OUTPUT)), json_values),
            },
        )
    },
)


@settings(deadline=None)
@given(sessions)
def test_any_update_is_refused_or_gives_a_session_of_the_same_shape(update):
    try:
        session = updated_session(NEW, update)
    except InvalidRequest:
        return
    assert session.keys() >= NEW.keys()
    assert session["audio"]["input"].keys() == NEW["audio"]["input"].keys()
    assert session["audio"]["output"].keys() == NEW["audio"]["output"].keys()


RETENTION = {"type": "retention_ratio", "retention_ratio": 0.8, "token_limits": {"post_instructions": 4000}}


@pytest.mark.parametrize(
    "changes",
    [
        {"truncation": "disabled"},
        {"truncation": RETENTION},
        {"audio": {"input": {"noise_reduction": {"type": "near_field"}}}},
        {"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}},
        {"tool_choice": "required", "parallel_tool_calls": False},
    ],
)
def test_what_was_set_can_be_read_back(changes):
    session = updated(**changes)
    assert updated_session(session, {"type": "realtime"}) == session
    for name, value in changes.items():
        if name != "audio":
            assert session[name] == value
    for direction, members in changes.get("audio", {}).items():
        assert session["audio"][direction].items() >= members.items()


def test_a_length_of_silence_is_chosen_by_the_client_or_left_to_the_words():
    def update(turn_detection):
        return {"audio": {"input": {"turn_detection": turn_detection}}}

    assert chooses_silence(update({"type": "server_vad", "silence_duration_ms": 500}), False)
    assert not chooses_silence(update({"type": "server_vad"}), True)
    assert not chooses_silence(update(None), True)
    assert chooses_silence({"instructions": "x", "audio": None}, True)


def test_a_response_sees_the_session_with_its_own_wishes():
    order = ordered_response(NEW, {"instructions": "Bye.", "metadata": {"a": "b"}, "tools": None})
    assert order.session == NEW | {"instructions": "Bye."}
    assert order.metadata == {"a": "b"}
    assert (order.is_out_of_band, order.input) == (False, None)


def test_a_response_may_stand_beside_the_conversation():
    order = ordered_response(NEW, {"conversation": "none", "input": []})
    assert (order.is_out_of_band, order.input) == (True, [])


@pytest.mark.parametrize(
    ("order", "param"),
    [
        ({"metadata": {"k": 1}}, "response.metadata"),
        ({"metadata": {"k" * 65: "v"}}, "response.metadata"),
        ({"metadata": {str(n): "v" for n in range(17)}}, "response.metadata"),
        ({"conversation": "another"}, "response.conversation"),
        ({"input": {}}, "response.input"),
        ({"input": [{}] * 201}, "response.input"),
        ({"turn_detection": None}, "response.turn_detection"),
        ({"tool_choice": {"type": "function", "name": "nobody"}}, "response.tool_choice"),
        (7, "response"),
    ],
)
def test_an_order_that_cannot_be_met_is_refused(order, param):
    with pytest.raises(InvalidRequest) as refused:
        ordered_response(NEW, order)
    assert refused.value.param == param


def test_no_more_tokens_than_the_model_has():
    assert most_output_tokens(NEW, CAPABILITIES) == CAPABILITIES.max_output_tokens
    assert most_output_tokens(updated(max_output_tokens=99_000), CAPABILITIES) == CAPABILITIES.max_output_tokens
    assert most_output_tokens(updated(max_output_tokens=7), CAPABILITIES) == 7
