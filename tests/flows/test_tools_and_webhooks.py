"""A caller asks what only the customer's own server knows, and the customer's systems are told of the call."""

import json

import pytest
from asgiref.sync import sync_to_async as in_thread

from tests.fakes.openai_compatible_server import Call, OpenAICompatibleServer
from tests.fakes.scripted_upstream import Step, spoken_answer, usage
from tests.fakes.webhook_receiver import Answer, WebhookReceiver
from tests.flows.browser import Browser
from tests.flows.script import SPEECH, caller_says, greeting, wants_tool
from tests.flows.visits import ticket_for
from voice.models import EventType, WebhookDelivery, WebhookState
from voice.tools.keeping import add_tool
from voice.webhooks.endpoints import add_endpoint

SCHEMA = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}
SHIPPED = {"status": "ok", "answer": {"state": "shipped"}}


@pytest.fixture
def shop(agent):
    """The customer's server, which the agent may ask for orders."""
    with WebhookReceiver(respond=lambda _: Answer(body=b'{"state": "shipped"}')) as shop:
        fields = {"name": "look_up_order", "description": "Look up an order.", "parameters": SCHEMA, "url": shop.url}
        add_tool(agent, fields)
        yield shop


@pytest.fixture
def desk(agent):
    """The customer's other server, which is told of everything."""
    with WebhookReceiver() as desk:
        add_endpoint(agent.organisation, url=desk.url, event_types=EventType.values)
        yield desk


async def test_a_realtime_model_speaks_about_what_the_customers_server_answered(agent, shop, served_by):
    used = usage(text_in=800, text_out=20)
    output = {"type": "function_call_output", "call_id": "c1", "output": json.dumps(SHIPPED)}
    upstream = served_by(
        [
            *greeting(),
            Step(
                "response.create",
                emit=wants_tool("look_up_order", {"number": "A17"}, response_id="r2", call_id="c1", used=used),
            ),
            Step("conversation.item.create", fields={"item": output}),
            Step("response.create", emit=spoken_answer("It is on its way.", SPEECH, response_id="r3", item_id="i3")),
        ]
    )
    page = Browser()
    started = await page.calls(await ticket_for(agent))
    await page.until("audio.end")
    upstream.emit(*caller_says("Where is my order, A17?", "u1"))
    await page.until("audio.end")
    upstream.assert_complete()
    await page.says("session.end")
    await page.until("session.ended")
    (asked,) = shop.received
    assert asked.json["arguments"] == {"number": "A17"}
    assert asked.json["session_id"] == started["session_id"]


async def test_a_chat_model_does_so_too(agent, shop, settings):
    answers = [["Hello."], [Call("look_up_order", '{"number": "A17"}', call_id="c1")], ["It is on its way."]]
    async with OpenAICompatibleServer(answers=answers) as models:
        settings.LOCAL_MODELS_URL = models.url
        page = Browser()
        await page.calls(await ticket_for(agent, voice=False), voice=False)
        await page.until("caption.final")
        await page.says("text.send", text="Where is my order, A17?")
        await page.until("caption.final", text="It is on its way.")
        await page.says("session.end")
        await page.until("session.ended")
        models.assert_complete()
    told = [message for message in models.bodies("/chat/completions")[-1]["messages"] if message["role"] == "tool"]
    assert [json.loads(message["content"]) for message in told] == [SHIPPED]


async def test_the_customers_systems_are_told_that_a_call_began_and_how_it_ended(agent, desk, served_by):
    served_by(greeting())
    page = Browser()
    started = await page.calls(await ticket_for(agent))
    await page.until("audio.end")
    await page.says("session.end")
    await page.until("session.ended")
    await page.until_closed()
    assert sorted(one.json["type"] for one in desk.accepted) == ["voice_session.ended", "voice_session.started"]
    assert {one.json["data"]["session_id"] for one in desk.accepted} == {started["session_id"]}
    assert await in_thread(WebhookDelivery.objects.filter(state=WebhookState.DELIVERED).count)() == 2
