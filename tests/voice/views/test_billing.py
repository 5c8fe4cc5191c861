"""The billing page, and the way to the payment page and back."""

from datetime import timedelta

import pytest
from django.test import Client
from django.utils import timezone

from accounts.models import Membership, Role
from billing import auto_top_up, ledger
from billing.bundles import seed_bundles
from billing.models import AttemptState, AutoTopUp, AutoTopUpAttempt, Bundle, Purchase
from tests.factories import MICRO, balance_micro, make_agent, make_session, make_usage
from tests.fakes.stripe_server import KEY, SECRET, FakeStripe
from voice.views.billing_usage import usage_of

PAGES = [
    "/console/billing/", "/console/billing/ledger/", "/console/billing/ledger.csv", "/console/billing/purchases/",
    "/console/billing/settings/",
]  # fmt: skip


@pytest.fixture(scope="module")
def fake_stripe():
    with FakeStripe() as fake:
        yield fake


@pytest.fixture
def stripe(fake_stripe, settings):
    settings.PAYMENTS = "stripe"
    settings.STRIPE_SECRET_KEY, settings.STRIPE_WEBHOOK_SECRET = KEY, SECRET
    settings.STRIPE_API_BASE = fake_stripe.base
    fake_stripe.reset()
    return fake_stripe


@pytest.fixture
def alice(client, cast):
    cast.organisation.country = "US"
    cast.organisation.save()
    seed_bundles()
    client.force_login(cast.alice)
    return cast.alice


@pytest.fixture
def bob(client, cast):
    seed_bundles()
    client.force_login(cast.bob)
    return cast.bob


def buy(client, bundle="small", **fields):
    return client.post("/console/billing/buy/", {"bundle": bundle, **fields})


def come_back(client, checkout_id):
    return client.get(f"/console/billing/bought/?checkout={checkout_id}", follow=True)


@pytest.mark.parametrize("path", PAGES)
def test_a_stranger_logs_in_first(client, db, path):
    assert client.get(path).url.startswith("/accounts/login/")


@pytest.mark.parametrize("path", PAGES)
def test_members_see_every_page(client, bob, path):
    assert client.get(path).status_code == 200


def test_the_balance_is_in_credits_in_money_and_in_minutes(client, alice, cast):
    page = client.get("/console/billing/").content.decode()
    assert "1,000.00" in page and "$10.00" in page and "at an estimated" in page


def test_in_india_it_is_in_rupees(client, alice, cast):
    cast.organisation.country = "IN"
    cast.organisation.save()
    page = client.get("/console/billing/").content.decode()
    assert "₹1,000.00" in page and "₹1,900.00" in page and "$" not in page


def test_minutes_are_at_the_organisations_own_average_once_there_is_one(client, alice, cast, agent):
    for _ in range(5):
        make_session(agent, duration_ms=60_000, captured_micro=4 * MICRO)
    page = client.get("/console/billing/")
    assert page.context["minutes"] == 250 and b"at your average of 4.00" in page.content


def test_a_wallet_below_zero_lasts_for_no_minutes(client, alice, cast):
    ledger.adjust(cast.organisation.pk, -1200 * MICRO, key="k", reason="Charged back", actor="operator")
    page = client.get("/console/billing/")
    assert page.context["minutes"] == 0 and b"-200.00" in page.content


def test_held_credits_do_not_count_as_minutes_left(client, alice, cast):
    until = timezone.now() + timedelta(minutes=5)
    ledger.open_hold(cast.organisation.pk, 1000 * MICRO, key="h", reference="voice_session:x", expires_at=until)
    page = client.get("/console/billing/")
    assert page.context["minutes"] == 0 and b"Held for calls" in page.content


def test_each_bundle_says_what_a_minute_costs_and_what_it_saves(client, alice):
    offers = client.get("/console/billing/").context["offers"]
    prices = [offer.per_minute for offer in offers]
    assert len(offers) == 5 and prices == sorted(prices, reverse=True)
    assert [offer.saved_percent for offer in offers] == [0, 5, 8, 11, 14]


def test_granted_credits_that_expire_are_told_apart(client, alice, cast):
    until = timezone.now() + timedelta(days=9)
    ledger.grant(cast.organisation.pk, 5 * MICRO, key="g", description="Goodwill", expires_at=until)
    assert b"Granted credits go first" in client.get("/console/billing/").content


