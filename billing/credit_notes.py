"""Credit notes for money that went back: one a refund or a lost dispute, numbered without gaps, written once.

Their series is their own. What becomes of the money later leaves them as they are, and makes some of them void.
"""

from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import Q, QuerySet, Sum
from django.dispatch import receiver
from django.utils import timezone

from billing import emails, receipts
from billing.models import CreditNote, Dispute, DisputeStatus, Receipt, ReceiptSeries, Refund, RefundStatus
from billing.signals import dispute_lost, refund_succeeded

__all__ = [
    "CreditNote", "CreditNoteNotDue", "credit_notes_of", "find_credit_note", "issue_credit_note", "issue_for_dispute",
    "issue_missing",
]  # fmt: skip

SERIES_PREFIX = "C"
MAX_ISSUED_A_SWEEP = 100

log = structlog.get_logger(__name__)


_VOID = Q(refund__status=RefundStatus.FAILED) | Q(dispute__status=DisputeStatus.WON)


class CreditNoteNotDue(Exception):
    """The money has not gone back for good, so there is nothing to give a credit note for."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause)
        self.cause = cause


def issue_credit_note(refund_id: UUID) -> CreditNote:
    """Return the refund's credit note; the first time, number it, write it and mail the payers where it is.

    Joins the caller's transaction, as issue_receipt does, and writes the receipt too if it is missing. Raises
    CreditNoteNotDue, and Refund.DoesNotExist.
    """
    with transaction.atomic():
        refund = Refund.objects.select_related("purchase").get(pk=refund_id)
        return _issue(refund, is_due=refund.status == RefundStatus.SUCCEEDED)


def issue_for_dispute(dispute_id: int) -> CreditNote:
    """As issue_credit_note, for a dispute that was lost. Raises CreditNoteNotDue, and Dispute.DoesNotExist."""
    with transaction.atomic():
        dispute = Dispute.objects.select_related("purchase").get(pk=dispute_id)
        return _issue(dispute, is_due=dispute.status == DisputeStatus.LOST and dispute.amount_minor > 0)


def issue_missing(organisation_id: UUID | None = None) -> int:
    """Give refunds and disputes (of one organisation, or of all) the credit notes that a fault left them without.

    Returns how many were written, MAX_ISSUED_A_SWEEP at most; one that fails is logged and left for the next sweep.
    """
    mine = Q() if organisation_id is None else Q(purchase__organisation_id=organisation_id)
    refunded = Refund.objects.filter(mine, status=RefundStatus.SUCCEEDED, credit_note__isnull=True)
    lost = Dispute.objects.filter(mine, status=DisputeStatus.LOST, amount_minor__gt=0, credit_note__isnull=True)
    unwritten: list[tuple[Callable[[Any], CreditNote], Any]] = [
        *((issue_credit_note, row_id) for row_id in _oldest_first(refunded)),
        *((issue_for_dispute, row_id) for row_id in _oldest_first(lost)),
    ]
    written = 0
    for issue, row_id in unwritten[:MAX_ISSUED_A_SWEEP]:
        try:
            issue(row_id)
        except (DatabaseError, CreditNoteNotDue, receipts.ReceiptNotDue) as error:
            log.error("credit_note_not_issued", cause_id=str(row_id), error=type(error).__name__)
        else:
            written += 1
    return written


@receiver(refund_succeeded, dispatch_uid="billing.issue_credit_note")
def issue_when_refunded(*, refund_id: UUID, **_: Any) -> None:
    issue_credit_note(refund_id)


@receiver(dispute_lost, dispatch_uid="billing.issue_credit_note_for_dispute")
def issue_when_lost(*, dispute_id: int, **_: Any) -> None:
    issue_for_dispute(dispute_id)


def find_credit_note(organisation_id: UUID, full_number: str) -> CreditNote | None:
    """Return the organisation's credit note of that number; None when it has none."""
    if not (parts := receipts.split_number(full_number)):
        return None
    return credit_notes_of(organisation_id).filter(series_id=parts[0], number=parts[1]).first()


