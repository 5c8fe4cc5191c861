"""A call's memory in a real Redis: sealed, for a minute, and not at all where it would reach a disk."""

import contextlib
import shutil
import subprocess
import time
from uuid import uuid4

import pytest
import redis

from launcher.machine import free_port
from voice.sessions.takeover.snapshots import LIVES_S, Snapshots

pytestmark = pytest.mark.skipif(not shutil.which("redis-server"), reason="needs redis-server on PATH")

PATIENCE_S = 30
SECRET = b"what the caller's browser alone knows"
KEPT = {"memory": {"words": "A table for the persimmon tasting"}, "messages": []}
IN_MEMORY = ("--save", "", "--appendonly", "no")


@pytest.fixture
def redis_with(tmp_path, settings):
    """Start a Redis with these options, in which calls leave their memory; return a client of it."""
    with contextlib.ExitStack() as ending:

        def start(*options):
            port = free_port("127.0.0.1")
            command = ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", str(tmp_path), *options]
            process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
            ending.callback(process.wait)
            ending.callback(process.kill)
            settings.RESUME_REDIS_URL = f"redis://127.0.0.1:{port}/0"
            client = ending.enter_context(contextlib.closing(redis.Redis(port=port)))
            wait_for(client)
            return client

        yield start


def wait_for(client):
    give_up_at = time.monotonic() + PATIENCE_S
    while True:
        with contextlib.suppress(redis.ConnectionError):
            client.ping()
            return
        assert time.monotonic() < give_up_at
        time.sleep(0.05)


async def test_what_is_kept_is_sealed_and_gone_within_a_minute(redis_with):
    client, session_id = redis_with(*IN_MEMORY), uuid4()
    assert await Snapshots(session_id, SECRET, 0).write(KEPT)
    (name,) = client.keys("*")
    sealed = client.get(name)
    for clear in (b"persimmon", b"words", b"memory", b"messages", SECRET):
        assert clear not in sealed + name
    assert 0 < client.ttl(name) <= LIVES_S
    assert await Snapshots(session_id, SECRET, 1).read(within_s=0) == KEPT | {"is_last": False}
    assert await Snapshots(session_id, b"another's", 1).read(within_s=0) is None
    await Snapshots(session_id, SECRET, 1).forget()
    assert client.keys("*") == []


@pytest.mark.parametrize("options", [("--save", "3600 1"), ("--save", "", "--appendonly", "yes")], ids=["save", "log"])
async def test_one_that_writes_to_disk_is_not_used(redis_with, options):
    client, session_id = redis_with(*options), uuid4()
    assert not await Snapshots(session_id, SECRET, 0).write(KEPT)
    assert client.keys("*") == []
    assert await Snapshots(session_id, SECRET, 1).read(within_s=0) is None


async def test_one_that_does_not_say_is_believed_to_write_nothing(redis_with):
    client = redis_with(*IN_MEMORY, "--rename-command", "CONFIG", "")
    assert await Snapshots(uuid4(), SECRET, 0).write(KEPT)
    assert len(client.keys("*")) == 1
