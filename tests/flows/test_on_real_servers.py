"""The same on real sockets: both web servers as processes, and a websocket client that is none of ours."""

import asyncio
import contextlib
import json
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from channels.db import database_sync_to_async as in_thread
from django.conf import settings
from django.db import connection
from django.utils import timezone
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from launcher.machine import free_port
from tests.crash.callers import TalkativeCaller
from tests.crash.model import CountingModel
from tests.crash.web_process import WebProcess
from tests.flows.books import closed_books, only_session
from tests.flows.browser import FRAME, PATIENCE_S
from tests.flows.visits import admitted
from voice.gateway.close_codes import closing_for
from voice.gateway.widget_protocol import SUBPROTOCOL
from voice.metering.sweep import settle_dead_sessions
from voice.models import EndReason, Session, SessionState

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the server's process shares the test's SQLite file"),
]


class Site:
    """A web server on the test's own database; started again when a test has ended it."""

    def __init__(self, server, data_dir, **env):
        self.server, self._data_dir, self._env, self._web = server, data_dir, env, None
        self.model_port = free_port("127.0.0.1")

    @property
    def web(self):
        if self._web is None:
            env = os.environ | {
                "DEBUG": "false",
                "LOG_LEVEL": "ERROR",
                "OPENAI_API_KEY": "sk-test",
                "OPENAI_REALTIME_URL": f"ws://127.0.0.1:{self.model_port}/v1/realtime",
                **self._env,
            }
            self._web = WebProcess(self.server, self._data_dir, env).__enter__()
        return self._web

    def ends(self, number):
        """Return whether the server went by itself."""
        web, self._web = self.web, None
        went = web.end(number)
        web.__exit__()
        return went

    def close(self):
        if self._web is not None:
            self._web.__exit__()


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


def opens(site, **fields):
    options = {"origin": site.web.origin, "subprotocols": [SUBPROTOCOL], "compression": None, **fields}
    return connect(site.web.websocket_url, **options)


def start(ticket):
    return json.dumps({"type": "session.start", "version": 1, "ticket": ticket, "voice": True})


async def last_words(socket):
    """Return the last message and the close code; None for a connection that was only dropped."""
    last = None
    with contextlib.suppress(ConnectionClosed):
        async with asyncio.timeout(PATIENCE_S):
            async for message in socket:
                last = message
    return last and json.loads(last), socket.close_code


async def refused(socket, code):
    message, close_code = await last_words(socket)
    assert (message["type"], message["code"], close_code) == ("error", code, closing_for(code).close_code)


async def a_call(agent, socket):
    """Begin a call and wait for its first sound; return its session's id."""
    await socket.send(start(await in_thread(admitted)(agent)))
    started = json.loads(await socket.recv())
    assert started["type"] == "session.started"
    while not isinstance(await socket.recv(), bytes):
        await socket.send(FRAME)
    return started["session_id"]


async def when_settled(session_id):
    """Return the books once the server has closed them."""
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)(id=session_id)).state != SessionState.ENDED:
            await asyncio.sleep(0.02)
    return await in_thread(closed_books)(session_id)


async def test_a_socket_without_the_subprotocol_is_not_opened(site, transactional_db):
    with pytest.raises(InvalidStatus) as raised:
        async with opens(site, subprotocols=["chat"]):
            pass
    assert raised.value.response.status_code == 403


@pytest.mark.parametrize(
    "first, code",
    [
        ("{", "invalid_message"),
        (FRAME, "invalid_message"),
        (start("forged"), "invalid_ticket"),
        (start("t" * 100_000), "message_too_large"),
        (start("t" * 2_000_000), "message_too_large"),
    ],
    ids=["no json", "audio", "forged", "100 kB", "2 MB"],
)
async def test_what_starts_nothing_is_refused_with_its_close_code(site, transactional_db, first, code):
    async with opens(site) as socket:
        assert socket.subprotocol == SUBPROTOCOL
        await socket.send(first)
        await refused(socket, code)


async def test_a_wrong_origin_is_refused(site, agent):
    async with opens(site, origin="https://evil.example") as socket:
        await socket.send(start(await in_thread(admitted)(agent)))
        await refused(socket, "origin_not_allowed")
    assert (await when_settled(await in_thread(only_session)())).cost_micro == 0


@pytest.mark.parametrize(
    "bad, code",
    [("{", "invalid_message"), (b"\0", "message_too_large"), (bytes(2_000_000), "message_too_large")],
    ids=["no json", "odd", "2 MB"],
)
async def test_what_breaks_a_call_off_is_told_with_its_close_code(site, agent, model, bad, code):
    async with opens(site) as socket:
        session_id = await a_call(agent, socket)
        await socket.send(bad)
        await refused(socket, code)
    books = await when_settled(session_id)
    assert books.session.end_reason == EndReason.PROTOCOL_ERROR
    assert books.balance.held_micro == 0


async def test_a_frame_beyond_what_the_server_takes_ends_the_call_all_the_same(site, agent, model):
    async with opens(site) as socket:
        session_id = await a_call(agent, socket)
        sending = asyncio.create_task(socket.send(bytes(17 * 1024 * 1024)))
        books = await when_settled(session_id)
        await asyncio.gather(sending, return_exceptions=True)
    assert books.session.end_reason == EndReason.CALLER_DISCONNECTED


async def test_a_call_costs_what_its_receipt_says(site, agent, model):
    async with opens(site) as socket:
        session_id = await a_call(agent, socket)
        while model.reported(session_id) < 3:
            await socket.send(FRAME)
            await asyncio.sleep(0.02)
        await socket.send('{"type":"session.end"}')
        ended, close_code = await last_words(socket)
    assert (ended["type"], ended["reason"], close_code) == ("session.ended", "caller_hung_up", 1000)
    books = await when_settled(session_id)
    assert ended["receipt"]["total_micro"] == books.cost_micro > 0
    assert len(books.usage) == model.reported(session_id)


async def test_a_browser_whose_network_breaks_is_settled(site, agent, model):
    async with opens(site) as socket:
        session_id = await a_call(agent, socket)
        socket.transport.abort()
    books = await when_settled(session_id)
    assert books.session.end_reason == EndReason.CALLER_DISCONNECTED
    assert all(not row.is_estimated for row in books.usage)


async def test_a_server_that_is_stopped_in_a_call_leaves_it_settled_once(site, agent, model):
    """By the server while it stops, or by the sweep: both servers drop sockets in their own way."""
    ticket = await in_thread(admitted)(agent)
    caller = TalkativeCaller(str(await in_thread(only_session)()), ticket)
    talking = asyncio.create_task(caller.call(site.web.websocket_url, site.web.origin))
    async with asyncio.timeout(PATIENCE_S):
        while not (caller.told_micro and caller.is_hearing):
            await asyncio.sleep(0.01)
    assert await asyncio.to_thread(site.ends, signal.SIGTERM)
    async with asyncio.timeout(PATIENCE_S):
        await talking
    await in_thread(settle_dead_sessions)(timezone.now() + timedelta(minutes=5))
    books = await in_thread(closed_books)(caller.session_id)
    assert books.cost_micro >= caller.told_micro
    assert books.balance.held_micro == 0
    assert await in_thread(settle_dead_sessions)(timezone.now() + timedelta(hours=1)) == 0
