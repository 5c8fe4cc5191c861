from billing import ledger, low_balance
from tests.factories import MICRO


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
