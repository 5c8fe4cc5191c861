"""Where a conversation stands, as GA events tell it."""

from voice.sessions.state import ConversationState, Response, function_calls, tokens_at_most


def created(response_id="resp_1"):
    return {"type": "response.created", "response": {"id": response_id}}


def done(response_id="resp_1", **response):
    return {"type": "response.done", "response": {"id": response_id, "status": "completed", **response}}


def state(**fields) -> ConversationState:
    return ConversationState(**{"context_tokens": 100} | fields)


def test_a_response_is_asked_then_runs_then_is_over():
    call = state()
    call.response_asked()
    assert call.response is Response.ASKED
    call.response_created(created())
    assert call.response is Response.RUNNING
    call.response_done(done())
    assert call.response is Response.NONE


def test_a_response_is_over_once():
    call = state()
    call.response_created(created())
    assert call.response_done(done())
    assert not call.response_done(done())


def test_a_refused_request_leaves_no_response_behind():
    call = state()
    call.response_asked()
    call.response_refused()
    assert call.response is Response.NONE


def test_the_reported_usage_is_the_size_of_the_context():
    call = state()
    call.response_done(done(usage={"input_tokens": 800, "output_tokens": 50}))
    assert call.context_tokens == 850


def test_a_response_without_usage_leaves_the_context_as_it_was():
    call = state(context_tokens=400)
    call.response_done(done(status="failed", usage=None))
    assert call.context_tokens == 400


def test_speech_grows_the_context_by_its_audio_and_its_transcript():
    call = state(context_tokens=0)
    call.speech_started({"audio_start_ms": 1000})
    call.speech_stopped({"audio_end_ms": 4000})
    assert call.context_tokens >= 2 * 30


def test_a_text_never_counts_fewer_tokens_than_it_has():
    assert tokens_at_most("नमस्ते") >= 9
    assert tokens_at_most("") == 1


def test_the_tool_calls_of_a_finished_response_are_returned_in_order():
    output = [
        {"type": "message"},
        {"type": "function_call", "name": "book", "call_id": "c1", "arguments": "{}"},
        {"type": "function_call", "name": "end_call", "call_id": "c2", "arguments": "{}"},
    ]
    calls = function_calls(done(output=output)["response"])
    assert [(call.name, call.call_id) for call in calls] == [("book", "c1"), ("end_call", "c2")]


def test_a_tool_call_without_arguments_has_an_empty_object():
    output = [{"type": "function_call", "name": "end_call", "call_id": "c2", "arguments": None}]
    assert function_calls(done(output=output)["response"])[0].arguments == "{}"


def test_the_tool_calls_of_a_cancelled_response_are_not_run():
    output = [{"type": "function_call", "name": "book", "call_id": "c1", "arguments": "{"}]
    assert function_calls(done(status="cancelled", output=output)["response"]) == []


def test_what_was_added_while_a_response_ran_is_read_by_the_next():
    call = state(context_tokens=0)
    call.response_created(created())
    call.text_added("x" * 2000)
    call.response_done(done(usage={"input_tokens": 800, "output_tokens": 50}))
    assert call.context_tokens > 850 + 1000


def test_a_greeting_answers_nobody():
    call = state()
    call.response_created(created())
    call.response_done(done())
    assert not call.caller_was_answered


def test_a_caller_whose_turn_got_a_whole_answer_was_answered():
    call = state()
    call.caller_finished_turn()
    call.response_created(created())
    call.response_done(done())
    assert call.caller_was_answered
