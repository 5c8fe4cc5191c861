"""A customer's key to the API: what it may do, how much of it, and until when. The secret itself is not kept."""

import uuid

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone

from accounts.models.organisation import Organisation


class Scope(models.TextChoices):
    REALTIME = "realtime", "Live calls: /v1/realtime, its client secrets, starting and ending calls"
    SESSIONS_READ = "sessions:read", "Read calls: what they were, what they cost, what was said"
    CHAT = "chat", "Text: /v1/chat/completions"
    AUDIO = "audio", "Speech: /v1/audio/transcriptions and /v1/audio/speech"


def every_scope() -> list[str]:
    return list(Scope.values)


class ApiKey(models.Model):
    """Written by accounts.api_keys only. A limit that is null is the installation's own, or none."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=40, unique=True, editable=False)
    # The secret is 256 random bits: nothing slower than SHA-256 is needed to hide it.
    secret_hash = models.CharField(max_length=64, editable=False)

    scopes = models.JSONField(default=every_scope)
    allowed_models = models.JSONField(default=list, blank=True, help_text="Empty: every model.")
    monthly_budget_micro = models.BigIntegerField(null=True, blank=True)
    requests_per_minute = models.PositiveIntegerField(null=True, blank=True)
    concurrent_calls = models.PositiveIntegerField(null=True, blank=True)
    expires_at = models.DateTimeField(null=True, blank=True)

    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    last_used_at = models.DateTimeField(null=True, editable=False)
    revoked_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "API key"
        constraints = [
            models.CheckConstraint(
                condition=Q(monthly_budget_micro__isnull=True) | Q(monthly_budget_micro__gte=0),
                name="api_key_budget_not_negative",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix})"

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_usable(self) -> bool:
        return self.revoked_at is None and not self.is_expired
