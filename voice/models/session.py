"""One conversation, and its turns. No word that was said is kept here (models/transcript.py)."""

import uuid

from django.db import models
from django.utils import timezone

from accounts.models import ApiKey, Organisation
from voice.models.agent import Agent, TranscriptPolicy
from voice.models.client_secret import ClientSecret


class SessionState(models.TextChoices):
    ADMITTED = "admitted", "Ticket given"
    LIVE = "live", "Live"
    ENDED = "ended", "Ended"


class EndReason(models.TextChoices):
    CALLER_HUNG_UP = "caller_hung_up", "The caller hung up"
    CALLER_DISCONNECTED = "caller_disconnected", "The caller's connection broke"
    CONNECTION_TOO_SLOW = "connection_too_slow", "The caller's connection was too slow"
    PROTOCOL_ERROR = "protocol_error", "The caller's browser broke the protocol"
    AGENT_HUNG_UP = "agent_hung_up", "The assistant said goodbye"
    SILENCE = "silence", "Nobody spoke"
    MAX_DURATION = "max_duration", "The longest allowed call"
    OUT_OF_CREDIT = "out_of_credit", "The credits ran out"
    OPERATOR_ENDED = "operator_ended", "Ended by the operator"
    API_ENDED = "api_ended", "Ended by the customer's code"
    ORGANISATION_SUSPENDED = "organisation_suspended", "The organisation was suspended"
    API_KEY_REVOKED = "api_key_revoked", "The API key was revoked"
    NETWORK_BLOCKED = "network_blocked", "The caller's network was blocked"
    PAUSED = "paused", "All calls were paused"
    SHUTTING_DOWN = "shutting_down", "The server was stopped"
    UPSTREAM_FAILED = "upstream_failed", "The model failed"
    INTERNAL_ERROR = "internal_error", "A fault of ours"
    PROCESS_DIED = "process_died", "The server process died"
    TICKET_UNUSED = "ticket_unused", "The ticket was never used"


class Outcome(models.TextChoices):
    COMPLETED = "completed", "Task completed"
    GIVEN_UP = "given_up", "Given up"
    CUT = "cut", "Cut"


class Source(models.TextChoices):
    WIDGET = "widget", "A page's widget"
    API = "api", "A ticket given to an API key"
    REALTIME = "realtime", "A Realtime client"


class TurnDetection(models.TextChoices):
    """Who decides that the caller has finished: the model, by what was said, or the length of a silence."""

    REALTIME_LLM = "realtime_llm", "The model"
    SERVER_VAD = "server_vad", "A silence"


