"""How far behind the work off the request is: what waits, for how long, and what was given up."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from celery import current_app
from django.db.models import Count, Max, Min, Q
from kombu.exceptions import OperationalError

from outbox.models import OutboxMessage, OutboxState

_BROKER_PATIENCE_S = 3.0


@dataclass(frozen=True, slots=True)
class Backlog:
    """One kind of message. `late_s` is for how long the oldest could have been done; 0 when none is due."""

    kind: str
    pending: int
    late_s: int
    given_up: int
    error: str


def backlogs(now: datetime) -> list[Backlog]:
    """Return every kind that has something pending or given up, the latest first. A retry that waits is not late."""
    pending, given_up = Q(state=OutboxState.PENDING), Q(state=OutboxState.GIVEN_UP)
    unfinished = OutboxMessage.objects.filter(pending | given_up).order_by()
    rows = unfinished.values("kind").annotate(
        pending=Count("pk", filter=pending),
        given_up=Count("pk", filter=given_up),
        due_since=Min("next_attempt_at", filter=pending & Q(next_attempt_at__lte=now)),
        error=Max("error"),
    )
    found = [
        Backlog(row["kind"], row["pending"], _seconds_since(row["due_since"], now), row["given_up"], row["error"])
        for row in rows
    ]
    return sorted(found, key=lambda backlog: (-backlog.late_s, backlog.kind))


def tasks_in_broker() -> int:
    """Return how many tasks wait in Celery's queue; those that a worker has already are none of them.

    Raises OSError when the broker cannot be reached, whatever it is.
    """
    with current_app.connection_for_read(connect_timeout=_BROKER_PATIENCE_S) as connection:
        try:
            connection.ensure_connection(max_retries=1, timeout=_BROKER_PATIENCE_S)
            return _waiting(connection, current_app.conf.task_default_queue)
        except (OperationalError, *connection.connection_errors) as error:
            raise ConnectionError(type(error).__name__) from error


def _waiting(connection: Any, queue: str) -> int:
    try:
        return int(connection.default_channel.queue_declare(queue=queue, passive=True).message_count)
    except connection.channel_errors:
        # Nobody has put or taken a task yet.
        return 0


def _seconds_since(moment: datetime | None, now: datetime) -> int:
    return max(0, round((now - moment).total_seconds())) if moment else 0
