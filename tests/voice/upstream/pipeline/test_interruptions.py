import asyncio

import pytest

from tests.fakes.openai_compatible_server import Act
from voice import realtime_events as events

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "stt", "language": "en"}}}}
BY_VOICE = {"audio": {"input": {"turn_detection": {"type": "server_vad"}, "transcription": {"model": "stt"}}}}


def messages(server, index=-1):
    return server.bodies("/chat/completions")[index]["messages"]


async def test_speech_interrupts_a_response_at_once(call, say):
    async with call(session=BY_VOICE, transcripts=["Stop."], answers=[["Once upon a time, ", Act.HOLD], ["Yes?"]]) as (
        client,
        server,
    ):
        await client.asks(events.response_create(), until="response.output_audio.delta")
        await say(client)
        first, second = await client.until("response.done"), await client.until("response.done")
        assert first["response"]["status_details"] == {"type": "cancelled", "reason": "turn_detected"}
        assert second["response"]["status"] == "completed"
        kinds = client.kinds()
        assert kinds.index("response.done") < kinds.index("input_audio_buffer.speech_stopped")
        assert server.hang_ups == 1


async def test_speech_interrupts_nothing_when_it_is_not_to(call, say):
    session = {"audio": {"input": {"turn_detection": {"type": "server_vad", "interrupt_response": False}}}}
    async with call(session=session, transcripts=["Stop."], answers=[["Once upon a time, ", Act.HOLD, "the end."]]) as (
        client,
        server,
    ):
        await client.asks(events.response_create(), until="response.output_audio.delta")
        await say(client)
        server.release.set()
        done = await client.until("response.done")
        assert done["response"]["status"] == "completed"
        assert len(client.of("response.created")) == 1


@pytest.mark.parametrize("script", [{"answers": [[Act.HOLD]]}, {"answers": [["Hello."]], "speech": [Act.HOLD]}])
async def test_cancelling_hangs_up_on_the_models(call, script):
    async with call(session=MANUAL, **script) as (client, server):
        await client.send(events.response_create())
        await server.held.wait()
        done = await client.asks(events.response_cancel(), until="response.done")
        assert done["response"]["status"] == "cancelled"
        while not server.hang_ups:
            await asyncio.sleep(0.005)


async def test_what_was_cut_off_stays_in_the_conversation(call):
    async with call(session=MANUAL, answers=[["Once upon a time. ", Act.HOLD], ["Yes?"]]) as (client, server):
        await client.asks(events.response_create(), until="response.output_audio.delta")
        await client.asks(events.response_cancel(), until="response.done")
        await client.asks(events.response_create(), until="response.done")
        assert messages(server)[-1] == {"role": "assistant", "content": "Once upon a time. "}


async def test_a_truncated_answer_is_remembered_as_far_as_it_was_heard(call):
    async with call(session=MANUAL, answers=[["One two three. Four five six. "], ["Yes?"]], ms_per_char=10) as (
        client,
        server,
    ):
        done = await client.asks(events.response_create(), until="response.done")
        item_id = done["response"]["output"][0]["id"]
        # "One two three." takes 140 ms, and in 100 ms more "Four five" is over.
        await client.asks(events.truncate(item_id, 240), until="conversation.item.truncated")
        kept = await client.asks(
            {"type": "conversation.item.retrieve", "item_id": item_id}, until="conversation.item.retrieved"
        )
        assert kept["item"]["content"] == [{"type": "output_audio", "transcript": "One two three. Four five"}]
        done = await client.asks(events.response_create(), until="response.done")
        assert messages(server)[-1]["content"] == "One two three. Four five"
        assert done["response"]["usage"]["input_token_details"]["audio_tokens"] == 5


async def test_truncating_an_answer_that_goes_on_ends_it(call):
    async with call(session=MANUAL, answers=[["Once upon a time. ", Act.HOLD]]) as (client, server):
        delta = await client.asks(events.response_create(), until="response.output_audio.delta")
        await client.asks(events.truncate(delta["item_id"], 0), until="conversation.item.truncated")
        assert client.of("response.done")[0]["response"]["status"] == "cancelled"


@pytest.mark.parametrize(
    ("item_id", "ms", "code"),
    [("nobody", 0, "item_truncate_invalid_item_id"), ("typed", 0, "invalid_value"), ("said", 10_000, "invalid_value")],
)
async def test_only_heard_speech_can_be_truncated(call, item_id, ms, code):
    async with call(session=MANUAL, answers=[["Hello."]]) as (client, server):
        await client.send(events.user_text("Hi.", "typed"))
        done = await client.asks(events.response_create(), until="response.done")
        item_id = done["response"]["output"][0]["id"] if item_id == "said" else item_id
        error = await client.asks(events.truncate(item_id, ms), until="error")
        assert error["error"]["code"] == code
