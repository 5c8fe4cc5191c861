"""Where an organisation's systems are told what happened, and what became of telling them."""

import uuid
from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models import Organisation
from config.encrypted_field import EncryptedTextField


class EventType(models.TextChoices):
    SESSION_STARTED = "voice_session.started", "A call began"
    SESSION_ENDED = "voice_session.ended", "A call ended"
    SESSION_FAILED = "voice_session.failed", "A call was ended by a fault"
    TRANSCRIPT_READY = "transcript.ready", "A transcript is stored"
    NOTE_READY = "note.ready", "A note is written"
    CREDITS_LOW = "credits.low", "Credits run low"
    BUDGET_EXCEEDED = "budget.exceeded", "The month's cap is reached"
    PAYMENT_SUCCEEDED = "payment.succeeded", "A payment succeeded"
    PAYMENT_FAILED = "payment.failed", "A payment failed"


class DisabledBecause(models.TextChoices):
    PAUSED = "paused", "Paused by an admin"
    FAILING = "failing", "Switched off after days of failure"
    GONE = "gone", "Switched off because the server answered 410 Gone"


class WebhookEndpoint(models.Model):
    """An address of a customer's, and what it is told. Its secrets are shown once, when they are made.

    The one `for_sessions` of an organisation has no address of its own: it signs what goes to the address that a call
    of the API brought with it.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="webhook_endpoints")
    url = models.CharField("address", max_length=2000, blank=True)
    description = models.CharField(max_length=80, blank=True)
    event_types = models.JSONField(default=list)
    for_sessions = models.BooleanField(default=False)

    secret = EncryptedTextField()
    # Signs beside the new one until then, so that a receiver can be changed without missing an event.
    old_secret = EncryptedTextField(blank=True)
    old_secret_until = models.DateTimeField(null=True, blank=True)

    is_active = models.BooleanField(default=True)
    disabled_at = models.DateTimeField(null=True, blank=True)
    disabled_because = models.CharField(max_length=10, choices=DisabledBecause.choices, blank=True)
    # Since when, and how often in a row, nothing arrived; null: the last attempt did.
    failing_since = models.DateTimeField(null=True, blank=True)
    failures = models.PositiveIntegerField(default=0)
    # A server that asked for a pause, or that could not be reached, is left alone by every delivery until then.
    not_before = models.DateTimeField(null=True, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["organisation"], condition=Q(for_sessions=True), name="one_webhook_endpoint_for_sessions"
            ),
            models.CheckConstraint(condition=Q(for_sessions=True) | ~Q(url=""), name="webhook_endpoint_has_url"),
            models.CheckConstraint(
                condition=Q(is_active=True, disabled_at__isnull=True) | Q(is_active=False, disabled_at__isnull=False),
                name="webhook_endpoint_disabled_at_fits",
            ),
        ]

    def __str__(self) -> str:
        return f"endpoint {self.pk}"

    @property
    def label(self) -> str:
        """How its own organisation knows it; to anybody else an address may say too much."""
        return self.description or self.url or "Addresses given with a call"

    def secrets(self, now: datetime) -> list[str]:
        """The secrets that sign now, newest first."""
        is_old_good = self.old_secret and self.old_secret_until and now < self.old_secret_until
        return [self.secret, self.old_secret] if is_old_good else [self.secret]


class WebhookState(models.TextChoices):
    PENDING = "pending", "On its way"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Given up"
    CANCELLED = "cancelled", "Not sent: switched off"


class WebhookDelivery(models.Model):
    """One event on its way to one endpoint. `data` holds ids and plain values, never a person's words."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="webhook_deliveries")
    endpoint = models.ForeignKey(WebhookEndpoint, on_delete=models.CASCADE, related_name="deliveries")
    url = models.CharField("address", max_length=2000, blank=True, help_text="Empty: the endpoint's.")
    # Not only the types above: a test event has its own.
    event_type = models.CharField(max_length=40)
    key = models.CharField(max_length=200, help_text="What makes an event happen once.")
    data = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=WebhookState.choices, default=WebhookState.PENDING)
    # Each replay begins a round of attempts of its own.
    rounds = models.PositiveIntegerField(default=1)
    round_began_at = models.DateTimeField(default=timezone.now)
    next_attempt_at = models.DateTimeField(null=True, blank=True, default=timezone.now)
    created_at = models.DateTimeField(default=timezone.now)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name_plural = "webhook deliveries"
        indexes = [
            models.Index(fields=["endpoint", "-created_at"], name="webhook_delivery_recent"),
            models.Index(fields=["created_at"], name="webhook_delivery_age"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["endpoint", "key"], name="one_webhook_delivery_an_event"),
            models.CheckConstraint(
                condition=Q(state=WebhookState.PENDING, next_attempt_at__isnull=False)
                | (~Q(state=WebhookState.PENDING) & Q(next_attempt_at__isnull=True)),
                name="webhook_delivery_next_attempt_fits",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.event_type} {self.message_id}"

    @property
    def message_id(self) -> str:
        """What the receiver knows it by, the same at every attempt."""
        return f"msg_{self.pk.hex}"

    @property
    def target(self) -> str:
        return self.url or self.endpoint.url


class WebhookAttempt(models.Model):
    """One request made: what came of it, and no word of the answer."""

    delivery = models.ForeignKey(WebhookDelivery, on_delete=models.CASCADE, related_name="attempts")
    round = models.PositiveIntegerField(default=1)
    made_at = models.DateTimeField(default=timezone.now)
    duration_ms = models.PositiveIntegerField()
    status = models.PositiveSmallIntegerField(null=True, help_text="Null: no answer.")
    error = models.CharField(max_length=30, blank=True, help_text="Why there was no answer.")

    class Meta:
        ordering = ["id"]

    def __str__(self) -> str:
        return f"attempt {self.pk}: {self.status or self.error}"
