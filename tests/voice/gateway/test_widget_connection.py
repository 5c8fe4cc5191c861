"""One websocket that may be given up while others wait for it."""

import asyncio

import pytest

from voice.gateway.widget_connection import ConnectionLost, WidgetConnection
from voice.sessions.caller import Audio

FRAME = bytes(1920)


async def never(*_):
    await asyncio.Event().wait()


async def under_way(coroutine):
    task = asyncio.create_task(coroutine)
    await asyncio.sleep(0)
    return task


async def test_whoever_reads_a_connection_that_is_given_up_learns_that_it_is_lost():
    connection = WidgetConnection(never, never)
    reading = await under_way(connection.next())
    connection.drop()
    with pytest.raises(ConnectionLost):
        await reading
    with pytest.raises(ConnectionLost):
        await connection.next()


async def test_whoever_writes_to_a_dead_network_goes_on_once_it_is_given_up():
    connection = WidgetConnection(never, never)
    writing = [await under_way(connection.put_audio(FRAME)), await under_way(connection.put_text("{}"))]
    connection.drop()
    connection.drop()
    await asyncio.gather(*writing)
    assert connection.is_deaf


async def test_a_task_that_was_freed_can_be_cancelled_as_any_other():
    connection = WidgetConnection(never, never)

    async def read_and_stay():
        with pytest.raises(ConnectionLost):
            await connection.next()
        assert asyncio.current_task().cancelling() == 0
        await never()

    reading = await under_way(read_and_stay())
    connection.drop()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    reading.cancel()
    with pytest.raises(asyncio.CancelledError):
        await reading


async def test_a_task_that_is_cancelled_in_the_same_moment_is_cancelled():
    connection = WidgetConnection(never, never)
    reading = await under_way(connection.next())
    reading.cancel()
    connection.drop()
    with pytest.raises(asyncio.CancelledError):
        await reading


@pytest.mark.parametrize("error", [OSError, RuntimeError])
async def test_a_browser_that_takes_nothing_more_may_have_said_something_before(error):
    async def gone(_):
        raise error

    async def receive():
        return {"type": "websocket.receive", "bytes": FRAME}

    connection = WidgetConnection(receive, gone)
    connection.takes_audio = True
    await connection.put_text("{}")
    assert connection.is_deaf
    assert await connection.next() == Audio(FRAME)
