import pytest
from django.utils import timezone

from billing.credit_notes import issue_credit_note
from billing.models import Dispute, Receipt, Refund
from billing.receipts import issue_receipt
from tests.voice.views.billing_pages import make_purchase


@pytest.fixture
def bob(client, cast):
    client.force_login(cast.bob)
    return cast.bob


@pytest.fixture
def receipt(cast, settings):
    settings.SELLER_NAME, settings.SELLER_TAX_ID, settings.SELLER_COUNTRY = "Parley Ltd", "07AAAAA0000A1Z5", "IN"
    purchase = make_purchase(cast.organisation, tax_minor=342, amount_minor=2_242, buyer_tax_id="US-99")
    return issue_receipt(purchase.pk)


@pytest.fixture
def note(receipt):
    """Half of it given back."""
    refund = Refund.objects.create(
        purchase=receipt.purchase, amount_minor=1_121, credits_micro=500_000_000, status="succeeded"
    )
    return issue_credit_note(refund.pk)


def paths_of(receipt):
    number = receipt.full_number
    return [
        f"/console/billing/purchases/{receipt.purchase_id}/",
        f"/console/billing/receipts/{number}/",
        f"/console/billing/receipts/{number}/pdf/",
    ]


def test_without_purchases_the_page_leads_to_the_bundles(client, bob):
    assert b"Nothing bought yet" in client.get("/console/billing/purchases/").content


def test_every_paid_purchase_is_listed_with_its_receipt(client, bob, cast):
    paid, failed = make_purchase(cast.organisation), make_purchase(cast.organisation, status="failed")
    number = issue_receipt(paid.pk).full_number
    page = client.get("/console/billing/purchases/").content.decode()
    assert str(paid.pk) in page and str(failed.pk) in page and number in page


def test_looking_at_a_purchase_writes_nothing(client, bob, cast):
    """A receipt that a fault left out is the sweep's to write, not the reader's."""
    paid = make_purchase(cast.organisation)
    client.get("/console/billing/purchases/")
    assert b"being written" in client.get(f"/console/billing/purchases/{paid.pk}/").content
    assert not Receipt.objects.exists()


@pytest.mark.parametrize(
    ("status", "words"),
    [
        ("paid", "Paid"),
        ("pending", "The bank has not decided yet"),
        ("created", "The payment page was left"),
        ("failed", "The bank declined the card"),
        ("expired", "open for too long"),
        ("disputed", "The payment is disputed"),
        ("refunded", "Refunded"),
    ],
)
def test_a_purchase_says_where_its_payment_stands(client, bob, cast, status, words):
    purchase = make_purchase(cast.organisation, status=status)
    assert words in client.get(f"/console/billing/purchases/{purchase.pk}/").content.decode()


def test_a_failure_to_confirm_is_told_as_such(client, bob, cast):
    purchase = make_purchase(cast.organisation, status="failed", failure="authentication_required")
    assert b"holder to confirm" in client.get(f"/console/billing/purchases/{purchase.pk}/").content


def test_what_came_back_of_a_payment_is_shown(client, bob, cast):
    purchase = make_purchase(cast.organisation, status="partly_refunded", refunded_minor=500)
    Refund.objects.create(purchase=purchase, amount_minor=500, credits_micro=526_315_789, status="succeeded")
    Dispute.objects.create(
        purchase=purchase, stripe_dispute_id="dp_1", amount_minor=100, credits_micro=1_000_000, status="open"
    )
    page = client.get(f"/console/billing/purchases/{purchase.pk}/").content.decode()
    assert "$5.00" in page and "526.32" in page and "the money is withdrawn" in page


def test_a_receipt_shows_both_parties_with_their_tax_numbers_and_the_sums(client, bob, receipt):
    page = client.get(f"/console/billing/receipts/{receipt.full_number}/").content.decode()
    for words in ("Parley Ltd", "GSTIN 07AAAAA0000A1Z5", "Rosewood Dental Inc.", "Tax ID US-99", "United States"):
        assert words in page
    assert "$19.00" in page and "$3.42" in page and "$22.42" in page


def test_a_receipt_can_be_kept_as_pdf(client, bob, receipt):
    response = client.get(f"/console/billing/receipts/{receipt.full_number}/pdf/")
    assert response["Content-Type"] == "application/pdf" and response.content.startswith(b"%PDF-")
    assert f"receipt-{receipt.full_number}.pdf" in response["Content-Disposition"]


def test_a_buyers_name_is_escaped(client, bob, cast):
    purchase = make_purchase(cast.organisation, buyer_name="<script>alert(1)</script>")
    number = issue_receipt(purchase.pk).full_number
    assert b"<script>alert" not in client.get(f"/console/billing/receipts/{number}/").content


def test_a_purchase_without_its_buyer_says_so(client, bob, cast):
    purchase = make_purchase(cast.organisation, paid_at=timezone.now())
    assert b"somebody who has left" in client.get(f"/console/billing/purchases/{purchase.pk}/").content


@pytest.mark.parametrize("number", ["nonsense", "2026-27-999999", "%00", "a" * 300])
def test_a_number_that_is_none_is_not_found(client, bob, receipt, number):
    assert client.get(f"/console/billing/receipts/{number}/").status_code == 404


def test_for_mallory_neither_purchase_nor_receipt_exists(client, cast, receipt):
    client.force_login(cast.mallory)
    for path in paths_of(receipt):
        assert client.get(path).status_code == 404
    assert receipt.full_number not in client.get("/console/billing/purchases/").content.decode()


def test_a_stranger_logs_in_first(client, receipt):
    for path in paths_of(receipt):
        assert client.get(path).url.startswith("/accounts/login/")


def test_a_credit_note_shows_both_parties_the_receipt_and_what_was_given_back(client, bob, receipt, note):
    page = client.get(f"/console/billing/credit-notes/{note.full_number}/").content.decode()
    for words in ("Credit note", receipt.full_number, "GSTIN 07AAAAA0000A1Z5", "Tax ID US-99", "$1.71", "$11.21"):
        assert words in page
    assert "Void" not in page


def test_a_credit_note_can_be_kept_as_pdf(client, bob, note):
    response = client.get(f"/console/billing/credit-notes/{note.full_number}/pdf/")
    assert response.content.startswith(b"%PDF-")
    assert f"credit-note-{note.full_number}.pdf" in response["Content-Disposition"]


def test_a_refund_that_failed_later_makes_its_credit_note_void(client, bob, note):
    Refund.objects.update(status="failed")
    assert b"Void" in client.get(f"/console/billing/credit-notes/{note.full_number}/").content


def test_purchase_and_receipt_lead_to_the_credit_note(client, bob, receipt, note):
    for path in paths_of(receipt)[:2]:
        assert f"/console/billing/credit-notes/{note.full_number}/".encode() in client.get(path).content


def test_for_mallory_and_strangers_a_credit_note_does_not_exist(client, cast, note):
    path = f"/console/billing/credit-notes/{note.full_number}/"
    assert client.get(path).url.startswith("/accounts/login/")
    client.force_login(cast.mallory)
    assert client.get(path).status_code == client.get(f"{path}pdf/").status_code == 404


def test_the_operators_code_of_what_is_sold_stands_on_the_receipt(client, bob, cast, settings):
    settings.SELLER_TAX_CODE = "998439"
    number = issue_receipt(make_purchase(cast.organisation).pk).full_number
    assert b"HSN/SAC 998439" in client.get(f"/console/billing/receipts/{number}/").content
