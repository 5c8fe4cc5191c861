"""Auto top-up: one attempt at a time, never more than the customer allowed, and a crash never makes two charges."""

from contextlib import suppress
from datetime import timedelta

import pytest
from django.core import mail
from django.db import IntegrityError, transaction
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from accounts.organisations import suspend_organisation
from billing import auto_top_up, ledger
from billing import tasks as billing_tasks
from billing.audit import audit_ledger
from billing.bundles import seed_bundles
from billing.exceptions import InsufficientCredits, InvalidSetting, PaymentServiceUnavailable, PurchaseNotFound
from billing.models import AutoTopUp, AutoTopUpAttempt, Bundle, Entry, Purchase
from billing.purchases import settle_payment
from billing.signals import credits_wanted
from billing.stripe import payments
from outbox import messages as outbox
from outbox import tasks as outbox_tasks
from outbox.models import OutboxMessage
from tests import factories
from tests.billing.bank import CARD, INDIAN_CARD, Bank, declined, wants_confirmation
from tests.billing.money import hold
from tests.billing.test_ledger_concurrency import at_once

CREDIT = ledger.MICRO
# The small bundle: 2000 credits for 19 dollars.
PRICE_MINOR = 1900
CREDITS = 2000


@pytest.fixture(autouse=True)
def on_a_real_database(transactional_db):
    pass


@pytest.fixture
def bank(monkeypatch):
    return use_bank(monkeypatch)


def use_bank(patch):
    bank = Bank()
    patch.setattr(payments, "charge_saved_card", bank.charge_saved_card)
    patch.setattr(payments, "fetch_payment", bank.fetch_payment)
    return bank


@pytest.fixture
def rosewood(bank):
    """A hundred credits, topped up with 2000 below 50, for at most 100 dollars a month."""
    return an_organisation_that_tops_up()


def an_organisation_that_tops_up(name="Rosewood Dental"):
    seed_bundles()
    organisation = factories.make_organisation(name, factories.make_user(), credits=100)
    type(organisation).objects.filter(pk=organisation.pk).update(country="US")
    organisation.refresh_from_db()
    auto_top_up.remember_card(organisation.id, CARD)
    save(organisation)
    return organisation


def save(organisation, **changes):
    fields = {
        "is_on": True,
        "threshold_micro": 50 * CREDIT,
        "bundle": Bundle.objects.get(slug="small"),
        "monthly_ceiling_minor": 100_00,
    }
    return auto_top_up.save_auto_top_up(organisation.id, **fields | changes)


def spend(organisation, credits):
    """Have a call of so many credits, from its hold to its entry."""
    state = hold(organisation, credits * CREDIT)
    ledger.capture(state.id, credits * CREDIT, key="r1")
    ledger.settle_hold(state.id)


def balance(organisation):
    return factories.balance_micro(organisation.id) // CREDIT


def attempts(organisation):
    return list(AutoTopUpAttempt.objects.filter(top_up__organisation=organisation).order_by("started_at"))


def states(organisation):
    return [attempt.state for attempt in attempts(organisation)]


def settings_of(organisation):
    return AutoTopUp.objects.get(organisation=organisation)


def later(hours):
    """Let time pass for everything that waits."""
    passed = timedelta(hours=hours)
    for top_up in AutoTopUp.objects.exclude(next_attempt_at=None):
        AutoTopUp.objects.filter(pk=top_up.pk).update(next_attempt_at=top_up.next_attempt_at - passed)
    for attempt in AutoTopUpAttempt.objects.all():
        AutoTopUpAttempt.objects.filter(pk=attempt.pk).update(started_at=attempt.started_at - passed)
    for message in OutboxMessage.objects.filter(state="pending"):
        moved = {"created_at": message.created_at - passed, "next_attempt_at": message.next_attempt_at - passed}
        OutboxMessage.objects.filter(pk=message.pk).update(**moved)
    outbox_tasks.sweep_outbox()
    billing_tasks.sweep_top_ups()


def subjects():
    return [message.subject for message in mail.outbox]


def test_nothing_is_bought_while_there_is_enough(rosewood, bank):
    spend(rosewood, 50)
    assert (bank.asked, balance(rosewood)) == (0, 50)


