"""Work that must not be lost: a row written in the transaction of its cause."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class OutboxState(models.TextChoices):
    PENDING = "pending", "Pending"
    DONE = "done", "Done"
    GIVEN_UP = "given_up", "Given up"


class OutboxMessage(models.Model):
    """One piece of work; only outbox.messages writes these.

    `payload` holds ids and plain values, never a person's words. `next_attempt_at` of a pending message is when it may
    be taken next: while a worker has it, that is when the worker must be dead.
    """

    kind = models.CharField(max_length=60)
    key = models.CharField(max_length=200, unique=True, help_text="Idempotency: one piece of work a key, for ever.")
    payload = models.JSONField(default=dict)
    state = models.CharField(max_length=10, choices=OutboxState.choices, default=OutboxState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    error = models.CharField(max_length=200, blank=True, help_text="Why the last attempt did not do it.")
    created_at = models.DateTimeField(default=timezone.now)
    done_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["next_attempt_at"], name="outbox_due", condition=Q(state=OutboxState.PENDING)),
            models.Index(fields=["kind", "-id"], name="outbox_kind_recent"),
        ]
        constraints = [
            models.CheckConstraint(condition=~Q(key=""), name="outbox_has_key"),
            models.CheckConstraint(
                condition=Q(state=OutboxState.PENDING, done_at__isnull=True)
                | (Q(done_at__isnull=False) & ~Q(state=OutboxState.PENDING)),
                name="outbox_done_at_fits_state",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.pk}"
