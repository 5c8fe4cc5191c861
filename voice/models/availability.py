"""Whether a model can be had: what was decided for one organisation, what calls and probes find, and the log."""

from django.db import models
from django.utils import timezone

from accounts.models import Organisation
from voice.models.catalogue import CatalogueModel, ModelStatus


class ModelOverride(models.Model):
    """What one organisation is offered otherwise than everybody else. An empty field leaves the catalogue's value."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="model_overrides")
    model = models.ForeignKey(CatalogueModel, on_delete=models.CASCADE, related_name="overrides")
    status = models.CharField(max_length=20, choices=ModelStatus.choices, blank=True)
    status_note = models.CharField(max_length=200, blank=True)
    expected_back_at = models.DateTimeField(null=True, blank=True)
    fallback_slugs = models.JSONField(default=list, blank=True, help_text="Tried in this order.")
    max_output_tokens = models.PositiveIntegerField(null=True, blank=True)

    class Meta:
        ordering = ["organisation", "model"]
        constraints = [models.UniqueConstraint(fields=["organisation", "model"], name="one_override_a_model")]

    def __str__(self) -> str:
        return f"{self.model} for {self.organisation}"


class ModelHealth(models.Model):
    """What calls and probes find of a model: its breaker. An open one keeps calls away until a probe has succeeded."""

    model = models.OneToOneField(CatalogueModel, on_delete=models.CASCADE, related_name="health")
    failures_in_a_row = models.PositiveIntegerField(default=0)
    last_failure_at = models.DateTimeField(null=True, blank=True)
    last_failure_code = models.CharField(max_length=80, blank=True)
    last_success_at = models.DateTimeField(null=True, blank=True)
    opened_at = models.DateTimeField(null=True, blank=True, help_text="Empty: closed.")
    failed_probes = models.PositiveIntegerField(
        default=0, help_text="Since it opened; the more, the rarer they become."
    )
    next_probe_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["model"]
        verbose_name_plural = "model health"

    def __str__(self) -> str:
        return f"health of {self.model}"


class ModelStatusChange(models.Model):
    """One change of what a model is offered as; never edited. "down" and "up" are the breaker's words."""

    model = models.ForeignKey(CatalogueModel, on_delete=models.CASCADE, related_name="status_changes")
    organisation = models.ForeignKey(
        Organisation, null=True, blank=True, on_delete=models.CASCADE, help_text="Empty: for everybody."
    )
    at = models.DateTimeField(default=timezone.now)
    before = models.CharField(max_length=20)
    after = models.CharField(max_length=20)
    who = models.CharField(max_length=254, help_text="An operator's address, or breaker, or shutdown date.")
    why = models.CharField(max_length=300, blank=True)

    class Meta:
        ordering = ["-at", "-id"]
        indexes = [models.Index(fields=["model", "-at"], name="status_change_recent")]

    def __str__(self) -> str:
        return f"{self.model}: {self.before} to {self.after}"


class ShutdownWarning(models.Model):
    """A mail that was sent before a model's shutdown date, so that each is sent once."""

    model = models.ForeignKey(CatalogueModel, on_delete=models.CASCADE, related_name="shutdown_warnings")
    shutdown_on = models.DateField()
    days_before = models.PositiveSmallIntegerField()
    sent_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["model", "shutdown_on", "days_before"], name="one_warning_a_date")
        ]

    def __str__(self) -> str:
        return f"{self.model}: {self.days_before} days before {self.shutdown_on}"
