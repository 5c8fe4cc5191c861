"""The note that is written of a conversation after it: what came of it, and what writing it cost."""

import uuid
from collections.abc import Iterable
from uuid import UUID

from django.db import models
from django.utils import timezone

from accounts.models import Organisation
from voice.models.session import Session


class NoteState(models.TextChoices):
    WAITING = "waiting", "Being written"
    READY = "ready", "Ready"
    FAILED = "failed", "Failed"
    FORGOTTEN = "forgotten", "Deleted"


class NoteWriter(models.TextChoices):
    MODEL = "model", "The provider's model"
    EMBEDDED = "embedded", "The embedded model"
    FIELDS = "fields", "No model: what the assistant collected"


class NoteReason(models.TextChoices):
    """Why there is no note yet, none at all, or one without a summary; each is a whole sentence."""

    NO_CONSENT = "no_consent", "The conversation was not kept, so only what the assistant collected is here."
    NOTHING_KEPT = "nothing_kept", "Nothing of the conversation is kept any more."
    NOTHING_SAID = "nothing_said", "The caller said nothing."
    NO_CREDIT = "no_credit", "There were not enough credits to have it written."
    NOT_RATED = "not_rated", "The model that writes notes has no price."
    NO_MODEL = "no_model", "No model that can write notes is on offer."
    BUSY = "busy", "The model's provider was too busy."
    UNREACHABLE = "unreachable", "The model's provider could not be reached."
    PROVIDER_FAILED = "provider_failed", "The model's provider failed."
    KEY_REFUSED = "key_refused", "The model's provider did not accept this server's key."
    REQUEST_REFUSED = "request_refused", "The model's provider refused the request."
    NOT_JSON = "not_json", "The model did not answer in the form that was asked for."
    WRONG_SHAPE = "wrong_shape", "The model's answer did not have the parts that were asked for."
    BAD_TURN = "bad_turn", "The model's answer named a turn that does not exist."
    BAD_DATE = "bad_date", "The model's answer had a date that cannot be."
    CUT_SHORT = "cut_short", "The model's answer was longer than it may be."
    REFUSED = "refused", "The model would not write about this conversation."
    CALLED_TOOL = "called_tool", "The model asked for a tool, and it has none."


class NoteQuerySet(models.QuerySet["Note"]):
    def forget(self, session_ids: Iterable[UUID]) -> int:
        """Empty the notes of these sessions of every word; what they cost stays. Returns how many."""
        return (
            self.filter(session_id__in=list(session_ids))
            .exclude(state=NoteState.FORGOTTEN)
            .update(state=NoteState.FORGOTTEN, content={}, finished_at=timezone.now())
        )


class Note(models.Model):
    """One a session. `content` is that of voice/notes/schema.py, and empty unless the note is ready."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    session = models.OneToOneField(Session, on_delete=models.CASCADE, related_name="note")
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="notes")
    state = models.CharField(max_length=10, choices=NoteState.choices, default=NoteState.WAITING)
    reason = models.CharField(max_length=20, choices=NoteReason.choices, blank=True)
    content = models.JSONField(default=dict, blank=True)
    written_by = models.CharField(max_length=10, choices=NoteWriter.choices, blank=True)
    model_slug = models.CharField(max_length=80, blank=True, help_text="The catalogue's name for what wrote it.")
    provider_model = models.CharField(max_length=120, blank=True, help_text="The name that the provider gave.")
    request_id = models.CharField(max_length=120, blank=True, help_text="The provider's, to ask it about.")
    turns_left_out = models.PositiveIntegerField(default=0, help_text="Too long to be read whole: from the middle.")

    tries = models.PositiveIntegerField(default=0, help_text="How often a worker took it up.")
    answers = models.PositiveSmallIntegerField(default=0, help_text="How many answers were looked at.")

    paid_by = models.CharField(
        max_length=8, choices=[("customer", "The organisation"), ("operator", "The operator")], blank=True
    )
    hold_id = models.UUIDField(null=True, blank=True, help_text="billing's; no foreign key across the two.")
    # [{"model_slug", "usage", "lines": [{"kind", "quantity", "micro_per_million", "amount_micro"}], "amount_micro"}],
    # one an answer; an answer that was no good is the operator's loss.
    usage = models.JSONField(default=list, blank=True)
    cost_micro = models.BigIntegerField(default=0, help_text="All answers, by the rates of the day.")
    charged_micro = models.BigIntegerField(default=0, help_text="What left the wallet.")

    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = NoteQuerySet.as_manager()

    class Meta:
        ordering = ["-created_at"]
        indexes = [models.Index(fields=["organisation", "-created_at"], name="note_organisation_recent")]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(charged_micro__gte=0, cost_micro__gte=models.F("charged_micro")),
                name="note_charged_within_cost",
            ),
            models.CheckConstraint(
                condition=(models.Q(state=NoteState.WAITING) & models.Q(finished_at__isnull=True))
                | (~models.Q(state=NoteState.WAITING) & models.Q(finished_at__isnull=False)),
                name="note_finished_unless_waiting",
            ),
        ]

    def __str__(self) -> str:
        return f"note of {self.session_id}"

    @property
    def reference(self) -> str:
        """How billing names this note in its entries and holds."""
        return f"voice_note:{self.id}"