def test_without_payments_nothing_can_be_bought(client, alice, settings):
    settings.PAYMENTS = "off"
    page = client.get("/console/billing/").content
    assert b"has not set up payments" in page and b"Go to payment" not in page
    assert b"has not set up payments" in client.get(buy(client).url).content


def test_members_see_the_bundles_and_cannot_buy(client, bob):
    page = client.get("/console/billing/").content
    assert b"Owners and admins" in page and b"Go to payment" not in page
    assert buy(client).status_code == 403 and not Purchase.objects.exists()


def test_admins_can_buy(client, bob, cast, stripe):
    Membership.objects.filter(user=cast.bob).update(role=Role.ADMIN)
    assert buy(client).status_code == 303


def test_buying_leads_to_the_payment_page_and_back_to_the_credits(client, alice, cast, stripe):
    answer = buy(client)
    purchase = Purchase.objects.get()
    assert answer.status_code == 303 and purchase.stripe_checkout_id in answer.url
    stripe.pay(purchase.stripe_checkout_id)
    page = come_back(client, purchase.stripe_checkout_id)
    assert b"2,000 credits are in your balance" in page.content
    assert balance_micro(cast.organisation.pk) == 3000 * MICRO
    assert b"Receipt" in page.content


def test_coming_back_twice_buys_once(client, alice, cast, stripe):
    buy(client)
    checkout_id = Purchase.objects.get().stripe_checkout_id
    stripe.pay(checkout_id)
    for _ in range(2):
        come_back(client, checkout_id)
    assert balance_micro(cast.organisation.pk) == 3000 * MICRO


def test_coming_back_without_having_paid_says_so(client, alice, cast, stripe):
    buy(client)
    page = come_back(client, Purchase.objects.get().stripe_checkout_id)
    assert b"Not paid" in page.content and balance_micro(cast.organisation.pk) == 1000 * MICRO


def test_a_payment_that_takes_days_says_so(client, alice, cast, stripe):
    buy(client)
    checkout_id = Purchase.objects.get().stripe_checkout_id
    stripe.pay_later(checkout_id)
    assert b"The bank has not decided yet" in come_back(client, checkout_id).content


def test_the_card_is_kept_only_when_that_was_ticked(client, alice, stripe):
    buy(client)
    buy(client, save_card="on")
    forms = [form for method, path, form in stripe.requests if method == "POST" and path.endswith("/checkout/sessions")]
    assert ["setup_future_usage" in str(form) for form in forms] == [False, True]


def test_when_the_payment_service_is_away_nothing_is_charged_and_the_page_says_so(client, alice, stripe):
    stripe.failures = [(503, "unavailable")] * 10
    page = client.post("/console/billing/buy/", {"bundle": "small"}, follow=True)
    assert b"Nothing was charged" in page.content


def test_coming_back_while_the_payment_service_is_away_is_no_error(client, alice, stripe):
    buy(client)
    stripe.failures = [(503, "unavailable")] * 10
    page = come_back(client, Purchase.objects.get().stripe_checkout_id)
    assert page.status_code == 200 and b"the credits come by themselves" in page.content


@pytest.mark.parametrize("bundle", ["", "nonsense", "<script>", "small\x00"])
def test_a_bundle_that_is_none_buys_nothing(client, alice, bundle):
    page = client.post("/console/billing/buy/", {"bundle": bundle}, follow=True)
    assert b"Choose one of the bundles" in page.content and not Purchase.objects.exists()


def test_a_bundle_that_is_no_longer_sold_is_not_bought(client, alice):
    Bundle.objects.filter(slug="small").update(is_active=False)
    assert (
        b"Choose one of the bundles" in client.post("/console/billing/buy/", {"bundle": "small"}, follow=True).content
    )


def test_a_form_of_another_site_buys_nothing(cast):
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(cast.alice)
    assert buy(strict).status_code == 403


def test_buying_without_end_is_stopped_before_the_payment_service_hears_of_it(client, alice, stripe, cast):
    for _ in range(10):
        assert buy(client).status_code == 303
    assert (
        "please wait a minute"
        in client.post("/console/billing/buy/", {"bundle": "small"}, follow=True).content.decode()
    )
    assert Purchase.objects.count() == 10
    client.force_login(cast.mallory)
    assert buy(client).status_code == 303, "another organisation is not in anybody's way"


def test_the_policy_lets_the_form_lead_to_the_payment_page(client, alice):
    assert (
        "form-action 'self' https://checkout.stripe.com" in client.get("/console/billing/")["Content-Security-Policy"]
    )
    assert "stripe" not in client.get("/console/")["Content-Security-Policy"]


