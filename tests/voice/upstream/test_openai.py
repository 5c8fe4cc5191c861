import asyncio
import logging

import pytest

from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import CAPABILITIES, Step
from voice import realtime_events as events
from voice.upstream import inbox, openai, registry
from voice.upstream.base import Endpoint
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout, refusal_of


def endpoint(server, **changes):
    fields = {"adapter": "openai", "model": "gpt-realtime-mini", "base_url": server.url, "api_key": "sk-test"}
    return Endpoint(**(fields | {"capabilities": CAPABILITIES} | changes))


async def test_the_model_the_key_and_the_callers_hash_are_sent_and_no_beta_header():
    async with RealtimeServer(safety_identifier="hash-of-a-caller") as server:
        upstream = await registry.dial(endpoint(server, safety_identifier="hash-of-a-caller"))
        assert events.event_type(await anext(aiter(upstream))) == "session.created"
        await upstream.close()
        server.assert_complete()


async def test_a_query_in_the_address_is_kept():
    address = openai._url(Endpoint("openai", "my model", "wss://x.test/v1/realtime?region=eu", "", CAPABILITIES))
    assert address == "wss://x.test/v1/realtime?region=eu&model=my+model"


async def test_frames_pass_untouched_both_ways():
    answer = {"type": "session.updated", "event_id": "e", "session": {"type": "realtime", "unknown": [1, {"a": None}]}}
    async with RealtimeServer([Step("session.update", [answer], {"session": {"instructions": "Hi."}})]) as server:
        upstream = await registry.dial(endpoint(server))
        await upstream.send(events.session_update({"instructions": "Hi."}))
        await anext(aiter(upstream))
        assert events.parse(await anext(aiter(upstream))) == answer
        await upstream.close()
        server.assert_complete()


async def test_a_frame_may_be_sent_without_waiting_while_there_is_somebody_to_take_it():
    answer = {"type": "session.updated", "event_id": "e", "session": {"type": "realtime"}}
    async with RealtimeServer([Step("session.update", [answer], {"session": {"instructions": "Hi."}})]) as server:
        upstream = await registry.dial(endpoint(server))
        assert not upstream.send_now(bytes(openai.LARGE_FRAME_BYTES + 1))
        assert upstream.send_now(events.session_update({"instructions": "Hi."}))
        await anext(aiter(upstream))
        assert events.parse(await anext(aiter(upstream))) == answer
        await upstream.close()
        assert not upstream.send_now(events.response_create())
        server.assert_complete()


async def test_an_event_may_be_taken_before_its_reader_is_woken():
    taken = []
    answers = [{"type": "session.updated", "event_id": name, "session": {}} for name in ("first", "second")]
    async with RealtimeServer([Step("session.update", answers)]) as server:
        upstream = await registry.dial(endpoint(server))
        await anext(aiter(upstream))
        upstream.listen(lambda frame: b"first" in frame and not taken.append(frame))
        await upstream.send(events.session_update({}))
        assert events.parse(await anext(aiter(upstream))) == answers[1]
        assert [events.parse(frame) for frame in taken] == answers[:1]
        await upstream.close()


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (401, "upstream_unauthorized", False),
        (403, "upstream_unauthorized", False),
        (404, "upstream_model_not_found", False),
        (400, "upstream_refused", False),
        (429, "upstream_rate_limited", True),
        (500, "upstream_unavailable", True),
        (503, "upstream_unavailable", True),
    ],
)
async def test_a_refused_handshake_says_why_and_whether_to_try_again(status, code, retryable):
    async with RealtimeServer(refuse=status) as server:
        with pytest.raises(UpstreamRefused) as refused:
            await registry.dial(endpoint(server))
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    ("word", "code", "retryable"),
    [("insufficient_quota", "upstream_quota", False), ("rate_limit_exceeded", "upstream_rate_limited", True)],
)
async def test_an_account_without_money_is_told_from_one_that_asks_too_often(word, code, retryable):
    async with RealtimeServer(refuse=429, refusal_code=word) as server:
        with pytest.raises(UpstreamRefused) as refused:
            await registry.dial(endpoint(server))
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


