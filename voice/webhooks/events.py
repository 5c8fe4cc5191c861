"""Say that something happened: one delivery for each endpoint that wants to know, in the transaction of its cause."""

import json
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db import transaction

from outbox import messages as outbox
from voice.models import WebhookDelivery, WebhookEndpoint
from voice.webhooks.endpoints import session_endpoint

KIND = "webhook"
TEST_EVENT = "webhook.test"
# Receivers are told what to ask for, not sent whole records. Twice what a session's own metadata may have.
MOST_DATA_BYTES = 80_000


def emit(organisation_id: UUID, type: str, data: Mapping[str, Any], *, key: str, extra_url: str = "") -> None:
    """Write one delivery for each active endpoint subscribed to `type`, and one to `extra_url`, a session's own.

    `key` makes it happen once: a repeat changes nothing. `data` holds ids and plain values, never a person's words: it
    is kept with the delivery. Raises ValueError when it is no JSON, or too much.
    """
    _check(data)
    with transaction.atomic():
        active = WebhookEndpoint.objects.filter(organisation_id=organisation_id, is_active=True, for_sessions=False)
        # Without the secrets: one that cannot be read any more must not keep a call from starting.
        for endpoint in active.defer("secret", "old_secret"):
            if type in endpoint.event_types:
                put_delivery(endpoint, type, data, key=key)
        if extra_url:
            put_delivery(session_endpoint(organisation_id), type, data, key=key, url=extra_url)


def put_delivery(
    endpoint: WebhookEndpoint, type: str, data: Mapping[str, Any], *, key: str, url: str = ""
) -> WebhookDelivery:
    """Write one delivery and the work of making it, in the caller's transaction; once a key."""
    delivery, is_new = WebhookDelivery.objects.get_or_create(
        endpoint=endpoint,
        key=key[:200],
        defaults={
            "organisation_id": endpoint.organisation_id,
            "event_type": type,
            "data": dict(data),
            "url": url,
        },
    )
    if is_new:
        put_work(delivery)
    return delivery


def put_work(delivery: WebhookDelivery) -> None:
    """Have this round of the delivery made; in the caller's transaction."""
    outbox.put(KIND, f"webhook:{delivery.pk}:{delivery.rounds}", {"delivery_id": str(delivery.pk)})


def body_of(delivery: WebhookDelivery) -> bytes:
    """Return the bytes that are sent and signed: the same at every attempt."""
    body = {"type": delivery.event_type, "timestamp": delivery.created_at.isoformat(), "data": delivery.data}
    # Sorted, because a database need not keep the order of keys.
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _check(data: Mapping[str, Any]) -> None:
    if len(json.dumps(dict(data), allow_nan=False, ensure_ascii=False).encode("utf-8", "replace")) > MOST_DATA_BYTES:
        raise ValueError("An event's data is too long.")
