"""An endpoint that listens on this machine, and a worker to be called by hand."""

import pytest
from django.utils import timezone

from outbox import messages as outbox
from outbox.models import OutboxMessage, OutboxState
from tests.fakes.webhook_receiver import WebhookReceiver
from voice.models import EventType, WebhookDelivery
from voice.webhooks.endpoints import add_endpoint
from voice.webhooks.events import emit


@pytest.fixture
def receiver():
    with WebhookReceiver() as receiver:
        yield receiver


@pytest.fixture
def endpoint(organisation, receiver):
    """Subscribed to everything."""
    return add_endpoint(organisation, url=receiver.url, event_types=EventType.values)[0]


@pytest.fixture
def happen(organisation, endpoint):
    """Let something happen, and return the delivery of it to the endpoint."""

    def emitted(type=EventType.CREDITS_LOW, *, key="one", **data):
        emit(organisation.pk, type, data, key=key)
        return WebhookDelivery.objects.get(endpoint=endpoint, key=key)

    return emitted


@pytest.fixture
def work():
    """Do all that is waiting as if its time had come; return whether something was left to be done later."""

    def do():
        waiting = OutboxMessage.objects.filter(state=OutboxState.PENDING).order_by("pk")
        waiting.update(next_attempt_at=timezone.now())
        for message_id in list(waiting.values_list("pk", flat=True)):
            outbox.deliver(message_id)
        return waiting.exists()

    return do
