"""Billing's outbox and auto top-up as Celery tasks: each takes plain values and is safe to run twice."""

from uuid import UUID

from celery import shared_task
from django.utils import timezone

from billing import auto_top_up, outbox


@shared_task  # type: ignore[untyped-decorator]
def deliver_message(message_id: int) -> None:
    outbox.deliver(message_id)


@shared_task  # type: ignore[untyped-decorator]
def sweep_outbox() -> None:
    """Hand over what a dead broker or worker dropped."""
    outbox.hand_over_due(timezone.now())


@shared_task  # type: ignore[untyped-decorator]
def consider_top_up(organisation_id: str, needed_micro: int = 0) -> None:
    auto_top_up.consider(UUID(organisation_id), needed_micro=needed_micro)


@shared_task  # type: ignore[untyped-decorator]
def sweep_top_ups() -> None:
    auto_top_up.consider_everyone(timezone.now())
