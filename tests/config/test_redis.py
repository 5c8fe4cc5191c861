"""Several machines share a Redis: orders reach calls in other processes, counters are exact, a ticket is used once."""

import asyncio
import os
import subprocess
import sys
import threading
import uuid
from pathlib import Path

import pytest
import redis
from asgiref.sync import sync_to_async
from channels.db import database_sync_to_async as in_thread
from django.core.cache import cache
from django_ratelimit.core import get_usage

from tests import factories
from tests.fakes.scripted_upstream import ScriptedUpstream
from tests.flows.books import closed_books, only_session
from tests.flows.browser import Browser
from tests.flows.script import greeting
from tests.flows.visits import admitted
from tests.voice.sessions.calls import make_call, ordered
from voice.admission import tickets
from voice.models import EndReason, Session
from voice.sessions.orders import alive, control
from voice.upstream import registry

URL = os.environ.get("PARLEY_TEST_REDIS_URL", "")
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE_S = 30
OTHER_PROCESS = """
import sys, uuid, django
django.setup()
from voice.sessions.orders import control
control.end_calls_of(uuid.UUID(sys.argv[1]))
"""

pytestmark = pytest.mark.skipif(not URL, reason="needs a Redis: set PARLEY_TEST_REDIS_URL=redis://host:port/0")


@pytest.fixture(autouse=True)
def on_redis(settings):
    """What config/settings.py makes of REDIS_URL, under a prefix of the test's own."""
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": URL, "KEY_PREFIX": uuid.uuid4().hex}}
    layer = "channels_redis.pubsub.RedisPubSubChannelLayer"
    settings.CHANNEL_LAYERS = {"default": {"BACKEND": layer, "CONFIG": {"hosts": [URL]}}}


@pytest.fixture
def agent(transactional_db):
    from voice.catalogue.seed import seed_catalogue

    seed_catalogue()
    return factories.make_agent(factories.make_organisation(credits=1000), is_public=True)


async def first_order(call, give):
    """Return the reason of the first order that reaches a call, while one is given again and again."""
    async with asyncio.timeout(PATIENCE_S), ordered(call) as heard:
        while not heard.done():
            await give()
            await asyncio.wait([heard], timeout=0.2)
        return heard.result()


async def test_an_order_reaches_the_call_it_means():
    call = make_call()
    reason = await first_order(call, lambda: sync_to_async(control.end_calls_of)(call.organisation_id))
    assert reason == EndReason.ORGANISATION_SUSPENDED


async def test_orders_for_others_pass_a_call_by():
    call = make_call(client_ip="198.51.100.7")

    async def give():
        await sync_to_async(control.end_calls_of)(uuid.uuid4())
        await sync_to_async(control.end_calls_from)("203.0.113.0/24")
        await sync_to_async(control.end_every_call)()

    assert await first_order(call, give) == EndReason.PAUSED


async def test_an_order_given_in_another_process_reaches_the_call():
    """As the operator's admin and a call do that run on two machines, with the settings that REDIS_URL makes."""
    call = make_call()
    env = os.environ | {"REDIS_URL": URL, "DJANGO_SETTINGS_MODULE": "config.settings"}
    command = [sys.executable, "-c", OTHER_PROCESS, str(call.organisation_id)]

    async def give():
        await asyncio.to_thread(subprocess.run, command, env=env, cwd=ROOT, check=True)

    assert await first_order(call, give) == EndReason.ORGANISATION_SUSPENDED


async def test_a_call_that_lost_its_redis_for_a_moment_is_still_reached():
    call = make_call()
    async with asyncio.timeout(PATIENCE_S), ordered(call) as heard:
        with redis.from_url(URL) as connection:
            connection.client_kill_filter(_type="pubsub")
        while not heard.done():
            await sync_to_async(control.end_calls_of)(call.organisation_id)
            await asyncio.wait([heard], timeout=0.2)
        assert heard.result() == EndReason.ORGANISATION_SUSPENDED


async def test_a_whole_call_is_ended_by_an_order(agent, monkeypatch):
    monkeypatch.setattr(alive, "_LOOK_EVERY_S", 3600)
    monkeypatch.setattr(registry, "dial", ScriptedUpstream(greeting()).dial)
    page = Browser()
    started = await page.calls(await in_thread(admitted)(agent))
    await page.until("meter.changed")
    await sync_to_async(control.end_call)(uuid.UUID(started["session_id"]))
    assert (await page.until("session.ended"))["reason"] == "operator_ended"
    await page.until_closed()
    await in_thread(closed_books)(await in_thread(only_session)())


async def test_a_ticket_is_used_once_by_two_pages_at_once(agent, monkeypatch):
    monkeypatch.setattr(registry, "dial", ScriptedUpstream(greeting()).dial)
    ticket = await in_thread(admitted)(agent)
    pages = [Browser(), Browser()]
    for page in pages:
        await page.opens()
        await page.says("session.start", version=1, ticket=ticket, voice=True)
    first = await asyncio.gather(*(page._next() for page in pages))
    assert sorted(message["type"] for message in first) == ["error", "session.started"]
    await asyncio.gather(*(page.vanishes() for page in pages))


def test_of_many_threads_with_one_ticket_one_is_let_in(agent):
    ticket, let_in, refused = admitted(agent), [], []

    def redeem():
        try:
            let_in.append(tickets.redeem(ticket))
        except tickets.TicketInvalid as error:
            refused.append(error.code)

    in_threads(redeem, count=8)
    assert let_in == [Session.objects.get().id]
    assert refused == ["used"] * 7


def test_rate_limits_let_through_exactly_as_many_as_they_say():
    let_through = []

    def start():
        usage = get_usage(None, group="calls", key=lambda *_: "203.0.113.7", rate="25/d", increment=True)
        let_through.append(not usage["should_limit"])

    in_threads(start, count=60)
    assert let_through.count(True) == 25


def test_counters_of_many_threads_are_exact():
    cache.set("count", 0)
    in_threads(lambda: [cache.incr("count") for _ in range(50)], count=20)
    assert cache.get("count") == 1000


def in_threads(work, *, count):
    from django.db import connections

    together = threading.Barrier(count)

    def run():
        together.wait()
        try:
            work()
        finally:
            connections.close_all()

    threads = [threading.Thread(target=run) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
