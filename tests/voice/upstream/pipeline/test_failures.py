import asyncio

import pytest

from tests.fakes.openai_compatible_server import Act, Refuse
from tests.fakes.scripted_upstream import CAPABILITIES
from voice import realtime_events as events
from voice.upstream import registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused
from voice.upstream.pipeline.response import Response

MANUAL = {"audio": {"input": {"turn_detection": None, "transcription": {"model": "stt", "language": "en"}}}}
SECOND = bytes(48_000)


def messages(server, index=-1):
    return server.bodies("/chat/completions")[index]["messages"]


@pytest.mark.parametrize(
    ("script", "code"),
    [
        ({"answers": [Refuse(401)]}, "upstream_unauthorized"),
        ({"answers": [Refuse(404)]}, "upstream_model_not_found"),
        ({"answers": [Refuse(429)]}, "upstream_rate_limited"),
        ({"answers": [Refuse(503)]}, "upstream_unavailable"),
        ({"answers": [["Hello. ", Act.DROP]]}, "upstream_unreachable"),
        ({"answers": [[Act.GARBAGE]]}, "upstream_garbage"),
        ({"answers": [[Act.ERROR]]}, "upstream_unavailable"),
        ({"answers": [["Hello."]], "speech": [Refuse(500)]}, "upstream_unavailable"),
        ({"answers": [["Hello."]], "speech": [Act.DROP]}, "upstream_unreachable"),
    ],
)
async def test_a_model_that_fails_fails_the_response_and_not_the_session(call, script, code):
    script["answers"] = [*script["answers"], ["Better now."]]
    async with call(session=MANUAL, **script) as (client, server):
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status_details"]["error"]["code"] == code
        assert done["response"]["usage"] is None
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "completed"


@pytest.mark.parametrize("failure", [Refuse(500), Act.GARBAGE])
async def test_a_turn_that_cannot_be_transcribed_fails_the_response_to_it_once(call, failure):
    async with call(session=MANUAL, transcripts=[failure], answers=[["Sorry?"]]) as (client, server):
        await client.send(events.append_audio(SECOND), {"type": "input_audio_buffer.commit"})
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "failed"
        assert len(client.of("conversation.item.input_audio_transcription.failed")) == 1
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "completed"
        assert messages(server) == [{"role": "user", "content": ""}]


async def test_a_server_of_models_that_is_not_there_is_unreachable(call):
    async with call() as (client, server):
        gone = server.url
    with pytest.raises(UpstreamDropped) as dropped:
        await registry.dial(Endpoint("pipeline", "m", gone, "", CAPABILITIES))
    assert (dropped.value.code, dropped.value.retryable) == ("upstream_unreachable", True)


@pytest.mark.parametrize(("status", "code"), [(403, "upstream_unauthorized"), (503, "upstream_unavailable")])
async def test_a_server_that_will_not_have_us_is_noticed_before_the_call(call, status, code):
    with pytest.raises(UpstreamRefused) as refused:
        async with call(models_status=status):
            pass
    assert refused.value.code == code


async def test_a_mistake_of_ours_ends_the_session_instead_of_leaving_it_silent(call, monkeypatch):
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
    async with call(session=MANUAL, check=False) as (client, server):
        monkeypatch.setattr(Response, "_answer", _raise_type_error)
        with pytest.raises(UpstreamError) as failed:
            await client.asks(events.response_create(), until="response.done")
    assert failed.value.code == "upstream_failed"


async def _raise_type_error(self):
    raise TypeError
