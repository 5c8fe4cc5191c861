"""The tools every assistant has."""

import json

from tests.voice.sessions.calls import make_call
from voice.sessions.state import FunctionCall
from voice.sessions.tools import run_tool, tools_of


def asked(name: str, arguments: object = "{}") -> FunctionCall:
    text = arguments if isinstance(arguments, str) else json.dumps(arguments)
    return FunctionCall(name, "call_1", text)


def test_an_agent_with_a_task_offers_it_beside_the_call_back_and_the_hang_up():
    assert [tool["name"] for tool in tools_of(make_call())] == ["book_appointment", "request_callback", "end_call"]


def test_an_agent_without_a_task_can_still_take_a_number_and_hang_up():
    tools = tools_of(make_call(task_name="", collects=()))
    assert [tool["name"] for tool in tools] == ["request_callback", "end_call"]


def test_a_task_with_all_its_fields_is_completed():
    result = run_tool(make_call(), asked("book_appointment", {"name": "Sarah Johnson", "time": "Friday at nine"}))
    assert (result.completed, result.fields) == (
        "book_appointment",
        {"name": "Sarah Johnson", "time": "Friday at nine"},
    )


def test_a_task_with_a_missing_field_is_refused_with_what_is_missing():
    result = run_tool(make_call(), asked("book_appointment", {"name": "Sarah Johnson", "time": " "}))
    assert not result.completed
    assert "time" in result.output


def test_fields_nobody_asked_for_are_dropped():
    fields = {"name": "Sarah", "time": "Friday", "admin": "yes"}
    assert set(run_tool(make_call(), asked("book_appointment", fields)).fields) == {"name", "time"}


def test_a_very_long_field_is_cut():
    result = run_tool(make_call(), asked("book_appointment", {"name": "x" * 10_000, "time": "Friday"}))
    assert len(result.fields["name"]) == 300


def test_arguments_that_are_no_object_are_refused():
    for arguments in ("[]", "nonsense", "", "[" * 100_000):
        assert '"error"' in run_tool(make_call(), asked("book_appointment", arguments)).output


def test_a_tool_that_does_not_exist_is_refused():
    assert '"error"' in run_tool(make_call(), asked("transfer_money")).output


def test_hanging_up_ends_the_call():
    assert run_tool(make_call(), asked("end_call")).ends_call
