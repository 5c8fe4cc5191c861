"""The beat that all calls of an event loop share."""

import asyncio

from voice.sessions.beat import next_beat


async def test_everybody_who_waits_is_woken_by_one_timer(monkeypatch):
    loop = asyncio.get_running_loop()
    timers = []
    call_later = loop.call_later
    monkeypatch.setattr(loop, "call_later", lambda *timer: timers.append(timer) or call_later(*timer))
    await asyncio.gather(*(next_beat() for _ in range(50)))
    assert len(timers) == 1


async def test_one_who_waits_no_longer_leaves_the_others_waiting():
    leaving, staying = next_beat(), next_beat()
    await asyncio.sleep(0)
    leaving.cancel()
    await asyncio.wait_for(staying, 5)
    assert leaving.cancelled()


async def test_it_beats_again_after_nobody_has_waited():
    await next_beat()
    await asyncio.wait_for(next_beat(), 5)


async def test_who_wants_it_at_other_times_has_a_beat_of_their_own():
    seldom = next_beat(3600)
    await asyncio.wait_for(next_beat(0), 5)
    assert not seldom.done()
    seldom.cancel()
