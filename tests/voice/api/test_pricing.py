import pytest

from billing.bundles import seed_bundles
from tests.factories import make_agent, make_organisation, make_session, make_user
from voice.models import CatalogueModel, Rate

PATH = "/v1/pricing/estimate"


@pytest.fixture(autouse=True)
def rates(catalogue):
    """Every page and estimate needs the catalogue."""


def error_of(response):
    return response.status_code, response.json()["error"]["code"]


def test_anybody_gets_an_estimate_whose_parts_add_up(client):
    body = client.get(PATH, {"minutes_per_call": 10, "calls_a_month": 20}).json()
    call = body["call"]
    lines = call["lines"] + call["caption_lines"]
    assert sum(line["amount_micro"] for line in lines) == sum(call["minutes_micro"]) == call["amount_micro"]
    assert len(call["minutes_micro"]) == body["question"]["minutes_per_call"] == 10
    assert body["month"] == {"calls": 20, "minutes": 200, "amount_micro": 20 * call["amount_micro"]}
    assert body["text_chat"]["amount_micro"] < call["without_history_micro"] < call["amount_micro"]
    assert body["question"]["model"] == "gpt-realtime-mini" and body["measured"] is None


def test_the_estimate_follows_the_rates_that_bill(client):
    before = client.get(PATH).json()["call"]["amount_micro"]
    Rate.objects.filter(model__slug="gpt-realtime-mini", kind="audio_out").update(micro_per_million=9_000_000_000)
    assert client.get(PATH).json()["call"]["amount_micro"] > before


def test_bundles_are_priced_in_the_currency_that_was_asked_for(client):
    seed_bundles()
    body = client.get(PATH, {"currency": "INR", "calls_a_month": 10}).json()
    assert body["bundle"] == {"slug": "starter", "count": 1}
    starter = body["bundles"][0]
    assert (starter["currency"], starter["amount_minor"], starter["credits_micro"]) == ("INR", 50_000, 500_000_000)
    assert starter["minutes"] == 500_000_000 // body["call"]["per_minute_micro"]


def test_another_model_has_other_prices(client):
    small, large = (client.get(PATH, {"model": slug}).json() for slug in ("gpt-realtime-mini", "gpt-realtime-2.1"))
    assert large["call"]["amount_micro"] > 2 * small["call"]["amount_micro"]


@pytest.mark.parametrize(
    "query",
    ["minutes_per_call=0", "minutes_per_call=x", "calls_a_month=99999999", "history=some", "model=gpt-9",
     "model=parley-embedded", "currency=EUR", "surprise=1", "minutes_per_call=%00"],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused_by_name(client, query):
    response = client.get(f"{PATH}?{query}")
    assert error_of(response) == (400, "invalid_parameter")
    assert query.partition("=")[0] in response.json()["error"]["message"]


def test_without_a_model_for_sale_there_is_no_estimate(client):
    CatalogueModel.objects.update(status="retired")
    assert error_of(client.get(PATH)) == (503, "nothing_for_sale")


def test_a_model_with_a_rate_missing_is_not_estimated(client):
    Rate.objects.filter(model__slug="gpt-realtime-mini", kind="audio_out").delete()
    assert error_of(client.get(PATH)) == (503, "nothing_for_sale")


def test_only_get_is_answered(client):
    assert error_of(client.post(PATH)) == (405, "method_not_allowed")


def test_a_member_sees_what_the_organisations_own_calls_cost_and_mallory_does_not(client):
    alice, mallory = make_user(), make_user()
    agent = make_agent(make_organisation("Alice's", alice))
    make_organisation("Mallory's", mallory)
    for _ in range(5):
        make_session(agent, duration_ms=120_000, captured_micro=3_000_000, uncollected_micro=1_000_000)
    client.force_login(alice)
    assert client.get(PATH).json()["measured"] == {
        "calls": 5, "duration_ms": 600_000, "amount_micro": 20_000_000, "per_minute_micro": 2_000_000
    }  # fmt: skip
    client.force_login(mallory)
    assert client.get(PATH).json()["measured"] is None