@pytest.mark.parametrize(
    "body", [b"", b"{", b"[]", b'{"error":7}', b'{"error":{"code":["insufficient_quota"]}}', b"\xff"]
)
def test_whatever_a_refusal_says_it_is_one(body):
    assert refusal_of(429, body).code == "upstream_rate_limited"


async def test_a_server_that_never_answers_the_handshake_is_given_up():
    async with RealtimeServer(hostile="stall") as server:
        with pytest.raises(UpstreamTimeout) as late:
            await registry.dial(endpoint(server), timeout_s=0.2)
    assert late.value.retryable


async def test_a_dial_that_is_no_longer_wanted_leaves_no_connection():
    async with RealtimeServer(hostile="stall") as server:
        dialling = asyncio.create_task(registry.dial(endpoint(server)))
        while not server.handshakes:
            await asyncio.sleep(0.01)
        dialling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dialling


async def test_nobody_listening_is_unreachable():
    async with RealtimeServer() as server:
        gone = endpoint(server)
    with pytest.raises(UpstreamDropped) as dropped:
        await registry.dial(gone)
    assert (dropped.value.code, dropped.value.retryable) == ("upstream_unreachable", True)


async def test_a_server_that_takes_the_connection_and_drops_it_without_an_answer_is_unreachable():
    async def drop(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()

    async with await asyncio.start_server(drop, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        nobody = Endpoint("openai", "a-model", f"ws://127.0.0.1:{port}/v1/realtime", "sk-test", CAPABILITIES)
        with pytest.raises(UpstreamDropped) as dropped:
            await registry.dial(nobody)
    assert (dropped.value.code, dropped.value.retryable) == ("upstream_unreachable", True)


async def test_something_that_is_no_websocket_server_is_refused():
    async with RealtimeServer(hostile="not_websocket") as server:
        with pytest.raises(UpstreamRefused):
            await registry.dial(endpoint(server))


@pytest.mark.parametrize("hostile", ["not_json", "binary", "no_type", "too_long", "fragments"])
async def test_garbage_ends_the_connection(hostile):
    async with RealtimeServer(hostile=hostile) as server:
        upstream = await registry.dial(endpoint(server))
        with pytest.raises(UpstreamError) as failed:
            await anext(aiter(upstream))
        assert (failed.value.code, failed.value.retryable) == ("upstream_garbage", False)
        with pytest.raises(UpstreamDropped):
            await upstream.send(events.response_create())


async def test_a_flood_ends_the_connection_and_is_not_kept_in_memory():
    async with RealtimeServer(hostile="flood") as server:
        upstream = await registry.dial(endpoint(server))
        while not upstream._connection.inbox.ended:
            await asyncio.sleep(0.01)
        with pytest.raises(UpstreamError) as failed:
            await anext(aiter(upstream))
        assert failed.value.code == "upstream_flooded"


async def test_a_lost_connection_is_told_after_what_came_before_it():
    async with RealtimeServer(
        [Step(None, [{"type": "rate_limits.updated", "rate_limits": []}], then="drop")]
    ) as server:
        upstream = await registry.dial(endpoint(server))
        kinds = []
        with pytest.raises(UpstreamDropped) as dropped:
            async for frame in upstream:
                kinds.append(events.event_type(frame))
    assert kinds == ["session.created", "rate_limits.updated"]
    assert (dropped.value.code, dropped.value.close_code) == ("upstream_dropped", None)


@pytest.mark.parametrize(
    ("close_code", "retryable"), [(1000, True), (1001, True), (1011, True), (1008, False), (4000, False)]
)
async def test_a_server_that_hangs_up_is_told_from_a_lost_connection(close_code, retryable):
    async with RealtimeServer([Step(None, then="close")], close_code=close_code) as server:
        upstream = await registry.dial(endpoint(server))
        await anext(aiter(upstream))
        with pytest.raises(UpstreamDropped) as dropped:
            await anext(aiter(upstream))
    error = dropped.value
    assert (error.code, error.close_code, error.retryable) == ("upstream_closed", close_code, retryable)


async def test_closing_ends_the_reading_and_sends_a_close_frame():
    async with RealtimeServer() as server:
        upstream = await registry.dial(endpoint(server))
        reading = asyncio.create_task(_all_of(upstream))
        await upstream.close()
        await upstream.close()
        assert [events.event_type(frame) for frame in await reading] in ([], ["session.created"])
        while not server.closed_with:
            await asyncio.sleep(0.01)
        assert server.closed_with == [1000]
        with pytest.raises(UpstreamDropped):
            await upstream.send(events.response_create())


async def test_closing_does_not_wait_for_a_server_that_stalls(monkeypatch):
    monkeypatch.setattr(openai, "CLOSE_WITHIN_S", 0.05)
    async with RealtimeServer([Step("response.create", then="stall")]) as server:
        upstream = await registry.dial(endpoint(server))
        upstream._connection._transport.underlying_transport.pause_reading()
        await upstream.send(events.response_create())
        async with asyncio.timeout(5):
            await upstream.close()


async def test_an_upstream_that_takes_no_audio_is_noticed(monkeypatch):
    monkeypatch.setattr(openai, "MAX_UNSENT_BYTES", 100_000)
    async with RealtimeServer([Step("response.create", then="stall")]) as server:
        upstream = await registry.dial(endpoint(server))
        await upstream.send(events.response_create())
        monkeypatch.setattr(openai, "CLOSE_WITHIN_S", 0.05)
        with pytest.raises(UpstreamError) as stalled:
            for _ in range(10_000):
                await upstream.send(events.append_audio(bytes(48_000)))
        assert stalled.value.code == "upstream_stalled"
        await upstream.close()


async def test_a_recording_in_one_piece_is_waited_for_and_no_reason_to_hang_up():
    async with RealtimeServer([Step("input_audio_buffer.append"), Step("input_audio_buffer.append")]) as server:
        upstream = await registry.dial(endpoint(server))
        whole = bytes(11 * 1024 * 1024)
        await upstream.send(events.append_audio(whole))
        # Nothing much of it is left with us, so that what follows is not held up by it.
        assert upstream._connection._transport.underlying_transport.get_write_buffer_size() < 1024 * 1024
        await upstream.send(events.append_audio(whole))
        await upstream.close()


async def test_a_server_that_answers_no_ping_is_dropped(monkeypatch):
    monkeypatch.setattr(openai, "PING_AFTER_S", 0.05)
    async with RealtimeServer() as server:
        upstream = await registry.dial(endpoint(server))
        await anext(aiter(upstream))
        next(iter(server._conversations)).transport.pause_reading()
        with pytest.raises(UpstreamDropped) as dropped:
            await anext(aiter(upstream))
        assert (dropped.value.code, dropped.value.retryable) == ("upstream_dropped", True)
        await upstream.close()


async def test_the_key_is_in_no_log_and_in_no_repr(caplog):
    caplog.set_level(1)
    logging.getLogger("picows").setLevel(1)
    async with RealtimeServer() as server:
        there = endpoint(server)
        upstream = await registry.dial(there)
        await upstream.close()
    # The fake server logs the handshake as well; that is not ours.
    ours = [record.getMessage() for record in caplog.records if not record.name.startswith("websockets")]
    assert "sk-test" not in str(ours)
    assert "sk-test" not in repr(there)


async def test_an_adapter_nobody_wrote_is_refused():
    with pytest.raises(UpstreamRefused) as refused:
        await registry.dial(Endpoint("carrier_pigeon", "m", "ws://x.test", "", CAPABILITIES))
    assert refused.value.code == "upstream_unknown_adapter"


async def test_the_inbox_counts_frames_as_well_as_bytes(monkeypatch):
    monkeypatch.setattr(inbox, "MAX_QUEUED_FRAMES", 2)
    box = inbox.Inbox()
    assert [box.put(b"{}") for _ in range(3)] == [True, True, False]
    with pytest.raises(UpstreamError):
        await box.get()


async def _all_of(upstream):
    return [frame async for frame in upstream]