def test_falling_under_the_threshold_buys_the_bundle_once(rosewood, bank):
    spend(rosewood, 51)
    assert (states(rosewood), balance(rosewood)) == (["succeeded"], 49 + CREDITS)
    assert bank.paid_minor == [PRICE_MINOR]
    assert list(audit_ledger()) == []


def test_a_hold_that_takes_what_is_available_under_the_threshold_buys_it_too(rosewood, bank):
    """A call that is still going on: the balance has not moved yet."""
    hold(rosewood, 60 * CREDIT)
    assert balance(rosewood) == 100 + CREDITS


def test_a_hold_that_was_refused_buys_it_although_the_threshold_is_far(rosewood, bank):
    answers = credits_wanted.send_robust(None, organisation_id=rosewood.id, needed_micro=150 * CREDIT)
    assert [answer for _, answer in answers] == [True]
    assert balance(rosewood) == 100 + CREDITS


def test_a_refused_hold_of_somebody_without_auto_top_up_expects_nothing(bank):
    bob = factories.make_organisation("Bob's")
    answers = credits_wanted.send_robust(None, organisation_id=bob.id, needed_micro=1)
    assert [answer for _, answer in answers] == [False]


def test_a_refused_hold_that_is_old_news_buys_nothing(rosewood, bank):
    """Twenty calls were refused, and the first of them has had the wallet filled."""
    for _ in range(20):
        billing_tasks.consider_top_up(str(rosewood.id), 150 * CREDIT)
    assert bank.paid_minor == [PRICE_MINOR]


def test_a_hold_that_was_refused_just_before_the_refill_came_may_be_asked_for_again(rosewood, bank):
    """It looked at the wallet before the credits arrived, and says so after."""
    spend(rosewood, 60)
    assert auto_top_up.outlook(rosewood.id, needed_micro=150 * CREDIT) == "arrived"


def test_a_broker_that_is_away_promises_no_refill(rosewood, bank, monkeypatch):
    monkeypatch.setattr(billing_tasks.consider_top_up, "delay", lambda *_: 1 / 0)
    answers = credits_wanted.send_robust(None, organisation_id=rosewood.id, needed_micro=150 * CREDIT)
    assert [answer for _, answer in answers] == [False]


def test_switched_off_it_buys_nothing(rosewood, bank):
    save(rosewood, is_on=False)
    spend(rosewood, 90)
    assert bank.asked == 0


def test_switching_it_on_when_the_credits_are_low_buys_at_once(rosewood, bank):
    save(rosewood, is_on=False)
    spend(rosewood, 90)
    save(rosewood)
    assert balance(rosewood) == 10 + CREDITS


def test_a_suspended_organisation_is_not_charged(rosewood, bank):
    suspend_organisation(rosewood, "abuse", None)
    spend(rosewood, 90)
    assert bank.asked == 0


def test_an_operator_who_sells_nothing_charges_nobody(rosewood, bank, settings):
    settings.PAYMENTS = "off"
    spend(rosewood, 90)
    assert bank.asked == 0


def test_a_bundle_that_is_no_longer_on_sale_is_not_bought(rosewood, bank):
    Bundle.objects.update(is_active=False)
    spend(rosewood, 90)
    assert bank.asked == 0


def test_another_tenants_card_is_never_charged(rosewood, bank):
    mallory = factories.make_organisation("Mallory's", credits=100)
    spend(mallory, 90)
    assert bank.asked == 0


@pytest.mark.db_concurrency
def test_auto_recharge_storm_twenty_triggers_at_once_make_one_attempt(rosewood, bank, monkeypatch):
    monkeypatch.setattr("billing.watch.auto_top_up.consider", lambda organisation_id: None)
    spend(rosewood, 90)
    monkeypatch.undo()
    bank = use_bank(monkeypatch)
    at_once(lambda _: auto_top_up.consider(rosewood.id, needed_micro=60 * CREDIT))
    assert (states(rosewood), bank.paid_minor, balance(rosewood)) == (["succeeded"], [PRICE_MINOR], 10 + CREDITS)


