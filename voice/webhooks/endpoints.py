"""An organisation's webhook endpoints: adding, changing, pausing, and the secrets that sign what they are sent."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.utils import timezone

from accounts.models import Organisation
from voice.models import DisabledBecause, WebhookEndpoint
from voice.outgoing.signing import new_secret

log = structlog.get_logger(__name__)

MOST_ENDPOINTS = 20
# Both secrets sign for so long after a change.
BOTH_SECRETS_SIGN = timedelta(days=1)


class TooManyEndpoints(Exception):
    """The organisation has MOST_ENDPOINTS endpoints already."""


def add_endpoint(
    organisation: Organisation, *, url: str, event_types: Sequence[str], description: str = ""
) -> tuple[WebhookEndpoint, str]:
    """Add an endpoint whose address was checked; return it and its secret, which is shown this once."""
    secret = new_secret()
    with transaction.atomic():
        Organisation.objects.select_for_update().get(pk=organisation.pk)
        if WebhookEndpoint.objects.filter(organisation=organisation, for_sessions=False).count() >= MOST_ENDPOINTS:
            raise TooManyEndpoints
        endpoint = WebhookEndpoint.objects.create(
            organisation=organisation, url=url, description=description, event_types=list(event_types), secret=secret
        )
    return endpoint, secret


def change_endpoint(endpoint: WebhookEndpoint, *, url: str, event_types: Sequence[str], description: str) -> None:
    """Save what an admin typed. Another address starts with a clean record."""
    if url != endpoint.url:
        _forget_failures(endpoint)
    endpoint.url, endpoint.event_types, endpoint.description = url, list(event_types), description
    endpoint.save(update_fields=["url", "event_types", "description", "failing_since", "failures", "not_before"])


def new_secret_of(endpoint: WebhookEndpoint) -> str:
    """Give the endpoint another secret and return it, shown this once; the old one signs as well for a day."""
    secret, now = new_secret(), timezone.now()
    with transaction.atomic():
        locked = WebhookEndpoint.objects.select_for_update().get(pk=endpoint.pk)
        locked.old_secret, locked.old_secret_until = locked.secret, now + BOTH_SECRETS_SIGN
        locked.secret = secret
        locked.save(update_fields=["secret", "old_secret", "old_secret_until"])
    return secret


def session_endpoint(organisation_id: UUID) -> WebhookEndpoint:
    """Return what signs for the addresses that calls of the API bring with them, made when it is first wanted."""
    endpoint, _ = WebhookEndpoint.objects.get_or_create(
        organisation_id=organisation_id, for_sessions=True, defaults={"secret": new_secret()}
    )
    return endpoint


def switch_off(endpoint: WebhookEndpoint, because: DisabledBecause) -> bool:
    """Send it nothing more; what is on its way is cancelled when its turn comes. True when it was on until now."""
    was_on = WebhookEndpoint.objects.filter(pk=endpoint.pk, is_active=True).update(
        is_active=False, disabled_at=timezone.now(), disabled_because=because
    )
    if was_on:
        log.info("webhook_endpoint_switched_off", endpoint_id=str(endpoint.pk), because=because)
    return bool(was_on)


def switch_on(endpoint: WebhookEndpoint) -> None:
    _forget_failures(endpoint)
    endpoint.is_active, endpoint.disabled_at, endpoint.disabled_because = True, None, ""
    endpoint.save(
        update_fields=["is_active", "disabled_at", "disabled_because", "failing_since", "failures", "not_before"]
    )


def _forget_failures(endpoint: WebhookEndpoint) -> None:
    endpoint.failing_since, endpoint.failures, endpoint.not_before = None, 0, None
