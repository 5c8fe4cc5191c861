import pytest

from billing import ledger, low_balance
from billing.sign_up_grants import grant_sign_up_credits
from tests.factories import MICRO, fund, make_organisation, make_user


def spend(organisation, credits):
    ledger.adjust(organisation.pk, -credits * MICRO, key=f"k{credits}", reason="Spent", actor="operator")


def test_while_there_are_credits_there_is_no_banner(client, cast):
    client.force_login(cast.bob)
    assert b"credits are left" not in client.get("/console/agents/").content


def test_when_they_run_low_every_page_of_the_console_says_so(client, cast):
    spend(cast.organisation, 900)
    client.force_login(cast.alice)
    for path in ("/console/", "/console/calls/", "/console/members/"):
        page = client.get(path).content
        assert b"100.00 credits are left" in page and b"Buy credits" in page


def test_low_is_what_the_customer_says_it_is(client, cast):
    spend(cast.organisation, 900)
    low_balance.save_budget(cast.organisation.pk, low_balance_thresholds_micro=[], monthly_cap_micro=None)
    client.force_login(cast.alice)
    assert b"credits are left" not in client.get("/console/").content


def test_when_they_are_gone_it_says_that_no_call_can_start(client, cast):
    spend(cast.organisation, 1000)
    client.force_login(cast.bob)
    page = client.get("/console/").content
    assert b"There are no credits left" in page and b"Owners and admins can buy" in page


def test_somebody_without_an_organisation_has_no_banner(client, cast):
    cast.bob.memberships.all().delete()
    client.force_login(cast.bob)
    page = client.get("/console/account/")
    assert page.status_code == 200 and b"no credits left" not in page.content


@pytest.fixture
def newcomer(client, db, settings):
    """Signed up with an address whose person had the credits before: nothing was ever given."""
    settings.SIGN_UP_CREDITS = 1000
    zoe = make_user("zoe@example.com")
    organisation = make_organisation("Second Try", zoe)
    client.force_login(zoe)
    return organisation


def test_who_had_the_credits_before_is_told_so(client, newcomer):
    page = client.get("/console/").content.decode()
    assert "Second Try has no credits yet" in page and "had them before" in page
    assert "There are no credits left" not in page


def test_who_was_put_off_by_the_days_ceiling_is_told_so(client, newcomer, settings):
    settings.SIGN_UP_CREDITS_A_DAY = 0
    grant_sign_up_credits(newcomer.pk, "zoe")
    assert "They may still come" in client.get("/console/").content.decode()


def test_who_used_their_credits_up_is_told_that_and_nothing_else(client, newcomer):
    fund(newcomer, 1)
    ledger.adjust(newcomer.pk, -ledger.MICRO, key="gone", reason="used up", actor="olga")
    page = client.get("/console/").content.decode()
    assert "There are no credits left" in page and "has no credits yet" not in page


def test_where_nothing_is_given_nobody_is_told_why(client, newcomer, settings):
    settings.SIGN_UP_CREDITS = 0
    assert "There are no credits left" in client.get("/console/").content.decode()
