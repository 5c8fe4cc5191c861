"""Responses that read or write something else than the conversation."""

import asyncio
import base64

import pytest

from tests.fakes.openai_compatible_server import Act, Call
from voice import realtime_events as events
from voice.upstream.pipeline import answers

TEXT = {"output_modalities": ["text"], "audio": {"input": {"turn_detection": None}}}
TOOL = {"type": "function", "name": "sort", "description": "", "parameters": {"type": "object", "properties": {}}}


def order(**response):
    return {"type": "response.create", "response": response}


def typed(text, item_id=None):
    return {"type": "message", "role": "user", "content": [{"type": "input_text", "text": text}]} | (
        {"id": item_id} if item_id else {}
    )


def contents(server, index=-1):
    return [message["content"] for message in server.bodies("/chat/completions")[index]["messages"]]


async def test_it_reads_the_conversation_and_leaves_no_trace_in_it(call):
    async with call(session=TEXT, answers=[["A question."], ["Hello."]]) as (client, server):
        await client.send(events.user_text("Hi."))
        wish = order(conversation="none", instructions="Sort this.", metadata={"topic": "sorting"})
        done = await client.asks(wish, until="response.done")
        assert done["response"]["conversation_id"] is None
        assert done["response"]["metadata"] == {"topic": "sorting"}
        assert done["response"]["output"][0]["content"][0]["text"] == "A question."
        assert contents(server) == ["Sort this.", "Hi."]
        await client.asks(events.response_create(), until="response.done")
        assert contents(server) == ["Hi."]
        item_id = done["response"]["output"][0]["id"]
        error = await client.asks({"type": "conversation.item.retrieve", "item_id": item_id}, until="error")
        assert error["error"]["code"] == "item_retrieve_invalid_item_id"


async def test_it_may_be_spoken_and_call_functions_like_any_other(call):
    session = {"audio": {"input": {"turn_detection": None}}}
    async with call(session=session, answers=[["One moment. ", Call("sort", "{}")]]) as (client, server):
        done = await client.asks(order(conversation="none", tools=[TOOL]), until="response.done")
        assert [item["type"] for item in done["response"]["output"]] == ["message", "function_call"]
        assert client.of("response.output_audio.delta")


async def test_it_runs_beside_the_conversations_own(call):
    async with call(session=TEXT, answers=[[Act.HOLD, "Own."], ["Aside."]]) as (client, server):
        await client.send(events.response_create())
        await server.held.wait()
        first = await client.asks(order(conversation="none"), until="response.done")
        assert first["response"]["output"][0]["content"][0]["text"] == "Aside."
        server.release.set()
        second = await client.until("response.done")
        assert second["response"]["conversation_id"] is not None


async def test_only_so_many_run_at_once(call, monkeypatch):
    monkeypatch.setattr(answers, "MAX_ASIDES", 2)
    async with call(session=TEXT, answers=[[Act.HOLD], [Act.HOLD], [Act.HOLD]]) as (client, server):
        await client.send(order(conversation="none"), order(conversation="none"))
        error = await client.asks(order(conversation="none"), until="error")
        assert error["error"]["code"] == "rate_limit_exceeded"
        assert len(client.of("response.created")) == 2
        # The conversation's own is not one of them.
        await client.asks(events.response_create(), until="response.created")
        while len(server.bodies("/chat/completions")) < 3:
            await asyncio.sleep(0.005)


async def test_it_is_cancelled_by_its_name_only(call):
    async with call(session=TEXT, answers=[[Act.HOLD]]) as (client, server):
        created = await client.asks(order(conversation="none"), until="response.created")
        await server.held.wait()
        error = await client.asks(events.response_cancel(), until="error")
        assert error["error"]["code"] == "response_cancel_not_active"
        done = await client.asks(events.response_cancel(created["response"]["id"]), until="response.done")
        assert done["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}


async def test_an_input_stands_in_the_place_of_the_conversation(call):
    async with call(session=TEXT, answers=[["Fine."], ["Fine."]]) as (client, server):
        await client.send(events.user_text("first", "a"), events.user_text("second", "b"))
        wanted = [{"type": "item_reference", "id": "b"}, typed("third")]
        await client.asks(order(conversation="none", input=wanted), until="response.done")
        assert contents(server) == ["second", "third"]
        await client.asks(order(input=[], instructions="Just greet."), until="response.done")
        assert contents(server) == ["Just greet."]


async def test_what_is_said_in_an_input_is_understood(call):
    sound = base64.b64encode(bytes(48_000)).decode()
    said = {"type": "message", "role": "user", "content": [{"type": "input_audio", "audio": sound}]}
    async with call(session=TEXT, transcripts=["Hello."], answers=[["Fine."]]) as (client, server):
        done = await client.asks(order(conversation="none", input=[said]), until="response.done")
        assert contents(server) == ["Hello."]
        assert done["response"]["usage"]["input_token_details"]["audio_tokens"] == 10


@pytest.mark.parametrize("response_kind", ["auto", "none"])
async def test_what_it_may_cost_is_limited_like_any_other(call, response_kind):
    async with call(session=TEXT, answers=[["word " * 50]]) as (client, server):
        done = await client.asks(order(conversation=response_kind, max_output_tokens=10), until="response.done")
        assert done["response"]["status"] == "incomplete"
        assert done["response"]["usage"]["output_tokens"] <= 10
