"""Deliveries to a receiver that is down, slow, refusing and rude: each arrives, or is given up where people see it."""

from datetime import timedelta

import pytest
from django.core import mail
from django.utils import timezone

from accounts.models import Role
from outbox.models import OutboxMessage, OutboxState
from tests import factories
from tests.fakes.webhook_receiver import Act, Answer, WebhookReceiver
from voice.models import DisabledBecause, EventType, WebhookDelivery, WebhookEndpoint, WebhookState
from voice.outgoing.signing import signed_headers
from voice.webhooks import delivery as deliveries
from voice.webhooks import schedule
from voice.webhooks.endpoints import add_endpoint, change_endpoint, new_secret_of, switch_off, switch_on
from voice.webhooks.events import emit


@pytest.fixture
def alone(organisation):
    """Let the next attempt find the endpoint willing, however it asked to be left alone."""

    def forget():
        WebhookEndpoint.objects.update(not_before=None)

    return forget


def of(delivery):
    return WebhookDelivery.objects.get(pk=delivery.pk)


def is_signed_by(secret, received):
    expected = signed_headers(
        received.headers["webhook-id"], int(received.headers["webhook-timestamp"]), received.body, [secret]
    )
    return expected["webhook-signature"] in received.headers["webhook-signature"]


def test_an_event_arrives_signed(happen, work, receiver, endpoint):
    delivery = happen(balance_micro=7)
    assert not work()
    (received,) = receiver.accepted
    assert received.json["data"] == {"balance_micro": 7}
    assert received.headers["webhook-id"] == delivery.message_id
    assert received.headers["content-type"] == "application/json"
    assert is_signed_by(endpoint.secret, received)
    assert (of(delivery).state, of(delivery).next_attempt_at) == (WebhookState.DELIVERED, None)


def test_an_event_is_sent_on_commit(happen, receiver, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        delivery = happen()
    assert of(delivery).state == WebhookState.DELIVERED


RUDE = [Answer(429, {"Retry-After": "5"}), Answer(500), Act.DROP, Act.SILENCE, Act.GARBAGE, Answer(302), Answer(404)]


def test_it_arrives_once_through_a_receiver_that_is_rude_in_turn(organisation, work, alone, monkeypatch):
    # Short, for the one that keeps silent; long enough on a busy machine for those that answer.
    monkeypatch.setattr(deliveries, "TIMEOUT_S", 2.0)
    with WebhookReceiver(RUDE) as receiver:
        add_endpoint(organisation, url=receiver.url, event_types=[EventType.CREDITS_LOW])
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
        receiver.go_down()
        assert work()
        receiver.come_up()
        for _ in RUDE:
            alone()
            assert work()
        alone()
        assert not work()
    assert len(receiver.accepted) == 1
    assert len({one.headers["webhook-id"] for one in receiver.received}) == 1
    assert len({one.body for one in receiver.received}) == 1
    log = WebhookDelivery.objects.get().attempts.values_list("status", "error")
    assert list(log) == [
        (None, "unreachable"),
        (429, ""),
        (500, ""),
        (None, "unreachable"),
        (None, "timed_out"),
        (None, "unreachable"),
        (302, ""),
        (404, ""),
        (200, ""),
    ]


def test_a_long_answer_is_neither_read_nor_kept(organisation, work):
    with WebhookReceiver([Act.HUGE]) as receiver:
        add_endpoint(organisation, url=receiver.url, event_types=[EventType.CREDITS_LOW])
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
        assert not work()
    assert WebhookDelivery.objects.get().state == WebhookState.DELIVERED


@pytest.fixture
def failing(organisation, work):
    """An endpoint whose every answer is a 500, and one event on its way to it."""
    with WebhookReceiver(respond=lambda _: Answer(500)) as receiver:
        endpoint, _ = add_endpoint(organisation, url=receiver.url, event_types=[EventType.CREDITS_LOW])
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
        yield endpoint, receiver


def test_it_is_given_up_after_the_last_attempt(failing, work):
    while work():
        pass
    _, receiver = failing
    assert len(receiver.received) == len(schedule.PAUSES_S) + 1
    assert WebhookDelivery.objects.get().state == WebhookState.FAILED
    assert OutboxMessage.objects.get().state == OutboxState.DONE


def test_the_log_says_when_the_next_attempt_is(failing, work):
    work()
    due = WebhookDelivery.objects.get().next_attempt_at
    pause_s = (due - timezone.now()).total_seconds()
    assert 20 < pause_s <= schedule.PAUSES_S[0] * 1.1 + 1
    assert abs((OutboxMessage.objects.get().next_attempt_at - due).total_seconds()) < 5


def test_a_receiver_that_asks_for_patience_gets_it(organisation, work):
    with WebhookReceiver([Answer(503, {"Retry-After": "900"})]) as receiver:
        add_endpoint(organisation, url=receiver.url, event_types=[EventType.CREDITS_LOW])
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="l")
        work()
    assert len(receiver.received) == 1
    pauses_s = [(one.next_attempt_at - timezone.now()).total_seconds() for one in WebhookDelivery.objects.all()]
    assert all(890 < pause_s <= 900 for pause_s in pauses_s)


