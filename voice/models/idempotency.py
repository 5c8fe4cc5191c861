"""What a request with an Idempotency-Key answered, so that a repeat of it gets the same answer."""

from django.db import models
from django.utils import timezone

from config.encrypted_field import EncryptedTextField


class IdempotentRequest(models.Model):
    """One key of one caller. While `status` is null the first request still runs, until `locked_until`."""

    caller = models.CharField(max_length=80, help_text="Whose key it is: an API key, or a network.")
    key_hash = models.CharField(max_length=64)
    fingerprint = models.CharField(max_length=64, help_text="Of the address and the body: a repeat has the same.")
    # Tells a request that took over an abandoned key from the one that abandoned it.
    attempt = models.UUIDField()
    locked_until = models.DateTimeField()
    status = models.PositiveSmallIntegerField(null=True)
    content_type = models.CharField(max_length=120, blank=True)
    # Base64, encrypted at rest: answers hold tickets, and words of people. Null: too large to keep.
    body = EncryptedTextField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["caller", "key_hash"], name="one_answer_an_idempotency_key")]

    def __str__(self) -> str:
        return f"answer {self.pk}"
