"""The outbox as Celery tasks: each is safe to run twice."""

from celery import shared_task
from django.utils import timezone

from outbox import messages


@shared_task  # type: ignore[untyped-decorator]
def deliver_message(message_id: int) -> None:
    messages.deliver(message_id)


@shared_task  # type: ignore[untyped-decorator]
def sweep_outbox() -> None:
    """Hand over what a dead broker or worker dropped."""
    messages.hand_over_due(timezone.now())
