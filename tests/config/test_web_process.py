"""What the process that serves calls sets for itself, and what it keeps of the requests it has answered."""

import gc
import sqlite3
import sys

import pytest
from asgiref.sync import ThreadSensitiveContext, sync_to_async
from django.contrib.auth import get_user_model
from django.core.signals import request_finished
from django.db import connection
from django.urls import clear_url_caches, get_resolver

from config import web_process
from config.sqlite_cache import SqliteCache


@pytest.fixture
def as_before():
    interval_s, thresholds = sys.getswitchinterval(), gc.get_threshold()
    gc.unfreeze()
    yield
    sys.setswitchinterval(interval_s)
    gc.set_threshold(*thresholds)
    # As all tests find it (tests/conftest.py).
    gc.freeze()
    request_finished.disconnect(web_process.close_connections_of_request)


def test_a_thread_lets_a_frame_pass_within_half_a_millisecond(as_before):
    web_process.prepare()
    assert sys.getswitchinterval() == pytest.approx(0.0005)


def test_what_is_loaded_is_not_looked_through_for_garbage_again(as_before):
    web_process.prepare()
    assert gc.get_freeze_count() > 0


def test_what_the_first_request_would_load_is_loaded_before(as_before):
    clear_url_caches()
    web_process.prepare()
    assert get_resolver().__dict__["url_patterns"]


def test_garbage_is_looked_for_seldom(as_before):
    # Python's own, which another test's import of the application may have changed already.
    before = (700, 10, 10)
    gc.set_threshold(*before)
    web_process.prepare()
    assert all(now >= then for now, then in zip(gc.get_threshold(), before, strict=True))
    assert gc.get_threshold() > before


def test_without_glibc_there_is_nothing_to_set(as_before, monkeypatch):
    monkeypatch.setattr(web_process.ctypes, "CDLL", lambda _: object())
    web_process.prepare()


@pytest.fixture
def closing():
    request_finished.connect(web_process.close_connections_of_request)
    yield
    request_finished.disconnect(web_process.close_connections_of_request)


def answer():
    """Do what a view does, and what Django does after it; return whether the thread's connection is open still."""
    get_user_model().objects.count()
    assert connection.connection is not None
    request_finished.send(sender=None)
    return connection.connection is not None


@pytest.mark.django_db(transaction=True)
async def test_a_requests_own_thread_leaves_no_connection(closing):
    async with ThreadSensitiveContext():
        assert not await sync_to_async(answer)()


@pytest.mark.django_db
def test_a_thread_that_others_use_keeps_its_connection(closing):
    assert answer()


def test_a_cache_closes_its_connection_and_opens_another(tmp_path):
    cache = SqliteCache(tmp_path / "cache.sqlite3", {})
    cache.set("a", 1)
    before = cache._connection()
    cache.close()
    with pytest.raises(sqlite3.ProgrammingError):
        before.execute("SELECT 1")
    assert cache.get("a") == 1
    cache.close()
    cache.close()
