import asyncio

import pytest

from voice.sessions.jobs import Jobs, TooManyJobs


async def test_all_that_wait_are_taken_at_once_in_their_order():
    jobs = Jobs(3)
    jobs.put("a")
    jobs.put("b")
    assert await jobs.take() == ["a", "b"]
    assert jobs.take_now() == []


async def test_who_waits_for_a_job_is_woken_by_it():
    jobs = Jobs(3)
    taking = asyncio.create_task(jobs.take())
    await asyncio.sleep(0)
    jobs.put("a")
    jobs.put("b")
    assert await taking == ["a", "b"]


async def test_a_job_that_came_as_its_taker_was_cancelled_is_still_there():
    jobs = Jobs(3)
    taking = asyncio.create_task(jobs.take())
    await asyncio.sleep(0)
    jobs.put("a")
    taking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await taking
    assert jobs.take_now() == ["a"]


def test_more_jobs_than_ever_should_wait_are_refused():
    jobs = Jobs(1)
    jobs.put("a")
    with pytest.raises(TooManyJobs):
        jobs.put("b")
    assert jobs.take_now() == ["a"]
