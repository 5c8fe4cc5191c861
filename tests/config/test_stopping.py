"""Whether a process is being stopped, and how long its calls have."""

import asyncio
import signal

import pytest

from config import stopping


@pytest.fixture(autouse=True)
def running(monkeypatch):
    monkeypatch.setattr(stopping, "_deadline", None)


@pytest.fixture
def handlers(monkeypatch):
    """Handlers as a server sets them, put back afterwards; `heard` says which signals reached them."""
    heard = []
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    for number in before:
        signal.signal(number, lambda number, frame: heard.append(number))
    yield heard
    for number, handler in before.items():
        signal.signal(number, handler)


def test_sigterm_gives_calls_their_time(handlers, settings):
    settings.DRAIN_S = 3600
    stopping.heed_signals()
    signal.raise_signal(signal.SIGTERM)
    assert handlers == [signal.SIGTERM]
    assert stopping.is_stopping() and 3500 < stopping.left_s() <= 3600


def test_sigint_gives_none_even_after_sigterm(handlers, settings):
    settings.DRAIN_S = 3600
    stopping.heed_signals()
    signal.raise_signal(signal.SIGTERM)
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGTERM)
    assert stopping.left_s() == 0.0 and len(handlers) == 3


async def test_who_waits_is_told(settings):
    settings.DRAIN_S = 3600
    told, out_of_time = asyncio.create_task(stopping.begun()), asyncio.create_task(stopping.out_of_time())
    await asyncio.sleep(0)
    stopping.begin()
    async with asyncio.timeout(10):
        await told
    assert not out_of_time.done()
    stopping.begin(within_s=0)
    async with asyncio.timeout(10):
        await out_of_time


def test_a_process_that_runs_is_not_stopping():
    assert not stopping.is_stopping() and stopping.left_s() == 0.0
