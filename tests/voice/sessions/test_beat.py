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
    leaving, staying = asyncio.create_task(next_beat()), asyncio.create_task(next_beat())
    await asyncio.sleep(0)
    leaving.cancel()
    await staying
    assert leaving.cancelled()


async def test_it_beats_again_after_nobody_has_waited():
    await next_beat()
    await asyncio.wait_for(next_beat(), 5)
