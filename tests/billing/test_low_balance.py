"""Low-balance mails: at the thresholds the customer sets, once a crossing, to those who can do something about it."""

import pytest
from django.core import mail

from billing import emails, ledger, low_balance
from billing.exceptions import InvalidSetting
from billing.signals import credits_low
from outbox.models import OutboxMessage
from tests import factories
from tests.billing.money import connected, hold
from tests.billing.test_ledger_concurrency import at_once

pytestmark = pytest.mark.django_db(transaction=True)

CREDIT = ledger.MICRO


@pytest.fixture
def rosewood():
    """Owned by alice, with bob as a member, a thousand credits, and told at 200 and 50."""
    return factories.make_cast().organisation


def spend_to(organisation, credits):
    """Leave so many credits by one call."""
    amount_micro = factories.balance_micro(organisation.id) - credits * CREDIT
    state = hold(organisation, amount_micro)
    ledger.capture(state.id, amount_micro, key="r1")
    ledger.settle_hold(state.id)


def thresholds(organisation, *credits):
    amounts = [number * CREDIT for number in credits]
    low_balance.save_budget(organisation.id, low_balance_thresholds_micro=amounts, monthly_cap_micro=None)


def subjects():
    return [message.subject for message in mail.outbox]


def test_nobody_is_told_while_there_is_enough(rosewood):
    spend_to(rosewood, 200)
    assert subjects() == []


def test_the_payers_are_told_when_a_threshold_is_crossed(rosewood):
    spend_to(rosewood, 199)
    assert subjects() == ["Rosewood Dental has less than 200.00 credits left"]
    assert mail.outbox[0].to == ["alice@example.com"]


def test_the_mail_links_to_the_billing_page(rosewood):
    spend_to(rosewood, 199)
    assert "http://testserver/console/billing/" in mail.outbox[0].body


def test_a_crossing_is_told_once(rosewood):
    spend_to(rosewood, 199)
    spend_to(rosewood, 150)
    assert len(subjects()) == 1


def test_each_threshold_is_told(rosewood):
    spend_to(rosewood, 199)
    spend_to(rosewood, 49)
    assert subjects()[1:] == ["Rosewood Dental has less than 50.00 credits left"]


def test_falling_through_both_thresholds_is_one_mail(rosewood):
    spend_to(rosewood, 10)
    assert subjects() == ["Rosewood Dental has less than 50.00 credits left"]


def test_a_refill_makes_the_next_crossing_news_again(rosewood):
    spend_to(rosewood, 199)
    factories.fund(rosewood, 500)
    spend_to(rosewood, 199)
    assert len(subjects()) == 2


def test_a_refill_alone_is_no_news(rosewood):
    spend_to(rosewood, 10)
    factories.fund(rosewood, 100)
    assert len(subjects()) == 1


def test_a_hold_alone_crosses_nothing(rosewood):
    """It comes and goes with every call; only what is used counts."""
    ledger.settle_hold(hold(rosewood, 900 * CREDIT).id)
    assert subjects() == []


def test_what_a_running_call_has_used_counts(rosewood):
    state = hold(rosewood, 850 * CREDIT)
    ledger.capture(state.id, 840 * CREDIT, key="r1")
    ledger.extend_hold(state.id, to_amount_micro=860 * CREDIT)
    assert len(subjects()) == 1
    ledger.settle_hold(state.id)
    assert len(subjects()) == 1


def test_where_no_threshold_is_near_one_statement_tells(rosewood, django_assert_num_queries):
    hold(rosewood, 700 * CREDIT)
    with django_assert_num_queries(1):
        low_balance.check(rosewood.id)


def test_where_a_threshold_lies_within_what_is_held_what_was_used_decides(rosewood):
    state = hold(rosewood, 850 * CREDIT)
    ledger.capture(state.id, 700 * CREDIT, key="r1")
    low_balance.check(rosewood.id)
    assert subjects() == []
    ledger.capture(state.id, 101 * CREDIT, key="r2")
    low_balance.check(rosewood.id)
    assert len(subjects()) == 1


def test_admins_are_told_and_members_are_not(rosewood):
    factories.add_member(rosewood, factories.make_user("carol@example.com"), "admin")
    spend_to(rosewood, 199)
    assert {message.to[0] for message in mail.outbox} == {"alice@example.com", "carol@example.com"}


def test_who_is_no_payer_any_more_when_the_mail_goes_out_gets_none(rosewood):
    spend_to(rosewood, 199)
    mail.outbox.clear()
    rosewood.memberships.update(role="member")
    emails.send(OutboxMessage.objects.get().payload)
    assert subjects() == []


def test_another_tenant_hears_nothing(rosewood):
    spend_to(rosewood, 10)
    assert all("mallory" not in message.to[0] for message in mail.outbox)


def test_the_customer_sets_the_thresholds(rosewood):
    thresholds(rosewood, 500)
    spend_to(rosewood, 499)
    spend_to(rosewood, 10)
    assert subjects() == ["Rosewood Dental has less than 500.00 credits left"]


def test_without_thresholds_nobody_is_told(rosewood):
    thresholds(rosewood)
    spend_to(rosewood, 0)
    assert subjects() == []


def test_a_threshold_set_above_what_is_left_is_no_crossing(rosewood):
    thresholds(rosewood, 5000)
    spend_to(rosewood, 900)
    assert subjects() == []


def test_an_organisation_that_begins_with_little_has_lost_nothing():
    organisation = factories.make_organisation(owner=factories.make_user())
    factories.fund(organisation, 20)
    assert subjects() == []


@pytest.mark.parametrize("wrong", [[0], [-1], [low_balance.MAX_THRESHOLD_MICRO + 1], [1, 2, 3, 4, 5, 6]])
def test_thresholds_that_make_no_sense_are_refused(rosewood, wrong):
    with pytest.raises(InvalidSetting):
        low_balance.save_budget(rosewood.id, low_balance_thresholds_micro=wrong, monthly_cap_micro=None)


@pytest.mark.db_concurrency
def test_twenty_looks_at_one_crossing_make_one_mail(rosewood, monkeypatch):
    monkeypatch.setattr("billing.watch.low_balance.check", lambda organisation_id: None)
    spend_to(rosewood, 199)
    monkeypatch.undo()
    at_once(lambda _: low_balance.check(rosewood.id))
    assert OutboxMessage.objects.count() == 1


def test_the_apps_above_hear_of_a_crossing_once(rosewood, heard):
    crossings = heard(credits_low)
    spend_to(rosewood, 199)
    spend_to(rosewood, 150)
    assert crossings == [
        {"organisation_id": rosewood.id, "threshold_micro": 200 * CREDIT, "balance_micro": 199 * CREDIT}
    ]


def test_an_app_above_that_fails_undoes_its_own_rows_and_not_the_mail(rosewood):
    def write_and_fail(**_):
        OutboxMessage.objects.create(kind="theirs", key="theirs", payload={})
        raise ValueError

    with connected(credits_low, write_and_fail):
        spend_to(rosewood, 199)
    assert list(OutboxMessage.objects.values_list("kind", flat=True)) == ["mail"]
