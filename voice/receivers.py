"""What ends live calls at once: a suspension, a revoked key, a pause, a blocked network."""

from typing import Any
from uuid import UUID

from django.db import transaction
from django.db.models.signals import post_save
from django.dispatch import receiver

from accounts.signals import api_key_revoked, organisation_suspended
from voice.models import BlockedNetwork, Switches
from voice.sessions.orders import control
from voice.webhooks import delivery, money_events  # noqa: F401  do webhooks, and tell them of payments and low credits


@receiver(organisation_suspended)
def end_calls_of_suspended(sender: Any, organisation_id: UUID, **_: Any) -> None:
    transaction.on_commit(lambda: control.end_calls_of(organisation_id))


@receiver(api_key_revoked)
def end_calls_of_revoked(sender: Any, api_key_id: UUID, **_: Any) -> None:
    transaction.on_commit(lambda: control.end_calls_of_key(api_key_id))


@receiver(post_save, sender=Switches)
def end_calls_when_paused(sender: Any, instance: Switches, **_: Any) -> None:
    if instance.calls_paused:
        transaction.on_commit(control.end_every_call)


@receiver(post_save, sender=BlockedNetwork)
def end_calls_from_blocked_network(sender: Any, instance: BlockedNetwork, **_: Any) -> None:
    if instance.is_in_force:
        transaction.on_commit(lambda: control.end_calls_from(instance.network))
