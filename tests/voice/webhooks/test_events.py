"""What happened is told once to each endpoint that asked to be told."""

import json

import pytest
from django.db import transaction

from accounts.models import Organisation
from outbox.models import OutboxMessage
from tests import factories
from voice.models import DisabledBecause, EventType, WebhookDelivery, WebhookEndpoint
from voice.webhooks.endpoints import add_endpoint, switch_off
from voice.webhooks.events import emit


def deliveries():
    return list(WebhookDelivery.objects.values_list("endpoint__url", "event_type").order_by("endpoint__url"))


@pytest.fixture
def two_endpoints(organisation):
    add_endpoint(organisation, url="https://a.example/", event_types=[EventType.CREDITS_LOW, EventType.NOTE_READY])
    add_endpoint(organisation, url="https://b.example/", event_types=[EventType.CREDITS_LOW])


def test_each_endpoint_that_subscribed_is_told(organisation, two_endpoints):
    emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
    assert deliveries() == [("https://a.example/", "credits.low"), ("https://b.example/", "credits.low")]


def test_an_endpoint_that_did_not_subscribe_is_not_told(organisation, two_endpoints):
    emit(organisation.pk, EventType.NOTE_READY, {}, key="k")
    assert deliveries() == [("https://a.example/", "note.ready")]


def test_a_secret_that_cannot_be_read_any_more_does_not_keep_things_from_happening(
    organisation, two_endpoints, settings
):
    settings.ENCRYPTION_KEYS = ["another key that is long enough to be one"]
    emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
    assert len(deliveries()) == 2


def test_the_same_event_is_told_once(organisation, two_endpoints):
    emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
    emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
    assert len(deliveries()) == OutboxMessage.objects.count() == 2


def test_another_organisation_is_not_told(two_endpoints):
    emit(factories.make_organisation("Other").pk, EventType.CREDITS_LOW, {}, key="k")
    assert deliveries() == []


def test_an_endpoint_that_is_off_is_not_told(organisation, two_endpoints):
    switch_off(WebhookEndpoint.objects.get(url="https://a.example/"), DisabledBecause.PAUSED)
    emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
    assert deliveries() == [("https://b.example/", "credits.low")]


def test_a_calls_own_address_is_told_whatever_is_subscribed(organisation):
    emit(organisation.pk, EventType.SESSION_ENDED, {}, key="k", extra_url="https://call.example/")
    emit(organisation.pk, EventType.SESSION_ENDED, {}, key="l", extra_url="https://call2.example/")
    assert sorted(one.target for one in WebhookDelivery.objects.all()) == [
        "https://call.example/",
        "https://call2.example/",
    ]
    assert WebhookEndpoint.objects.filter(for_sessions=True).count() == 1


@pytest.mark.django_db(transaction=True)
def test_what_is_rolled_back_is_not_told(organisation, two_endpoints):
    with pytest.raises(RuntimeError), transaction.atomic():
        emit(organisation.pk, EventType.CREDITS_LOW, {}, key="k")
        raise RuntimeError
    assert deliveries() == []


@pytest.mark.parametrize("data", [{"text": "x" * 80_001}, {"number": float("nan")}])
def test_what_is_too_long_or_no_json_is_refused(organisation, data):
    with pytest.raises(ValueError):
        emit(organisation.pk, EventType.CREDITS_LOW, data, key="k")


def test_the_message_in_the_outbox_holds_an_id_only(happen):
    delivery = happen(balance_micro=7)
    assert OutboxMessage.objects.get().payload == {"delivery_id": str(delivery.pk)}


def test_the_secret_is_encrypted_in_the_database(endpoint, django_assert_num_queries):
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute("SELECT secret FROM voice_webhookendpoint")
        (stored,) = cursor.fetchone()
    assert endpoint.secret.startswith("whsec_") and "whsec" not in stored


def test_the_body_says_type_time_and_data(happen):
    from voice.webhooks.events import body_of

    delivery = happen(EventType.CREDITS_LOW, balance_micro=7)
    assert json.loads(body_of(delivery)) == {
        "type": "credits.low",
        "timestamp": delivery.created_at.isoformat(),
        "data": {"balance_micro": 7},
    }


def test_deleting_an_organisation_takes_its_endpoints_along(organisation, happen):
    happen()
    WebhookEndpoint.objects.filter(organisation=organisation).delete()
    assert deliveries() == [] and Organisation.objects.filter(pk=organisation.pk).exists()
