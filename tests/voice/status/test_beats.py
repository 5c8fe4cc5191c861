"""The worker's beat: what it finds of each part is in the day's figures, also when it could not be written at once."""

from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection
from django.utils import timezone

from config.celery import app
from outbox.models import OutboxMessage
from voice.models import CheckDay, ComponentBeat
from voice.status import beats, parts
from voice.status.beats import forget_old_checks, front_door_answers, record_beat
from voice.status.parts import look_at_work, worker_now
from voice.status.states import State
from voice.tasks import beat

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
TODAY = NOON.date()
HALF_A_MINUTE = timedelta(seconds=30)


def at(moment, *, door=True):
    record_beat(moment, knock=lambda: door)


def figures(key, day=TODAY):
    row = CheckDay.objects.filter(subject=f"component:{key}", day=day).first()
    return (row.checks, row.failed) if row else None


@contextmanager
def no_database():
    def refuse(*_):
        raise OperationalError("gone")

    with connection.execute_wrapper(refuse):
        yield


def test_a_beat_counts_one_look_at_each_part():
    at(NOON)
    at(NOON + HALF_A_MINUTE)
    for key in ("web", "database", "cache", "channels", "worker", "queue", "payments"):
        assert figures(key) == (2, 0)
    assert worker_now(NOON + HALF_A_MINUTE).state == State.OPERATIONAL


def test_of_two_schedules_at_once_one_counts():
    at(NOON)
    at(NOON + timedelta(seconds=3))
    assert figures("worker") == (1, 0)


def test_a_worker_that_never_came_or_was_silent_for_two_minutes_is_down():
    assert worker_now(NOON).state == State.OUTAGE
    at(NOON)
    assert worker_now(NOON + timedelta(minutes=2)).state == State.OPERATIONAL
    silent = worker_now(NOON + timedelta(minutes=2, seconds=1))
    assert (silent.state, silent.since) == (State.OUTAGE, NOON)


@pytest.mark.parametrize("last_beat", [None, NOON - timedelta(days=1)], ids=["never", "yesterday"])
def test_a_worker_that_is_started_beside_the_web_process_has_two_minutes_before_it_is_missed(monkeypatch, last_beat):
    monkeypatch.setattr(parts, "_began_at", NOON)
    if last_beat:
        at(last_beat)
    assert worker_now(NOON + timedelta(minutes=2)).state == State.STARTING
    assert worker_now(NOON + timedelta(minutes=2, seconds=1)).state == State.OUTAGE
    at(NOON + HALF_A_MINUTE)
    assert worker_now(NOON + HALF_A_MINUTE).state == State.OPERATIONAL


def test_beats_that_were_missed_count_against_the_worker_on_their_days():
    at(NOON - timedelta(days=1))
    at(NOON)
    assert figures("worker", NOON.date() - timedelta(days=1)) == (1 + 1440, 1440)
    assert figures("worker") == (1440 + 1, 1440)
    assert figures("database") == (1, 0)


def test_a_beat_that_was_merely_late_counts_nothing_against_it():
    at(NOON)
    at(NOON + timedelta(seconds=110))
    assert figures("worker") == (2, 0)


def test_what_could_not_be_written_is_written_by_the_next_beat():
    with no_database():
        at(NOON)
        at(NOON + HALF_A_MINUTE)
    at(NOON + 2 * HALF_A_MINUTE)
    assert figures("database") == (3, 2)
    at(NOON + 3 * HALF_A_MINUTE)
    assert figures("database") == (4, 2)


def test_what_is_kept_for_later_is_bounded(monkeypatch):
    monkeypatch.setattr(beats, "_MOST_UNWRITTEN", 2)
    with no_database():
        for days in range(5):
            at(NOON + timedelta(days=days))
    assert len(beats._unwritten) == 2


def test_a_cache_that_does_not_answer_is_counted(monkeypatch):
    monkeypatch.setattr("voice.status.parts.cache.set", lambda *_: (_ for _ in ()).throw(ConnectionError))
    at(NOON)
    assert figures("cache") == (1, 1)


def test_a_door_that_no_worker_ever_saw_open_is_not_counted():
    at(NOON, door=False)
    assert figures("web") is None
    at(NOON + HALF_A_MINUTE)
    at(NOON + 2 * HALF_A_MINUTE, door=False)
    assert figures("web") == (2, 1)
    assert ComponentBeat.objects.get(name="web").is_well is False


def test_the_door_is_tried_where_customers_come_in(settings, live_server):
    settings.PUBLIC_URL, settings.ALLOWED_HOSTS = live_server.url, ["*"]
    assert front_door_answers()
    settings.PUBLIC_URL = "http://127.0.0.1:1"
    assert not front_door_answers()


@pytest.mark.parametrize(("late_s", "state"), [(299, State.OPERATIONAL), (301, State.DEGRADED), (3601, State.OUTAGE)])
def test_the_oldest_message_that_is_due_tells_how_late_deliveries_are(late_s, state):
    OutboxMessage.objects.create(kind="mail", key="one", next_attempt_at=NOON - timedelta(seconds=late_s))
    OutboxMessage.objects.create(kind="mail", key="two", next_attempt_at=NOON + timedelta(days=1))
    assert look_at_work(NOON)[0].state == state


def test_the_task_is_on_the_schedule_and_writes_a_beat(settings):
    settings.PUBLIC_URL = "http://127.0.0.1:1"
    assert app.conf.beat_schedule["beat"]["task"] == beat.name
    beat.delay()
    assert worker_now(timezone.now()).state == State.OPERATIONAL


def test_days_older_than_a_year_are_forgotten():
    for age in (0, 364, 366):
        CheckDay.objects.create(subject="component:web", day=NOON.date() - timedelta(days=age), checks=1)
    forget_old_checks(NOON)
    assert CheckDay.objects.count() == 2
