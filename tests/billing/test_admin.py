"""The operator's pages: everything is shown and found, nothing can be edited, and adjusting asks twice."""

import re
import uuid
from datetime import time, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format

from billing import ledger
from billing.models import Capture, Entry, Hold, Lot, SignUpDay, SignUpGrant, Wallet
from billing.sign_up_grants import grant_sign_up_credits
from tests.billing.money import LATER, balance, give, hold
from tests.billing.office import assert_listed_and_shown, assert_only_shown, listing, page, text

pytestmark = pytest.mark.django_db

MODELS = [Wallet, Entry, Lot, Hold, SignUpGrant, SignUpDay]


@pytest.fixture
def busy(alice, settings):
    """Something on every page: 12.5 credits granted, a live call with a capture, a sign-up grant."""
    settings.SIGN_UP_CREDITS, settings.SIGN_UP_CREDITS_A_DAY = 1000, 5000
    give(alice, 12_500_000)
    state = hold(alice, 2_000_000, key="live-call", reference="voice_session:live")
    ledger.capture(state.id, 500_000, key="resp_1")
    grant_sign_up_credits(alice.id, "person-one")
    return alice


def adjusting(organisation):
    return reverse("admin:billing_wallet_adjust", args=[Wallet.objects.get(organisation=organisation).pk])


@pytest.mark.parametrize("model", MODELS)
def test_every_list_and_every_row_has_a_page(office, busy, model):
    assert_listed_and_shown(office, model)


@pytest.mark.parametrize("model", MODELS)
def test_nothing_can_be_added_changed_or_deleted(office, busy, model):
    assert_only_shown(office, model)


@pytest.mark.parametrize(
    ("model", "query"),
    [
        (Wallet, "Plumbing"),
        (Wallet, "{organisation.id}"),
        (Entry, "Plumbing"),
        (Entry, "sign_up:person-one"),
        (Lot, "Plumbing"),
        (Hold, "voice_session:live"),
        (Hold, "live-call"),
        (Hold, "{hold.id}"),
        (SignUpGrant, "{organisation.id}"),
        (SignUpGrant, "person-one"),
    ],
)
def test_rows_are_found_by_what_an_operator_has_at_hand(office, busy, model, query):
    rows = {
        Wallet: busy.wallet,
        Entry: Entry.objects.get(key="sign_up:person-one"),
        Lot: Lot.objects.get(entry__key="sign_up:person-one"),
        Hold: Hold.objects.get(),
        SignUpGrant: SignUpGrant.objects.get(),
    }
    query = query.format(organisation=busy, hold=rows[Hold])
    assert page(rows[model]) in text(office.get(listing(model), {"q": query}))


def test_a_search_does_not_find_others(office, busy, mallory):
    assert page(mallory.wallet) not in text(office.get(listing(Wallet), {"q": "Plumbing"}))


@pytest.mark.parametrize(
    ("model", "filters", "is_found"),
    [
        (Wallet, {"balance": "held"}, True),
        (Wallet, {"balance": "negative"}, False),
        (Wallet, {"balance": "spent"}, False),
        (Hold, {"uncollected": "yes"}, False),
        (Hold, {"uncollected": "no"}, True),
        (Hold, {"status": "open"}, True),
        (Hold, {"overdue": "yes"}, True),
        (Lot, {}, True),
        (Lot, {"left": "yes"}, True),
        (Lot, {"left": "expiring"}, False),
        (Lot, {"left": "no"}, False),
        (Lot, {"kind": "purchased"}, False),
        (Entry, {"kind": "grant"}, True),
        (Entry, {"kind": "usage"}, False),
    ],
)
def test_lists_can_be_narrowed(office, busy, model, filters, is_found):
    assert (page(model.objects.latest("pk")) in text(office.get(listing(model), filters))) == is_found


def test_lists_of_many_rows_ask_the_database_a_fixed_number_of_times(office, alice, django_assert_max_num_queries):
    for _ in range(30):
        give(alice, 1)
    with django_assert_max_num_queries(14):
        office.get(listing(Entry))


def test_a_wallets_page_shows_its_credits_its_live_calls_and_what_moved_it(office, busy):
    shown = text(office.get(page(busy.wallet)))
    for amount in ["1,012.5001", "1,010.5001", "2.00", "0.50", "voice_session:live", "Credits to start with"]:
        assert amount in shown


