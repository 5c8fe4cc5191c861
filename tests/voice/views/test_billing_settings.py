"""Auto top-up, warnings and the month's cap, as payers set them."""

import pytest

from billing import auto_top_up, low_balance
from billing.bundles import seed_bundles
from billing.models import AutoTopUp, BudgetSettings
from tests.billing.bank import CARD, INDIAN_CARD
from tests.factories import MICRO

PAGE = "/console/billing/settings/"
POSTS = [f"{PAGE}auto-top-up/", f"{PAGE}budget/", f"{PAGE}forget-card/"]


@pytest.fixture
def alice(client, cast):
    cast.organisation.country = "US"
    cast.organisation.save()
    seed_bundles()
    client.force_login(cast.alice)
    return cast.alice


def switch_on(client, **fields):
    values = {"is_on": "on", "threshold": "100", "bundle": "small", "monthly_ceiling": "100", **fields}
    return client.post(POSTS[0], {f"top_up-{name}": value for name, value in values.items() if value is not None})


def save_budget(client, **fields):
    return client.post(POSTS[1], {"thresholds": "200, 50", "monthly_cap": "", **fields})


def test_auto_top_up_is_switched_on_with_a_saved_card(client, alice, cast):
    auto_top_up.remember_card(cast.organisation.pk, CARD)
    assert switch_on(client).url == PAGE
    saved = auto_top_up.settings_of(cast.organisation.pk)
    assert saved.is_on and saved.bundle.slug == "small"
    assert (saved.threshold_micro, saved.monthly_ceiling_minor, saved.currency) == (100 * MICRO, 10_000, "USD")
    page = client.get(PAGE).content.decode()
    assert CARD.label in page and "Auto top-up is on." in page


def test_auto_top_up_is_switched_off(client, alice, cast):
    auto_top_up.remember_card(cast.organisation.pk, CARD)
    switch_on(client)
    switch_on(client, is_on=None)
    assert not auto_top_up.settings_of(cast.organisation.pk).is_on


def test_without_a_card_it_cannot_be_switched_on_and_the_page_says_why(client, alice, cast):
    answer = switch_on(client)
    assert answer.status_code == 422 and b"so that there is one to charge" in answer.content
    assert not auto_top_up.settings_of(cast.organisation.pk).is_on


def test_a_card_whose_bank_wants_its_holder_present_is_refused(client, alice, cast):
    auto_top_up.remember_card(cast.organisation.pk, INDIAN_CARD)
    assert switch_on(client).status_code == 422
    assert b"wants its holder present" in client.get(PAGE).content


@pytest.mark.parametrize(
    "fields",
    [
        {"threshold": "-1"}, {"threshold": "x"}, {"threshold": "0"}, {"threshold": "99999999999"}, {"threshold": "NaN"},
        {"threshold": "1.234"}, {"bundle": "nonsense"}, {"monthly_ceiling": "1"}, {"monthly_ceiling": "Infinity"},
    ],
)  # fmt: skip
def test_settings_that_make_no_sense_are_refused_beside_their_field(client, alice, cast, fields):
    auto_top_up.remember_card(cast.organisation.pk, CARD)
    answer = switch_on(client, **fields)
    assert answer.status_code == 422 and b"errorlist" in answer.content
    assert not auto_top_up.settings_of(cast.organisation.pk).is_on


def test_a_card_can_be_forgotten(client, alice, cast):
    auto_top_up.remember_card(cast.organisation.pk, CARD)
    switch_on(client)
    client.post(POSTS[2])
    saved = auto_top_up.settings_of(cast.organisation.pk)
    assert (saved.is_on, saved.card_label, saved.payment_method_id) == (False, "", "")


def test_warnings_and_the_cap_are_saved(client, alice, cast):
    assert save_budget(client, thresholds="1 000, 50.5", monthly_cap="2500").url == PAGE
    saved = low_balance.budget_of(cast.organisation.pk)
    assert saved.low_balance_thresholds_micro == [1000 * MICRO, 50_500_000]
    assert saved.monthly_cap_micro == 2500 * MICRO
    assert b"1000, 50.5" in client.get(PAGE).content


def test_no_warning_and_no_cap_are_choices_too(client, alice, cast):
    save_budget(client, thresholds="", monthly_cap="")
    saved = low_balance.budget_of(cast.organisation.pk)
    assert (saved.low_balance_thresholds_micro, saved.monthly_cap_micro) == ([], None)


def test_a_cap_of_nothing_is_a_cap(client, alice, cast):
    save_budget(client, monthly_cap="0")
    assert low_balance.budget_of(cast.organisation.pk).monthly_cap_micro == 0


@pytest.mark.parametrize(
    "fields",
    [
        {"thresholds": "x"}, {"thresholds": "-5"}, {"thresholds": "1e99"}, {"thresholds": "NaN"},
        {"thresholds": "1,2,3,4,5,6"}, {"thresholds": "0.0000001"}, {"monthly_cap": "-1"}, {"monthly_cap": "x"},
    ],
)  # fmt: skip
def test_amounts_that_are_none_are_refused_beside_their_field(client, alice, cast, fields):
    answer = save_budget(client, **fields)
    assert answer.status_code == 422 and b"errorlist" in answer.content
    assert not BudgetSettings.objects.filter(monthly_cap_micro__isnull=False).exists()


def test_members_see_the_settings_and_change_nothing(client, cast):
    client.force_login(cast.bob)
    page = client.get(PAGE).content
    assert b"Owners and admins set these" in page and b"<form" not in page.split(b"<main")[1]
    assert {client.post(path).status_code for path in POSTS} == {403}


def test_mallory_changes_only_her_own(client, alice, cast):
    auto_top_up.remember_card(cast.organisation.pk, CARD)
    switch_on(client)
    client.force_login(cast.mallory)
    assert CARD.label.encode() not in client.get(PAGE).content
    client.post(POSTS[2])
    save_budget(client, monthly_cap="0")
    assert auto_top_up.settings_of(cast.organisation.pk).is_on
    assert low_balance.budget_of(cast.organisation.pk).monthly_cap_micro is None
    assert AutoTopUp.objects.get(organisation=cast.organisation).card_label == CARD.label
