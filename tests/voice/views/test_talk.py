import pytest

from accounts.organisations import suspend_organisation
from tests.factories import make_agent


@pytest.fixture
def public(cast):
    return make_agent(cast.organisation, is_public=True, shows_prices=False)


def test_anyone_may_open_a_public_agents_page(client, public):
    page = client.get(f"/talk/{public.public_key}/")
    assert page.status_code == 200
    assert page.context["call"]["captcha_kind"] == "altcha"
    assert page.context["call"]["shows_prices"] is False


@pytest.mark.parametrize("who", [None, "mallory"])
def test_a_private_agent_does_not_exist_for_strangers(client, cast, agent, who):
    if who:
        client.force_login(getattr(cast, who))
    assert client.get(f"/talk/{agent.public_key}/").status_code == 404


def test_a_member_opens_a_private_agent_without_a_captcha(client, cast, agent):
    client.force_login(cast.bob)
    assert client.get(f"/talk/{agent.public_key}/").context["call"]["captcha_kind"] == "none"


@pytest.mark.parametrize("key", ["pk_unknown", "x" * 500, "é"])
def test_an_unknown_key_is_nothing(client, cast, key):
    assert client.get(f"/talk/{key}/").status_code == 404


def test_a_paused_agent_says_so(client, public):
    public.is_active = False
    public.save()
    page = client.get(f"/talk/{public.public_key}/")
    assert b"not taking calls" in page.content and b"data-parley-call" not in page.content


def test_an_agent_of_a_suspended_organisation_says_so_but_not_why(client, cast, public):
    suspend_organisation(cast.organisation, "Did not pay the bill", None)
    page = client.get(f"/talk/{public.public_key}/")
    assert b"not taking calls" in page.content and b"Did not pay" not in page.content


def test_the_page_says_that_it_is_an_assistant(client, public):
    assert b"not a person" in client.get(f"/talk/{public.public_key}/").content
