"""What the status page tells: incidents as the operator words them, and how each part did day by day."""

from django.db import models
from django.utils import timezone

from voice.models.catalogue import CatalogueModel


class Incident(models.Model):
    """Something that callers noticed. `model` is empty where it was not one model's."""

    title = models.CharField(max_length=120)
    body = models.TextField(
        max_length=4000, blank=True, help_text="What happened, and what was done. Shown to everybody."
    )
    model = models.ForeignKey(
        CatalogueModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="incidents"
    )
    started_at = models.DateTimeField(default=timezone.now)
    ended_at = models.DateTimeField(null=True, blank=True, help_text="Empty: going on.")
    is_public = models.BooleanField(default=True)

    class Meta:
        ordering = ["-started_at"]

    def __str__(self) -> str:
        return self.title


class CheckDay(models.Model):
    """How often one part was looked at on one day, and how often it was found wanting.

    `subject` is "model:SLUG" or "component:NAME".
    """

    subject = models.CharField(max_length=100)
    day = models.DateField()
    checks = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["subject", "day"]
        constraints = [models.UniqueConstraint(fields=["subject", "day"], name="one_check_day")]

    def __str__(self) -> str:
        return f"{self.subject} on {self.day}"


class ComponentBeat(models.Model):
    """The last that was heard of a part of this installation that does not answer requests itself."""

    name = models.CharField(max_length=40, unique=True)
    seen_at = models.DateTimeField(default=timezone.now)
    is_well = models.BooleanField(default=True)
    detail = models.CharField(max_length=200, blank=True, help_text="For the operator only.")

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name
