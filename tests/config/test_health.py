"""Whether a process lives, and whether calls may begin at it."""

import threading

import pytest
from django.db import OperationalError

from config import health, stopping
from voice.status import parts


@pytest.fixture(autouse=True)
def looker(monkeypatch):
    monkeypatch.setattr(stopping, "_deadline", None)
    monkeypatch.setattr(health, "_looker", health.Looker())


def asked(client, address, **headers):
    answer = client.get(address, headers=headers)
    return answer.status_code, answer.json()


def refuse():
    raise OperationalError("gone")


@pytest.mark.django_db(transaction=True)
def test_calls_may_begin_where_the_database_and_the_cache_answer(client):
    assert asked(client, "/readyz") == (200, {"status": "ok", "database": "ok", "cache": "ok", "channels": "ok"})


@pytest.mark.django_db(transaction=True)
def test_calls_do_not_begin_without_redis_where_it_is_set_and_the_process_lives_all_the_same(client, settings):
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    found = {"database": "ok", "cache": "unreachable", "channels": "unreachable"}
    assert asked(client, "/readyz") == (503, {"status": "unavailable", **found})
    assert asked(client, "/healthz") == (200, {"status": "ok"})


def test_a_process_is_not_to_be_restarted_because_the_database_is_gone(client, monkeypatch):
    monkeypatch.setattr(parts, "_ask_database", refuse)
    status, body = asked(client, "/readyz")
    assert (status, body["database"]) == (503, "unreachable")
    assert asked(client, "/healthz") == (200, {"status": "ok"})


def test_a_process_that_is_being_stopped_says_so_at_both(client):
    stopping.begin()
    assert asked(client, "/healthz") == asked(client, "/readyz") == (503, {"status": "stopping"})


@pytest.mark.parametrize("address", ["/healthz", "/readyz"])
def test_a_probe_needs_neither_the_right_name_nor_https(client, settings, monkeypatch, address):
    settings.SECURE_SSL_REDIRECT = True
    monkeypatch.setattr(health, "_looker", health.Looker(lambda: []))
    answer = client.get(address, headers={"host": "10.0.0.7:8000"})
    assert (answer.status_code, answer["Cache-Control"]) == (200, "no-store")


def test_what_does_not_answer_in_time_is_away_and_is_asked_only_once(client, monkeypatch):
    may_end, looks = threading.Event(), []

    def look():
        looks.append(1)
        may_end.wait(30)
        return []

    monkeypatch.setattr(health, "_WITHIN_S", 0.05)
    monkeypatch.setattr(health, "_looker", health.Looker(look))
    assert asked(client, "/readyz") == (503, {"status": "unavailable", "reason": "no answer within 0.05 s"})
    assert asked(client, "/readyz")[0] == 503
    may_end.set()
    monkeypatch.setattr(health, "_WITHIN_S", 30)
    assert asked(client, "/readyz") == (200, {"status": "ok"})
    assert looks == [1]


def test_many_who_ask_within_a_second_cost_one_look(monkeypatch):
    clock, looks = [100.0], []
    monkeypatch.setattr(health.time, "monotonic", lambda: clock[0])
    looker = health.Looker(lambda: looks.append(1) or [])
    for second in (100.0, 100.9, 101.1):
        clock[0] = second
        looker.get()
    assert len(looks) == 2


def test_a_look_that_fails_is_not_the_last_one():
    answers = [RuntimeError("broken"), []]

    def look():
        answer = answers.pop(0)
        if answer:
            raise answer
        return answer

    looker = health.Looker(look)
    with pytest.raises(RuntimeError):
        looker.get()
    looker._began_s = 0.0
    assert looker.get() == []
