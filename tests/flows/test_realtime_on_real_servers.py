"""The Realtime socket on real sockets: both web servers as processes, and a websocket client that is none of ours."""

import asyncio
import base64
import json
from pathlib import Path

import pytest
from channels.db import database_sync_to_async as in_thread
from django.conf import settings
from django.db import connection
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from accounts.api_keys import create_key
from tests import factories
from tests.crash.model import CountingModel
from tests.flows.books import closed_books, only_session
from tests.flows.browser import PATIENCE_S
from tests.flows.test_on_real_servers import Site
from voice.catalogue.seed import seed_catalogue
from voice.models import EndReason, Session, SessionState

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the server's process shares the test's SQLite file"),
]


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def site(request, django_db_setup, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp(request.param)
    Path(data_dir / "db.sqlite3").symlink_to(connection.settings_dict["NAME"])
    site = Site(request.param, data_dir)
    yield site
    site.close()


@pytest.fixture
async def model(site):
    model = CountingModel(settings.SECRET_KEY)
    model.port = site.model_port
    async with model:
        yield model


@pytest.fixture
def catalogue(transactional_db):
    seed_catalogue()


@pytest.fixture
def key(catalogue):
    return create_key(factories.make_organisation(credits=1000), name="test")[1]


def opens(site, key, **fields):
    url = site.web.websocket_url.replace("/v1/voice/widget", "/v1/realtime?model=gpt-realtime-mini")
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    return connect(url, additional_headers=headers, max_size=None, **fields)


def append(n_bytes):
    # As compact as the model expects it.
    return f'{{"type":"input_audio_buffer.append","audio":"{base64.b64encode(bytes(n_bytes)).decode()}"}}'


async def until(socket, kind):
    async with asyncio.timeout(PATIENCE_S):
        while (event := json.loads(await socket.recv()))["type"] != kind:
            pass
    return event


async def settled():
    session_id = await in_thread(only_session)()
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)(id=session_id)).state != SessionState.ENDED:
            await asyncio.sleep(0.02)
    return await in_thread(closed_books)(session_id)


async def test_a_wrong_key_is_refused_in_words(site, transactional_db):
    with pytest.raises(InvalidStatus) as raised:
        async with opens(site, "wrong"):
            pass
    assert raised.value.response.status_code == 401
    assert b"invalid_api_key" in (raised.value.response.body or b"")


async def test_a_subprotocol_that_was_offered_is_answered(site, key, model):
    subprotocols = ["realtime", f"openai-insecure-api-key.{key}"]
    async with opens(site, "", subprotocols=subprotocols) as socket:
        assert socket.subprotocol == "realtime"
        await until(socket, "session.created")
    await settled()


async def test_an_answer_costs_what_its_usage_says(site, key, model):
    async with opens(site, key) as socket:
        await until(socket, "session.created")
        await socket.send('{"type":"response.create"}')
        await until(socket, "response.created")
        for _ in range(20):
            await socket.send(append(1920))
        done = await until(socket, "response.done")
    books = await settled()
    assert books.session.end_reason == EndReason.CALLER_HUNG_UP
    (record,) = books.usage
    assert record.usage["output_tokens"] == done["response"]["usage"]["output_tokens"] > 0


async def test_a_recording_in_one_piece_passes(site, key, model):
    async with opens(site, key) as socket:
        await until(socket, "session.created")
        await socket.send(append(11 * 1024 * 1024))
        await socket.send('{"type":"response.create"}')
        await until(socket, "response.created")
    await settled()


async def test_an_empty_wallet_is_told_before_the_socket_closes(site, catalogue):
    _, key = await in_thread(create_key)(await in_thread(factories.make_organisation)(), name="poor")
    async with opens(site, key) as socket:
        error = await until(socket, "error")
        with pytest.raises(ConnectionClosed):
            await socket.recv()
    assert (error["error"]["code"], socket.close_code) == ("insufficient_quota", 4402)


async def test_a_program_whose_connection_breaks_is_settled(site, key, model):
    async with opens(site, key) as socket:
        await until(socket, "session.created")
        socket.transport.abort()
    books = await settled()
    assert books.session.end_reason == EndReason.CALLER_DISCONNECTED
    assert books.balance.held_micro == 0
