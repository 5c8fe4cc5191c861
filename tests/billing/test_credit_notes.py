"""Credit notes: one a refund or a lost dispute, numbered without gaps, giving back tax with its price."""

import re

import pytest
from django.db import IntegrityError, transaction
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from billing import credit_notes, purchases, receipts, refunds
from billing.credit_notes import CreditNoteNotDue, find_credit_note, issue_credit_note, issue_for_dispute
from billing.exceptions import AppendOnly
from billing.models import CreditNote, Dispute, Purchase, Receipt, Refund
from billing.receipt_pdf import credit_note_pdf
from billing.tasks import issue_missing_papers
from outbox.models import OutboxMessage
from tests.billing.money import an_organisation
from tests.billing.paying import start
from tests.billing.test_receipts import GSTIN_DELHI, GSTIN_DELHI_TOO, make_purchase
from tests.factories import add_member, make_user

pytestmark = pytest.mark.django_db


@pytest.fixture
def rosewood(settings):
    settings.SELLER_COUNTRY, settings.SELLER_TAX_ID, settings.SELLER_TAX_CODE = "IN", GSTIN_DELHI, "998439"
    organisation = an_organisation("Rosewood Dental")
    add_member(organisation, make_user("alice@example.com"), "owner")
    return organisation


def make_refund(purchase, amount_minor, status="succeeded"):
    return Refund.objects.create(purchase=purchase, amount_minor=amount_minor, credits_micro=0, status=status)


def test_the_first_has_the_first_number_of_a_series_of_its_own(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 100).pk)
    assert re.fullmatch(r"C\d{4}-\d{2}-000001", note.full_number) and len(note.full_number) <= 16
    assert note.receipt.full_number == note.full_number[1:]


def test_a_refund_has_one_however_often_it_is_asked_for(rosewood):
    refund = make_refund(make_purchase(rosewood), 100)
    assert issue_credit_note(refund.pk) == issue_credit_note(refund.pk)
    assert CreditNote.objects.count() == 1


def test_a_transaction_that_fails_leaves_no_gap(rosewood):
    purchase = make_purchase(rosewood)
    with pytest.raises(RuntimeError), transaction.atomic():
        issue_credit_note(make_refund(purchase, 100).pk)
        raise RuntimeError
    assert issue_credit_note(make_refund(purchase, 100).pk).number == 1


@pytest.mark.parametrize("status", ["requested", "pending", "failed"])
def test_money_that_did_not_go_back_has_none(rosewood, status):
    refund = make_refund(make_purchase(rosewood), 100, status)
    with pytest.raises(CreditNoteNotDue):
        issue_credit_note(refund.pk)


def test_a_full_refund_gives_back_the_whole_tax_by_name(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 224_201).pk)
    assert (note.subtotal_minor, note.tax_minor, note.total_minor) == (190_000, 34_201, 224_201)
    assert note.taxes == note.receipt.taxes and [tax["label"] for tax in note.taxes] == ["CGST", "SGST"]


def test_parts_give_back_their_share_of_the_tax(rosewood):
    purchase = make_purchase(rosewood)
    half, rest = (issue_credit_note(make_refund(purchase, part).pk) for part in (112_100, 112_101))
    assert abs(half.tax_minor - 34_201 // 2) <= 1
    assert half.tax_minor + rest.tax_minor == 34_201


def test_both_parties_and_the_tax_code_stand_as_on_the_receipt(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 100).pk)
    assert (note.seller, note.buyer) == (note.receipt.seller, note.receipt.buyer)
    assert note.buyer["tax_id"] == GSTIN_DELHI_TOO and note.lines[0]["tax_code"] == "998439"


def test_the_payers_are_told_where_it_is(rosewood):
    refund = make_refund(make_purchase(rosewood), 100)
    note = issue_credit_note(refund.pk)
    mail = OutboxMessage.objects.get(key__contains=f"credit_note:{refund.pk}")
    assert mail.payload["path"] == f"/console/billing/credit-notes/{note.full_number}/"


