import re
import threading
from datetime import date

import pytest
from django.db import IntegrityError, connection, transaction
from django.utils import timezone

from billing.exceptions import AppendOnly
from billing.models import Bundle, Purchase, PurchaseStatus, Receipt
from billing.receipt_pdf import receipt_pdf
from billing.receipts import (
    ReceiptNotDue,
    find_receipt,
    issue_missing,
    issue_receipt,
    receipts_of,
    series_name,
    tax_id_name,
    tax_name,
)
from billing.signals import payment_succeeded
from outbox.models import OutboxMessage
from tests.factories import make_organisation, make_user

GSTIN_DELHI, GSTIN_DELHI_TOO, GSTIN_KERALA = "07AAAAA0000A1Z5", "07BBBBB0000B1Z5", "32CCCCC0000C1Z5"


@pytest.fixture(autouse=True)
def seller(settings):
    settings.SELLER_NAME = "Parley Voice Private Limited"
    settings.SELLER_ADDRESS = "1 Lodhi Road\nNew Delhi 110003"
    settings.SELLER_COUNTRY = "IN"
    settings.SELLER_TAX_ID = GSTIN_DELHI
    settings.SELLER_EMAIL = "billing@example.com"
    return settings


@pytest.fixture
def organisation(db):
    return make_organisation("Rosewood Dental", make_user("alice@example.com"))


def make_purchase(organisation, **fields):
    """A paid purchase of 2,000 credits for ₹1,900 and 18 per cent of tax."""
    bundle, _ = Bundle.objects.get_or_create(slug="small", defaults={"name": "Small", "credits": 2000})
    defaults = {
        "bundle_name": bundle.name,
        "credits_micro": 2_000_000_000,
        "currency": "INR",
        "price_minor": 190_000,
        "tax_minor": 34_201,
        "amount_minor": 224_201,
        "status": PurchaseStatus.PAID,
        "paid_at": timezone.now(),
        "origin": "checkout",
        "buyer_name": "Rosewood Dental LLP",
        "buyer_email": "accounts@rosewood.example",
        "buyer_address": {"line1": "2 Rose Lane", "city": "New Delhi", "postal_code": "110001", "country": "IN"},
        "buyer_tax_id": GSTIN_DELHI_TOO,
    }
    return Purchase.objects.create(organisation=organisation, bundle=bundle, **{**defaults, **fields})


def test_a_receipt_has_the_next_number_of_its_series(organisation):
    first, second = (issue_receipt(make_purchase(organisation).pk) for _ in range(2))
    series = series_name(timezone.localdate(), "IN")
    assert (first.full_number, second.full_number) == (f"{series}-000001", f"{series}-000002")
    assert len(first.full_number) <= 16


def test_a_purchase_has_one_receipt_however_often_it_is_asked_for(organisation):
    purchase = make_purchase(organisation)
    assert issue_receipt(purchase.pk) == issue_receipt(purchase.pk)
    assert Receipt.objects.count() == 1


def test_a_transaction_that_fails_leaves_no_gap(organisation):
    with pytest.raises(RuntimeError), transaction.atomic():
        issue_receipt(make_purchase(organisation).pk)
        raise RuntimeError
    assert issue_receipt(make_purchase(organisation).pk).number == 1


@pytest.mark.parametrize("status", ["created", "pending", "failed", "expired"])
def test_what_was_not_paid_has_no_receipt_and_takes_no_number(organisation, status):
    unpaid = make_purchase(organisation, status=status, paid_at=None)
    with pytest.raises(ReceiptNotDue):
        issue_receipt(unpaid.pk)
    assert issue_receipt(make_purchase(organisation).pk).number == 1


@pytest.mark.parametrize("status", ["refunded", "partly_refunded", "disputed"])
def test_what_was_paid_and_given_back_keeps_its_receipt(organisation, status):
    assert issue_receipt(make_purchase(organisation, status=status).pk).total_minor == 224_201


def test_a_payment_is_followed_by_its_receipt_and_a_mail_to_the_payers(organisation):
    purchase = make_purchase(organisation)
    payment_succeeded.send(sender=Purchase, purchase_id=purchase.pk)
    mail = OutboxMessage.objects.get(key__contains=f"receipt:{purchase.pk}")
    assert mail.payload["path"] == f"/console/billing/receipts/{purchase.receipt.full_number}/"


def test_a_receipt_that_a_fault_prevented_is_written_later(organisation):
    early, late = make_purchase(organisation), make_purchase(organisation)
    make_purchase(organisation, status="failed", paid_at=None)
    issue_missing(organisation.pk)
    assert [receipt.purchase_id for receipt in receipts_of(organisation.pk)] == [late.pk, early.pk]


def test_a_receipt_stays_as_it_was_when_everything_else_changes(organisation, seller):
    purchase = make_purchase(organisation)
    receipt = issue_receipt(purchase.pk)
    seller.SELLER_NAME = "Another Ltd"
    Purchase.objects.filter(pk=purchase.pk).update(buyer_name="Somebody else", refunded_minor=100)
    Bundle.objects.update(name="Tiny")
    again = issue_receipt(purchase.pk)
    assert again.seller == receipt.seller and again.seller["name"] == "Parley Voice Private Limited"
    assert again.buyer["name"] == "Rosewood Dental LLP" and "Small: 2,000 prepaid" in again.lines[0]["description"]


