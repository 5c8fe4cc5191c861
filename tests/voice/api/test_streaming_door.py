"""The streaming endpoints as a server calls them: no thread of their own, bounded, and settled when a client leaves."""

import asyncio
import json
import threading

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator

from billing import ledger
from config import streaming_asgi
from config.asgi import application
from tests.fakes.provider_server import streamed
from voice.models import ApiRequest

pytestmark = pytest.mark.django_db(transaction=True)


def client(path, key, body=b"", more_body=False):
    """Open a request as a server does and send its body."""
    headers = [
        (b"host", b"testserver"),
        (b"content-type", b"application/json"),
        (b"authorization", f"Bearer {key}".encode()),
    ]
    scope = {
        "type": "http", "http_version": "1.1", "method": "POST", "path": path, "raw_path": path.encode(),
        "query_string": b"", "root_path": "", "scheme": "http", "headers": headers, "client": ("203.0.113.7", 1),
        "server": ("testserver", 80),
    }  # fmt: skip
    communicator = ApplicationCommunicator(application, scope)
    communicator.input_queue.put_nowait({"type": "http.request", "body": body, "more_body": more_body})
    return communicator


def chat_body():
    messages = [{"role": "user", "content": "Hello!"}]
    return json.dumps({"model": "gpt-4.1", "messages": messages, "stream": True}).encode()


async def test_a_client_that_disconnects_pays_for_what_it_got_and_the_provider_stops(new_key, provider, organisation):
    key = await sync_to_async(new_key)()
    server = await sync_to_async(provider)(streamed("word " * 30, usage=None, holds=True))
    caller = client("/v1/chat/completions", key, chat_body())
    start = await caller.receive_output(10)
    assert (start["status"], dict(start["headers"])[b"X-Model-Served"]) == (200, b"gpt-4.1")
    assert b"word" in (await caller.receive_output(10))["body"]
    caller.input_queue.put_nowait({"type": "http.disconnect"})
    await caller.wait(10)
    row = await ApiRequest.objects.aget()
    assert row.settled_at and row.is_estimated and row.captured_micro > 0
    assert (await sync_to_async(ledger.balance_of)(organisation.id)).held_micro == 0
    assert await asyncio.to_thread(server.hung_up.wait, 10)


async def test_open_streams_hold_no_threads(new_key, provider):
    key = await sync_to_async(new_key)()
    n_streams = 8
    await sync_to_async(provider)(*(streamed("x", usage=None, holds=True) for _ in range(n_streams)))
    before = {thread.name for thread in threading.enumerate() if not thread.name.startswith("ledger")}
    callers = [client("/v1/chat/completions", key, chat_body()) for _ in range(n_streams)]
    for caller in callers:
        assert (await caller.receive_output(10))["status"] == 200
        await caller.receive_output(10)
    names = {thread.name for thread in threading.enumerate() if not thread.name.startswith("ledger")} - before
    # What is left belongs to the provider on this machine: one a connection of its own.
    assert {name for name in names if "process_request" not in name} <= {"asyncio_0"}
    for caller in callers:
        caller.input_queue.put_nowait({"type": "http.disconnect"})
        await caller.wait(10)


async def test_a_body_without_end_is_not_read_to_its_end(new_key, monkeypatch):
    monkeypatch.setattr(streaming_asgi, "MAX_BODY_BYTES", 1000)
    caller = client("/v1/audio/transcriptions", await sync_to_async(new_key)(), b"x" * 600, more_body=True)
    caller.input_queue.put_nowait({"type": "http.request", "body": b"x" * 600, "more_body": True})
    assert (await caller.receive_output(10))["status"] == 413
    assert json.loads((await caller.receive_output(10))["body"])["error"]["code"] == "request_too_large"


async def test_every_other_address_is_djangos_as_before(new_key):
    caller = client("/v1/nothing", await sync_to_async(new_key)())
    start = await caller.receive_output(10)
    assert start["status"] == 404 and b"Content-Security-Policy" in dict(start["headers"])
    await caller.receive_output(10)
    await caller.wait(10)
