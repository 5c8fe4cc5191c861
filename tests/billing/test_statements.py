import csv
import io
from datetime import UTC, date, datetime, timedelta

import pytest
from django.utils import timezone

from billing import ledger
from billing.statements import CSV_HEADER, EntryFilter, as_text_cell, csv_rows, entries_matching
from tests.factories import make_organisation

CREDIT = ledger.MICRO


@pytest.fixture
def organisation(db):
    organisation = make_organisation(credits=100)
    adjust(organisation, -1_234_567, "Corrected")
    return organisation


def adjust(organisation, amount_micro, reason):
    key = f"test:{reason}:{amount_micro}"
    ledger.adjust(organisation.pk, amount_micro, key=key, reason=reason, actor="operator@example.com")


def amounts(organisation, **narrowed):
    return [entry.amount_micro for entry in entries_matching(organisation.pk, EntryFilter(**narrowed))]


def test_entries_come_newest_first(organisation):
    assert amounts(organisation) == [-1_234_567, 100 * CREDIT]


def test_entries_are_narrowed_by_kind(organisation):
    assert amounts(organisation, kind="grant") == [100 * CREDIT]


def test_days_are_inclusive(organisation):
    today = timezone.localdate()
    assert len(amounts(organisation, since=today, until=today)) == 2
    assert amounts(organisation, since=today + timedelta(days=1)) == []
    assert amounts(organisation, until=today - timedelta(days=1)) == []


@pytest.mark.parametrize("days", [{"until": date.max}, {"since": date.min}, {"since": date.max, "until": date.min}])
def test_the_ends_of_the_calendar_are_days_like_others(organisation, days):
    assert isinstance(amounts(organisation, **days), list)


def test_another_organisations_entries_are_not_in_it(organisation):
    other = make_organisation("Other", credits=7)
    assert amounts(other) == [7 * CREDIT]


def test_the_file_has_every_decimal_and_no_thousands_marks(organisation):
    header, newest, oldest = csv_rows(organisation.pk, EntryFilter())
    assert header == CSV_HEADER
    assert newest[1:] == ("Adjustment", "-1.234567", "98.765433", "", "Corrected")
    assert oldest[2:4] == ("100.00", "100.00")
    assert datetime.strptime(newest[0], "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC) <= timezone.now()


def test_the_file_does_not_say_who_the_operator_was(organisation):
    assert "operator@example.com" not in str(list(csv_rows(organisation.pk, EntryFilter())))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1", '=HYPERLINK("http://x")', "-2+3|cmd", "%0"]
)
def test_no_spreadsheet_executes_a_cell(organisation, text):
    assert as_text_cell(text) == f"'{text}"


@pytest.mark.parametrize("text", ["-1.5", "12", "-0.000001", "Medium: 5,000 credits", "", "purchase:1"])
def test_numbers_and_plain_words_stay_as_they_are(text):
    assert as_text_cell(text) == text


def test_an_adjustments_reason_is_defused_in_the_file(organisation):
    adjust(organisation, CREDIT, '=cmd|"/c calc"!A1')
    written = io.StringIO()
    csv.writer(written).writerows(csv_rows(organisation.pk, EntryFilter()))
    assert list(csv.reader(io.StringIO(written.getvalue())))[1][5] == '\'=cmd|"/c calc"!A1'


def test_a_long_ledger_is_read_in_pieces(organisation, django_assert_num_queries):
    for number in range(3):
        adjust(organisation, CREDIT, f"more {number}")
    with django_assert_num_queries(1):
        assert len(list(csv_rows(organisation.pk, EntryFilter()))) == 6
