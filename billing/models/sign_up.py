"""Who has had the sign-up credits, for ever, and how much of a day's ceiling is used."""

from django.db import models
from django.utils import timezone


class SignUpGrantStatus(models.TextChoices):
    GRANTED = "granted", "Granted"
    REFUSED = "refused", "Refused: the day's ceiling was reached"


class SignUpGrant(models.Model):
    """One row a person. It outlives the person's user and organisation, hence a bare organisation id and no address."""

    person_key = models.CharField(max_length=128, unique=True, help_text="Keyed hash of the normalised address.")
    organisation_id = models.UUIDField(db_index=True)
    status = models.CharField(max_length=10, choices=SignUpGrantStatus.choices, default=SignUpGrantStatus.REFUSED)
    amount_micro = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    granted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.CheckConstraint(
                condition=models.Q(status=SignUpGrantStatus.GRANTED, amount_micro__gt=0, granted_at__isnull=False)
                | models.Q(status=SignUpGrantStatus.REFUSED, amount_micro=0, granted_at__isnull=True),
                name="sign_up_grant_status_fits_amount",
            )
        ]

    def __str__(self) -> str:
        return f"sign-up grant {self.pk}"


class SignUpDay(models.Model):
    """What sign-ups were granted on one day; its row's lock is what makes the ceiling exact."""

    day = models.DateField(primary_key=True)
    granted_micro = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-day"]
        constraints = [
            models.CheckConstraint(condition=models.Q(granted_micro__gte=0), name="sign_up_day_not_negative")
        ]

    def __str__(self) -> str:
        return str(self.day)
