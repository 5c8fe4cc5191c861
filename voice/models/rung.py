"""Which models held a call, one after the other, and why each was left."""

from django.db import models

from voice.models.session import Session


class RungKind(models.TextChoices):
    REALTIME = "realtime", "Realtime model"
    PIPELINE = "pipeline", "Hearing, text model and voice"
    TEXT = "text", "Text chat"


class Rung(models.Model):
    """One model that held a call for a while. The first one of a call has `reason` "" when it was the one asked for."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="rungs")
    index = models.PositiveSmallIntegerField()
    model_slug = models.CharField(max_length=80)
    kind = models.CharField(max_length=10, choices=RungKind.choices)
    reason = models.CharField(max_length=80, blank=True, help_text="Code of what ended the one before.")
    at_ms = models.PositiveIntegerField(help_text="Since the call began.")
    # From the end of the last one that held the call until the caller heard or read this one; where they were owed no
    # answer, until it could be talked to. Empty when neither came.
    waited_ms = models.PositiveIntegerField(null=True)

    class Meta:
        ordering = ["session", "index"]
        constraints = [models.UniqueConstraint(fields=["session", "index"], name="one_rung_an_index")]

    def __str__(self) -> str:
        return f"rung {self.index} of {self.session_id}: {self.model_slug}"