def test_it_is_never_changed_or_deleted(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 100).pk)
    for tamper in (note.save, note.delete, CreditNote.objects.all().delete):
        with pytest.raises(AppendOnly):
            tamper()


def test_it_is_found_by_its_number_and_only_by_its_own_organisation(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 100).pk)
    assert find_credit_note(rosewood.pk, note.full_number) == note
    assert find_credit_note(an_organisation("Mallory Ltd").pk, note.full_number) is None
    assert find_credit_note(rosewood.pk, note.receipt.full_number) is None


def test_the_pdf_says_what_it_is_and_what_it_is_for(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 100).pk)
    file = credit_note_pdf(note)
    assert file.startswith(b"%PDF-") and len(re.findall(rb"/Type /Page\b", file)) == 1
    assert f"Credit note {note.full_number}".encode() in file


def test_the_sweep_writes_what_faults_left_out(rosewood):
    paid, refunded = make_purchase(rosewood), make_purchase(rosewood)
    refund = make_refund(refunded, 100)
    make_refund(refunded, 100, status="failed")
    issue_missing_papers()
    assert set(Receipt.objects.values_list("purchase_id", flat=True)) == {paid.pk, refunded.pk}
    assert list(CreditNote.objects.values_list("refund_id", flat=True)) == [refund.pk]


def test_one_sweep_has_a_bound_and_the_next_takes_the_rest(rosewood, monkeypatch):
    monkeypatch.setattr(receipts, "MAX_ISSUED_A_SWEEP", 2)
    for _ in range(3):
        make_purchase(rosewood)
    assert (receipts.issue_missing(), receipts.issue_missing(), receipts.issue_missing()) == (2, 1, 0)


def test_the_sweep_goes_on_after_a_paper_that_cannot_be_written(rosewood, monkeypatch):
    broken, fine = (make_refund(make_purchase(rosewood), 100) for _ in range(2))
    issue = credit_notes.issue_credit_note
    monkeypatch.setattr(
        credit_notes,
        "issue_credit_note",
        lambda refund_id: issue(make_refund(broken.purchase, 1, "failed").pk if refund_id == broken.pk else refund_id),
    )
    assert credit_notes.issue_missing() == 1
    assert CreditNote.objects.get().refund == fine


@pytest.fixture
def bought(stripe, rosewood, ann):
    purchase = start(rosewood, ann)
    stripe.pay(purchase.stripe_checkout_id)
    return purchases.apply_checkout(purchase.stripe_checkout_id)


def test_a_refund_is_followed_by_its_credit_note_at_once(bought):
    refund = refunds.refund(bought, 10_000, reason="asked for it", actor="olga")
    assert refund.credit_note.total_minor == 10_000


def test_a_pending_refund_gets_it_when_the_money_has_gone(stripe, bought):
    refund = stripe.refund(bought.stripe_payment_intent_id, 10_000, status="pending")
    refunds.settle_refund(bought.pk, refunds.payments.fetch_refund(refund["id"]))
    assert not CreditNote.objects.exists()
    stripe.change_refund(refund["id"], "succeeded")
    refunds.settle_refund(bought.pk, refunds.payments.fetch_refund(refund["id"]))
    assert CreditNote.objects.get().total_minor == 10_000


def test_a_refund_that_fails_later_leaves_it_void_and_its_tax_can_be_given_back_again(stripe, bought):
    refund = stripe.refund(bought.stripe_payment_intent_id, bought.amount_minor)
    refunds.settle_refund(bought.pk, refunds.payments.fetch_refund(refund["id"]))
    stripe.change_refund(refund["id"], "failed")
    refunds.settle_refund(bought.pk, refunds.payments.fetch_refund(refund["id"]))
    assert CreditNote.objects.get().is_void
    again = refunds.refund(Purchase.objects.get(), bought.amount_minor, reason="again", actor="olga")
    assert not again.credit_note.is_void and again.credit_note.tax_minor == bought.tax_minor


