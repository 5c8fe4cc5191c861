"""Calls that outlive the web process they began in, on real processes: killed, stopped, or only left behind."""

import asyncio
import contextlib
import shutil
import signal
import subprocess
from pathlib import Path

import pytest
import redis
from channels.db import database_sync_to_async as in_thread
from django.conf import settings
from django.db import connection
from websockets.asyncio.client import connect

from launcher.machine import free_port
from tests.crash.model import CountingModel
from tests.flows.test_on_real_servers import Site, last_words, start
from tests.flows.test_resume_on_real_servers import Page, hangs_up
from tests.flows.visits import admitted
from voice.gateway.widget_protocol import SUBPROTOCOL
from voice.models import Session, SessionState

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="the server's process shares the test's SQLite file"),
]


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory):
    """A Redis of the tests' own that writes nothing to disk."""
    if not shutil.which("redis-server"):
        pytest.skip("needs redis-server on PATH")
    port, data_dir = free_port("127.0.0.1"), tmp_path_factory.mktemp("redis")
    command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([*command, "--dir", str(data_dir)], stdout=subprocess.DEVNULL)
    url = f"redis://127.0.0.1:{port}/0"
    with contextlib.closing(redis.Redis.from_url(url, retry=None)) as client:
        for _ in range(200):
            with contextlib.suppress(redis.ConnectionError):
                if client.ping():
                    break
        yield url
    process.terminate()
    process.wait()


@pytest.fixture
async def model():
    model = CountingModel(settings.SECRET_KEY)
    async with model:
        yield model


@pytest.fixture
def sites(django_db_setup, tmp_path, model):
    """Start web processes on one database: `sites("uvicorn", REDIS_URL=...)`."""
    Path(tmp_path / "db.sqlite3").symlink_to(connection.settings_dict["NAME"])
    started = []

    def begin(server, **env):
        env = {"RESUME_WITHIN_S": "120", "OPENAI_REALTIME_URL": f"ws://127.0.0.1:{model.port}/v1/realtime", **env}
        started.append(Site(server, tmp_path, **env))
        assert started[-1].web
        return started[-1]

    yield begin
    for site in started:
        site.close()


def opens(site, origin):
    return connect(site.web.websocket_url, origin=origin, subprotocols=[SUBPROTOCOL], compression=None)


async def begins(agent, site, socket):
    """Begin a call and hear the end of its first answer."""
    page = Page()
    await socket.send(start(await in_thread(admitted)(agent)))
    await page.until(socket, "audio")
    await page.until(socket, "meter.changed")
    return page


async def comes_back(page, socket):
    await socket.send(page.comes_back())
    return await page.until(socket, "session.resumed", "session.ended", "error")


async def test_a_call_survives_the_death_of_its_process(sites, agent, model, redis_url):
    first, second = sites("uvicorn", REDIS_URL=redis_url), sites("daphne", REDIS_URL=redis_url)
    origin = first.web.origin
    async with opens(first, origin) as socket:
        page = await begins(agent, first, socket)
        await asyncio.to_thread(first.ends, signal.SIGKILL)
    async with opens(second, origin) as socket:
        resumed = await comes_back(page, socket)
        assert (resumed["type"], resumed["session_id"]) == ("session.resumed", page.started["session_id"])
        books = await hangs_up(page, socket)
    assert (books.session.generation, books.session.resumes) == (1, 1)
    # Nothing was charged twice, and all but what the dead one had not written yet is there.
    reported = model.reported(page.started["session_id"])
    assert reported - 2 <= len([row for row in books.usage if not row.is_estimated]) <= reported


async def test_a_stopped_process_hands_its_calls_to_another(sites, agent, model, redis_url):
    first, second = sites("uvicorn", REDIS_URL=redis_url), sites("uvicorn", REDIS_URL=redis_url)
    origin = first.web.origin
    async with opens(first, origin) as socket:
        page = await begins(agent, first, socket)
        stopping = asyncio.create_task(asyncio.to_thread(first.ends, signal.SIGTERM))
        _, close_code = await last_words(socket)
        assert close_code == 1012
    async with opens(second, origin) as socket:
        assert (await comes_back(page, socket))["type"] == "session.resumed"
        books = await hangs_up(page, socket)
    assert await stopping
    assert books.session.generation == 1


@pytest.mark.parametrize(
    ("number", "server"),
    [
        (signal.SIGTERM, "uvicorn"),
        (signal.SIGKILL, "daphne"),
        pytest.param(signal.SIGTERM, "daphne", marks=pytest.mark.crash),
        pytest.param(signal.SIGKILL, "uvicorn", marks=pytest.mark.crash),
        pytest.param(signal.SIGINT, "uvicorn", marks=pytest.mark.crash),
        pytest.param(signal.SIGINT, "daphne", marks=pytest.mark.crash),
    ],
    ids=lambda value: getattr(value, "name", value),
)
async def test_one_machine_takes_its_calls_up_again_when_it_is_restarted(sites, agent, model, server, number):
    """Without a Redis: nobody knows any more what was said, and the assistant says so."""
    first = sites(server)
    origin = first.web.origin
    async with opens(first, origin) as socket:
        page = await begins(agent, first, socket)
        assert await asyncio.to_thread(first.ends, number)
        await last_words(socket)
    assert (await in_thread(Session.objects.get)(id=page.started["session_id"])).state == SessionState.LIVE
    async with opens(first, origin) as socket:  # a new process
        assert (await comes_back(page, socket))["type"] == "session.resumed"
        await page.until(socket, "audio")
        await hangs_up(page, socket)
