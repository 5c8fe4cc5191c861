"""Answers that are begun before they are ordered, at models that cost nothing."""

import asyncio

import pytest

from tests.fakes.openai_compatible_server import Act, Refuse
from tests.voice.upstream.pipeline.test_hearing import SECOND, ScriptedTurns
from voice import realtime_events as events

ORDERED = {"audio": {"input": {"turn_detection": {"type": "server_vad", "create_response": False}}}}
FRAME = events.append_audio(SECOND[:4800])


async def hear(client, *kinds):
    client.upstream._hearing._turns = turns = ScriptedTurns(kinds)
    for _ in kinds:
        await client.send(FRAME)
    return turns


async def asked(server, path, times=1):
    while len(server.bodies(path)) < times:
        await asyncio.sleep(0.005)


async def test_an_answer_is_begun_in_the_first_silence_and_told_when_it_is_ordered(call):
    script = {"transcripts": ["Yes, please."], "answers": [["Very well. ", "Until Friday."]]}
    async with call(session=ORDERED, costs_nothing=True, **script) as (client, server):
        await hear(client, "started", "paused")
        await asked(server, "/audio/speech")
        assert "response.created" not in client.kinds()
        await hear(client, "stopped")
        await client.until("input_audio_buffer.committed")
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Very well. Until Friday."
        assert len(server.bodies("/chat/completions")) == 1
        assert [body["input"] for body in server.bodies("/audio/speech")] == ["Very well.", "Until Friday."]


async def test_nothing_is_begun_early_at_models_that_are_paid(call):
    async with call(session=ORDERED, transcripts=["Yes, please."], answers=[["Fine."]]) as (client, server):
        turns = await hear(client, "started", "paused")
        while not hasattr(turns, "judged"):
            await asyncio.sleep(0.005)
        assert not server.bodies("/chat/completions")
        await hear(client, "stopped")
        await client.asks(events.response_create(), until="response.done")


async def test_an_answer_nobody_orders_is_never_told(call):
    script = {"transcripts": ["Yes, please."], "answers": [["Very well."]]}
    async with call(session=ORDERED, costs_nothing=True, **script) as (client, server):
        await hear(client, "started", "paused")
        await asked(server, "/audio/speech")
        await hear(client, "stopped")
        await client.until("conversation.item.done")
        assert not [kind for kind in client.kinds() if kind.startswith("response.")]


async def test_a_caller_who_goes_on_gets_the_answer_to_all_of_it(call):
    script = {"transcripts": ["Yes.", "Yes, but not on Friday."], "answers": [[Act.HOLD], ["On Monday?"]]}
    async with call(session=ORDERED, costs_nothing=True, **script) as (client, server):
        await hear(client, "started", "paused")
        await asked(server, "/chat/completions")
        await hear(client, "resumed", "stopped")
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "On Monday?"
        assert server.bodies("/chat/completions")[-1]["messages"][-1]["content"] == "Yes, but not on Friday."
        while not server.hang_ups:
            await asyncio.sleep(0.005)


@pytest.mark.parametrize("order", [{"instructions": "Be brief."}, {"max_output_tokens": 50}])
async def test_a_response_that_is_ordered_otherwise_is_asked_for_afresh(call, order):
    script = {"transcripts": ["Yes, please."], "answers": [["Too early."], ["Fine."]]}
    async with call(session=ORDERED, costs_nothing=True, **script) as (client, server):
        await hear(client, "started", "paused")
        await asked(server, "/audio/speech")
        await hear(client, "stopped")
        done = await client.asks(events.response_create(**order), until="response.done")
        assert done["response"]["output"][0]["content"][0]["transcript"] == "Fine."


@pytest.mark.parametrize(
    "script",
    [
        {"answers": [Refuse(429), ["Fine."]]},
        {"answers": [["Fine."]], "speech": [Refuse(429), None]},
    ],
)
async def test_what_failed_too_early_is_tried_again_when_it_is_ordered(call, script):
    async with call(session=ORDERED, costs_nothing=True, transcripts=["Yes, please."], **script) as (client, server):
        await hear(client, "started", "paused")
        await asked(server, "/audio/speech" if "speech" in script else "/chat/completions")
        await hear(client, "stopped")
        await client.until("input_audio_buffer.committed")
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "completed"
