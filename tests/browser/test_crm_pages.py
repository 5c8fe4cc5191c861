"""An owner connects CRMs in a browser, and looks at a call's note and where it went."""

import json
import re

import pytest

from tests.browser.inside import in_product
from tests.browser.test_every_page import faults_of
from tests.browser.test_newcomer import sign_up, verify_by_mail
from tests.fakes.hubspot_server import TOKEN, FakeHubSpot

OWNER = "connects.crms@example.com"
CONTENT = {
    "summary": "Dana Scully called to book a check-up. An appointment was booked for Tuesday at ten.",
    "outcome": "task_completed",
    "sentiment": "positive",
    "action_items": [{"text": "Prepare room two.", "turn": 0}],
    "follow_up_date": "2026-12-01",
    "fields": [
        {"name": "full_name", "value": "Dana Scully", "turn": 0, "collected": True},
        {"name": "address", "value": "12 Elm Street, " + "Springfield" * 4, "turn": None, "collected": False},
    ],
}


WRITE_NOTE = """
import json, sys, django
django.setup()
from django.utils import timezone
from tests.factories import make_agent, make_session, make_turn
from voice.models import CrmConnection, CrmDelivery, Note
connection = CrmConnection.objects.get(name="HubSpot", organisation__memberships__user__email=sys.argv[1])
session = make_session(make_agent(connection.organisation))
make_turn(session, 0, "caller")
note = Note.objects.create(
    session=session, organisation=connection.organisation, state="ready", content=json.loads(sys.argv[2]),
    written_by="model", model_slug="gpt-4.1", provider_model="gpt-4.1-2025-04-14", turns_left_out=3,
    paid_by="customer", cost_micro=486000, charged_micro=486000, finished_at=timezone.now(),
)
CrmDelivery.objects.create(
    connection=connection, note=note, state="dead", attempts=30, problem="busy", status_code=429,
    attempted_at=timezone.now(),
)
print(session.pk)
"""


@pytest.fixture(scope="module")
def owner(chromium, product):
    context = chromium.new_context(base_url=product.url)
    page = context.new_page()
    sign_up(page, OWNER)
    verify_by_mail(page, OWNER)
    page.wait_for_url("**/console/")
    yield page
    context.close()


def test_hubspot_is_connected_and_tested_without_its_token_being_shown(owner, product):
    owner.goto("/console/crm/")
    owner.get_by_role("link", name="Connect HubSpot").click()
    owner.get_by_label("Private app's access token").fill(TOKEN)
    owner.get_by_role("button", name="Save").click()
    owner.wait_for_url(re.compile(r"/console/crm/[0-9a-f-]{36}/"))
    with FakeHubSpot(port=product.hubspot_port):
        owner.get_by_role("button", name="Test connection").click()
        owner.get_by_text("answered as it should", exact=False).first.wait_for()
    assert TOKEN not in owner.content()
    assert faults_of(owner) == []


def test_a_webhooks_secret_is_shown_once(owner):
    owner.goto("/console/crm/new/webhook/")
    owner.get_by_label("Address").fill("https://example.com/notes")
    owner.get_by_role("button", name="Save").click()
    secret = owner.locator("#crm-secret").inner_text()
    assert secret.startswith("whsec_")
    assert faults_of(owner) == []
    owner.get_by_role("link", name="I have copied it").click()
    owner.get_by_role("button", name="New secret").wait_for()
    assert secret not in owner.content()
    assert faults_of(owner) == []


def test_a_call_shows_its_note_and_where_it_went(owner, product):
    session_id = in_product(product, WRITE_NOTE, OWNER, json.dumps(CONTENT))
    owner.goto(f"/console/calls/{session_id}/")
    note = owner.locator("section[aria-labelledby=note-heading]")
    assert "Dana Scully called to book a check-up." in note.inner_text()
    assert "It asked us to come back later. (HTTP 429)" in note.inner_text()
    assert faults_of(owner) == []
    note.get_by_role("button", name="Send again").click()
    owner.get_by_text("It is sent again").wait_for()
    owner.goto("/console/crm/")
    assert faults_of(owner) == []
