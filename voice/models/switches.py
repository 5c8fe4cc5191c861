"""The operator's switches: pause all calls, keep a network out."""

import ipaddress

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.utils import timezone


class Switches(models.Model):
    """One row. Admission locks it, so that limits are exact and a pause is in force when its save returns."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    calls_paused = models.BooleanField("pause all calls", default=False)
    pause_message = models.CharField(max_length=200, blank=True, help_text="What callers are told.")

    class Meta:
        verbose_name = verbose_name_plural = "switches"
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="one_row_of_switches")]

    def __str__(self) -> str:
        return "Calls are paused" if self.calls_paused else "Calls may start"


class BlockedNetwork(models.Model):
    network = models.CharField(
        max_length=49, unique=True, help_text="An address or network: 203.0.113.7, 2001:db8::/48"
    )
    reason = models.CharField(max_length=200)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, on_delete=models.SET_NULL, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return self.network

    def clean(self) -> None:
        try:
            self.network = str(ipaddress.ip_network(self.network.strip(), strict=False))
        except ValueError:
            raise ValidationError({"network": "Not an address or network."}) from None

    @property
    def is_in_force(self) -> bool:
        return self.expires_at is None or self.expires_at > timezone.now()