@pytest.mark.db_concurrency
def test_twenty_calls_that_drain_one_wallet_make_one_charge(rosewood, bank):
    at_once(lambda _: spend(rosewood, 5))
    outbox_tasks.sweep_outbox()
    assert bank.paid_minor == [PRICE_MINOR]
    assert balance(rosewood) == CREDITS


def test_the_database_refuses_a_second_open_attempt(rosewood):
    fields = {"bundle": Bundle.objects.get(slug="small"), "credits_micro": 1, "currency": "USD", "amount_minor": 1}
    AutoTopUpAttempt.objects.create(top_up=settings_of(rosewood), **fields)
    with pytest.raises(IntegrityError), transaction.atomic():
        AutoTopUpAttempt.objects.create(top_up=settings_of(rosewood), **fields)


def test_no_more_than_a_handful_an_hour_whatever_happens(rosewood, bank):
    """The credits are gone as fast as they come: a fault somewhere, or a very busy day."""
    save(rosewood, monthly_ceiling_minor=10_000_00)
    for _ in range(auto_top_up.BURST_ATTEMPTS):
        spend(rosewood, balance(rosewood) - 1)
    spend(rosewood, balance(rosewood) - 10)
    spend(rosewood, 1)
    assert len(bank.paid_minor) == auto_top_up.BURST_ATTEMPTS


def test_an_hour_later_it_may_go_on(rosewood, bank):
    save(rosewood, monthly_ceiling_minor=10_000_00)
    for _ in range(auto_top_up.BURST_ATTEMPTS + 1):
        spend(rosewood, balance(rosewood) - 1)
    later(hours=2)
    assert len(bank.paid_minor) == auto_top_up.BURST_ATTEMPTS + 1


def test_the_monthly_ceiling_is_never_passed(rosewood, bank):
    save(rosewood, monthly_ceiling_minor=2 * PRICE_MINOR + 1)
    for _ in range(3):
        spend(rosewood, balance(rosewood) - 1)
    assert bank.paid_minor == [PRICE_MINOR, PRICE_MINOR]


def test_the_payers_are_told_of_the_ceiling_once_a_month(rosewood, bank):
    save(rosewood, monthly_ceiling_minor=PRICE_MINOR)
    for _ in range(2):
        spend(rosewood, balance(rosewood) - 20)
    for _ in range(3):
        spend(rosewood, 1)
    assert subjects().count("Auto top-up of Rosewood Dental has reached its limit for this month") == 1


def test_last_month_does_not_count(rosewood, bank):
    save(rosewood, monthly_ceiling_minor=PRICE_MINOR)
    spend(rosewood, 90)
    later(hours=24 * 32)
    spend(rosewood, balance(rosewood) - 1)
    assert len(bank.paid_minor) == 2


def test_a_declined_attempt_does_not_count_against_the_month(rosewood, bank):
    save(rosewood, monthly_ceiling_minor=PRICE_MINOR)
    bank.answers = [declined()]
    spend(rosewood, 90)
    later(hours=2)
    assert states(rosewood) == ["declined", "succeeded"]


def test_a_decline_is_mailed_and_waited_after(rosewood, bank):
    bank.answers = [declined()]
    spend(rosewood, 60)
    spend(rosewood, 1)
    assert (states(rosewood), attempts(rosewood)[0].failure) == (["declined"], "insufficient_funds")
    assert "Auto top-up of Rosewood Dental did not work" in subjects()
    assert bank.asked == 1


def test_each_decline_is_waited_after_for_longer_and_then_it_is_switched_off(rosewood, bank):
    bank.answers = [declined() for _ in range(9)]
    spend(rosewood, 60)
    for hours in (1, 6, 24, 72):
        before = len(attempts(rosewood))
        later(hours=hours - 0.5)
        assert len(attempts(rosewood)) == before
        later(hours=0.6)
        assert len(attempts(rosewood)) == before + 1
    later(hours=1000)
    assert states(rosewood) == ["declined"] * 5
    assert (settings_of(rosewood).is_on, settings_of(rosewood).off_reason) == (False, "declined")
    assert "switched off" in mail.outbox[-1].body


def test_a_success_forgets_the_declines(rosewood, bank):
    bank.answers = [declined()]
    spend(rosewood, 60)
    later(hours=2)
    assert (settings_of(rosewood).declines_in_a_row, settings_of(rosewood).next_attempt_at) == (0, None)


