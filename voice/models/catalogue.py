"""The models on offer and what they cost: data, because every name in it has a shutdown date."""

from django.db import models
from django.utils import timezone


class ModelStatus(models.TextChoices):
    AVAILABLE = "available", "Available"
    PREVIEW = "preview", "Preview"
    MAINTENANCE = "maintenance", "Under maintenance"
    RETIRED = "retired", "Retired"


class ModelKind(models.TextChoices):
    REALTIME = "realtime", "Realtime (speech to speech)"
    TRANSCRIPTION = "transcription", "Speech to text"
    CHAT = "chat", "Text"
    SPEECH = "speech", "Text to speech"


class CatalogueModel(models.Model):
    slug = models.CharField(max_length=80, unique=True, help_text="The name callers and customers use.")
    name = models.CharField(max_length=120)
    kind = models.CharField(max_length=20, choices=ModelKind.choices)
    adapter = models.CharField(max_length=20, blank=True, help_text="How a call is made; empty for helpers.")
    provider = models.ForeignKey(
        "voice.Provider", null=True, blank=True, on_delete=models.PROTECT, related_name="models",
        help_text="Empty: OpenAI by the settings, or the embedded models.",
    )  # fmt: skip
    provider_model = models.CharField(
        max_length=120, help_text="The provider's own name for it; at Azure the deployment's."
    )
    status = models.CharField(max_length=20, choices=ModelStatus.choices, default=ModelStatus.AVAILABLE)
    status_note = models.CharField(max_length=200, blank=True)
    expected_back_at = models.DateTimeField(null=True, blank=True)
    shutdown_on = models.DateField(null=True, blank=True)
    successor_slug = models.CharField(max_length=80, blank=True)
    fallback_slugs = models.JSONField(default=list, blank=True, help_text="Tried in this order.")
    # Whose rates bill it, when not its own: the embedded model is billed as the model it stands in for.
    rated_as_slug = models.CharField(max_length=80, blank=True)
    transcription_slug = models.CharField(max_length=80, blank=True, help_text="Writes the caller's captions.")
    context_tokens = models.PositiveIntegerField(default=32_000)
    max_output_tokens = models.PositiveIntegerField(default=4_096)
    sees_images = models.BooleanField(default=False)
    is_reasoning = models.BooleanField(default=False)
    voices = models.JSONField(default=list, blank=True)

    class Meta:
        ordering = ["slug"]
        verbose_name = "model"

    def __str__(self) -> str:
        return self.slug


class Rate(models.Model):
    """A unit price from a date on, in micro-credits per million units, beside the provider's list price."""

    model = models.ForeignKey(CatalogueModel, on_delete=models.CASCADE, related_name="rates")
    kind = models.CharField(max_length=20, help_text="text_in, audio_out, seconds … (voice/metering/usage.py)")
    micro_per_million = models.BigIntegerField()
    list_price_usd_micro_per_million = models.BigIntegerField(default=0, help_text="Millionths of a dollar.")
    valid_from = models.DateField(default=timezone.localdate)

    class Meta:
        ordering = ["model", "kind", "-valid_from"]
        constraints = [
            models.UniqueConstraint(fields=["model", "kind", "valid_from"], name="one_rate_a_kind_and_day"),
            models.CheckConstraint(condition=models.Q(micro_per_million__gte=0), name="rate_not_negative"),
        ]

    def __str__(self) -> str:
        return f"{self.model} {self.kind} from {self.valid_from}"
