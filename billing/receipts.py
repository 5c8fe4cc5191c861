"""Receipts for what was paid: one a purchase, numbered without gaps, written once."""

import re
from datetime import date, datetime
from email.utils import parseaddr
from typing import Any
from uuid import UUID

import structlog
from django.conf import settings
from django.db import DatabaseError, transaction
from django.db.models import QuerySet
from django.dispatch import receiver
from django.utils import timezone

from accounts.countries import COUNTRIES
from billing import emails
from billing.formatting import format_credits
from billing.models import Purchase, Receipt, ReceiptSeries
from billing.models.purchase import CREDITED
from billing.signals import payment_succeeded

__all__ = [
    "Receipt", "ReceiptNotDue", "country_name", "find_receipt", "issue_missing", "issue_receipt", "lock_series",
    "money", "receipts_of", "series_name", "split_number", "take_number", "tax_id_name", "tax_name",
]  # fmt: skip

INDIA = "IN"
# Where a tax number is called so; elsewhere it is a tax ID, and the tax is tax.
_EUROPE = {
    "AT", "BE", "BG", "HR", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GB", "GR", "HU", "IE",
    "IT", "LT", "LU", "LV", "MT", "NL", "NO", "PL", "PT", "RO", "SE", "SI", "SK", "CH",
}  # fmt: skip
# India's financial year begins in April.
_INDIAN_YEAR_BEGINS = 4
_GSTIN = re.compile(r"\d{2}[0-9A-Z]{13}")
# One sweep's work is bounded; the next sweep takes the rest.
MAX_ISSUED_A_SWEEP = 100

log = structlog.get_logger(__name__)


class ReceiptNotDue(Exception):
    """The purchase was not paid, so there is nothing to give a receipt for."""

    def __init__(self, purchase_id: UUID) -> None:
        super().__init__(purchase_id)
        self.purchase_id = purchase_id


def issue_receipt(purchase_id: UUID) -> Receipt:
    """Return the purchase's receipt; the first time, number it, write it and mail the payers where it is.

    Joins the caller's transaction: the number is taken when it commits, and by nobody when it does not. Raises
    ReceiptNotDue, and Purchase.DoesNotExist.
    """
    with transaction.atomic():
        purchase = Purchase.objects.select_related("organisation").get(pk=purchase_id)
        made = Receipt.objects.filter(purchase=purchase).first()
        if made is not None:
            return made
        if not purchase.is_credited or purchase.paid_at is None:
            raise ReceiptNotDue(purchase_id)
        series = lock_series(series_name(timezone.localdate(), settings.SELLER_COUNTRY))
        # Somebody else may have written it while we waited for the lock.
        made = Receipt.objects.filter(purchase=purchase).first()
        return made or _write(purchase, purchase.paid_at, series)


def issue_missing(organisation_id: UUID | None = None) -> int:
    """Give paid purchases (of one organisation, or of all) the receipts that a fault left them without.

    Returns how many were written, MAX_ISSUED_A_SWEEP at most; one that fails is logged and left for the next sweep.
    """
    unwritten = Purchase.objects.filter(status__in=CREDITED, receipt__isnull=True)
    if organisation_id is not None:
        unwritten = unwritten.filter(organisation_id=organisation_id)
    written = 0
    for purchase_id in list(unwritten.order_by("paid_at").values_list("pk", flat=True)[:MAX_ISSUED_A_SWEEP]):
        try:
            issue_receipt(purchase_id)
        except (DatabaseError, ReceiptNotDue) as error:
            log.error("receipt_not_issued", purchase_id=str(purchase_id), error=type(error).__name__)
        else:
            written += 1
    return written


@receiver(payment_succeeded, dispatch_uid="billing.issue_receipt")
def issue_when_paid(*, purchase_id: UUID, **_: Any) -> None:
    issue_receipt(purchase_id)


def receipts_of(organisation_id: UUID) -> QuerySet[Receipt]:
    """Return the organisation's receipts, latest first."""
    return Receipt.objects.select_related("purchase").filter(purchase__organisation_id=organisation_id)


def find_receipt(organisation_id: UUID, full_number: str) -> Receipt | None:
    """Return the organisation's receipt of that number; None when it has none."""
    if not (parts := split_number(full_number)):
        return None
    return receipts_of(organisation_id).filter(series_id=parts[0], number=parts[1]).first()


def series_name(day: date, country: str) -> str:
    """`2026-27` in India, where a year's numbers begin in April, and `2026` elsewhere."""
    if country != INDIA:
        return str(day.year)
    first = day.year if day.month >= _INDIAN_YEAR_BEGINS else day.year - 1
    return f"{first}-{(first + 1) % 100:02}"


