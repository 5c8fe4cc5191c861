"""The admin's audit page: a kept result and a button for another, stale holds, unmatched events and the margin."""

import re
from datetime import timedelta

import pytest
from django.test import TestCase
from django.urls import reverse
from django.utils import timezone

from billing import audit_runs, ledger, margin
from billing.margin import Margin
from billing.models import AuditRun, Hold, RefusedDelivery, StripeEvent, Wallet
from billing.tasks import audit_books
from outbox.models import OutboxMessage
from tests.billing.money import NOON, give, hold
from tests.billing.office import listing, page, text

pytestmark = pytest.mark.django_db
MICRO = ledger.MICRO


@pytest.fixture
def audit_page():
    return reverse("admin:billing_wallet_audit")


@pytest.fixture
def voice_like():
    """Another app that knows what usage cost: two rows, one model twice."""
    rows = [Margin("mini", 3 * MICRO, 0, 2 * MICRO), Margin("mini", MICRO, 5, MICRO), Margin("grand", 9 * MICRO, 0, 0)]

    def source(since):
        return rows

    margin.register(source)
    yield rows
    margin._sources.remove(source)


def run_again(client):
    """Press the button, and let the worker have its turn."""
    with TestCase.captureOnCommitCallbacks(execute=True):
        return client.post(reverse("admin:billing_wallet_run_audit"), follow=True)


def an_event(state, **fields):
    handled_at = timezone.now() if state == "handled" else None
    number = StripeEvent.objects.count()
    return StripeEvent.objects.create(
        event_id=f"evt_{number}", type="refund.created", state=state, handled_at=handled_at, **fields
    )


def test_looking_recomputes_nothing(office, alice, audit_page, monkeypatch):
    monkeypatch.setattr("billing.audit_runs.audit_ledger", lambda: pytest.fail("recomputed"))
    assert "have not been recomputed yet" in text(office.get(audit_page))
    assert audit_page in text(office.get(listing(Wallet)))


def test_the_button_has_the_books_recomputed_and_the_page_keeps_what_was_found(office, alice, audit_page):
    assert "A worker recomputes" in text(run_again(office))
    shown = text(office.get(audit_page))
    assert "The ledger adds up" in shown and "asked for by olga@example.com" in shown
    assert "None: every open hold" in shown and "None: every event" in shown


def test_rows_that_do_not_agree_are_named(office, alice, audit_page, monkeypatch):
    monkeypatch.setattr(audit_runs, "FINDINGS_KEPT", 1)
    Wallet.objects.update(balance_micro=94, held_micro=1)
    run_again(office)
    shown = text(office.get(audit_page))
    assert f"Wallet {alice.wallet.pk}" in shown and "balance_micro is 94" in shown
    assert "held_micro is" not in shown and "There are more" in shown
    Wallet.objects.update(balance_micro=100, held_micro=0)


def test_two_who_press_at_once_share_one_audit(office, alice):
    office.post(reverse("admin:billing_wallet_run_audit"))
    office.post(reverse("admin:billing_wallet_run_audit"))
    assert AuditRun.objects.count() == OutboxMessage.objects.filter(kind=audit_runs.RUN).count() == 1


def test_while_one_is_under_way_there_is_no_button(office, alice, audit_page):
    office.post(reverse("admin:billing_wallet_run_audit"))
    shown = text(office.get(audit_page))
    assert "is under way" in shown and "Run again" not in shown


def test_one_whose_worker_died_does_not_stand_in_the_way(office, alice):
    AuditRun.objects.create(asked_at=timezone.now() - audit_runs.GIVEN_UP_AFTER)
    run_again(office)
    assert audit_runs.last_finished() is not None


def test_an_audit_that_was_done_is_not_done_again(alice):
    run = AuditRun.objects.create(finished_at=NOON)
    audit_runs.carry_out({"run_id": run.pk})
    run.refresh_from_db()
    assert run.finished_at == NOON


def test_the_schedule_audits_too_and_old_ones_are_forgotten(alice, monkeypatch):
    monkeypatch.setattr(audit_runs, "RUNS_KEPT", 2)
    for _ in range(3):
        with TestCase.captureOnCommitCallbacks(execute=True):
            audit_books()
    assert list(AuditRun.objects.values_list("asked_by", flat=True)) == ["", ""]


def test_the_margin_is_shown_a_row_a_model_and_in_all(office, alice, audit_page, voice_like):
    run_again(office)
    shown = re.sub(r"<[^>]*>", " ", text(office.get(audit_page)))
    rows = {" ".join(line.split()) for line in shown.splitlines()}
    assert {
        "grand 9.00 0.00 0.00 9.00 100",
        "mini 4.00 0.000005 3.00 1.00 25",
        "All 13.00 0.000005 3.00 10.00 76",
    } <= rows


def test_what_was_given_is_told_from_what_was_paid_for(office, alice, audit_page, voice_like):
    ledger.purchase(alice.id, 50 * MICRO, key="p", reference="purchase:x", description="Small")
    state = hold(alice, 20 * MICRO)
    ledger.capture(state.id, 10 * MICRO, key="r1")
    ledger.settle_hold(state.id)
    run = audit_runs.ask_for_audit("olga")
    audit_runs.carry_out({"run_id": run.pk})
    run.refresh_from_db()
    # The hundred micro-credits that Alice begins with were given, and go first.
    assert (run.spent_granted_micro, run.spent_purchased_micro) == (100, 10 * MICRO - 100)


def test_stale_holds_are_those_of_now(office, alice, audit_page):
    give(alice, MICRO)
    hold(alice, MICRO, expires_at=NOON)
    shown = text(office.get(audit_page))
    assert "1 open hold whose" in shown and page(Hold.objects.get()) in shown


def test_events_that_moved_nothing_though_they_should_have_are_listed(office, db, audit_page):
    now = timezone.now()
    missing = [
        an_event("failed", error="ConnectionError"),
        an_event("received", received_at=now - timedelta(hours=1)),
        an_event("refused", error="wrong_amount"),
    ]
    fine = [
        an_event("handled"),
        an_event("ignored"),
        an_event("received"),
        an_event("refused", received_at=now - timedelta(days=31)),
    ]
    shown = text(office.get(audit_page))
    assert "3 of Stripe" in shown and "wrong_amount" in shown
    assert all(page(event) in shown for event in missing)
    assert not any(page(event) in shown for event in fine)


def test_deliveries_that_were_turned_away_are_counted(office, db, audit_page):
    RefusedDelivery.objects.create(reason="bad_signature", count=7)
    RefusedDelivery.objects.create(reason="old", day=timezone.localdate() - timedelta(days=8))
    shown = text(office.get(audit_page))
    assert "7 × bad_signature" in shown and "× old" not in shown


def test_page_and_button_need_the_permission_to_see_wallets(clerk_with, audit_page):
    client = clerk_with()
    assert client.get(audit_page).status_code == 403
    assert client.post(reverse("admin:billing_wallet_run_audit")).status_code == 403
    assert not AuditRun.objects.exists()


def test_the_button_is_no_link(office):
    assert office.get(reverse("admin:billing_wallet_run_audit")).status_code == 405


def test_what_others_wrote_is_shown_as_text_and_nothing_is_inline(office, alice, audit_page):
    hold(alice, 5, reference="<b>bold</b>", expires_at=NOON)
    an_event("refused", error="<b>bold</b>")
    run_again(office)
    shown = text(office.get(audit_page))
    assert "<b>bold" not in shown
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", shown)