def settle_dispute(stripe, bought, dispute, status):
    stripe.change_dispute(dispute["id"], status)
    return refunds.settle_dispute(bought.pk, refunds.payments.fetch_dispute(dispute["id"]))


def test_a_lost_dispute_is_followed_by_its_credit_note_at_once(stripe, bought):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 10_000)
    assert not CreditNote.objects.filter(dispute__isnull=False).exists()
    row = settle_dispute(stripe, bought, dispute, "lost")
    assert (row.credit_note.total_minor, row.credit_note.refund) == (10_000, None)
    assert row.credit_note.lines[0]["description"].startswith("Dispute lost: ")
    assert OutboxMessage.objects.filter(key__contains=f"credit_note:dispute:{row.pk}").exists()


def test_an_open_dispute_has_no_credit_note(stripe, bought):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 10_000)
    row = refunds.settle_dispute(bought.pk, refunds.payments.fetch_dispute(dispute["id"]))
    with pytest.raises(CreditNoteNotDue):
        issue_for_dispute(row.pk)


def test_a_dispute_won_on_appeal_leaves_its_note_void(stripe, bought, rosewood):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, bought.amount_minor)
    settle_dispute(stripe, bought, dispute, "lost")
    settle_dispute(stripe, bought, dispute, "won")
    note = CreditNote.objects.get()
    assert note.is_void
    assert find_credit_note(rosewood.pk, note.full_number).is_void


def test_a_dispute_in_another_currency_gives_back_all_that_was_charged(stripe, bought):
    dispute = stripe.dispute(bought.stripe_payment_intent_id, 6, currency="usd")
    row = settle_dispute(stripe, bought, dispute, "lost")
    assert row.credit_note.total_minor == row.amount_minor == bought.amount_minor


def test_the_sweep_writes_the_note_of_a_dispute_that_a_fault_left_out(rosewood):
    purchase = make_purchase(rosewood)
    for number, status in enumerate(["open", "lost", "won"]):
        Dispute.objects.create(
            stripe_dispute_id=f"dp_{number}", purchase=purchase, amount_minor=100, credits_micro=0, status=status
        )
    issue_missing_papers()
    assert [note.dispute.status for note in CreditNote.objects.all()] == ["lost"]


def test_a_note_for_nothing_in_particular_is_refused_by_the_database(rosewood):
    note = issue_credit_note(make_refund(make_purchase(rosewood), 100).pk)
    values = {field.attname: getattr(note, field.attname) for field in CreditNote._meta.fields}
    with pytest.raises(IntegrityError), transaction.atomic():
        CreditNote.objects.create(**values | {"id": None, "number": 2, "refund_id": None})


class TestAnyWayOfRefunding(TestCase):
    @given(
        price_minor=st.integers(1, 500),
        tax_minor=st.integers(0, 200),
        cuts=st.lists(st.integers(1, 700), max_size=5),
    )
    @hypothesis_settings(max_examples=40, deadline=None)
    def test_notes_add_up_and_never_give_back_more_tax_than_was_paid(self, price_minor, tax_minor, cuts):
        organisation = an_organisation()
        total_minor = price_minor + tax_minor
        purchase = make_purchase(
            organisation, price_minor=price_minor, tax_minor=tax_minor, amount_minor=total_minor, buyer_tax_id=""
        )
        edges = sorted({0, total_minor, *(cut for cut in cuts if cut < total_minor)})
        parts = [end - start for start, end in zip(edges, edges[1:], strict=False)]
        notes = [issue_credit_note(make_refund(purchase, part).pk) for part in parts]
        assert sum(note.total_minor for note in notes) == total_minor
        assert sum(note.tax_minor for note in notes) <= tax_minor
        if min(parts) > 1 and price_minor > tax_minor:
            assert sum(note.tax_minor for note in notes) == tax_minor
