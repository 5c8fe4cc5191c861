"""Coming back to a call on real sockets, on both web servers."""

import asyncio
import json
import signal
from datetime import timedelta
from pathlib import Path

import pytest
from channels.db import database_sync_to_async as in_thread
from django.db import connection
from django.utils import timezone

from tests.flows.books import closed_books
from tests.flows.browser import FRAME, PATIENCE_S
from tests.flows.test_on_real_servers import Site, last_words, model, opens, start, when_settled
from tests.flows.visits import admitted
from voice.metering.sweep import settle_dead_sessions
from voice.models import EndReason, Session

__all__ = ["model"]

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the server's process shares the test's SQLite file"),
]


@pytest.fixture(scope="module", params=["daphne", "uvicorn"])
def site(request, django_db_setup, tmp_path_factory):
    data_dir = tmp_path_factory.mktemp(f"resume-{request.param}")
    Path(data_dir / "db.sqlite3").symlink_to(connection.settings_dict["NAME"])
    site = Site(request.param, data_dir, RESUME_WITHIN_S="120")
    yield site
    site.close()


class Page:
    """What a browser remembers of its call over its connections."""

    def __init__(self):
        self.started, self.bytes, self.messages, self.told = {}, 0, 0, []

    def hears(self, message):
        if isinstance(message, bytes):
            self.bytes += len(message)
            return {"type": "audio"}
        event = json.loads(message)
        self.told.append(event["type"])
        if event["type"] == "session.started":
            self.started = event
        elif event["type"] != "session.resumed":
            self.messages += 1
        return event

    async def until(self, socket, *kinds):
        async with asyncio.timeout(PATIENCE_S):
            while (event := self.hears(await socket.recv()))["type"] not in kinds:
                await socket.send(FRAME)
        return event

    def comes_back(self):
        return json.dumps(
            {
                "type": "session.resume",
                "version": 1,
                "resume_token": self.started["resume_token"],
                "item_id": None,
                "played_ms": 0,
                "received_bytes": self.bytes,
                "received_messages": self.messages,
            }
        )


async def begins(agent, socket):
    """Begin a call and wait for its first sound."""
    page = Page()
    await socket.send(start(await in_thread(admitted)(agent)))
    await page.until(socket, "audio")
    return page


async def when_away(page):
    async with asyncio.timeout(PATIENCE_S):
        while (await in_thread(Session.objects.get)(id=page.started["session_id"])).away_since is None:
            await asyncio.sleep(0.02)


async def hangs_up(page, socket):
    """Return the books of a call that its caller ends, once they are closed and its receipt says the same."""
    await page.until(socket, "meter.changed")
    await socket.send('{"type":"session.end"}')
    ended, close_code = await last_words(socket)
    assert (ended["type"], ended["reason"], close_code) == ("session.ended", "caller_hung_up", 1000)
    books = await when_settled(page.started["session_id"])
    assert ended["receipt"]["total_micro"] == books.cost_micro > 0
    return books


async def hangs_up_in_full(page, socket, model):
    """The call is over, and is paid for by what the model has reported: nothing is missing, nothing is there twice."""
    books = await hangs_up(page, socket)
    assert len(books.usage) == model.reported(page.started["session_id"])
    return books


async def test_a_browser_whose_network_breaks_comes_back_to_its_call(site, agent, model):
    async with opens(site) as socket:
        page = await begins(agent, socket)
        socket.transport.abort()
    await when_away(page)
    async with opens(site) as socket:
        await socket.send(page.comes_back())
        resumed = await page.until(socket, "session.resumed")
        assert resumed["session_id"] == page.started["session_id"]
        await page.until(socket, "audio")
        books = await hangs_up_in_full(page, socket, model)
    assert books.session.resumes == 1


async def test_a_browser_that_changes_its_network_leaves_its_old_connection_behind(site, agent, model):
    async with opens(site) as old:
        page = await begins(agent, old)
        async with opens(site) as new:
            await new.send(page.comes_back())
            await page.until(new, "session.resumed")
            message, close_code = await last_words(old)
            assert (message["code"], close_code) == ("resumed_elsewhere", 4411)
            await hangs_up_in_full(page, new, model)


async def test_a_server_that_is_stopped_while_a_caller_is_away_leaves_their_call_settled_once(site, agent, model):
    async with opens(site) as socket:
        page = await begins(agent, socket)
        socket.transport.abort()
    await when_away(page)
    assert await asyncio.to_thread(site.ends, signal.SIGTERM)
    await in_thread(settle_dead_sessions)(timezone.now() + timedelta(minutes=5))
    books = await in_thread(closed_books)(page.started["session_id"])
    assert books.session.end_reason in (
        EndReason.SHUTTING_DOWN, EndReason.CALLER_DISCONNECTED, EndReason.PROCESS_DIED,
    )  # fmt: skip
    assert books.balance.held_micro == 0
