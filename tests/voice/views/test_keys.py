import re

import pytest

from accounts.api_keys import authenticate, create_key
from accounts.exceptions import KeyRefused
from accounts.models import ApiKey
from billing.ledger import MICRO
from tests.factories import make_agent, make_session
from voice.models import ApiRequest
from voice.views.billing_usage import usage_of

PATH = "/console/code/"


@pytest.fixture
def alice(cast, client):
    client.force_login(cast.alice)
    return client


@pytest.fixture
def bob(cast, client):
    client.force_login(cast.bob)
    return client


def make_by_hand(client, **typed):
    return client.post(f"{PATH}keys/new/", {"name": "Website", "scopes": ["realtime", "chat"], "days": "", **typed})


def test_an_admin_makes_a_key_and_sees_it_once(alice, cast):
    page = make_by_hand(alice).content.decode()
    text = re.search(r"sk_parley_\w+", page)[0]
    key = authenticate(text)
    assert (key.organisation, key.scopes, key.created_by) == (cast.organisation, ["realtime", "chat"], cast.alice)
    assert text not in alice.get(PATH).content.decode()


def test_the_page_that_shows_a_key_is_kept_nowhere(alice):
    assert "no-store" in make_by_hand(alice)["Cache-Control"]


def test_a_key_is_given_its_limits(alice):
    limits = {"monthly_credits": "25", "requests_per_minute": "10", "concurrent_calls": "2", "days": "30"}
    make_by_hand(alice, allowed_models=["gpt-realtime-mini"], **limits)
    key = ApiKey.objects.get()
    assert (key.monthly_budget_micro, key.requests_per_minute, key.concurrent_calls) == (25 * MICRO, 10, 2)
    assert key.allowed_models == ["gpt-realtime-mini"] and key.expires_at is not None


@pytest.mark.parametrize(
    "typed",
    [{"name": ""}, {"scopes": []}, {"scopes": ["all"]}, {"monthly_credits": "-1"}, {"days": "7"},
     {"requests_per_minute": "0"}, {"allowed_models": ["gpt-9"]}, {"name": "a\x07b"}],
)  # fmt: skip
def test_a_key_that_could_not_work_is_not_made(alice, typed):
    assert make_by_hand(alice, **typed).status_code == 422
    assert not ApiKey.objects.exists()


def test_a_revoked_key_opens_nothing_and_says_so(alice, cast):
    key, text = create_key(cast.organisation, name="Website")
    response = alice.post(f"{PATH}keys/{key.pk}/revoke/", follow=True)
    assert "Website is revoked" in response.content.decode()
    with pytest.raises(KeyRefused):
        authenticate(text)


def test_a_member_sees_keys_but_changes_none(bob, cast):
    key, _ = create_key(cast.organisation, name="Website")
    page = bob.get(PATH).content.decode()
    assert key.prefix in page and "New key" not in page and "/revoke/" not in page
    assert bob.get(f"{PATH}keys/new/").status_code == 403
    assert bob.post(f"{PATH}keys/{key.pk}/revoke/").status_code == 403


def test_another_organisations_keys_are_not_there(alice, cast):
    key, text = create_key(cast.other_organisation, name="Theirs")
    assert key.prefix not in alice.get(PATH).content.decode()
    assert alice.post(f"{PATH}keys/{key.pk}/revoke/").status_code == 404
    assert authenticate(text)


def test_what_a_key_has_spent_this_month_is_shown(alice, cast):
    key, _ = create_key(cast.organisation, name="Website", monthly_budget_micro=50 * MICRO)
    make_session(make_agent(cast.organisation), api_key=key, captured_micro=12_500_000)
    page = alice.get(PATH).content.decode()
    assert "12.5" in page and "of 50" in page


@pytest.mark.parametrize(("by", "name"), [("model", "gpt-4.1"), ("agent", "Text and speech by API")])
def test_what_code_wrote_is_among_what_was_used(cast, by, name):
    ApiRequest.objects.create(
        organisation=cast.organisation,
        kind="chat",
        model_asked="gpt-4.1",
        model_served="gpt-4.1",
        captured_micro=500_000,
    )
    usage = usage_of(cast.organisation.pk, by)
    assert [(series.name, series.total_micro) for series in usage.series] == [(name, 500_000)]


def test_the_lines_are_filled_with_the_key_and_the_address(alice, cast):
    create_key(cast.organisation, name="Website")
    page = alice.get(PATH).content.decode()
    prefix = ApiKey.objects.get().prefix
    for client in ("openai-python", "openai-node", "agents-realtime", "livekit", "pipecat", "curl"):
        code = re.search(rf'id="{client}-code"[^>]*>(.*?)</pre>', page, re.S)[1]
        assert f"{prefix}_…" in code and "testserver" in code
    assert "ws://testserver/v1/realtime" in page


def test_over_tls_the_lines_are_too(alice, cast):
    page = alice.get(PATH, secure=True).content.decode()
    assert (
        "https://testserver/v1" in page and "wss://testserver/v1/realtime" in page and "http://testserver" not in page
    )


def test_a_visitor_logs_in_first(client, cast):
    assert client.get(PATH).status_code == 302


def test_the_pages_need_no_script_of_their_own(alice, cast):
    for path in (PATH, f"{PATH}keys/new/", "/docs/api/"):
        page = alice.get(path).content.decode()
        assert "<script>" not in page and "style=" not in page and "onclick" not in page


def test_every_operation_is_on_the_page_about_the_api(client, db):
    page = client.get("/docs/api/").content.decode()
    for words in ("POST /v1/voice/sessions", "GET /api/v1/models", "POST /v1/audio/speech", "turn_detection"):
        assert words in page
    assert "http://" not in page.replace("http://testserver", "")
