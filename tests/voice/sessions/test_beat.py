"""The beat that all calls of an event loop share."""

import asyncio

import pytest

from voice.sessions.beat import beat


async def test_everybody_who_waits_is_woken_by_one_timer(monkeypatch):
    loop = asyncio.get_running_loop()
    timers = []
    call_later = loop.call_later
    monkeypatch.setattr(loop, "call_later", lambda *timer: timers.append(timer) or call_later(*timer))
    await asyncio.gather(*(beat().next() for _ in range(50)))
    assert len(timers) == 1


async def test_one_who_waits_no_longer_leaves_the_others_waiting():
    leaving, staying = beat().next(), beat().next()
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(staying, 5)
    assert leaving.cancelled()


async def test_it_beats_again_after_nobody_has_waited():
    await beat().next()
    await asyncio.wait_for(beat().next(), 5)


async def test_who_wants_it_at_other_times_has_a_beat_of_their_own():
    seldom = beat(3600).next()
    await asyncio.wait_for(beat(0).next(), 5)
    assert not seldom.done()
    seldom.cancel()


async def test_it_passes_by_who_may_wait_four_times():
    asked = []
    await asyncio.wait_for(beat(0).next(lambda now: not asked.append(now)), 5)
    assert len(asked) == 4
    assert asked == sorted(asked)


async def test_it_wakes_who_may_wait_no_longer_and_leaves_the_others():
    may_wait = [True, False]
    patient, impatient = beat(0).next(lambda _: True), beat(0).next(lambda _: may_wait.pop(0))
    await asyncio.wait_for(impatient, 5)
    assert not patient.done()
    await asyncio.wait_for(patient, 5)


async def test_who_has_left_is_not_asked():
    asked = []
    left = beat(0).next(asked.append)
    left.cancel()
    await asyncio.wait_for(beat(0).next(), 5)
    assert asked == []


async def test_a_fault_of_one_who_is_asked_is_theirs_alone():
    def fails(now):
        raise ZeroDivisionError

    faulty, other = beat(0).next(fails), beat(0).next(lambda _: True)
    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(faulty, 5)
    await asyncio.wait_for(other, 5)