def test_a_wallets_page_shows_which_credits_are_left(office, busy):
    ledger.purchase(busy.id, 7_250_000, key="p", reference="purchase:7", description="")
    shown = text(office.get(page(busy.wallet)))
    assert [shown.count(word) for word in ["purchase:7", "7.25"]] == [2, 3]


def test_an_entrys_page_and_a_lots_page_lead_to_each_other(office, busy):
    ledger.claw_back(busy.id, 50, kind="refund", key="r", reference="", description="")
    entry, lot = Entry.objects.get(key="r"), Lot.objects.order_by("pk").first()
    entry_took_from = entry.draws.get().lot
    assert page(entry_took_from) in text(office.get(page(entry)))
    assert page(entry) in text(office.get(page(entry_took_from)))
    assert page(lot.entry) in text(office.get(page(lot)))


def test_a_wallet_that_does_not_exist_is_not_an_error(office):
    for nobody in ["0", "999", "x", "9" * 30]:
        assert office.get(f"{listing(Wallet)}{nobody}/change/").status_code == 302


def test_a_holds_page_shows_its_captures(office, busy):
    assert "resp_1" in text(office.get(page(Hold.objects.get())))
    assert Capture.objects.count() == 1


def an_adjustment(office, organisation, **fields):
    form = {"credits": "-12.50", "reason": "Granted by mistake", "key": str(uuid.uuid4())} | fields
    return office.post(adjusting(organisation), form)


def test_adjusting_starts_with_a_form_that_carries_a_new_key(office, alice):
    keys = {re.search(r'name="key" value="([0-9a-f-]{36})"', text(office.get(adjusting(alice))))[1] for _ in range(2)}
    assert len(keys) == 2


def test_the_form_first_asks_whether_that_is_what_was_meant(office, alice):
    asked = text(an_adjustment(office, alice))
    assert "-12.4999" in asked
    assert 'name="confirmed"' in asked
    assert balance(alice) == (100, 0, 100)


def test_a_confirmed_adjustment_moves_the_wallet_and_says_who_and_why(office, alice):
    assert an_adjustment(office, alice, confirmed="yes").url == page(alice.wallet)
    made = Entry.objects.get(kind="adjustment")
    assert (made.amount_micro, made.description) == (-12_500_000, "Granted by mistake")
    assert made.actor == "olga@example.com"


def test_an_adjustment_sent_twice_moves_the_wallet_once(office, alice):
    key = str(uuid.uuid4())
    for _ in range(2):
        assert an_adjustment(office, alice, confirmed="yes", key=key).status_code == 302
    assert Entry.objects.filter(kind="adjustment").count() == 1


def test_a_form_sent_again_with_another_amount_is_refused(office, alice):
    key = str(uuid.uuid4())
    an_adjustment(office, alice, confirmed="yes", key=key)
    again = text(an_adjustment(office, alice, confirmed="yes", key=key, credits="5"))
    assert "sent before with another amount" in again
    assert 'name="confirmed"' not in again


def test_an_adjustment_beyond_what_a_wallet_can_hold_is_refused(office, alice):
    Wallet.objects.filter(organisation=alice).update(balance_micro=ledger.MAX_TOTAL_MICRO)
    assert "larger than a wallet can hold" in text(an_adjustment(office, alice, confirmed="yes", credits="1"))
    Wallet.objects.filter(organisation=alice).update(balance_micro=100)


@pytest.mark.parametrize(
    "fields",
    [
        {"reason": ""},
        {"reason": "   "},
        {"reason": "a\tb"},
        {"reason": "x" * 301},
        {"credits": "0"},
        {"credits": ""},
        {"credits": "ten"},
        {"credits": "NaN"},
        {"credits": "0.0000001"},
        {"credits": "1000000001"},
        {"credits": "1e30"},
        {"key": ""},
        {"key": "not-a-key"},
    ],
)
def test_a_form_that_makes_no_sense_moves_nothing(office, alice, fields):
    assert "errorlist" in text(an_adjustment(office, alice, confirmed="yes", **fields))
    assert balance(alice) == (100, 0, 100)


def granting(organisation):
    return reverse("admin:billing_wallet_grant", args=[Wallet.objects.get(organisation=organisation).pk])


def a_grant(office, organisation, **fields):
    form = {"credits": "12.50", "reason": "A workshop", "last_day": "", "key": str(uuid.uuid4())} | fields
    return office.post(granting(organisation), form)


