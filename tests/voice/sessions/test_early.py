"""What comes before there is a model: kept in its order, and no more of it than a person can say."""

import asyncio

import pytest

from voice.sessions import early

SECOND = bytes(48_000)


async def keeps(kept, what, until):
    """Keep of these until the condition holds; return what was left where it was."""
    left = asyncio.Queue()
    for one in what:
        left.put_nowait(one)
    keeping = asyncio.create_task(early.keep(kept, left.get, len))
    async with asyncio.timeout(20):
        while not until(left):
            await asyncio.sleep(0)
    keeping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await keeping
    return [left.get_nowait() for _ in range(left.qsize())]


async def test_everything_is_kept_in_its_order():
    kept = ["what was there"]
    assert await keeps(kept, ["one", "two", "three"], until=asyncio.Queue.empty) == []
    assert kept == ["what was there", "one", "two", "three"]


@pytest.mark.parametrize(("one", "most"), [(SECOND, 40), (b"", 1920)], ids=["speech", "next to nothing"])
async def test_what_is_more_than_can_be_kept_is_left_where_it_was(one, most):
    kept = []
    left = await keeps(kept, [one] * 2000, until=lambda left: len(kept) == most)
    assert (len(kept), len(left)) == (most, 2000 - most)


async def test_why_there_is_no_more_to_come_is_told():
    async def gone():
        raise ConnectionError

    with pytest.raises(ConnectionError):
        await early.keep([], gone, len)
