"""What was measured and what it cost: one row a response or transcription, never changed."""

from django.db import models
from django.utils import timezone

from voice.models.session import Session


class UsageRecord(models.Model):
    class Source(models.TextChoices):
        RESPONSE = "response", "Response"
        TRANSCRIPTION = "transcription", "Transcription"

    session = models.ForeignKey(Session, on_delete=models.PROTECT, related_name="usage_records")
    source = models.CharField(max_length=14, choices=Source.choices)
    upstream_id = models.CharField(max_length=120, help_text="The response's or the item's id.")
    model_slug = models.CharField(max_length=80)
    usage = models.JSONField(help_text="As the upstream reported it.")
    # [{"kind", "quantity", "micro_per_million", "amount_micro"}]; the amounts add up to amount_micro.
    lines = models.JSONField()
    amount_micro = models.BigIntegerField()
    captured_micro = models.BigIntegerField()
    uncollected_micro = models.BigIntegerField(default=0)
    is_estimated = models.BooleanField(default=False)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["created_at", "id"]
        constraints = [
            models.UniqueConstraint(fields=["session", "source", "upstream_id"], name="usage_counted_once"),
            models.CheckConstraint(
                condition=models.Q(amount_micro=models.F("captured_micro") + models.F("uncollected_micro")),
                name="usage_amount_is_captured_or_uncollected",
            ),
            models.CheckConstraint(
                condition=models.Q(captured_micro__gte=0, uncollected_micro__gte=0), name="usage_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.upstream_id}"