def test_a_server_that_is_down_costs_one_attempt_not_one_an_event(organisation, work):
    with WebhookReceiver() as receiver:
        receiver.go_down()
        add_endpoint(organisation, url=receiver.url, event_types=[EventType.CREDITS_LOW])
        for key in "klmn":
            emit(organisation.pk, EventType.CREDITS_LOW, {}, key=key)
        work()
    assert sum(one.attempts.count() for one in WebhookDelivery.objects.all()) == 1


def test_a_round_that_could_not_be_tried_enough_ends_all_the_same(failing, work):
    endpoint, receiver = failing
    WebhookEndpoint.objects.update(not_before=timezone.now() + timedelta(hours=1))
    WebhookDelivery.objects.update(round_began_at=timezone.now() - schedule.LONGEST_ROUND - timedelta(minutes=1))
    assert not work()
    assert receiver.received == [] and WebhookDelivery.objects.get().state == WebhookState.FAILED


def test_a_delivery_that_is_gone_is_no_work(happen, work):
    happen().delete()
    assert not work()


# A killed worker.


def test_a_worker_that_dies_after_sending_sends_the_same_again(happen, work, receiver, monkeypatch):
    """At least once: the receiver sees the same id twice, and can tell."""
    happen()

    def killed(*_):
        raise SystemExit

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr(deliveries, "_write_down", killed)
        work()
    assert not work()
    first, second = receiver.received
    assert (first.headers["webhook-id"], first.body) == (second.headers["webhook-id"], second.body)


# Giving up an endpoint.


@pytest.fixture
def owner(organisation):
    return factories.add_member(organisation, factories.make_user("olivia@example.com"), Role.OWNER).user


def nearly_given_up(endpoint):
    WebhookEndpoint.objects.filter(pk=endpoint.pk).update(
        failing_since=timezone.now() - schedule.FAILING_FOR, failures=schedule.FAILURES_LEAST - 1
    )


def test_an_endpoint_that_fails_for_days_is_switched_off(failing, work):
    endpoint, _ = failing
    nearly_given_up(endpoint)
    work()
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_because) == (False, DisabledBecause.FAILING)


def test_owners_and_admins_are_told_that_it_was(failing, work, owner, organisation):
    factories.add_member(organisation, factories.make_user("member@example.com"), Role.MEMBER)
    nearly_given_up(failing[0])
    work()
    work()
    assert [message.to for message in mail.outbox] == [["olivia@example.com"]]
    assert failing[0].url in mail.outbox[0].body and f"/console/webhooks/{failing[0].pk}/" in mail.outbox[0].body


def test_what_was_on_its_way_is_cancelled(failing, work):
    nearly_given_up(failing[0])
    work()
    assert not work()
    assert WebhookDelivery.objects.get().state == WebhookState.CANCELLED


def test_a_success_ends_the_count_of_failures(happen, work, endpoint):
    nearly_given_up(endpoint)
    happen()
    work()
    endpoint.refresh_from_db()
    assert (endpoint.failing_since, endpoint.failures) == (None, 0)


