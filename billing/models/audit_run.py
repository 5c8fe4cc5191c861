"""One recomputation of the books that the operator asked for or the schedule began, and what it found."""

from django.db import models
from django.utils import timezone


class AuditRun(models.Model):
    """`finished_at` is null while a worker is at it, and for ever when that worker died."""

    asked_at = models.DateTimeField(default=timezone.now)
    asked_by = models.CharField(max_length=254, blank=True, help_text="Empty: the schedule.")
    finished_at = models.DateTimeField(null=True)
    # [{"row", "problem"}], the first of them only.
    findings = models.JSONField(default=list)
    has_more_findings = models.BooleanField(default=False)
    # What each model brought in and cost since then: the fields of billing.margin.Margin.
    margin_since = models.DateTimeField(null=True)
    margins = models.JSONField(default=list)
    # What settled calls took in that time of credits that were paid for, and of credits that were given.
    spent_purchased_micro = models.BigIntegerField(default=0)
    spent_granted_micro = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        default_permissions = ()

    def __str__(self) -> str:
        return f"audit {self.pk}"
