"""The cache in an SQLite file, whose counters must be exact."""

import contextvars
import sqlite3
import threading

import pytest

from config.sqlite_cache import SqliteCache


@pytest.fixture
def cache(tmp_path):
    return SqliteCache(str(tmp_path / "cache.sqlite3"), {})


@pytest.fixture
def time(monkeypatch):
    class Time:
        now = 1000.0

    monkeypatch.setattr("config.sqlite_cache.time.time", lambda: Time.now)
    return Time


def test_what_is_set_can_be_got(cache):
    cache.set("key", {"any": ["value"]})
    assert cache.get("key") == {"any": ["value"]}


def test_what_is_not_there_is_the_default(cache):
    assert cache.get("key", "nothing") == "nothing"


def test_a_value_is_gone_when_its_time_is_over(cache, time):
    cache.set("key", 1, timeout=10)
    time.now += 10
    assert cache.get("key") is None


def test_only_the_first_add_of_a_key_succeeds(cache):
    assert cache.add("key", 1)
    assert not cache.add("key", 2)
    assert cache.get("key") == 1


def test_an_expired_key_can_be_added_again(cache, time):
    cache.add("key", 1, timeout=10)
    time.now += 10
    assert cache.add("key", 2, timeout=10)


def test_counting_a_key_that_is_not_there_is_an_error(cache):
    with pytest.raises(ValueError, match="key"):
        cache.incr("key")


def test_twenty_threads_count_exactly(cache):
    cache.set("count", 0)

    def count():
        for _ in range(50):
            cache.incr("count")

    threads = [threading.Thread(target=count) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("count") == 1000


def test_of_twenty_threads_that_add_a_key_one_succeeds(cache):
    won = []
    threads = [threading.Thread(target=lambda: won.append(cache.add("key", 1))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert won.count(True) == 1


def test_a_touched_key_lives_on(cache, time):
    cache.set("key", 1, timeout=10)
    assert cache.touch("key", timeout=100)
    time.now += 50
    assert cache.get("key") == 1


def test_deleting_and_clearing(cache):
    cache.set("a", 1)
    cache.set("b", 1)
    assert cache.delete("a")
    assert not cache.delete("a")
    cache.clear()
    assert cache.get("b") is None


def test_expired_rows_are_swept_as_others_are_written(cache, time):
    cache.set("old", 1, timeout=10)
    time.now += 20
    for n in range(500):
        cache.set("new", n)
    rows = cache._connection().execute("SELECT count(*) FROM cache").fetchone()
    assert rows == (1,)


def test_a_thread_has_one_connection_however_many_contexts_it_works_in(cache, tmp_path):
    others = [SqliteCache(str(tmp_path / "cache.sqlite3"), {}) for _ in range(3)]
    assert {contextvars.Context().run(other._connection) for other in others} == {cache._connection()}


def test_caches_in_other_files_are_others(cache, tmp_path):
    SqliteCache(str(tmp_path / "other.sqlite3"), {}).set("key", 1)
    assert cache.get("key") is None


def test_a_threads_connection_is_closed_when_the_thread_is_over(cache):
    used = []
    thread = threading.Thread(target=lambda: used.append(cache._connection()))
    thread.start()
    thread.join()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        used[0].execute("SELECT 1")


def test_a_cache_that_was_closed_opens_again(cache):
    cache.set("key", 1)
    before = cache._connection()
    cache.close()
    assert cache.get("key") == 1
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        before.execute("SELECT 1")
