"""A configured assistant of one organisation."""

import secrets
import uuid

from django.db import models
from django.utils import timezone

from accounts.models import Organisation
from voice import history


def new_public_key() -> str:
    return f"pk_{secrets.token_urlsafe(18)}"


class Template(models.TextChoices):
    FAQ = "faq", "Answers questions"
    APPOINTMENT = "appointment", "Books appointments"
    TROUBLESHOOTING = "troubleshooting", "Guided troubleshooting"
    LANGUAGE_PRACTICE = "language_practice", "Language practice"


class TranscriptPolicy(models.TextChoices):
    NEVER = "never", "Never"
    ASK = "ask", "Ask the caller"
    ALWAYS = "always", "Always, with a notice"


class History(models.TextChoices):
    WHOLE = history.WHOLE, "The whole conversation"
    RECENT = history.RECENT, "What was said lately"


class Agent(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="agents")
    public_key = models.CharField(max_length=40, unique=True, default=new_public_key, editable=False)
    name = models.CharField(max_length=80)
    template = models.CharField(max_length=20, choices=Template.choices, default=Template.FAQ)
    is_active = models.BooleanField(default=True)
    is_public = models.BooleanField(default=False, help_text="Anyone may call, after a CAPTCHA; else members only.")
    is_demo = models.BooleanField(default=False, help_text="The agent behind the front page's Talk button.")

    instructions = models.TextField(max_length=8000)
    greeting = models.CharField(max_length=300)
    # What a completed task needs, in the order it is asked: [{"name", "description"}]; empty: nothing to collect.
    collects = models.JSONField(default=list, blank=True)
    task_name = models.SlugField(max_length=40, blank=True, help_text="For example book_appointment.")
    language = models.CharField(max_length=10, default="en")
    voice = models.CharField(max_length=40, default="marin")
    model_slug = models.CharField("model", max_length=80)

    max_output_tokens = models.PositiveIntegerField(default=1024)
    history = models.CharField(
        "remembers",
        max_length=6,
        choices=History.choices,
        default=History.WHOLE,
        help_text="Read again at every answer.",
    )
    max_duration_s = models.PositiveIntegerField(default=600)
    silence_timeout_s = models.PositiveIntegerField(default=20)
    allowed_origins = models.JSONField(default=list, blank=True, help_text="Sites that may embed it; ours always may.")
    daily_ceiling_micro = models.BigIntegerField(default=500_000_000, help_text="What public calls may cost in a day.")
    shows_prices = models.BooleanField(default=True)
    transcript_policy = models.CharField(
        max_length=6,
        choices=TranscriptPolicy.choices,
        default=TranscriptPolicy.NEVER,
        help_text="Whether what is said is kept.",
    )
    captions = models.BooleanField(default=True, help_text="What is said is shown in the caller's browser, in writing.")
    writes_down_for_fallback = models.BooleanField(
        default=False,
        help_text="Speech is written down for no one to read, so that another model can take a call over where it was. "
        "Costs what captions cost; nothing more where captions are on.",
    )

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["is_demo"], condition=models.Q(is_demo=True), name="one_demo_agent"),
            models.CheckConstraint(condition=models.Q(daily_ceiling_micro__gte=0), name="agent_ceiling_not_negative"),
        ]

    def __str__(self) -> str:
        return self.name
