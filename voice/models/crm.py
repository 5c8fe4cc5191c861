"""Where an organisation's notes go: its connections to CRMs, and what became of each note there."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import Organisation
from config.encrypted_field import EncryptedTextField
from voice.models.note import Note


class CrmConnection(models.Model):
    """One CRM of one organisation. `secret` is never shown again once it is saved."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="crm_connections")
    kind = models.SlugField(max_length=20, help_text="One of voice/notes/crm/registry.py.")
    name = models.CharField(max_length=80)
    is_active = models.BooleanField(default=True)
    settings = models.JSONField(default=dict, blank=True, help_text="What is no secret, such as an address.")
    secret = EncryptedTextField(blank=True)
    tested_at = models.DateTimeField(null=True, blank=True)
    # "" while it was never tested or the last test was good.
    test_problem = models.CharField(max_length=40, blank=True)
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["created_at"]
        verbose_name = "CRM connection"
        constraints = [models.UniqueConstraint(fields=["organisation", "name"], name="one_crm_connection_a_name")]

    def __str__(self) -> str:
        return self.name


class CrmDeliveryState(models.TextChoices):
    PENDING = "pending", "On its way"
    DELIVERED = "delivered", "Delivered"
    DEAD = "dead", "Given up"
    CANCELLED = "cancelled", "Cancelled"


class CrmDelivery(models.Model):
    """One note's way to one CRM. Holds no word of it: the message is made from the note each time it is sent."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    connection = models.ForeignKey(CrmConnection, on_delete=models.CASCADE, related_name="deliveries")
    note = models.ForeignKey(Note, on_delete=models.CASCADE, related_name="deliveries")
    state = models.CharField(max_length=10, choices=CrmDeliveryState.choices, default=CrmDeliveryState.PENDING)
    attempts = models.PositiveIntegerField(default=0)
    replays = models.PositiveIntegerField(default=0, help_text="How often a person gave it another day.")
    problem = models.CharField(max_length=40, blank=True, help_text="What went wrong at the last attempt.")
    status_code = models.PositiveSmallIntegerField(null=True, blank=True)
    contact_id = models.CharField(max_length=120, blank=True, help_text="The CRM's id of the person.")
    external_id = models.CharField(max_length=120, blank=True, help_text="The CRM's id of the note.")
    created_at = models.DateTimeField(default=timezone.now)
    attempted_at = models.DateTimeField(null=True, blank=True)
    delivered_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "CRM delivery"
        verbose_name_plural = "CRM deliveries"
        constraints = [
            models.UniqueConstraint(fields=["connection", "note"], name="one_delivery_a_note_and_crm"),
            models.CheckConstraint(
                condition=(models.Q(state=CrmDeliveryState.DELIVERED) & models.Q(delivered_at__isnull=False))
                | (~models.Q(state=CrmDeliveryState.DELIVERED) & models.Q(delivered_at__isnull=True)),
                name="crm_delivery_delivered_has_time",
            ),
        ]

    def __str__(self) -> str:
        return f"delivery {self.pk}"
