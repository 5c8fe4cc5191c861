import pytest

from billing.bundles import seed_bundles
from tests.factories import make_session
from voice.models import CatalogueModel, Rate
from voice.views.billing_chart import HEIGHT, WIDTH, stacked_bars


def test_a_visitor_sees_what_a_call_costs(client, cast, settings):
    settings.SELLER_COUNTRY = "US"
    page = client.get("/pricing/")
    quote = page.context["quote"]
    assert quote.model.slug == "gpt-realtime-mini" and quote.currency == "USD"
    assert len(page.context["bars"]) == 5
    assert b"A call of 5 minutes" in page.content and b"Your own calls" not in page.content


def test_answers_to_the_questions_change_the_sum(client, cast):
    short, long = (client.get(f"/pricing/?minutes_per_call={n}").context["quote"] for n in (1, 30))
    assert long.estimate.spoken.amount_micro > 30 * short.estimate.spoken.amount_micro


@pytest.mark.parametrize("query", ["minutes_per_call=0", "calls_a_month=x", "history=x", "model=x", "currency=EUR"])
def test_a_wrong_answer_is_marked_and_nothing_is_worked_out(client, cast, query):
    page = client.get(f"/pricing/?{query}")
    assert page.status_code == 200 and page.context["quote"] is None
    assert b"errorlist" in page.content and b"<details open>" in page.content


def test_an_unknown_parameter_is_no_question(client, cast):
    assert client.get("/pricing/?utm_source=x").context["quote"] is not None


def test_what_is_sent_is_escaped(client, cast):
    assert b"<script>alert" not in client.get("/pricing/?minutes_per_call=<script>alert(1)</script>").content


@pytest.mark.parametrize("fault", [lambda: CatalogueModel.objects.all().delete(), lambda: Rate.objects.all().delete()])
def test_without_rates_the_page_says_so(client, cast, fault):
    fault()
    assert b"Nothing is for sale" in client.get("/pricing/").content


def test_in_india_money_is_in_rupees(client, cast):
    cast.organisation.country = "IN"
    cast.organisation.save()
    client.force_login(cast.bob)
    assert "₹" in client.get("/pricing/").content.decode()


def test_the_bundle_that_covers_the_month_is_pointed_out(client, cast, settings):
    settings.SELLER_COUNTRY = "US"
    seed_bundles()
    quote = client.get("/pricing/?calls_a_month=10").context["quote"]
    assert quote.choice.offer.slug == "starter" and quote.choice.count == 1
    assert [bundle.is_choice for bundle in quote.bundles] == [True, False, False, False, False]
    assert b"covers the month for <strong>$5.00" in client.get("/pricing/?calls_a_month=10").content
    assert (
        "covers the month for <strong>₹500.00" in client.get("/pricing/?calls_a_month=10&currency=INR").content.decode()
    )


def test_members_see_their_own_averages_and_mallory_does_not(client, cast, agent):
    for _ in range(5):
        make_session(agent, duration_ms=60_000, captured_micro=7_654_321)
    client.force_login(cast.bob)
    assert b"7.65 credits a minute on average" in client.get("/pricing/").content
    client.force_login(cast.mallory)
    assert b"Your own calls" not in client.get("/pricing/").content


def test_more_calls_at_once_than_the_server_takes_are_pointed_out(client, cast, settings):
    settings.CONCURRENT_CALLS_PER_ORGANISATION = 4
    assert b"This server takes 4 calls" in client.get("/pricing/?peak_calls=5").content
    assert b"This server takes" not in client.get("/pricing/?peak_calls=4").content


def test_bars_stand_on_each_other_within_the_chart():
    bars = stacked_bars([("one", [30, 10]), ("two", [0, 5]), ("three", [0, 0])])
    assert [(bar.series, bar.height) for bar in bars] == [(1, 150), (2, 50), (2, 25)]
    assert bars[0].y == 50 and bars[1].y == 0 and bars[2].y == HEIGHT - 25
    assert all(bar.x + bar.width <= WIDTH for bar in bars)


def test_nothing_has_no_bars():
    assert stacked_bars([]) == stacked_bars([("a", [0])]) == []