def test_gone_is_taken_at_its_word(organisation, work, owner):
    with WebhookReceiver([Answer(410)]) as receiver:
        endpoint, _ = add_endpoint(organisation, url=receiver.url, event_types=[EventType.CREDITS_LOW])
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
        work()
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.disabled_because) == (False, DisabledBecause.GONE)
    assert WebhookDelivery.objects.get().state == WebhookState.FAILED


def test_a_call_s_own_address_switches_nothing_off(organisation, work):
    with WebhookReceiver([Answer(410)]) as receiver:
        emit(organisation.pk, EventType.SESSION_ENDED, {}, key="k", extra_url=receiver.url)
        work()
    assert WebhookEndpoint.objects.get(for_sessions=True).is_active


def test_switched_on_again_it_starts_with_a_clean_record(endpoint):
    nearly_given_up(endpoint)
    switch_off(endpoint, DisabledBecause.FAILING)
    endpoint.refresh_from_db()
    switch_on(endpoint)
    endpoint.refresh_from_db()
    assert (endpoint.is_active, endpoint.failures, endpoint.failing_since) == (True, 0, None)


def test_another_address_starts_with_a_clean_record(endpoint):
    nearly_given_up(endpoint)
    endpoint.refresh_from_db()
    change_endpoint(endpoint, url="https://new.example/", event_types=[], description="")
    endpoint.refresh_from_db()
    assert (endpoint.url, endpoint.failures) == ("https://new.example/", 0)


# Replay, test, secrets.


def test_a_replay_sends_the_same_event_again(failing, work, organisation):
    while work():
        pass
    delivery = WebhookDelivery.objects.get()
    with WebhookReceiver() as better:
        WebhookEndpoint.objects.update(url=better.url)
        assert deliveries.replay(delivery.pk) is True
        assert not work()
    assert of(delivery).state == WebhookState.DELIVERED
    assert better.received[0].headers["webhook-id"] == delivery.message_id


def test_a_replay_has_a_whole_schedule_before_it(failing, work):
    while work():
        pass
    deliveries.replay(WebhookDelivery.objects.get().pk)
    assert work()
    assert WebhookDelivery.objects.get().state == WebhookState.PENDING


def test_what_is_on_its_way_is_not_replayed(happen):
    assert deliveries.replay(happen().pk) is False


def test_a_test_event_reaches_an_endpoint_that_is_off(endpoint, work, receiver):
    switch_off(endpoint, DisabledBecause.PAUSED)
    endpoint.refresh_from_db()
    deliveries.send_test(endpoint)
    work()
    assert receiver.accepted[0].json["type"] == "webhook.test"


def test_a_test_event_is_tried_once_and_is_no_failure_of_the_endpoint(failing, work):
    endpoint, receiver = failing
    WebhookDelivery.objects.all().delete()
    deliveries.send_test(endpoint)
    work()
    endpoint.refresh_from_db()
    assert (len(receiver.received), endpoint.failures) == (1, 0)
    assert WebhookDelivery.objects.get().state == WebhookState.FAILED


def test_both_secrets_sign_for_a_day_after_a_change(happen, work, receiver, endpoint):
    old = endpoint.secret
    new = new_secret_of(endpoint)
    happen()
    work()
    assert is_signed_by(old, receiver.received[0]) and is_signed_by(new, receiver.received[0])


def test_after_that_day_the_old_one_signs_no_more(happen, work, receiver, endpoint):
    old = endpoint.secret
    new = new_secret_of(endpoint)
    WebhookEndpoint.objects.update(old_secret_until=timezone.now() - timedelta(seconds=1))
    happen()
    work()
    assert not is_signed_by(old, receiver.received[0]) and is_signed_by(new, receiver.received[0])


def test_the_log_is_kept_for_a_month(happen, work):
    old, new = happen(key="old"), happen(key="new")
    work()
    WebhookDelivery.objects.filter(pk=old.pk).update(created_at=timezone.now() - deliveries.KEPT - timedelta(hours=1))
    deliveries.forget_old_deliveries(timezone.now())
    assert list(WebhookDelivery.objects.values_list("pk", flat=True)) == [new.pk]
