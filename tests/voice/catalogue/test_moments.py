"""What many ask at once is looked up once."""

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

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


def test_what_could_not_be_found_is_looked_for_again(asked):
    @once_a_moment
    def look():
        asked.append(1)
        raise LookupError

    for _ in range(2):
        with pytest.raises(LookupError):
            look()
    assert asked == [1, 1]
