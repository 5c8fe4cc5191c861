"""Azure OpenAI: where it is dialled, with what key, and that it fails as OpenAI's connection does."""

import asyncio
from contextlib import asynccontextmanager
from urllib.parse import parse_qs

import pytest

from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import CAPABILITIES, Step
from voice import realtime_events as events
from voice.upstream import entra, registry
from voice.upstream.azure_openai import url_of
from voice.upstream.base import Endpoint, EntraApplication
from voice.upstream.errors import UpstreamDropped, UpstreamError, UpstreamRefused, UpstreamTimeout

APPLICATION = EntraApplication("contoso.example", "client-1")
DIALLED = "wss://desk.openai.azure.com/openai/v1/realtime?model=our+mini"


def endpoint(server, **changes):
    fields = {"adapter": "azure_openai", "model": "our-deployment", "base_url": server.url, "api_key": "sk-test"}
    return Endpoint(**(fields | {"capabilities": CAPABILITIES} | changes))


def server(**behaviour):
    return RealtimeServer(**({"model": "our-deployment", "azure": "key"} | behaviour))


@pytest.mark.parametrize(
    "address",
    [
        "https://desk.openai.azure.com",
        "https://desk.openai.azure.com/",
        "https://desk.openai.azure.com/openai",
        "https://desk.openai.azure.com/openai/v1/",
        "wss://desk.openai.azure.com/openai/v1/realtime",
        "https://desk.openai.azure.com/openai/realtime?api-version=2025-04-01-preview&model=x",
    ],
)
def test_however_the_address_is_written_the_ga_path_is_dialled(address):
    assert url_of(address, "our mini") == DIALLED


def test_a_path_before_it_and_a_query_of_a_gateway_are_kept():
    dialled = url_of("https://gate.example/azure/openai/v1?tenant=3", "mini")
    assert dialled == "wss://gate.example/azure/openai/v1/realtime?tenant=3&model=mini"


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [
        (401, "upstream_unauthorized", False),
        (403, "upstream_unauthorized", False),
        (404, "upstream_model_not_found", False),
        (429, "upstream_rate_limited", True),
        (503, "upstream_unavailable", True),
    ],
)
async def test_a_refused_handshake_says_why_and_whether_to_try_again(status, code, retryable):
    async with server(refuse=status) as azure:
        with pytest.raises(UpstreamRefused) as refused:
            await registry.dial(endpoint(azure))
        assert not azure.problems
    assert (refused.value.code, refused.value.retryable) == (code, retryable)


@pytest.mark.parametrize("hostile", ["not_json", "binary", "no_type", "too_long", "fragments"])
async def test_garbage_and_frames_that_are_too_long_end_the_connection(hostile):
    async with server(hostile=hostile) as azure:
        upstream = await registry.dial(endpoint(azure))
        with pytest.raises(UpstreamError) as failed:
            await anext(aiter(upstream))
        await upstream.close()
    assert failed.value.code == "upstream_garbage"


async def test_a_server_that_never_answers_is_given_up():
    async with server(hostile="stall") as azure:
        with pytest.raises(UpstreamTimeout):
            await registry.dial(endpoint(azure), timeout_s=0.2)


async def test_a_connection_lost_in_mid_utterance_is_told_after_what_came_before_it():
    delta = {"type": "response.output_audio.delta", "response_id": "r", "item_id": "i", "delta": "AAAA"}
    async with server(steps=[Step("response.create", [delta], then="drop")]) as azure:
        upstream = await registry.dial(endpoint(azure))
        await upstream.send(events.response_create())
        kinds = []
        with pytest.raises(UpstreamDropped) as dropped:
            async for frame in upstream:
                kinds.append(events.event_type(frame))
    assert kinds == ["session.created", "response.output_audio.delta"]
    assert dropped.value.retryable


@pytest.fixture
def no_tokens_kept():
    entra._kept.clear()
    yield
    entra._kept.clear()


@asynccontextmanager
async def entra_server(monkeypatch, status=200, body=b'{"access_token":"token-1","expires_in":3599}'):
    """Entra's token endpoint on loopback; yields the forms it was sent."""
    asked = []

    async def serve(reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(line for line in head.lower().split("\r\n") if line.startswith("content-length"))
        form = parse_qs((await reader.readexactly(int(length.partition(":")[2]))).decode())
        asked.append((head.split(" ")[1], {name: value for name, [value] in form.items()}))
        writer.write(f"HTTP/1.1 {status} -\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0)
    monkeypatch.setattr(entra, "LOGIN_URL", f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
    try:
        yield asked
    finally:
        listening.close()
        await listening.wait_closed()


@pytest.mark.usefixtures("no_tokens_kept")
async def test_an_application_shows_azure_its_token_and_no_key_and_asks_for_it_once(monkeypatch):
    async with entra_server(monkeypatch) as asked, server(azure="token", api_key="token-1") as azure:
        for _ in range(2):
            upstream = await registry.dial(endpoint(azure, api_key="client-secret", entra=APPLICATION))
            await upstream.close()
        azure.assert_complete()
    [(path, form)] = asked
    assert path == "/contoso.example/oauth2/v2.0/token"
    assert form == {
        "grant_type": "client_credentials",
        "client_id": "client-1",
        "client_secret": "client-secret",
        "scope": "https://cognitiveservices.azure.com/.default",
    }


@pytest.mark.usefixtures("no_tokens_kept")
async def test_a_token_that_is_nearly_over_is_asked_for_again(monkeypatch):
    async with entra_server(monkeypatch, body=b'{"access_token":"t","expires_in":200}') as asked:
        await entra.token_of(APPLICATION, "s", 5)
        await entra.token_of(APPLICATION, "s", 5)
    assert len(asked) == 2


@pytest.mark.usefixtures("no_tokens_kept")
@pytest.mark.parametrize(
    ("status", "body", "code", "retryable"),
    [
        (401, b'{"error":"invalid_client"}', "upstream_unauthorized", False),
        (400, b'{"error":"unauthorized_client"}', "upstream_unauthorized", False),
        (429, b"{}", "upstream_rate_limited", True),
        (503, b"<html>", "upstream_unavailable", True),
        (200, b"<html>", "upstream_garbage", False),
        (200, b'{"access_token":"a\\r\\nX-Evil: 1","expires_in":60}', "upstream_garbage", False),
        (200, b'{"access_token":7,"expires_in":60}', "upstream_garbage", False),
    ],
)
async def test_what_entra_says_instead_of_a_token_has_a_code(monkeypatch, status, body, code, retryable):
    async with entra_server(monkeypatch, status, body):
        with pytest.raises(UpstreamError) as failed:
            await entra.token_of(APPLICATION, "s", 5)
    assert (failed.value.code, failed.value.retryable) == (code, retryable)


async def test_a_tenant_that_would_lead_to_another_path_is_not_asked():
    with pytest.raises(UpstreamRefused) as refused:
        await entra.token_of(EntraApplication("../evil?", "c"), "s", 5)
    assert refused.value.code == "upstream_unauthorized"
