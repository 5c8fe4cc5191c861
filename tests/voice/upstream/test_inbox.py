"""Frames from a connection to the one who reads them, or past them."""

import asyncio

import pytest

from voice.upstream.errors import UpstreamDropped
from voice.upstream.inbox import Inbox


@pytest.fixture
async def reading():
    """Return an inbox, the task that waits for its first frame, and what was taken: every frame in capitals."""
    inbox, taken = Inbox(), []

    def take(frame):
        if not frame.isupper():
            return False
        taken.append(frame)
        return True

    inbox.listen(take)
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    yield inbox, reader, taken
    reader.cancel()


def deliver(inbox, frame):
    return inbox.offer(frame) or inbox.put(frame)


async def test_a_frame_that_is_waited_for_may_be_taken_at_once(reading):
    inbox, reader, taken = reading
    assert deliver(inbox, b"A") and deliver(inbox, b"b")
    assert (await reader, taken) == (b"b", [b"A"])


async def test_no_frame_overtakes_another(reading):
    inbox, reader, taken = reading
    for frame in (b"a", b"B", b"c"):
        deliver(inbox, frame)
    assert [await reader, await inbox.get(), await inbox.get()] == [b"a", b"B", b"c"]
    assert taken == []


async def test_what_nobody_waits_for_is_kept(reading):
    inbox, reader, taken = reading
    reader.cancel()
    deliver(inbox, b"A")
    assert (await inbox.get(), taken) == (b"A", [])


async def test_nothing_is_taken_past_the_end(reading):
    inbox, reader, taken = reading
    inbox.finish(UpstreamDropped("upstream_dropped", retryable=True))
    deliver(inbox, b"A")
    with pytest.raises(UpstreamDropped):
        await reader
    assert taken == []
