"""A customer's own HTTPS endpoint that an agent may call during a call."""

import uuid

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone

from config.encrypted_field import EncryptedTextField
from voice.models.agent import Agent

LEAST_TIMEOUT_MS = 500
MOST_TIMEOUT_MS = 15_000


class AgentTool(models.Model):
    """`parameters` is the JSON schema of its arguments; `secret` is never shown again once it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    agent = models.ForeignKey(Agent, on_delete=models.CASCADE, related_name="tools")
    name = models.CharField(max_length=40, help_text="What the model calls it by, such as look_up_order.")
    description = models.TextField(max_length=1000, help_text="When to use it, and what it answers; for the model.")
    parameters = models.JSONField(default=dict)
    url = models.CharField("address", max_length=2000)
    secret_header = models.CharField(max_length=100, blank=True, help_text="For example Authorization.")
    secret = EncryptedTextField(blank=True)
    timeout_ms = models.PositiveIntegerField(
        default=5000, validators=[MinValueValidator(LEAST_TIMEOUT_MS), MaxValueValidator(MOST_TIMEOUT_MS)]
    )
    filler = models.CharField(max_length=200, blank=True, help_text="Said when the answer takes longer than a moment.")
    is_active = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["agent", "name"], name="one_tool_a_name"),
            models.CheckConstraint(
                condition=Q(timeout_ms__range=(LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS)), name="agent_tool_timeout_bounded"
            ),
        ]

    def __str__(self) -> str:
        return self.name
