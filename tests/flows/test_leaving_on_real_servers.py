"""Leaving, and speaking, while a model is dialled that takes its time: on real sockets, on both web servers."""

import asyncio
import base64
import json
from unittest.mock import ANY

import pytest
from channels.db import database_sync_to_async as in_thread
from django.db import connection
from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from tests.fakes.realtime_server import RealtimeServer
from tests.fakes.scripted_upstream import Step
from tests.flows.browser import PATIENCE_S
from tests.flows.script import SESSION_STEP
from tests.flows.test_on_real_servers import last_words, opens, site, start, when_settled
from tests.flows.visits import admitted
from voice.models import EndReason

__all__ = ["site"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the server's process shares the test's SQLite file"),
]


class LateModel(RealtimeServer):
    """Answers no handshake before it `may_answer`."""

    def __init__(self, port: int) -> None:
        super().__init__(steps=[SESSION_STEP, Step("response.create")], safety_identifier=ANY, port=port)
        self.is_dialled, self.may_answer = asyncio.Event(), asyncio.Event()

    async def _check_handshake(self, connection: ServerConnection, request: Request) -> Response | None:
        self.is_dialled.set()
        await self.may_answer.wait()
        return await super()._check_handshake(connection, request)

    def heard(self) -> bytes:
        appended = [event["audio"] for event in self.received if event["type"] == "input_audio_buffer.append"]
        return b"".join(map(base64.b64decode, appended))


@pytest.fixture
async def model(site):
    async with LateModel(site.model_port) as model:
        yield model
        model.may_answer.set()


async def begins(agent, model, socket):
    """Return the session of a call whose model is being dialled."""
    await socket.send(start(await in_thread(admitted)(agent)))
    started = json.loads(await socket.recv())
    assert started["type"] == "session.started"
    async with asyncio.timeout(PATIENCE_S):
        await model.is_dialled.wait()
    return started["session_id"]


async def test_who_hangs_up_while_a_model_is_dialled_pays_nothing(site, agent, model):
    async with opens(site) as socket:
        session_id = await begins(agent, model, socket)
        await socket.send(bytes(1920))
        await socket.send('{"type":"session.end"}')
        ended, close_code = await last_words(socket)
    assert (ended["reason"], ended["receipt"]["total_micro"], close_code) == ("caller_hung_up", 0, 1000)
    books = await when_settled(session_id)
    assert (books.cost_micro, books.balance.held_micro, model.received) == (0, 0, [])


async def test_who_closes_the_page_while_a_model_is_dialled_pays_nothing(site, agent, model):
    async with opens(site) as socket:
        session_id = await begins(agent, model, socket)
    books = await when_settled(session_id)
    assert (books.session.end_reason, books.cost_micro) == (EndReason.CALLER_DISCONNECTED, 0)
    assert (books.balance.held_micro, model.received) == (0, [])


async def test_what_is_said_while_a_model_is_dialled_reaches_it_to_the_last_byte(site, agent, model):
    spoken = [bytes([number, 1]) * 960 for number in range(200)]
    async with opens(site) as socket:
        await begins(agent, model, socket)
        for pcm in spoken[:150]:
            await socket.send(pcm)
        model.may_answer.set()
        for pcm in spoken[150:]:
            await socket.send(pcm)
        async with asyncio.timeout(PATIENCE_S):
            while len(model.heard()) < 200 * 1920:
                await asyncio.sleep(0.01)
        await socket.send('{"type":"session.end"}')
        ended, _ = await last_words(socket)
    assert ended["reason"] == "caller_hung_up"
    assert model.heard() == b"".join(spoken)
