"""One metered HTTP request of a customer's code, and what it cost. No word of what was asked is kept here."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import ApiKey, Organisation


class ApiRequest(models.Model):
    class Kind(models.TextChoices):
        CHAT = "chat", "Chat completion"
        TRANSCRIPTION = "transcription", "Transcription"
        SPEECH = "speech", "Speech"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="api_requests")
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="requests")
    kind = models.CharField(max_length=14, choices=Kind.choices)
    model_asked = models.CharField(max_length=80)
    model_served = models.CharField(max_length=80)
    hold_id = models.UUIDField(null=True, help_text="billing's; no foreign key across the two.")
    held_micro = models.BigIntegerField(default=0, help_text="What an unfinished one counts against its key's budget.")

    usage = models.JSONField(default=dict, help_text="As the provider reported it, or as it was estimated.")
    # [{"kind", "quantity", "micro_per_million", "amount_micro"}]; the amounts add up to captured + uncollected.
    lines = models.JSONField(default=list)
    captured_micro = models.BigIntegerField(default=0)
    uncollected_micro = models.BigIntegerField(default=0)
    is_estimated = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["api_key", "-created_at"], name="api_request_key_recent"),
            models.Index(fields=["organisation", "-created_at"], name="api_request_organisation"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(captured_micro__gte=0, uncollected_micro__gte=0, held_micro__gte=0),
                name="api_request_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id}"

    @property
    def reference(self) -> str:
        """How billing names this request in its entries and holds."""
        return f"api_request:{self.id}"
