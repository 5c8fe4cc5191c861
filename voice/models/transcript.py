"""What was said, kept only where the caller agreed; what a task collected; who looked, and what was deleted."""

from django.conf import settings
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone

from accounts.models import Organisation
from voice.models.session import Session

KEPT_DAYS_MIN, KEPT_DAYS_MAX, KEPT_DAYS_DEFAULT = 1, 3650, 90


class TranscriptSettings(models.Model):
    """An organisation's own rules; without a row the defaults hold. Nothing said is kept without an end."""

    organisation = models.OneToOneField(Organisation, on_delete=models.CASCADE, related_name="transcript_settings")
    kept_days = models.PositiveIntegerField(
        default=KEPT_DAYS_DEFAULT, validators=[MinValueValidator(KEPT_DAYS_MIN), MaxValueValidator(KEPT_DAYS_MAX)]
    )
    redacts = models.BooleanField(
        default=False,
        help_text="Card numbers, phone numbers and mail addresses are blotted out before anything is kept.",
    )

    class Meta:
        verbose_name = verbose_name_plural = "transcript settings"
        constraints = [
            models.CheckConstraint(
                condition=models.Q(kept_days__range=(KEPT_DAYS_MIN, KEPT_DAYS_MAX)), name="transcript_kept_days_bounded"
            )
        ]

    def __str__(self) -> str:
        return f"transcript settings of {self.organisation_id}"


class Transcript(models.Model):
    """The words of one conversation. Its times are those of the session's turns."""

    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="transcript")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="transcripts")
    created_at = models.DateTimeField(default=timezone.now)
    # What the caller was told; a longer rule made later does not undo it, a shorter one comes first.
    deletes_at = models.DateTimeField(default=timezone.now)
    redacted_at = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]
        permissions = [("read_transcripts", "Can read what callers said")]
        indexes = [
            models.Index(fields=["organisation", "created_at"], name="transcript_by_age"),
            models.Index(fields=["deletes_at"], name="transcript_by_promise"),
        ]

    def __str__(self) -> str:
        return f"transcript of {self.session_id}"


class TranscriptTurn(models.Model):
    """What was heard of the session's turn of the same index."""

    transcript = models.ForeignKey(Transcript, on_delete=models.CASCADE, related_name="turns")
    index = models.PositiveIntegerField()
    text = models.TextField()

    class Meta:
        ordering = ["transcript", "index"]
        constraints = [models.UniqueConstraint(fields=["transcript", "index"], name="one_text_a_turn")]

    def __str__(self) -> str:
        return f"text {self.index} of {self.transcript_id}"


class CollectedFields(models.Model):
    """What a finished task collected. Its own consent: the assistant says that it passes these on."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="collected")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="collected_fields")
    call_id = models.CharField(max_length=120, help_text="The tool call's own: what makes keeping it twice once.")
    task_name = models.CharField(max_length=40)
    fields = models.JSONField(help_text="Names to texts, as the assistant took them down.")
    completed_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["completed_at", "id"]
        verbose_name = verbose_name_plural = "collected fields"
        indexes = [models.Index(fields=["organisation", "completed_at"], name="collected_by_age")]
        constraints = [models.UniqueConstraint(fields=["session", "call_id"], name="collected_once")]

    def __str__(self) -> str:
        return f"{self.task_name} of {self.session_id}"


class TranscriptAudit(models.Model):
    """Who looked at, took away, changed or deleted what was said. Never holds a word of it, and outlives it."""

    class Action(models.TextChoices):
        LOOKED = "looked", "Looked at"
        DOWNLOADED = "downloaded", "Downloaded"
        EXPORTED_CALLER = "exported_caller", "Exported what is held of a caller"
        REDACTED = "redacted", "Redacted"
        DELETED = "deleted", "Deleted a conversation's words"
        FORGOT_CALLER = "forgot_caller", "Forgot a caller"
        EXPIRED = "expired", "Deleted at the end of its time"

    action = models.CharField(max_length=20, choices=Action.choices)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="transcript_audit")
    # Null for what the nightly job did.
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    session_id = models.UUIDField(null=True, help_text="The conversation, where it is one.")
    caller = models.CharField(
        max_length=64, blank=True, help_text="Keyed hash of a visitor id, to answer “was X forgotten?”."
    )
    counts = models.JSONField(default=dict, help_text="How many rows of what; numbers only.")
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-created_at", "-id"]
        verbose_name = "transcript audit entry"
        verbose_name_plural = "transcript audit"
        indexes = [models.Index(fields=["organisation", "-created_at"], name="transcript_audit_recent")]

    def __str__(self) -> str:
        return f"{self.action} {self.session_id or ''}".strip()