def test_a_receipt_is_never_changed_or_deleted(organisation):
    receipt = issue_receipt(make_purchase(organisation).pk)
    for tamper in (
        receipt.save,
        receipt.delete,
        Receipt.objects.all().delete,
        lambda: Receipt.objects.update(note="x"),
    ):
        with pytest.raises(AppendOnly):
            tamper()


def test_the_database_refuses_a_receipt_that_does_not_add_up(organisation):
    receipt = issue_receipt(make_purchase(organisation).pk)
    other = make_purchase(organisation)
    fields = {field.attname: getattr(receipt, field.attname) for field in Receipt._meta.fields if field.name != "id"}
    with pytest.raises(IntegrityError), transaction.atomic():
        Receipt.objects.create(**{**fields, "purchase_id": other.pk, "number": 2, "total_minor": 1})


def test_the_sums_are_those_of_the_purchase(organisation):
    receipt = issue_receipt(make_purchase(organisation, discount_minor=10_000, amount_minor=214_201).pk)
    assert sum(line["amount_minor"] for line in receipt.lines) == receipt.subtotal_minor == 190_000
    assert sum(tax["amount_minor"] for tax in receipt.taxes) == receipt.tax_minor == 34_201
    assert (receipt.discount_minor, receipt.total_minor) == (10_000, 214_201)


@pytest.mark.parametrize(
    ("buyer_tax_id", "labels"),
    [(GSTIN_DELHI_TOO, ["CGST", "SGST"]), (GSTIN_KERALA, ["IGST"]), ("", ["GST"]), ("nonsense", ["GST"])],
)
def test_gst_is_split_within_a_state_and_whole_between_states(organisation, buyer_tax_id, labels):
    receipt = issue_receipt(make_purchase(organisation, buyer_tax_id=buyer_tax_id).pk)
    assert [tax["label"] for tax in receipt.taxes] == labels
    assert sum(tax["amount_minor"] for tax in receipt.taxes) == 34_201


def test_without_tax_none_is_named(organisation):
    assert issue_receipt(make_purchase(organisation, tax_minor=0, amount_minor=190_000).pk).taxes == []


def test_the_indian_year_of_numbers_begins_in_april():
    assert series_name(date(2027, 3, 31), "IN") == "2026-27" and series_name(date(2027, 4, 1), "IN") == "2027-28"
    assert series_name(date(2099, 12, 31), "IN") == "2099-00"
    assert series_name(date(2027, 3, 31), "DE") == "2027"


def test_taxes_are_called_what_the_country_calls_them():
    assert [(tax_name(country), tax_id_name(country)) for country in ("IN", "DE", "US")] == [
        ("GST", "GSTIN"), ("VAT", "VAT number"), ("Tax", "Tax ID")
    ]  # fmt: skip


def test_without_a_buyers_name_the_organisations_stands(organisation):
    receipt = issue_receipt(make_purchase(organisation, buyer_name="", buyer_address={}).pk)
    assert receipt.buyer["name"] == "Rosewood Dental" and receipt.buyer["address"] == []


def test_a_receipt_is_found_by_its_number_and_only_by_its_own_organisation(organisation):
    receipt = issue_receipt(make_purchase(organisation).pk)
    assert find_receipt(organisation.pk, receipt.full_number) == receipt
    assert find_receipt(make_organisation("Mallory Ltd").pk, receipt.full_number) is None


@pytest.mark.parametrize("number", ["", "-", "2026-27", "2026-27-", "x-000001", "2026-27-٣", "2026-27-" + "9" * 50])
def test_a_number_that_is_none_finds_nothing(organisation, number):
    issue_receipt(make_purchase(organisation).pk)
    assert find_receipt(organisation.pk, number) is None


@pytest.mark.db_concurrency
@pytest.mark.django_db(transaction=True)
def test_twenty_at_once_get_twenty_numbers_without_a_gap():
    organisation = make_organisation("Rosewood Dental")
    purchases = [make_purchase(organisation).pk for _ in range(10)]
    barrier = threading.Barrier(20)

    def issue(purchase_id):
        barrier.wait()
        try:
            issue_receipt(purchase_id)
        finally:
            connection.close()

    # Each purchase by two threads, as a redirect and a webhook might.
    threads = [threading.Thread(target=issue, args=[purchase_id]) for purchase_id in purchases * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(Receipt.objects.values_list("number", flat=True)) == list(range(1, 11))


def test_the_pdf_says_what_the_receipt_does(organisation):
    receipt = issue_receipt(make_purchase(organisation).pk)
    file = receipt_pdf(receipt)
    assert file.startswith(b"%PDF-") and len(re.findall(rb"/Type /Page\b", file)) == 1
    assert f"Receipt {receipt.full_number}".encode() in file


def test_the_pdf_of_a_receipt_is_always_the_same(organisation):
    receipt = issue_receipt(make_purchase(organisation).pk)
    assert receipt_pdf(receipt) == receipt_pdf(receipt)


def test_names_in_other_alphabets_and_very_long_ones_do_not_break_the_pdf(organisation):
    names = ["Stomatologia Żółć", "Οδοντίατρος", "Зубная клиника", "दंत चिकित्सा", "歯科", "😀" * 20, "W" * 200]
    for name in names:
        address = {"line1": name, "city": name, "country": "IN"}
        file = receipt_pdf(issue_receipt(make_purchase(organisation, buyer_name=name, buyer_address=address).pk))
        assert file.endswith(b"%%EOF\n")