def country_name(code: str) -> str:
    return dict(COUNTRIES).get(code, code)


def tax_name(country: str) -> str:
    return "GST" if country == INDIA else "VAT" if country in _EUROPE else "Tax"


def tax_id_name(country: str) -> str:
    return "GSTIN" if country == INDIA else "VAT number" if country in _EUROPE else "Tax ID"


def money(amount_minor: int, currency: str) -> str:
    """`₹1,23,456.00` or `$12.34` from paise or cents."""
    return emails.money(amount_minor, currency)


def lock_series(name: str) -> ReceiptSeries:
    """Let nobody else take a number until the caller's transaction is over."""
    ReceiptSeries.objects.get_or_create(name=name)
    return ReceiptSeries.objects.select_for_update().get(name=name)


def take_number(series: ReceiptSeries) -> int:
    """Return the next number of the locked series; it is free again when the transaction fails."""
    series.last_number += 1
    series.save(update_fields=["last_number"])
    return series.last_number


def split_number(full_number: str) -> tuple[str, int] | None:
    """Return the series and the number of `2026-27-000042`; None when that is no number."""
    series, _, number = full_number.rpartition("-")
    return (series, int(number)) if number.isascii() and number.isdecimal() and len(number) <= 9 else None


def _write(purchase: Purchase, paid_at: datetime, series: ReceiptSeries) -> Receipt:
    seller, buyer = _seller(), _buyer(purchase)
    receipt = Receipt.objects.create(
        purchase=purchase,
        series=series,
        number=take_number(series),
        paid_at=paid_at,
        seller=seller,
        buyer=buyer,
        lines=[_line(purchase)],
        taxes=_taxes(purchase.tax_minor, seller, buyer),
        note=settings.SELLER_TAX_NOTE[:300],
        currency=purchase.currency,
        subtotal_minor=purchase.price_minor,
        discount_minor=purchase.discount_minor,
        tax_minor=purchase.tax_minor,
        total_minor=purchase.amount_minor,
    )
    emails.put_receipt_issued(
        purchase.organisation_id,
        purchase_id=purchase.pk,
        number=receipt.full_number,
        amount_minor=receipt.total_minor,
        currency=receipt.currency,
        path=f"{emails.BILLING_PATH}receipts/{receipt.full_number}/",
    )
    return receipt


def _seller() -> dict[str, Any]:
    return {
        "name": settings.SELLER_NAME,
        "address": [line.strip() for line in settings.SELLER_ADDRESS.replace("\\n", "\n").splitlines() if line.strip()],
        "country": settings.SELLER_COUNTRY,
        "tax_id": settings.SELLER_TAX_ID,
        "email": parseaddr(settings.SELLER_EMAIL)[1],
    }


def _buyer(purchase: Purchase) -> dict[str, Any]:
    address = purchase.buyer_address
    country = str(address.get("country") or purchase.organisation.country)
    place = " ".join(str(address[name]) for name in ("city", "state", "postal_code") if address.get(name))
    lines = [str(address.get("line1", "")), str(address.get("line2", "")), place, country_name(country)]
    return {
        "name": purchase.buyer_name or purchase.organisation.name,
        "organisation": purchase.organisation.name,
        "address": [line for line in lines if line],
        "country": country,
        "tax_id": purchase.buyer_tax_id,
        "email": purchase.buyer_email,
    }


def _line(purchase: Purchase) -> dict[str, Any]:
    credits = format_credits(purchase.credits_micro).removesuffix(".00")
    description = f"{purchase.bundle_name}: {credits} prepaid credits for voice calls"
    line = {"description": description, "quantity": 1, "amount_minor": purchase.price_minor}
    return line | {"tax_code": settings.SELLER_TAX_CODE} if settings.SELLER_TAX_CODE else line


def _taxes(tax_minor: int, seller: dict[str, Any], buyer: dict[str, Any]) -> list[dict[str, Any]]:
    """Name what was charged: in India as two halves within a state and whole between states, when both are known."""
    if not tax_minor:
        return []
    if seller["country"] == buyer["country"] == INDIA and _is_gstin(seller["tax_id"]) and _is_gstin(buyer["tax_id"]):
        # A GSTIN begins with its state's number.
        if seller["tax_id"][:2] != buyer["tax_id"][:2]:
            return [{"label": "IGST", "amount_minor": tax_minor}]
        half_minor = tax_minor // 2
        return [
            {"label": "CGST", "amount_minor": half_minor},
            {"label": "SGST", "amount_minor": tax_minor - half_minor},
        ]
    return [{"label": tax_name(seller["country"]), "amount_minor": tax_minor}]


def _is_gstin(tax_id: str) -> bool:
    return _GSTIN.fullmatch(tax_id.upper()) is not None
