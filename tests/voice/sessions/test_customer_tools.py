"""Customers' tools in a live call: audio goes on, the caller is told to wait, and every call of a tool is answered."""

import asyncio
import json
import threading
import time

import pytest

from tests.fakes.webhook_receiver import Act, Answer, WebhookReceiver
from tests.voice.sessions.test_relay import SECOND, live_call
from tests.voice.tools.specs import make_spec
from voice.sessions import customer_tools
from voice.sessions.stop import Stop
from voice.upstream.errors import UpstreamDropped

FILLER = "One moment, I am looking that up."


@pytest.fixture
def quick_filler(monkeypatch):
    monkeypatch.setattr(customer_tools, "FILLER_AFTER_S", 0.05)


@pytest.fixture
def slow():
    """A server that answers when it is told to."""
    told_to = threading.Event()
    with WebhookReceiver(respond=lambda _: told_to.wait() and Answer()) as receiver:
        receiver.answers = told_to.set
        yield receiver
        told_to.set()


def wants(name="look_up_order", call_id="call_1", arguments='{"number": "A17"}'):
    return {
        "type": "function_call",
        "name": name,
        "call_id": call_id,
        "arguments": arguments,
        "status": "completed",
    }


async def greeted(call):
    await call.response_starts("r1")
    await call.response_ends("r1")


async def model_calls(call, *wanted, response_id="r2"):
    call.relay.gate.ask()
    await call.settle_down()
    await call.response_starts(response_id)
    await call.response_ends(response_id, output=list(wanted))


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.01)


def outputs(call):
    items = [event["item"] for event in call.upstream.sent if event["type"] == "conversation.item.create"]
    return {item["call_id"]: json.loads(item["output"]) for item in items if item["type"] == "function_call_output"}


def requests_of(call):
    return [event["response"] for event in call.upstream.sent if event["type"] == "response.create"]


async def test_the_model_is_told_what_the_customers_server_answered():
    with WebhookReceiver([Answer(body=b'{"state": "shipped"}')]) as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            await until(lambda: outputs(call))
            await call.settle_down()
            assert outputs(call) == {"call_1": {"status": "ok", "answer": {"state": "shipped"}}}
            assert call.asked() == 3
            assert call.upstream.sent_types()[-2:] == ["conversation.item.create", "response.create"]


async def test_the_tool_is_offered_beside_the_built_in_ones():
    async with live_call(tools=(make_spec("https://example.com/"),)) as call:
        names = [tool["name"] for tool in call.upstream.sent[0]["session"]["tools"]]
        assert names == ["book_appointment", "request_callback", "end_call", "look_up_order"]


async def test_audio_goes_on_while_a_tool_is_running():
    with WebhookReceiver([Act.SILENCE]) as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            await until(lambda: receiver.received)
            await call.caller_speaks("u1")
            await call.response_starts("r3", "a3", b"\1\2" * 10)
            assert call.caller.heard == [("a3", b"\1\2" * 10)]
            assert outputs(call) == {}


