import csv
import io

import pytest

from billing import ledger
from tests.factories import MICRO, make_session
from tests.voice.views.billing_pages import make_purchase
from voice.views import billing_ledger


@pytest.fixture
def bob(client, cast):
    client.force_login(cast.bob)
    return cast.bob


def adjust(organisation, amount_micro, reason):
    ledger.adjust(organisation.pk, amount_micro, key=f"k:{reason}", reason=reason, actor="operator@example.com")


def charge(agent, amount_micro):
    """Settle a call that cost so much."""
    session = make_session(agent)
    hold = ledger.open_hold(
        agent.organisation_id, amount_micro, key="h", reference=session.reference, expires_at=session.ticket_expires_at
    )
    ledger.capture(hold.id, amount_micro, key="c")
    ledger.settle_hold(hold.id, description="A call")
    return session


def listed(response):
    return [entry.amount_micro for entry in response.context["page"].object_list]


def test_every_movement_is_listed_newest_first(client, bob, cast):
    adjust(cast.organisation, -3_000_001, "Corrected")
    page = client.get("/console/billing/ledger/")
    assert listed(page) == [-3_000_001, 1000 * MICRO]
    assert b"-3.000001" in page.content and b"+1,000.00" in page.content


def test_a_debit_leads_to_its_call_and_a_credit_to_its_purchase(client, bob, cast, agent):
    session = charge(agent, 5 * MICRO)
    purchase = make_purchase(cast.organisation)
    ledger.purchase(cast.organisation.pk, 7, key="p", reference=purchase.reference, description="Small")
    page = client.get("/console/billing/ledger/").content.decode()
    assert (
        f'href="/console/calls/{session.pk}/"' in page and f'href="/console/billing/purchases/{purchase.pk}/"' in page
    )


def test_a_reference_that_leads_nowhere_is_no_link(client, bob, cast):
    ledger.purchase(cast.organisation.pk, 7, key="p", reference="purchase:nonsense", description="Odd")
    page = client.get("/console/billing/ledger/").content.decode()
    assert "Odd" in page and "purchases/nonsense" not in page


def test_the_ledger_is_narrowed_by_kind_and_days(client, bob, cast):
    adjust(cast.organisation, 5, "Goodwill")
    assert listed(client.get("/console/billing/ledger/?kind=adjustment")) == [5]
    assert b"Nothing fits" in client.get("/console/billing/ledger/?since=2999-01-01").content


@pytest.mark.parametrize("query", ["kind=x", "since=x", "since=0001-01-01", "until=9999-12-31", "page=99", "kind=%00"])
def test_a_filter_that_means_nothing_narrows_nothing(client, bob, query):
    assert listed(client.get(f"/console/billing/ledger/?{query}")) == [1000 * MICRO]


def test_long_ledgers_come_in_pages_that_keep_the_filter(client, bob, cast, monkeypatch):
    monkeypatch.setattr(billing_ledger, "_ENTRIES_A_PAGE", 2)
    for number in range(3):
        adjust(cast.organisation, 5, f"Goodwill {number}")
    first = client.get("/console/billing/ledger/?kind=adjustment")
    assert len(listed(first)) == 2 and b"?kind=adjustment&amp;page=2" in first.content
    assert len(listed(client.get("/console/billing/ledger/?kind=adjustment&page=2"))) == 1


def test_a_description_is_escaped(client, bob, cast):
    adjust(cast.organisation, 5, "<script>alert(1)</script>")
    assert b"<script>alert" not in client.get("/console/billing/ledger/").content


def rows(response):
    return list(csv.reader(io.StringIO(response.content.decode("utf-8-sig"))))


def test_the_file_has_what_the_page_shows_and_defuses_formulas(client, bob, cast):
    adjust(cast.organisation, -1, "=HYPERLINK(1)")
    response = client.get("/console/billing/ledger.csv")
    assert response["Content-Type"].startswith("text/csv")
    assert response["Content-Disposition"].startswith('attachment; filename="parley-ledger-')
    assert rows(response)[1][1:] == ["Adjustment", "-0.000001", "999.999999", "", "'=HYPERLINK(1)"]


def test_the_file_follows_the_filter_and_is_bounded(client, bob, cast, monkeypatch):
    for number in range(3):
        adjust(cast.organisation, 5, f"Goodwill {number}")
    assert len(rows(client.get("/console/billing/ledger.csv?kind=adjustment"))) == 1 + 3
    monkeypatch.setattr(billing_ledger, "_MOST_ROWS", 2)
    assert len(rows(client.get("/console/billing/ledger.csv"))) == 1 + 2


def test_mallory_sees_nothing_of_ours(client, cast):
    adjust(cast.organisation, -3_000_001, "Our secret correction")
    client.force_login(cast.mallory)
    for path in ("/console/billing/ledger/", "/console/billing/ledger.csv"):
        assert b"Our secret correction" not in client.get(path).content
