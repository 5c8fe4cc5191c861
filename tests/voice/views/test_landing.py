import pytest

from accounts.models import Organisation
from accounts.organisations import suspend_organisation
from billing import ledger
from tests.factories import MICRO, balance_micro
from voice.catalogue.seed import seed_catalogue
from voice.demo import seed_demo
from voice.models import Agent, Switches

pytestmark = pytest.mark.django_db


@pytest.fixture
def demo():
    seed_catalogue()
    return seed_demo()[0]


def test_the_demo_can_be_called_without_an_account(client, demo):
    page = client.get("/")
    assert page.context["closed"] is None
    assert demo.public_key in page.content.decode() and b"No account needed" in page.content


def test_a_server_without_a_demo_says_so(client):
    assert client.get("/").context["closed"].code == "no_demo"


def test_a_rest_too_small_to_begin_a_call_counts_as_empty(client, demo):
    ledger.adjust(demo.organisation_id, -9_999 * MICRO, key="spent", reason="Spent", actor="test")
    assert client.get("/").context["closed"].code == "no_credits"


def test_an_empty_wallet_is_said_plainly_and_there_is_no_button(client, demo):
    ledger.adjust(demo.organisation_id, -10_000 * MICRO, key="spent", reason="Spent", actor="test")
    page = client.get("/")
    assert b"credits are used up" in page.content and demo.public_key not in page.content.decode()


def test_credits_that_are_all_held_count_as_used_up(client, demo):
    from datetime import timedelta

    from django.utils import timezone

    everything = 10_000 * MICRO
    until = timezone.now() + timedelta(minutes=5)
    ledger.open_hold(demo.organisation_id, everything, key="h", reference="voice_session:x", expires_at=until)
    assert client.get("/").context["closed"].code == "no_credits"


def test_paused_calls_are_said_in_the_operators_words(client, demo):
    Switches.objects.update_or_create(pk=1, defaults={"calls_paused": True, "pause_message": "Back at noon."})
    assert b"Back at noon." in client.get("/").content


def test_a_suspended_house_takes_no_calls(client, demo):
    suspend_organisation(demo.organisation, "Stop", None)
    assert client.get("/").context["closed"].code == "suspended"


def test_seeding_again_changes_nothing(settings, demo):
    settings.HOUSE_CREDITS = 77
    Agent.objects.update(name="Renamed")
    agent, made = seed_demo()
    assert not made and agent.name == "Renamed"
    assert Organisation.objects.count() == 1
    assert balance_micro(demo.organisation_id) == 10_000 * MICRO


def test_robots_are_told_what_to_leave_alone(client):
    assert b"Disallow: /console/" in client.get("/robots.txt").content


def test_an_address_that_is_nothing_gets_a_page_of_ours(client):
    response = client.get("/nothing/here/")
    assert response.status_code == 404 and b"There is nothing here" in response.content