def test_a_grant_asks_first_and_says_when_its_credits_are_gone(office, alice):
    tomorrow = timezone.localdate() + timedelta(days=1)
    asked = text(a_grant(office, alice, last_day=tomorrow.isoformat()))
    assert "Yes, grant" in asked
    assert date_format(tomorrow) in asked
    assert balance(alice) == (100, 0, 100)


def test_a_confirmed_grant_is_a_lot_that_lasts_through_its_last_day(office, alice):
    today = timezone.localdate()
    assert a_grant(office, alice, confirmed="yes", last_day=today.isoformat()).url == page(alice.wallet)
    made = Entry.objects.get(description="A workshop")
    assert (made.kind, made.amount_micro, made.actor) == ("grant", 12_500_000, "olga@example.com")
    assert timezone.localtime(made.lot.expires_at).date() == today + timedelta(days=1)
    assert timezone.localtime(made.lot.expires_at).time() == time.min


def test_a_grant_without_a_last_day_is_for_ever(office, alice):
    a_grant(office, alice, confirmed="yes")
    assert Entry.objects.get(description="A workshop").lot.expires_at is None


def test_the_grants_form_proposes_what_the_operator_set(office, alice, settings):
    assert 'type="date" name="last_day" aria' in text(office.get(granting(alice)))
    settings.GRANTED_CREDITS_LAST_DAYS = 30
    last_day = timezone.localdate() + timedelta(days=30)
    assert f'value="{last_day.isoformat()}"' in text(office.get(granting(alice)))


def test_a_grant_sent_twice_is_given_once(office, alice):
    key = str(uuid.uuid4())
    for _ in range(2):
        assert a_grant(office, alice, confirmed="yes", key=key).status_code == 302
    assert balance(alice)[0] == 12_500_100


@pytest.mark.parametrize(
    "fields",
    [
        {"credits": "-1"},
        {"credits": "0"},
        {"reason": ""},
        {"last_day": "2020-01-01"},
        {"last_day": "9999-12-31"},
        {"last_day": "soon"},
    ],
)
def test_a_grant_that_makes_no_sense_gives_nothing(office, alice, fields):
    assert "errorlist" in text(a_grant(office, alice, confirmed="yes", **fields))
    assert balance(alice) == (100, 0, 100)


def test_adjusting_needs_a_permission_of_its_own(clerk_with, alice):
    client = clerk_with("view_wallet")
    assert "Adjust with a reason" not in text(client.get(page(alice.wallet)))
    assert client.get(adjusting(alice)).status_code == 403
    assert an_adjustment(client, alice, confirmed="yes").status_code == 403
    assert client.get(granting(alice)).status_code == 403
    assert a_grant(client, alice, confirmed="yes").status_code == 403


def test_strangers_are_sent_to_the_door(client, alice):
    assert client.get(adjusting(alice)).status_code == 302
    assert an_adjustment(client, alice, confirmed="yes").status_code == 302
    assert balance(alice) == (100, 0, 100)


def test_a_wallet_that_does_not_exist_cannot_be_adjusted(office):
    assert office.get(reverse("admin:billing_wallet_adjust", args=[999])).status_code == 404


def test_the_operator_grants_what_the_ceiling_refused(office, alice, settings):
    settings.SIGN_UP_CREDITS, settings.SIGN_UP_CREDITS_A_DAY = 1000, 0
    grant_sign_up_credits(alice.id, "person-two")
    row = SignUpGrant.objects.get(person_key="person-two")
    response = office.post(listing(SignUpGrant), {"action": "grant_now", "_selected_action": [row.pk]}, follow=True)
    assert "1 granted" in text(response)
    assert balance(alice)[0] == 1000 * ledger.MICRO + 100


def test_our_pages_hold_no_inline_script_or_style(office, busy):
    """The content security policy would switch them off."""
    for url in [page(busy.wallet), adjusting(busy), granting(busy), reverse("admin:billing_wallet_audit")]:
        shown = text(office.get(url))
        assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?![^>]*\ssrc=)", shown)


def test_what_a_customer_wrote_is_shown_as_text(office, alice):
    alice.name = "<script>alert(1)</script>"
    alice.save()
    hold(alice, 5, reference="<b>bold</b>", expires_at=LATER)
    audit = reverse("admin:billing_wallet_audit")
    for url in [listing(Wallet), listing(Hold), page(alice.wallet), adjusting(alice), granting(alice), audit]:
        shown = text(office.get(url))
        assert "<script>alert" not in shown
        assert "<b>bold" not in shown