class Session(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.PROTECT, related_name="sessions")
    agent = models.ForeignKey(Agent, null=True, on_delete=models.SET_NULL, related_name="sessions")
    state = models.CharField(max_length=10, choices=SessionState.choices, default=SessionState.ADMITTED)
    hold_id = models.UUIDField(null=True, help_text="billing's; no foreign key across the two.")
    is_voice = models.BooleanField(default=True, help_text="False: typed from the start.")
    language = models.CharField(max_length=10, default="en")

    model_asked = models.CharField(max_length=80)
    model_served = models.CharField(max_length=80)
    model_reason = models.CharField(max_length=200, blank=True)

    visitor_id = models.CharField(max_length=64, blank=True, help_text="Keyed hash of a first-party cookie.")
    client_ip = models.GenericIPAddressField(null=True, help_text="Kept for days only, against abuse.")
    is_member = models.BooleanField(default=False, help_text="Called by a member of the organisation.")
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.WIDGET)
    api_key = models.ForeignKey(ApiKey, null=True, on_delete=models.SET_NULL, related_name="sessions")
    client_secret = models.ForeignKey(ClientSecret, null=True, on_delete=models.SET_NULL, related_name="sessions")
    metadata = models.JSONField(default=dict, help_text="The customer's own, given back as it was.")
    webhook_url = models.CharField(max_length=2000, blank=True, help_text="Told of this call beside the endpoints.")
    # What the customer's code asked for in the place of the agent's own, or without an agent.
    system_prompt = models.TextField(max_length=8000, blank=True)
    voice = models.CharField(max_length=40, blank=True)
    turn_detection = models.CharField(max_length=20, choices=TurnDetection.choices, blank=True)
    max_duration_s = models.PositiveIntegerField(null=True)

    # The most this call may cost beside what the wallet allows: a public agent's ceiling of the day, the budget of its
    # API key, the credits of its client secret. It is what the call has claimed of them, always as much as its hold.
    spend_cap_micro = models.BigIntegerField(null=True)

    # What the agent's owner had chosen, and what the caller answered to which wording: voice/transcripts/consent.py.
    transcript_policy = models.CharField(max_length=6, choices=TranscriptPolicy.choices, default=TranscriptPolicy.NEVER)
    consent = models.BooleanField(null=True, help_text="Null: the caller was not asked.")
    consent_version = models.CharField(max_length=40, blank=True)
    consent_at = models.DateTimeField(null=True)
    transcribes_input = models.BooleanField(default=True, help_text="The caller's speech is written down, and billed.")

    created_at = models.DateTimeField(default=timezone.now)
    ticket_expires_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    seen_at = models.DateTimeField(null=True, help_text="A live call's process says so every few seconds.")
    # The operator's wish, or the customer's code's, found by the call itself should the order to end it be lost.
    hang_up_wanted = models.BooleanField(default=False)
    hang_up_reason = models.CharField(max_length=30, choices=EndReason.choices, blank=True)
    # Raised each time another process takes the call over: a process whose number is behind must let go of it.
    generation = models.PositiveSmallIntegerField(default=0)
    resumes = models.PositiveSmallIntegerField(default=0, help_text="How often the caller came back after a break.")
    away_since = models.DateTimeField(null=True, help_text="The caller's connection broke, and they may come back.")
    ended_at = models.DateTimeField(null=True)
    duration_ms = models.PositiveIntegerField(default=0)
    end_reason = models.CharField(max_length=30, choices=EndReason.choices, blank=True)
    outcome = models.CharField(max_length=12, choices=Outcome.choices, blank=True)
    task_completed = models.CharField(max_length=40, blank=True, help_text="Name of the task, if one was.")

    captured_micro = models.BigIntegerField(default=0)
    uncollected_micro = models.BigIntegerField(default=0)

    stars = models.PositiveSmallIntegerField(null=True)
    comment = models.TextField(max_length=1000, blank=True)

    class Meta:
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["state", "organisation"], name="session_state_organisation"),
            models.Index(fields=["agent", "-created_at"], name="session_agent_recent"),
            models.Index(fields=["organisation", "-created_at"], name="session_organisation_recent"),
            models.Index(fields=["organisation", "outcome", "-created_at"], name="session_by_outcome"),
            models.Index(
                fields=["organisation", "stars", "-created_at"],
                condition=models.Q(stars__isnull=False),
                name="session_by_stars",
            ),
            models.Index(
                fields=["organisation", "created_at"], condition=~models.Q(comment=""), name="session_with_comment"
            ),
            models.Index(
                fields=["organisation", "visitor_id"], condition=~models.Q(visitor_id=""), name="session_by_visitor"
            ),
        ]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(stars__isnull=True) | models.Q(stars__range=(1, 5)), name="session_stars_1_to_5"
            ),
            models.CheckConstraint(
                condition=models.Q(captured_micro__gte=0, uncollected_micro__gte=0), name="session_cost_not_negative"
            ),
        ]

    def __str__(self) -> str:
        return f"session {self.id}"

    @property
    def reference(self) -> str:
        """How billing names this call in its entries and holds."""
        return f"voice_session:{self.id}"


class Turn(models.Model):
    """One speaker's contribution: times only."""

    session = models.ForeignKey(Session, on_delete=models.CASCADE, related_name="turns")
    index = models.PositiveIntegerField()
    speaker = models.CharField(max_length=6, choices=[("caller", "Caller"), ("agent", "Agent")])
    item_id = models.CharField(max_length=80)
    started_ms = models.PositiveIntegerField(help_text="Since the call began.")
    ended_ms = models.PositiveIntegerField()
    # End of the caller's speech to the first audio sent; agent's turns only.
    latency_ms = models.PositiveIntegerField(null=True)
    heard_ms = models.PositiveIntegerField(null=True, help_text="How much of it was really played.")
    interrupted = models.BooleanField(default=False)

    class Meta:
        ordering = ["session", "index"]
        constraints = [models.UniqueConstraint(fields=["session", "index"], name="one_turn_an_index")]

    def __str__(self) -> str:
        return f"turn {self.index} of {self.session_id}"
