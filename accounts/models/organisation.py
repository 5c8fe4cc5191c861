"""A tenant: owns agents, a wallet and everything that was said to its agents."""

import uuid

from django.db import models
from django.utils import timezone


class Organisation(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    slug = models.SlugField(max_length=60, null=True, blank=True, unique=True, help_text="Its name in commands.")
    country = models.CharField(max_length=2, blank=True, help_text="ISO 3166 code, for currency and tax.")
    is_house = models.BooleanField(default=False, help_text="Owns the demo agent on the front page.")
    suspended_at = models.DateTimeField(null=True, blank=True, editable=False)
    suspended_reason = models.CharField(max_length=200, blank=True, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    @property
    def is_active(self) -> bool:
        return self.suspended_at is None
