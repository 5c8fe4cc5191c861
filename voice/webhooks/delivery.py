"""Make one delivery: sign it, send it, write down what came of it, and decide whether to try again."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from outbox import messages as outbox
from voice import outgoing
from voice.models import DisabledBecause, WebhookAttempt, WebhookDelivery, WebhookEndpoint, WebhookState
from voice.outgoing.signing import signed_headers
from voice.webhooks import mail, schedule
from voice.webhooks.endpoints import switch_off
from voice.webhooks.events import KIND, TEST_EVENT, body_of, put_delivery, put_work

log = structlog.get_logger(__name__)

TIMEOUT_S = 15.0
# Deliveries are kept so long for their log, then removed.
KEPT = timedelta(days=30)
# The schedule ends a round by itself; this is for a worker that was away for days.
_KEEP_TRYING = timedelta(days=4)
_MOST_REPLAYED = 500
_GONE = 410
_BUSY = {429, 503}


@dataclass(frozen=True, slots=True)
class _Result:
    """What came of one request. `retry_after_s` is what the server asked for, to everything we send it."""

    status: int | None
    error: str
    duration_ms: int
    retry_after_s: int | None = None

    @property
    def arrived(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def make(payload: Mapping[str, Any]) -> None:
    """Do the outbox's work: one attempt, unless the delivery needs none or its endpoint wants to be left alone.

    Raises outbox.Postpone until the next attempt. A repeat after a crash sends the same event with the same id again.
    """
    delivery = _pending(UUID(payload["delivery_id"]))
    if delivery is None:
        return
    endpoint, now = delivery.endpoint, timezone.now()
    if not endpoint.is_active and delivery.event_type != TEST_EVENT:
        _finish(delivery, WebhookState.CANCELLED)
        return
    if now - delivery.round_began_at > schedule.LONGEST_ROUND:
        _give_up(delivery)
        return
    if endpoint.not_before and endpoint.not_before > now:
        _postpone(delivery, endpoint.not_before - now)
    result = _send(delivery, now)
    with transaction.atomic():
        pause_s = _write_down(delivery, result, now)
    if pause_s is not None:
        raise outbox.Postpone(pause_s)


def replay(delivery_id: UUID) -> bool:
    """Send a delivery again now, with the same id, whatever became of it; False while it is still on its way."""
    with transaction.atomic():
        delivery = WebhookDelivery.objects.select_for_update(of=("self",)).get(pk=delivery_id)
        if delivery.state == WebhookState.PENDING:
            return False
        now = timezone.now()
        delivery.state, delivery.rounds = WebhookState.PENDING, delivery.rounds + 1
        delivery.round_began_at, delivery.next_attempt_at, delivery.delivered_at = now, now, None
        delivery.save(update_fields=["state", "rounds", "round_began_at", "next_attempt_at", "delivered_at"])
        put_work(delivery)
    return True


def replay_failed(endpoint: WebhookEndpoint) -> int:
    """Send again, oldest first, what was given up or not sent at all; return how many. Repeated, it takes the rest."""
    lost = endpoint.deliveries.filter(state__in=[WebhookState.FAILED, WebhookState.CANCELLED]).order_by("created_at")
    return sum(replay(delivery_id) for delivery_id in list(lost.values_list("pk", flat=True)[:_MOST_REPLAYED]))


def send_test(endpoint: WebhookEndpoint) -> WebhookDelivery:
    """Send an event that means nothing, also to an endpoint that is switched off; it is tried once."""
    with transaction.atomic():
        key = f"test:{timezone.now().isoformat()}"
        return put_delivery(endpoint, TEST_EVENT, {"message": "This is a test event."}, key=key)


def forget_old_deliveries(now: datetime) -> int:
    """Remove deliveries whose log nobody needs any more; return how many."""
    count, _ = WebhookDelivery.objects.filter(created_at__lt=now - KEPT).exclude(state=WebhookState.PENDING).delete()
    return count


def _pending(delivery_id: UUID) -> WebhookDelivery | None:
    found = WebhookDelivery.objects.select_related("endpoint").filter(pk=delivery_id)
    return found.filter(state=WebhookState.PENDING).first()


def _send(delivery: WebhookDelivery, now: datetime) -> _Result:
    body = body_of(delivery)
    signed = signed_headers(delivery.message_id, int(now.timestamp()), body, delivery.endpoint.secrets(now))
    began_at = time.monotonic()
    status, error, retry_after_s = None, "", None
    away_s = schedule.away_s(delivery.endpoint.failures)
    try:
        # Its status is all we want of the answer: whatever it says is not kept.
        reply = outgoing.request(
            "POST",
            delivery.target,
            headers={"Content-Type": "application/json", **signed},
            body=body,
            timeout_s=TIMEOUT_S,
            reads_body=False,
        )
        status = reply.status
        if status in _BUSY:
            retry_after_s = schedule.retry_after_s(reply.headers, now) or away_s
    except outgoing.Refused as refused:
        error = refused.code
        if error in ("timed_out", "unreachable"):
            retry_after_s = away_s
    return _Result(status, error, round((time.monotonic() - began_at) * 1000), retry_after_s)


def _write_down(delivery: WebhookDelivery, result: _Result, now: datetime) -> int | None:
    """Keep the attempt and what follows from it; return the seconds until the next, None when there is none."""
    WebhookAttempt.objects.create(
        delivery=delivery,
        round=delivery.rounds,
        made_at=now,
        duration_ms=result.duration_ms,
        status=result.status,
        error=result.error,
    )
    if result.arrived:
        _note_success(delivery.endpoint)
        _finish(delivery, WebhookState.DELIVERED)
        return None
    # Nobody's address but the endpoint's own says anything about the endpoint.
    if not delivery.url and delivery.event_type != TEST_EVENT:
        _note_failure(delivery.endpoint, result, now)
    pause_s = None
    if delivery.event_type != TEST_EVENT and result.status != _GONE:
        pause_s = schedule.pause_after(delivery.attempts.filter(round=delivery.rounds).count())
    if pause_s is None:
        _give_up(delivery)
        return None
    pause_s = max(pause_s, result.retry_after_s or 0)
    _plan(delivery, pause_s)
    return pause_s


def _note_success(endpoint: WebhookEndpoint) -> None:
    if endpoint.failures or endpoint.not_before:
        WebhookEndpoint.objects.filter(pk=endpoint.pk).update(failing_since=None, failures=0, not_before=None)


def _note_failure(endpoint: WebhookEndpoint, result: _Result, now: datetime) -> None:
    found = WebhookEndpoint.objects.filter(pk=endpoint.pk)
    found.filter(failing_since=None).update(failing_since=now)
    found.update(failures=F("failures") + 1)
    if result.retry_after_s:
        found.update(not_before=now + timedelta(seconds=result.retry_after_s))
    endpoint.refresh_from_db()
    because = None
    if result.status == _GONE:
        because = DisabledBecause.GONE
    elif endpoint.failing_since and schedule.is_given_up(endpoint.failing_since, endpoint.failures, now):
        because = DisabledBecause.FAILING
    if because and switch_off(endpoint, because):
        mail.put_switched_off(endpoint)


def _postpone(delivery: WebhookDelivery, pause: timedelta) -> None:
    pause_s = max(1, round(pause.total_seconds()))
    _plan(delivery, pause_s)
    raise outbox.Postpone(pause_s)


def _plan(delivery: WebhookDelivery, pause_s: int) -> None:
    next_attempt_at = timezone.now() + timedelta(seconds=pause_s)
    WebhookDelivery.objects.filter(pk=delivery.pk).update(next_attempt_at=next_attempt_at)


def _give_up(delivery: WebhookDelivery) -> None:
    _finish(delivery, WebhookState.FAILED)
    log.info("webhook_given_up", delivery_id=str(delivery.pk), endpoint_id=str(delivery.endpoint_id))


def _finish(delivery: WebhookDelivery, state: WebhookState) -> None:
    delivered_at = timezone.now() if state == WebhookState.DELIVERED else None
    WebhookDelivery.objects.filter(pk=delivery.pk).update(state=state, next_attempt_at=None, delivered_at=delivered_at)


def _given_up_by_outbox(payload: Mapping[str, Any]) -> None:
    delivery = _pending(UUID(payload["delivery_id"]))
    if delivery is not None:
        _give_up(delivery)


outbox.register(KIND, make, keep_trying=_KEEP_TRYING, given_up=_given_up_by_outbox)
