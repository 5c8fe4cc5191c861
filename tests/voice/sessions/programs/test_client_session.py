"""A Realtime session as its client sees it: what it asked for, though the model is told otherwise."""

import pytest

from voice.sessions.programs.client_session import Bounds, ClientSession

BOUNDS = Bounds(
    model="gpt-realtime-mini", context_tokens=32_000, max_output_tokens=4096, expires_at=2_000, reasons=False,
    truncates=True, transcription_slugs={"whisper-1": "our-whisper"},
)  # fmt: skip
SERVER_VAD = {"type": "server_vad", "create_response": False, "interrupt_response": True}


def in_force(turn_detection=SERVER_VAD, **fields):
    return {"model": "provider-name", "audio": {"input": {"turn_detection": turn_detection}, "output": {}}, **fields}


def with_turn_detection(turn_detection):
    return {"audio": {"input": {"turn_detection": turn_detection}}}


@pytest.fixture
def session():
    session = ClientSession(BOUNDS)
    session.accepted(session.opening({}), in_force())
    return session


def told(change):
    return change.upstream["audio"]["input"]["turn_detection"]


def test_the_model_is_told_first_of_all_not_to_answer_by_itself():
    change = ClientSession(BOUNDS).opening({"instructions": "Be brief."})
    assert told(change) == {"type": "server_vad", "create_response": False}
    assert change.upstream["instructions"] == "Be brief."
    assert change.upstream["max_output_tokens"] == 4096


def test_a_new_session_answers_turns_as_far_as_its_client_can_see(session):
    assert session.creates_response
    assert session.shown(in_force())["audio"]["input"]["turn_detection"]["create_response"] is True


@pytest.mark.parametrize(
    "wanted, answers",
    [
        ({"type": "server_vad"}, True),
        ({"type": "semantic_vad", "create_response": None}, True),
        ({"type": "server_vad", "create_response": True}, True),
        ({"type": "server_vad", "create_response": False}, False),
    ],
)
def test_turns_are_answered_as_the_client_wishes_and_never_by_the_model(session, wanted, answers):
    change = session.change(with_turn_detection(wanted))
    assert told(change)["create_response"] is False
    session.accepted(change, in_force())
    assert session.creates_response is answers
    assert session.shown(in_force())["audio"]["input"]["turn_detection"]["create_response"] is answers


def test_without_turn_detection_nothing_is_answered(session):
    change = session.change(with_turn_detection(None))
    assert told(change) is None
    session.accepted(change, in_force(None))
    assert not session.creates_response
    assert session.shown(in_force(None))["audio"]["input"]["turn_detection"] is None


def test_what_an_update_does_not_name_stays(session):
    session.accepted(session.change(with_turn_detection({"type": "server_vad", "create_response": False})), in_force())
    session.accepted(session.change({"instructions": "Be brief."}), in_force())
    assert not session.creates_response


def test_nothing_changes_before_the_model_agrees(session):
    session.change({**with_turn_detection(None), "max_output_tokens": 7})
    assert session.creates_response
    assert session.max_output_tokens == "inf"


def test_the_clients_own_update_is_left_as_it_is(session):
    wanted = with_turn_detection({"type": "server_vad", "create_response": True})
    session.change(wanted)
    assert wanted == with_turn_detection({"type": "server_vad", "create_response": True})


def test_the_client_reads_its_own_limit_and_the_model_gets_ours(session):
    change = session.change({"max_output_tokens": 500})
    assert "max_output_tokens" not in change.upstream
    session.accepted(change, in_force(max_output_tokens=4096))
    assert session.shown(in_force(max_output_tokens=4096))["max_output_tokens"] == 500


def test_the_model_is_named_as_it_was_asked_for(session):
    assert "model" not in session.change({"model": "gpt-realtime-mini"}).upstream
    assert session.shown(in_force())["model"] == "gpt-realtime-mini"


def test_traces_are_not_written_to_somebody_elses_account(session):
    change = session.change({"tracing": "auto"})
    assert change.upstream == {}
    session.accepted(change, in_force())
    assert session.shown(in_force(tracing=None))["tracing"] == "auto"


def test_reasoning_is_kept_from_a_stand_in_that_does_not(session):
    change = session.change({"reasoning": {"effort": "low"}})
    assert change.upstream == {}
    session.accepted(change, in_force())
    assert session.shown(in_force())["reasoning"] == {"effort": "low"}


@pytest.mark.parametrize(
    "wanted, keeps",
    [
        ("auto", 27_904),
        ({"type": "retention_ratio", "retention_ratio": 0.5}, 27_904),
        ({"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 4000}}, 4000),
        ({"type": "retention_ratio", "retention_ratio": 0.5, "token_limits": {"post_instructions": 10**6}}, 27_904),
    ],
)
def test_a_conversation_is_cut_where_the_catalogues_context_ends(session, wanted, keeps):
    change = session.change({"truncation": wanted})
    assert change.upstream["truncation"]["token_limits"] == {"post_instructions": keeps}
    session.accepted(change, in_force())
    assert session.shown(in_force(truncation=change.upstream["truncation"]))["truncation"] == wanted


def test_the_context_is_limited_from_the_beginning():
    assert ClientSession(BOUNDS).opening({}).upstream["truncation"]["token_limits"] == {"post_instructions": 27_904}


@pytest.mark.parametrize("upstreams, seen", [(1_500, 1_500), (9_000, 2_000), (None, 2_000)])
def test_a_session_ends_when_the_first_of_both_ends_it(session, upstreams, seen):
    assert session.shown(in_force(expires_at=upstreams))["expires_at"] == seen


def test_interruptions_are_what_the_model_says_they_are(session):
    session.accepted(session.change({}), in_force({**SERVER_VAD, "interrupt_response": False}))
    assert not session.interrupts_response


def test_telephone_audio_is_told_apart(session):
    telephone = {"audio": {"input": {"format": {"type": "audio/pcmu"}}, "output": {"format": {"type": "audio/pcma"}}}}
    session.accepted(session.change({}), telephone)
    assert (session.hears_pcm, session.speaks_pcm) == (False, False)


def test_transcription_is_billed_by_the_model_in_force(session):
    transcribed = {"audio": {"input": {"transcription": {"model": "whisper-1"}}}}
    session.accepted(session.change({}), transcribed)
    assert session.transcription_slug == "our-whisper"
