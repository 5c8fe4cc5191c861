"""How systems like this one lose money, by their own users' reports, and the tests that show that this one does not.

The numbers and names are those of the list of reports that the product was designed from. Most losses are shown where
their rules live; those tests are named here, and this file fails when one of them is gone.
"""

from importlib import import_module

import pytest
from django.core.management import call_command
from django.utils import timezone

from billing import event_handlers, ledger, purchases, refunds
from billing.audit import audit_ledger
from billing.exceptions import InsufficientCredits
from billing.models import Entry, Purchase
from tests.billing.money import an_organisation, hold
from tests.billing.paying import credits, deliver, start

SHOWN_BY = {
    "1: a session is charged twice": [
        "voice.metering.test_meter::test_a_repeat_charges_nothing",
        "voice.metering.test_meter::test_settling_takes_what_the_receipt_says_and_only_once",
        "voice.metering.test_usage::test_reasoning_is_charged_once_as_text_whether_counted_within_or_beside",
        "billing.test_killed_in_the_middle::test_the_sweep_settles_the_calls_of_a_killed_process_exactly_once",
    ],
    "2: the balance goes negative, a long stream is not cut": [
        "flows.test_credits_run_out::test_the_call_ends_before_the_balance_does",
        "flows.test_credits_run_out::test_two_calls_share_a_wallet_and_neither_overdraws_it",
        "billing.test_ledger_concurrency::test_twenty_calls_on_one_wallet_never_overspend",
        "billing.test_constraints::test_a_hold_that_overdraws_is_refused_when_it_is_opened_past_the_ledger",
    ],
    "3: usage is metered as zero, or wrong": [
        "flows.test_call_to_receipt::test_a_visitor_books_by_voice_and_pays_what_the_receipt_says",
        "flows.test_call_to_receipt::test_the_caption_of_a_turn_is_charged_whenever_it_comes",
        "voice.metering.test_meter::test_a_response_whose_usage_never_came_is_estimated_and_marked",
        "voice.metering.test_meter::test_usage_that_has_no_rate_is_kept_and_reported",
        "voice.metering.test_usage::test_every_input_token_is_counted_exactly_once",
    ],
    "4: a minute costs more and more as the conversation grows": [
        "voice.pricing.test_worksheet::test_a_flat_sum_is_five_times_wrong_for_a_long_call",
        "voice.pricing.test_worksheet::test_the_next_minute_costs_more_until_the_history_is_full",
        "flows.test_credits_run_out::test_the_worst_case_of_every_answer_was_held_before_it_was_asked_for",
    ],
    "5: a webhook that comes twice credits twice": [
        "billing.test_event_handlers::test_a_webhook_delivered_twice_credits_once",
        "billing.test_payments_concurrency::test_twenty_deliveries_of_one_event_make_one_entry",
    ],
    "5: a webhook marked done before the credit loses it": [
        "billing.test_event_handlers::test_a_webhook_is_not_marked_done_before_the_credit",
        "billing.test_worker_killed::test_a_killed_workers_event_is_done_by_the_next_one_exactly_once",
    ],
    "6: auto-recharge charges many times": [
        "billing.test_auto_top_up::test_auto_recharge_storm_twenty_triggers_at_once_make_one_attempt",
        "billing.test_auto_top_up::test_no_more_than_a_handful_an_hour_whatever_happens",
        "billing.test_auto_top_up::test_the_monthly_ceiling_is_never_passed",
    ],
    "6: auto-recharge stalls on 3-D Secure": [
        "billing.test_auto_top_up::test_a_bank_that_wants_confirmation_is_passed_on_to_the_payer",
    ],
    "7: nothing caps a session once its token is out": [
        "flows.test_credits_run_out::test_the_public_may_spend_the_agents_daily_ceiling_and_no_more",
        "voice.sessions.test_limits::test_a_call_ends_at_its_longest_duration_whoever_speaks",
    ],
    "8: sign-up credits are farmed": [
        "billing.test_sign_up_grants::test_a_person_is_granted_credits_once_for_ever_also_in_a_new_organisation",
        "billing.test_sign_up_grants::test_a_grant_beyond_the_days_ceiling_is_refused_and_kept_to_be_seen",
        "accounts.test_sign_up::test_a_second_address_brings_no_second_grant",
        "accounts.test_organisations::test_a_deleted_and_returned_person_gets_no_second_grant",
    ],
    "9: nobody can say how much a tenant may use": [
        "billing.test_spending_cap::test_twenty_calls_at_once_stay_within_the_cap",
        "voice.metering.test_meter::test_near_the_months_cap_answers_get_shorter_and_then_end",
    ],
    "10: nobody is told before it is all used up": [
        "billing.test_low_balance::test_each_threshold_is_told",
        "flows.test_credits_run_out::test_the_caller_is_warned_once_before_it_happens",
        "flows.test_top_up_in_a_call::test_a_call_that_drains_the_wallet_triggers_one_auto_top_up_and_goes_on",
    ],
}


@pytest.mark.parametrize("loss", SHOWN_BY)
def test_the_loss_is_shown_by_tests_that_exist(loss):
    for name in SHOWN_BY[loss]:
        module, _, function = name.partition("::")
        assert callable(getattr(import_module(f"tests.{module}"), function, None)), name


@pytest.mark.django_db
def test_a_payment_told_in_every_way_there_is_credits_once(stripe, ann):
    """The webhook twice, the redirect, a replay by hand, the sweep and the reconciliation: one payment, one entry."""
    bob = an_organisation("Bob's Bakery")
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    for _ in range(2):
        for event in stripe.events:
            deliver(event)
    purchases.apply_checkout(purchase.stripe_checkout_id, bob)
    event_handlers.replay(stripe.events[-1]["id"])
    purchases.sweep_purchases(timezone.now())
    call_command("reconcile_stripe", apply=True)
    assert (credits(bob), Entry.objects.filter(kind="purchase").count()) == (500, 1)


@pytest.mark.django_db
def test_a_negative_balance_is_the_refunds_and_starts_no_call(stripe, ann):
    """Spent and then refunded: the only way below zero, and the next purchase pays it back before anything starts."""
    bob = an_organisation("Bob's Bakery")
    purchase = start(bob, ann)
    stripe.pay(purchase.stripe_checkout_id)
    paid = purchases.apply_checkout(purchase.stripe_checkout_id)
    call = hold(bob, 400 * ledger.MICRO)
    ledger.capture(call.id, 400 * ledger.MICRO, key="r1")
    ledger.settle_hold(call.id)
    refunds.refund(paid, paid.amount_minor, reason="asked for", actor="olga")
    assert credits(bob) == -400
    with pytest.raises(InsufficientCredits):
        hold(bob, 1)
    again = start(bob, ann)
    stripe.pay(again.stripe_checkout_id)
    purchases.apply_checkout(again.stripe_checkout_id)
    assert credits(bob) == 100 and Purchase.objects.filter(organisation=bob).count() == 2
    hold(bob, 100 * ledger.MICRO)
    assert list(audit_ledger()) == []
