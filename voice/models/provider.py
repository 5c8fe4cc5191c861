"""Where models are served besides the built-in providers of the settings, and the keys they are asked with."""

from django.db import models

from accounts.models import Organisation
from config.encrypted_field import EncryptedTextField


class ProviderAdapter(models.TextChoices):
    """How it is talked to; the names of voice/upstream/registry.py."""

    OPENAI = "openai", "OpenAI Realtime"
    AZURE_OPENAI = "azure_openai", "Azure OpenAI Realtime"
    PIPELINE = "pipeline", "OpenAI-compatible speech, chat and voice"
    SARVAM = "sarvam", "Sarvam speech and voice, OpenAI-compatible chat"


class Provider(models.Model):
    """One account at one provider. Its keys are never shown again once they are saved.

    The fields from `chat_model` on are read for pipelines only. With `entra_tenant`, `api_key` is the secret of the
    application `entra_client_id`, and what the provider is shown is a token that Entra gives for it.
    """

    name = models.CharField(max_length=80, unique=True)
    adapter = models.CharField(max_length=20, choices=ProviderAdapter.choices)
    base_url = models.CharField("address", max_length=300, blank=True)
    api_key = EncryptedTextField("key", blank=True)
    needs_key = models.BooleanField(
        "needs a key", default=True, help_text="Without one its models are not offered. Off: it asks for none."
    )
    entra_tenant = models.CharField("Entra tenant", max_length=80, blank=True)
    entra_client_id = models.CharField("Entra application", max_length=80, blank=True)
    chat_model = models.CharField(max_length=120, blank=True)
    speech_to_text_model = models.CharField(max_length=120, blank=True)
    text_to_speech_model = models.CharField(max_length=120, blank=True)
    speech_url = models.CharField("address of speech", max_length=300, blank=True)
    speech_api_key = EncryptedTextField("key for speech", blank=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name


class ProviderKey(models.Model):
    """An organisation's own keys at a provider; each counts before the provider's, an empty one does not."""

    organisation = models.ForeignKey(Organisation, on_delete=models.CASCADE, related_name="provider_keys")
    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="organisation_keys")
    api_key = EncryptedTextField("key", blank=True)
    speech_api_key = EncryptedTextField("key for speech", blank=True)

    class Meta:
        ordering = ["provider", "organisation"]
        constraints = [
            models.UniqueConstraint(fields=["organisation", "provider"], name="one_key_an_organisation_and_provider")
        ]

    def __str__(self) -> str:
        return f"{self.organisation} at {self.provider}"