def test_a_success_is_mailed(rosewood, bank):
    spend(rosewood, 60)
    assert "Topped up: 2,000.00 credits for Rosewood Dental" in subjects()
    assert any("$19.00" in message.body for message in mail.outbox)


def test_a_bank_that_wants_confirmation_is_passed_on_to_the_payer(rosewood, bank):
    """Stalls on 3-D Secure: nothing is charged, and the mail says where to confirm."""
    bank.answers = [wants_confirmation()]
    spend(rosewood, 60)
    [attempt] = attempts(rosewood)
    assert attempt.state == "needs_confirmation"
    [told] = [message for message in mail.outbox if "confirm" in message.subject]
    assert f"http://testserver/console/billing/top-up/{attempt.id}/confirm/" in told.body
    later(hours=23)
    assert bank.asked == 1


def test_the_payer_confirms_in_a_checkout(rosewood, bank, monkeypatch):
    bank.answers = [wants_confirmation()]
    spend(rosewood, 60)
    [attempt] = attempts(rosewood)
    asked = {}
    monkeypatch.setattr(auto_top_up.purchases, "start_checkout", lambda *args, **kw: asked.update(kw, args=args) or "u")
    user = rosewood.memberships.get().user
    assert auto_top_up.confirm(attempt.id, rosewood, user, success_url="s", cancel_url="c") == "u"
    assert asked["args"] == (rosewood, attempt.bundle, user)
    assert asked["save_card"] is True


def test_mallory_cannot_confirm_it(rosewood, bank):
    bank.answers = [wants_confirmation()]
    spend(rosewood, 60)
    mallory = factories.make_organisation("Mallory's", factories.make_user())
    with pytest.raises(PurchaseNotFound):
        auto_top_up.confirm(
            attempts(rosewood)[0].id, mallory, mallory.memberships.get().user, success_url="s", cancel_url="c"
        )


def test_a_bank_that_thinks_is_asked_again_and_charged_once(rosewood, bank):
    bank.answers = ["processing"]
    spend(rosewood, 60)
    assert (states(rosewood), balance(rosewood)) == (["open"], 40)
    spend(rosewood, 1)
    bank.decides("succeeded")
    later(hours=0.1)
    assert (states(rosewood), balance(rosewood), len(bank.charges)) == (["succeeded"], 39 + CREDITS, 1)


def test_a_webhook_that_knows_first_closes_the_attempt(rosewood, bank):
    bank.answers = ["processing"]
    spend(rosewood, 60)
    bank.decides("succeeded")
    settle_payment(bank.fetch_payment(Purchase.objects.get().stripe_payment_intent_id))
    assert states(rosewood) == ["succeeded"]
    later(hours=0.1)
    assert (balance(rosewood), len(bank.charges)) == (40 + CREDITS, 1)


def test_a_bank_that_refuses_after_thinking_is_a_decline(rosewood, bank):
    bank.answers = ["processing"]
    spend(rosewood, 60)
    bank.decides("requires_payment_method")
    later(hours=0.1)
    assert (states(rosewood), balance(rosewood)) == (["declined"], 40)


def test_a_payment_service_that_is_away_is_asked_again_with_the_same_charge(rosewood, bank, monkeypatch):
    def away(**_):
        raise PaymentServiceUnavailable("api_connection_error")

    monkeypatch.setattr(payments, "charge_saved_card", away)
    spend(rosewood, 60)
    spend(rosewood, 1)
    assert states(rosewood) == ["open"]
    monkeypatch.setattr(payments, "charge_saved_card", bank.charge_saved_card)
    later(hours=0.1)
    assert (states(rosewood), bank.paid_minor) == (["succeeded"], [PRICE_MINOR])


def test_without_an_answer_for_a_day_it_is_switched_off_and_people_are_told(rosewood, bank, monkeypatch):
    """Stripe forgets an idempotency key after a day: a later repeat might charge twice."""

    def away(**_):
        raise PaymentServiceUnavailable("api_connection_error")

    monkeypatch.setattr(payments, "charge_saved_card", away)
    spend(rosewood, 60)
    later(hours=21)
    assert (states(rosewood), settings_of(rosewood).is_on) == (["unknown"], False)
    assert "Please look at the auto top-up of Rosewood Dental" in subjects()


