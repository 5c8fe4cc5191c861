"""The GA session that an agent amounts to."""

import pytest
from django.utils import timezone

from tests.voice.sessions.calls import make_call
from voice.history import RECENT_KEPT_TOKENS, RECENT_TOKENS
from voice.sessions.call import CollectedField
from voice.sessions.prompt import instructions_of, say_exactly, session_of
from voice.upstream.pipeline.requests import new_session, updated_session


def test_the_model_is_told_the_agents_words_its_greeting_and_its_manners():
    told = instructions_of(make_call(instructions="  You are the receptionist.  ", greeting=" Hello! "))
    assert told.startswith("You are the receptionist.\n\nGreeting: Hello!\n\nToday is ")
    assert "You are on a live call." in told


def test_the_model_is_told_which_day_it_is():
    today = timezone.localdate()
    assert f"Today is {today:%A, %B} {today.day}, {today.year}." in instructions_of(make_call())


@pytest.mark.parametrize("language", ["ta", "ta-IN"])
def test_the_model_is_told_to_speak_the_language_of_the_call(language):
    assert instructions_of(make_call(language=language)).endswith(
        "Speak Tamil, unless the caller prefers another language."
    )


@pytest.mark.parametrize("language", ["en", "en-GB", "", "tlh"])
def test_a_call_in_english_or_in_no_known_language_is_told_of_none(language):
    assert "Speak " not in instructions_of(make_call(language=language)).replace("Speak in short", "")


def test_a_call_speaks_and_listens_in_the_format_the_browser_uses():
    audio = session_of(make_call())["audio"]
    pcm = {"type": "audio/pcm", "rate": 24000}
    assert (audio["input"]["format"], audio["output"]["format"]) == (pcm, pcm)


def test_the_model_may_be_interrupted_but_never_answers_on_its_own():
    turns = session_of(make_call())["audio"]["input"]["turn_detection"]
    assert turns == {"type": "server_vad", "create_response": False, "interrupt_response": True}


def test_the_model_decides_when_the_caller_has_finished_where_that_was_asked_for():
    turns = session_of(make_call(turn_detection="realtime_llm"))["audio"]["input"]["turn_detection"]
    assert turns == {
        "type": "semantic_vad", "eagerness": "auto", "create_response": False, "interrupt_response": True,
    }  # fmt: skip


def test_a_call_without_a_greeting_is_told_of_none():
    assert "Greeting" not in instructions_of(make_call(greeting=""))


def test_the_caller_is_written_down_in_the_language_of_the_call():
    heard = session_of(make_call(language="pt-BR", transcription_model="gpt-4o-mini-transcribe"))["audio"]["input"]
    assert heard["transcription"] == {"model": "gpt-4o-mini-transcribe", "language": "pt"}


@pytest.mark.parametrize("language", ["or", "od-IN", ""])
def test_a_language_that_openai_has_no_name_for_is_found_out(language):
    heard = session_of(make_call(language=language, transcription_model="gpt-4o-mini-transcribe"))["audio"]["input"]
    assert heard["transcription"] == {"model": "gpt-4o-mini-transcribe"}


def test_a_spoken_call_answers_in_audio_with_the_agents_voice():
    session = session_of(make_call())
    assert session["output_modalities"] == ["audio"]
    assert session["audio"]["output"]["voice"] == "marin"


def test_a_typed_call_has_no_audio_at_all():
    session = session_of(make_call(is_voice=False))
    assert session["output_modalities"] == ["text"]
    assert "audio" not in session


def test_the_length_of_an_answer_is_bounded_from_the_start():
    assert session_of(make_call(max_output_tokens=300))["max_output_tokens"] == 300


@pytest.mark.parametrize(
    "changes, names",
    [
        ({}, ["book_appointment", "request_callback", "end_call"]),
        ({"task_name": ""}, ["request_callback", "end_call"]),
        ({"collects": ()}, ["request_callback", "end_call"]),
    ],
)
def test_every_assistant_can_hang_up_and_take_a_number_and_some_finish_a_task(changes, names):
    assert [tool["name"] for tool in session_of(make_call(**changes))["tools"]] == names


def test_the_task_asks_for_every_field_and_no_other():
    call = make_call(collects=(CollectedField("name", "full name"), CollectedField("time", "day and time")))
    parameters = session_of(call)["tools"][0]["parameters"]
    assert parameters["required"] == ["name", "time"]
    assert parameters["additionalProperties"] is False
    assert parameters["properties"]["time"] == {"type": "string", "description": "day and time"}


def test_a_sentence_can_be_asked_for_word_by_word():
    assert say_exactly("Are you still there?") == "Say exactly: Are you still there?"


def test_a_caller_whom_no_model_writes_down_has_no_captions():
    assert session_of(make_call(transcription_model=""))["audio"]["input"]["transcription"] is None


def test_callers_are_told_that_their_details_are_passed_on():
    assert "I will pass this on" in instructions_of(make_call())


def test_a_call_that_remembers_everything_forgets_only_what_does_not_fit():
    assert session_of(make_call())["truncation"] == "auto"


def test_a_call_that_remembers_what_was_said_lately_is_cut_as_the_worksheet_reckons():
    truncation = session_of(make_call(history="recent"))["truncation"]
    assert truncation["token_limits"] == {"post_instructions": RECENT_TOKENS}
    assert truncation["retention_ratio"] * RECENT_TOKENS == RECENT_KEPT_TOKENS
    session = new_session("sess_1", "parley-embedded", "marin", 0)
    update = {"type": "realtime", "truncation": truncation}
    assert updated_session(session, update)["truncation"] == truncation, "the pipeline understands it too"