async def test_a_caller_who_waits_hears_the_filler_once(quick_filler):
    with WebhookReceiver([Act.SILENCE]) as receiver:
        async with live_call(tools=(make_spec(receiver.url, filler=FILLER),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            await until(lambda: call.asked() == 3)
            filler = requests_of(call)[-1]
            assert filler["instructions"] == f"Say exactly: {FILLER}"
            assert filler["tool_choice"] == "none"
            await call.response_starts("r3")
            await call.response_ends("r3")
            await asyncio.sleep(0.3)
            assert call.asked() == 3


async def test_a_tool_that_answers_at_once_needs_no_filler(monkeypatch):
    monkeypatch.setattr(customer_tools, "FILLER_AFTER_S", 60)
    with WebhookReceiver() as receiver:
        async with live_call(tools=(make_spec(receiver.url, filler=FILLER),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            await until(lambda: call.asked() == 3)
            assert all("Say exactly" not in request.get("instructions", "") for request in requests_of(call))


async def test_nobody_is_told_to_wait_while_they_hear_something(quick_filler):
    with WebhookReceiver([Act.SILENCE]) as receiver:
        async with live_call(tools=(make_spec(receiver.url, filler=FILLER),)) as call:
            await greeted(call)
            call.relay.gate.ask()
            await call.settle_down()
            await call.response_starts("r2", "a2", bytes(5 * SECOND))
            await call.response_ends("r2", output=[wants()])
            await asyncio.sleep(0.3)
            assert call.asked() == 2


async def test_an_answer_that_comes_during_the_filler_is_spoken_after_it(quick_filler, slow):
    async with live_call(tools=(make_spec(slow.url, filler=FILLER),)) as call:
        await greeted(call)
        await model_calls(call, wants())
        await until(lambda: call.asked() == 3)
        await call.response_starts("filler")
        slow.answers()
        await until(lambda: outputs(call))
        await call.settle_down()
        assert call.asked() == 3
        await call.response_ends("filler")
        assert call.asked() == 4


async def test_typed_conversations_have_no_filler(quick_filler):
    with WebhookReceiver([Act.SILENCE]) as receiver:
        async with live_call(tools=(make_spec(receiver.url, filler=FILLER),), is_voice=False) as call:
            await greeted(call)
            await model_calls(call, wants())
            await asyncio.sleep(0.3)
            assert call.asked() == 2
            assert "parley.working" in call.caller.told_types()


async def test_a_tool_that_takes_too_long_is_an_answer_too():
    with WebhookReceiver([Act.SILENCE]) as receiver:
        async with live_call(tools=(make_spec(receiver.url, timeout_ms=100),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            await until(lambda: outputs(call))
            assert outputs(call)["call_1"]["status"] == "error"
            await until(lambda: call.asked() == 3)


async def test_several_tools_of_one_response_are_answered_together():
    with WebhookReceiver() as receiver:
        tools = (make_spec(receiver.url), make_spec(receiver.url, id="2", name="cancel_order"))
        async with live_call(tools=tools) as call:
            await greeted(call)
            fields = json.dumps({"name": "Sarah Johnson", "time": "Friday at nine"})
            await model_calls(
                call,
                wants(call_id="c1"),
                wants("cancel_order", "c2"),
                wants("book_appointment", "c3", fields),
            )
            await until(lambda: len(outputs(call)) == 3)
            await call.settle_down()
            assert call.asked() == 3
            assert call.relay.completed_task == "book_appointment"


async def test_a_model_that_wants_too_many_at_once_is_told_so():
    with WebhookReceiver([Act.SILENCE] * 20) as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, *(wants(call_id=f"c{number}") for number in range(10)))
            await until(lambda: len(outputs(call)) == 2)
            assert all("Too many" in output["message"] for output in outputs(call).values())


async def test_arguments_that_do_not_fit_come_back_to_the_model():
    with WebhookReceiver() as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, wants(arguments='{"number": 17}'))
            await until(lambda: outputs(call))
            assert "$.number" in outputs(call)["call_1"]["message"]
            assert receiver.received == []


async def test_a_caller_who_speaks_meanwhile_is_answered_when_they_are_done(slow):
    async with live_call(tools=(make_spec(slow.url),)) as call:
        await greeted(call)
        await model_calls(call, wants())
        at = {"item_id": "u1"}
        call.upstream.emit({"type": "input_audio_buffer.speech_started", "audio_start_ms": 0, **at})
        await call.settle_down()
        slow.answers()
        await until(lambda: outputs(call))
        await call.settle_down()
        assert call.asked() == 2
        call.upstream.emit({"type": "input_audio_buffer.speech_stopped", "audio_end_ms": 900, **at})
        call.upstream.emit({"type": "input_audio_buffer.committed", **at})
        await call.settle_down()
        assert call.asked() == 3


async def test_a_call_that_ends_waits_for_no_tool():
    with WebhookReceiver([Act.SILENCE]) as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            await until(lambda: receiver.received)
            async with asyncio.timeout(8):  # less than the tool may take
                await call.relay.close()
            assert not call.relay._tools.is_running
            assert outputs(call) == {}


async def test_a_goodbye_waits_for_what_was_asked_with_it():
    """A model that leaves a message and hangs up in one response: the message is delivered first."""
    with WebhookReceiver(respond=lambda _: time.sleep(0.3) or Answer()) as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, wants(), wants("end_call", "c2", "{}"))
            async with asyncio.timeout(5):
                assert await call.parts["follow_clock"] is Stop.AGENT_HUNG_UP
            assert outputs(call)["call_1"]["status"] == "ok"
            assert call.asked() == 2


async def test_a_caller_is_not_asked_whether_they_are_there_while_they_wait():
    with WebhookReceiver([Act.SILENCE]) as receiver:
        tool = make_spec(receiver.url)
        async with live_call(tools=(tool,), silence_timeout_s=1) as call:
            await greeted(call)
            await model_calls(call, wants())
            await asyncio.sleep(2.5)
            assert not call.parts["follow_clock"].done()
            assert "parley.notice" not in call.caller.told_types()


async def test_a_model_that_is_lost_meanwhile_ends_in_its_own_way():
    with WebhookReceiver(respond=lambda _: time.sleep(0.2) or Answer()) as receiver:
        async with live_call(tools=(make_spec(receiver.url),)) as call:
            await greeted(call)
            await model_calls(call, wants())
            call.upstream.drop()
            with pytest.raises(UpstreamDropped):
                await call.parts["follow_upstream"]


async def test_a_fault_of_ours_is_an_answer_too(monkeypatch):
    async def broken(*_, **__):
        raise RuntimeError("Kane")

    monkeypatch.setattr(customer_tools, "call_tool", broken)
    async with live_call(tools=(make_spec("https://example.com/"),)) as call:
        await greeted(call)
        await model_calls(call, wants())
        await until(lambda: outputs(call))
        assert outputs(call)["call_1"]["status"] == "error"
