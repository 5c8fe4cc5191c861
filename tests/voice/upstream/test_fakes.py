"""The fakes are part of what is tested with: a fake that lets a mistake pass is worse than none."""

import pytest

from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import CAPABILITIES, ScriptedUpstream, Step
from tests.voice.upstream.client import Client
from voice import realtime_events as events
from voice.upstream import registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamError


async def dialled(server, **changes):
    fields = {"adapter": "openai", "model": "gpt-realtime-mini", "base_url": server.url, "api_key": "sk-test"}
    return await registry.dial(Endpoint(**(fields | {"capabilities": CAPABILITIES} | changes)))


async def test_an_unexpected_event_fails_the_script_at_once_and_at_the_end():
    upstream = ScriptedUpstream([Step("response.create")])
    with pytest.raises(AssertionError):
        await upstream.send(events.response_cancel())
    with pytest.raises(AssertionError):
        upstream.assert_complete()


async def test_an_event_without_the_expected_members_fails_the_script():
    upstream = ScriptedUpstream([Step("response.create", fields={"response": {"max_output_tokens": 5}})])
    with pytest.raises(AssertionError):
        await upstream.send(events.response_create(max_output_tokens=6))


async def test_a_step_not_reached_fails_the_script():
    with pytest.raises(AssertionError):
        ScriptedUpstream([Step("response.create")]).assert_complete()


async def test_audio_may_be_appended_at_any_time():
    upstream = ScriptedUpstream([Step("response.create")])
    await upstream.send(events.append_audio(b"\1\2"))
    await upstream.send(events.response_create())
    assert bytes(upstream.appended) == b"\1\2"
    assert upstream.sent_types() == ["response.create"]
    upstream.assert_complete()


@pytest.mark.parametrize(
    ("then", "code"), [("drop", "upstream_dropped"), ("close", "upstream_closed"), ("garbage", "upstream_garbage")]
)
async def test_a_script_can_end_badly(then, code):
    client = Client(ScriptedUpstream([Step("response.create", then=then)]))
    await client.until("session.created")
    with pytest.raises(UpstreamError) as failed:
        await client.asks(events.response_create(), until="response.done")
    assert failed.value.code == code


async def test_a_stalled_script_answers_nothing_more():
    upstream = ScriptedUpstream([Step("response.create", then="stall")])
    await upstream.send(events.response_create())
    await upstream.send(events.response_cancel())
    upstream.assert_complete()


@pytest.mark.parametrize("change", [{"api_key": "sk-other"}, {"model": "other"}, {"safety_identifier": "who"}])
async def test_the_server_refuses_a_handshake_it_does_not_expect(change):
    async with RealtimeServer() as server:
        with pytest.raises(UpstreamError):
            await dialled(server, **change)
        with pytest.raises(AssertionError):
            server.assert_complete()


async def test_the_server_notes_a_frame_that_is_no_client_event():
    async with RealtimeServer(
        [Step("response.create", [{"type": "rate_limits.updated", "rate_limits": []}])]
    ) as server:
        client = Client(await dialled(server))
        await client.send({"type": "conversation.item.truncate", "item_id": 7})
        await client.asks(events.response_create(), until="rate_limits.updated")
        await client.hang_up()
        with pytest.raises(AssertionError):
            server.assert_complete()


async def test_the_echo_speaks_the_callers_audio_and_reports_its_usage():
    async with RealtimeServer(echo_ms=200) as server:
        client = Client(await dialled(server))
        await client.asks(events.session_update({}), until="session.updated")
        await client.asks(events.response_create(), until="response.content_part.added")
        pcm = bytes(range(240)) * 20
        await client.send(events.append_audio(pcm), events.append_audio(pcm))
        done = await client.until("response.done")
        echoed = [events.audio_delta(events.dump(event)).pcm for event in client.of("response.output_audio.delta")]
        assert echoed == [pcm, pcm]
        assert done["response"]["usage"]["output_token_details"]["audio_tokens"] == 4
        await client.until("input_audio_buffer.committed")
        await client.asks(events.response_create(), until="response.created")
        await client.hang_up()
