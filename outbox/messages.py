"""Work that must not be lost: written with its cause, handed to Celery on commit, swept every half minute.

A message is done at least once. Whoever takes it moves `next_attempt_at` past the time any worker may live, so that two
workers never have it together, and one that is killed leaves it to the sweep. Handlers are therefore safe to repeat;
they run outside any transaction, because they talk to the world.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from outbox.models import OutboxMessage, OutboxState

log = structlog.get_logger(__name__)

Payload = Mapping[str, Any]
Handler = Callable[[Payload], None]

# Longer than any task may run (task_time_limit in config/celery.py): after that, whoever took it is dead.
LEASE = timedelta(seconds=330)
# The first retry waits this long, each further one twice as long as the one before, up to the longest.
_FIRST_RETRY_S = 30
_LONGEST_RETRY_S = 3600
# One sweep's work is bounded; the next sweep takes the rest.
MAX_HANDED_OVER = 200
MAX_ERROR_CHARS = 200


class Postpone(Exception):
    """Raised by a handler for which it is too early: not a failure, to be tried again after so many seconds."""

    def __init__(self, seconds: int) -> None:
        super().__init__(seconds)
        self.seconds = seconds


@dataclass(frozen=True, slots=True)
class _Kind:
    handle: Handler
    keep_trying: timedelta
    given_up: Handler | None


_kinds: dict[str, _Kind] = {}


def register(kind: str, handle: Handler, *, keep_trying: timedelta, given_up: Handler | None = None) -> None:
    """Let `handle(payload)` do messages of this kind; any exception means not done, to be tried again.

    After `keep_trying` since the message was put, the next failure is the last: `given_up(payload)` is told in the
    transaction that says so.
    """
    _kinds[kind] = _Kind(handle, keep_trying, given_up)


def put(kind: str, key: str, payload: Payload) -> None:
    """Write the message in the caller's transaction; a key that was put before changes nothing. Raises KeyError."""
    _kinds[kind]
    message, is_new = OutboxMessage.objects.get_or_create(key=key, defaults={"kind": kind, "payload": dict(payload)})
    if is_new:
        transaction.on_commit(lambda: _nudge(message.pk), robust=True)


def deliver(message_id: int) -> bool:
    """Do one message now unless somebody has it, it is not due or it was done; True when this call did it."""
    message = _take(message_id, timezone.now())
    if message is None:
        return False
    kind = _kinds.get(message.kind)
    try:
        if kind is None:
            raise LookupError(message.kind)
        kind.handle(message.payload)
    except Postpone as early:
        _retry_or_give_up(message, kind, timedelta(seconds=early.seconds), "")
    except Exception as error:
        # The boundary of every handler: what went wrong is kept on the row, and the sweep tries again.
        log.warning("outbox_message_not_done", kind=message.kind, message_id=message.pk, error=type(error).__name__)
        # Its name only: an exception's text may hold an address, or what a payment service said.
        _retry_or_give_up(message, kind, _pause_after(message.attempts), type(error).__name__[:MAX_ERROR_CHARS])
    else:
        _ours(message).update(state=OutboxState.DONE, done_at=timezone.now(), error="")
        return True
    return False


def hand_over_due(now: datetime) -> int:
    """Give Celery every message that is due, oldest first: what a dead broker or worker dropped. Returns how many."""
    due = OutboxMessage.objects.filter(state=OutboxState.PENDING, next_attempt_at__lte=now).order_by("next_attempt_at")
    message_ids = list(due.values_list("pk", flat=True)[:MAX_HANDED_OVER])
    for message_id in message_ids:
        _nudge(message_id)
    return len(message_ids)


def try_again(message_id: int) -> bool:
    """Give a message that was given up another try now; True when it was one."""
    with transaction.atomic():
        given_up = OutboxMessage.objects.filter(pk=message_id, state=OutboxState.GIVEN_UP)
        if not given_up.update(state=OutboxState.PENDING, done_at=None, next_attempt_at=timezone.now()):
            return False
        transaction.on_commit(lambda: _nudge(message_id), robust=True)
    return True


def _nudge(message_id: int) -> None:
    from outbox.tasks import deliver_message  # the task calls back into this module

    try:
        deliver_message.delay(message_id)
    except Exception as error:
        # A broker that is away loses nothing: the row is there, and the sweep looks for it.
        log.warning("outbox_not_nudged", message_id=message_id, error=type(error).__name__)


def _take(message_id: int, now: datetime) -> OutboxMessage | None:
    """Claim a due message by one conditional UPDATE: of any number who try, one changes the row."""
    due = OutboxMessage.objects.filter(pk=message_id, state=OutboxState.PENDING, next_attempt_at__lte=now)
    if not due.update(attempts=F("attempts") + 1, next_attempt_at=now + LEASE):
        return None
    return OutboxMessage.objects.get(pk=message_id)


def _ours(message: OutboxMessage) -> Any:
    # Taken since by somebody else, after our lease: then it is theirs to write.
    return OutboxMessage.objects.filter(pk=message.pk, state=OutboxState.PENDING, attempts=message.attempts)


def _retry_or_give_up(message: OutboxMessage, kind: _Kind | None, pause: timedelta, error: str) -> None:
    now = timezone.now()
    # A kind that this version does not know may be known to the next.
    if kind is None or now - message.created_at < kind.keep_trying:
        _ours(message).update(next_attempt_at=now + pause, error=error)
        return
    with transaction.atomic():
        if _ours(message).update(state=OutboxState.GIVEN_UP, done_at=now, error=error) and kind.given_up:
            kind.given_up(message.payload)
    log.error("outbox_message_given_up", kind=message.kind, message_id=message.pk)


def _pause_after(attempts: int) -> timedelta:
    return timedelta(seconds=min(_FIRST_RETRY_S * 2 ** min(attempts - 1, 16), _LONGEST_RETRY_S))
