"""Threads for ledger work: what one piece of work leaves behind is not the next one's."""

import asyncio

import pytest
from django.db import connections

from accounts.models import Organisation
from voice.metering.executor import in_ledger_thread

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def kept_for_an_hour(monkeypatch):
    monkeypatch.setitem(connections.settings["default"], "CONN_MAX_AGE", 3600)


def look():
    """Use this thread's connection, and return it."""
    assert not Organisation.objects.exists()
    return connections["default"]


def leave_unfinished():
    connection = connections["default"]
    connection.set_autocommit(False)
    Organisation.objects.create(name="Half Written Dental")
    return connection


def fail(used):
    used.append(leave_unfinished())
    raise ZeroDivisionError


def in_a_loop(fn, *args):
    return asyncio.run(in_ledger_thread(fn, *args))


def test_a_connection_past_its_age_does_not_outlive_the_work():
    assert in_a_loop(look).connection is None


def test_what_is_left_unfinished_is_undone_before_the_next_work(kept_for_an_hour):
    assert in_a_loop(leave_unfinished).connection is None
    assert not Organisation.objects.exists()


def test_so_it_is_when_the_work_fails(kept_for_an_hour):
    used = []
    with pytest.raises(ZeroDivisionError):
        in_a_loop(fail, used)
    assert used[0].connection is None
    assert not Organisation.objects.exists()
