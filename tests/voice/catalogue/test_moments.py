"""What many ask at once is looked up once."""

from concurrent.futures import Future, ThreadPoolExecutor
from threading import Barrier, Event, Semaphore

import pytest

from voice.catalogue import moments
from voice.catalogue.moments import once_a_moment


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(moments, "MOMENT_S", 60.0)
    return []


def test_those_who_ask_the_same_at_once_are_told_what_one_of_them_finds(asked):
    together = Barrier(8)

    @once_a_moment
    def look(slug):
        asked.append(slug)
        return object()

    def ask(_):
        together.wait()
        return look("mini")

    with ThreadPoolExecutor(8) as threads:
        assert len(set(threads.map(ask, range(8)))) == 1
    assert asked == ["mini"]
    assert look("other") is not look("mini")


def test_a_moment_passes(asked, monkeypatch):
    look = once_a_moment(asked.append)
    monkeypatch.setattr(moments, "MOMENT_S", 0.0)
    look(1)
    look(1)
    assert asked == [1, 1]


def test_who_asks_for_something_else_waits_for_nobody(asked):
    may_end = Event()

    @once_a_moment
    def look(slug):
        return slug == "quick" or may_end.wait(30)

    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(look, "slow")
        assert look("quick")
        may_end.set()
        assert slow.result(30)


@pytest.mark.parametrize("fails", [False, True])
def test_those_who_waited_are_told_what_was_found_however_long_that_took(asked, monkeypatch, fails):
    monkeypatch.setattr(moments, "MOMENT_S", 0.0)
    may_end, is_asked, wait_now = Event(), Event(), Semaphore(0)
    result = Future.result

    def counted(future, *args):
        wait_now.release()
        return result(future, *args)

    monkeypatch.setattr(Future, "result", counted)

    @once_a_moment
    def look():
        asked.append(1)
        is_asked.set()
        may_end.wait(30)
        if fails:
            raise LookupError

    with ThreadPoolExecutor(4) as threads:
        first = threads.submit(look)
        assert is_asked.wait(30)
        others = [threads.submit(look) for _ in range(3)]
        assert all(wait_now.acquire(timeout=30) for _ in others)
        may_end.set()
        failures = {type(each.exception(30)) for each in [first, *others]}
    assert (failures, asked) == ({LookupError if fails else type(None)}, [1])


def test_what_could_not_be_found_is_looked_for_again(asked):
    @once_a_moment
    def look():
        asked.append(1)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            look()
    assert asked == [1, 1]
