"""Bring a ready note to every CRM of its organisation: each once, tried for a day, then left to a person."""

from datetime import timedelta
from uuid import UUID

import structlog
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from outbox import messages as outbox
from voice.models import CrmConnection, CrmDelivery, CrmDeliveryState, Note
from voice.notes.crm.base import CrmError, Permanent, Progress, Temporary
from voice.notes.crm.registry import crm_of
from voice.notes.reading import CalledNote, called_note

log = structlog.get_logger(__name__)

DELIVER_NOTE = "deliver_note"
KEEP_TRYING = timedelta(days=1)
_FIRST_PAUSE_S = 30
_LONGEST_PAUSE_S = 3600
_ID_CHARS = 120


def put_deliveries(note: Note) -> None:
    """Send the note to every active connection of its organisation; in the caller's transaction, once a connection."""
    active = CrmConnection.objects.filter(organisation_id=note.organisation_id, is_active=True)
    for connection_id in active.values_list("pk", flat=True):
        delivery, is_new = CrmDelivery.objects.get_or_create(connection_id=connection_id, note=note)
        if is_new:
            _put(delivery)


def replay(delivery_id: UUID) -> bool:
    """Give a delivery that was given up another day; True when it was one."""
    with transaction.atomic():
        dead = CrmDelivery.objects.filter(pk=delivery_id, state=CrmDeliveryState.DEAD)
        if not dead.update(state=CrmDeliveryState.PENDING, replays=F("replays") + 1):
            return False
        _put(CrmDelivery.objects.get(pk=delivery_id))
    return True


def deliver_note(delivery_id: UUID) -> None:
    """Make one attempt. Raises outbox.Postpone when there is to be another."""
    delivery = _take(delivery_id)
    if delivery is None:
        return
    note = called_note(delivery.note)
    if note is None:
        # Its words were deleted before they could be passed on.
        _end(delivery, CrmDeliveryState.CANCELLED)
        return
    try:
        external_id = _deliver(delivery, note)
    except Permanent as error:
        _end(delivery, CrmDeliveryState.DEAD, error)
    except Temporary as error:
        _write_problem(delivery, error)
        pause_s = min(_FIRST_PAUSE_S * 2 ** min(delivery.attempts - 1, 16), _LONGEST_PAUSE_S)
        raise outbox.Postpone(max(pause_s, error.retry_after_s or 0)) from None
    else:
        _end(delivery, CrmDeliveryState.DELIVERED, external_id=external_id)


def give_up(delivery_id: UUID) -> None:
    """Leave a delivery to a person; in the transaction that gives its message up."""
    pending = CrmDelivery.objects.filter(pk=delivery_id, state=CrmDeliveryState.PENDING)
    if pending.update(state=CrmDeliveryState.DEAD):
        log.error("crm_delivery_given_up", delivery_id=str(delivery_id))


def check_connection(connection_id: UUID) -> str:
    """Test a connection now and keep the result; return "" or what is wrong, one of crm.base.PROBLEMS."""
    try:
        crm_of(connection_id).test_connection()
        problem = ""
    except CrmError as error:
        problem = error.problem
    CrmConnection.objects.filter(pk=connection_id).update(tested_at=timezone.now(), test_problem=problem)
    return problem


def _put(delivery: CrmDelivery) -> None:
    outbox.put(DELIVER_NOTE, f"{DELIVER_NOTE}:{delivery.pk}:{delivery.replays}", {"delivery_id": str(delivery.pk)})


def _take(delivery_id: UUID) -> CrmDelivery | None:
    """Count the attempt before it is made: whoever comes after a killed worker knows that it is not the first."""
    with transaction.atomic():
        pending = CrmDelivery.objects.filter(pk=delivery_id, state=CrmDeliveryState.PENDING)
        if not pending.update(attempts=F("attempts") + 1, attempted_at=timezone.now()):
            return None
        return CrmDelivery.objects.select_related("note").get(pk=delivery_id)


def _deliver(delivery: CrmDelivery, note: CalledNote) -> str:
    if not CrmConnection.objects.filter(pk=delivery.connection_id, is_active=True).exists():
        raise Temporary("inactive")

    def keep_contact(contact_id: str) -> None:
        CrmDelivery.objects.filter(pk=delivery.pk).update(contact_id=contact_id[:_ID_CHARS])

    progress = Progress(delivery.attempts == 1, delivery.contact_id, keep_contact)
    return crm_of(delivery.connection_id).deliver(note, progress)


def _write_problem(delivery: CrmDelivery, error: CrmError) -> None:
    log.info("crm_delivery_postponed", delivery_id=str(delivery.pk), problem=error.problem, status=error.status)
    pending = CrmDelivery.objects.filter(pk=delivery.pk, state=CrmDeliveryState.PENDING)
    pending.update(problem=error.problem, status_code=error.status)


def _end(
    delivery: CrmDelivery, state: CrmDeliveryState, error: CrmError | None = None, *, external_id: str = ""
) -> None:
    pending = CrmDelivery.objects.filter(pk=delivery.pk, state=CrmDeliveryState.PENDING)
    pending.update(
        state=state,
        problem=error.problem if error else "",
        status_code=error.status if error else None,
        external_id=external_id[:_ID_CHARS],
        delivered_at=timezone.now() if state == CrmDeliveryState.DELIVERED else None,
    )
    if error:
        log.error("crm_delivery_dead", delivery_id=str(delivery.pk), problem=error.problem, status=error.status)
