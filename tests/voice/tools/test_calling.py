"""A customer's tool is asked by one guarded request, and whatever comes back is something a model can speak about."""

import json
import logging

import pytest

from tests.fakes.webhook_receiver import Act, Answer, WebhookReceiver
from tests.voice.tools.specs import make_spec
from voice.tools.calling import MOST_ANSWER_CHARS, call_tool, try_tool

ARGUMENTS = '{"number": "A17"}'


async def call(receiver, arguments=ARGUMENTS, **changes):
    return await call_tool(make_spec(receiver.url, **changes), arguments, call_id="call_7", session_id="s-1")


def told(answered):
    return json.loads(answered.output)


async def test_the_customers_server_is_asked_with_the_arguments_and_its_secret():
    with WebhookReceiver() as receiver:
        await call(receiver)
    (request,) = receiver.received
    assert request.json == {
        "tool": "look_up_order",
        "arguments": {"number": "A17"},
        "call_id": "call_7",
        "session_id": "s-1",
    }
    assert request.headers["x-api-key"] == "very secret"
    assert request.headers["idempotency-key"] == "call_7"


async def test_a_json_answer_is_given_to_the_model_as_it_is():
    with WebhookReceiver([Answer(body=b'{"state": "shipped", "days": 2}')]) as receiver:
        answered = await call(receiver)
    assert told(answered) == {"status": "ok", "answer": {"state": "shipped", "days": 2}}
    assert (answered.status, answered.problem) == (200, "")


async def test_an_answer_in_words_is_given_as_words():
    with WebhookReceiver([Answer(body="Ist unterwegs, höchstens zwei Tage.".encode())]) as receiver:
        assert told(await call(receiver))["answer"] == "Ist unterwegs, höchstens zwei Tage."


async def test_an_error_is_something_to_speak_about():
    with WebhookReceiver([Answer(404, body=b'{"error": "no such order"}')]) as receiver:
        answered = await call(receiver)
    assert told(answered) == {
        "status": "error",
        "message": "The tool answered with an error (HTTP 404).",
        "answer": {"error": "no such order"},
    }
    assert (answered.status, answered.problem) == (404, "http_error")


@pytest.mark.parametrize(
    ("act", "timeout_ms", "problem"),
    [
        (Act.SILENCE, 200, "timed_out"),
        (Act.DRIP, 200, "timed_out"),
        (Act.HUGE, 10_000, "too_large"),
        (Act.BOMB, 10_000, "too_large"),
        (Act.DROP, 10_000, "unreachable"),
        (Act.GARBAGE, 10_000, "unreachable"),
    ],
)
async def test_a_rude_server_ends_no_call(act, timeout_ms, problem):
    with WebhookReceiver([act]) as receiver:
        answered = await call(receiver, timeout_ms=timeout_ms)
    assert answered.problem == problem
    assert told(answered)["status"] == "error"


async def test_a_server_inside_is_not_asked(settings):
    settings.OUTGOING_ALLOW_PRIVATE = False
    with WebhookReceiver() as receiver:
        answered = await call(receiver)
    assert answered.problem in ("not_https", "address_not_allowed") and receiver.received == []


async def test_arguments_that_do_not_fit_are_not_sent():
    with WebhookReceiver() as receiver:
        answered = await call(receiver, '{"number": 17}')
    assert receiver.received == []
    assert answered.problem == "bad_arguments" and "$.number" in told(answered)["message"]


async def test_a_long_answer_is_cut_and_says_so():
    with WebhookReceiver([Answer(body=b"x" * 10_000)]) as receiver:
        answer = told(await call(receiver))
    assert len(answer["answer"]) == MOST_ANSWER_CHARS and "first" in answer["cut"]


async def test_an_answer_that_is_no_text_is_made_one():
    with WebhookReceiver([Answer(body=b'"\\ud800 half a pair"'), Answer(body=b"\xff\xfe")]) as receiver:
        for _ in range(2):
            (await call(receiver)).output.encode()


async def test_a_redirect_is_no_answer():
    with WebhookReceiver([Answer(302, {"Location": "https://elsewhere.example/"})]) as receiver:
        assert (await call(receiver)).problem == "http_error"


async def test_neither_question_nor_answer_nor_secret_is_logged(caplog, capsys):
    logging.getLogger("voice").setLevel(logging.DEBUG)
    caplog.set_level(logging.DEBUG)
    with WebhookReceiver([Answer(body=b'"the answer is Rosebud"')]) as receiver:
        await call(receiver, '{"number": "Kane"}')
        await call(receiver, '{"number": ["Kane"]}')
    logged = caplog.text + "".join(capsys.readouterr())
    assert "tool_called" in logged
    assert not any(word in logged for word in ("Kane", "Rosebud", "very secret"))


def test_the_secret_is_not_in_what_a_traceback_shows():
    assert "very secret" not in repr(make_spec("https://example.com/"))


def test_a_tool_can_be_tried_by_hand():
    with WebhookReceiver([Answer(body=b'{"state": "shipped"}')]) as receiver:
        answered = try_tool(make_spec(receiver.url), ARGUMENTS, call_id="try_1")
    assert told(answered)["answer"] == {"state": "shipped"}
    assert receiver.received[0].json["session_id"] is None


def test_a_tool_that_is_down_can_be_tried_by_hand():
    with WebhookReceiver() as receiver:
        receiver.go_down()
        assert try_tool(make_spec(receiver.url), ARGUMENTS, call_id="try_1").problem == "unreachable"
