"""Any order of events, with repeats, delays and deaths in between, leaves the wallet that the payments say.

Buyers and banks move Stripe's objects; what that told is delivered whenever, as often as, and as far as chance has it.
In the end each event has arrived once at least, and the wallet is computed from Stripe's objects alone.
"""

import uuid
from datetime import timedelta
from functools import partial

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Group
from django.db import connection, transaction
from django.utils import timezone
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from billing import event_handlers, purchases, refunds
from billing.audit import audit_ledger
from billing.exceptions import PaymentError
from billing.ledger import balance_of
from billing.models import Entry, Purchase, StripeEvent
from billing.signals import payment_succeeded
from billing.stripe import checkout, payments
from billing.stripe.webhook import notice_of
from tests.billing.budgets import runs
from tests.billing.dying import DyingAt, Killed
from tests.billing.money import an_organisation
from tests.billing.paying import a_bundle, start

REFUND_PARTS = st.sampled_from([1, 3, 10_000, 16_667])


class PaymentsMachine(RuleBasedStateMachine):
    stripe = None

    def __init__(self):
        super().__init__()
        self.savepoint = transaction.atomic()
        self.savepoint.__enter__()
        self.stripe.reset()
        self.organisation = an_organisation()
        self.user = get_user_model().objects.create_user("ann@example.com", None)
        self.attempts = 0
        # What slow workers heard from Stripe and have not written down yet.
        self.late = []
        payment_succeeded.connect(self.hear)
        # What matters most happens to money that came, so some always has, though nobody heard of it yet.
        self.stripe.pay(start(self.organisation, self.user).stripe_checkout_id)

    def teardown(self):
        try:
            for event in self.stripe.events[::-1]:
                self.tell(event)
            for write_down in self.late:
                write_down()
            event_handlers.sweep(timezone.now() + timedelta(days=1))
            assert balance_of(self.organisation.id).balance_micro == self.due_micro()
            assert set(StripeEvent.objects.values_list("state", flat=True)) <= {"handled", "ignored"}
            for purchase in Purchase.objects.all():
                assert (purchase.is_credited, purchase.status) == self.due_status(purchase)
            assert self.told() == sorted(str(purchase.pk) for purchase in Purchase.objects.exclude(paid_at=None))
            assert list(audit_ledger()) == []
        finally:
            payment_succeeded.disconnect(self.hear)
            transaction.set_rollback(True)
            self.savepoint.__exit__(None, None, None)

    def hear(self, purchase_id, **_):
        """Note that it was announced in some row, so that a death undoes the note with the announcement."""
        Group.objects.create(name=f"{purchase_id} {uuid.uuid4()}")

    def told(self):
        return sorted(name.partition(" ")[0] for name in Group.objects.values_list("name", flat=True))

    def due_status(self, purchase):
        """Whether the purchase should be credited, and the status that it should have, by Stripe's objects."""
        paid = self.payments_of(purchase)
        if not paid:
            return False, purchase.status
        taken = [made for made in self.of_kind("refund", "dispute") if made["payment_intent"] == paid[0]["id"]]
        taken = [made for made in taken if made["status"] not in ("failed", "won")]
        refunded_minor = sum(made["amount"] for made in taken if made["object"] == "refund")
        if any(made["object"] == "dispute" for made in taken):
            return True, "disputed"
        if refunded_minor >= paid[0]["amount"]:
            return True, "refunded"
        return True, "partly_refunded" if refunded_minor else "paid"

    def due_micro(self):
        return sum(self.due_for_micro(purchase) for purchase in Purchase.objects.all())

    def due_for_micro(self, purchase):
        """What the purchase should have brought, by Stripe's objects."""
        paid = self.payments_of(purchase)
        if not paid:
            return 0
        due_micro = purchase.credits_micro
        for taken in self.of_kind("refund", "dispute"):
            if taken["payment_intent"] == paid[0]["id"] and taken["status"] not in ("failed", "won"):
                due_micro -= purchase.credits_micro * taken["amount"] // paid[0]["amount"]
        return due_micro

    def of_kind(self, *kinds):
        return [made for made in self.stripe.objects.values() if made["object"] in kinds]

    def payments_of(self, purchase):
        return [
            payment
            for payment in self.of_kind("payment_intent")
            if payment["metadata"]["purchase_id"] == str(purchase.id) and payment["status"] == "succeeded"
        ]

    def sessions(self, **wanted):
        return [made for made in self.of_kind("checkout.session") if wanted.items() <= made.items()]

    def paid(self):
        return [payment for payment in self.of_kind("payment_intent") if payment["status"] == "succeeded"]

    def left_minor(self, payment):
        taken = [made for made in self.of_kind("refund", "dispute") if made["payment_intent"] == payment["id"]]
        return payment["amount"] - sum(made["amount"] for made in taken if made["status"] not in ("failed", "won"))

    def tell(self, event):
        event_handlers.store(notice_of(event))
        event_handlers.handle(event["id"])

    # Buyers, banks and the operator.

    @rule(data=st.data(), how=st.sampled_from(["pay", "pay_later", "expire"]))
    def a_buyer_opens_a_page_and_decides(self, data, how):
        purchase = start(self.organisation, self.user, data.draw(st.sampled_from(["starter", "huge"])))
        getattr(self.stripe, how)(purchase.stripe_checkout_id)

    @rule(card=st.sampled_from(["", "card_declined", "authentication_required"]), dies_at=st.integers(1, 40))
    def a_saved_card_is_charged(self, card, dies_at):
        self.stripe.card, self.attempts = card, self.attempts + 1
        for step in (dies_at, 10**6):
            try:
                with connection.execute_wrapper(DyingAt(step)):
                    self.charge(f"attempt-{self.attempts}")
            except (Killed, PaymentError):
                continue

    def charge(self, key):
        bundle = a_bundle()
        purchases.charge_off_session(self.organisation, bundle, key, customer_id="cus_1", payment_method_id="pm_1")

    @precondition(lambda self: self.sessions(status="complete", payment_status="unpaid"))
    @rule(data=st.data(), arrives=st.booleans())
    def a_slow_payment_is_decided(self, data, arrives):
        open_ = self.sessions(status="complete", payment_status="unpaid")
        waiting = [made for made in open_ if self.stripe.objects[made["payment_intent"]]["status"] == "processing"]
        if waiting:
            session = data.draw(st.sampled_from(waiting))
            (self.stripe.money_arrives if arrives else self.stripe.money_stays_away)(session["id"])

    @precondition(lambda self: self.paid())
    @rule(data=st.data(), part_minor=REFUND_PARTS, status=st.sampled_from(["pending", "succeeded"]))
    def money_is_sent_back_at_stripe(self, data, part_minor, status):
        payment = data.draw(st.sampled_from(self.paid()))
        if part_minor <= self.left_minor(payment):
            self.stripe.refund(payment["id"], part_minor, status)

    @precondition(lambda self: self.paid())
    @rule(data=st.data(), part_minor=REFUND_PARTS, dies_at=st.integers(1, 40))
    def money_is_sent_back_from_here(self, data, part_minor, dies_at):
        payment = data.draw(st.sampled_from(self.paid()))
        purchase = Purchase.objects.get(pk=payment["metadata"]["purchase_id"])
        if part_minor > self.left_minor(payment):
            return
        try:
            with connection.execute_wrapper(DyingAt(dies_at)):
                refunds.refund(purchase, part_minor, reason="Asked for", actor="olga@example.com")
        except (Killed, PaymentError):
            refunds.send_requested_refunds(timezone.now() + timedelta(hours=1))

    @precondition(lambda self: self.of_kind("refund"))
    @rule(data=st.data(), status=st.sampled_from(["succeeded", "failed"]), is_overtaken=st.booleans())
    def a_refund_is_decided(self, data, status, is_overtaken):
        refund = data.draw(st.sampled_from(self.of_kind("refund")))
        if refund["status"] != "failed":
            if is_overtaken:
                self.late.append(self.what_is_known_of(refund))
            self.stripe.change_refund(refund["id"], status)

    @precondition(lambda self: self.paid())
    @rule(data=st.data())
    def a_bank_disputes(self, data):
        payment = data.draw(st.sampled_from(self.paid()))
        if self.left_minor(payment) > 0:
            self.stripe.dispute(payment["id"], self.left_minor(payment))

    @precondition(lambda self: self.of_kind("dispute"))
    @rule(data=st.data(), status=st.sampled_from(["under_review", "won", "lost"]), is_overtaken=st.booleans())
    def a_dispute_goes_on(self, data, status, is_overtaken):
        dispute = data.draw(st.sampled_from(self.of_kind("dispute")))
        if dispute["status"] not in ("won", "lost"):
            if is_overtaken:
                self.late.append(self.what_is_known_of(dispute))
            self.stripe.change_dispute(dispute["id"], status)

    # What we hear of it.

    @precondition(lambda self: self.stripe.events)
    @rule(data=st.data())
    def an_event_arrives(self, data):
        self.tell(data.draw(st.sampled_from(self.stripe.events)))

    @precondition(lambda self: self.stripe.events)
    @rule(data=st.data(), dies_at=st.integers(1, 60))
    def an_event_arrives_and_its_worker_dies(self, data, dies_at):
        event = data.draw(st.sampled_from(self.stripe.events))
        try:
            with connection.execute_wrapper(DyingAt(dies_at)):
                self.tell(event)
        except Killed:
            return

    @precondition(lambda self: self.stripe.events)
    @rule(data=st.data())
    def a_slow_worker_asks_stripe(self, data):
        try:
            self.late.append(self.what_is_known_of(data.draw(st.sampled_from(self.stripe.events))["data"]["object"]))
        except PaymentError:
            return

    def what_is_known_of(self, thing):
        """Ask Stripe now; what comes back writes it down, however old it then is."""
        match thing["object"]:
            case "checkout.session":
                return partial(purchases.settle_checkout, checkout.fetch_checkout(thing["id"]))
            case "payment_intent":
                return purchases.settlement_of(payments.fetch_payment(thing["id"]))
            case "refund":
                refund = payments.fetch_refund(thing["id"])
                purchase = purchases.credited_purchase_of(refund.payment_id)
                return partial(refunds.settle_refund, purchase.id, refund)
            case "dispute":
                dispute = payments.fetch_dispute(thing["id"])
                purchase = purchases.credited_purchase_of(dispute.payment_id)
                return partial(refunds.settle_dispute, purchase.id, dispute)

    @precondition(lambda self: self.late)
    @rule(data=st.data())
    def a_slow_worker_writes_down_what_is_old_by_now(self, data):
        self.late.pop(data.draw(st.integers(0, len(self.late) - 1)))()

    @precondition(lambda self: self.sessions())
    @rule(data=st.data())
    def a_buyer_comes_back(self, data):
        purchases.apply_checkout(data.draw(st.sampled_from(self.sessions()))["id"])

    @rule()
    def the_sweeps_come_round(self):
        later = timezone.now() + timedelta(hours=1)
        event_handlers.sweep(later)
        purchases.sweep_purchases(later)

    @invariant()
    def nothing_is_credited_twice(self):
        credited = list(Entry.objects.filter(kind="purchase").values_list("reference", flat=True))
        assert len(credited) == len(set(credited))

    @invariant()
    def the_wallet_has_no_more_than_was_ever_paid(self):
        paid = [purchase for purchase in Purchase.objects.all() if self.payments_of(purchase)]
        assert balance_of(self.organisation.id).balance_micro <= sum(purchase.credits_micro for purchase in paid)


@pytest.mark.django_db
@pytest.mark.each_database
def test_events_in_any_order_repeated_late_or_half_done_leave_the_same_wallet(stripe):
    machine = type("Machine", (PaymentsMachine,), {"stripe": stripe})
    run_state_machine_as_test(machine, settings=runs(25, steps=25))
