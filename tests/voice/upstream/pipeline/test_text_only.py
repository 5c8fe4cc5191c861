"""A chat model without ears or a voice: the last rung of a call."""

from dataclasses import replace

import pytest

from tests.fakes.openai_compatible_server import OpenAICompatibleServer
from tests.fakes.scripted_upstream import CAPABILITIES
from tests.voice.upstream import ga_rules
from tests.voice.upstream.client import Client
from voice import realtime_events as events
from voice.upstream import registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamRefused

COUNTED = {"prompt_tokens": 321, "completion_tokens": 12, "prompt_tokens_details": {"cached_tokens": 21}}


def endpoint(server, **changes):
    plain = Endpoint("chat", "gpt-4.1", server.url, "sk-test", replace(CAPABILITIES, audio=False), chat_model="gpt-4.1")
    return replace(plain, **changes)


async def test_what_was_said_elsewhere_is_gone_on_with_in_writing_and_billed_as_it_is_counted():
    async with OpenAICompatibleServer(
        answers=[["We close ", "at five."]], chat_usage=COUNTED, api_key="sk-test"
    ) as server:
        client = Client(await registry.dial(endpoint(server)))
        await client.asks(
            events.session_update({"instructions": "Be brief.", "output_modalities": ["text"]}), until="session.updated"
        )
        said = {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Hello there"}]}
        await client.send({"type": "conversation.item.create", "item": {"id": "sofar_0", **said}})
        await client.asks(events.user_text("When do you close?"), until="conversation.item.done")
        done = await client.asks(events.response_create(max_output_tokens=200), until="response.done")
        await client.hang_up()
        ga_rules.check(client.events)
    assert client.of("response.output_text.done")[0]["text"] == "We close at five."
    messages = [request["messages"] for path, request in server.requests if path.endswith("/chat/completions")][0]
    assert [(each["role"], each["content"]) for each in messages] == [
        ("system", "Be brief."),
        ("assistant", "Hello there"),
        ("user", "When do you close?"),
    ]
    used = done["response"]["usage"]
    assert (used["input_token_details"]["text_tokens"], used["output_token_details"]["text_tokens"]) == (321, 12)
    assert used["input_token_details"]["cached_tokens_details"]["text_tokens"] == 21


async def test_a_key_that_the_provider_refuses_is_told_at_once():
    async with OpenAICompatibleServer(models_status=401, api_key="sk-test") as server:
        with pytest.raises(UpstreamRefused, match="upstream_unauthorized"):
            await registry.dial(endpoint(server))
