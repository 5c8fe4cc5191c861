"""An organisation's entries as it may read them: filtered, in pages, and as a CSV file that no spreadsheet executes."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from uuid import UUID

from django.conf import settings
from django.db.models import QuerySet
from django.utils import timezone

from billing.formatting import format_exact_credits
from billing.models import Entry, EntryKind, Purchase, SignUpGrant, SignUpGrantStatus

KINDS = EntryKind.choices
CSV_HEADER = ("Time (UTC)", "Kind", "Credits", "Balance after", "For", "Description")
# What a spreadsheet takes for the beginning of a formula, or strips to find one.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
_NUMBER = re.compile(r"-?\d+(\.\d+)?")
_CHUNK = 500


class NothingGiven(StrEnum):
    """Why an organisation has not had the credits of signing up."""

    HAD_BEFORE = "had_before"
    PUT_OFF = "put_off"


@dataclass(frozen=True, slots=True)
class EntryFilter:
    """What a statement is narrowed to; days are inclusive, in the site's time zone."""

    kind: str = ""
    since: date | None = None
    until: date | None = None

    @property
    def is_on(self) -> bool:
        return self != EntryFilter()


def entries_matching(organisation_id: UUID, narrowed: EntryFilter) -> QuerySet[Entry]:
    """Return the organisation's entries that the filter lets through, newest first."""
    entries = Entry.objects.filter(wallet__organisation_id=organisation_id).order_by("-id")
    if narrowed.kind:
        entries = entries.filter(kind=narrowed.kind)
    if narrowed.since:
        entries = entries.filter(created_at__gte=_start_of(narrowed.since))
    # The last day of the calendar has no day after it, and no entry either.
    if narrowed.until and narrowed.until < date.max:
        entries = entries.filter(created_at__lt=_start_of(narrowed.until + timedelta(days=1)))
    return entries


def why_nothing_given(organisation_id: UUID) -> NothingGiven | None:
    """Return why an organisation whose wallet never moved began without credits; None if it did not, or none are given.

    Credits to start with belong to a person: who had them in another organisation, even a deleted one, has had them.
    """
    if not settings.SIGN_UP_CREDITS or Entry.objects.filter(wallet__organisation_id=organisation_id).exists():
        return None
    is_put_off = SignUpGrant.objects.filter(organisation_id=organisation_id, status=SignUpGrantStatus.REFUSED).exists()
    return NothingGiven.PUT_OFF if is_put_off else NothingGiven.HAD_BEFORE


def purchases_of(organisation_id: UUID) -> QuerySet[Purchase]:
    """Return what the organisation bought or began to buy, latest first."""
    purchases = Purchase.objects.select_related("receipt", "created_by").order_by("-created_at")
    return purchases.filter(organisation_id=organisation_id)


def find_purchase(purchase_id: UUID) -> Purchase:
    """Return the purchase that billing.signals named; raise Purchase.DoesNotExist."""
    return Purchase.objects.get(pk=purchase_id)


def csv_rows(organisation_id: UUID, narrowed: EntryFilter) -> Iterator[tuple[str, ...]]:
    """Yield the header and a row an entry, newest first. Amounts have all their decimals and no thousands marks.

    Text that a spreadsheet could take for a formula is led by an apostrophe.
    """
    yield CSV_HEADER
    for entry in entries_matching(organisation_id, narrowed).iterator(chunk_size=_CHUNK):
        row = (
            entry.created_at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S"),
            entry.get_kind_display(),
            _plain(entry.amount_micro),
            _plain(entry.balance_after_micro),
            entry.reference,
            entry.description,
        )
        yield tuple(as_text_cell(cell) for cell in row)


def as_text_cell(text: str) -> str:
    """Return a cell that no spreadsheet evaluates; a plain number, also a negative one, stays a number."""
    is_harmless = not text.startswith(_FORMULA_STARTS) or _NUMBER.fullmatch(text)
    return text if is_harmless else f"'{text}"


def _plain(amount_micro: int) -> str:
    return format_exact_credits(amount_micro).replace(",", "")


def _start_of(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