def credit_notes_of(organisation_id: UUID) -> QuerySet[CreditNote]:
    """Return the organisation's credit notes, latest first."""
    notes = CreditNote.objects.select_related("receipt", "refund", "dispute")
    return notes.filter(receipt__purchase__organisation_id=organisation_id)


def _oldest_first(rows: QuerySet[Any]) -> list[Any]:
    return list(rows.order_by("created_at").values_list("pk", flat=True)[:MAX_ISSUED_A_SWEEP])


def _issue(cause: Refund | Dispute, *, is_due: bool) -> CreditNote:
    mine = Q(refund=cause) if isinstance(cause, Refund) else Q(dispute=cause)
    made = CreditNote.objects.filter(mine).first()
    if made is not None:
        return made
    if not is_due:
        raise CreditNoteNotDue(str(cause))
    # Locked in this order everywhere: the receipts' series, the credit notes' series.
    receipt = receipts.issue_receipt(cause.purchase_id)
    year = receipts.series_name(timezone.localdate(), settings.SELLER_COUNTRY)
    series = receipts.lock_series(f"{SERIES_PREFIX}{year}")
    # Somebody else may have written it while we waited for the lock.
    return CreditNote.objects.filter(mine).first() or _write(cause, receipt, series)


def _write(cause: Refund | Dispute, receipt: Receipt, series: ReceiptSeries) -> CreditNote:
    taxes = _taxes_of_part(receipt, cause.amount_minor)
    tax_minor = sum(tax["amount_minor"] for tax in taxes)
    subtotal_minor = cause.amount_minor - tax_minor
    is_refund = isinstance(cause, Refund)
    note = CreditNote.objects.create(
        refund=cause if isinstance(cause, Refund) else None,
        dispute=cause if isinstance(cause, Dispute) else None,
        receipt=receipt,
        series=series,
        number=receipts.take_number(series),
        seller=receipt.seller,
        buyer=receipt.buyer,
        lines=[_line(receipt, "Refund" if is_refund else "Dispute lost", subtotal_minor)],
        taxes=taxes,
        note=receipt.note,
        currency=receipt.currency,
        subtotal_minor=subtotal_minor,
        tax_minor=tax_minor,
        total_minor=cause.amount_minor,
    )
    emails.put_credit_note_issued(
        cause.purchase.organisation_id,
        cause=str(cause.pk) if is_refund else f"dispute:{cause.pk}",
        number=note.full_number,
        amount_minor=note.total_minor,
        currency=note.currency,
        path=f"{emails.BILLING_PATH}credit-notes/{note.full_number}/",
    )
    return note


def _line(receipt: Receipt, cause: str, amount_minor: int) -> dict[str, Any]:
    sold = receipt.lines[0]
    line = {"description": f"{cause}: {sold['description']}", "quantity": 1, "amount_minor": amount_minor}
    return line | {"tax_code": sold["tax_code"]} if "tax_code" in sold else line


def _taxes_of_part(receipt: Receipt, amount_minor: int) -> list[dict[str, Any]]:
    """The tax in this part of what was paid, by name: parts that add up to the whole give back the whole tax.

    Reckoned from everything given back so far, so that roundings of many small parts do not pile up.
    """
    standing = receipt.credit_notes.exclude(_VOID)
    before_minor = standing.aggregate(total=Sum("total_minor"))["total"] or 0
    after_minor = min(receipt.total_minor, before_minor + amount_minor)
    # Something is always left for what was sold.
    left_minor, taxes = amount_minor - 1, []
    for tax in receipt.taxes:
        whole_minor = tax["amount_minor"]
        until_now_minor = whole_minor * before_minor // receipt.total_minor
        part_minor = min(left_minor, whole_minor * after_minor // receipt.total_minor - until_now_minor)
        left_minor -= part_minor
        if part_minor > 0:
            taxes.append({"label": tax["label"], "amount_minor": part_minor})
    return taxes
