"""How far behind the worker is, as queue_status tells it."""

import socket
from datetime import timedelta
from io import StringIO

import pytest
from celery import Celery
from django.core.management import CommandError, call_command
from django.utils import timezone

from config.celery import app
from config.filesystem_broker import filesystem_broker_options
from outbox import status
from outbox.management.commands import queue_status
from outbox.models import OutboxMessage, OutboxState

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def broker(monkeypatch):
    """A broker with two tasks in it."""
    monkeypatch.setattr(queue_status, "tasks_in_broker", lambda: 2)


def put(key, *, due_s=0, **fields):
    due = timezone.now() - timedelta(seconds=due_s)
    return OutboxMessage.objects.create(kind=fields.pop("kind", "mail"), key=key, next_attempt_at=due, **fields)


def queue(**options):
    out = StringIO()
    call_command("queue_status", stdout=out, **options)
    return out.getvalue()


def test_nothing_to_do_is_said_so():
    assert queue() == "Nothing is pending, nothing was given up.\nTasks in the broker: 2.\n"


def test_each_kind_has_a_line_and_the_latest_is_first():
    put("a", due_s=5, kind="mail")
    put("b", due_s=60, kind="note", error="Timeout")
    put("c", due_s=-600, kind="note")
    lines = queue().splitlines()
    assert lines[1].split() == ["note", "2", "60", "s", "0", "Timeout"]
    assert lines[2].split() == ["mail", "1", "5", "s", "0"]


def test_what_was_given_up_is_shown_and_is_not_late():
    put("a", due_s=9000, state=OutboxState.GIVEN_UP, done_at=timezone.now())
    assert queue().splitlines()[1].split() == ["mail", "0", "0", "s", "1"]


def test_it_fails_when_something_is_late():
    put("a", due_s=301)
    with pytest.raises(CommandError, match="behind"):
        queue()
    queue(late_after_s=400)


def test_it_fails_when_the_broker_is_away(monkeypatch):
    monkeypatch.setattr(queue_status, "tasks_in_broker", status.tasks_in_broker)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    desk = Celery("desk", broker=f"redis://127.0.0.1:{port}/0", set_as_current=False)
    monkeypatch.setattr(status, "current_app", desk)
    with pytest.raises(CommandError, match="broker cannot be reached"):
        queue()


def test_tasks_wait_in_a_broker_of_files(tmp_path):
    desk = Celery("desk", broker="filesystem://", set_as_current=False)
    desk.conf.broker_transport_options = filesystem_broker_options(tmp_path)
    with desk.connection_for_write() as connection:
        assert status._waiting(connection, "celery") == 0
        for _ in range(3):
            desk.send_task("nobody.knows", connection=connection)
        assert status._waiting(connection, "celery") == 3
    assert app.conf.task_default_queue == "celery"
