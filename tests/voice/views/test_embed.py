"""What a customer's page loads, and the console's page that tells them how."""

import pytest

from tests.factories import make_agent
from voice.models import WidgetLook
from voice.outgoing import client as outgoing
from voice.outgoing.client import Reply
from voice.outgoing.errors import Refused

SITE = "https://shop.example.com"


@pytest.fixture
def agent(cast):
    return make_agent(cast.organisation, is_public=True, allowed_origins=[SITE, "nonsense"])


@pytest.fixture
def alice(client, cast):
    client.force_login(cast.alice)
    return client


def frame(client, agent, query=""):
    return client.get(f"/embed/{agent.public_key}/{query}")


def console(agent, rest=""):
    return f"/console/agents/{agent.pk}/embed/{rest}"


@pytest.mark.django_db
def test_the_script_has_an_address_that_never_changes_and_is_asked_for_again_within_the_hour(client):
    answer = client.get("/embed.js")
    assert answer["Content-Type"].startswith("text/javascript")
    assert answer["Cross-Origin-Resource-Policy"] == "cross-origin"
    assert answer["Cache-Control"] == "public, max-age=3600"
    assert client.get("/embed.js", headers={"If-None-Match": answer["ETag"]}).status_code == 304


def test_only_our_pages_and_the_agents_sites_may_hold_the_frame(client, agent):
    answer = frame(client, agent)
    assert f"frame-ancestors 'self' {SITE};" in answer["Content-Security-Policy"] + ";"
    assert "X-Frame-Options" not in answer


def test_every_other_page_stays_out_of_frames(client, agent):
    answer = client.get("/")
    assert "frame-ancestors 'none'" in answer["Content-Security-Policy"]
    assert answer["X-Frame-Options"] == "DENY"


@pytest.mark.parametrize("key", ["pk_nobody", "pk_" + "x" * 60])
def test_an_agent_that_does_not_exist_has_no_frame(client, db, key):
    assert client.get(f"/embed/{key}/").status_code == 404
    assert client.get(f"/embed/{key}/theme.css").status_code == 404


def test_an_agent_that_is_not_public_shows_itself_to_its_members_only(client, cast, agent):
    agent.is_public = False
    agent.save()
    assert frame(client, agent).status_code == 404
    client.force_login(cast.mallory)
    assert frame(client, agent).status_code == 404
    client.force_login(cast.bob)
    assert frame(client, agent).status_code == 200


def test_the_frame_talks_to_the_origin_it_was_opened_for_and_to_nothing_that_is_none(client, agent):
    assert f'data-parent="{SITE}"' in frame(client, agent, f"?parent={SITE}&form=floating").content.decode()
    assert 'data-parent=""' in frame(client, agent, "?parent=javascript:alert(1)").content.decode()


def test_a_form_that_does_not_exist_is_the_plain_one(client, agent):
    assert 'data-form="inline"' in frame(client, agent, '?form="><script>').content.decode()


def test_a_call_that_cannot_start_says_why_in_the_frame(client, agent):
    agent.is_active = False
    agent.save()
    assert "not taking calls" in frame(client, agent).content.decode()


def test_the_owners_colours_come_as_a_stylesheet(client, agent):
    WidgetLook.objects.create(agent=agent, accent="#7a1fa2")
    answer = client.get(f"/embed/{agent.public_key}/theme.css")
    assert answer["Content-Type"].startswith("text/css")
    assert "--accent: light-dark(#7a1fa2," in answer.content.decode()


def test_the_console_shows_the_tag_with_this_agents_key(alice, agent):
    page = alice.get(console(agent)).content.decode()
    assert f"data-agent=&quot;{agent.public_key}&quot;" in page or f'data-agent="{agent.public_key}"' in page
    assert "frame-src &#x27;self&#x27;" not in page


def test_what_is_chosen_there_is_kept(alice, agent):
    chosen = {"label": "Ask us", "accent": "#7a1fa2", "theme": "dark", "position": "left"}
    assert alice.post(console(agent), chosen).status_code == 302
    assert WidgetLook.objects.values("label", "accent", "theme", "position").get(agent=agent) == chosen


def test_the_owners_words_stand_in_the_frame(alice, agent):
    words = {
        "idle": "Hello there",
        "talk": "Ask",
        "type_instead": "Write",
        "placeholder": "Write here",
        "how_was_it": "Well?",
    }
    alice.post(console(agent), {"theme": "auto", "position": "right", **words})
    page = frame(alice, agent).content.decode()
    assert all(word in page for word in words.values())
    assert "Ready when you are" not in page


def test_the_console_shows_the_words_that_were_chosen(alice, agent):
    alice.post(console(agent), {"theme": "auto", "position": "right", "end": "Hang up now"})
    assert 'value="Hang up now"' in alice.get(console(agent)).content.decode()


def test_what_is_no_colour_is_refused_with_a_reason(alice, agent):
    answer = alice.post(console(agent), {"accent": "red", "theme": "auto", "position": "left"})
    assert answer.status_code == 422
    assert not WidgetLook.objects.exists()


def test_only_admins_of_the_organisation_come_here(client, cast, agent):
    client.force_login(cast.bob)
    assert client.get(console(agent)).status_code == 403
    client.force_login(cast.mallory)
    assert client.get(console(agent)).status_code == 404
    assert client.get(console(agent, "check/?url=https://shop.example.com")).status_code == 404


def test_a_page_is_fetched_and_what_it_lacks_is_listed(alice, agent, monkeypatch):
    asked = []

    def fetch(method, url, **limits):
        asked.append((method, url, limits["max_bytes"]))
        return Reply(200, {"content-security-policy": "script-src 'self'"}, b"<html></html>")

    monkeypatch.setattr(outgoing, "request", fetch)
    page = alice.get(console(agent, f"check/?url={SITE}/contact")).content.decode()
    assert asked == [("GET", f"{SITE}/contact", 1_000_000)]
    assert "Something is missing" in page and "script-src" in page


def test_a_page_that_cannot_be_reached_says_so_in_a_sentence(alice, agent, monkeypatch):
    def refuse(*_, **__):
        raise Refused("address_not_allowed")

    monkeypatch.setattr(outgoing, "request", refuse)
    assert "private network" in alice.get(console(agent, "check/?url=https://10.0.0.1/")).content.decode()


def test_what_is_no_address_is_not_fetched(alice, agent):
    assert alice.get(console(agent, "check/?url=javascript:alert(1)")).status_code == 422
