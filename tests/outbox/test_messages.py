"""The outbox: nothing that was put is lost, nothing is done by two at once, and everything is tried for a while."""

from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from outbox import messages as outbox
from outbox import tasks as outbox_tasks
from outbox.models import OutboxMessage
from tests.billing.test_ledger_concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)


class Work:
    """A handler that notes what it was given, and fails as often as it is told to."""

    def __init__(self):
        self.done, self.gave_up, self.failures = [], [], []
        self.meanwhile = lambda: None

    def __call__(self, payload):
        self.meanwhile()
        if self.failures:
            raise self.failures.pop(0)
        self.done.append(payload["number"])

    def given_up(self, payload):
        self.gave_up.append(payload["number"])


@pytest.fixture
def work(monkeypatch):
    monkeypatch.setattr(outbox, "_kinds", dict(outbox._kinds))
    work = Work()
    outbox.register("work", work, keep_trying=timedelta(hours=1), given_up=work.given_up)
    return work


@pytest.fixture
def no_broker(monkeypatch):
    """Celery cannot be reached: what is put stays where it is."""

    def refuse(message_id):
        raise ConnectionError

    monkeypatch.setattr(outbox_tasks.deliver_message, "delay", refuse)
    return monkeypatch


def put(number=1, key="w"):
    with transaction.atomic():
        outbox.put("work", key, {"number": number})


def message():
    return OutboxMessage.objects.get()


def when_due():
    """Let the time of the next attempt come."""
    OutboxMessage.objects.update(next_attempt_at=timezone.now())


def test_what_is_put_is_done_on_commit(work):
    put(7)
    assert work.done == [7]
    assert (message().state, message().attempts, message().error) == ("done", 1, "")


def test_what_is_put_in_a_transaction_that_is_rolled_back_never_was(work):
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        outbox.put("work", "w", {"number": 1})
        raise ZeroDivisionError
    assert work.done == []
    assert not OutboxMessage.objects.exists()


def test_nothing_is_done_before_the_commit(work):
    with transaction.atomic():
        outbox.put("work", "w", {"number": 1})
        assert work.done == []
    assert work.done == [1]


def test_a_key_is_done_once(work):
    put(1)
    put(2)
    assert work.done == [1]


def test_a_kind_that_nobody_registered_cannot_be_put(work):
    with pytest.raises(KeyError):
        outbox.put("nonsense", "w", {})


def test_a_broker_that_is_away_does_not_undo_the_cause(work, no_broker):
    put()
    assert (message().state, work.done) == ("pending", [])


def test_the_sweep_hands_over_what_the_broker_lost(work, no_broker):
    put()
    no_broker.undo()
    outbox.register("work", work, keep_trying=timedelta(hours=1))
    outbox_tasks.sweep_outbox()
    assert work.done == [1]


def test_the_sweep_leaves_what_is_not_due(work, no_broker):
    put()
    OutboxMessage.objects.update(next_attempt_at=timezone.now() + timedelta(minutes=1))
    assert outbox.hand_over_due(timezone.now()) == 0


def test_a_message_delivered_twice_is_done_once(work):
    put()
    assert outbox.deliver(message().pk) is False
    assert work.done == [1]


def test_a_message_delivered_twenty_times_at_once_is_done_once(work, no_broker):
    put()
    results = at_once(lambda _: outbox.deliver(message().pk))
    assert results.count(True) == 1
    assert work.done == [1]


def test_a_failure_is_kept_on_the_row_and_tried_again(work):
    work.failures = [OSError("mail for alice@example.com")]
    put()
    assert (message().state, message().error) == ("pending", "OSError")
    when_due()
    outbox_tasks.sweep_outbox()
    assert work.done == [1]
    assert (message().state, message().attempts, message().error) == ("done", 2, "")


def test_each_pause_is_longer_than_the_one_before_up_to_an_hour(work):
    pauses = [outbox._pause_after(attempts) for attempts in range(1, 40)]
    assert pauses[:3] == [timedelta(seconds=30), timedelta(seconds=60), timedelta(seconds=120)]
    assert pauses == sorted(pauses)
    assert pauses[-1] == timedelta(hours=1)


def test_a_handler_may_say_that_it_is_too_early(work):
    work.failures = [outbox.Postpone(90)]
    put()
    assert (message().state, message().error) == ("pending", "")
    assert timedelta(seconds=80) < message().next_attempt_at - timezone.now() <= timedelta(seconds=90)


def test_what_fails_for_too_long_is_given_up_and_said_so(work):
    work.failures = [OSError(), OSError()]
    put()
    OutboxMessage.objects.update(created_at=timezone.now() - timedelta(hours=2))
    when_due()
    outbox_tasks.sweep_outbox()
    assert (message().state, work.gave_up, work.done) == ("given_up", [1], [])


def test_waiting_too_long_is_given_up_too(work):
    """A handler that only ever says that it is too early must not be asked for ever."""
    work.failures = [outbox.Postpone(30), outbox.Postpone(30)]
    put()
    OutboxMessage.objects.update(created_at=timezone.now() - timedelta(hours=2))
    when_due()
    outbox_tasks.sweep_outbox()
    assert (message().state, work.gave_up) == ("given_up", [1])


def test_what_was_given_up_can_be_tried_again_by_hand(work):
    work.failures = [OSError()]
    put()
    OutboxMessage.objects.update(state="given_up", done_at=timezone.now())
    assert outbox.try_again(message().pk) is True
    assert work.done == [1]


def test_only_what_was_given_up_is_tried_again_by_hand(work):
    """A message that is waiting may be in a worker's hands."""
    work.failures = [OSError()]
    put()
    assert outbox.try_again(message().pk) is False
    assert work.done == []


def test_a_worker_that_was_killed_leaves_its_message_to_the_sweep(work):
    """Killed in the middle: nothing was written after the claim, and the claim runs out."""
    work.failures = [SystemExit()]
    with pytest.raises(SystemExit):
        put()
    assert message().state == "pending"
    assert outbox.hand_over_due(timezone.now()) == 0
    assert outbox.hand_over_due(timezone.now() + outbox.LEASE) == 1
    when_due()
    outbox_tasks.sweep_outbox()
    assert work.done == [1]


def test_a_worker_that_comes_back_after_its_claim_ran_out_writes_nothing(work):
    """Another has taken the message since: what becomes of it is the other's to say."""
    work.failures = [OSError()]
    work.meanwhile = lambda: OutboxMessage.objects.update(attempts=9)
    put()
    assert (message().state, message().attempts, message().error) == ("pending", 9, "")


def test_handlers_run_outside_any_transaction(work):
    """They talk to the world; on SQLite a transaction would stop every other writer meanwhile."""
    seen = []
    work.meanwhile = lambda: seen.append(connection.in_atomic_block)
    put()
    assert seen == [False]


def test_the_database_knows_that_a_done_message_has_a_time(work, no_broker):
    put()
    with pytest.raises(DatabaseError), transaction.atomic():
        OutboxMessage.objects.update(state="done")