def test_an_indian_card_cannot_be_used(rosewood, bank):
    auto_top_up.remember_card(rosewood.id, INDIAN_CARD)
    assert (settings_of(rosewood).is_on, settings_of(rosewood).off_reason) == (False, "card")
    with pytest.raises(InvalidSetting) as refused:
        save(rosewood)
    assert refused.value.field == "is_on"
    spend(rosewood, 90)
    assert bank.asked == 0


def test_the_database_refuses_auto_top_up_with_a_card_that_cannot_be_charged(rosewood):
    with pytest.raises(IntegrityError), transaction.atomic():
        AutoTopUp.objects.update(can_charge_off_session=False)


def test_a_new_card_forgets_the_old_ones_declines(rosewood, bank):
    bank.answers = [declined()]
    spend(rosewood, 60)
    auto_top_up.remember_card(rosewood.id, payments.SavedCard("pm_3", "cus_1", "Visa •••• 1", "US", True))
    billing_tasks.sweep_top_ups()
    assert states(rosewood) == ["declined", "succeeded"]


def test_a_forgotten_card_is_not_charged(rosewood, bank):
    auto_top_up.forget_card(rosewood.id)
    spend(rosewood, 90)
    assert (bank.asked, settings_of(rosewood).payment_method_id) == (0, "")


def test_the_card_of_a_checkout_is_remembered(bank, monkeypatch):
    monkeypatch.setattr(payments, "fetch_saved_card", lambda payment_method_id: CARD)
    seed_bundles()
    bob = factories.make_organisation("Bob's")
    purchase = a_purchase(bob, stripe_payment_method_id="pm_1")
    with transaction.atomic():
        auto_top_up.put_card_to_remember(purchase)
    assert (settings_of(bob).card_label, settings_of(bob).is_on) == (CARD.label, False)


def test_a_card_that_was_not_to_be_kept_is_not(bank, monkeypatch):
    monkeypatch.setattr(payments, "fetch_saved_card", lambda _: payments.SavedCard("pm_1", "", "Visa", "US", True))
    seed_bundles()
    bob = factories.make_organisation("Bob's")
    with transaction.atomic():
        auto_top_up.put_card_to_remember(a_purchase(bob, stripe_payment_method_id="pm_1"))
    assert not AutoTopUp.objects.exists()


def a_purchase(organisation, **fields):
    amounts = {"credits_micro": 1, "currency": "USD", "price_minor": 1, "amount_minor": 1}
    bundle = Bundle.objects.get(slug="small")
    return Purchase.objects.create(organisation=organisation, bundle=bundle, origin="checkout", **amounts, **fields)


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("threshold_micro", {"threshold_micro": 0}),
        ("threshold_micro", {"threshold_micro": CREDITS * CREDIT}),
        ("threshold_micro", {"threshold_micro": -1}),
        ("bundle", {"bundle": None}),
        ("monthly_ceiling_minor", {"monthly_ceiling_minor": PRICE_MINOR - 1}),
        ("monthly_ceiling_minor", {"monthly_ceiling_minor": -1}),
        ("monthly_ceiling_minor", {"monthly_ceiling_minor": 10**12}),
    ],
)
def test_settings_that_make_no_sense_are_refused_and_change_nothing(rosewood, field, change):
    with pytest.raises(InvalidSetting) as refused:
        save(rosewood, **change)
    assert refused.value.field == field
    assert settings_of(rosewood).threshold_micro == 50 * CREDIT


def test_without_a_card_it_cannot_be_switched_on(bank):
    seed_bundles()
    with pytest.raises(InvalidSetting):
        save(factories.make_organisation("Bob's"))


def test_who_never_had_settings_sees_it_switched_off(bank):
    bob = factories.make_organisation("Bob's")
    assert auto_top_up.settings_of(bob.id).is_on is False
    assert auto_top_up.last_attempt(bob.id) is None


def test_the_last_attempt_is_the_newest(rosewood, bank):
    bank.answers = [declined()]
    spend(rosewood, 60)
    later(hours=2)
    assert auto_top_up.last_attempt(rosewood.id).state == "succeeded"


