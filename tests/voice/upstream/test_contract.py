"""What every upstream keeps to, whichever model is behind it."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from tests.fakes.openai_compatible_server import Act, OpenAICompatibleServer
from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.sarvam_server import SarvamServer
from tests.fakes.scripted_upstream import CAPABILITIES, ScriptedUpstream, Step, spoken_answer
from tests.voice.upstream import ga_rules
from tests.voice.upstream.client import Client
from voice import realtime_events as events
from voice.upstream import registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamError, UpstreamRefused

WORDS = "Hello there. "
PCM = bytes([1, 2]) * 2400
ERROR = {"type": "invalid_request_error", "code": "invalid_value", "message": "No.", "param": None, "event_id": "mine"}
UPDATE = events.session_update({"instructions": "Be kind."})
CANCELLED = {"type": "cancelled", "reason": "client_cancelled"}

ANSWER = [
    Step("session.update", [{"type": "session.updated", "session": {"type": "realtime", "instructions": "Be kind."}}]),
    Step("response.create", spoken_answer(WORDS, PCM)),
]
CANCEL = [
    Step("response.create", spoken_answer(WORDS, PCM)[:1]),
    Step("response.cancel", [spoken_answer(WORDS, PCM)[-1]]),
]
CANCEL[1].emit[0]["response"].update(status="cancelled", status_details=CANCELLED, output=[])
COMPLAIN = [Step("conversation.item.delete", [{"type": "error", "error": ERROR}])]


@asynccontextmanager
async def scripted(steps, answers, refuse):
    refusal = UpstreamRefused("upstream_unauthorized", retryable=False) if refuse else None
    yield ScriptedUpstream(steps, refuse=refusal).dial


@asynccontextmanager
async def openai(steps, answers, refuse):
    async with RealtimeServer(steps, refuse=401 if refuse else 0) as server:
        there = Endpoint("openai", "gpt-realtime-mini", server.url, "sk-test", CAPABILITIES)
        yield lambda: registry.dial(there)
        server.assert_complete()


@asynccontextmanager
async def azure(steps, answers, refuse):
    async with RealtimeServer(steps, model="our-deployment", azure="key", refuse=401 if refuse else 0) as server:
        there = Endpoint("azure_openai", "our-deployment", server.url, "sk-test", CAPABILITIES, "hash-of-a-caller")
        yield lambda: registry.dial(there)
        server.assert_complete()


@asynccontextmanager
async def pipeline(steps, answers, refuse):
    async with OpenAICompatibleServer(
        answers=answers, api_key="sk-test", models_status=401 if refuse else 200
    ) as server:
        there = Endpoint("pipeline", "receptionist", server.url, "sk-test", CAPABILITIES)
        yield lambda: registry.dial(there)
        assert not server.problems


@asynccontextmanager
async def sarvam(steps, answers, refuse):
    async with (
        OpenAICompatibleServer(answers=answers, api_key="sk-test") as chat,
        SarvamServer(refuse=403 if refuse else 0) as speech,
    ):
        there = Endpoint(
            "sarvam", "gpt-4.1", chat.url, "sk-test", CAPABILITIES, speech_url=speech.url, speech_api_key="sk-sarvam"
        )
        yield lambda: registry.dial(there)
        assert not chat.problems + speech.problems


@pytest.fixture(params=[scripted, openai, azure, pipeline, sarvam], ids=lambda adapter: adapter.__name__)
def adapter(request):
    return request.param


@asynccontextmanager
async def connected(adapter, steps=(), answers=()):
    async with adapter(steps, answers, refuse=False) as dial:
        client = Client(await dial())
        yield client
        await client.hang_up()


async def test_the_first_event_is_session_created(adapter):
    async with connected(adapter) as client:
        assert (await client.until("session.created"))["session"]["type"] == "realtime"
        assert client.kinds() == ["session.created"]


async def test_a_session_update_is_answered_with_the_session_as_it_is_now(adapter):
    async with connected(adapter, ANSWER[:1]) as client:
        updated = await client.asks(UPDATE, until="session.updated")
        assert updated["session"]["instructions"] == "Be kind."


async def test_an_answer_keeps_to_the_published_shapes_and_order(adapter):
    async with connected(adapter, ANSWER, [[WORDS]]) as client:
        await client.send(UPDATE)
        done = await client.asks(events.response_create(), until="response.done")
        assert done["response"]["status"] == "completed"
        ga_rules.check(client.events)


async def test_the_audio_of_an_answer_can_be_read_from_its_deltas(adapter):
    async with connected(adapter, ANSWER[1:], [[WORDS]]) as client:
        await client.asks(events.response_create(), until="response.done")
        deltas = [events.audio_delta(events.dump(event)) for event in client.of("response.output_audio.delta")]
        assert b"".join(delta.pcm for delta in deltas)[:4800] == PCM


async def test_a_response_can_be_cancelled(adapter):
    async with connected(adapter, CANCEL, [[Act.HOLD]]) as client:
        await client.asks(events.response_create(), until="response.created")
        done = await client.asks(events.response_cancel(), until="response.done")
        assert done["response"]["status_details"] == CANCELLED
        ga_rules.check(client.events)


async def test_an_error_names_the_event_that_caused_it(adapter):
    async with connected(adapter, COMPLAIN) as client:
        asked = {"type": "conversation.item.delete", "event_id": "mine", "item_id": "item_nobody_has"}
        error = await client.asks(asked, until="error")
        assert error["error"]["event_id"] == "mine"


async def test_closing_wakes_the_reader_and_ends_its_loop(adapter):
    async with connected(adapter) as client:
        await client.until("session.created")
        reading = asyncio.create_task(_all_of(client.upstream))
        await asyncio.sleep(0)
        await client.upstream.close()
        assert await reading == []


async def test_closing_twice_and_closing_in_mid_response_is_fine(adapter):
    async with connected(adapter, CANCEL[:1], [[Act.HOLD]]) as client:
        await client.asks(events.response_create(), until="response.created")
        await asyncio.gather(client.upstream.close(), client.upstream.close())
        await client.upstream.close()


async def test_nothing_can_be_sent_after_closing(adapter):
    async with connected(adapter) as client:
        await client.upstream.close()
        with pytest.raises(UpstreamError):
            await client.send(events.response_create())


async def test_a_wrong_key_is_refused_and_not_worth_another_try(adapter):
    async with adapter((), (), refuse=True) as dial:
        with pytest.raises(UpstreamRefused) as refused:
            await dial()
    assert (refused.value.code, refused.value.retryable) == ("upstream_unauthorized", False)


async def test_the_capabilities_are_those_of_the_endpoint(adapter):
    async with connected(adapter) as client:
        assert client.upstream.capabilities == CAPABILITIES


async def _all_of(upstream):
    return [frame async for frame in upstream]
