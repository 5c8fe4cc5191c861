"""The operator's pages about refills, budgets and the outbox: all is shown, nothing edited, given-up work retried."""

import pytest
from django.db import transaction
from django.utils import timezone

from billing import auto_top_up, emails, low_balance
from billing.bundles import seed_bundles
from billing.models import AutoTopUp, AutoTopUpAttempt, BudgetSettings, Bundle
from outbox.models import OutboxMessage
from tests import factories
from tests.billing.bank import CARD
from tests.billing.office import assert_listed_and_shown, assert_only_shown, listing

MODELS = [AutoTopUp, AutoTopUpAttempt, BudgetSettings, OutboxMessage]
CREDIT = 1_000_000


@pytest.fixture
def rosewood(db, settings):
    """An organisation with a row on every page, and one mail that was given up."""
    settings.PAYMENTS = "off"
    seed_bundles()
    organisation = factories.make_organisation("Rosewood Dental", factories.make_user("alice@example.com"))
    auto_top_up.remember_card(organisation.id, CARD)
    top_up = auto_top_up.save_auto_top_up(
        organisation.id,
        is_on=True,
        threshold_micro=50 * CREDIT,
        bundle=Bundle.objects.get(slug="small"),
        monthly_ceiling_minor=10_000_00,
    )
    AutoTopUpAttempt.objects.create(
        top_up=top_up, bundle=top_up.bundle, credits_micro=CREDIT, currency=top_up.currency, amount_minor=1900
    )
    low_balance.save_budget(organisation.id, low_balance_thresholds_micro=[7 * CREDIT], monthly_cap_micro=9 * CREDIT)
    with transaction.atomic():
        emails.put_low_balance(organisation.id, crossing=1, threshold_micro=7 * CREDIT)
    OutboxMessage.objects.update(state="given_up", done_at=timezone.now(), error="OSError")
    return organisation


def act(client, model, action):
    return client.post(listing(model), {"action": action, "_selected_action": [model.objects.get().pk]}, follow=True)


@pytest.mark.parametrize("model", MODELS)
def test_every_list_and_every_row_has_a_page(office, rosewood, model):
    assert_listed_and_shown(office, model)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_can_be_added_changed_or_deleted(office, rosewood, model):
    assert_only_shown(office, model)


def test_what_was_given_up_is_tried_again(office, rosewood):
    act(office, OutboxMessage, "try_again")
    assert OutboxMessage.objects.get().state == "pending"


def test_the_operator_switches_auto_top_up_off(office, rosewood):
    act(office, AutoTopUp, "switch_off")
    assert AutoTopUp.objects.get().is_on is False


def test_who_may_only_look_can_do_neither(clerk_with, rosewood):
    client = clerk_with("view_outboxmessage", "view_autotopup")
    act(client, OutboxMessage, "try_again")
    act(client, AutoTopUp, "switch_off")
    assert OutboxMessage.objects.get().state == "given_up"
    assert AutoTopUp.objects.get().is_on is True