@pytest.mark.parametrize("query", ["", "?checkout=", "?checkout=cs_nobodys", "?checkout=%00"])
def test_coming_back_from_a_checkout_that_is_none_is_not_found(client, alice, stripe, query):
    assert client.get(f"/console/billing/bought/{query}").status_code == 404


def test_mallory_cannot_come_back_from_our_checkout_or_see_our_money(client, alice, cast, stripe):
    buy(client)
    checkout_id = Purchase.objects.get().stripe_checkout_id
    stripe.pay(checkout_id)
    client.force_login(cast.mallory)
    assert client.get(f"/console/billing/bought/?checkout={checkout_id}").status_code == 404
    assert Purchase.objects.get().status == "created"
    page = client.get("/console/billing/").content.decode()
    assert cast.organisation.name not in page


def test_usage_is_split_by_agent_and_by_model(client, bob, cast, agent):
    other = make_agent(cast.organisation, name="Night desk")
    make_usage(make_session(agent), ("audio_in", 1, 1, 3 * MICRO))
    make_usage(make_session(other), ("audio_in", 1, 1, 2 * MICRO), model_slug="gpt-realtime")
    page = client.get("/console/billing/")
    assert [(each.name, each.total_micro) for each in page.context["usage"].series] == [
        ("Reception", 3 * MICRO), ("Night desk", 2 * MICRO)
    ]  # fmt: skip
    by_model = client.get("/console/billing/?by=model").context["usage"]
    assert [each.name for each in by_model.series] == ["gpt-realtime-mini", "gpt-realtime"]


def test_usage_stands_on_its_day_and_days_without_calls_are_there(cast, agent):
    session = make_session(agent)
    yesterday = timezone.now() - timedelta(days=1)
    make_usage(session, ("audio_in", 1, 1, 7), created_at=yesterday)
    make_usage(session, ("audio_in", 1, 1, 9), created_at=timezone.now() - timedelta(days=40))
    usage = usage_of(cast.organisation.pk, "agent")
    assert len(usage.days) == 30 and usage.total_micro == 7
    assert [day.day for day in usage.used_days] == [timezone.localdate(yesterday)]


def test_beyond_five_agents_the_rest_is_added_up(cast):
    for number in range(1, 8):
        make_usage(make_session(make_agent(cast.organisation, name=f"Agent {number}")), ("audio_in", 1, 1, number))
    usage = usage_of(cast.organisation.pk, "agent")
    assert [(each.name, each.total_micro) for each in usage.series][-1] == ("Others", 1 + 2)
    assert len(usage.series) == 6 and usage.total_micro == sum(range(1, 8))
    assert usage.days[-1].total_micro == sum(range(1, 8))


def test_a_deleted_agents_usage_stays(cast, agent):
    make_usage(make_session(agent), ("audio_in", 1, 1, 5))
    agent.delete()
    assert [each.name for each in usage_of(cast.organisation.pk, "agent").series] == ["Deleted agent"]


def test_another_organisations_usage_is_not_drawn(cast, agent):
    make_usage(make_session(agent), ("audio_in", 1, 1, 5))
    assert usage_of(cast.other_organisation.pk, "agent").series == []


def attempt_to_confirm(organisation):
    top_up, _ = AutoTopUp.objects.get_or_create(organisation=organisation)
    return AutoTopUpAttempt.objects.create(
        top_up=top_up,
        bundle=Bundle.objects.get(slug="small"),
        credits_micro=2000 * MICRO,
        currency="USD",
        amount_minor=1_900,
        state=AttemptState.NEEDS_CONFIRMATION,
        ended_at=timezone.now(),
    )


def test_a_payer_confirms_with_the_bank_what_could_not_be_bought_alone(client, alice, cast, stripe):
    path = auto_top_up.confirmation_path(attempt_to_confirm(cast.organisation).pk)
    assert b"Your bank wants you to confirm" in client.get(path).content
    answer = client.post(path)
    assert answer.status_code == 303 and Purchase.objects.get().stripe_checkout_id in answer.url


def test_nobody_else_confirms_it(client, alice, cast):
    path = auto_top_up.confirmation_path(attempt_to_confirm(cast.organisation).pk)
    client.force_login(cast.bob)
    assert client.get(path).status_code == client.post(path).status_code == 403
    client.force_login(cast.mallory)
    assert client.get(path).status_code == client.post(path).status_code == 404