class Killed(BaseException):
    """What kill -9 looks like from inside: nothing after it happens, and nobody catches it."""


STEPS = ["before the charge", "after the charge", "before the attempt is closed", "before the message is done"]


def kill_at(step, bank, patch):
    def die(*_, **__):
        raise Killed

    match step:
        case "before the charge":
            patch.setattr(payments, "charge_saved_card", die)
        case "after the charge":
            bank.before_answer = die
        case "before the attempt is closed":
            patch.setattr(auto_top_up, "_close", die)
        case "before the message is done":
            patch.setattr(outbox, "_ours", die)


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_killed_at_any_step_loses_nothing_and_doubles_nothing(rosewood, bank, step):
    with pytest.MonkeyPatch.context() as patch:
        kill_at(step, bank, patch)
        with pytest.raises(Killed):
            auto_top_up.consider(rosewood.id, needed_micro=150 * CREDIT)
    bank.before_answer = lambda: None
    later(hours=0.2)
    assert (states(rosewood), bank.paid_minor, balance(rosewood)) == (["succeeded"], [PRICE_MINOR], 100 + CREDITS)
    assert not OutboxMessage.objects.exclude(state="done").exists()
    assert list(audit_ledger()) == []


def test_a_process_killed_before_it_could_ask_is_made_up_for_by_the_sweep(rosewood, bank, monkeypatch):
    monkeypatch.setattr("billing.watch.auto_top_up.consider", lambda organisation_id: None)
    spend(rosewood, 60)
    monkeypatch.undo()
    bank = use_bank(monkeypatch)
    billing_tasks.sweep_top_ups()
    assert bank.paid_minor == [PRICE_MINOR]


EVENTS = ["spend", "consider", "want", "sweep", "hours", "declines", "asks to confirm", "thinks", "decides"]


@given(data=st.data())
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    # Each example is a story of seconds, told by its seed; shrinking it takes longer than reading it.
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
def test_in_any_order_of_events_and_crashes_the_ceiling_holds_and_every_payment_is_credited_once(data):
    with pytest.MonkeyPatch.context() as patch:
        # One long month, whatever the date is today.
        patch.setattr(auto_top_up, "start_of_month", lambda now: now - timedelta(days=3650))
        OutboxMessage.objects.all().delete()
        AutoTopUp.objects.update(is_on=False)
        bank, organisation = use_bank(patch), an_organisation_that_tops_up()
        save(organisation, monthly_ceiling_minor=3 * PRICE_MINOR)
        for event in data.draw(st.lists(st.sampled_from(EVENTS), max_size=8)):
            with pytest.MonkeyPatch.context() as crash:
                kill_at(data.draw(st.sampled_from([*STEPS, "", ""])), bank, crash)
                with suppress(Killed, InsufficientCredits):
                    happen(event, organisation, bank)
            bank.before_answer = lambda: None
            assert states(organisation).count("open") <= 1
            assert sum(bank.paid_minor) <= 3 * PRICE_MINOR
        bank.answers.clear()
        bank.decides("succeeded")
        later(hours=0.2)
        bank.decides("succeeded")
        later(hours=0.2)
        assert balance(organisation) == 100 - used(organisation) + CREDITS * len(bank.paid_minor)
        assert states(organisation).count("succeeded") == len(bank.paid_minor)
        assert set(states(organisation)) <= {"succeeded", "declined", "needs_confirmation"}
        assert list(audit_ledger()) == []


def happen(event, organisation, bank):
    match event:
        case "spend" if balance(organisation):
            spend(organisation, min(balance(organisation), 900))
        case "consider":
            auto_top_up.consider(organisation.id)
        case "want":
            credits_wanted.send_robust(None, organisation_id=organisation.id, needed_micro=500 * CREDIT)
        case "sweep":
            later(hours=0.2)
        case "hours":
            later(hours=7)
        case "declines":
            bank.answers.append(declined())
        case "asks to confirm":
            bank.answers.append(wants_confirmation())
        case "thinks":
            bank.answers.append("processing")
        case "decides":
            bank.decides("succeeded")


def used(organisation):
    usage = Entry.objects.filter(wallet__organisation=organisation, kind="usage")
    return -sum(entry.amount_micro for entry in usage) // CREDIT
