"""A short-lived secret for one customer's browsers: bounded by seconds, credits, origin and model."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import ApiKey, Organisation


class ClientSecret(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="client_secrets")
    api_key = models.ForeignKey(ApiKey, on_delete=models.CASCADE, related_name="client_secrets")
    secret_hash = models.CharField(max_length=64, unique=True, editable=False)
    model_slug = models.CharField(max_length=80)
    # The GA session that a call opened with it begins with; its browser may change what a key's holder may.
    session = models.JSONField(default=dict)
    origins = models.JSONField(default=list, help_text="Pages that may use it; empty: any.")
    credits_cap_micro = models.BigIntegerField(null=True, help_text="For all calls opened with it together.")
    max_duration_s = models.PositiveIntegerField(null=True, help_text="The longest call.")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(credits_cap_micro__isnull=True) | models.Q(credits_cap_micro__gte=0),
                name="client_secret_cap_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"client secret {self.id}"
